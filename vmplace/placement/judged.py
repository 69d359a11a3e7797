"""A placement that a search found, judged on the whole cluster under each of its guarantees, and audited."""

from collections.abc import Collection

import numpy as np
from attrs import evolve, field, frozen

from vmplace.failover.certify import certify_all
from vmplace.failover.joint import joined
from vmplace.failover.soft_rules import named_broken_rules
from vmplace.failover.verdict import JointVerdict, Verdict
from vmplace.failover.witness import Witness, by_method, reported, soft_warnings
from vmplace.model.columns import IntArray
from vmplace.problem.names import Names
from vmplace.problem.restrict import placed
from vmplace.results.placement import Report
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
    report
        What is told of it; of several guarantees, what is told of each as one.
    """

    names: Names
    node_of: IntArray
    verdict: JointVerdict
    report: Report

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
        names, node_of, verdict, untouched = searched, best.node_of, best.verdict, set[str]()
        if whole is not None:
            problem = placed(whole.problem, searched.hosts(best.node_of))
            names, node_of = Names(whole.cluster, problem), problem.node_of
            verdict = certify_all(problem, node_of, budget=budget, powered=best.powered)
            aside = ~np.isin(problem.original, searched.problem.original)
            untouched = {names.pools[pool] for pool in np.unique(problem.vm_pool[aside]).tolist()}
            tolerated = {*tolerated, "unprotected"}
        audited = _Audited(node_of, powered, drained, tolerated, untouched)
        reports = [audited.report(own, part) for own, part in zip(names.each, verdict.parts, strict=True)]
        report = reports[0] if len(reports) == 1 else joined(names.cluster, reports)
        return cls(names, node_of, verdict, report)


@frozen(eq=False)
class _Audited:
    """A placement, and what may be wrong with it.

    Parameters
    ----------
    untouched
        Pools that nothing was asked of: what is wrong with them was so before.
    """

    node_of: IntArray = field(repr=False)
    powered: tuple[str, ...] | None
    drained: tuple[str, ...]
    tolerated: Collection[str]
    untouched: Collection[str]

    def report(self, names: Names, verdict: Verdict) -> Report:
        """What is told of it under one guarantee."""
        node_of = self.node_of
        witness = Witness(names, verdict, names.hosts(node_of), self.powered, self.drained)
        faults = witness.faults(self.untouched, node_of) if self.untouched else []
        witness.audit(self.tolerated, faults)
        return evolve(
            reported(names, verdict, witness, node_of, faults),
            warnings=(*soft_warnings(names, verdict), *witness.warnings),
            broken_rules=named_broken_rules(names, node_of),
            powered=self.powered or (),
            stats={"seconds": 0.0, "scenarios": by_method(verdict)},
        )
