"""Places virtual machines by reserved memory so that any node can fail and every VM still fits elsewhere, and proves it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmplace.auditor import audit
from vmplace.budget import Progress
from vmplace.checking import check
from vmplace.cluster import Cluster
from vmplace.documents import dump, load
from vmplace.errors import Flaw, InputError
from vmplace.migration import MigrationPlan, Start, Step
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
    from vmplace.draining import drain
    from vmplace.migrating import plan_moves
    from vmplace.optimize import place, repair
    from vmplace.rolling import RollingDrain, rolling_drain

__all__ = [
    "VM",
    "Apart",
    "BrokenRule",
    "Cluster",
    "Comparison",
    "Conflict",
    "Flaw",
    "Guarantee",
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
    "Solution",
    "Start",
    "Status",
    "Step",
    "Tag",
    "Together",
    "Unprotected",
    "Violation",
    "audit",
    "check",
    "drain",
    "dump",
    "load",
    "place",
    "plan_moves",
    "repair",
    "rolling_drain",
]


_LATER = {
    "RollingDrain": "rolling",
    "drain": "draining",
    "place": "optimize",
    "plan_moves": "migrating",
    "repair": "optimize",
    "rolling_drain": "rolling",
}
"""What searches, by the module it is in: half of the package is for this, and `check` needs none of it."""


def __getattr__(name: str) -> Any:
    """What searches, when it is first asked for."""
    if name in _LATER:
        return globals().setdefault(name, getattr(import_module(f"vmplace.{_LATER[name]}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
