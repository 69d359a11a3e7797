"""Which failures a placement survives: certificates and plans for all at once, an exact decision for each that is left."""

from enum import IntEnum
from functools import cached_property

import numpy as np
from attrs import frozen

from vmplace.budget import Budget
from vmplace.certificates import Certificates
from vmplace.columns import IntArray
from vmplace.decide import decide
from vmplace.lockstep import plan_together
from vmplace.problem import BoolArray, Problem
from vmplace.ranking import ranked
from vmplace.restart import Loss, Reason, Restart
from vmplace.standing import Standing

__all__ = ["METHODS", "Fate", "Verdict", "certify"]


class Fate(IntEnum):
    """What becomes of a scenario."""

    NONE = 0
    SAFE = 1
    UNSAFE = 2
    UNKNOWN = 3


METHODS = ("time", "empty", "certificate", "slots", "packing", "sums", "rules", "search")
"""What may have told a fate: time is what there was too little of."""

_PLANLESS = (METHODS.index("certificate"), METHODS.index("slots"))
"""What tells that a failure is survived without a plan."""


@frozen(eq=False)
class Verdict:
    """What each failure does to a placement.

    Parameters
    ----------
    standing
        The placement.
    fate
        A `Fate` per node, shape (n_nodes,).
    told_by
        What told so: an index into `METHODS` per node, shape (n_nodes,).
    losses
        Per unsafe node: who cannot be restarted, and why.
    plans
        VMs and their restart nodes, as far as a plan was needed to tell.
    """

    standing: Standing
    fate: IntArray
    told_by: IntArray
    losses: dict[int, Loss]
    plans: list[tuple[IntArray, IntArray]]

    @property
    def safe(self) -> bool:
        """Whether every failure is survived."""
        return not bool(np.any(self.fate >= Fate.UNSAFE))

    @property
    def unsafe(self) -> bool:
        """Whether some failure is not survived, for certain."""
        return bool(np.any(self.fate == Fate.UNSAFE))

    def method(self, node: int) -> str:
        """What told a node's fate."""
        return METHODS[self.told_by[node]]

    @cached_property
    def planned(self) -> IntArray:
        """Restart node of each VM, as far as a plan was needed to tell, -1 for the others, shape (n_vms,)."""
        planned = np.full(self.standing.problem.n_vms, -1, dtype=np.int64)
        for vms, nodes in self.plans:
            planned[vms] = nodes
        return planned

    @cached_property
    def backup_of(self) -> IntArray:
        """Node each VM restarts on when its own fails, -1 for none, shape (n_vms,); plans not needed before are made now."""
        certified = np.flatnonzero((self.fate == Fate.SAFE) & np.isin(self.told_by, _PLANLESS))
        if not len(certified):
            return self.planned
        plans = plan_together(self.standing, certified)
        backup_of = np.where(plans.backup_of >= 0, plans.backup_of, self.planned) if self.plans else plans.backup_of
        for node in np.unique(self.standing.node_of[plans.lost]).tolist():
            plan = decide(Restart.of(self.standing, node), budget=Budget())
            if not plan.safe:
                raise RuntimeError("a failure certified safe has no plan; this is a defect, please report it")
            backup_of[plan.vms] = plan.nodes
        return backup_of


def certify(
    problem: Problem,
    node_of: IntArray,
    *,
    budget: Budget,
    powered: BoolArray | None = None,
    losses: bool = True,
    stop_early: bool = False,
) -> Verdict:
    """Decide each scenario of a placement exactly.

    Parameters
    ----------
    problem, node_of
        The placement; shape (n_vms,), -1 for a VM without a node.
    budget
        What is undecided when it is spent is `Fate.UNKNOWN`.
    powered
        Only these nodes are there, shape (n_nodes,).
    losses
        Find the best partial plan where a scenario is unsafe.
    stop_early
        Stop at the first unsafe scenario; what is then undecided is `Fate.UNKNOWN`.
    """
    trial = _Trial.of(Standing.of(problem, node_of, powered=powered), losses)
    if stop_early or not losses:
        trial.settle(_hopeless(trial.standing) & trial.plain, Fate.UNSAFE, "sums")
        if stop_early and trial.verdict.unsafe:
            return trial.verdict
    certificates = Certificates(trial.standing)
    if trial.plain.any():
        trial.settle(certificates.any_order & trial.plain, Fate.SAFE, "certificate")
    if trial.plain.any():
        trial.settle(certificates.slots & trial.plain, Fate.SAFE, "slots")
    together = trial.plain & (trial.standing.refuge >= 0)
    if together.any():
        trial.plan(np.flatnonzero(together))
    left = np.flatnonzero(trial.verdict.fate == Fate.UNKNOWN)
    for done, node in enumerate(left.tolist()):
        budget.tell("check", done=done, total=len(left))
        if budget.spent:
            break
        trial.decide(node, budget)
        if stop_early and trial.verdict.fate[node] == Fate.UNSAFE:
            break
    return trial.verdict


