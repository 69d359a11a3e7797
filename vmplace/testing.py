"""Hypothesis strategies for nodes and clusters: small whole numbers, and as many hard corners as they can hold.

Needs hypothesis (``pip install vmplace[test]``); ``import vmplace`` does not import this module.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any, Literal

from attrs import evolve, fields, frozen
from hypothesis import strategies as st

from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import VM, Apart, Guarantee, Node, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.model.references import broken_references

__all__ = ["clusters", "nodes"]

Draw = Callable[[st.SearchStrategy[Any]], Any]
Placed = Literal["all", "none", "mixed"]

_DIVIDING, _UNEVEN, _MIXED = (1, 2, 4, 8), (3, 5, 7), tuple(range(1, 10))
_PALETTES = (_DIVIDING, _UNEVEN, _MIXED, (2, 3), (4,))
_SCALES = (1, 1, 1, 2, 512)
_SLACKS = ((0,), (0,), (0, 1, 3), (0, 1, 3), (0, -1))
_STATES = ("online", "online", "online", "online", "maintenance", "offline")
_HEADROOMS = (0.0, 0.1, 0.25, 0.5)
_DOMAINS = (None, "rack-a", "rack-a", "rack-b", "rack-b", "rack-c")
_RESOURCES = ("vcpu", "disk")
_RATIOS = (None, 1.0, 1.5, 2.5, 4.0, 0.5)
_POLICIES = (None, "first-fit", "most-free", "best-fit")
_ORDERS = (None, "largest-first", "priority", "as-listed")
_MAX_RULES = 3
_IN_TURN = (
    ((7, 4, 4, 3, 7, 5), (2, 1, 1, 3, 0, 2), (14, 16, 16, 16)),
    ((3, 5, 4, 3, 5, 4), (1, 1, 0, 0, 3, 3), (14, 13, 11, 13)),
    ((5, 4, 4, 2, 3, 7), (2, 3, 3, 1, 0, 1), (13, 13, 12, 13)),
)
"""Sizes, homes and rooms of nodes any two of which can fail at once but not in turn; too rare to be met by chance."""


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
    restart: Sequence[str] = ("planned",),
    policies: bool = False,
    sequences: Sequence[str] = ("at-once",),
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
    restart
        What the guarantee's `restart` is drawn from.
    policies
        Whether a policy may restart the VMs, in any of the orders.
    sequences
        What the guarantee's `sequence` is drawn from.

    Examples
    --------
    >>> from hypothesis import given
    >>> from vmplace.testing import clusters
    >>> @given(clusters(max_nodes=3, rules=False))
    ... def test_plugin_writes_what_it_reads(cluster): ...
    """
    knobs = _Knobs(
        min_nodes=min_nodes,
        max_nodes=max_nodes,
        max_vms=max_vms,
        placed=placed,
        rules=rules,
        states=states,
        pools=pools,
        unprotected=unprotected,
        immovable=immovable,
        priorities=priorities,
        stopped=stopped,
        headroom=headroom,
        domains=domains,
        resources=resources,
        evictable=evictable,
        targets=targets,
    )
    guarantees = {"failures": tuple(failures), "restart": tuple(restart), "sequence": tuple(sequences)}
    return _clusters(knobs, guarantees | ({"policy": _POLICIES, "order": _ORDERS} if policies else {}))


@frozen(kw_only=True)
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
    domains: bool
    resources: bool
    evictable: bool
    targets: bool


_FEATURES = tuple(knob.name for knob in fields(_Knobs))[4:]
_ASKED_FOR = ("domains", "resources", "evictable", "targets")


