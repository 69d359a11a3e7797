"""Places virtual machines by reserved memory so that any node can fail and every VM still fits elsewhere, and proves it."""

from vmplace.auditor import audit
from vmplace.budget import Progress
from vmplace.checking import check
from vmplace.cluster import Cluster
from vmplace.documents import dump, load
from vmplace.errors import Flaw, InputError, NotSupportedError
from vmplace.model import VM, Apart, Guarantee, Node, NotOn, OnlyOn, Tag, Together
from vmplace.optimize import place, repair
from vmplace.results import BrokenRule, Conflict, Migration, Report, Scenario, Solution, Status, Unprotected, Violation

__all__ = [
    "VM",
    "Apart",
    "BrokenRule",
    "Cluster",
    "Conflict",
    "Flaw",
    "Guarantee",
    "InputError",
    "Migration",
    "Node",
    "NotOn",
    "NotSupportedError",
    "OnlyOn",
    "Progress",
    "Report",
    "Scenario",
    "Solution",
    "Status",
    "Tag",
    "Together",
    "Unprotected",
    "Violation",
    "audit",
    "check",
    "dump",
    "load",
    "place",
    "repair",
]
