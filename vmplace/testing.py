"""Hypothesis strategies for nodes and clusters: small whole numbers, and as many hard corners as they can hold.

Needs hypothesis (``pip install vmplace[test]``); ``import vmplace`` does not import this module.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from attrs import evolve, frozen
from hypothesis import strategies as st

from vmplace.cluster import Cluster
from vmplace.model import VM, Apart, Guarantee, Node, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.references import broken_references

__all__ = ["clusters", "nodes"]

Draw = Callable[[st.SearchStrategy[Any]], Any]
Placed = Literal["all", "none", "mixed"]

_DIVIDING, _UNEVEN, _MIXED = (1, 2, 4, 8), (3, 5, 7), tuple(range(1, 10))
_PALETTES = (_DIVIDING, _UNEVEN, _MIXED, (2, 3), (4,))
_SCALES = (1, 1, 1, 2, 512)
_SLACKS = ((0,), (0,), (0, 1, 3), (0, 1, 3), (0, -1))
_STATES = ("online", "online", "online", "online", "maintenance", "offline")
_HEADROOMS = (0.0, 0.1, 0.25, 0.5)
_MAX_RULES = 3


def nodes(*, name: str = "n0", max_memory: int = 64, states: bool = True, pools: bool = True) -> st.SearchStrategy[Node]:
    """Single nodes, some with a reserve.

    Parameters
    ----------
    name
        What they are called.
    max_memory
        The most memory they have, in MiB.
    states
        Whether some are in maintenance or offline.
    pools
        Whether some are in a second pool.
    """
    return st.integers(1, max_memory).flatmap(
        lambda memory: st.builds(
            Node,
            st.just(name),
            st.just(memory),
            reserve=st.integers(0, min(2, memory - 1)),
            state=st.sampled_from(_STATES) if states else st.just("online"),
            pool=st.sampled_from(("default", "second")) if pools else st.just("default"),
        )
    )


def clusters(
    *,
    min_nodes: int = 0,
    max_nodes: int = 4,
    max_vms: int = 6,
    placed: Placed = "mixed",
    rules: bool = True,
    states: bool = True,
    pools: bool = True,
    unprotected: bool = True,
    immovable: bool = True,
    priorities: bool = True,
    stopped: bool = True,
    headroom: bool = True,
    failures: Sequence[int] = (1,),
) -> st.SearchStrategy[Cluster]:
    """Valid clusters on the border between what can be survived and what cannot.

    The sizes come first, then a placement with a backup for each VM, then nodes that hold exactly this, or a
    little more or less; the VMs need not be placed that way in the cluster. Some have nodes of one size, some a
    VM as large as all others, some no VM or no node, and each does without some of the features.

    Parameters
    ----------
    min_nodes, max_nodes, max_vms
        How many nodes and VMs there are; `min_nodes` may be 0.
    placed
        Whether VMs have a node: ``"all"`` of them, ``"none"``, or some (``"mixed"``).
    rules
        Whether there are rules (up to three, of every kind, by name and by tag).
    states
        Whether nodes may be in maintenance or offline.
    pools
        Whether there may be a second pool.
    unprotected, immovable, priorities, stopped
        Whether VMs may be unprotected, not movable, of several priorities, or not running.
    headroom
        Whether the guarantee may ask for headroom.
    failures
        What the number of failures is drawn from.

    Examples
    --------
    >>> from hypothesis import given
    >>> from vmplace.testing import clusters
    >>> @given(clusters(max_nodes=3, rules=False))
    ... def test_plugin_writes_what_it_reads(cluster): ...
    """
    knobs = _Knobs(
        min_nodes, max_nodes, max_vms, placed, rules, states, pools, unprotected, immovable, priorities, stopped, headroom
    )
    return _clusters(knobs, tuple(failures))


@frozen
class _Knobs:
    min_nodes: int
    max_nodes: int
    max_vms: int
    placed: Placed
    rules: bool
    states: bool
    pools: bool
    unprotected: bool
    immovable: bool
    priorities: bool
    stopped: bool
    headroom: bool


@frozen
class _Frame:
    """Sizes and a placement, as node indices, that the nodes are made to fit."""

    pool_of: Sequence[str]
    sizes: Sequence[int]
    home: Sequence[int]

    def pool(self, node: int) -> list[int]:
        """The nodes of its pool."""
        return [other for other, name in enumerate(self.pool_of) if name == self.pool_of[node]]

    def on(self, nodes: Sequence[int]) -> list[int]:
        """Sizes of the VMs at home there."""
        return [size for size, home in zip(self.sizes, self.home, strict=True) if home in nodes]


@st.composite
def _clusters(draw: Draw, knobs: _Knobs, failures: tuple[int, ...]) -> Cluster:
    knobs = _swarm(draw, knobs)
    frame = _frame(draw, knobs)
    hosts = _nodes(draw, knobs, frame)
    places = _places(draw, knobs, frame, [host.usable for host in hosts])
    vms = [_vm(draw, knobs, frame, j, place) for j, place in enumerate(places)]
    rules: list[Rule] = []
    if knobs.rules and vms:
        hosts, vms = _tagged(draw, hosts), _tagged(draw, vms)
        rules = _consistent(hosts, vms, [_rule(draw, hosts, vms) for _ in range(draw(st.integers(1, _MAX_RULES)))])
    share = draw(st.sampled_from(_HEADROOMS)) if knobs.headroom else 0.0
    return Cluster(hosts, vms, rules, Guarantee(failures=draw(st.sampled_from(failures)), headroom=share))


def _swarm(draw: Draw, knobs: _Knobs) -> _Knobs:
    """Each cluster does without some of the features, if several are wanted: all at once leave little that can be placed."""
    features = ("rules", "states", "pools", "unprotected", "immovable", "priorities", "stopped", "headroom")
    wanted = [name for name in features if getattr(knobs, name)]
    return evolve(knobs, **{name: draw(_one_in(3)) for name in wanted}) if len(wanted) > 1 else knobs


def _frame(draw: Draw, knobs: _Knobs) -> _Frame:
    count = draw(_count(knobs.min_nodes, knobs.max_nodes))
    pools = ("default", "default", "second") if knobs.pools else ("default",)
    pool_of = [draw(st.sampled_from(pools)) for _ in range(count)]
    sizes = _sizes(draw, knobs.max_vms)
    return _Frame(pool_of, sizes, [draw(st.integers(0, max(0, count - 1))) for _ in sizes])


def _count(least: int, most: int) -> st.SearchStrategy[int]:
    """How many things; none or one are corners, to be drawn seldom."""
    return st.sampled_from([number for number in range(least, most + 1) for _ in range(1 + number)])


def _sizes(draw: Draw, max_vms: int) -> list[int]:
    palette = draw(st.sampled_from(_PALETTES))
    count = draw(_count(0, max_vms))
    scale = draw(st.sampled_from(_SCALES))
    sizes = [scale * draw(st.sampled_from(palette)) for _ in range(count)]
    if count > 1 and draw(_one_in(6)):
        sizes[0] = sum(sizes[1:])
    return sizes


def _nodes(draw: Draw, knobs: _Knobs, frame: _Frame) -> list[Node]:
    needs = [0] * len(frame.pool_of)
    for pool in sorted({tuple(frame.pool(node)) for node in range(len(needs))}):
        shape = draw(st.sampled_from((_cut, _cut, _spare, _spare, _even, _even, _free)))
        for node, need in zip(pool, shape(draw, frame, pool), strict=True):
            needs[node] = need
    slacks = draw(st.sampled_from(_SLACKS))
    return [_node(draw, knobs, i, frame.pool_of[i], need + draw(st.sampled_from(slacks))) for i, need in enumerate(needs)]


def _cut(draw: Draw, frame: _Frame, pool: Sequence[int]) -> list[int]:
    """What each node holds and, whichever other one fails, the restarts it is drawn to take."""
    arriving = {node: dict.fromkeys(pool, 0) for node in pool}
    for home in pool:
        others = [node for node in pool if node != home]
        for size in frame.on([home]) if others else ():
            arriving[draw(st.sampled_from(others))][home] += size
    return [sum(frame.on([node])) + max(arriving[node].values()) for node in pool]


def _spare(_draw: Draw, frame: _Frame, pool: Sequence[int]) -> list[int]:
    """All in use but for one node as large as the largest: the least memory with which any node may fail."""
    first, *others = pool
    loads = [sum(frame.on([node])) for node in others]
    if loads:
        loads[0] += sum(frame.on([first]))
    return [max(loads, default=0), *loads]


def _even(_draw: Draw, frame: _Frame, pool: Sequence[int]) -> list[int]:
    """Nodes of one size, as small as sums allow."""
    sizes = frame.on(pool)
    return [max([math.ceil(sum(sizes) / max(1, len(pool) - 1)), *sizes])] * len(pool)


def _free(draw: Draw, frame: _Frame, pool: Sequence[int]) -> list[int]:
    return [draw(st.integers(1, max(1, sum(frame.on(pool))))) for _ in pool]


def _node(draw: Draw, knobs: _Knobs, index: int, pool: str, room: int) -> Node:
    usable = max(1, room)
    reserve = draw(st.sampled_from((0, 0, 0, 1, 5)))
    state = draw(st.sampled_from(_STATES)) if knobs.states else "online"
    return Node(f"n{index}", usable + reserve, reserve=reserve, state=state, pool=pool)


def _places(draw: Draw, knobs: _Knobs, frame: _Frame, free: list[int]) -> list[int | None]:
    """Where the VMs are now: at home, anywhere in their pool, or wherever most is free (which leaves room in crumbs)."""
    way = draw(st.sampled_from(("home", "spread", "stray")))
    places: list[int | None] = []
    for size, home in zip(frame.sizes, frame.home, strict=True):
        waits = not free or knobs.placed == "none" or (knobs.placed == "mixed" and draw(_one_in(3)))
        place = None if waits else _place(draw, way, home, frame.pool(home), free)
        if place is not None:
            free[place] -= size
        places.append(place)
    return places


def _place(draw: Draw, way: str, home: int, pool: Sequence[int], free: Sequence[int]) -> int:
    if way == "home":
        return home
    if way == "spread":
        return max(pool, key=lambda node: free[node])
    place: int = draw(st.sampled_from(pool))
    return place


def _vm(draw: Draw, knobs: _Knobs, frame: _Frame, index: int, place: int | None) -> VM:
    pool = frame.pool_of[frame.home[index]] if frame.pool_of else "default"
    return VM(
        f"v{index}",
        frame.sizes[index],
        None if place is None else f"n{place}",
        running=not (knobs.stopped and draw(_one_in(8))),
        movable=not (knobs.immovable and draw(_one_in(4))),
        protected=not (knobs.unprotected and draw(_one_in(5))),
        priority=draw(st.sampled_from((0, 0, 1, -1))) if knobs.priorities else 0,
        pool=pool,
    )


def _one_in(count: int) -> st.SearchStrategy[bool]:
    return st.integers(0, count - 1).map(lambda number: number == count - 1)


def _tagged(draw: Draw, things: Sequence[Any]) -> list[Any]:
    return [evolve(thing, tags=frozenset({"red"})) if draw(st.booleans()) else thing for thing in things]


def _rule(draw: Draw, hosts: Sequence[Node], vms: Sequence[VM]) -> Rule:
    kind = draw(st.sampled_from((Apart, Together, OnlyOn, NotOn)))
    must = draw(st.sampled_from((True, True, False)))
    parts: dict[str, Any] = {"vms": _members(draw, vms), "must": must, "during_failover": not draw(_one_in(3))}
    if not must:
        parts["weight"] = draw(st.integers(1, 3))
    if kind in (OnlyOn, NotOn):
        parts["nodes"] = _members(draw, hosts)
    rule: Rule = kind(**parts)
    return rule


def _members(draw: Draw, things: Sequence[Any]) -> tuple[str, ...] | Tag:
    if not things or draw(_one_in(4)):
        return Tag("red")
    names = [thing.name for thing in things]
    return tuple(draw(st.lists(st.sampled_from(names), min_size=1, unique=True)))


def _consistent(hosts: Sequence[Node], vms: Sequence[VM], rules: Sequence[Rule]) -> list[Rule]:
    """The rules without those that contradict earlier ones: nothing is drawn in vain."""
    kept: list[Rule] = []
    for rule in rules:
        wanted = [*kept, rule]
        if not broken_references(list(enumerate(hosts)), list(enumerate(vms)), list(enumerate(wanted))):
            kept = wanted
    return kept
