"""The nodes of a cloud: threads, racks, GPUs, and those that software is licensed for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import field, frozen

from vmplace.model.columns import IntArray, NodeColumns
from vmplace.model.labels import Labels, Numbered
from vmplace.synthetic.sizes import Weighted

__all__ = ["GPU", "RACK_SIZES", "VCPU", "Hosts", "in_order", "licence", "resource_labels"]

VCPU, GPU = "vcpu", "gpu"
"""Names of the further resources."""

_THREADS, _OF_MEMORY = 96, 512 * 1024
"""Processor threads of a node, for so much of its memory in MiB."""

RACK_SIZES = {15: 214, 16: 213, 17: 186, 18: 202, 19: 209}
"""How many racks there are with so many nodes: topology_provider.xls of the dataset that `groups` cites."""

# No trace has what follows: it is chosen.
_GPU_NODES, _GPUS, _LEAST_FOR_GPUS = 25, 8, 8
"""One node in so many has so many GPUs; where there are nodes enough, two at least."""

_LICENSED_OF, _LICENSED, _LEAST_FOR_LICENCES = 100, 8, 4
"""Of each so many nodes, so many, or half if these are fewer, have a licence of their own."""


def licence(number: int) -> str:
    """The tag of the nodes, and of the VMs, of a licence."""
    return f"licence-{number}"


def resource_labels(amounts: Mapping[str, IntArray]) -> Labels[Mapping[str, int]]:
    """Amounts as a column; none of a resource is not told."""
    kinds, code = np.unique(np.column_stack(list(amounts.values())), axis=0, return_inverse=True)
    words = tuple({name: count for name, count in zip(amounts, kind, strict=True) if count} for kind in kinds.tolist())
    return in_order(words, code.reshape(-1))


def in_order(words: tuple[Any, ...], code: IntArray) -> Labels[Any]:
    """Labels with their words as columns have them: in the order of appearance, and no others."""
    return Labels(words, code.astype(np.int64)).chosen(np.arange(len(code))) if len(code) else Labels((), code.astype(np.int64))


@frozen(eq=False)
class Hosts:
    """The nodes; all arrays have the shape (n_nodes,).

    Parameters
    ----------
    memory
        In MiB.
    rack
        The number of each one's rack.
    """

    memory: IntArray
    rack: IntArray
    threads: IntArray = field(init=False)
    gpus: IntArray = field(init=False)
    licences: IntArray = field(init=False)
    """The number of the licence that each has, -1 for none."""

    @classmethod
    def drawn(cls, memory: IntArray, source: np.random.PCG64) -> "Hosts":
        """Nodes in racks as large as in the traces."""
        sizes = Weighted.of(RACK_SIZES).draw(source.random_raw(len(memory) // min(RACK_SIZES) + 1))
        return cls(memory, np.repeat(np.arange(len(sizes)), sizes)[: len(memory)])

    @threads.default
    def _threads(self) -> IntArray:
        return np.maximum(1, self.memory * _THREADS // _OF_MEMORY)

    @gpus.default
    def _gpus(self) -> IntArray:
        count = len(self.memory)
        wanted = max(2, count // _GPU_NODES) if count >= _LEAST_FOR_GPUS else 0
        gpus = np.zeros(count, dtype=np.int64)
        gpus[(2 * np.arange(wanted) + 1) * count // max(1, 2 * wanted)] = _GPUS
        return gpus

    @licences.default
    def _licences(self) -> IntArray:
        count = len(self.memory)
        licences = np.full(count, -1, dtype=np.int64)
        number = max(1, count // _LICENSED_OF) if count >= _LEAST_FOR_LICENCES else 0
        each = min(_LICENSED, count // 2)
        for one in range(number):
            first, end = one * count // number, (one + 1) * count // number
            licences[first + np.arange(each) * (end - first) // each] = one
        return licences

    def licensed(self, number: int) -> IntArray:
        """The nodes of a licence."""
        return np.flatnonzero(self.licences == number)

    def tags_of(self, licences: IntArray) -> Labels[frozenset[str]]:
        """The tags of nodes or VMs by licence, -1 for none."""
        tags = (*(frozenset({licence(number)}) for number in range(int(self.licences.max()) + 1)), frozenset[str]())
        return in_order(tags, licences % len(tags))  # of which -1 is the last: no tag

    @property
    def columns(self) -> NodeColumns:
        """As a cluster has them."""
        return NodeColumns(
            self.memory,
            Numbered("n", len(self.memory)),
            domain=in_order(tuple(f"rack-{number}" for number in range(int(self.rack[-1]) + 1)), self.rack),
            tags=self.tags_of(self.licences),
            resources=resource_labels({VCPU: self.threads, GPU: self.gpus}),
        )
