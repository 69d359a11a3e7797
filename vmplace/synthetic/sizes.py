"""Sizes to draw from: the distributions of VMs' memory, and weighted whole numbers for all else."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import format_memory
from vmplace.synthetic.wanted import Profile, Wanted

__all__ = ["AZURE", "PROFILES", "Sizes", "Weighted", "Words", "drawn_memory", "drawn_vcpus"]

Words = npt.NDArray[np.uint64]
"""Words of the bit generator, used as they come, since what numpy draws from them may change between versions."""

_MOST_VMS = 20_000_000

AZURE = {
    (1, 768): 38_578,
    (1, 1_792): 892_166,
    (1, 2_048): 534,
    (2, 3_584): 464_859,
    (2, 4_096): 234,
    (2, 14_336): 301,
    (2, 16_384): 144,
    (4, 7_168): 203_416,
    (4, 8_192): 66,
    (4, 28_672): 420,
    (4, 32_768): 36,
    (8, 14_336): 197_539,
    (8, 16_384): 43,
    (8, 57_344): 71_942,
    (8, 65_536): 7,
    (16, 114_688): 148,
}
"""How many VMs of each flavour (vCPUs, MiB) arrived in a public cloud: Azure public dataset V1, CC-BY 4.0.

E. Cortez, A. Bonde, A. Muzio, M. Russinovich, M. Fontoura, R. Bianchini: Resource Central: Understanding and predicting
workloads for improved resource management in large cloud platforms. SOSP 2017, pp. 153-167."""

_FLAVORS = {2_048: 30, 4_096: 25, 8_192: 20, 16_384: 13, 32_768: 8, 65_536: 3, 131_072: 1}
"""Weights of memory sizes (MiB) that divide each other, as clouds that sell flavours have them."""

_BIG_VMS = {1: 30, 2: 20, 4: 10, 16: 2, 24: 1, 32: 1}
"""Weights of sizes in 64ths of a node: few VMs take a quarter to a half of it, but these take 44 % of the memory."""


class Sizes(Protocol):
    """VM sizes to draw from, in MiB."""

    @property
    def least(self) -> int:
        """The smallest."""

    def mean(self) -> int:
        """What a VM takes on average."""

    def draw(self, raw: Words, most: int) -> IntArray:
        """One size up to `most` for each random word; `most` is at least `least`."""


@frozen(eq=False)
class Weighted:
    """A few sizes, each with a weight. Whole numbers throughout, so that no rounding differs between machines."""

    sizes: IntArray
    weights: IntArray

    @classmethod
    def of(cls, weights: Mapping[int, int]) -> "Weighted":
        pairs = sorted(weights.items())
        sizes, counts = zip(*pairs, strict=True)
        return cls(np.array(sizes, dtype=np.int64), np.array(counts, dtype=np.int64))

    @property
    def least(self) -> int:
        return int(self.sizes[0])

    def mean(self) -> int:
        return int(self.sizes @ self.weights // self.weights.sum())

    def draw(self, raw: Words, most: int | None = None) -> IntArray:
        """One size for each random word, up to `most` where that is given."""
        allowed = self.weights if most is None else self.weights[self.sizes <= most]
        limits = np.cumsum(allowed).astype(np.uint64)
        drawn: IntArray = self.sizes[np.searchsorted(limits, raw % limits[-1], side="right")]
        return drawn


@frozen
class _Span:
    """Every size from the least to the greatest, each as likely."""

    least: int
    greatest: int

    def mean(self) -> int:
        return (self.least + self.greatest) // 2

    def draw(self, raw: Words, most: int) -> IntArray:
        count = np.uint64(min(most, self.greatest) - self.least + 1)
        return (raw % count).astype(np.int64) + self.least


def _azure(_node_memory: int) -> Weighted:
    weights: dict[int, int] = {}
    for (_, memory), count in AZURE.items():
        weights[memory] = weights.get(memory, 0) + count
    return Weighted.of(weights)


def _big_vms(node_memory: int) -> Weighted:
    weights: dict[int, int] = {}
    for share, weight in _BIG_VMS.items():
        size = max(1, node_memory * share // 64)
        weights[size] = weights.get(size, 0) + weight
    return Weighted.of(weights)


PROFILES: Mapping[Profile, Callable[[int], Sizes]] = {
    "azure": _azure,
    "flavors": lambda node_memory: Weighted.of(_FLAVORS),
    "uniform": lambda node_memory: _Span(max(1, node_memory // 128), max(1, node_memory // 8)),
    "big-vms": _big_vms,
    "cloud": _azure,
}
"""What VM sizes may be drawn from, for a node memory in MiB."""


def drawn_memory(wanted: Wanted, capacity: IntArray, source: np.random.PCG64) -> IntArray:
    """The memory of as many VMs as the fill takes, in MiB, shape (n_vms,); raises InputError where that is none or too many."""
    sizes = PROFILES[wanted.profile](wanted.node_memory)
    most, left = int(capacity.min()), int((int(capacity.sum()) - int(capacity.max())) * wanted.fill)
    if sizes.least > most:
        smallest, needed = format_memory(most), format_memory(sizes.least)
        raise InputError([Flaw("node_memory", f"no VM of profile {wanted.profile} fits on {smallest}: write {needed} or more")])
    if left // sizes.mean() > _MOST_VMS:
        raise InputError([Flaw("nodes", f"{wanted.nodes} would hold more than {_MOST_VMS} VMs: write fewer")])
    return np.concatenate([np.empty(0, dtype=np.int64), *_fill(sizes, source, most, left)])


def _fill(sizes: Sizes, source: np.random.PCG64, most: int, left: int) -> Iterator[IntArray]:
    """Draw until nothing more fits: towards the end, among the sizes that still do."""
    while left >= sizes.least:
        drawn = sizes.draw(source.random_raw(left // sizes.mean() + 1), min(most, left))
        taken = drawn[: np.searchsorted(np.cumsum(drawn), left, side="right")]
        left -= int(taken.sum())
        yield taken


def drawn_vcpus(memory: IntArray, raw: Words) -> IntArray:
    """The vCPUs of VMs of the public cloud, by their memory: one or two flavours have that much, shape (n_vms,)."""
    vcpus = np.zeros(len(memory), dtype=np.int64)
    for size in np.unique(memory).tolist():
        alike = np.flatnonzero(memory == size)
        vcpus[alike] = Weighted.of({cores: count for (cores, had), count in AZURE.items() if had == size}).draw(raw[alike])
    return vcpus
