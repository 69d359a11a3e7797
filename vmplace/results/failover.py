"""Failover plans as columns, with names where they are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray

__all__ = ["FailoverPlans"]


@frozen(eq=False)
class FailoverPlans(Mapping[str, dict[str, str | None]]):
    """Failover plans by the names of what fails, each made when asked for.

    Parameters
    ----------
    cluster
        The cluster that they are of.
    numbers
        Makes the indices of the scenarios of each key.
    scenario, vm, node
        One entry for each restart, ascending by scenario; node -1 for a VM that is stopped to make room.
    single
        Makes the plan of one scenario, where there are too many to keep; None where all are kept.
    """

    cluster: Cluster = field(repr=False)
    numbers: Callable[[], Mapping[str, Sequence[int]]] = field(repr=False)
    scenario: IntArray
    vm: IntArray
    node: IntArray
    single: Callable[[int], Mapping[str, dict[str, str | None]]] | None = None

    @cached_property
    def column(self) -> IntArray:
        """Index of the node each VM restarts on, -1 for none, shape (n_vms,)."""
        column = np.full(len(self.cluster.vms), -1, dtype=np.int64)
        column[self.vm] = self.node
        if len(self.cluster.guarantees) > 1 or self.cluster.guarantee.failures > 1:
            raise ValueError("each VM restarts on another node in each failure: look into the plans by scenario")
        return column

    def __getitem__(self, key: str) -> dict[str, str | None]:
        if self.single is not None:
            return {vm: node for number in self._numbers[key] for vm, node in self.single(number)[key].items()}
        nodes, vms = self._names
        plan: dict[str, str | None] = {}
        for number in self._numbers[key]:
            first, last = np.searchsorted(self.scenario, (number, number + 1))
            mine = slice(int(first), int(last))
            plan.update((vms[vm], nodes[node]) for vm, node in zip(self.vm[mine].tolist(), self.node[mine].tolist(), strict=True))
        return plan

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @cached_property
    def _numbers(self) -> Mapping[str, Sequence[int]]:
        return self.numbers()

    @cached_property
    def _names(self) -> tuple[list[str | None], Sequence[str]]:
        return [*self.cluster.nodes.names, None], self.cluster.vms.names
