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
    from vmplace.diagnosis import Blame, Explanation, Obstacle, Remedy, Slack, Stuck
    from vmplace.draining import drain
    from vmplace.enquiry import explain
    from vmplace.headrooms import headroom, headroom_table
    from vmplace.migrating import plan_moves
    from vmplace.migration import MigrationPlan, Start, Step
    from vmplace.optimize import place, repair
    from vmplace.rolling import RollingDrain, rolling_drain
    from vmplace.sizing import size
    from vmplace.tickets import Ticket
    from vmplace.trends import Course, Forecast, Snapshot, Trend, trend

__all__ = [
    "VM",
    "Admission",
    "Admitter",
    "Apart",
    "Blame",
    "BrokenRule",
    "Candidate",
    "Candidates",
    "Cluster",
    "Comparison",
    "Conflict",
    "Course",
    "Explanation",
    "Flaw",
    "Forecast",
    "Guarantee",
    "Headroom",
    "HeadroomTable",
    "InputError",
    "Migration",
    "MigrationPlan",
    "Node",
    "NotOn",
    "Obstacle",
    "OnlyOn",
    "Progress",
    "Remedy",
    "Report",
    "RollingDrain",
    "Scenario",
    "Sizing",
    "Slack",
    "Snapshot",
    "Solution",
    "Start",
    "Status",
    "Step",
    "Stuck",
    "Tag",
    "Ticket",
    "Together",
    "Trend",
    "Unprotected",
    "Violation",
    "admit",
    "audit",
    "check",
    "drain",
    "dump",
    "explain",
    "headroom",
    "headroom_table",
    "load",
    "place",
    "plan_moves",
    "repair",
    "rolling_drain",
    "size",
    "trend",
    "what_if",
]


_LATER = {
    "Admission": "admission_results",
    "Admitter": "admitter",
    "Blame": "diagnosis",
    "Candidate": "admission_results",
    "Candidates": "admission_results",
    "Course": "trends",
    "Explanation": "diagnosis",
    "Forecast": "trends",
    "Headroom": "capacity",
    "HeadroomTable": "capacity",
    "MigrationPlan": "migration",
    "Obstacle": "diagnosis",
    "Remedy": "diagnosis",
    "RollingDrain": "rolling",
    "Sizing": "capacity",
    "Slack": "diagnosis",
    "Snapshot": "trends",
    "Start": "migration",
    "Step": "migration",
    "Stuck": "diagnosis",
    "Ticket": "tickets",
    "Trend": "trends",
    "admit": "admission",
    "drain": "draining",
    "explain": "enquiry",
    "headroom": "headrooms",
    "headroom_table": "headrooms",
    "place": "optimize",
    "plan_moves": "migrating",
    "repair": "optimize",
    "rolling_drain": "rolling",
    "size": "sizing",
    "trend": "trends",
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
