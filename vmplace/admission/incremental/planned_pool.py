"""Incremental admission in a pool where rules or several resources bind: a failover plan for each failure, kept and repaired.

A VM more on a node takes room there from the plans of the failures that spare the node, and joins the plans of those that do not.
A plan that has no room left is repaired: some of its restarts on that node go elsewhere. What this does not tell is for a search.
"""

from collections.abc import Callable, Iterable

import numpy as np
from attrs import define, field, frozen

from vmplace.admission.results import Rejection
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["Asking", "PlannedPool", "Restart"]

_MOST_USED = 256
"""Among so many of the freest nodes one is looked for that a plan does not use."""

_FREEST = 16
"""With so many of the freest nodes a VM more is tried as a restart, for all failures at once."""


@frozen
class Restart:
    """A VM in a failover plan.

    Parameters
    ----------
    node
        Where it restarts.
    demand
        What it takes there, shape (n_firm,).
    bound
        Whether rules have a say in where it restarts.
    """

    node: int
    demand: IntArray
    bound: bool


@frozen(eq=False)
class Asking:
    """What a VM takes that no rule binds.

    Parameters
    ----------
    demand
        Memory in MiB first, then the further resources, shape (n_resources,).
    lasts
        Whether it keeps it whatever fails elsewhere: unless it is evictable.
    returns
        Whether it must restart when its node fails; not one that is down until it is started, and was lost to any failure.
    waits
        Whether it is such a one: failures may then leave out as much more than now.
    """

    demand: IntArray
    lasts: bool
    returns: bool
    waits: bool = False


Plan = dict[str, Restart]


