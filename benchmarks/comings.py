"""VMs of a cloud that leave and come back, one by one, to an admitter: the same sequence whatever binds."""

from collections.abc import Iterator
from itertools import chain
from random import Random

from attrs import Factory, define, evolve

import vmplace
from benchmarks.table import Clock
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.results.values import Status

__all__ = ["Comings", "comings"]

_EVERY = 5
"""The candidates of each so many-th arrival are asked for, too."""

_AWAY = 20
"""So many VMs are away at a time: those first that were to wait."""

_LEAST = 3
"""So many arrivals are seen however long they take."""


@define
class Comings:
    """What came of it.

    Parameters
    ----------
    making
        Seconds of the processor to make the admitter.
    starts, leaves, candidates
        Seconds of each `admit` and `commit`, of each `remove`, and of each `candidates` over all nodes.
    refused, unknown
        How many arrivals were.
    verdict
        On the cluster in the end, by a fresh `check`.
    """

    making: float = 0.0
    starts: list[float] = Factory(list)
    leaves: list[float] = Factory(list)
    candidates: list[float] = Factory(list)
    refused: int = 0
    unknown: int = 0
    verdict: str = "-"

    @property
    def seconds(self) -> float:
        """All of them."""
        return self.making + sum(chain(self.starts, self.leaves, self.candidates))


def comings(cluster: Cluster, *, arrivals: int, seed: int, decision: float, limit: float) -> Comings:
    """Replay until so many have come, or `limit` seconds are spent.

    Parameters
    ----------
    decision
        Seconds that a call may take.
    """
    came = Comings()
    with Clock() as clock:
        admitter = vmplace.Admitter(cluster, time_limit=decision)
    came.making = clock.cpu
    for number, (leaving, vm) in enumerate(_turns(cluster, arrivals, seed)):
        if number >= _LEAST and came.seconds > limit:
            break
        with Clock() as clock:
            admitter.remove(leaving)
        came.leaves.append(clock.cpu)
        if number % _EVERY == 0:
            with Clock() as clock:
                admitter.candidates(vm)
            came.candidates.append(clock.cpu)
        with Clock() as clock:
            found = admitter.admit(vm)
            if found.node is not None:
                found = admitter.commit(vm, found.node)
        came.starts.append(clock.cpu)
        came.refused += found.status is Status.REFUSED
        came.unknown += found.status is Status.UNKNOWN
    came.verdict = str(vmplace.check(admitter.cluster, time_limit=limit).status)
    return came


def _turns(cluster: Cluster, count: int, seed: int) -> Iterator[tuple[str, VM | str]]:
    """Who leaves and who comes then: those that are stopped, then those that have left, under their names and so their rules."""
    running, names = cluster.vms.running.tolist(), cluster.vms.names
    there = [vm for vm, runs in enumerate(running) if runs]
    leaving = Random(seed).sample(there, min(count, len(there)))
    stopped = [names[vm] for vm, runs in enumerate(running) if not runs][:_AWAY]
    back = (evolve(cluster.vms[vm], node=None) for vm in leaving)
    return zip((names[vm] for vm in leaving), chain(stopped, back), strict=False)
