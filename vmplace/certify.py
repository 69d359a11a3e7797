"""Which failures a placement survives: certificates and plans for all at once, an exact decision for each that is left."""

from enum import IntEnum

import numpy as np
from attrs import frozen

from vmplace.budget import Budget
from vmplace.columns import IntArray
from vmplace.decide import decide
from vmplace.problem import BoolArray, Problem
from vmplace.restart import Loss, Restart
from vmplace.standing import Standing

__all__ = ["Fate", "Verdict", "any_order_certificate", "certify"]


class Fate(IntEnum):
    """What becomes of a scenario."""

    NONE = 0
    SAFE = 1
    UNSAFE = 2
    UNKNOWN = 3


@frozen(eq=False)
class Verdict:
    """What each failure does to a placement.

    Parameters
    ----------
    fate
        A `Fate` per node, shape (n_nodes,).
    method
        What told so, per node.
    backup_of
        Node each VM restarts on when its own fails, -1 for none, shape (n_vms,).
    displaced
        Memory of the protected VMs on each node, in MiB, shape (n_nodes,).
    losses
        Per unsafe node: who cannot be restarted, and why.
    """

    fate: IntArray
    method: list[str]
    backup_of: IntArray
    displaced: IntArray
    losses: dict[int, Loss]

    @property
    def safe(self) -> bool:
        """Whether every failure is survived."""
        return not bool(np.any(self.fate >= Fate.UNSAFE))

    @property
    def unsafe(self) -> bool:
        """Whether some failure is not survived, for certain."""
        return bool(np.any(self.fate == Fate.UNSAFE))


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
    standing = Standing.of(problem, node_of, powered=powered)
    backup_of = np.full(problem.n_vms, -1, dtype=np.int64)
    fate = np.where(standing.scenario, int(Fate.UNKNOWN), int(Fate.NONE)).astype(np.int64)
    method = ["time"] * problem.n_nodes
    idle = standing.scenario & (standing.displaced == 0)
    _settle(fate, method, idle, "empty")
    plain = standing.plain & (fate == Fate.UNKNOWN)
    if stop_early and bool(np.any(hopeless := _hopeless(standing) & plain)):
        fate[hopeless] = Fate.UNSAFE
        return Verdict(fate, method, backup_of, standing.displaced, {})
    certified = any_order_certificate(standing) & plain
    _settle(fate, method, certified, "certificate")
    planned = _plan_together(standing, plain, backup_of)
    _settle(fate, method, planned & ~certified, "packing")
    found: dict[int, Loss] = {}
    left = np.flatnonzero(standing.scenario & ~idle & ~planned)
    for done, node in enumerate(left.tolist()):
        budget.tell("check", done=done, total=len(left))
        if budget.spent and fate[node] != Fate.SAFE:
            continue
        plan = decide(Restart.of(standing, node), budget=budget, losses=losses)
        backup_of[plan.vms] = plan.nodes
        if plan.safe is None:
            continue
        if fate[node] != Fate.SAFE:
            fate[node] = Fate.SAFE if plan.safe else Fate.UNSAFE
            method[node] = plan.method
        if plan.loss is not None:
            found[node] = plan.loss
        if stop_early and fate[node] == Fate.UNSAFE:
            break
    return Verdict(fate, method, backup_of, standing.displaced, found)


def _settle(fate: IntArray, method: list[str], nodes: BoolArray, how: str) -> None:
    fate[nodes] = Fate.SAFE
    for node in np.flatnonzero(nodes).tolist():
        method[node] = how


def _hopeless(standing: Standing) -> BoolArray:
    """Nodes whose failure displaces more than is free elsewhere, or a VM larger than any other node has room for."""
    problem = standing.problem
    hopeless = np.zeros(problem.n_nodes, dtype=bool)
    for pool in np.unique(problem.pool):
        nodes = np.flatnonzero((problem.pool == pool) & (standing.displaced > 0))
        freest = standing.freest(int(pool))[:2]
        if not len(nodes):
            continue
        most = np.zeros(len(nodes), dtype=np.int64)
        for node in freest[::-1]:
            most[nodes != node] = standing.free[node]
        largest = problem.memory[standing.order[standing.start[nodes]]]
        elsewhere = standing.free[problem.pool == pool].sum() - standing.free[nodes]
        hopeless[nodes] = (largest > most) | (standing.displaced[nodes] > elsewhere)
    return hopeless


