"""VM placement by reserved memory with a proved N+1 guarantee: any node can fail, and every VM still fits elsewhere."""

TYPE_CHECKING = False
"""In the place of `typing.TYPE_CHECKING`: `typing` takes longer to load than all of this."""

if TYPE_CHECKING:
    from vmplace.admission.admit import admit
    from vmplace.admission.admitter import Admitter
    from vmplace.admission.results import Admission, Candidate, Candidates, Synced
    from vmplace.admission.tickets import Ticket
    from vmplace.auditor.audit import audit
    from vmplace.auditor.claims.result import audit_result
    from vmplace.capacity.headroom import headroom, headroom_table
    from vmplace.capacity.results import Headroom, HeadroomTable, Sizing
    from vmplace.capacity.size import size
    from vmplace.capacity.tolerance import PoolTolerance, Tolerance, tolerance
    from vmplace.capacity.trend import Course, Forecast, Snapshot, Trend, trend
    from vmplace.diagnosis.explain import explain
    from vmplace.diagnosis.results import Blame, Explanation, Obstacle, Remedy, Slack, Stuck
    from vmplace.failover.check import check
    from vmplace.formats.document import dump, load
    from vmplace.model.cluster import Cluster
    from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Rule, Tag, Together
    from vmplace.model.errors import ConflictError, Flaw, InputError, NotFoundError, VMPlaceError
    from vmplace.model.guarantee import Guarantee
    from vmplace.model.what_if import what_if
    from vmplace.placement.drain import drain
    from vmplace.placement.migration.plan import plan_moves
    from vmplace.placement.place import place, repair
    from vmplace.placement.rolling_drain import rolling_drain
    from vmplace.results.audit import Audit, Unchecked
    from vmplace.results.migration import MigrationPlan
    from vmplace.results.nodes import NodeRow, NodeTable
    from vmplace.results.placement import Report, Solution
    from vmplace.results.rolling_drain import RollingDrain
    from vmplace.results.values import (
        AnyOrder,
        Blocker,
        BrokenRule,
        Comparison,
        Conflict,
        Migration,
        MigrationTable,
        Scenario,
        Start,
        Status,
        Step,
        Stop,
        Unprotected,
        Violation,
    )
    from vmplace.solvers.budget import Progress
    from vmplace.synthetic import generate

__all__ = [
    "VM",
    "Admission",
    "Admitter",
    "AnyOrder",
    "Apart",
    "Audit",
    "Blame",
    "Blocker",
    "BrokenRule",
    "Candidate",
    "Candidates",
    "Cluster",
    "Comparison",
    "Conflict",
    "ConflictError",
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
    "MigrationTable",
    "Node",
    "NodeRow",
    "NodeTable",
    "NotFoundError",
    "NotOn",
    "Obstacle",
    "OnlyOn",
    "PoolTolerance",
    "Progress",
    "Remedy",
    "Report",
    "RollingDrain",
    "Rule",
    "Scenario",
    "Sizing",
    "Slack",
    "Snapshot",
    "Solution",
    "Start",
    "Status",
    "Step",
    "Stop",
    "Stuck",
    "Synced",
    "Tag",
    "Ticket",
    "Together",
    "Tolerance",
    "Trend",
    "Unchecked",
    "Unprotected",
    "VMPlaceError",
    "Violation",
    "admit",
    "audit",
    "audit_result",
    "check",
    "drain",
    "dump",
    "explain",
    "generate",
    "headroom",
    "headroom_table",
    "load",
    "place",
    "plan_moves",
    "repair",
    "rolling_drain",
    "size",
    "tolerance",
    "trend",
    "what_if",
]

__version__ = "0.1.0"

_NAMES_OF = {
    "vmplace.admission.admit": "admit",
    "vmplace.admission.admitter": "Admitter",
    "vmplace.admission.results": "Admission Candidate Candidates Synced",
    "vmplace.admission.tickets": "Ticket",
    "vmplace.auditor.audit": "audit",
    "vmplace.auditor.claims.result": "audit_result",
    "vmplace.capacity.headroom": "headroom headroom_table",
    "vmplace.capacity.results": "Headroom HeadroomTable Sizing",
    "vmplace.capacity.size": "size",
    "vmplace.capacity.tolerance": "PoolTolerance Tolerance tolerance",
    "vmplace.capacity.trend": "Course Forecast Snapshot Trend trend",
    "vmplace.diagnosis.explain": "explain",
    "vmplace.diagnosis.results": "Blame Explanation Obstacle Remedy Slack Stuck",
    "vmplace.failover.check": "check",
    "vmplace.formats.document": "dump load",
    "vmplace.model.cluster": "Cluster",
    "vmplace.model.entities": "Apart Node NotOn OnlyOn Rule Tag Together VM",
    "vmplace.model.errors": "ConflictError Flaw InputError NotFoundError VMPlaceError",
    "vmplace.model.guarantee": "Guarantee",
    "vmplace.model.what_if": "what_if",
    "vmplace.placement.drain": "drain",
    "vmplace.placement.migration.plan": "plan_moves",
    "vmplace.placement.place": "place repair",
    "vmplace.placement.rolling_drain": "rolling_drain",
    "vmplace.results.audit": "Audit Unchecked",
    "vmplace.results.migration": "MigrationPlan",
    "vmplace.results.nodes": "NodeRow NodeTable",
    "vmplace.results.placement": "Report Solution",
    "vmplace.results.rolling_drain": "RollingDrain",
    "vmplace.results.values": "AnyOrder Blocker BrokenRule Comparison Conflict Migration MigrationTable Scenario Start Status "
    "Step Stop Unprotected Violation",
    "vmplace.solvers.budget": "Progress",
    "vmplace.synthetic": "generate",
}
"""The public names by the module that has them: it is loaded when one of them is first asked for."""

_MODULE_OF = {name: module for module, names in _NAMES_OF.items() for name in names.split()}

if not TYPE_CHECKING:  # to a type checker, a name that is misspelt is an error

    def __getattr__(name):
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return globals().setdefault(name, getattr(import_module(_MODULE_OF[name]), name))


def __dir__() -> list[str]:
    return __all__
