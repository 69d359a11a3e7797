"""Which failures of a live pool are survived, or not, told for all nodes at once in array passes; and with one VM more."""

from collections.abc import Iterator

import numpy as np

from vmplace.admission.incremental.state import LiveState, LiveVM
from vmplace.model.columns import BoolArray, IntArray

__all__ = ["SURE", "LiveCertificates"]

SURE = np.int64(1) << 60
"""The slack of a failure that displaces nothing."""


class LiveCertificates:
    """What `failover.certificates` tells of a placement, of one that changes: tables are made again when they are asked for.

    Parameters
    ----------
    state
        The pool.
    """

    def __init__(self, state: LiveState) -> None:
        self._state = state
        self._known: dict[object, IntArray] = {}
        self._version = -1

    def _cached(self, key: object) -> IntArray | None:
        if self._version != self._state.version:
            self._known.clear()
            self._version = self._state.version
        return self._known.get(key)

    # In any order

    @property
    def slack(self) -> IntArray:
        """What each failure's certificate of restarts in any order has to spare, in MiB, shape (n_nodes,): it holds above 0."""
        slack = self._cached("slack")
        if slack is None:
            slack = self._known["slack"] = self._slack()
        return slack

    def _slack(self) -> IntArray:
        state = self._state
        some = state.largest >= 0
        if not some.any():
            return np.full(len(state.usable), SURE)
        size = state.sizes[state.largest]
        own = np.maximum(state.whole - size + state.step, 0)
        return np.where(some, state.room[state.largest] - own - state.displaced + size, SURE)

    def slack_with(self, node: int, item: LiveVM) -> int:
        """The same of a node's failure with one VM more on it that must restart."""
        state = self._state
        row = state.row[item.memory]
        mine = int(state.largest[node])
        size = item.memory
        if mine >= 0 and state.sizes[mine] > size:
            row, size = mine, int(state.sizes[mine])
        own = max(int(state.whole[node]) - size + state.step, 0)
        return int(state.room[row]) - own - int(state.displaced[node]) - item.memory + size

    # By slots

    def by_slots(self, node: int = -1, item: LiveVM | None = None) -> BoolArray:
        """Failures survived if the largest VMs restart first, shape (n_nodes,); as things stand, or with one VM more on a node.

        Whoever is small enough never to be stranded may wait. The others count with their memory rounded up to ``M / 2**k``, M
        being the largest of all: sizes that divide each other all fit if, for each k, they fill no more slots of ``M / 2**k``
        than the survivors have free. Sound, not complete.
        """
        known = self._cached("slots") if item is None else None
        if known is not None:
            return known.astype(bool)
        state = self._state
        less = np.zeros_like(state.sizes) if item is None else state.above_on(node) - state.above_on(node, item.memory)
        least = self._least_large(item, less)
        enough = self._enough(least, node, item)
        if item is None:
            self._known["slots"] = enough.astype(np.int64)
        return enough

    def _least_large(self, item: LiveVM | None, less: IntArray) -> int | None:
        """The smallest size of VMs that may be stranded; 0 if none may, None if such VMs are not counted.

        Parameters
        ----------
        item
            A VM more, wherever it is.
        less
            How much less room there is for each size.
        """
        state = self._state
        more = item.memory if item is not None and item.protected else 0
        most = int(state.displaced.max(initial=0)) + more
        roomiest = int(state.whole.max(initial=0))
        asked = state.sizes <= most  # no failure displaces a larger one
        holds = state.room - less - np.maximum(roomiest - state.sizes + state.step, 0) > most - state.sizes
        small = int(state.sizes[holds & asked].max(initial=0))
        large = asked & (state.sizes > small)
        if large[len(state.counts) :].any():
            return None
        return int(state.sizes[large].min(initial=SURE)) if large.any() else 0

    def _enough(self, least: int | None, node: int, item: LiveVM | None) -> BoolArray:
        """Failures whose VMs of a size or more all find slots, shape (n_nodes,)."""
        state = self._state
        enough = np.full(len(state.usable), least is not None)
        if not least:
            return enough
        free = int(state.free[node]) - item.memory if item is not None else 0
        own = item.memory if item is not None and item.protected else 0
        for k, most, taken in self._taken(least, own):
            slots = self._slots(k, most)
            total = int(slots.sum())
            lost = 0 if item is None else int(slots[node]) - (max(free, 0) << k) // most
            fits = taken + slots <= total - lost
            if item is not None:
                more = 1 << (k - _fold(own, most)) if own >= least and _fold(own, most) <= k else 0
                fits[node] = int(taken[node]) + int(slots[node]) + more <= total
            enough &= fits
        return enough

    def _taken(self, least: int, own: int) -> Iterator[tuple[int, int, IntArray]]:
        """For each k, the largest size M, and how many slots of ``M / 2**k`` VMs of a size or more take, shape (n_nodes,)."""
        state = self._state
        rows = [row for row in np.flatnonzero(state.sizes >= least).tolist() if state.totals[row]]
        sizes = [int(state.sizes[row]) for row in rows]
        most = max([*sizes, own, least])
        taken = np.zeros(len(state.usable), dtype=np.int64)
        for k in range(_fold(min([*sizes, max(own, least)]), most) + 1):
            taken = 2 * taken
            for row, size in zip(rows, sizes, strict=True):
                if _fold(size, most) == k:
                    taken = taken + state.counts[row]
            yield k, most, taken

    def _slots(self, k: int, size: int) -> IntArray:
        """How many slots of ``size / 2**k`` each node has free, shape (n_nodes,)."""
        key = k, size
        slots = self._cached(key)
        if slots is None:
            slots = self._known[key] = (self._state.free << k) // size
        return slots

    # For all nodes at once

    def certain(self, nodes: IntArray, item: LiveVM, settled: BoolArray) -> BoolArray:
        """Nodes on which one VM more harms no failure for certain, shape (len(nodes),).

        Parameters
        ----------
        nodes
            They have room for it.
        settled
            Failures that need not be looked at, but for that of the node itself, shape (n_nodes,).
        """
        state = self._state
        exposed = np.flatnonzero(~settled & (self.slack <= item.memory + state.step))
        sure = self._in_any_order(nodes, item, exposed)
        if not sure.all():
            by_slots, left = self._whatever(nodes, item, exposed)
            sure |= by_slots & self._in_any_order(nodes, item, left)
        if item.protected and not item.waits:
            mine = state.largest[nodes]
            size = np.maximum(np.where(mine >= 0, state.sizes[mine], 0), item.memory)
            row = np.where(size == item.memory, state.row[item.memory], mine)
            room = state.room[row] - np.maximum(state.whole[nodes] - size + state.step, 0)
            in_any_order = room > state.displaced[nodes] + item.memory - size
            sure &= in_any_order | self._with_slots(nodes, item)
        return sure

    def _in_any_order(self, nodes: IntArray, item: LiveVM, exposed: IntArray) -> BoolArray:
        """Nodes whose loss of room leaves some failures' certificates in any order, their own aside, shape (len(nodes),)."""
        state, sure = self._state, np.ones(len(nodes), dtype=bool)
        if not len(exposed):
            return sure
        whole, free = state.whole[nodes], state.free[nodes] - item.memory
        after = free // state.step * state.step
        slack, largest = self.slack[exposed], state.largest[exposed]
        for row in np.unique(largest).tolist():
            mine = np.flatnonzero(largest == row)
            first = int(mine[slack[mine].argmin()])
            least, second = int(slack[first]), int(slack[mine[mine != first]].min(initial=SURE))
            above = state.sizes[row] - state.step
            less = np.maximum(whole - above, 0) - np.maximum(after - above, 0)
            sure &= less < np.where(nodes == exposed[first], second, least)
        return sure

    def _whatever(self, nodes: IntArray, item: LiveVM, exposed: IntArray) -> tuple[BoolArray, IntArray]:
        """Nodes whose loss of room leaves some failures enough slots, and those failures that have not enough even without.

        Returns
        -------
        tuple
            Of shape (len(nodes),), and the failures.
        """
        state = self._state
        roomiest = int(state.whole[nodes].max(initial=0))
        less = np.clip(roomiest - state.sizes + state.step, 0, item.memory + state.step)
        least = self._least_large(item, less)
        sure, enough = np.full(len(nodes), least is not None), np.full(len(exposed), least is not None)
        tables = [(k, most, taken[exposed], self._slots(k, most)) for k, most, taken in self._taken(least, 0)] if least else []
        for _, _, taken, slots in tables:
            enough &= taken + slots[exposed] <= slots.sum()
        for k, most, taken, slots in tables:
            spare = int(slots.sum()) - int((taken + slots[exposed])[enough].max(initial=0))
            sure &= slots[nodes] - ((state.free[nodes] - item.memory) << k) // most <= spare
        return sure, exposed[~enough]

    def _with_slots(self, nodes: IntArray, item: LiveVM) -> BoolArray:
        """Nodes whose own failure is survived by slots with one VM more on them, shape (len(nodes),)."""
        least = self._least_large(item, np.zeros_like(self._state.sizes))
        enough = np.full(len(nodes), least is not None)
        if least:
            for k, most, taken in self._taken(least, item.memory):
                slots, fold = self._slots(k, most), _fold(item.memory, most)
                more = 1 << (k - fold) if item.memory >= least and fold <= k else 0
                enough &= taken[nodes] + more + slots[nodes] <= slots.sum()
        return enough

    # What cannot be survived

    def short_of_slots(self, nodes: IntArray, item: LiveVM, survived: BoolArray) -> IntArray:
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
            first, most, second, next_most = self._tightest(size, survived, slots, asked)
            then = total - slots[nodes] + (state.free[nodes] - item.memory) // size
            worst = np.where(nodes == first, next_most, most)
            blamed = np.where((blamed < 0) & (worst > then), np.where(nodes == first, second, first), blamed)
            if item.protected and not item.waits:
                own = survived[nodes] & (asked[nodes] + item.memory // size > total - slots[nodes])
                blamed = np.where((blamed < 0) & own, nodes, blamed)
            if (blamed >= 0).all():
                break
        return blamed

    def _tightest(self, size: int, survived: BoolArray, slots: IntArray, asked: IntArray) -> tuple[int, int, int, int]:
        """The two failures that are survived with fewest slots of a size to spare: each with what it lacks and loses of them."""
        key = "tight", size
        known = self._cached(key)
        if known is None:
            tight = np.where(survived & (asked > 0), asked + slots, -1)
            first = int(tight.argmax())
            most, tight[first] = int(tight[first]), -1
            second = int(tight.argmax())
            known = self._known[key] = np.array([first, most, second, tight[second]])
        first, most, second, next_most = known.tolist()
        return first, most, second, next_most

    def _asked(self, size: int) -> IntArray:
        """How many slots of a size each node's VMs fill at least, shape (n_nodes,)."""
        key = "asked", size
        asked = self._cached(key)
        if asked is None:
            state = self._state
            asked = np.zeros(len(state.usable), dtype=np.int64)
            for row in np.flatnonzero(state.sizes >= size).tolist():
                if state.totals[row]:
                    asked += int(state.sizes[row]) // size * state.counts[row]
            self._known[key] = asked
        return asked


def _fold(size: int, most: int) -> int:
    """The largest k such that a size is at most ``most / 2**k``."""
    return (most // size).bit_length() - 1
