"""Diving: a cover in parts of bins made whole by rounding one pattern up at a time, and solving again for the rest.

A limited search with backtracking, deterministic: where the rest cannot be covered any more, the last choice is undone and the
next best one taken, up to so many failures. It finds packings; that it finds none says nothing.
"""

from math import floor

from attrs import define, field

from vmplace.solvers.binpacking.column_generation import Cover, Patterns, Remainder
from vmplace.solvers.binpacking.instance import Load
from vmplace.solvers.binpacking.subset_sum import fill_up

__all__ = ["dive"]

_WHOLE = 1e-6
_CHOICES = 2
"""Of each cover, as many patterns are tried before the choice above is undone."""


@define
class _Level:
    """One cover: what was left, what is packed before it, and the choices that failed."""

    remainder: Remainder
    packed: tuple[Load, ...]
    failed: list[Load] = field(factory=list)


def dive(patterns: Patterns, n_bins: int, *, failures: int) -> tuple[Load, ...] | None:
    """Look for a packing into the `n_bins` largest bins.

    Parameters
    ----------
    patterns
        The relaxation; patterns found on the way stay in it.
    failures
        How many rests that cannot be covered end the search.

    Returns
    -------
    tuple of Load or None
        The bins in use; None where none was found.

    Raises
    ------
    OutOfTimeError
        if the patterns' budget is spent first.
    """
    levels = [_Level(Remainder.of(patterns.instance, n_bins), ())]
    while levels:
        level = levels[-1]
        filled = fill_up(patterns.instance, level.remainder.counts, level.remainder.limits, budget=patterns.budget)
        if filled is not None:
            return level.packed + filled
        chosen = _choose(patterns, level)
        if chosen is not None:
            levels.append(chosen)
            continue
        failures -= 1
        if failures < 0:
            return None
        levels.pop()
        while levels and len(levels[-1].failed) >= _CHOICES:
            levels.pop()
    return None


def _choose(patterns: Patterns, level: _Level) -> _Level | None:
    """The level below: whole parts packed, or else the largest part rounded up that has not failed yet."""
    if patterns.cover(level.remainder) is not Cover.FULL:
        return None
    # Among equal parts the one known first, so that the choice is repeatable.
    parts = sorted(patterns.parts(), key=lambda part: -part[0])
    remainder, packed = level.remainder, list(level.packed)
    if not level.failed:
        for part, load in parts:
            for _ in range(floor(part + _WHOLE)):
                rest = remainder.less(patterns.instance, load)
                if rest is None:
                    break
                remainder = rest
                packed.append(load)
        if remainder is not level.remainder:
            level.failed.append(packed[-1])
            return _Level(remainder, tuple(packed))
    for _, load in parts:
        if load not in level.failed:
            rest = remainder.less(patterns.instance, load)
            if rest is not None:
                level.failed.append(load)
                return _Level(rest, (*packed, load))
    return None
