"""The certificates of `failover.certificates` kept for a pool that changes: as things are, and with one VM more."""

from collections.abc import Callable, Iterator

import numpy as np

from vmplace.admission.incremental.state import LiveState, LiveVM
from vmplace.failover.certificates.blocking import any_order_slack, blocking_cost
from vmplace.failover.certificates.memory import free_slots, slot_level, slots_taken
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["SURE", "AnyOrderCertificate", "LiveCertificates", "SlotsCertificate"]

SURE = np.int64(1) << 60
"""The slack of a failure that displaces nothing."""


class _Tables:
    """What follows from the tables of a pool: each is made when it is asked for, once for each edition of these."""

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._known: dict[object, IntArray] = {}
        self._edition: object = None

    def get(self, key: object, make: Callable[[], IntArray]) -> IntArray:
        if self._edition is not self._state.edition:
            self._known.clear()
            self._edition = self._state.edition
        table = self._known.get(key)
        if table is None:
            table = self._known[key] = make()
        return table


class AnyOrderCertificate:
    """Failures survived in any order of restarts.

    Parameters
    ----------
    state
        The pool.
    """

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._tables = _Tables(state)

    @property
    def slack(self) -> IntArray:
        """`any_order_slack` of each failure, in MiB, shape (n_nodes,)."""
        return self._tables.get("slack", self._slack)

    def _slack(self) -> IntArray:
        state = self._state
        some = state.largest >= 0
        if not some.any():
            return np.full(len(state.usable), SURE)
        size = state.sizes[state.largest]
        cost = state.room[state.largest] - blocking_cost(state.whole, size, state.step)
        return np.where(some, any_order_slack(cost, state.displaced, size), SURE)

    def slack_with(self, node: int, item: LiveVM) -> int:
        """The same of a node's own failure with one VM more on it that must restart."""
        state, row, size = self._state, self._state.row[item.memory], item.memory
        mine = int(state.largest[node])
        if mine >= 0 and state.sizes[mine] > size:
            row, size = mine, int(state.sizes[mine])
        cost = state.room[row] - blocking_cost(state.whole[node], size, state.step)
        return int(any_order_slack(cost, state.displaced[node] + item.memory, size))

    def slack_on(self, nodes: IntArray, item: LiveVM) -> IntArray:
        """The same of many nodes' own failures, one by one, shape (len(nodes),)."""
        state = self._state
        mine = state.largest[nodes]
        size = np.maximum(np.where(mine >= 0, state.sizes[mine], 0), item.memory)
        row = np.where(size == item.memory, state.row[item.memory], mine)
        cost = state.room[row] - blocking_cost(state.whole[nodes], size, state.step)
        return any_order_slack(cost, state.displaced[nodes] + item.memory, size)

    def exposed(self, item: LiveVM) -> BoolArray:
        """Failures that a VM more on a survivor may cost their certificate, shape (n_nodes,)."""
        return np.asarray(self.slack <= item.memory + self._state.step)

    def left_with(self, nodes: IntArray, item: LiveVM, failures: IntArray) -> BoolArray:
        """Nodes whose loss of room leaves some failures their certificates, their own aside, shape (len(nodes),)."""
        state, sure = self._state, np.ones(len(nodes), dtype=bool)
        if not len(failures):
            return sure
        whole, free = state.whole[nodes], state.free[nodes] - item.memory
        after = free // state.step * state.step
        slack, largest = self.slack[failures], state.largest[failures]
        for row in np.unique(largest).tolist():
            mine = np.flatnonzero(largest == row)
            first = int(mine[slack[mine].argmin()])
            least, second = int(slack[first]), int(slack[mine[mine != first]].min(initial=SURE))
            size = int(state.sizes[row])
            less = blocking_cost(whole, size, state.step) - blocking_cost(after, size, state.step)
            sure &= less < np.where(nodes == failures[first], second, least)
        return sure


