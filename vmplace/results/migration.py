"""A plan of live migrations: steps in order, each with the state of the guarantee after it."""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from vmplace.model.errors import Flaw, InputError
from vmplace.model.text import printable
from vmplace.model.units import short
from vmplace.results.drawings import commands, dot, svg
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Migration, Start, Status, Step

__all__ = ["MigrationPlan"]

_FORMS = {"sh": commands, "dot": dot, "svg": svg}


@frozen(kw_only=True)
class MigrationPlan(ToDict):
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

    _keys = "status steps extra exposed stopovers reason stats"

    status: Status
    steps: tuple[Step, ...] = ()
    extra: int = 0
    reason: str = ""
    stats: Mapping[str, Any] = field(factory=dict)

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """All migrations, in order of their steps."""
        return tuple(migration for step in self.steps for migration in step.migrations)

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

    def drawn(self, form: str = "sh") -> str:
        """The plan as text: ``sh`` (a list of commands), ``dot`` (a graph for Graphviz) or ``svg`` (a picture).

        Raises
        ------
        InputError
            (a ValueError) if the form is another.
        """
        if not isinstance(form, str) or form not in _FORMS:
            raise InputError([Flaw("form", f"{short(form)} is not one of {', '.join(_FORMS)}")])
        if form == "sh" and self.status in (Status.INFEASIBLE, Status.UNKNOWN):
            return f"# no order: {printable(self.reason)}\n"
        return "".join(_FORMS[form](self.steps))

    def outline(self) -> dict[str, Any]:
        """As JSON carries it where the migrations are listed already."""
        whole = self.parts()
        for step in whole["steps"]:
            del step["migrations"]
        return whole
