"""A certificate for any-order restart: VMs that no order of restarts and no choice of fitting nodes strands, without a search.

A VM is *stranded* if others have restarted so that no node is left to it: each node that it could use is *blocked*. For a VM of
demand d, let A be the nodes that its rules leave it and that have room for it as long as no other VM has restarted, F_i what node
i has free, and O the other VMs that fit on some node of A (no other matters). Three things block a node of A:

1. *A resource r* that the VM needs: others have taken so much of it that less than d_r is left, F_ir - d_r + 1 or more. They
   take whole multiples of g_r, the common divisor of their demands, so it is no less than that rounded up to a multiple, c_ir.
   If those of O that fit on i have less than c_ir among them, then r never blocks i.

   *One resource*: all A can be blocked only if ``sum(c_i) <= B``, B being what all O demand. *Several*: only if the least share
   of each node, ``min over r of c_ir / B_r``, sum up to no more than R, the number of resources that block some node at all
   (`vmplace.failover.certificates.blocking.blocking_shares` says why).
2. *Anti-affinity*: a member of the rule restarted in the node's zone. Each of the p displaced members blocks one zone at most, so
   the rule blocks p zones at most, and what the resources must block is no less than all shares without those of the p zones
   that have most. Members are not in O then: where one is, no resource needs to block.
3. *Affinity*: a member restarted on another node, which leaves the VM this one only. While no member has restarted, 1 and 2
   hold, for O without the members. Once one has, certain is only a VM that finds room on each node that the first member may
   take: a node that no resource ever blocks, and no rule, whichever of O restart there.

If the sum is larger than what the others have, then there is no state in which the VM is stranded. The converse does not hold.
With `BlockingProblem.sharp`, c_ir is the least sum of demands of the others that fit on i, each counted as often as it is there,
from F_ir - d_r + 1 to F_ir, and no state blocks i by r if there is none: slower, and nearly always exact.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from attrs import evolve, frozen

from vmplace.failover.any_order.state import AnyOrderProblem
from vmplace.failover.certificates.blocking import NEVER, blocking_cost, blocking_shares
from vmplace.model.columns import BoolArray, IntArray
from vmplace.solvers.binpacking.subset_sum import least_sum

__all__ = ["BlockingProblem", "certified"]


def certified(problem: AnyOrderProblem) -> BoolArray:
    """VMs that must restart and that no state strands, as far as the certificate tells; shape (n_vms,).

    Sound, not complete: `vmplace.failover.any_order.decide.strand` decides about the others.
    """
    kinds = problem.kinds
    safe = np.zeros(len(kinds), dtype=bool)
    for kind in np.flatnonzero(kinds.must).tolist():
        if (
            not safe[kind]
            and BlockingProblem.alone(problem, kind).impossible
            and BlockingProblem.of(problem, kind).harmless_partners
        ):
            safe |= kinds.dominated_by(kind)
    sure = np.zeros(problem.n_vms, dtype=bool)
    for kind in np.flatnonzero(safe & kinds.must).tolist():
        sure[kinds.vms[kind]] = True
    return sure


@frozen(eq=False)
class BlockingProblem:
    """What it takes to block all nodes that a VM could use: the adversary's covering problem.

    Parameters
    ----------
    problem
        The failure.
    kind
        The VM's kind.
    nodes
        Those that it can use as long as no other VM has restarted.
    others
        How many other VMs of each kind may restart, shape (n_kinds,).
    cost
        The least of each resource that `fillers` must take of each of these nodes to block it; NEVER where they cannot; shape
        (len(nodes), n_resources).
    """

    problem: AnyOrderProblem
    kind: int
    nodes: IntArray
    others: IntArray
    cost: IntArray

    @classmethod
    def of(cls, problem: AnyOrderProblem, kind: int) -> "BlockingProblem":
        """By all others."""
        others = problem.kinds.count.copy()
        others[kind] -= 1
        return cls._by(problem, kind, others)

    @classmethod
    def alone(cls, problem: AnyOrderProblem, kind: int) -> "BlockingProblem":
        """By all others but those that affinity binds the VM to."""
        whole = cls.of(problem, kind)
        return cls._by(problem, kind, np.where(whole.partners, 0, whole.others)) if whole.partners.any() else whole

    @classmethod
    def _by(cls, problem: AnyOrderProblem, kind: int, others: IntArray) -> "BlockingProblem":
        """With costs by the common divisor of the others' demands."""
        kinds = problem.kinds
        nodes = np.flatnonzero(kinds.fits[kind])
        bare = cls(problem, kind, nodes, others, np.zeros((0, 0), dtype=np.int64))
        demand, free = kinds.demand[kind], problem.free[nodes]
        near = kinds.fits[:, nodes]
        involved = kinds.demand[(bare.fillers > 0) & near.any(axis=1)]
        step = np.maximum(1, np.gcd.reduce(involved, axis=0, initial=0))
        cost = blocking_cost((free - demand) // step * step, 0, step)
        within_reach = (near.T * bare.fillers) @ kinds.demand >= cost
        return evolve(bare, cost=np.where(within_reach & (demand > 0), cost, NEVER))

    @cached_property
    def fillers(self) -> IntArray:
        """How many others of each kind can block nodes by what they take. Those that block a whole zone are not needed for it."""
        return np.where(_share(self.problem.kinds.apart, self.kind), 0, self.others)

    @cached_property
    def sharp(self) -> "BlockingProblem":
        """With costs by the sums that the others' demands can have."""
        kinds = self.problem.kinds
        cost = self.cost.copy()
        known: dict[tuple[int, int, bytes], int | None] = {}
        for at, r in np.argwhere(self.cost < NEVER).tolist():
            node = self.nodes[at]
            least, most = int(self.cost[at, r]), int(self.problem.free[node, r])
            near = kinds.fits[:, node] & (self.fillers > 0) & (kinds.demand[:, r] > 0)
            key = (r, most, near.tobytes())
            if key not in known:
                known[key] = least_sum(kinds.demand[near, r].tolist(), self.fillers[near].tolist(), least, most)
            exact = known[key]
            cost[at, r] = NEVER if exact is None else exact
        return evolve(self, cost=cost)

    @cached_property
    def partners(self) -> BoolArray:
        """Kinds of others that affinity binds the VM to, shape (n_kinds,)."""
        return (self.others > 0) & _share(self.problem.kinds.together, self.kind)

    @property
    def impossible(self) -> bool:
        """Whether it is certain that resources and anti-affinity cannot block all nodes."""
        if not len(self.nodes):
            return False
        worth, limit = self.worth
        return int(worth.sum()) - sum(self._zones_worth(rule, worth) for rule in self.anti_affinity) > limit

    @property
    def harmless_partners(self) -> bool:
        """Whether it is certain that the VM finds room wherever the first of those that affinity binds it to restarts."""
        kinds = self.problem.kinds
        if not self.partners.any():
            return True
        # Of two rules, each might have its first on a node of its own.
        rules = [
            rule for rule in kinds.together[self.kind] if any(rule in kinds.together[k] for k in np.flatnonzero(self.partners))
        ]
        homes = np.logical_or.reduce(kinds.fits[self.partners])
        homes[self.nodes[(self.cost == NEVER).all(axis=1)]] = False
        return len(rules) == 1 and not self.anti_affinity and not homes.any()

    @cached_property
    def anti_affinity(self) -> list[int]:
        """Anti-affinity rules between the VM and others that may restart."""
        return [rule for rule in sorted(self.problem.kinds.apart[self.kind]) if self.members(rule)]

    def members(self, rule: int) -> int:
        """How many of the others, of those that fit anywhere, are in an anti-affinity rule."""
        kinds = self.problem.kinds
        others = (self.others * kinds.fits.any(axis=1)).tolist()
        return sum(n for n, rules in zip(others, kinds.apart, strict=True) if rule in rules)

    @cached_property
    def worth(self) -> tuple[IntArray, int]:
        """How much of what the others have each node takes at least, and all that they have, in the same unit."""
        kinds, cost = self.problem.kinds, self.cost
        budget = (self.fillers * kinds.fits[:, self.nodes].any(axis=1)) @ kinds.demand
        share, limit = blocking_shares(cost.T, budget)
        return share, int(limit)

    def _zones_worth(self, rule: int, worth: IntArray) -> int:
        """The most that the zones are worth that members of an anti-affinity rule can block."""
        zone = self.problem.apart[rule][1][self.nodes]
        _, number = np.unique(zone, return_inverse=True)
        value = np.zeros(len(self.nodes), dtype=np.int64)
        np.add.at(value, number.reshape(-1), worth)
        return int(np.sort(value)[::-1][: self.members(rule)].sum())


def _share(rules: Sequence[frozenset[int]], kind: int) -> BoolArray:
    """Kinds that share a rule with this one, shape (n_kinds,)."""
    return np.array([not theirs.isdisjoint(rules[kind]) for theirs in rules], dtype=bool)
