"""VMs that a migration plan stops: some are started on another node, down as briefly as can be, others stay down."""

from collections.abc import Sequence

import numpy as np
from attrs import astuple, field, frozen

from vmplace.model.columns import IntArray
from vmplace.placement.migration.starts import Starting
from vmplace.placement.migration.transit import lasting_rules
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.rules import kept
from vmplace.results.values import Migration, Stop

__all__ = ["ColdMoves", "after_all", "cold_movers", "removed"]

_NEVER = np.iinfo(np.int64).max
"""The batch in which those start that stay down."""


def cold_movers(problem: Problem, final: IntArray) -> IntArray:
    """VMs that cannot migrate live and end on another node than they are on."""
    moved = (problem.node_of >= 0) & (final != problem.node_of)
    return np.flatnonzero(problem.cold & ~problem.movable & moved)


def after_all(problem: Problem, final: IntArray, vms: IntArray) -> IntArray | None:
    """The placement once all others have moved, while these still run where they are: they move last then.

    None where that would break a rule, or leave a node overfull.
    """
    between = final.copy()
    between[vms] = problem.node_of[vms]
    receiving = np.zeros(problem.n_nodes, dtype=bool)
    receiving[between[(between != problem.node_of) & (between >= 0)]] = True
    over = (problem.loads(between) > problem.capacity).any(axis=1) & receiving
    if over.any() or not all(kept(rule, between) for rule in lasting_rules(problem, final)):
        return None
    return between


def removed(node_of: IntArray, vms: IntArray) -> IntArray:
    """The placement with these down: they start on their nodes as VMs that wait do."""
    without = node_of.copy()
    without[vms] = -1
    return without


@frozen(eq=False)
class ColdMoves:
    """When VMs are stopped and started.

    Parameters
    ----------
    vms, source, goal
        The VMs and their nodes, shape (n_moves,); the goal is -1 of those that stay down.
    stop, start
        The batch in which each is stopped, before anything else is done in it, and the one in which it is started, at the end.
    """

    vms: IntArray
    source: IntArray
    goal: IntArray
    stop: IntArray = field()
    start: IntArray = field()

    @classmethod
    def last(cls, problem: Problem, final: IntArray, vms: IntArray, batch: int) -> "ColdMoves":
        """All in one batch."""
        when = np.full(len(vms), batch, dtype=np.int64)
        return cls(vms, problem.node_of[vms], final[vms], when, when)

    @classmethod
    def early(cls, problem: Problem, final: IntArray, vms: IntArray, starting: Starting) -> "ColdMoves":
        """Each started when there is room for it, if it is, and stopped only when its own room is needed, or at the end."""
        source, start = problem.node_of[vms], np.where(final[vms] >= 0, starting.step[vms], _NEVER)
        ruled = np.unique(np.concatenate([np.zeros(0, np.int64), *(r.vms for r in problem.compiled_rules if r.must)]))
        stop = [0 if vm in ruled else starting.leave(vm, node) for vm, node in zip(vms.tolist(), source.tolist(), strict=True)]
        return cls(vms, source, final[vms], np.array(stop, dtype=np.int64), start)

    def beside(self, other: "ColdMoves") -> "ColdMoves":
        """These and others."""
        both = zip(astuple(self, recurse=False), astuple(other, recurse=False), strict=True)
        return ColdMoves(*(np.concatenate(pair) for pair in both))

    def placed(self, node_of: IntArray, batch: int) -> IntArray:
        """A placement after a batch, with these where they are by then; -1 for those that are down."""
        if not len(self.vms):
            return node_of
        there = node_of.copy()
        there[self.vms] = np.where(batch < self.stop, self.source, np.where(batch < self.start, -1, self.goal))
        return there

    def stopped(self, node_of: IntArray, batch: int) -> IntArray:
        """A placement without those that are stopped in a batch."""
        return removed(node_of, self.vms[self.stop == batch])

    def stops(self, names: Names, batch: int) -> tuple[Stop, ...]:
        """The VMs that are stopped in a batch."""
        return tuple(
            Stop(names.vm(vm), names.node(node), int(names.problem.memory[vm]))
            for vm, node in self._in(self.stop, self.source, batch)
        )

    def arrivals(self, names: Names, batch: int) -> tuple[Migration, ...]:
        """The VMs that are started on another node in a batch."""
        ends = dict(zip(self.vms.tolist(), self.source.tolist(), strict=True))
        return tuple(
            Migration(
                names.vm(vm), names.node(ends[vm]), names.node(int(node)), int(names.problem.memory[vm]), batch + 1, cold=True
            )
            for vm, node in self._in(self.start, self.goal, batch)
        )

    def _in(self, when: IntArray, nodes: IntArray, batch: int) -> Sequence[tuple[int, int]]:
        mine = when == batch
        return list(zip(self.vms[mine].tolist(), nodes[mine].tolist(), strict=True))