@frozen(eq=False)
class _Trial:
    """A verdict in the making."""

    verdict: Verdict
    wants_losses: bool

    @classmethod
    def of(cls, standing: Standing, wants_losses: bool) -> "_Trial":
        fate = np.where(standing.scenario, int(Fate.UNKNOWN), int(Fate.NONE)).astype(np.int64)
        trial = cls(Verdict(standing, fate, np.zeros_like(fate), {}, []), wants_losses)
        trial.settle(standing.scenario & (standing.displaced == 0), Fate.SAFE, "empty")
        return trial

    @property
    def standing(self) -> Standing:
        return self.verdict.standing

    @property
    def plain(self) -> BoolArray:
        """Nodes left whose restarts no rule binds, shape (n_nodes,)."""
        return np.asarray(self.standing.plain & (self.verdict.fate == Fate.UNKNOWN))

    def settle(self, nodes: BoolArray | IntArray | int, fate: Fate, how: str) -> None:
        self.verdict.fate[nodes] = fate
        self.verdict.told_by[nodes] = METHODS.index(how)

    def plan(self, failing: IntArray) -> None:
        """Plan failures together; where somebody finds no room this tells nothing, unless it is only who fits nowhere."""
        standing, node_of = self.standing, self.standing.node_of
        plans = plan_together(standing, failing)
        hopeful = plans.lost[standing.problem.memory[plans.lost] <= standing.room_elsewhere[node_of[plans.lost]]]
        complete = np.setdiff1d(failing, node_of[plans.lost])
        self.settle(complete, Fate.SAFE, "packing")
        told = [complete]
        if self.wants_losses:
            told.append(np.setdiff1d(node_of[plans.lost], node_of[hopeful]))
            self._lose(plans.lost[np.isin(node_of[plans.lost], told[1])])
        mine = np.flatnonzero((plans.backup_of >= 0) & np.isin(node_of, np.concatenate(told)))
        self.verdict.plans.append((mine, plans.backup_of[mine]))

    def _lose(self, lost: IntArray) -> None:
        """Who fits on no other node, even alone, is lost in any plan: nothing is left to prove."""
        standing, memory = self.standing, self.standing.problem.memory
        lost = lost[ranked(standing.node_of[lost], -memory[lost])]
        nodes, first = np.unique(standing.node_of[lost], return_index=True)
        self.settle(nodes, Fate.UNSAFE, "sums")
        for node, vms in zip(nodes.tolist(), np.split(lost, first)[1:], strict=True):
            refuge, room = int(standing.refuge[node]), int(standing.room_elsewhere[node])
            reason = Reason("size", (int(vms[0]),), int(memory[vms[0]]), room, refuge)
            self.verdict.losses[node] = Loss(vms, reason, minimal=True)

    def decide(self, node: int, budget: Budget) -> None:
        """Decide one failure."""
        plan = decide(Restart.of(self.standing, node), budget=budget, losses=self.wants_losses)
        self.verdict.plans.append((plan.vms, plan.nodes))
        if plan.safe is not None:
            self.settle(node, Fate.SAFE if plan.safe else Fate.UNSAFE, plan.method)
        if plan.loss is not None:
            self.verdict.losses[node] = plan.loss


def _hopeless(standing: Standing) -> BoolArray:
    """Nodes whose failure displaces more than is free elsewhere, or a VM larger than any other node has room for."""
    problem = standing.problem
    total = np.zeros(int(problem.pool.max(initial=0)) + 1, dtype=np.int64)
    np.add.at(total, problem.pool, standing.free)
    hopeless = standing.displaced > total[problem.pool] - standing.free
    large = standing.larger_than(int(standing.room_elsewhere.min(initial=0)))
    home = standing.node_of[large]
    hopeless[home[problem.memory[large] > standing.room_elsewhere[home]]] = True
    return np.asarray(hopeless & standing.scenario)