@define(eq=False)
class PlannedPool:
    """Nodes of one pool, what they hold, and a plan for each failure, all of which are survived.

    Parameters
    ----------
    capacity, limit, online
        As in `Problem`, of these nodes.
    load
        What is in use, shape (n_nodes, n_resources).
    lasting
        What of it stays in use in any failure elsewhere, shape (n_nodes, n_firm).
    failing
        Which nodes fail, shape (n_failures, n_nodes).
    use
        What each failure's plan takes of each node, shape (n_failures, n_nodes, n_firm).
    bound
        Where plans have VMs that rules bind, or had some, shape (n_failures, n_nodes).
    plan_of
        Makes the plan that a failure has at first.
    open_to
        The nodes that rules leave to a VM they bind, of a failure and beside the others of its plan, shape (n_nodes,).
    """

    capacity: IntArray
    limit: IntArray
    online: BoolArray
    load: IntArray
    lasting: IntArray
    failing: BoolArray
    use: IntArray
    bound: BoolArray
    plan_of: Callable[[int], Plan]
    open_to: Callable[[int, str, Plan], BoolArray]
    spare: IntArray = field(init=False)
    _lost: IntArray = field(init=False)
    _need: IntArray = field(init=False)
    _asked: IntArray = field(init=False)
    _plans: dict[int, Plan] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        room = np.maximum(self.capacity[:, : self.lasting.shape[1]] - self.lasting, 0)
        self.spare = np.where(self.online[:, None], room, 0)
        # Sums of this size are exact in floating point, and such products are fast.
        self._lost = (self.failing.astype(np.float64) @ self.spare.astype(np.float64)).astype(np.int64)
        self._need = self.use.max(axis=0, initial=0)
        self._asked = self.use.sum(axis=1)

    # What a VM more would do

    def rejections(self, asking: Asking) -> tuple[IntArray, IntArray]:
        """What keeps it off each node in normal running, and which further resource does (-1: none), both of shape (n_nodes,)."""
        after = self.load + asking.demand
        over = (after > self.capacity) & (asking.demand > 0)
        found, resource = np.full(len(after), int(Rejection.NOTHING)), np.full(len(after), -1)
        for r in range(1, over.shape[1]):
            found[over[:, r]], resource[over[:, r]] = Rejection.RESOURCE, r - 1
        found[(after[:, 0] > self.limit) & (asking.demand[0] > 0)] = Rejection.HEADROOM
        found[over[:, 0]] = Rejection.MEMORY
        found[~self.online] = Rejection.STATE
        resource[found != Rejection.RESOURCE] = -1
        return found, resource

    def sift(self, asking: Asking) -> tuple[IntArray, int]:
        """What array passes tell of it on each node: a `Rejection` each, and the failure that speaks against some (-1: none)."""
        found, _ = self.rejections(asking)
        open_, blamed = np.flatnonzero(found == Rejection.NOTHING), -1
        if asking.lasts and len(short := np.flatnonzero(self._short(asking))):
            blamed = int(short[0])
            refused = np.asarray(~self.failing[blamed, open_] | asking.returns)
            found[open_[refused]] = Rejection.FAILURE
            open_ = open_[~refused]
        if asking.lasts:
            found[open_[self._strained(open_, self.spare[open_] - self._firm(asking))]] = Rejection.DOUBT
        if asking.returns:
            crowded = np.asarray(self.failing[~self._joinable(asking)].any(axis=0))
            found[open_[crowded[open_]]] = Rejection.DOUBT
        return found, blamed

    def judge(self, node: int, asking: Asking) -> tuple[Rejection, int]:
        """Whether it makes a failure worse on a node with room for it, and which."""
        own = self.failing[:, node]
        concerned = (own & asking.returns) | (~own & asking.lasts)
        short = np.flatnonzero(self._short(asking) & concerned)
        if len(short):
            return Rejection.FAILURE, int(short[0])
        if asking.lasts and (broken := self._repaired(node, asking)) >= 0:
            asked = [restart.demand for restart in self._plan(broken).values() if restart.node == node]
            return self._hopeless(broken, asked, asking, node), broken
        if asking.returns:
            for failure in np.flatnonzero(own).tolist():
                if self._target(failure, self._firm(asking)) < 0:
                    return self._hopeless(failure, [self._firm(asking)], asking), failure
        return Rejection.NOTHING, -1

    def _hopeless(self, failure: int, demands: Iterable[IntArray], asking: Asking, node: int = -1) -> Rejection:
        """`FAILURE` where some VM that must restart finds room on no survivor even alone, once another asks for a node."""
        if asking.waits:
            return Rejection.DOUBT
        room = self.spare[~self.failing[failure]]
        if node >= 0:
            room = np.vstack(
                [np.delete(self.spare, node, axis=0)[~np.delete(self.failing[failure], node)], self._left(node, asking)]
            )
        hopeless = any(not (room >= demand).all(axis=1).any() for demand in demands)
        return Rejection.FAILURE if hopeless else Rejection.DOUBT

    def _left(self, node: int, asking: Asking) -> IntArray:
        """What a node has left for restarts beside it."""
        left: IntArray = self.spare[node] - self._firm(asking)
        return left

    def _firm(self, asking: Asking) -> IntArray:
        return asking.demand[: self.spare.shape[1]]

    def _short(self, asking: Asking) -> BoolArray:
        """Failures that would displace more than is free elsewhere, shape (n_failures,)."""
        if asking.waits:
            return np.zeros(len(self.failing), dtype=bool)
        left = self.spare.sum(axis=0) - self._lost - self._asked
        return np.asarray((left < self._firm(asking)).any(axis=1))

    def _strained(self, nodes: IntArray, left: IntArray) -> BoolArray:
        """Of nodes that would have so much left, those where a plan takes more and cannot simply go elsewhere with it."""
        strained = np.asarray((self._need[nodes] > left).any(axis=1))
        some = np.flatnonzero(strained)
        if len(some):
            use, most = self.use[:, nodes[some]], self._unused()
            broken = (use > left[some]).any(axis=2) & ~self.failing[:, nodes[some]]
            strained[some] = (broken & (self.bound[:, nodes[some]] | (use > most[:, None]).any(axis=2))).any(axis=0)
        return strained

    def _unused(self) -> IntArray:
        """What is free on the freest node that each failure's plan does not use, shape (n_failures, n_firm)."""
        freest = np.argsort(-self.spare[:, 0], kind="stable")[:_MOST_USED]
        unused = ~self.use[:, freest].any(axis=2) & ~self.failing[:, freest] & self.online[freest]
        best = unused.argmax(axis=1)
        there = unused[np.arange(len(best)), best]
        return np.where(there[:, None], self.spare[freest[best]], 0)

    def _joinable(self, asking: Asking) -> BoolArray:
        """Failures beside whose plan it finds room on one of the freest nodes, shape (n_failures,)."""
        demand = self._firm(asking)
        able = np.flatnonzero((self.spare >= demand).all(axis=1))
        able = able[np.argsort(-self.spare[able, 0], kind="stable")[:_FREEST]]
        room = (self.spare[able] - self.use[:, able] >= demand).all(axis=2)
        return np.asarray((room & ~self.failing[:, able]).any(axis=1))

    def _target(self, failure: int, demand: IntArray, open_: BoolArray | None = None) -> int:
        """The node with most memory that a failure's plan leaves enough of for one VM more; -1 if there is none."""
        rest = self.spare - self.use[failure]
        able = (rest >= demand).all(axis=1) & ~self.failing[failure] & self.online
        if open_ is not None:
            able &= open_
        best = int(np.where(able, rest[:, 0], -1).argmax()) if len(able) else -1
        return best if best >= 0 and able[best] else -1

    def _repaired(self, node: int, asking: Asking) -> int:
        """Have all plans do with less of a node; the first failure whose plan cannot, -1 if none."""
        left = self._left(node, asking)
        if (self._need[node] <= left).all():
            return -1
        for failure in np.flatnonzero((self.use[:, node] > left).any(axis=1) & ~self.failing[:, node]).tolist():
            if not self._repair(failure, node, left):
                return failure
        return -1

    def _repair(self, failure: int, node: int, left: IntArray) -> bool:
        """Have a plan do with what would be left of a node: some of its restarts there go elsewhere."""
        plan, use = self._plan(failure), self.use[failure]
        before = use.copy()
        here = [(name, restart) for name, restart in plan.items() if restart.node == node]
        here.sort(key=lambda entry: (int(entry[1].demand[0]), entry[0]))
        # Those that rules bind move where the others stay.
        here = [entry for entry in here if entry[1].bound] + [entry for entry in here if not entry[1].bound]
        elsewhere, moved = np.arange(len(self.spare)) != node, Plan()
        while here and (use[node] > left).any():
            enough = [i for i, (_, restart) in enumerate(here) if (use[node] - restart.demand <= left).all()]
            name, restart = here.pop(next((i for i in enough if not here[i][1].bound), enough[0] if enough else -1))
            open_ = elsewhere & self.open_to(failure, name, plan | moved) if restart.bound else elsewhere
            other = self._target(failure, restart.demand, open_)
            if other < 0:
                continue
            use[node] -= restart.demand
            use[other] += restart.demand
            moved[name] = Restart(other, restart.demand, restart.bound)
            self.bound[failure, other] |= restart.bound
        if (use[node] > left).any():
            self.use[failure] = before
            return False
        plan.update(moved)
        self._need_again({node, *(restart.node for restart in moved.values())})
        return True

    def _plan(self, failure: int) -> Plan:
        if failure not in self._plans:
            self._plans[failure] = self.plan_of(failure)
        return self._plans[failure]

    def _need_again(self, nodes: set[int]) -> None:
        for node in nodes:
            self._need[node] = self.use[:, node].max(axis=0, initial=0)

    # What is there

    def put(self, name: str, node: int, asking: Asking) -> bool:
        """One more is on a node; whether every failure has a plan still: otherwise this is of no more use."""
        firm = self._firm(asking)
        if asking.lasts and self._repaired(node, asking) >= 0:
            return False
        self.load[node] += asking.demand
        self.lasting[node] += firm * asking.lasts
        self._respare(node)
        for failure in np.flatnonzero(self.failing[:, node]).tolist() if asking.returns else ():
            target = self._target(failure, firm)
            if target < 0:
                return False
            self._plan(failure)[name] = Restart(target, firm, bound=False)
            self.use[failure, target] += firm
            self._asked[failure] += firm
            self._need[target] = np.maximum(self._need[target], self.use[failure, target])
        return True

    def take(self, name: str, node: int, asking: Asking) -> None:
        """One is gone from a node."""
        self.load[node] -= asking.demand
        self.lasting[node] -= self._firm(asking) * asking.lasts
        self._respare(node)
        changed = set()
        for failure in np.flatnonzero(self.failing[:, node]).tolist() if asking.returns else ():
            restart = self._plan(failure).pop(name)
            self.use[failure, restart.node] -= restart.demand
            self._asked[failure] -= restart.demand
            changed.add(restart.node)
        self._need_again(changed)

    def _respare(self, node: int) -> None:
        room = np.maximum(self.capacity[node, : self.spare.shape[1]] - self.lasting[node], 0) * self.online[node]
        self._lost[self.failing[:, node]] += room - self.spare[node]
        self.spare[node] = room
