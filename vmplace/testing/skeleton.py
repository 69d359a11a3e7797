"""The skeletons of drawn clusters: sizes, homes, and memory for the nodes that is just enough, or just too little."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any, Literal

from attrs import evolve, frozen
from hypothesis import strategies as st

from vmplace.model.guarantee import Guarantee
from vmplace.model.kinds import Scope

__all__ = [
    "Amount",
    "Draw",
    "Features",
    "Placed",
    "Skeleton",
    "draw_amounts",
    "draw_guarantee",
    "draw_needs",
    "draw_skeleton",
    "one_in",
]

Draw = Callable[[st.SearchStrategy[Any]], Any]
Placed = Literal["all", "none", "mixed"]

_DIVIDING, _UNEVEN, _MIXED = (1, 2, 4, 8), (3, 5, 7), tuple(range(1, 10))
_PALETTES = (_DIVIDING, _UNEVEN, _MIXED, (2, 3), (4,))
_SCALES = (1, 1, 1, 2, 512)
_SLACKS = ((0,), (0,), (0, 1, 3), (0, 1, 3), (0, -1))
_DOMAINS = (None, "rack-a", "rack-a", "rack-b", "rack-b", "rack-c")
_RESOURCES = ("vcpu", "disk")
_RATIOS = (None, 1.0, 1.5, 2.5, 4.0, 0.5)
_IN_TURN = (
    ((7, 4, 4, 3, 7, 5), (2, 1, 1, 3, 0, 2), (14, 16, 16, 16)),
    ((3, 5, 4, 3, 5, 4), (1, 1, 0, 0, 3, 3), (14, 13, 11, 13)),
    ((5, 4, 4, 2, 3, 7), (2, 3, 3, 1, 0, 1), (13, 13, 12, 13)),
)
"""Sizes, homes and rooms of nodes any two of which can fail at once but not in turn; too rare to be drawn at random."""


@frozen(kw_only=True)
class Features:
    """What a cluster is drawn with: the arguments of `clusters`."""

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
    overhead: bool
    node_headroom: bool
    max_vm: bool


@frozen
class Skeleton:
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


def draw_skeleton(draw: Draw, features: Features, guarantees: Mapping[str, tuple[Any, ...]]) -> Skeleton:
    """Draw sizes and a placement."""
    count = draw(_count(features.min_nodes, features.max_nodes))
    pools = ("default", "default", "second") if features.pools else ("default",)
    pool_of = [draw(st.sampled_from(pools)) for _ in range(count)]
    domain_of = [draw(st.sampled_from(_DOMAINS)) if features.domains else None for _ in range(count)]
    guarantee = draw_guarantee(draw, features, guarantees)
    rooms: Sequence[int] = ()
    if guarantee.sequence == "sequential" and features.max_nodes > 3 and features.max_vms > 5 and draw(one_in(6)):
        sizes, home, rooms = draw(st.sampled_from(_IN_TURN))
        pool_of, domain_of = ["default"] * len(rooms), [None] * len(rooms)
    else:
        sizes = _sizes(draw, features.max_vms)
        last = max(0, count - 1)
        if guarantee.policy is not None or guarantee.restart == "any-order":
            last = draw(st.sampled_from((last, last // 2)))  # the more restart at once, the more their order matters
        home = [draw(st.integers(0, last)) for _ in sizes]
    evictable = [features.evictable and draw(one_in(3)) for _ in sizes]
    target = [_target(draw, features, pool_of, at) for at in home]
    return Skeleton(pool_of, domain_of, guarantee, sizes, home, target, evictable, rooms)


def draw_guarantee(draw: Draw, features: Features, guarantees: Mapping[str, tuple[Any, ...]]) -> Guarantee:
    """Draw each key of a guarantee; those of failure domains where there are some."""
    scope: Scope = draw(st.sampled_from(("node", "domain", "domain"))) if features.domains else "node"
    return Guarantee(scope=scope, **{name: draw(st.sampled_from(choice)) for name, choice in guarantees.items()})


def _target(draw: Draw, features: Features, pool_of: Sequence[str], home: int) -> int | None:
    """Where a VM is on its way to: any node of its pool, if anywhere."""
    if not (features.targets and pool_of and draw(one_in(3))):
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
    if count > 1 and draw(one_in(6)):
        sizes[0] = sum(sizes[1:])
    return sizes


@frozen
class Amount:
    """A further resource: what VMs need of it and nodes have."""

    name: str
    ratio: float | None
    soft: bool
    demands: Sequence[int]
    holdings: Sequence[int]


def draw_amounts(draw: Draw, frame: Skeleton) -> list[Amount]:
    """Draw the amounts of one or two further resources."""
    return [_amount(draw, frame, name) for name in _RESOURCES[: draw(st.integers(1, 2))]]


def _amount(draw: Draw, frame: Skeleton, name: str) -> Amount:
    """As much as is needed, rounded up so that it is enough after overcommit."""
    palette = draw(st.sampled_from(((0, 1), (0, 1, 2, 4), (1, 2, 3), (3, 5))))
    demands = [draw(st.sampled_from(palette)) for _ in frame.sizes]
    ratio, soft = draw(st.sampled_from(_RATIOS)), draw(one_in(3))
    needs = draw_needs(draw, evolve(frame, sizes=demands))
    return Amount(name, ratio, soft, demands, [math.ceil(max(0, need) / Fraction(ratio or 1)) for need in needs])


def draw_needs(draw: Draw, frame: Skeleton) -> list[int]:
    """What each node must have of what the sizes are of, or a little more or less."""
    needs = [0] * len(frame.pool_of)
    shapes = [_cut, _cut, _spare, _spare, _even, _even, _free]
    if frame.guarantee.policy is not None:
        shapes += [_exact] * 4
    elif frame.guarantee.restart == "any-order":
        shapes += [_crumbs] * 4
    if (frame.guarantee.failures, frame.guarantee.scope) > (1, "node") and draw(one_in(4)):
        frame = evolve(frame, guarantee=Guarantee())  # as many clusters are, before more is asked of them
    for pool in sorted({tuple(frame.pool(node)) for node in range(len(needs))}):
        shape = draw(st.sampled_from(shapes))
        for node, need in zip(pool, shape(draw, frame, pool), strict=True):
            needs[node] = need
    slacks = draw(st.sampled_from(_SLACKS))
    return [need + draw(st.sampled_from(slacks)) for need in needs]


def _cut(draw: Draw, frame: Skeleton, pool: Sequence[int], failing: Sequence[Sequence[int]] = ()) -> list[int]:
    """What each node holds and, whichever others fail, the restarts it is drawn to take."""
    most = dict.fromkeys(pool, 0)
    for failed in failing or frame.failing(pool):
        others, arriving = [node for node in pool if node not in failed], dict.fromkeys(pool, 0)
        for size in frame.on(failed):
            arriving[draw(st.sampled_from(others))] += size
        most = {node: max(most[node], arriving[node]) for node in pool}
    return [max(frame.load(node, kept=False), frame.load(node, kept=True) + most[node]) for node in pool]


def _exact(draw: Draw, frame: Skeleton, pool: Sequence[int]) -> list[int]:
    """The same for the failure alone that displaces the most VMs: nothing is left over then."""
    return _cut(draw, frame, pool, [max(frame.failing(pool), key=lambda failed: len(frame.on(failed)))])


def _spare(_draw: Draw, frame: Skeleton, pool: Sequence[int]) -> list[int]:
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


def _even(_draw: Draw, frame: Skeleton, pool: Sequence[int]) -> list[int]:
    """Nodes of one size, as small as sums allow."""
    sizes = [size for size, home in zip(frame.sizes, frame.home, strict=True) if home in pool]
    survivors = min(len(pool) - len(failed) for failed in frame.failing(pool))
    return [max([math.ceil(sum(sizes) / max(1, survivors)), *sizes])] * len(pool)


def _crumbs(draw: Draw, frame: Skeleton, pool: Sequence[int]) -> list[int]:
    """Nearly room enough for the largest restart on each node, and as much more as takes all others to fill."""
    *others, largest = sorted(max((frame.on(failed) for failed in frame.failing(pool)), key=sum)) or [0]
    step = math.gcd(*others, largest)
    free = dict.fromkeys(pool, max(0, largest - step))
    for size in (*others, step):
        free[draw(st.sampled_from(pool))] += size
    return [max(frame.load(node, kept=False), frame.load(node, kept=True) + free[node]) for node in pool]


def _free(draw: Draw, frame: Skeleton, pool: Sequence[int]) -> list[int]:
    return [draw(st.integers(1, max(1, sum(frame.load(node, kept=False) for node in pool)))) for _ in pool]


def one_in(count: int) -> st.SearchStrategy[bool]:
    """True in one of so many draws."""
    return st.integers(0, count - 1).map(lambda number: number == count - 1)
