"""A placement that a search found, judged on the whole cluster and audited."""

from collections.abc import Collection, Sequence

import numpy as np
from attrs import frozen

from vmplace.failover.certify import certify
from vmplace.failover.verdict import Verdict
from vmplace.failover.witness import Witness, pool_verdicts
from vmplace.model.columns import IntArray
from vmplace.problem.names import Names
from vmplace.problem.restrict import placed
from vmplace.results.values import Status, Violation
from vmplace.search.goal import CandidatePlacement
from vmplace.solvers.budget import Budget

__all__ = ["JudgedPlacement"]


@frozen(eq=False)
class JudgedPlacement:
    """A placement of all VMs with its verdict.

    Parameters
    ----------
    names
        The cluster.
    node_of
        Node of each of its VMs; -1 for one that waits in a pool that nothing was asked of.
    faults
        What is wrong with it in such pools, as it was before.
    pools
        The verdict on each.
    """

    names: Names
    node_of: IntArray
    verdict: Verdict
    witness: Witness
    faults: Sequence[Violation]
    pools: dict[str, Status]

    @classmethod
    def of(
        cls,
        best: CandidatePlacement,
        searched: Names,
        whole: Names | None,
        *,
        powered: tuple[str, ...] | None,
        drained: tuple[str, ...],
        tolerated: Collection[str],
        budget: Budget,
    ) -> "JudgedPlacement":
        """Audited: re-checked by code that shares nothing with the search.

        Parameters
        ----------
        searched, whole
            What was asked, and the same with the pools that nothing is asked of; None if there are none.
        tolerated
            Kinds of violations that are no defect of the search.
        """
        if whole is None:
            witness = Witness(searched, best.verdict, searched.hosts(best.node_of), powered, drained)
            witness.audit(tolerated)
            pools = pool_verdicts(searched, best.verdict, best.node_of, ())
            return cls(searched, best.node_of, best.verdict, witness, (), pools)
        problem = placed(whole.problem, searched.hosts(best.node_of))
        names, node_of = Names(whole.cluster, problem), problem.node_of
        verdict = certify(problem, node_of, budget=budget, powered=best.powered)
        aside = ~np.isin(problem.original, searched.problem.original)
        untouched = {names.pools[pool] for pool in np.unique(problem.vm_pool[aside]).tolist()}
        witness = Witness(names, verdict, names.hosts(node_of), powered, drained)
        faults = witness.faults(untouched, node_of)
        witness.audit({*tolerated, "unprotected"}, faults)
        pools = pool_verdicts(names, verdict, node_of, [fault for fault in faults if fault.kind != "headroom"])
        return cls(names, node_of, verdict, witness, faults, pools)

    @property
    def guarantee(self) -> Status:
        """Of the cluster."""
        if self.verdict.unsafe or (self.faults and Status.UNSAFE in self.pools.values()):
            return Status.UNSAFE
        return Status.SAFE if self.verdict.safe else Status.UNKNOWN

    @property
    def waiting(self) -> tuple[str, ...]:
        """VMs without a node."""
        return self.names.vms(np.flatnonzero(self.node_of < 0).tolist())

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The faults, but for VMs that wait."""
        return tuple(fault for fault in self.faults if fault.kind != "headroom" and fault.subject not in self.waiting)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The headroom that is not kept, and what the audit left open."""
        return tuple(self.witness.warnings)
