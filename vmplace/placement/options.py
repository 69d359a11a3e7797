"""What a caller may ask of a search: the options of `place` and of what is built on it, checked."""

from collections.abc import Sequence

from attrs import field, frozen

from vmplace.model.converters import parse_count
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import parse_reserve, short
from vmplace.placement.migration.limits import Pace, argument
from vmplace.search.goal import OBJECTIVES, Goal
from vmplace.search.strategy import METHODS

__all__ = ["PlaceOptions"]


@frozen(kw_only=True)
class PlaceOptions:
    """The options of `place`, as its caller says them; raises InputError that names the one that is wrong.

    Parameters
    ----------
    objective, method, seed, deterministic, move_running, best_effort, max_moves, max_migrated
        See `place`.
    ordered, parallel, parallel_per_node
        See `place`.
    goal
        What the search is after, were protection to be complete.
    pace
        What the order of migrations has to keep to.
    """

    objective: str | Sequence[str]
    method: str = "auto"
    seed: int = 0
    deterministic: bool = False
    move_running: bool = False
    best_effort: bool = False
    max_moves: int | None = None
    max_migrated: int | str | None = None
    ordered: bool = True
    parallel: int | None = None
    parallel_per_node: int | None = None

    goal: Goal = field(init=False)
    pace: Pace = field(init=False)

    @goal.default
    def _goal(self) -> Goal:
        names = (self.objective,) if isinstance(self.objective, str) else tuple(self.objective)
        odd = next((name for name in names if name not in OBJECTIVES), None)
        if odd is not None or not names or len(set(names)) < len(names):
            raise InputError(
                [Flaw("objective", f"{short(self.objective)} is not one or several different ones of {', '.join(OBJECTIVES)}")]
            )
        return Goal(
            names,
            move_running=self.move_running,
            best_effort=False,
            max_moves=argument("max_moves", self.max_moves, parse_count),
            max_migrated=argument("max_migrated", self.max_migrated, parse_reserve),
        )

    @pace.default
    def _pace(self) -> Pace:
        if self.method not in METHODS:
            raise InputError([Flaw("method", f"{short(self.method)} is not one of {', '.join(METHODS)}")])
        return Pace.of(
            parallel=self.parallel,
            parallel_per_node=self.parallel_per_node,
            max_moves=self.max_moves,
            max_migrated=self.max_migrated,
            seed=self.seed,
        )
