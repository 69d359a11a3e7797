"""Large neighbourhood search: destroy a part of a placement, repair it exactly, keep what is better, go on [1]_.

For clusters too large, or of too many sizes, for one model. A few VMs are freed, and the integer program for them alone is solved
with all others fixed. `improve` draws which ones from a few destroy operators, those that have helped more often than others
[2]_; how many adapts to what the exact search finishes. Each step is measured in work, so that the same steps are taken on every
run; the clock only ends them. `repair_nodes` makes a placement safe by freeing all VMs of a few nodes, and of more nodes until it
succeeds.

References
----------
.. [1] P. Shaw, "Using constraint programming and local search methods to solve vehicle routing problems", Principles and Practice
       of Constraint Programming (CP 1998), 417-431.
.. [2] S. Ropke, D. Pisinger, "An adaptive large neighborhood search heuristic for the pickup and delivery problem with time
       windows", Transportation Science 40 (2006), 455-472.
"""

from collections.abc import Callable
from fractions import Fraction
from random import Random

import numpy as np
from attrs import define, evolve, field, frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.rules import kept, offenders
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.search.mip.search import search
from vmplace.solvers.budget import Budget
from vmplace.solvers.portfolio import Portfolio

__all__ = ["Neighbourhood", "improve", "repair_nodes"]

_EFFORT = 0.15
_FEWEST, _FIRST, _MOST = 6, 24, 160
_GROW, _SHRINK = 1.15, 0.8
_MEMORY = 0.8
_TRIES = 400
_OTHERS = 2

_REPAIR_EFFORT = 1.0
_NODES = (4, 8, 16, 32)
_TRIES_PER_WORK = 20


@frozen(eq=False)
class Neighbourhood:
    """All placements that differ from a given one only in where some VMs are.

    Parameters
    ----------
    node_of
        Where the others stay, shape (n_vms,).
    freed
        The VMs to place anew, those that wait among them.
    """

    problem: Problem
    goal: Goal
    node_of: IntArray
    freed: IntArray
    onto: BoolArray

    def best(
        self,
        *,
        budget: Budget,
        bounds: tuple[int | Fraction, ...],
        start: CandidatePlacement | None = None,
        portfolio: Portfolio,
    ) -> tuple[CandidatePlacement | None, bool]:
        """The best placement found, if it is better than the start; and whether it is proved best.

        Parameters
        ----------
        budget
            The time there is; progress is not reported, as the figures are not those of the whole problem.
        bounds
            Of the goal's stages, for all VMs.
        """
        problem, goal = self.problem, self.goal
        part, aim = self.subproblem()
        if start is not None:
            start = evolve(start, values=aim.values(part, start.node_of, start.verdict, start.powered), anew=False)
        # Of moves, those of the others are not counted here.
        least = tuple(0 if name == "moves" else bound for (name, _), bound in zip(goal.stages(problem), bounds, strict=True))
        found = search(part, aim, budget=budget.silent(), start=start, onto=self.onto, bounds=least, portfolio=portfolio)
        best = found.best
        if best is None or best is start:
            return None, found.optimal
        return evolve(best, values=goal.values(problem, best.node_of, best.verdict, best.powered)), found.optimal

    def subproblem(self) -> tuple[Problem, Goal]:
        """The problem and the goal with all other VMs fixed; what those have moved is spent.

        Of moves, the subproblem counts those of the freed VMs only.
        """
        problem, goal = self.problem, self.goal
        fixed = np.ones(problem.n_vms, dtype=bool)
        fixed[self.freed] = False
        moved = fixed & (problem.node_of >= 0) & (problem.node_of != self.node_of)
        part = evolve(problem, node_of=np.where(fixed, self.node_of, problem.node_of), movable=problem.movable & ~fixed)
        return part, evolve(
            goal,
            max_moves=None if goal.max_moves is None else goal.max_moves - int(moved.sum()),
            max_migrated=None if goal.max_migrated is None else goal.max_migrated - int(problem.memory[moved].sum()),
        )