def any_order_certificate(standing: Standing) -> BoolArray:
    """Nodes whose failure is survived whatever the order of restarts and whichever fitting node each takes.

    With g a common divisor of the displaced sizes, m the largest VM that node f displaces, L its displaced memory
    and F the free memory of the others in whole multiples of g: a VM of m can only be stranded if every other
    node has less than m left, which takes more than ``sum(max(0, F - m + g))`` of restarted memory. Sound, not
    complete. VMs under rules that bind restarts are not looked at: the caller leaves their nodes out.

    Returns
    -------
    array of bool, shape (n_nodes,)
    """
    problem = standing.problem
    safe = np.zeros(problem.n_nodes, dtype=bool)
    for pool in np.unique(problem.pool):
        inside = problem.pool == pool
        targets = np.flatnonzero(inside & standing.target)
        failing = np.flatnonzero(inside & standing.scenario & (standing.displaced > 0))
        if not len(targets) or not len(failing):
            continue
        members = standing.order[inside[standing.node_of[standing.order]]]
        step = int(np.gcd.reduce(problem.memory[members]))
        free = standing.free // step * step
        ranked = np.sort(free[targets])
        above = np.concatenate((np.cumsum(ranked[::-1])[::-1], [0]))
        largest = problem.memory[standing.order[standing.start[failing]]]
        first = np.searchsorted(ranked, largest)
        room = above[first] - (len(ranked) - first) * (largest - step)
        own = np.where(standing.target[failing], np.maximum(0, free[failing] - largest + step), 0)
        # A node with less than m free adds nothing: F - m + g <= 0 there, both being multiples of g.
        safe[failing] = room - own > standing.displaced[failing] - largest
    return safe


def _plan_together(standing: Standing, wanted: BoolArray, backup_of: IntArray) -> BoolArray:
    """Plan many failures in lockstep: in each step, every failed node's next largest VM takes its tightest fit.

    Only the freest targets of a pool are considered. Fills `backup_of` for the nodes planned whole.

    Returns
    -------
    array of bool, shape (n_nodes,)
        Whose plan is complete.
    """
    problem = standing.problem
    planned = np.zeros(problem.n_nodes, dtype=bool)
    for pool in np.unique(problem.pool):
        inside = problem.pool == pool
        failing = np.flatnonzero(inside & wanted)
        targets = np.flatnonzero(inside & standing.target)
        if not len(failing) or not len(targets):
            continue
        freest = _freest(standing, targets, int(standing.displaced[failing].max()))
        chosen, complete = _lockstep(standing, failing, freest)
        planned[failing[complete]] = True
        vms, nodes, owners = chosen
        keep = planned[owners]
        backup_of[vms[keep]] = nodes[keep]
    return planned


def _freest(standing: Standing, targets: IntArray, displaced: int) -> IntArray:
    """Enough of the freest targets that a plan is likely found among them, tightest last."""
    by_free = targets[np.argsort(-standing.free[targets], kind="stable")]
    enough = int(np.searchsorted(np.cumsum(standing.free[by_free]), displaced + displaced // 2)) + 2
    return by_free[: min(max(enough, 8), 128)]


def _lockstep(standing: Standing, failing: IntArray, freest: IntArray) -> tuple[tuple[IntArray, IntArray, IntArray], BoolArray]:
    room = np.where(freest[None, :] == failing[:, None], -1, standing.free[freest][None, :])
    counts = standing.start[failing + 1] - standing.start[failing]
    complete = np.ones(len(failing), dtype=bool)
    full = np.iinfo(np.int64).max
    vms, nodes, owners = [], [], []
    for step in range(int(counts.max())):
        rows = np.flatnonzero((counts > step) & complete)
        if not len(rows):
            break
        displaced = standing.order[standing.start[failing[rows]] + step]
        size = standing.problem.memory[displaced]
        left = room[rows] - size[:, None]
        left[left < 0] = full
        best = left.argmin(axis=1)
        after = left[np.arange(len(rows)), best]
        fits = after < full
        complete[rows[~fits]] = False
        room[rows[fits], best[fits]] = after[fits]
        vms.append(displaced[fits])
        nodes.append(freest[best[fits]])
        owners.append(failing[rows[fits]])
    return (np.concatenate(vms), np.concatenate(nodes), np.concatenate(owners)), complete
