"""Diving heuristic on column generation: patterns rounded up one at a time, and the residual problem solved again.

A limited search with backtracking, deterministic: where the relaxation of what is left has no solution, the last choice is undone
and the next best one taken, up to so many failures. It finds packings; that it finds none says nothing.
"""

from math import floor

from attrs import define, field

from vmplace.solvers.binpacking.column_generation import ColumnGeneration, Residual
from vmplace.solvers.binpacking.instance import Load
from vmplace.solvers.binpacking.subset_sum import fill_up
from vmplace.solvers.program import Outcome

__all__ = ["dive"]

_WHOLE = 1e-6
_CHOICES = 2
"""Of each solution, as many patterns are tried before the choice above is undone."""


@define
class _Level:
    """A node of the dive: what was left, what is packed before it, and the choices that failed."""

    residual: Residual
    packed: tuple[Load, ...]
    failed: list[Load] = field(factory=list)


def dive(columns: ColumnGeneration, n_bins: int, *, failures: int) -> tuple[Load, ...] | None:
    """Look for a packing into the `n_bins` largest bins.

    Parameters
    ----------
    columns
        Patterns found on the way stay in it.
    failures
        How many residual problems without a solution end the search.

    Returns
    -------
    tuple of Load or None
        The bins in use; None where none was found.

    Raises
    ------
    OutOfTimeError
        if the budget of `columns` is spent first.
    """
    levels = [_Level(Residual.of(columns.instance, n_bins), ())]
    while levels:
        level = levels[-1]
        filled = fill_up(columns.instance, level.residual.counts, level.residual.limits, budget=columns.budget)
        if filled is not None:
            return level.packed + filled
        chosen = _choose(columns, level)
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


def _choose(columns: ColumnGeneration, level: _Level) -> _Level | None:
    """The level below: whole parts packed, or else the largest part rounded up that has not failed yet."""
    if columns.solve(level.residual) is not Outcome.FEASIBLE:
        return None
    # Among equal parts the one known first, so that the choice is repeatable.
    parts = sorted(columns.fractions(), key=lambda part: -part[0])
    residual, packed = level.residual, list(level.packed)
    if not level.failed:
        for part, load in parts:
            for _ in range(floor(part + _WHOLE)):
                rest = residual.less(columns.instance, load)
                if rest is None:
                    break
                residual = rest
                packed.append(load)
        if residual is not level.residual:
            level.failed.append(packed[-1])
            return _Level(residual, tuple(packed))
    for _, load in parts:
        if load not in level.failed:
            rest = residual.less(columns.instance, load)
            if rest is not None:
                level.failed.append(load)
                return _Level(rest, (*packed, load))
    return None
