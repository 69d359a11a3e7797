"""Nodes in the order in which they are tried: those with the most room first, or those with the least that suffices."""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from typing import Protocol

__all__ = ["LeastRoom", "MostRoom", "Nodes"]


class Nodes(Protocol):
    """Nodes in the order in which they are tried, by their room: memory in MiB, or less where something else is scarcer.

    Attributes
    ----------
    at_once : bool
        Whether a node that was taken comes next again until it has no room.
    """

    at_once: bool

    def __init__(self, rooms: Mapping[int, int], count: int) -> None: ...

    def take(self, least: int, fits: Callable[[int], bool], barred: Callable[[int], bool] | None = None) -> int | None:
        """Take out the first node that fits; none with less room than `least` does.

        Nodes that are barred are not asked for again before the next `settle`.
        """

    def put(self, node: int, room: int) -> None:
        """Put a node in, or back."""

    def settle(self) -> None:
        """Put back those that were barred."""


class MostRoom:
    """The node with the most room first, of several the first."""

    at_once = False

    def __init__(self, rooms: Mapping[int, int], count: int) -> None:
        self._heap, self._count = [node - room * count for node, room in rooms.items()], count
        self._barred: list[int] = []
        heapify(self._heap)

    def take(self, least: int, fits: Callable[[int], bool], barred: Callable[[int], bool] | None = None) -> int | None:
        heap, count, passed, found = self._heap, self._count, list[int](), None
        while found is None and heap and -(heap[0] // count) >= least:
            key = heappop(heap)
            if barred is not None and barred(key % count):
                self._barred.append(key)
            elif fits(key % count):
                found = key % count
            else:
                passed.append(key)
        for key in passed:
            heappush(heap, key)
        return found

    def put(self, node: int, room: int) -> None:
        heappush(self._heap, node - room * self._count)

    def settle(self) -> None:
        while self._barred:
            heappush(self._heap, self._barred.pop())


class LeastRoom:
    """The node with the least room that suffices first, of several the first."""

    at_once = True

    def __init__(self, rooms: Mapping[int, int], count: int) -> None:
        self._keys, self._count = sorted(room * count + node for node, room in rooms.items()), count
        self._barred: list[int] = []

    def take(self, least: int, fits: Callable[[int], bool], barred: Callable[[int], bool] | None = None) -> int | None:
        position = bisect_left(self._keys, least * self._count)
        while position < len(self._keys):
            node = self._keys[position] % self._count
            if barred is not None and barred(node):
                self._barred.append(self._keys.pop(position))
            elif fits(node):
                del self._keys[position]
                return node
            else:
                position += 1
        return None

    def put(self, node: int, room: int) -> None:
        insort(self._keys, room * self._count + node)

    def settle(self) -> None:
        while self._barred:
            insort(self._keys, self._barred.pop())