def improve(
    problem: Problem,
    goal: Goal,
    start: CandidatePlacement,
    *,
    budget: Budget,
    bounds: tuple[int | Fraction, ...],
    seed: int = 0,
    steps: int | None = None,
    enough: Callable[[CandidatePlacement], bool] = lambda _: False,
) -> tuple[CandidatePlacement, dict[str, float]]:
    """A candidate that is as good as the start, or better.

    Parameters
    ----------
    budget
        When it is spent, or after 400 steps in a row that did not help, the best is returned.
    bounds
        Of the goal's stages; a candidate that meets them ends the search.
    steps
        How many neighbourhoods to try at most; None for no such limit.
    enough
        Asked now and then whether the best is good enough.

    Returns the best, and how many steps were taken and how many helped.
    """
    walk = _LargeNeighbourhoodSearch(problem, goal, start, bounds, Random(seed))
    while problem.online.any() and walk.idle < _TRIES and walk.steps != steps and not budget.spent and not walk.done:
        if enough(walk.best):
            break
        walk.step(budget)
    return walk.best, {"neighbourhoods": walk.steps, "improvements": walk.helped}


@define
class _LargeNeighbourhoodSearch:
    """The incumbent, and how much each destroy operator has helped."""

    problem: Problem
    goal: Goal
    best: CandidatePlacement
    bounds: tuple[int | Fraction, ...]
    chance: Random
    steps: int = field(default=0, init=False)
    helped: int = field(default=0, init=False)
    idle: int = field(default=0, init=False)
    _weight: list[float] = field(init=False)
    _size: list[float] = field(init=False)
    _operators: list[Callable[[int], IntArray]] = field(init=False)
    _aims: list[int] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        soft = any(not rule.must for rule in self.problem.compiled_rules)
        self._operators = [self._some_nodes, self._extremes, self._moved, self._scattered, *([self._breaking] if soft else [])]
        self._weight = [1.0] * len(self._operators)
        self._size = [float(_FIRST)] * len(self._operators)

    @property
    def done(self) -> bool:
        """Whether the incumbent meets all bounds."""
        return self.goal.reached(self.goal.stages(self.problem), self.best.values, self.bounds)

    def step(self, budget: Budget) -> None:
        """Try one neighbourhood."""
        kind = self.chance.choices(range(len(self._operators)), self._weight)[0]
        self._aims = []
        chosen = self._operators[kind](round(self._size[kind]))
        self.steps += 1
        found = self._anew(chosen, budget) if len(chosen) else None
        helped = found is not None and found.values < self.best.values
        if helped and found is not None:
            self.best = found
            found.tell(budget, self.bounds)
        self.helped += helped
        self.idle = 0 if helped else self.idle + 1
        self._weight[kind] = max(0.1, _MEMORY * self._weight[kind] + (1 - _MEMORY) * (3.0 if helped else 0.0))

    def _others(self) -> list[int]:
        """Nodes that the chosen VMs may go to besides their own: the emptiest, and a few at random."""
        online = np.flatnonzero(self.problem.online)
        share = self.problem.load(self.best.node_of)[online] / self.problem.usable[online]
        return [int(online[share.argmin()]), *self.chance.sample(online.tolist(), min(_OTHERS, len(online)))]

    def _anew(self, chosen: IntArray, budget: Budget) -> CandidatePlacement | None:
        """The best placement of the chosen VMs, all others staying; adapts how many are chosen next."""
        onto = np.zeros(self.problem.n_nodes, dtype=bool)
        homes = self.problem.node_of[chosen]
        onto[homes[homes >= 0]] = True
        onto[self.best.node_of[chosen]] = True
        onto[[*self._others(), *self._aims]] = True
        found, proved = Neighbourhood(self.problem, self.goal, self.best.node_of, chosen, onto).best(
            budget=budget,
            bounds=self.bounds,
            start=self.best,
            portfolio=Portfolio(self.chance.randrange(2**31), effort=_EFFORT),
        )
        factor = _GROW if proved else _SHRINK
        self._size = [min(max(size * factor, _FEWEST), _MOST) for size in self._size]
        return found

    @property
    def _free(self) -> BoolArray:
        """VMs that may be placed anew."""
        return self.goal.free(self.problem)

    def _on(self, nodes: list[int], most: int, *, at_least: int = 2) -> IntArray:
        """VMs that may be placed anew on these nodes, node by node until there are enough."""
        chosen: list[int] = []
        for number, node in enumerate(nodes):
            here = np.flatnonzero(self._free & (self.best.node_of == node)).tolist()
            if number >= at_least and len(chosen) + len(here) > most:
                break
            chosen += here
        return np.array(chosen[: max(most, _MOST)], dtype=np.int64)

    def _pool(self) -> list[int]:
        """Online nodes of one pool, in random order."""
        online = np.flatnonzero(self.problem.online)
        pool = self.problem.pool[self.chance.choice(online.tolist())]
        nodes = [int(node) for node in online if self.problem.pool[node] == pool]
        self.chance.shuffle(nodes)
        return nodes

    # Destroy operators: each frees about so many VMs

    def _some_nodes(self, most: int) -> IntArray:
        """All VMs of random nodes."""
        return self._on(self._pool(), most)

    def _extremes(self, most: int) -> IntArray:
        """All VMs of the fullest node, of the emptiest, and of random ones."""
        nodes = self._pool()
        load = self.problem.load(self.best.node_of)
        share = {node: Fraction(int(load[node]), int(self.problem.usable[node])) for node in nodes}
        fullest, emptiest = max(nodes, key=lambda n: share[n]), min(nodes, key=lambda n: share[n])
        return self._on(list(dict.fromkeys([fullest, emptiest, *nodes])), most)

    def _moved(self, most: int) -> IntArray:
        """VMs that are not where they were, and all of some random node, which may do better what those do that they left."""
        moved = np.flatnonzero((self.problem.node_of >= 0) & (self.problem.node_of != self.best.node_of) & self._free).tolist()
        self.chance.shuffle(moved)
        others = self._on(self._pool(), 1, at_least=1)
        return np.unique(np.concatenate([np.array(moved[:most], dtype=np.int64), others]))

    def _breaking(self, most: int) -> IntArray:
        """VMs that break a random soft rule, and all of some random nodes that would suit it."""
        broken = [rule for rule in self.problem.compiled_rules if not (rule.must or kept(rule, self.best.node_of))]
        if not broken:
            return self._scattered(most)
        rule = self.chance.choice(broken)
        guilty = offenders(rule, self.best.node_of)
        guilty = guilty[self._free[guilty]].tolist()
        self.chance.shuffle(guilty)
        suiting = self.problem.online if rule.nodes is None else self.problem.online & rule.nodes
        nodes = np.flatnonzero(suiting).tolist()
        self._aims = self.chance.sample(nodes, min(_OTHERS, len(nodes)))
        return np.unique(np.concatenate([np.array(guilty[:most], dtype=np.int64), self._on(self._aims, 1, at_least=1)]))

    def _scattered(self, most: int) -> IntArray:
        """Random VMs anywhere."""
        free = np.flatnonzero(self._free).tolist()
        return np.array(self.chance.sample(free, min(most, len(free))), dtype=np.int64)


