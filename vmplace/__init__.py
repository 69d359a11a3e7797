"""Places virtual machines by reserved memory so that any node can fail and every VM still fits elsewhere, and proves it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vmplace.admission import admit
from vmplace.admission_results import Admission, Candidate, Candidates
from vmplace.admitter import Admitter
from vmplace.auditor import audit
from vmplace.budget import Progress
from vmplace.capacity import Headroom, HeadroomTable, Sizing
from vmplace.changes import what_if
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
from vmplace.tickets import Ticket

if TYPE_CHECKING:
    from vmplace.headrooms import headroom, headroom_table
    from vmplace.optimize import place, repair
    from vmplace.sizing import size

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
    "Node",
    "NotOn",
    "OnlyOn",
    "Progress",
    "Report",
    "Scenario",
    "Sizing",
    "Solution",
    "Status",
    "Tag",
    "Ticket",
    "Together",
    "Unprotected",
    "Violation",
    "admit",
    "audit",
    "check",
    "dump",
    "headroom",
    "headroom_table",
    "load",
    "place",
    "repair",
    "size",
    "what_if",
]


_LAZY = {"headroom": "headrooms", "headroom_table": "headrooms", "place": "optimize", "repair": "optimize", "size": "sizing"}
"""What is loaded when it is first asked for, and its module: half of the package is theirs, and `check` needs none of it."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return globals().setdefault(name, getattr(import_module(f"vmplace.{_LAZY[name]}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
