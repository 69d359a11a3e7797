"""Places virtual machines by reserved memory so that any node can fail and every VM still fits elsewhere, and proves it."""

from typing import TYPE_CHECKING, Any

from vmplace.admission import admit
from vmplace.admission_results import Admission, Candidate, Candidates
from vmplace.admitter import Admitter
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
from vmplace.tickets import Ticket

if TYPE_CHECKING:
    from vmplace.optimize import place, repair

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
    "InputError",
    "Migration",
    "Node",
    "NotOn",
    "OnlyOn",
    "Progress",
    "Report",
    "Scenario",
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
    "load",
    "place",
    "repair",
]


def __getattr__(name: str) -> Any:
    """`place` and `repair` when they are first asked for: half of the package is theirs, and `check` needs none of it."""
    if name in ("place", "repair"):
        from vmplace import optimize

        return globals().setdefault(name, getattr(optimize, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
