"""The options of `place`, `repair`, `drain` and `rolling_drain` as one value, checked."""

import threading
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypedDict

from attrs import field, fields, frozen

from vmplace.model.errors import Flaw, InputError, not_among
from vmplace.model.kinds import Method
from vmplace.placement.migration.limits import MigrationLimits, parse_speed
from vmplace.placement.objectives import Objective, parse_gap, parse_objectives
from vmplace.search.goal import Goal
from vmplace.search.strategy import METHODS
from vmplace.solvers.budget import Progress

__all__ = ["DrainKeywords", "PlaceOptions", "RepairKeywords"]


class DrainKeywords(TypedDict, total=False):
    """The options of `place` that `drain` and `rolling_drain` take, too."""

    objective: Objective | Sequence[Objective]
    gap: float | Fraction | str
    method: Method
    seed: int
    deterministic: bool
    best_effort: bool
    max_moves: int | None
    max_migrated: int | str | None
    ordered: bool
    parallel: int | None
    parallel_per_node: int | None
    bandwidth: str | None


class RepairKeywords(DrainKeywords, total=False):
    """The options of `place`, all of which `repair` takes."""

    move_running: bool
    time_limit: float | None
    progress: Callable[[Progress], None] | None
    cancel: threading.Event | None


@frozen(kw_only=True)
class PlaceOptions:
    """The options of `place`, as its caller says them; raises InputError that names the one that is wrong.

    Parameters
    ----------
    limits
        What the order of migrations has to keep to.
    goal
        What the search is after, were protection to be complete.
    """

    objective: Objective | Sequence[Objective] = "balance"
    gap: Fraction = field(default=Fraction(0), converter=parse_gap)
    method: str = "auto"
    seed: int = 0
    deterministic: bool = False
    move_running: bool = False
    best_effort: bool = False
    max_moves: int | None = None
    max_migrated: int | str | None = None
    ordered: bool = True
    parallel: int | None = None
    parallel_per_node: int | None = 1
    bandwidth: Fraction | None = field(default=None, converter=parse_speed)

    limits: MigrationLimits = field(init=False)
    goal: Goal = field(init=False)

    @classmethod
    def of_call(cls, arguments: Mapping[str, Any]) -> "PlaceOptions":
        """The options among the arguments of a call."""
        return cls(**{option.name: arguments[option.name] for option in fields(cls) if option.init})

    @classmethod
    def for_drain(cls, options: Mapping[str, Any], *, strict: bool) -> "PlaceOptions":
        """The options of a drain: the least memory migrated, unless another objective is given; a best effort unless strict."""
        if strict and options.get("best_effort"):
            raise InputError([Flaw("strict", "contradicts best_effort: give one of the two")])
        return cls(**{"objective": "moves", "best_effort": not strict, **options, "move_running": True})

    @limits.default
    def _limits(self) -> MigrationLimits:
        if self.method not in METHODS:
            raise InputError([Flaw("method", not_among(self.method, METHODS))])
        names = (option.name for option in fields(MigrationLimits))
        return MigrationLimits.of(**{name: getattr(self, name) for name in names})

    @goal.default
    def _goal(self) -> Goal:
        (names, slack), limits = parse_objectives(self.objective), self.limits
        return Goal(
            names,
            move_running=self.move_running,
            max_moves=limits.max_moves,
            max_migrated=limits.max_migrated,
            slack=slack,
            gap=self.gap,
        )
