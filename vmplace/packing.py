"""Quick plans for one failure: first-fit families that know the rules."""

from collections.abc import Callable, Iterator

from vmplace.restart import Item, Restart

__all__ = ["Assignment", "pack_all", "pack_most"]

Assignment = list[tuple[Item, int]]
"""Items with the candidate (an index into `Restart.nodes`) each restarts on."""


def pack_all(restart: Restart, *, soft: bool) -> Assignment | None:
    """A plan for all, or None if these quick ways find none; with `soft`, one that keeps every rule."""
    items = restart.joint_items(soft=soft)
    scarce = sorted(items, key=lambda item: (int(item.allowed.sum()), -item.memory))
    for order in (items, scarce):
        for prefer in (min, max):
            packed = _pack(restart, order, prefer, soft=soft)
            if len(packed) == len(items):
                return packed
    return None


def pack_most(restart: Restart) -> Assignment:
    """A plan for as many as come: higher priority first, then larger."""
    items = sorted(restart.single_items(), key=lambda item: (-item.priority, -item.memory, item.likeness))
    return _pack(restart, items, min, soft=False)


def _pack(restart: Restart, items: list[Item], prefer: Callable[..., tuple[int, int]], *, soft: bool) -> Assignment:
    """Each item in turn onto the fitting candidate with the least (`min`) or most (`max`) room left."""
    room = restart.free.tolist()
    closed: dict[int, set[int]] = {}
    home: dict[int, int] = {}
    packed: Assignment = []
    for item in items:
        apart = [k for k in _bound(restart, item, soft) if restart.bindings[k].kind == "apart"]
        together = [k for k in _bound(restart, item, soft) if restart.bindings[k].kind == "together"]
        fitting = [
            (room[i], i)
            for i in item.allowed.nonzero()[0].tolist()
            if room[i] >= item.memory
            and all(i not in closed.get(k, ()) for k in apart)
            and all(home.get(k, i) == i for k in together)
        ]
        if not fitting:
            continue
        _, chosen = prefer(fitting)
        room[chosen] -= item.memory
        for k in apart:
            closed.setdefault(k, set()).add(chosen)
        for k in together:
            home[k] = chosen
        packed.append((item, chosen))
    return packed


def _bound(restart: Restart, item: Item, soft: bool) -> Iterator[int]:
    for k, binding in enumerate(restart.bindings):
        if (binding.must or soft) and restart.members(binding, item):
            yield k
