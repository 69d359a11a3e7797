"""Whether a failure is survived in any order of restarts: the worst case, as an interdiction problem [1]_.

An adversary chooses a VM and restarts some of the others so that no node is left to it. Rules and capacities that hold for some
restarts hold for a part of them, too: so any such choice is a state that can arise, and its VMs may have restarted in any order.
From the quickest method to the slowest: a certificate that there is no such state; a greedy attack; column generation on a
covering LP, which proves and finds; and an integer program, which alone decides where affinity binds the VM to others.

References
----------
.. [1] J. Smith, Y. Song. A survey of network interdiction models and algorithms. European Journal of Operational Research 283,
       2020.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
from attrs import frozen

from vmplace.failover.any_order.certificate import BlockingProblem, certified
from vmplace.failover.any_order.covering import cover
from vmplace.failover.any_order.exact import search
from vmplace.failover.any_order.heuristic import attack
from vmplace.failover.any_order.state import AnyOrderProblem, Story, any_order_problem
from vmplace.failover.outcome import Loss, Plan, Reason
from vmplace.failover.planned.first_fit import plan_among
from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.program import Outcome

__all__ = ["Stranding", "decide_any_order", "strand"]


def decide_any_order(state: PlacementState, scenario: int, *, budget: Budget, losses: bool = True) -> Plan:
    """Whether every VM that must restart can, in every state that can arise; `Plan.safe` is None if time runs out first.

    With `losses`, all VMs that can be stranded are looked for, and there is a plan for the others; otherwise one is enough.
    """
    vms, nodes, problem = any_order_problem(state, state.scenarios.failing(scenario), state.node_of)
    found = strand(problem, budget=budget, every=losses)
    none = np.zeros(0, dtype=np.int64)
    if found.survived:
        return Plan(True, "adversary", none, none)
    if found.survived is None:
        return Plan(None, "time", none, none)
    if not losses:
        return Plan(False, "adversary", none, none, _loss(found, found.lost, vms, nodes, problem))
    # A VM that no state strands restarts in any case, whichever others have before.
    gone = found.lost | found.open
    placed, chosen = plan_among(state, scenario, vms[~gone])
    return Plan(False, "adversary", placed, chosen, _loss(found, gone, vms, nodes, problem))


def _loss(found: "Stranding", gone: BoolArray, vms: IntArray, nodes: IntArray, problem: AnyOrderProblem) -> Loss:
    story = min(found.stories, key=lambda story: len(story.placed))
    stranded = int(vms[story.stranded])
    placed = tuple((int(vms[vm]), int(nodes[node])) for vm, node in story.placed)
    reason = Reason("stranded", (stranded,), int(problem.demand[story.stranded, 0]), story=placed)
    return Loss(vms[gone], reason, minimal=not found.open.any())


@frozen(eq=False)
class Stranding:
    """The VMs that must restart and that some state strands, as far as it was looked for, shape (n_vms,).

    `stories` tells how, for one VM of each such kind; `open` are the VMs of which it is not known.
    """

    stories: tuple[Story, ...]
    lost: BoolArray
    open: BoolArray

    @property
    def survived(self) -> bool | None:
        """Whether no VM can be stranded; None if that is not known."""
        if self.stories:
            return False
        return None if self.open.any() else True


def strand(problem: AnyOrderProblem, *, budget: Budget, every: bool = False) -> Stranding:
    """Look for states in which a VM that must restart cannot; `every`: for all VMs, not for the first that can be stranded.

    For all only as long as the budget's patience lasts, once there is a first.
    """
    kinds, sure = problem.kinds, certified(problem)
    adversary = _AdversarySearch(problem, [k for k, vms in enumerate(kinds.vms) if kinds.must[k] and not sure[vms[0]]])
    with suppress(OutOfTimeError):
        adversary.quickly(budget, False)
        adversary.exactly(budget, False)
    if every and adversary.stories:
        with suppress(OutOfTimeError), budget.refining() as inner:
            adversary.quickly(inner, True)
            adversary.exactly(inner, True)
    return adversary.result()


class _AdversarySearch:
    """The kinds of VMs that are still open; the largest, which are the easiest to strand, come first."""

    def __init__(self, problem: AnyOrderProblem, pending: list[int]) -> None:
        self.problem = problem
        self.pending = pending
        self.unattackable: set[int] = set()
        self.never_alone: set[int] = set()
        self.stories: dict[int, Story] = {}

    def quickly(self, budget: Budget, every: bool) -> None:
        """By greedy attacks, first on kinds that no other one dominates, and by column generation."""
        for kind in self._undecided(budget, every):
            if not any(self.problem.kinds.dominated_by(other)[kind] for other in self.pending if other != kind):
                self._attack(kind)
        for kind in self._undecided(budget, every):
            if not self._attack(kind):
                self._cover(kind, budget)

    def _attack(self, kind: int) -> bool:
        """Whether a greedy attack succeeds."""
        if kind not in self.unattackable and (story := attack(BlockingProblem.of(self.problem, kind))):
            self._settle(kind, story)
            return True
        self.unattackable.add(kind)
        return False

    def _cover(self, kind: int, budget: Budget) -> None:
        alone, whole = BlockingProblem.alone(self.problem, kind).sharp, BlockingProblem.of(self.problem, kind).sharp
        outcome, story = (Outcome.INFEASIBLE, None) if alone.impossible else cover(alone, budget=budget)
        if outcome is Outcome.INFEASIBLE:
            self.never_alone.add(kind)
        if story is not None or (outcome is Outcome.INFEASIBLE and whole.harmless_partners):
            self._settle(kind, story)

    def exactly(self, budget: Budget, every: bool) -> None:
        """By integer programs: one of those that affinity binds the VM to has restarted, or none of them has."""
        for kind in self._undecided(budget, every):
            whole, outcome, story = BlockingProblem.of(self.problem, kind), Outcome.INFEASIBLE, None
            cases = [whole] if whole.partners.any() else []
            if kind not in self.never_alone:
                cases.append(BlockingProblem.alone(self.problem, kind))
            for case in cases:
                outcome, story = search(case.sharp, budget=budget)
                if outcome is not Outcome.INFEASIBLE:
                    break
            if story is not None or outcome is Outcome.INFEASIBLE:
                self._settle(kind, story)

    def _undecided(self, budget: Budget, every: bool) -> Iterator[int]:
        """Kinds to decide about."""
        for kind in tuple(self.pending):
            if budget.spent or (self.stories and not every):
                return
            if kind in self.pending:
                yield kind

    def _settle(self, kind: int, story: Story | None) -> None:
        if story is not None:
            self.pending.remove(kind)
            self.stories[kind] = story
        else:
            safe = self.problem.kinds.dominated_by(kind)
            self.pending = [k for k in self.pending if not safe[k]]

    def result(self) -> Stranding:
        """What is known."""
        return Stranding(tuple(self.stories.values()), self._vms(self.stories), self._vms(self.pending))

    def _vms(self, kinds: Iterable[int]) -> BoolArray:
        mask = np.zeros(self.problem.n_vms, dtype=bool)
        for kind in kinds:
            mask[self.problem.kinds.vms[kind]] = True
        return mask