@frozen
class _Skeleton:
    """Sizes and a placement, as node indices, that the nodes are made to fit (or what room they have, where that is known)."""

    pool_of: Sequence[str]
    domain_of: Sequence[str | None]
    guarantee: Guarantee
    sizes: Sequence[int]
    home: Sequence[int]
    target: Sequence[int | None]
    evictable: Sequence[bool]
    rooms: Sequence[int] = ()

    def pool(self, node: int) -> list[int]:
        """The nodes of its pool."""
        return [other for other, name in enumerate(self.pool_of) if name == self.pool_of[node]]

    def on(self, nodes: Iterable[int]) -> list[int]:
        """Sizes of the VMs at home there that must restart if need be."""
        return [s for s, home, spare in zip(self.sizes, self.home, self.evictable, strict=True) if home in nodes and not spare]

    def load(self, node: int, *, kept: bool) -> int:
        """What the VMs at home there and those on their way take, or only what is kept in a failure."""
        vms = zip(self.sizes, self.home, self.target, self.evictable, strict=True)
        return sum(size * ((home == node) + (target == node)) for size, home, target, spare in vms if not (kept and spare))

    def units(self, pool: Sequence[int]) -> list[list[int]]:
        """The nodes of a pool, by what fails as one."""
        if self.guarantee.scope == "node":
            return [[node] for node in pool]
        units: dict[object, list[int]] = {}
        for node in pool:
            units.setdefault(self.domain_of[node] or node, []).append(node)
        return list(units.values())

    def failing(self, pool: Sequence[int]) -> list[list[int]]:
        """What may fail together, as far as that leaves a survivor."""
        units = self.units(pool)
        most = min(max(1, self.guarantee.failures), len(units) - 1)
        return [[node for unit in failed for node in unit] for failed in combinations(units, most)]


@st.composite
def _clusters(draw: Draw, knobs: _Knobs, guarantees: Mapping[str, tuple[Any, ...]]) -> Cluster:
    knobs = _swarm(draw, knobs)
    frame = _frame(draw, knobs, guarantees)
    amounts = _amounts(draw, frame) if knobs.resources and frame.sizes else []
    hosts = _nodes(draw, knobs, frame, amounts)
    places = _places(draw, knobs, frame, [host.usable for host in hosts])
    vms = [_vm(draw, knobs, frame, amounts, j, place) for j, place in enumerate(places)]
    rules: list[Rule] = []
    if knobs.rules and vms:
        hosts, vms = _tagged(draw, hosts), _tagged(draw, vms)
        drawn = [_rule(draw, hosts, vms, knobs.domains) for _ in range(draw(st.integers(1, _MAX_RULES)))]
        rules = _consistent(hosts, vms, drawn)
    share = draw(st.sampled_from(_HEADROOMS)) if knobs.headroom else 0.0
    return Cluster(
        hosts,
        vms,
        rules,
        evolve(frame.guarantee, headroom=share),
        overcommit={amount.name: amount.ratio for amount in amounts if amount.ratio is not None},
        soft_resources=[amount.name for amount in amounts if amount.soft],
    )


def _swarm(draw: Draw, knobs: _Knobs) -> _Knobs:
    """Each cluster does without some of the features, if several are wanted: all at once leave little that can be placed.

    Those that have to be asked for are left out less often.
    """
    wanted = [name for name in _FEATURES if getattr(knobs, name)]
    kept = {name: draw(_one_in(3)) != (name in _ASKED_FOR) for name in wanted} if len(wanted) > 1 else {}
    return evolve(knobs, **kept)


