"""The exact search for a state in which a VM is stranded."""

import numpy as np

from vmplace.failover.any_order.blocking import BlockingProblem
from vmplace.failover.any_order.state import Story
from vmplace.failover.certificates import NEVER
from vmplace.model.columns import BoolArray, IntArray
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat, Outcome
from vmplace.solvers.program import IntegerProgram, Terms

__all__ = ["search"]


def search(blocking: BlockingProblem, *, budget: Budget) -> tuple[Outcome, Story | None]:
    """A state that strands a VM of the kind; INFEASIBLE if there is none.

    If there are others that the VM must be together with, one of them has restarted: for the states without them, ask about the
    blocking without them.
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
        self._limit()
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
        """Nodes on which a restart can help to block: those of the VM, of its zones, and where those to be together with fit."""
        nodes = np.zeros(self.problem.n_nodes, dtype=bool)
        nodes[self.blocking.nodes] = True
        for rule in self.kinds.apart[self.blocking.kind]:
            zone = self.problem.apart[rule][1]
            nodes |= np.isin(zone, zone[self.blocking.nodes])
        for rule in self.kinds.together[self.blocking.kind]:
            nodes |= self.kinds.fits[[k for k, rules in enumerate(self.kinds.together) if rule in rules]].any(axis=0)
        return nodes

    def _limit(self) -> None:
        """No more restart than there are, and than nodes have room for."""
        for on, count in zip(self.on.tolist(), self.blocking.others.tolist(), strict=True):
            self.program.row(((v, 1) for v in on), upper=count)
        for on, free in zip(self.on.T.tolist(), self.problem.free.tolist(), strict=True):
            for demand, room in zip(self.kinds.demand.T.tolist(), free, strict=True):
                self.program.row(zip(on, demand, strict=True), upper=room)

    def _apart(self, rule: int) -> dict[int, Terms]:
        """How many members are in each zone: one at most."""
        members = [k for k, rules in enumerate(self.kinds.apart) if rule in rules]
        zone = self.problem.apart[rule][1]
        inside = {z: [(v, 1) for v in self.on[members][:, zone == z].reshape(-1).tolist() if v >= 0] for z in zone.tolist()}
        for terms in inside.values():
            self.program.row(terms, upper=1)
        return inside

    def _together(self, rule: int) -> dict[int, int]:
        """Whether members are on each node: on one at most."""
        members = self.on[[k for k, rules in enumerate(self.kinds.together) if rule in rules]]
        homes = {i: self.program.variable(0, 1) for i in np.flatnonzero((members >= 0).any(axis=0)).tolist()}
        self.program.row(((home, 1) for home in homes.values()), upper=1)
        for i, home in homes.items():
            here = [v for v in members[:, i].tolist() if v >= 0]
            self.program.row([*((v, 1) for v in here), (home, -1)], lower=0)
            for v in here:
                self.program.row([(v, 1), (home, -self.program.upper[v])], upper=0)
        return homes

    def _short(self, at: int, node: int) -> Terms:
        """Whether others leave too little of a resource, for each that they can take so much of."""
        reasons: Terms = []
        for r, cost in enumerate(self.blocking.cost[at].tolist()):
            if cost < NEVER:
                short = self.program.variable(0, 1)
                load = zip(self.on[:, node].tolist(), self.kinds.demand[:, r].tolist(), strict=True)
                self.program.row([*load, (short, -cost)], lower=0)
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
