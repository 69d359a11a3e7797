"""Incremental admission control by names: a cluster of memory alone whose nodes fail one by one, a live pool for each pool."""

from collections.abc import Iterable, Mapping

import numpy as np
from attrs import define, frozen

from vmplace.admission.candidates import CandidateSurvey, away, scores
from vmplace.admission.incremental.memory_alone import MemoryAlone
from vmplace.admission.incremental.pool import LivePool
from vmplace.admission.incremental.state import LiveVM
from vmplace.admission.results import Candidates, Rejection
from vmplace.failover.regression import LostMemory, added
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["LiveCluster", "Losses"]

Losses = Mapping[int, LostMemory | None]


@frozen(eq=False)
class _LivePart:
    """A pool with the names of its nodes."""

    names: list[str]
    pool: LivePool


_NONE = np.zeros(0, dtype=np.int64)
_NOWHERE = _LivePart([], LivePool(_NONE, _NONE, _NONE.astype(bool)))
"""A pool without nodes."""


@define(eq=False)
class LiveCluster:
    """The state of a cluster, by pools; `alone`: the VMs that leave it so that memory alone binds."""

    alone: MemoryAlone
    _parts: dict[str, _LivePart]
    _place: dict[str, tuple[str, int]]

    @classmethod
    def of(cls, cluster: Cluster, *, budget: Budget) -> "LiveCluster | None":
        """A cluster kept live; None where more than memory binds it."""
        found = MemoryAlone.of(cluster)
        if found is None:
            return None
        alone, problem = found
        live, known, pools = cls(alone, {}, {}), list(cluster.nodes.names), cluster.nodes.pool
        waits = problem.node_of < 0
        for number in problem.pools:
            mine = np.flatnonzero(problem.pool == number)
            name = pools[int(mine[0])]
            pool = LivePool(problem.usable[mine], problem.limit[mine], problem.online[mine])
            vms = np.flatnonzero(~waits & (problem.pool[problem.node_of] == number))
            columns = zip(
                problem.memory[vms].tolist(), problem.priority[vms].tolist(), problem.protected[vms].tolist(), strict=True
            )
            pool.state.fill(np.searchsorted(mine, problem.node_of[vms]), [LiveVM(*column) for column in columns])
            pool.failures.losses(budget=budget)
            live._parts[name] = _LivePart([known[i] for i in mine.tolist()], pool)
            live._place.update((node, (name, i)) for i, node in enumerate(live._parts[name].names))
        return live

    # What is there

    def put(self, vm: VM, node: str) -> None:
        """A VM more."""
        pool, index = self._found(node)
        pool.failures.put(index, _item(vm))

    def take(self, vm: VM, node: str) -> None:
        """A VM less."""
        pool, index = self._found(node)
        pool.failures.take(index, _item(vm))

    def is_overfull(self, node: str) -> bool:
        """Whether a node holds more than it has for VMs."""
        pool, index = self._found(node)
        return bool(pool.state.load[index] > pool.state.usable[index])

    def close(self, node: str) -> None:
        """A node is gone."""
        pool, index = self._found(node)
        pool.failures.close(index)

    def open(self, node: str, vms: Iterable[VM], *, online: bool) -> None:
        """A node is back, with the VMs that were on it."""
        pool, index = self._found(node)
        pool.failures.open(index, [_item(vm) for vm in vms], online=online)

    def _found(self, node: str) -> tuple[LivePool, int]:
        name, index = self._place[node]
        return self._parts[name].pool, index

    # What is asked

    def losses(self, pool: str, credit: LostMemory | None = None, *, budget: Budget) -> Losses:
        """What failures of a pool leave without a restart, and some more in each."""
        part = self._parts.get(pool, _NOWHERE)
        lost: Losses = part.pool.failures.losses(budget=budget)
        if not credit:
            return lost
        each = {failure: lost.get(failure, {}) for failure in range(len(part.names))}
        return {failure: None if loss is None else added(loss, credit) for failure, loss in each.items()}

    def verdicts(self, *, budget: Budget) -> dict[str, Status]:
        """Whether each failure is survived, by the node that fails."""
        found: dict[str, Status] = {}
        for part in self._parts.values():
            losses = part.pool.failures.losses(budget=budget)
            fails = part.pool.state.online | (part.pool.state.load > 0)
            for index in np.flatnonzero(fails).tolist():
                lost: LostMemory | None = losses.get(index, {})
                found[part.names[index]] = Status.UNKNOWN if lost is None else Status.UNSAFE if lost else Status.SAFE
        return found

    def weigh(
        self, vm: VM, node: str, *, waits: bool, held: int = 0, budget: Budget, before: Losses | None = None
    ) -> tuple[Rejection, str]:
        """What speaks against a VM on a node of its pool, and that in a sentence; `held`: what it has there already, in MiB."""
        pool, index = self._found(node)
        free = int(pool.state.usable[index] - pool.state.load[index]) - held
        told, failure = pool.fits(index, vm.charged, stays=held > 0), -1
        if told is Rejection.NOTHING:
            told, failure = pool.judge(index, _item(vm, waits=waits), budget=budget, before=before)
        return told, told.sentence(node, max(free, 0), self._parts[vm.pool].names[failure] if failure >= 0 else "")

    def survey(self, vm: VM, *, waits: bool, score: str, budget: Budget, before: Losses | None = None) -> CandidateSurvey:
        """What is known of a VM on each node of its pool; `before`: what failures may leave out, if not what they do now."""
        part = self._parts.get(vm.pool, _NOWHERE)
        pool, item = part.pool, _item(vm, waits=waits)
        rejections = pool.rejections(vm.charged)
        rejections[rejections == Rejection.NOTHING] = Rejection.DOUBT
        known = Candidates(
            part.names,
            vm.charged,
            rejections,
            scores(score, pool.state.free, pool.state.usable, vm.charged),
            away(vm, self._place, pool.state.online),
            pool.state.free.copy(),
            np.full(len(rejections), -1, dtype=np.int64),
            part.names.__getitem__,
        )
        sift = None if before is not None else lambda: pool.sift(item)
        return CandidateSurvey(known, lambda index: pool.judge(index, item, budget=budget, before=before), sift)


def _item(vm: VM, *, waits: bool = False) -> LiveVM:
    return LiveVM(vm.charged, vm.priority, vm.protected, waits)
