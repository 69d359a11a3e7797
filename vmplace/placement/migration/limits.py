"""Limits of a migration plan: how many VMs migrate at the same time and in all, and how much memory."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from attrs import frozen

from vmplace.model.converters import parse_count, placed
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import optional
from vmplace.model.units import parse_bandwidth, parse_reserve, short

__all__ = ["MigrationLimits", "parse_speed"]


@frozen
class MigrationLimits:
    """What an order of migrations has to keep to.

    Parameters
    ----------
    parallel, parallel_per_node
        How many VMs may migrate at the same time, in all and from or to any one node; None: any number. A unit that is more
        than a limit allows goes alone.
    max_moves, max_migrated
        How many migrations, and how many MiB, stop-overs and cold moves among them; None: any number.
    seed
        Of the order in which moves are looked at.
    """

    parallel: int | None = None
    parallel_per_node: int | None = None
    max_moves: int | None = None
    max_migrated: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, **options: Any) -> "MigrationLimits":
        """From what a caller says; raises InputError that names the option that is wrong."""
        parsed = {name: _parsed(name, value, _PARSERS.get(name, parse_count)) for name, value in options.items()}
        return cls(**{name: value for name, value in parsed.items() if value is not None})

    @staticmethod
    def at_least_one(name: str, value: Any) -> int | None:
        """A number of things that are done at the same time, as a caller says it; None for any number."""
        return _parsed(name, value, _parse_parallel)


def parse_speed(bandwidth: str | Fraction | None) -> Fraction | None:
    """The bandwidth that a caller says, in MiB per second; raises InputError that names the option. A fraction is one already."""
    if isinstance(bandwidth, Fraction):
        return bandwidth
    speed: Fraction | None = placed("bandwidth", optional(parse_bandwidth))(bandwidth)
    return speed


def _parsed(name: str, value: Any, parse: Callable[[Any], int]) -> int | None:
    try:
        return None if value is None else parse(value)
    except ValueError as error:
        raise InputError([Flaw(name, str(error))]) from None


def _parse_parallel(value: int) -> int:
    if (number := parse_count(value)) < 1:
        raise ValueError(f"{short(value)} leaves nothing to do: write 1 or more")
    return number


_PARSERS: dict[str, Callable[[Any], int]] = {
    "parallel": _parse_parallel,
    "parallel_per_node": _parse_parallel,
    "max_migrated": parse_reserve,
}
