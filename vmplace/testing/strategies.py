"""The strategies: clusters and nodes, drawn feature by feature."""

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve, fields
from hypothesis import strategies as st

from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.model.guarantee import Guarantee
from vmplace.model.references import broken_references
from vmplace.testing.skeleton import (
    Amount,
    Draw,
    Features,
    Placed,
    Skeleton,
    draw_amounts,
    draw_guarantee,
    draw_needs,
    draw_skeleton,
    one_in,
)

__all__ = ["EXTRAS", "clusters", "nodes"]

_STATES = ("online", "online", "online", "online", "maintenance", "offline")
_HEADROOMS = (0.0, 0.1, 0.25, 0.5)
_POLICIES = (None, "first-fit", "most-free", "best-fit", "fewest-vms")
_ORDERS = (None, "largest-first", "priority", "as-listed")
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
    domains: bool = False,
    resources: bool = False,
    evictable: bool = False,
    targets: bool = False,
    overhead: bool = False,
    node_headroom: bool = False,
    max_vm: bool = False,
    restart: Sequence[str] = ("planned",),
    policies: bool = False,
    sequences: Sequence[str] = ("at-once",),
    quorums: bool = False,
    mixed: bool = False,
    most_guarantees: int = 1,
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
    domains
        Whether nodes may be in failure domains, which may fail as one and hold VMs apart.
    resources
        Whether there may be further resources (one or two), with overcommit, some of them soft.
    evictable, targets
        Whether VMs may be evictable, or migrate to a target.
    overhead
        Whether VMs may have an overhead.
    node_headroom, max_vm
        Whether nodes may have a headroom of their own, or limit the size of VMs.
    restart
        What the guarantee's `restart` is drawn from.
    policies
        Whether a policy may restart the VMs, in any of the orders.
    sequences
        What the guarantee's `sequence` is drawn from.
    quorums
        Whether the guarantee may ask for a quorum.
    mixed
        Whether failure domains may fail and further nodes with them; needs `domains`.
    most_guarantees
        How many guarantees are asked for at most; of several, each is drawn as the first, and may protect some VMs only.

    Examples
    --------
    >>> from hypothesis import given
    >>> from vmplace.testing import clusters
    >>> @given(clusters(max_nodes=3, rules=False))
    ... def test_plugin_writes_what_it_reads(cluster): ...
    """
    asked = locals()
    features = Features(**{each.name: asked[each.name] for each in fields(Features)})
    guarantees = {"failures": tuple(failures), "restart": tuple(restart), "sequence": tuple(sequences)}
    guarantees |= {"quorum": _QUORUMS} if quorums else {}
    guarantees |= {"failures": (*failures, *_MIXED)} if mixed else {}
    guarantees |= {"policy": _POLICIES, "order": _ORDERS} if policies else {}
    return _clusters(features, guarantees, most_guarantees)


_MIXED = ({"domain": 1, "node": 1}, {"domain": 1, "node": 1}, {"domain": 1, "node": 2})
_QUORUMS = (None, "majority", 1, 2, 3)
_FEATURES = tuple(feature.name for feature in fields(Features))[4:]
EXTRAS = ("domains", "resources", "evictable", "targets", "overhead", "node_headroom", "max_vm")
"""What clusters have only where it is asked for."""


@st.composite
def _clusters(draw: Draw, features: Features, guarantees: Mapping[str, tuple[Any, ...]], most_guarantees: int) -> Cluster:
    features = _swarm(draw, features)
    frame = draw_skeleton(draw, features, guarantees)
    amounts = draw_amounts(draw, frame) if features.resources and frame.sizes else []
    hosts = _nodes(draw, features, frame, amounts)
    places = _places(draw, features, frame, [host.usable for host in hosts])
    vms = [_vm(draw, features, frame, amounts, j, place) for j, place in enumerate(places)]
    rules: list[Rule] = []
    if features.rules and vms:
        hosts, vms = _tagged(draw, hosts), _tagged(draw, vms)
        drawn = [_rule(draw, hosts, vms, features.domains) for _ in range(draw(st.integers(1, _MAX_RULES)))]
        rules = _consistent(hosts, vms, drawn)
    present = [amount for amount in amounts if any(amount.holdings)]
    asked = [frame.guarantee]
    if most_guarantees > 1:
        count = draw(st.integers(1, most_guarantees))
        asked = [
            _protecting_some(draw, vms, asked[0] if not n else draw_guarantee(draw, features, guarantees)) for n in range(count)
        ]
    if features.headroom:
        asked = [evolve(one, headroom=draw(st.sampled_from(_HEADROOMS))) for one in asked]
    return Cluster(
        hosts,
        vms,
        rules,
        asked,
        overcommit={amount.name: amount.ratio for amount in present if amount.ratio is not None},
        soft_resources=[amount.name for amount in present if amount.soft],
    )


def _protecting_some(draw: Draw, vms: Sequence[VM], asked: Guarantee) -> Guarantee:
    """The same for some VMs only, now and then."""
    return evolve(asked, vms=_members(draw, vms)) if vms and draw(one_in(3)) else asked


def _swarm(draw: Draw, features: Features) -> Features:
    """Each cluster does without some of the features, if several are wanted: all at once leave little that can be placed.

    Those that have to be asked for are left out less often.
    """
    wanted = [name for name in _FEATURES if getattr(features, name)]
    kept = {name: draw(one_in(3)) != (name in EXTRAS) for name in wanted} if len(wanted) > 1 else {}
    return evolve(features, **kept)


def _nodes(draw: Draw, features: Features, frame: Skeleton, amounts: Sequence[Amount]) -> list[Node]:
    rooms = frame.rooms or draw_needs(draw, frame)
    if amounts and draw(one_in(3)):
        rooms = [2 * room for room in rooms]  # so that a further resource binds
    return [_node(draw, features, frame, amounts, i, room) for i, room in enumerate(rooms)]


def _node(draw: Draw, features: Features, frame: Skeleton, amounts: Sequence[Amount], index: int, room: int) -> Node:
    usable = max(1, room)
    reserve = draw(st.sampled_from((0, 0, 0, 1, 5)))
    return Node(
        f"n{index}",
        usable + reserve,
        reserve=reserve,
        state=draw(st.sampled_from(_STATES)) if features.states else "online",
        domain=frame.domain_of[index],
        pool=frame.pool_of[index],
        resources={amount.name: amount.holdings[index] for amount in amounts if amount.holdings[index]},
        headroom=draw(st.sampled_from((None, 0, 0.25, 1, 2))) if features.node_headroom and usable > 1 else None,
        max_vm=_max_vm(draw, frame, amounts) if features.max_vm and frame.sizes and draw(st.booleans()) else {},
    )


def _max_vm(draw: Draw, frame: Skeleton, amounts: Sequence[Amount]) -> dict[str, int]:
    """Limits that some VM is just within, or just beyond."""
    sizes = {"memory": frame.sizes, **{amount.name: amount.demands for amount in amounts if any(amount.holdings)}}
    named = draw(st.lists(st.sampled_from(sorted(sizes)), min_size=1, unique=True))
    least = {name: 1 if name == "memory" else 0 for name in named}
    return {name: max(least[name], draw(st.sampled_from(sizes[name])) - draw(st.sampled_from((0, 0, 0, 1)))) for name in named}


def _places(draw: Draw, features: Features, frame: Skeleton, free: list[int]) -> list[int | None]:
    """Where the VMs are now: at home, anywhere in their pool, or wherever most is free (which leaves room in crumbs)."""
    way = draw(st.sampled_from(("home", "spread", "stray")))
    places: list[int | None] = []
    for size, home in zip(frame.sizes, frame.home, strict=True):
        waits = not free or features.placed == "none" or (features.placed == "mixed" and draw(one_in(3)))
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


def _vm(draw: Draw, features: Features, frame: Skeleton, amounts: Sequence[Amount], index: int, place: int | None) -> VM:
    pool = frame.pool_of[frame.home[index]] if frame.pool_of else "default"
    target = frame.target[index] if place is not None else None
    overhead = draw(st.integers(0, frame.sizes[index] - 1)) if features.overhead and draw(st.booleans()) else 0
    return VM(
        f"v{index}",
        frame.sizes[index] - overhead,
        None if place is None else f"n{place}",
        target=None if target is None else f"n{target}",
        running=not (features.stopped and draw(one_in(8))),
        movable=not (features.immovable and draw(one_in(4))),
        protected=not (features.unprotected and draw(one_in(5))),
        evictable=frame.evictable[index],
        priority=draw(st.sampled_from((0, 0, 1, -1))) if features.priorities else 0,
        pool=pool,
        resources={amount.name: amount.demands[index] for amount in amounts if amount.demands[index]},
        overhead=overhead,
    )


def _tagged(draw: Draw, things: Sequence[Any]) -> list[Any]:
    return [evolve(thing, tags=frozenset({"red"})) if draw(st.booleans()) else thing for thing in things]


def _rule(draw: Draw, hosts: Sequence[Node], vms: Sequence[VM], domains: bool) -> Rule:
    kind = draw(st.sampled_from((Apart, Together, OnlyOn, NotOn)))
    must = draw(st.sampled_from((True, True, False)))
    parts: dict[str, Any] = {"vms": _members(draw, vms), "must": must, "during_failover": not draw(one_in(3))}
    if not must:
        parts["weight"] = draw(st.integers(1, 3))
    if kind in (OnlyOn, NotOn):
        parts["nodes"] = _members(draw, hosts)
    if kind is Apart and domains:
        parts["scope"] = draw(st.sampled_from(("node", "domain", "domain")))
    rule: Rule = kind(**parts)
    return rule


def _members(draw: Draw, things: Sequence[Any]) -> tuple[str, ...] | Tag:
    if not things or draw(one_in(4)):
        return Tag("red")
    names = [thing.name for thing in things]
    return tuple(draw(st.lists(st.sampled_from(names), min_size=1, unique=True)))


def _consistent(hosts: Sequence[Node], vms: Sequence[VM], rules: Sequence[Rule]) -> list[Rule]:
    """The rules without those that contradict earlier ones: nothing is drawn in vain."""
    kept: list[Rule] = []
    for rule in rules:
        wanted = [*kept, rule]
        if not broken_references(NodeColumns.holding(hosts), VMColumns.holding(vms), list(enumerate(wanted))):
            kept = wanted
    return kept
