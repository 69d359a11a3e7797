"""Ties: of placements that are equal by what was asked for, the one with the least memory migrated, then the best balanced one.

A local search comes first: it sends VMs back to the nodes they are on now, and levels what migrates or starts anyway. On clusters
that one model takes, the MIP goes on from there with the ties as further stages, what was asked for being held at its values.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
from attrs import define, evolve, field

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.restrict import without
from vmplace.problem.sizes import alike
from vmplace.search.bounds.lower_bounds import least
from vmplace.search.evaluate import Evaluator
from vmplace.search.goal import CandidatePlacement, Goal, peak
from vmplace.search.local.repair import repair_locally
from vmplace.search.mip.search import Finding
from vmplace.solvers.budget import Budget

__all__ = ["break_ties"]

_LOCAL_SHARE = 0.5

_VERDICTS, _WORK = (12, 400), 4_000_000
"""How many placements the local search certifies: so few to so many, as VMs times placements are no more than its work."""

_STEPS, _PARTNERS, _LEVELLING = 20_000, 50, 300_000
"""VMs that are looked at one by one, others that each may change places with, and steps of levelling times nodes."""

_LEVEL = 1e-9
"""Shares are compared in floats here: the exact values have the last word."""

Exact = Callable[[Goal, Finding, Budget], Finding]
"""Searches a goal from a finding on."""

Change = dict[int, int]
"""VMs, and the nodes they go to."""


def break_ties(problem: Problem, goal: Goal, found: Finding, *, budget: Budget, exact: Exact | None) -> Finding:
    """The finding with the best of the placements that are as good as its own; its bounds stay.

    Parameters
    ----------
    exact
        The exact search; None where no model takes the cluster.
    """
    best, aim = found.best, found.aim or goal
    finer = evolve(aim.finer, gap=Fraction(0)) if aim.gap else aim.finer
    # Without a VM that migrates or starts there is but one placement.
    if best is None or np.array_equal(best.node_of, problem.node_of) or (finer is aim and found.optimal):
        return found
    start = evolve(best, values=finer.values(problem, best.node_of, best.verdict, best.powered))
    local = _LocalSearch(problem, finer, start, "balance" in aim.objectives, budget.share(_LOCAL_SHARE if exact else 1.0))
    local.run()
    asked, stages = len(aim.stages(problem)), finer.stages(problem)
    bounds = (*local.best.values[:asked], *(least(problem, finer, stage) for stage in stages[asked:]))
    settled = Finding(local.best, bounds, False, {}, ("bounds",) * len(bounds))
    if exact is not None and finer is not aim and not settled.optimal and not budget.spent:
        settled = exact(finer, settled, budget)
    assert settled.best is not None
    best = settled.best
    best = evolve(best, values=goal.values(problem, best.node_of, best.verdict, best.powered))
    if finer is aim:
        return evolve(found, best=best)
    told = {name: value for (name, _), value in zip(stages[asked:], settled.best.values[asked:], strict=True)}
    return evolve(found, best=best, stats={**found.stats, "ties": {**told, "proved": settled.optimal}})


@define
class _LocalSearch:
    """The incumbent, and how many more placements may be certified.

    Parameters
    ----------
    capped
        Whether no node's share may be higher than the highest is.
    """

    problem: Problem
    goal: Goal
    best: CandidatePlacement
    capped: bool
    budget: Budget
    left: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        fewest, most = _VERDICTS
        self.left = min(most, max(fewest, _WORK // max(1, self.problem.n_vms)))

    def run(self) -> None:
        """Fewer migrations first, then a better balance."""
        if self.goal.move_running and not self.goal.best_effort and self.goal.objectives[0] != "moves":
            self._start_from_present()
        before = None
        while before is not self.best and len(self._moved) and not self.budget.spent:
            before = self.best
            self._adopt(list(self._homeward()))
            self._adopt(list(self._swapped()))
        self._adopt(self._levelled())

    @property
    def _moved(self) -> IntArray:
        """VMs that migrate, largest first."""
        now = self.problem.node_of
        moved = np.flatnonzero((now >= 0) & (now != self.best.node_of))
        return moved[np.argsort(-self.problem.memory[moved], kind="stable")][:_STEPS]

    @property
    def _limits(self) -> IntArray:
        """What each node may carry so that nothing asked for gets worse, shape (n_nodes, n_resources)."""
        problem, limits = self.problem, self.goal.limits(self.problem)
        if self.capped:
            share = peak(problem, self.best.node_of)
            most = np.array([share.numerator * c // share.denominator for c in problem.usable.tolist()], dtype=np.int64)
            limits[:, 0] = np.where(problem.online, np.minimum(limits[:, 0], most), limits[:, 0])
        return limits

    @property
    def _onto(self) -> BoolArray:
        """Nodes that VMs may come to, shape (n_nodes,)."""
        on = self.best.powered
        return self.problem.online if on is None else self.problem.online & on

    def _start_from_present(self) -> None:
        """Few moves from the present placement: what was asked for limits what a node carries, or takes it away."""
        problem, powered = self.problem, self.best.powered
        kept = evolve(problem, limit=np.ascontiguousarray(self._limits[:, 0]))
        if powered is not None:
            kept = without(kept, nodes=problem.online & ~powered)
        goal = evolve(self.goal, objectives=("moves",), headroom=True, max_powered=None)
        found = repair_locally(kept, goal, budget=self.budget, thorough=True)
        if found is not None:
            self._try(found.node_of)

    def _homeward(self) -> Iterator[Change]:
        """VMs that migrate and for which there is room where they are now."""
        problem, now = self.problem, self.problem.node_of
        room, onto = self._limits - problem.loads(self.best.node_of), self._onto | problem.maintenance
        for vm in self._moved.tolist():
            home, need = int(now[vm]), problem.demand[vm]
            if onto[home] and problem.reachable[problem.signature[vm], home] and _fits(room[home], need):
                room[home] -= need
                room[self.best.node_of[vm]] += need
                yield {vm: home}

    def _swapped(self) -> Iterator[Change]:
        """VMs that migrate and return in exchange for another one that migrates to where they are now."""
        problem, now, there = self.problem, self.problem.node_of, self.best.node_of.copy()
        room, moved, onto = self._limits - problem.loads(there), self._moved, self._onto
        come: dict[int, list[int]] = {}
        for vm in moved.tolist():
            come.setdefault(int(there[vm]), []).append(vm)
        for vm in moved.tolist():
            home, at = int(now[vm]), int(there[vm])
            for other in come.get(home, ())[:_PARTNERS] if onto[home] and at != home else ():
                more = problem.demand[vm] - problem.demand[other]
                if there[other] == home and _fits(room[home], more) and _fits(room[at], -more):
                    there[vm], there[other] = home, at
                    room[home] -= more
                    room[at] += more
                    yield {vm: home, other: at}
                    break

    def _levelled(self) -> list[Change]:
        """VMs that migrate or start, from the fullest node to where they make none as full, until that helps no more."""
        problem, there, changes = self.problem, self.best.node_of.copy(), list[Change]()
        mine = np.flatnonzero((there != problem.node_of) & self.goal.free(problem))
        load, limits = problem.loads(there), self._limits
        usable, onto, nodes = np.maximum(problem.usable, 1), self._onto, np.arange(problem.n_nodes)
        share = np.where(problem.online, load[:, 0] / usable, -1)
        before = share.max(initial=-1)
        for _ in range(min(_LEVELLING // max(1, problem.n_nodes), 4 * len(mine))):
            fullest = int(share.argmax())
            change = None
            lowest = share[fullest] * (1 - _LEVEL)
            for vm in _unlike(problem, mine[there[mine] == fullest]):
                need = problem.demand[vm]
                open_ = onto & problem.reachable[problem.signature[vm]] & ((need <= limits - load) | (need == 0)).all(axis=1)
                open_[fullest] = False
                then = np.where(open_ & (nodes != problem.node_of[vm]), (load[:, 0] + need[0]) / usable, np.inf)
                node = int(then.argmin())
                worst = max(then[node], (load[fullest, 0] - need[0]) / usable[fullest])
                if worst < lowest:
                    lowest, change = worst, (vm, node)
            if change is None or self.budget.spent:
                break
            vm, node = change
            load[fullest] -= problem.demand[vm]
            load[node] += problem.demand[vm]
            there[vm] = node
            share[[fullest, node]] = load[[fullest, node], 0] / usable[[fullest, node]]
            changes.append({vm: node})
        return changes if share.max(initial=-1) < before * (1 - _LEVEL) else []

    def _adopt(self, changes: list[Change]) -> None:
        """Make the changes that together give something better: all, or else what the halves of them allow."""
        if not changes:
            return
        node_of = self.best.node_of.copy()
        for change in changes:
            node_of[list(change)] = list(change.values())
        if not self._try(node_of) and len(changes) > 1:
            half = len(changes) // 2
            self._adopt(changes[:half])
            self._adopt(changes[half:])

    def _try(self, node_of: IntArray) -> bool:
        """Take a placement if it is better."""
        if self.left <= 0 or self.budget.spent or not self.goal.allowed(self.problem, node_of):
            return False
        self.left -= 1
        # All but what is lost shows without a verdict.
        values = self.goal.values(self.problem, node_of, self.best.verdict, self.best.powered)
        if values >= self.best.values and not self.goal.best_effort:
            return False
        evaluator = Evaluator(self.problem, self.goal, self.budget, searching=True)
        found = evaluator.powering(node_of, self.best.powered)
        if found is None or found.values >= self.best.values:
            return False
        self.best = found
        return True


def _fits(room: IntArray, more: IntArray) -> bool:
    """Whether a node has room for so much more of each resource; what it takes none of does not matter."""
    return bool(np.all((more <= room) | (more <= 0)))


def _unlike(problem: Problem, vms: IntArray) -> list[int]:
    """One VM of each demand, under the same rules, that is on the same node now."""
    _, first = alike(*problem.demand[vms].T, problem.signature[vms], problem.bond[vms], problem.node_of[vms])
    found: list[int] = np.sort(vms[first]).tolist()
    return found
