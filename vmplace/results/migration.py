"""A plan of live migrations: steps in order, each with the state of the guarantee after it."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from attrs import evolve, field, frozen

from vmplace.model.errors import Flaw, InputError, not_among
from vmplace.model.text import counted, readable
from vmplace.results.actions import Part, json_listing, table, timed
from vmplace.results.drawings import dot, svg
from vmplace.results.result import Result
from vmplace.results.shell import script
from vmplace.results.values import MigrationTable, Start, Status, Step

__all__ = ["MigrationPlan", "listed", "starting"]

_LISTS = {"sh": script, "csv": table, "json": json_listing}
_PICTURES = {"dot": dot, "svg": svg}


@frozen(kw_only=True, eq=False, repr=False)
class MigrationPlan(Result):
    """The order of the migrations from the current placement to another.

    It minimises first the memory that migrates for stop-overs (`extra`), then the number of steps after which the guarantee is
    not known to hold (`exposed`).

    Parameters
    ----------
    status
        ``optimal``: proved that no order has less. ``feasible``: an order was found. ``infeasible``: proved that there is none.
        ``unknown``: none was found.
    steps
        In order; empty if nothing migrates, or there is no order.
    extra
        MiB that migrate for stop-overs.
    reason
        Why there is no order, or why it is not known to be optimal.
    stats
        Seconds, and what was searched.
    """

    _keys = "status steps extra exposed stopovers seconds reason stats"
    _if_known = ("seconds",)

    status: Status
    steps: tuple[Step, ...] = ()
    extra: int = 0
    reason: str = ""
    stats: Mapping[str, Any] = field(factory=dict)

    @property
    def migrations(self) -> MigrationTable:
        """All migrations, in order of their steps."""
        return MigrationTable(migration for step in self.steps for migration in step.migrations)

    @property
    def starts(self) -> tuple[tuple[int, Start], ...]:
        """The VMs that are started, each with the number of its step."""
        return tuple((step.number, start) for step in self.steps for start in step.starts)

    @property
    def exposed(self) -> tuple[int, ...]:
        """The steps after which the guarantee is not known to hold."""
        return tuple(step.number for step in self.steps if step.suspended)

    @property
    def stopovers(self) -> tuple[str, ...]:
        """The VMs that migrate more than once."""
        seen: dict[str, int] = {}
        for migration in self.migrations:
            seen[migration.vm] = seen.get(migration.vm, 0) + 1
        return tuple(vm for vm, count in seen.items() if count > 1)

    @property
    def seconds(self) -> float | None:
        """How long the steps take, where a bandwidth is given; memory that VMs write meanwhile, and starts, come on top."""
        times = [step.seconds for step in self.steps if step.seconds is not None]
        return round(sum(times), 1) if times else None

    def timed(self, bandwidth: Fraction | None) -> "MigrationPlan":
        """Return this plan with the seconds that its migrations take; unchanged without a bandwidth."""
        return self if bandwidth is None else evolve(self, steps=tuple(timed(step, bandwidth) for step in self.steps))

    def drawn(self, form: str = "sh") -> str:
        """The plan as text.

        Parameters
        ----------
        form
            ``sh``: a shell script that calls ``migrate -- VM FROM TO`` and ``start -- VM NODE``. ``csv``, ``json``: an entry for
            each action. ``dot``: a graph for Graphviz. ``svg``: a picture.

        Raises
        ------
        InputError
            (a ValueError) if the form is another, or if a name cannot be in a shell script: it holds a NUL character.
        """
        picture = _PICTURES.get(form) if isinstance(form, str) else None
        return listed([self.part()], form) if picture is None else "".join(picture(self.steps))

    def part(self, drained: tuple[str, ...] = ()) -> Part:
        """The steps for a list of what to do, in which nodes are drained."""
        missing = self.reason if self.status in (Status.INFEASIBLE, Status.UNKNOWN) else ""
        return Part(self.steps, drained, missing)

    def outline(self) -> dict[str, Any]:
        """As JSON carries it where the migrations are listed already."""
        whole = self.parts()
        for step in whole["steps"]:
            del step["migrations"]
        return whole

    @property
    def safe(self) -> bool:
        """Whether there is an order, and the guarantee is known to hold after every step."""
        return self.status in (Status.OPTIMAL, Status.FEASIBLE) and not self.exposed

    def summary(self) -> str:
        """The answer in a line."""
        if self.status in (Status.INFEASIBLE, Status.UNKNOWN):
            return f"{self.status}: {self.reason or 'no order'}"
        moved = sum(migration.memory for migration in self.migrations)
        exposed = f", the guarantee does not hold after {len(self.exposed)} of them" if self.exposed else ""
        return f"{self.status}: {counted(len(self.steps), 'step')}, {readable(moved)} migrated{exposed}"


def listed(parts: Sequence[Part], form: str) -> str:
    """What is to be done as text: ``sh``, ``csv`` or ``json``; raises InputError as `MigrationPlan.drawn` does."""
    if not isinstance(form, str) or form not in _LISTS:
        raise InputError([Flaw("form", not_among(form, [*_LISTS, *_PICTURES]))])
    return "".join(_LISTS[form](parts))


def starting(starts: Iterable[tuple[int, Start]]) -> tuple[Step, ...]:
    """The steps in which VMs only start: one for each priority, the highest first; nothing is said of the guarantee.

    Parameters
    ----------
    starts
        Each with the priority of its VM.
    """
    ranks: dict[int, list[Start]] = {}
    for priority, start in starts:
        ranks.setdefault(priority, []).append(start)
    order = sorted(ranks, reverse=True)
    return tuple(Step(number, (), tuple(ranks[rank]), None) for number, rank in enumerate(order, 1))
