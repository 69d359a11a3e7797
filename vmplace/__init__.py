"""Places virtual machines by reserved memory so that any node can fail and every VM still fits elsewhere, and proves it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmplace.auditor.audit import audit
from vmplace.failover.check import check
from vmplace.formats.document import dump, load
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Guarantee, Node, NotOn, OnlyOn, Tag, Together
from vmplace.model.errors import Flaw, InputError
from vmplace.results.placement import (
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
from vmplace.solvers.budget import Progress

if TYPE_CHECKING:
    from vmplace.admission.admit import admit
    from vmplace.admission.admitter import Admitter
    from vmplace.admission.results import Admission, Candidate, Candidates
    from vmplace.admission.tickets import Ticket
    from vmplace.capacity.headroom import headroom, headroom_table
    from vmplace.capacity.results import Headroom, HeadroomTable, Sizing
    from vmplace.capacity.size import size
    from vmplace.capacity.trend import Course, Forecast, Snapshot, Trend, trend
    from vmplace.diagnosis.explain import explain
    from vmplace.diagnosis.results import Blame, Explanation, Obstacle, Remedy, Slack, Stuck
    from vmplace.model.what_if import what_if
    from vmplace.placement.drain import drain
    from vmplace.placement.migration.plan import plan_moves
    from vmplace.placement.place import place, repair
    from vmplace.placement.rolling_drain import RollingDrain, rolling_drain
    from vmplace.results.migration import MigrationPlan, Start, Step

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
    "Admission": "admission.results",
    "Admitter": "admission.admitter",
    "Blame": "diagnosis.results",
    "Candidate": "admission.results",
    "Candidates": "admission.results",
    "Course": "capacity.trend",
    "Explanation": "diagnosis.results",
    "Forecast": "capacity.trend",
    "Headroom": "capacity.results",
    "HeadroomTable": "capacity.results",
    "MigrationPlan": "results.migration",
    "Obstacle": "diagnosis.results",
    "Remedy": "diagnosis.results",
    "RollingDrain": "placement.rolling_drain",
    "Sizing": "capacity.results",
    "Slack": "diagnosis.results",
    "Snapshot": "capacity.trend",
    "Start": "results.migration",
    "Step": "results.migration",
    "Stuck": "diagnosis.results",
    "Ticket": "admission.tickets",
    "Trend": "capacity.trend",
    "admit": "admission.admit",
    "drain": "placement.drain",
    "explain": "diagnosis.explain",
    "headroom": "capacity.headroom",
    "headroom_table": "capacity.headroom",
    "place": "placement.place",
    "plan_moves": "placement.migration.plan",
    "repair": "placement.place",
    "rolling_drain": "placement.rolling_drain",
    "size": "capacity.size",
    "trend": "capacity.trend",
    "what_if": "model.what_if",
}
"""What is loaded when it is first asked for, by the module it is in: most of the package, and `check` needs none of it."""


def __getattr__(name: str) -> Any:
    """What is not needed for `check`, when it is first asked for."""
    if name in _LATER:
        return globals().setdefault(name, getattr(import_module(f"vmplace.{_LATER[name]}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
