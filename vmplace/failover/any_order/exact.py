"""The adversary's problem as an integer program: a state in which a VM is stranded, or the proof that there is none."""

from collections.abc import Sequence

import numpy as np

from vmplace.failover.any_order.certificate import BlockingProblem
from vmplace.failover.any_order.state import Story
from vmplace.failover.certificates.blocking import NEVER
from vmplace.model.columns import BoolArray, IntArray
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.program import IntegerProgram, Outcome, Terms, terms

__all__ = ["search"]


def search(blocking: BlockingProblem, *, budget: Budget) -> tuple[Outcome, Story | None]:
    """A state that strands a VM of the kind; INFEASIBLE if there is none.

    If affinity binds the VM to some of the others, one of these has restarted: for states in which none has, ask about
    `BlockingProblem.alone`.
    """
    model = _AdversaryModel(blocking)
    answer = CpSat().solve(model.program, budget=budget)
    return answer.outcome, None if answer.values is None else model.story(answer.values)


class _AdversaryModel:
    """How many others of each kind have restarted on each node that matters, so that all nodes are blocked."""

    def __init__(self, blocking: BlockingProblem) -> None:
        self.blocking = blocking
        self.problem = blocking.problem
        self.kinds = self.problem.kinds
        self.program = IntegerProgram()
        self.on = self.program.variables(self._most())
        for on, count in zip(self.on, self.blocking.others.tolist(), strict=True):
            self.program.row(terms(on), upper=count)
        for on, free in zip(self.on.T, self.problem.free.tolist(), strict=True):
            for demand, room in zip(self.kinds.demand.T, free, strict=True):
                self.program.row(terms(on, demand), upper=room)
        zones = {rule: self._apart(rule) for rule in range(len(self.problem.apart))}
        homes = {rule: self._together(rule) for rule in range(len(self.problem.together))}
        if blocking.partners.any():
            mine = self.kinds.together[blocking.kind]
            self.program.row(((home, 1) for rule in mine for home in homes[rule].values()), lower=1)
        for at, node in enumerate(blocking.nodes.tolist()):
            blocked = self._short(at, node)
            for rule in self.kinds.apart[blocking.kind]:
                blocked += zones[rule][int(self.problem.apart[rule][1][node])]
            for rule in self.kinds.together[blocking.kind]:
                blocked += [(home, 1) for i, home in homes[rule].items() if i != node]
            self.program.row(blocked, lower=1)

    def _most(self) -> IntArray:
        """How many of each kind may be on each node, shape (n_kinds, n_nodes)."""
        most = np.where(self.kinds.fits & self._matter(), self.blocking.others[:, None], 0)
        for demand, free in zip(self.kinds.demand.T[:, :, None], self.problem.free.T, strict=True):
            most = np.where(demand > 0, np.minimum(most, free // np.maximum(demand, 1)), most)
        return most

    def _matter(self) -> BoolArray:
        """Nodes on which a restart can help to block: the VM's, those in their zones, and those of its affinity partners."""
        nodes = np.zeros(self.problem.n_nodes, dtype=bool)
        nodes[self.blocking.nodes] = True
        for rule in self.kinds.apart[self.blocking.kind]:
            zone = self.problem.apart[rule][1]
            nodes |= np.isin(zone, zone[self.blocking.nodes])
        for rule in self.kinds.together[self.blocking.kind]:
            nodes |= self.kinds.fits[_members(self.kinds.together, rule)].any(axis=0)
        return nodes

    def _apart(self, rule: int) -> dict[int, Terms]:
        """How many members of an anti-affinity rule are in each zone: one at most."""
        on, zone = self.on[_members(self.kinds.apart, rule)], self.problem.apart[rule][1]
        inside = {z: terms(on[:, zone == z]) for z in zone.tolist()}
        for members in inside.values():
            self.program.row(members, upper=1)
        return inside

    def _together(self, rule: int) -> dict[int, int]:
        """Whether members of an affinity rule are on each node: on one at most."""
        members = self.on[_members(self.kinds.together, rule)]
        homes = {i: self.program.variable(0, 1) for i in np.flatnonzero((members >= 0).any(axis=0)).tolist()}
        self.program.row(((home, 1) for home in homes.values()), upper=1)
        for i, home in homes.items():
            here = terms(members[:, i])
            self.program.row([*here, (home, -1)], lower=0)
            for v, _ in here:
                self.program.row([(v, 1), (home, -self.program.upper[v])], upper=0)
        return homes

    def _short(self, at: int, node: int) -> Terms:
        """Whether others leave too little of a resource, for each that they can take so much of."""
        reasons: Terms = []
        for r, cost in enumerate(self.blocking.cost[at].tolist()):
            if cost < NEVER:
                short = self.program.variable(0, 1)
                self.program.row([*terms(self.on[:, node], self.kinds.demand[:, r]), (short, -cost)], lower=0)
                reasons.append((short, 1))
        return reasons

    def story(self, values: tuple[int, ...]) -> Story:
        """The values as restarts."""
        waiting = [vms.tolist() for vms in self.kinds.vms]
        target = waiting[self.blocking.kind].pop(0)
        placed = [
            (waiting[kind].pop(), node)
            for kind, node in np.argwhere(self.on >= 0).tolist()
            for _ in range(values[self.on[kind, node]])
        ]
        return Story(tuple(placed), target)


def _members(rules: Sequence[frozenset[int]], rule: int) -> list[int]:
    """Kinds that a rule binds."""
    return [kind for kind, mine in enumerate(rules) if rule in mine]