def _frame(draw: Draw, knobs: _Knobs, guarantees: Mapping[str, tuple[Any, ...]]) -> _Skeleton:
    count = draw(_count(knobs.min_nodes, knobs.max_nodes))
    pools = ("default", "default", "second") if knobs.pools else ("default",)
    pool_of = [draw(st.sampled_from(pools)) for _ in range(count)]
    domain_of = [draw(st.sampled_from(_DOMAINS)) if knobs.domains else None for _ in range(count)]
    scope = draw(st.sampled_from(("node", "domain", "domain"))) if knobs.domains else "node"
    guarantee = Guarantee(scope=scope, **{name: draw(st.sampled_from(choice)) for name, choice in guarantees.items()})
    rooms: Sequence[int] = ()
    if guarantee.sequence == "sequential" and knobs.max_nodes > 3 and knobs.max_vms > 5 and draw(_one_in(6)):
        sizes, home, rooms = draw(st.sampled_from(_IN_TURN))
        pool_of, domain_of = ["default"] * len(rooms), [None] * len(rooms)
    else:
        sizes = _sizes(draw, knobs.max_vms)
        last = max(0, count - 1)
        if guarantee.policy is not None or guarantee.restart == "any-order":
            last = draw(st.sampled_from((last, last // 2)))  # the more restart at once, the more their order matters
        home = [draw(st.integers(0, last)) for _ in sizes]
    evictable = [knobs.evictable and draw(_one_in(3)) for _ in sizes]
    target = [_target(draw, knobs, pool_of, at) for at in home]
    return _Skeleton(pool_of, domain_of, guarantee, sizes, home, target, evictable, rooms)


def _target(draw: Draw, knobs: _Knobs, pool_of: Sequence[str], home: int) -> int | None:
    """Where a VM is on its way to: any node of its pool, if anywhere."""
    if not (knobs.targets and pool_of and draw(_one_in(3))):
        return None
    node: int = draw(st.sampled_from([node for node, pool in enumerate(pool_of) if pool == pool_of[home]]))
    return node


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


@frozen
class _Amount:
    """A further resource: what VMs need of it and nodes have."""

    name: str
    ratio: float | None
    soft: bool
    demands: Sequence[int]
    holdings: Sequence[int]


def _amounts(draw: Draw, frame: _Skeleton) -> list[_Amount]:
    return [_amount(draw, frame, name) for name in _RESOURCES[: draw(st.integers(1, 2))]]


def _amount(draw: Draw, frame: _Skeleton, name: str) -> _Amount:
    """As much as is needed, rounded up so that it is enough after overcommit."""
    palette = draw(st.sampled_from(((0, 1), (0, 1, 2, 4), (1, 2, 3), (3, 5))))
    demands = [draw(st.sampled_from(palette)) for _ in frame.sizes]
    ratio, soft = draw(st.sampled_from(_RATIOS)), draw(_one_in(3))
    needs = _needs(draw, evolve(frame, sizes=demands))
    return _Amount(name, ratio, soft, demands, [math.ceil(max(0, need) / Fraction(ratio or 1)) for need in needs])


def _needs(draw: Draw, frame: _Skeleton) -> list[int]:
    """What each node must have of what the sizes are of, or a little more or less."""
    needs = [0] * len(frame.pool_of)
    shapes = [_cut, _cut, _spare, _spare, _even, _even, _free]
    if frame.guarantee.policy is not None:
        shapes += [_exact] * 4
    elif frame.guarantee.restart == "any-order":
        shapes += [_crumbs] * 4
    if (frame.guarantee.failures, frame.guarantee.scope) > (1, "node") and draw(_one_in(4)):
        frame = evolve(frame, guarantee=Guarantee())  # as many clusters are, before more is asked of them
    for pool in sorted({tuple(frame.pool(node)) for node in range(len(needs))}):
        shape = draw(st.sampled_from(shapes))
        for node, need in zip(pool, shape(draw, frame, pool), strict=True):
            needs[node] = need
    slacks = draw(st.sampled_from(_SLACKS))
    return [need + draw(st.sampled_from(slacks)) for need in needs]


def _cut(draw: Draw, frame: _Skeleton, pool: Sequence[int], failing: Sequence[Sequence[int]] = ()) -> list[int]:
    """What each node holds and, whichever others fail, the restarts it is drawn to take."""
    most = dict.fromkeys(pool, 0)
    for failed in failing or frame.failing(pool):
        others, arriving = [node for node in pool if node not in failed], dict.fromkeys(pool, 0)
        for size in frame.on(failed):
            arriving[draw(st.sampled_from(others))] += size
        most = {node: max(most[node], arriving[node]) for node in pool}
    return [max(frame.load(node, kept=False), frame.load(node, kept=True) + most[node]) for node in pool]


def _exact(draw: Draw, frame: _Skeleton, pool: Sequence[int]) -> list[int]:
    """The same for the failure alone that displaces the most VMs: nothing is left over then."""
    return _cut(draw, frame, pool, [max(frame.failing(pool), key=lambda failed: len(frame.on(failed)))])


def _spare(_draw: Draw, frame: _Skeleton, pool: Sequence[int]) -> list[int]:
    """All in use but for as many units as fail, each with a node as large as the largest: the least with which any may fail."""
    units = frame.units(pool)
    count = min(max(1, frame.guarantee.failures), len(units))
    idle, busy = units[:count], [node for unit in units[count:] for node in unit]
    needs = {node: frame.load(node, kept=False) for node in pool}
    if busy:
        needs[busy[0]] += sum(needs[node] for unit in idle for node in unit)
    largest = max((sum(needs[node] for node in unit) for unit in units[count:]), default=0)
    spare = {node: largest if node == unit[0] else 0 for unit in idle for node in unit}
    return [spare.get(node, needs[node]) for node in pool]


def _even(_draw: Draw, frame: _Skeleton, pool: Sequence[int]) -> list[int]:
    """Nodes of one size, as small as sums allow."""
    sizes = [size for size, home in zip(frame.sizes, frame.home, strict=True) if home in pool]
    survivors = min(len(pool) - len(failed) for failed in frame.failing(pool))
    return [max([math.ceil(sum(sizes) / max(1, survivors)), *sizes])] * len(pool)


def _crumbs(draw: Draw, frame: _Skeleton, pool: Sequence[int]) -> list[int]:
    """Nearly room enough for the largest restart on each node, and as much more as takes all others to fill."""
    *others, largest = sorted(max((frame.on(failed) for failed in frame.failing(pool)), key=sum)) or [0]
    step = math.gcd(*others, largest)
    free = dict.fromkeys(pool, max(0, largest - step))
    for size in (*others, step):
        free[draw(st.sampled_from(pool))] += size
    return [max(frame.load(node, kept=False), frame.load(node, kept=True) + free[node]) for node in pool]


def _free(draw: Draw, frame: _Skeleton, pool: Sequence[int]) -> list[int]:
    return [draw(st.integers(1, max(1, sum(frame.load(node, kept=False) for node in pool)))) for _ in pool]


def _nodes(draw: Draw, knobs: _Knobs, frame: _Skeleton, amounts: Sequence[_Amount]) -> list[Node]:
    rooms = frame.rooms or _needs(draw, frame)
    if amounts and draw(_one_in(3)):
        rooms = [2 * room for room in rooms]  # so that a further resource binds
    return [_node(draw, knobs, frame, amounts, i, room) for i, room in enumerate(rooms)]


def _node(draw: Draw, knobs: _Knobs, frame: _Skeleton, amounts: Sequence[_Amount], index: int, room: int) -> Node:
    usable = max(1, room)
    reserve = draw(st.sampled_from((0, 0, 0, 1, 5)))
    return Node(
        f"n{index}",
        usable + reserve,
        reserve=reserve,
        state=draw(st.sampled_from(_STATES)) if knobs.states else "online",
        domain=frame.domain_of[index],
        pool=frame.pool_of[index],
        resources={amount.name: amount.holdings[index] for amount in amounts if amount.holdings[index]},
    )


def _places(draw: Draw, knobs: _Knobs, frame: _Skeleton, free: list[int]) -> list[int | None]:
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


def _vm(draw: Draw, knobs: _Knobs, frame: _Skeleton, amounts: Sequence[_Amount], index: int, place: int | None) -> VM:
    pool = frame.pool_of[frame.home[index]] if frame.pool_of else "default"
    target = frame.target[index] if place is not None else None
    return VM(
        f"v{index}",
        frame.sizes[index],
        None if place is None else f"n{place}",
        target=None if target is None else f"n{target}",
        running=not (knobs.stopped and draw(_one_in(8))),
        movable=not (knobs.immovable and draw(_one_in(4))),
        protected=not (knobs.unprotected and draw(_one_in(5))),
        evictable=frame.evictable[index],
        priority=draw(st.sampled_from((0, 0, 1, -1))) if knobs.priorities else 0,
        pool=pool,
        resources={amount.name: amount.demands[index] for amount in amounts if amount.demands[index]},
    )


def _one_in(count: int) -> st.SearchStrategy[bool]:
    return st.integers(0, count - 1).map(lambda number: number == count - 1)


def _tagged(draw: Draw, things: Sequence[Any]) -> list[Any]:
    return [evolve(thing, tags=frozenset({"red"})) if draw(st.booleans()) else thing for thing in things]


def _rule(draw: Draw, hosts: Sequence[Node], vms: Sequence[VM], domains: bool) -> Rule:
    kind = draw(st.sampled_from((Apart, Together, OnlyOn, NotOn)))
    must = draw(st.sampled_from((True, True, False)))
    parts: dict[str, Any] = {"vms": _members(draw, vms), "must": must, "during_failover": not draw(_one_in(3))}
    if not must:
        parts["weight"] = draw(st.integers(1, 3))
    if kind in (OnlyOn, NotOn):
        parts["nodes"] = _members(draw, hosts)
    if kind is Apart and domains:
        parts["scope"] = draw(st.sampled_from(("node", "domain", "domain")))
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
        if not broken_references(NodeColumns.holding(hosts), VMColumns.holding(vms), list(enumerate(wanted))):
            kept = wanted
    return kept
