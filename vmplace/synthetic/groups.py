"""Affinity and anti-affinity groups of a cloud: how large they are and how many VMs are in one."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from attrs import frozen

from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.entities import Apart, Rule, Together
from vmplace.synthetic.sizes import Weighted, Words

__all__ = ["APART", "LONE", "RACKS", "REQUESTS", "SIZES", "TOGETHER", "Bundles", "bundled", "group_rules"]

LONE, TOGETHER, APART, RACKS = range(4)
"""What a bundle of VMs is: one VM alone, or a group that is together, apart on nodes, or apart on racks."""

REQUESTS = 14_994
SIZES: Mapping[int, Mapping[int, int]] = {
    TOGETHER: {2: 7, 3: 6, 4: 4, 5: 2, 6: 112, 7: 25, 8: 4, 10: 5, 12: 41, 13: 9, 14: 1, 15: 1, 16: 5, 17: 1, 22: 1},
    APART: {
        2: 14, 3: 6, 4: 3, 5: 4, 6: 18, 7: 5, 8: 12, 9: 2, 10: 5, 11: 2, 12: 9, 13: 6, 14: 2, 15: 3, 16: 20, 17: 1, 18: 2,
        20: 4, 21: 2, 22: 3, 25: 9, 26: 1, 27: 1, 28: 3, 30: 1, 32: 1, 34: 1, 37: 1, 38: 1, 40: 1, 42: 1, 43: 1, 45: 1,
    },
    RACKS: {
        2: 82, 3: 44, 4: 27, 5: 8, 6: 9, 7: 10, 8: 8, 9: 5, 10: 1, 11: 4, 12: 2, 13: 1, 14: 3, 15: 2, 16: 5, 17: 3, 18: 1,
        19: 4, 20: 3, 21: 2, 22: 2, 23: 3, 24: 4, 25: 1, 26: 1, 27: 1, 28: 3, 29: 1, 31: 2, 33: 2, 35: 1, 37: 1, 39: 1,
        40: 1, 41: 1, 42: 2, 52: 1, 61: 1, 84: 3, 100: 1, 110: 2, 129: 1, 130: 1,
    },
}  # fmt: skip
"""How many groups of each size, of two VMs or more, 14,994 requests to a public cloud were in: 44 % of them.

Affinity, anti-affinity and fault-domain groups of VM_data_C1.xlsx to VM_data_C3.xlsx: Dataset for Topology-Aware VM Placement,
from production at Huawei Cloud, CC0. Two groups in three are of one flavour."""


@frozen(eq=False)
class Bundles:
    """All VMs, each in a bundle: a group, or one VM alone.

    Parameters
    ----------
    vms
        Indices of the VMs, bundle by bundle, shape (n_vms,).
    starts
        Where in `vms` each begins, shape (n_bundles,).
    kinds, sizes
        What each is, and of how many VMs, shape (n_bundles,).
    must
        Whether its rule can be asked for as a must, shape (n_bundles,).
    """

    vms: IntArray
    starts: IntArray
    kinds: IntArray
    sizes: IntArray
    must: BoolArray

    def members(self, bundle: int) -> list[int]:
        """The VMs of a bundle."""
        start = int(self.starts[bundle])
        found: list[int] = self.vms[start : start + int(self.sizes[bundle])].tolist()
        return found

    def by_vm(self, values: IntArray) -> IntArray:
        """What there is of each bundle, for each VM, shape (n_vms,)."""
        spread = np.empty(len(self.vms), dtype=values.dtype)
        spread[self.vms] = np.repeat(values, self.sizes)
        return spread

    def total(self, amounts: IntArray) -> IntArray:
        """What the VMs of each bundle take in all, shape (n_bundles,)."""
        return np.add.reduceat(amounts[self.vms], self.starts) if len(self.vms) else amounts[:0]


def bundled(demand: IntArray, most: Mapping[int, int], source: np.random.PCG64) -> Bundles:
    """Groups as often as in the traces, drawn at random, each of VMs of one flavour but for a few.

    Parameters
    ----------
    demand
        Of each VM, shape (n_vms, n_resources), memory first.
    most
        Of each kind, how much a group may be to be a must: MiB if together, else VMs.
    """
    kinds, sizes = _drawn_groups(len(demand), source)
    lone = len(demand) - int(sizes.sum())
    order = _shuffled(source.random_raw(len(sizes) + lone))
    kinds = np.concatenate([kinds, np.full(lone, LONE)])[order]
    sizes = np.concatenate([sizes, np.ones(lone, dtype=np.int64)])[order]
    bundles = Bundles(
        np.lexsort(demand.T[::-1]).astype(np.int64), np.cumsum(sizes) - sizes, kinds, sizes, np.zeros(len(sizes), dtype=bool)
    )
    for kind, limit in most.items():
        amount = bundles.total(demand[:, 0]) if kind == TOGETHER else sizes
        bundles.must[(kinds == kind) & (amount <= limit)] = True
    return bundles


def _drawn_groups(vms: int, source: np.random.PCG64) -> tuple[IntArray, IntArray]:
    """Kinds and sizes of groups, in random order; at most half of the VMs are in one."""
    kinds, sizes = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for kind, weights in SIZES.items():
        drawn = Weighted.of(weights).draw(source.random_raw(vms * sum(weights.values()) // REQUESTS))
        kinds.append(np.full(len(drawn), kind))
        sizes.append(drawn)
    order = _shuffled(source.random_raw(sum(map(len, sizes))))
    of_group = np.concatenate(sizes)[order]
    count = int(np.searchsorted(np.cumsum(of_group), vms // 2, side="right"))
    return np.concatenate(kinds)[order][:count], of_group[:count]


def _shuffled(raw: Words) -> IntArray:
    return np.argsort(raw, kind="stable")


def group_rules(bundles: Bundles, names: Sequence[str]) -> Iterator[Rule]:
    """A rule for each group, kind by kind."""
    for kind in (TOGETHER, APART, RACKS):
        for bundle in np.flatnonzero(bundles.kinds == kind).tolist():
            vms, must = tuple(names[vm] for vm in bundles.members(bundle)), bool(bundles.must[bundle])
            if kind == TOGETHER:
                yield Together(vms, must=must)
            else:
                yield Apart(vms, scope="domain" if kind == RACKS else "node", must=must)
