"""Places virtual machines by reserved memory so that any node can fail and every VM still fits elsewhere, and proves it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmplace.auditor import audit
from vmplace.budget import Progress
from vmplace.checking import check
from vmplace.cluster import Cluster
from vmplace.diagnosis import Blame, Explanation, Obstacle, Remedy, Slack, Stuck
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
from vmplace.trends import Course, Forecast, Snapshot, Trend, trend

if TYPE_CHECKING:
    from vmplace.enquiry import explain
    from vmplace.optimize import place, repair

__all__ = [
    "VM",
    "Apart",
    "Blame",
    "BrokenRule",
    "Cluster",
    "Comparison",
    "Conflict",
    "Course",
    "Explanation",
    "Flaw",
    "Forecast",
    "Guarantee",
    "InputError",
    "Migration",
    "Node",
    "NotOn",
    "Obstacle",
    "OnlyOn",
    "Progress",
    "Remedy",
    "Report",
    "Scenario",
    "Slack",
    "Snapshot",
    "Solution",
    "Status",
    "Stuck",
    "Tag",
    "Together",
    "Trend",
    "Unprotected",
    "Violation",
    "audit",
    "check",
    "dump",
    "explain",
    "load",
    "place",
    "repair",
    "trend",
]


_LATE = {"explain": "enquiry", "place": "optimize", "repair": "optimize"}
"""Functions by the modules that they are loaded from when first asked for: half of the package is theirs."""


def __getattr__(name: str) -> Any:
    """Those that search, when they are first asked for: `check` needs none of what they do."""
    if name in _LATE:
        module = import_module(f"vmplace.{_LATE[name]}")
        return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
