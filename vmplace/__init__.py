"""Places virtual machines by reserved memory so that any node can fail and every VM still fits elsewhere, and proves it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmplace.auditor import audit
from vmplace.budget import Progress
from vmplace.checking import check
from vmplace.cluster import Cluster
from vmplace.documents import dump, load
from vmplace.errors import Flaw, InputError
from vmplace.model import VM, Apart, Guarantee, Node, NotOn, OnlyOn, Tag, Together
from vmplace.results import (
    BrokenRule,
    Comparison,
    Conflict,
    Migration,
    Report,
    Scenario,
    Solution,
    Status,
    Unprotected,
    Violation,
)

if TYPE_CHECKING:
    from vmplace.admission import admit
    from vmplace.admission_results import Admission, Candidate, Candidates
    from vmplace.admitter import Admitter
    from vmplace.capacity import Headroom, HeadroomTable, Sizing
    from vmplace.changes import what_if
    from vmplace.draining import drain
    from vmplace.headrooms import headroom, headroom_table
    from vmplace.migrating import plan_moves
    from vmplace.migration import MigrationPlan, Start, Step
    from vmplace.optimize import place, repair
    from vmplace.rolling import RollingDrain, rolling_drain
    from vmplace.sizing import size
    from vmplace.tickets import Ticket

__all__ = [
    "VM",
    "Admission",
    "Admitter",
    "Apart",
    "BrokenRule",
    "Candidate",
    "Candidates",
    "Cluster",
    "Comparison",
    "Conflict",
    "Flaw",
    "Guarantee",
    "Headroom",
    "HeadroomTable",
    "InputError",
    "Migration",
    "MigrationPlan",
    "Node",
    "NotOn",
    "OnlyOn",
    "Progress",
    "Report",
    "RollingDrain",
    "Scenario",
    "Sizing",
    "Solution",
    "Start",
    "Status",
    "Step",
    "Tag",
    "Ticket",
    "Together",
    "Unprotected",
    "Violation",
    "admit",
    "audit",
    "check",
    "drain",
    "dump",
    "headroom",
    "headroom_table",
    "load",
    "place",
    "plan_moves",
    "repair",
    "rolling_drain",
    "size",
    "what_if",
]


_LATER = {
    "Admission": "admission_results",
    "Admitter": "admitter",
    "Candidate": "admission_results",
    "Candidates": "admission_results",
    "Headroom": "capacity",
    "HeadroomTable": "capacity",
    "MigrationPlan": "migration",
    "RollingDrain": "rolling",
    "Sizing": "capacity",
    "Start": "migration",
    "Step": "migration",
    "Ticket": "tickets",
    "admit": "admission",
    "drain": "draining",
    "headroom": "headrooms",
    "headroom_table": "headrooms",
    "place": "optimize",
    "plan_moves": "migrating",
    "repair": "optimize",
    "rolling_drain": "rolling",
    "size": "sizing",
    "what_if": "changes",
}
"""What is loaded when it is first asked for, by the module it is in: most of the package, and `check` needs none of it."""


def __getattr__(name: str) -> Any:
    """What is not needed for `check`, when it is first asked for."""
    if name in _LATER:
        return globals().setdefault(name, getattr(import_module(f"vmplace.{_LATER[name]}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
