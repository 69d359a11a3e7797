"""The claims about a placement: where VMs are, what waits, what is broken, and which nodes are on or empty."""

from collections.abc import Mapping

from attrs import field, frozen

from vmplace.auditor.audit import Audited
from vmplace.auditor.claims.broken_rules import check_broken_rules
from vmplace.auditor.claims.claims import Claims
from vmplace.model.cluster import Cluster
from vmplace.results.values import Violation

__all__ = ["PlacedClaims"]

Plan = Mapping[str, str | None]
"""VM to node; None for a VM that has no node."""

_CLAIMED = ("overfull", "rule", "placement")


@frozen(eq=False)
class PlacedClaims:
    """A placement that a result claims, audited.

    Parameters
    ----------
    claims, audited
        The result, and its placement with its plans.
    placement, failover
        As they are claimed, by names.
    powered
        Nodes that stay on; None where all do.
    found
        What the audit found of the placement and its plans, before any promise.
    """

    claims: Claims
    audited: Audited
    placement: Plan
    failover: Mapping[str, Plan]
    powered: tuple[str, ...] | None
    drained: tuple[str, ...]
    found: tuple[Violation, ...] = field(repr=False)

    @classmethod
    def of(cls, claims: Claims, cluster: Cluster, placement: Plan) -> "PlacedClaims":
        """Read the claims, and audit the placement and its plans."""
        failover = claims.read("failover", Mapping[str, Plan], {})
        drained = claims.read("drained", tuple[str, ...], ())
        powered = claims.read("powered", tuple[str, ...], ()) or (() if _consolidates(claims) else None)
        audited = Audited.of(cluster, placement, failover, powered, drained)
        for key in ("placement", "failover", "drained"):
            claims.right(key)
        if powered is not None:
            claims.right("powered")
        return cls(claims, audited, placement, failover, powered, drained, tuple(audited.case.found))

    def check(self) -> None:
        """Re-check what is claimed of normal running."""
        self._check_violations(self._check_waiting())
        check_broken_rules(self.claims, self.audited.case)
        if self.drained and self.powered and set(self.drained) & set(self.powered):
            self.claims.wrong("drained", "names a node that is in powered, too")

    def _check_waiting(self) -> set[str]:
        """The VMs that wait."""
        names, case = self.audited.case.vm.names, self.audited.case
        waiting = [names[v] for v in case.waiting.tolist()]
        claimed = self.claims.read("waiting", tuple[str, ...], ())
        for vm in claimed:
            if vm not in waiting:
                self.claims.wrong("waiting", f"lists {vm}, which does not wait")
        for vm in waiting:
            if vm not in claimed:
                self.claims.wrong("waiting", f"does not list {vm}, which is on no node")
        self.claims.right("waiting")
        return set(waiting)

    def _check_violations(self, waiting: set[str]) -> None:
        """What the audit found has to be claimed, and the other way round; what plans break cannot be."""
        claimed = {(v.kind, v.subject) for v in self.claims.read("violations", tuple[Violation, ...], ())}
        warnings = set(self.claims.members.get("warnings") or ())
        true = {(v.kind, v.subject) for v in self.found if v.kind in _CLAIMED}
        for kind, subject in sorted(claimed - true):
            self.claims.wrong("violations", f"lists {kind} of {subject}, which is not so")
        for violation in self.found:
            told = (violation.kind, violation.subject) in claimed or (
                violation.kind == "placement" and violation.subject in waiting
            )
            if violation.kind == "headroom":
                told = violation.message in warnings
                self.claims.warnings.append(f"headroom: {violation.message}")
            if not told and violation.kind not in ("unprotected", "unverified"):
                self.claims.take([violation])
        self.claims.right("violations")


def _consolidates(claims: Claims) -> bool:
    """Whether a result says which nodes stay on, even if none has to."""
    objective = claims.members.get("objective")
    return isinstance(objective, Mapping) and "consolidate" in (objective.get("name") or "")