def repair_nodes(
    problem: Problem, goal: Goal, *, budget: Budget, seed: int = 0, deterministic: bool = False
) -> CandidatePlacement | None:
    """A candidate that differs from the present placement on a few nodes, or None where none is found.

    How much room a cluster needs for its large VMs hardly grows with the cluster, so neither do the nodes that must change.

    Parameters
    ----------
    deterministic
        Whether to end by `Budget.work` rather than by the clock.
    """
    astray, now = _astray(problem, goal), problem.node_of
    hosts = np.unique(now[astray])
    others = np.setdiff1d(np.flatnonzero(problem.online), hosts).tolist()
    # The emptiest first, where a hole costs least; equal ones in random order.
    Random(seed).shuffle(others)
    load = problem.load(now)
    others.sort(key=lambda node: int(load[node] - problem.usable[node]))
    tries = _NODES[: budget.steps(_TRIES_PER_WORK)] if deterministic else _NODES
    effort = min(_REPAIR_EFFORT, budget.work / len(_NODES)) if deterministic else _REPAIR_EFFORT
    for most in tries:
        if budget.spent:
            break
        onto = np.zeros(problem.n_nodes, dtype=bool)
        onto[[*hosts[hosts >= 0].tolist(), *others[:most]]] = True
        here = (now >= 0) & onto[np.maximum(now, 0)] & goal.free(problem)
        freed = np.union1d(astray, np.flatnonzero(here))
        found, _ = Neighbourhood(problem, goal, now, freed, onto).best(
            budget=budget, bounds=(0,) * len(goal.stages(problem)), portfolio=Portfolio(seed, effort=effort)
        )
        if found is not None:
            return found
        if most >= len(others):
            break
    return None


def _astray(problem: Problem, goal: Goal) -> IntArray:
    """VMs that cannot all stay: those that wait, that are where they may not be, that are on overfull nodes, or break a rule."""
    now = problem.node_of
    where = np.maximum(now, 0)
    astray = (now < 0) | ~problem.reachable[problem.signature, where]
    astray |= (problem.load(now) > goal.limit(problem))[where]
    for rule in problem.compiled_rules:
        if rule.must and not kept(rule, now):
            astray[rule.vms] = True
    return np.flatnonzero(astray & goal.free(problem))