class SlotsCertificate:
    """Failures survived if the largest VMs restart first: those small enough never to be stranded may wait.

    Parameters
    ----------
    state
        The pool.
    """

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._tables = _Tables(state)

    @property
    def survived(self) -> BoolArray:
        """Failures, shape (n_nodes,)."""
        return self._tables.get("survived", lambda: self._survived().astype(np.int64)).astype(bool)

    def _survived(self) -> BoolArray:
        least = self._least_large()
        enough = np.full(len(self._state.usable), least is not None)
        for k, most, taken in self._taken(least):
            slots = self._slots(k, most)
            enough &= taken + slots <= slots.sum()
        return enough

    def survived_with(self, node: int, item: LiveVM) -> BoolArray:
        """The same with one VM more on a node."""
        state = self._state
        least = self._least_large(item, state.above_on(node) - state.above_on(node, item.memory))
        enough = np.full(len(state.usable), least is not None)
        free, own = max(int(state.free[node]) - item.memory, 0), item.memory if item.protected else 0
        for k, most, taken in self._taken(least, own):
            slots = self._slots(k, most)
            total, before = int(slots.sum()), int(slots[node])
            fits = taken + slots <= total - before + (free << k) // most
            fits[node] = int(taken[node]) + before + self._filled(own, least, k, most) <= total
            enough &= fits
        return enough

    def survived_on(self, nodes: IntArray, item: LiveVM) -> BoolArray:
        """Nodes whose own failure is survived with one VM more on them that must restart, shape (len(nodes),)."""
        least = self._least_large(item)
        enough = np.full(len(nodes), least is not None)
        for k, most, taken in self._taken(least, item.memory):
            slots = self._slots(k, most)
            enough &= taken[nodes] + slots[nodes] + self._filled(item.memory, least, k, most) <= slots.sum()
        return enough

    def left_with(self, nodes: IntArray, item: LiveVM, failures: IntArray) -> tuple[BoolArray, IntArray]:
        """Nodes whose loss of room leaves some failures enough slots, and those failures that have not enough even without.

        Returns
        -------
        tuple
            Of shape (len(nodes),), and the failures.
        """
        state = self._state
        roomiest = int(state.whole[nodes].max(initial=0))
        least = self._least_large(item, np.clip(roomiest - state.sizes + state.step, 0, item.memory + state.step))
        sure, enough = np.full(len(nodes), least is not None), np.full(len(failures), least is not None)
        tables = [(k, most, taken[failures], self._slots(k, most)) for k, most, taken in self._taken(least)]
        for _, _, taken, slots in tables:
            enough &= taken + slots[failures] <= slots.sum()
        for k, most, taken, slots in tables:
            spare = int(slots.sum()) - int((taken + slots[failures])[enough].max(initial=0))
            sure &= slots[nodes] - free_slots(state.free[nodes] - item.memory, k, most) <= spare
        return sure, failures[~enough]

    def short_with(self, nodes: IntArray, item: LiveVM, survived: BoolArray) -> IntArray:
        """For each node a failure that is survived now, but would lack slots with a VM there; -1 where none is known.

        A VM of s fills ``s // t`` slots of t for any t.

        Parameters
        ----------
        nodes
            They have room for it.
        survived
            Failures that are survived now for certain, shape (n_nodes,).
        """
        state = self._state
        blamed = np.full(len(nodes), -1, dtype=np.int64)
        least = self._least_large(item, np.full_like(state.sizes, item.memory + state.step))
        if not len(nodes) or least is None:
            return blamed
        roomiest = int(state.free.max(initial=0))
        for size in sorted(state.sizes[(state.sizes >= least) & (state.sizes <= roomiest)].tolist(), reverse=True):
            slots, asked = self._slots(0, size), self._asked(size)
            total = int(slots.sum())
            first, most, second, next_most = self._tightest(size, survived)
            then = total - slots[nodes] + (state.free[nodes] - item.memory) // size
            worst = np.where(nodes == first, next_most, most)
            blamed = np.where((blamed < 0) & (worst > then), np.where(nodes == first, second, first), blamed)
            if item.protected and not item.waits:
                own = survived[nodes] & (asked[nodes] + item.memory // size > total - slots[nodes])
                blamed = np.where((blamed < 0) & own, nodes, blamed)
            if (blamed >= 0).all():
                break
        return blamed

    def _least_large(self, item: LiveVM | None = None, less: IntArray | int = 0) -> int | None:
        """The smallest size of VMs that may be stranded; 0 if none may, None if such VMs are not counted.

        Parameters
        ----------
        item
            A VM more, wherever it is.
        less
            How much less room there is for each size.
        """
        state = self._state
        most = int(state.displaced.max(initial=0)) + (item.memory if item is not None and item.protected else 0)
        roomiest = int(state.whole.max(initial=0))
        asked = state.sizes <= most  # no failure displaces a larger one
        cost = state.room - less - blocking_cost(roomiest, state.sizes, state.step)
        small = int(state.sizes[(any_order_slack(cost, most, state.sizes) > 0) & asked].max(initial=0))
        large = asked & (state.sizes > small)
        if large[len(state.counts) :].any():
            return None
        return int(state.sizes[large].min(initial=SURE)) if large.any() else 0

    def _taken(self, least: int | None, own: int = 0) -> Iterator[tuple[int, int, IntArray]]:
        """For each k, the largest size M, and how many slots of ``M / 2**k`` VMs of a size or more take, shape (n_nodes,).

        Nothing where no such VMs are known, or none may be stranded; `own`: the size of one more that is not counted.
        """
        if not least:
            return
        state, rows = self._state, self._counted(least)
        sizes = [*(int(state.sizes[row]) for row in rows), max(own, least)]
        most = max(sizes)
        levels = [slot_level(size, most) for size in sizes]

        def counts(k: int) -> IntArray:
            none = np.zeros(len(state.usable), dtype=np.int64)
            return sum((state.counts[row] for row, level in zip(rows, levels, strict=False) if level == k), none)

        for k, taken in slots_taken(max(levels) + 1, counts):
            yield k, most, taken

    def _filled(self, own: int, least: int | None, k: int, most: int) -> int:
        """How many slots of ``most / 2**k`` one more VM takes."""
        if least is None or own < least:
            return 0
        level = slot_level(own, most)
        return 1 << (k - level) if level <= k else 0

    def _slots(self, k: int, size: int) -> IntArray:
        """How many slots of ``size / 2**k`` each node has free, shape (n_nodes,)."""
        return self._tables.get((k, size), lambda: free_slots(self._state.free, k, size))

    def _tightest(self, size: int, survived: BoolArray) -> tuple[int, int, int, int]:
        """The two failures that are survived with fewest slots of a size to spare: each with what it lacks and loses of them."""

        def two() -> IntArray:
            asked, slots = self._asked(size), self._slots(0, size)
            tight = np.where(survived & (asked > 0), asked + slots, -1)
            first = int(tight.argmax())
            most, tight[first] = int(tight[first]), -1
            second = int(tight.argmax())
            return np.array([first, most, second, tight[second]])

        first, most, second, next_most = self._tables.get(("tight", size), two).tolist()
        return first, most, second, next_most

    def _asked(self, size: int) -> IntArray:
        """How many slots of a size each node's VMs fill at least, shape (n_nodes,)."""

        def asked() -> IntArray:
            state, slots = self._state, np.zeros(len(self._state.usable), dtype=np.int64)
            for row in self._counted(size):
                slots += int(state.sizes[row]) // size * state.counts[row]
            return slots

        return self._tables.get(("asked", size), asked)

    def _counted(self, least: int) -> list[int]:
        """The rows of VMs of a size or more that are there."""
        state = self._state
        rows: list[int] = ((state.sizes[: len(state.totals)] >= least) & (state.totals > 0)).nonzero()[0].tolist()
        return rows


class LiveCertificates:
    """Both certificates of a pool.

    Parameters
    ----------
    state
        The pool.
    """

    def __init__(self, state: LiveState) -> None:
        self.any_order, self.slots = AnyOrderCertificate(state), SlotsCertificate(state)

    def certain(self, nodes: IntArray, item: LiveVM, settled: BoolArray) -> BoolArray:
        """Nodes on which one VM more harms no failure for certain, shape (len(nodes),).

        Parameters
        ----------
        nodes
            They have room for it.
        settled
            Failures that need not be looked at, but for that of the node itself, shape (n_nodes,).
        """
        exposed = np.flatnonzero(~settled & self.any_order.exposed(item))
        sure = self.any_order.left_with(nodes, item, exposed)
        if not sure.all():
            by_slots, left = self.slots.left_with(nodes, item, exposed)
            sure |= by_slots & self.any_order.left_with(nodes, item, left)
        if item.protected and not item.waits:
            sure &= (self.any_order.slack_on(nodes, item) > 0) | self.slots.survived_on(nodes, item)
        return sure
