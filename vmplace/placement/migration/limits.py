"""What an order of migrations has to keep to: limits of parallel moves, and the options that set them."""

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from vmplace.model.converters import parse_count
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import parse_reserve, short

__all__ = ["Limits", "Pace", "argument"]


@frozen
class Limits:
    """How many VMs may migrate at the same time, in all and from or to any one node; None: any number.

    A unit that is more than a limit allows goes alone.
    """

    parallel: int | None = None
    parallel_per_node: int | None = None


def argument(name: str, value: Any, parse: Callable[[Any], int]) -> int | None:
    """An argument that may be None, parsed; raises InputError that names it."""
    try:
        return None if value is None else parse(value)
    except ValueError as error:
        raise InputError([Flaw(name, str(error))]) from None


@frozen
class Pace:
    """What an order of migrations has to keep to.

    Parameters
    ----------
    limits
        How much at a time.
    max_moves, max_migrated
        How many migrations, and how many MiB, stop-overs among them; None: any number.
    seed
        Of the order in which moves are looked at.
    """

    limits: Limits = field(factory=Limits)
    max_moves: int | None = None
    max_migrated: int | None = None
    seed: int = 0

    @classmethod
    def of(cls, *, parallel: Any, parallel_per_node: Any, max_moves: Any, max_migrated: Any, seed: Any) -> "Pace":
        """From what a caller says; raises InputError that names the argument that is wrong."""
        return cls(
            Limits(argument("parallel", parallel, _parallel), argument("parallel_per_node", parallel_per_node, _parallel)),
            argument("max_moves", max_moves, parse_count),
            argument("max_migrated", max_migrated, parse_reserve),
            argument("seed", seed, parse_count) or 0,
        )


def _parallel(value: object) -> int:
    if (number := parse_count(value)) < 1:
        raise ValueError(f"{short(value)} leaves nothing to do: write 1 or more")
    return number
