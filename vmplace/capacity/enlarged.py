"""A cluster with bundles of new VMs: as a cluster, and as a problem that is compiled once for any number of bundles."""

from collections.abc import Mapping
from functools import cached_property
from itertools import islice

import numpy as np
from attrs import evolve, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray, VMColumns
from vmplace.model.labels import Labels
from vmplace.model.what_if import fresh_names, what_if
from vmplace.problem.compile import compile_problem
from vmplace.problem.presolve import presolved
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import rows_of

__all__ = ["EnlargedCluster"]


@frozen(eq=False)
class EnlargedCluster:
    """A cluster, or the part of it that is its pool's, with bundles of VMs added to it.

    Parameters
    ----------
    cluster, part, pool
        All of it, what concerns the pool, and the pool's name.
    bundle
        How many VMs of each memory (MiB) come as one.
    overhead, resources
        What each of them needs of memory beside its own (MiB), and of further resources.
    """

    cluster: Cluster
    part: Cluster
    pool: str
    bundle: Mapping[int, int]
    overhead: int
    resources: Mapping[str, int]

    def cluster_with(self, times: int) -> Cluster:
        """The cluster with so many bundles more."""
        return what_if(self.part, add_vms=self._new(times))

    def added(self, times: int) -> tuple[str, ...]:
        """The names of what comes in so many bundles."""
        return tuple(islice(fresh_names("new", self.cluster.vms.names), times * len(self._sizes)))

    def problem(self, times: int) -> Problem:
        """`cluster_with` compiled and presolved, without making any VM."""
        return self._repeated(self._reduced, times)

    @property
    def whole(self) -> Problem:
        """The cluster with no bundle more, compiled, with the resources too that never bind."""
        return self._repeated(self._one, 0)

    def _repeated(self, one: Problem, times: int) -> Problem:
        last, step = one.n_vms - one.n_incoming, len(self._sizes)
        new = np.tile(np.arange(last - step, last), times)
        rows = np.concatenate([np.arange(last - step), new, np.arange(last, one.n_vms)])
        original = one.original[rows]
        original[last - step : last - step + len(new)] = len(self.part.vms) + np.arange(len(new))
        return evolve(rows_of(one, rows), original=original)

    @cached_property
    def demand(self) -> IntArray:
        """What each VM of a bundle needs, shape (n_new, n_resources)."""
        last = self._one.n_vms - self._one.n_incoming
        return self._one.demand[last - len(self._sizes) : last]

    @property
    def pool_number(self) -> int:
        """The pool's number in the problem."""
        return int(self._one.vm_pool[self._one.n_vms - self._one.n_incoming - 1])

    @property
    def monotone(self) -> bool:
        """Whether what can be done with more can be done with less."""
        return all(part.planned for part in self._one.each)

    @cached_property
    def _one(self) -> Problem:
        return compile_problem(self.cluster_with(1), several=True)

    @cached_property
    def _reduced(self) -> Problem:
        return presolved(self._one)

    @cached_property
    def _sizes(self) -> list[int]:
        return [memory for memory, number in self.bundle.items() for _ in range(number)]

    def _new(self, times: int) -> VMColumns:
        names, sizes = self.added(times), self._sizes * times
        count = len(names)
        overhead = [self.overhead] * count if self.overhead else None
        new = VMColumns.of(sizes, None, names, self.part.nodes.names, overhead=overhead)
        return evolve(new, pool=Labels.alike(self.pool, count), resources=Labels.alike(dict(self.resources), count))
