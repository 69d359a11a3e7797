"""Synthetic clusters for tests and benchmarks: seeded distributions of VM sizes, the same on every machine."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from heapq import heapify, heapreplace
from typing import Any, Literal, Protocol

import attrs
import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.converters import name_places, one_of, parse_count, parse_flag, parse_whole, positive_number
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import format_memory, parse_memory, short

__all__ = ["PLACED", "PROFILES", "generate"]

Profile = Literal["azure", "flavors", "uniform", "big-vms"]
Placed = Literal["none", "worst-fit", "best-fit"]

_MOST_NODES = 1_000_000
_MOST_VMS = 20_000_000
_MOST_FILL = 2

_AZURE = {
    768: 38_578,
    1_792: 892_166,
    2_048: 534,
    3_584: 464_859,
    4_096: 234,
    7_168: 203_416,
    8_192: 66,
    14_336: 197_840,
    16_384: 187,
    28_672: 420,
    32_768: 36,
    57_344: 71_942,
    65_536: 7,
    114_688: 148,
}
"""How many VMs of each memory (MiB) arrived in a public cloud: Azure public dataset V1, CC-BY 4.0.

E. Cortez, A. Bonde, A. Muzio, M. Russinovich, M. Fontoura, R. Bianchini: Resource Central: Understanding and predicting
workloads for improved resource management in large cloud platforms. SOSP 2017, pp. 153-167."""

_FLAVORS = {2_048: 30, 4_096: 25, 8_192: 20, 16_384: 13, 32_768: 8, 65_536: 3, 131_072: 1}
"""Weights of memory sizes (MiB) that divide each other, as clouds that sell flavours have them."""

_BIG_VMS = {1: 30, 2: 20, 4: 10, 16: 2, 24: 1, 32: 1}
"""Weights of sizes in 64ths of a node: few VMs take a quarter to a half of it, but these take 44 % of the memory."""

_MIX = (Fraction(1), Fraction(1, 2), Fraction(1), Fraction(2))
"""Sizes of mixed nodes, over and over, as multiples of the node memory."""


def generate(
    *,
    nodes: int,
    node_memory: int | str = "512GiB",
    fill: float = 0.9,
    profile: Profile = "azure",
    seed: int = 0,
    placed: Placed = "none",
    mixed: bool = False,
) -> Cluster:
    """A random cluster; the same arguments give the same cluster on every machine.

    Parameters
    ----------
    nodes
        The number of nodes, from 2 to a million.
    node_memory
        Memory of each node, in MiB or as ``"512GiB"``.
    fill
        The VMs' memory as a share of what N+1 allows, which is all memory less the largest node's. It is met but for
        less than the smallest size of the profile. Above 1 (up to 2) no placement is N+1.
    profile
        ``azure``: sizes as often as in a public cloud, 0.75 to 112 GiB. ``flavors``: powers of two from 2 to 128 GiB.
        ``uniform``: any whole number of MiB from a 128th to an eighth of the node memory. ``big-vms``: one VM in
        sixteen takes a quarter to a half of the node memory, the others a 64th to a 16th. Sizes above the smallest
        node's memory are left out.
    seed
        A whole number of 0 or more.
    placed
        ``none``: all VMs wait. ``worst-fit``, ``best-fit``: largest first, each on the node with the most, or with the
        least sufficient, free memory; a VM that fits on no node waits. Neither reserves room for failures.
    mixed
        Of each four nodes, two have the node memory, one has half and one has twice as much.

    Raises
    ------
    InputError
        (a ValueError) that names the parameter and the mend.
    """
    wanted = _Wanted(nodes=nodes, node_memory=node_memory, fill=fill, profile=profile, seed=seed, placed=placed, mixed=mixed)
    capacity = _capacity(wanted)
    memory = _vm_memory(wanted, capacity)
    cluster = Cluster.from_arrays(node_memory=capacity, vm_memory=memory, vm_node=PLACED[wanted.placed](capacity, memory))
    return attrs.evolve(cluster, meta={"generated": wanted.to_dict()})


def _parse_nodes(value: int) -> int:
    number = parse_whole(value)
    if not 2 <= number <= _MOST_NODES:
        raise ValueError(f"{number} is not within 2 to {_MOST_NODES}: a single node can never be N+1")
    return number


def _parse_fill(value: float | Fraction) -> Fraction:
    share = positive_number(value)
    if share > _MOST_FILL:
        raise ValueError(f"{short(value)} is above {_MOST_FILL}: write a share, 0.9 for 90 %")
    return share


def _parse_profile(value: Profile) -> Profile:
    return one_of(value, Profile)


def _parse_placed(value: Placed) -> Placed:
    return one_of(value, Placed)


@frozen(kw_only=True, field_transformer=name_places)
class _Wanted:
    """The arguments of `generate`, as values."""

    nodes: int = field(converter=_parse_nodes)
    node_memory: int = field(converter=parse_memory)
    fill: Fraction = field(converter=_parse_fill)
    profile: Profile = field(converter=_parse_profile)
    seed: int = field(converter=parse_count)
    placed: Placed = field(converter=_parse_placed)
    mixed: bool = field(converter=parse_flag)

    def to_dict(self) -> dict[str, Any]:
        """What makes this cluster again."""
        return {**attrs.asdict(self), "node_memory": format_memory(self.node_memory), "fill": float(self.fill)}


class _Sizes(Protocol):
    """VM sizes to draw from, in MiB."""

    @property
    def least(self) -> int:
        """The smallest."""

    def mean(self) -> int:
        """What a VM takes on average."""

    def draw(self, raw: npt.NDArray[np.uint64], most: int) -> IntArray:
        """One size up to `most` for each random word; `most` is at least `least`."""


@frozen(eq=False)
class _Weighted:
    """A few sizes, each with a weight. Whole numbers throughout, so that no rounding differs between machines."""

    sizes: IntArray
    weights: IntArray

    @classmethod
    def of(cls, weights: Mapping[int, int]) -> "_Weighted":
        pairs = sorted(weights.items())
        sizes, counts = zip(*pairs, strict=True)
        return cls(np.array(sizes, dtype=np.int64), np.array(counts, dtype=np.int64))

    @property
    def least(self) -> int:
        return int(self.sizes[0])

    def mean(self) -> int:
        return int(self.sizes @ self.weights // self.weights.sum())

    def draw(self, raw: npt.NDArray[np.uint64], most: int) -> IntArray:
        limits = np.cumsum(self.weights[self.sizes <= most]).astype(np.uint64)
        drawn: IntArray = self.sizes[np.searchsorted(limits, raw % limits[-1], side="right")]
        return drawn


@frozen
class _Span:
    """Every size from the least to the greatest, each as likely."""

    least: int
    greatest: int

    def mean(self) -> int:
        return (self.least + self.greatest) // 2

    def draw(self, raw: npt.NDArray[np.uint64], most: int) -> IntArray:
        count = np.uint64(min(most, self.greatest) - self.least + 1)
        return (raw % count).astype(np.int64) + self.least


def _big_vms(node_memory: int) -> _Weighted:
    weights: dict[int, int] = {}
    for share, weight in _BIG_VMS.items():
        size = max(1, node_memory * share // 64)
        weights[size] = weights.get(size, 0) + weight
    return _Weighted.of(weights)


PROFILES: Mapping[Profile, Callable[[int], _Sizes]] = {
    "azure": lambda node_memory: _Weighted.of(_AZURE),
    "flavors": lambda node_memory: _Weighted.of(_FLAVORS),
    "uniform": lambda node_memory: _Span(max(1, node_memory // 128), max(1, node_memory // 8)),
    "big-vms": _big_vms,
}
"""What VM sizes may be drawn from, for a node memory in MiB."""


def _capacity(wanted: _Wanted) -> IntArray:
    kinds = [int(wanted.node_memory * multiple) for multiple in (_MIX if wanted.mixed else _MIX[:1])]
    return np.resize(np.array(kinds, dtype=np.int64), wanted.nodes)


def _vm_memory(wanted: _Wanted, capacity: IntArray) -> IntArray:
    sizes = PROFILES[wanted.profile](wanted.node_memory)
    most, left = int(capacity.min()), int((int(capacity.sum()) - int(capacity.max())) * wanted.fill)
    if sizes.least > most:
        smallest, needed = format_memory(most), format_memory(sizes.least)
        raise InputError([Flaw("node_memory", f"no VM of profile {wanted.profile} fits on {smallest}: write {needed} or more")])
    if left // sizes.mean() > _MOST_VMS:
        raise InputError([Flaw("nodes", f"{wanted.nodes} would hold more than {_MOST_VMS} VMs: write fewer")])
    return np.concatenate([np.empty(0, dtype=np.int64), *_fill(sizes, np.random.PCG64(wanted.seed), most, left)])


def _fill(sizes: _Sizes, source: np.random.PCG64, most: int, left: int) -> Iterator[IntArray]:
    """Draw until nothing more fits: towards the end, among the sizes that still do.

    The words of the bit generator are used as they come, since what numpy draws from them may change between versions.
    """
    while left >= sizes.least:
        drawn = sizes.draw(source.random_raw(left // sizes.mean() + 1), min(most, left))
        taken = drawn[: np.searchsorted(np.cumsum(drawn), left, side="right")]
        left -= int(taken.sum())
        yield taken


def _none(_capacity: IntArray, memory: IntArray) -> IntArray:
    return np.full(len(memory), -1, dtype=np.int64)


def _worst_fit(capacity: IntArray, memory: IntArray) -> IntArray:
    where, count = _none(capacity, memory), len(capacity)
    heap = [index - free * count for index, free in enumerate(capacity.tolist())]  # the most free first, then the first
    heapify(heap)
    for vm in np.argsort(-memory, kind="stable").tolist():
        size = int(memory[vm])
        if -(heap[0] // count) >= size:
            where[vm] = heap[0] % count
            heapreplace(heap, heap[0] + size * count)
    return where


def _best_fit(capacity: IntArray, memory: IntArray) -> IntArray:
    where, count = _none(capacity, memory), len(capacity)
    nodes = sorted(free * count + index for index, free in enumerate(capacity.tolist()))  # the least free first
    order = np.argsort(-memory, kind="stable")
    sizes, starts = np.unique(-memory[order], return_index=True)
    for size, vms in zip((-sizes).tolist(), np.split(order, starts)[1:], strict=True):
        while len(vms) and (position := bisect_left(nodes, size * count)) < len(nodes):
            free, node = divmod(nodes.pop(position), count)
            fitting = min(free // size, len(vms))  # it stays the fullest that is sufficient until it is not
            where[vms[:fitting]], vms = node, vms[fitting:]
            insort(nodes, (free - fitting * size) * count + node)
    return where


PLACED: Mapping[Placed, Callable[[IntArray, IntArray], IntArray]] = {
    "none": _none,
    "worst-fit": _worst_fit,
    "best-fit": _best_fit,
}
"""How VMs may be placed: the node of each, -1 for one that waits."""
