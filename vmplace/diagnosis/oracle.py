"""Whether a changed cluster can be made safe: decided by solving, and checked in the end."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from attrs import define, field

from vmplace.diagnosis.results import Remedy
from vmplace.failover.certify import certify
from vmplace.failover.check import check
from vmplace.model.cluster import Cluster
from vmplace.model.what_if import waiting, with_vms, within
from vmplace.placement.options import PlaceOptions
from vmplace.placement.place import attempt
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.results.placement import Solution
from vmplace.results.values import Status
from vmplace.search.goal import Goal, faulty
from vmplace.search.infeasibility import Demands, PartOracle
from vmplace.solvers.budget import Budget

__all__ = ["RemedyOracle"]


@define
class RemedyOracle:
    """Tries changes of a cluster.

    Parameters
    ----------
    cluster
        As it stands.
    pool
        What is to become safe; empty for the whole cluster.
    moving
        Whether VMs that run may migrate besides, where as few as possible do.
    budget
        For all tries; one takes a share of what is left.
    seed, deterministic
        As for `place`.
    """

    cluster: Cluster
    pool: str
    moving: bool
    budget: Budget
    seed: int = 0
    deterministic: bool = False
    tries: int = field(default=0, init=False)
    undecided: int = field(default=0, init=False)

    def part(self, cluster: Cluster) -> Cluster:
        """What of a cluster is to become safe."""
        return within(cluster, self.pool) if self.pool else cluster

    def helps(self, cluster: Cluster) -> bool:
        """Whether a changed cluster is safe, or has a safe placement within what may be done besides; what is not told counts."""
        self.tries += 1
        answer = None if self.budget.spent else self._safe(self.part(cluster))
        self.undecided += answer is None
        return answer is True

    def _safe(self, cluster: Cluster) -> bool | None:
        problem = compile_problem(cluster)
        if not faulty(problem) and not np.any((problem.protected | problem.optional) & (problem.node_of < 0)):
            stands = self.stands(problem)
            if stands or not self.moving:
                return stands
        step = self.budget.share(_STEP)
        if not problem.plain or problem.n_vms > _MANY_VMS:
            found = self._attempt(cluster, step)
            return True if found.node_of is not None else False if found.status is Status.INFEASIBLE else None
        names, goal = Names(cluster, problem), Goal(("rules",), move_running=self.moving)
        return PartOracle(names, goal, step, self.seed, self.deterministic).fits(Demands.whole(names, goal))

    def stands(self, problem: Problem) -> bool | None:
        """Whether each failure is survived as a problem stands."""
        verdict = certify(problem, problem.node_of, budget=self.budget.share(_STEP), losses=False, stop_early=True)
        return True if verdict.safe else False if verdict.unsafe else None

    def _attempt(self, cluster: Cluster, budget: Budget) -> Solution:
        options = PlaceOptions(objective="moves", move_running=self.moving, seed=self.seed, deterministic=self.deterministic)
        return attempt(Names(cluster, compile_problem(cluster)), options, budget)

    def nearest(self, good: int, bad: int, change: Callable[[int], Cluster]) -> tuple[int, bool]:
        """By halving, the number next to one that does not help; whether all that were tried were told."""
        before = self.undecided
        while abs(good - bad) > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if self.helps(change(middle)) else (good, middle)
        return good, self.undecided == before

    def concerns(self, pool: str) -> bool:
        """Whether a pool is to become safe."""
        return self.pool in ("", pool)

    def remedy(
        self, kind: str, action: str, cluster: Cluster, solution: Solution | None = None, **costs: Any
    ) -> Iterator[Remedy]:
        """A change as a remedy; nothing if it could not be verified in time.

        Parameters
        ----------
        kind, action
            What it is.
        cluster
            The changed cluster.
        solution
            The placement that makes it safe, where it is known.
        **costs
            Of `Remedy`.
        """
        if solution is None and not self._verified(cluster):
            solution = self._attempt(self.part(cluster), self.budget.share(_STEP))
        if solution is not None:
            cluster = settled(cluster, solution)
        if solution is not None and (solution.node_of is None or not self._verified(cluster)):
            self.undecided += 1
            return
        migrations = () if solution is None else solution.migrations
        if migrations:
            host = dict(_hosts(cluster))
            migrations = tuple(migration for migration in migrations if host.get(migration.vm) == migration.destination)
        moved = sum(migration.memory for migration in migrations)
        yield Remedy(kind, self.pool, action, cluster, moved=moved, migrations=migrations, **costs)

    def _verified(self, cluster: Cluster) -> bool:
        report = check(cluster, time_limit=max(_LEAST_CHECK, self.budget.left), cancel=self.budget.cancel)
        return (report.pools.get(self.pool) if self.pool else report.status) is Status.SAFE


_STEP = 0.3
"""Of the time left, what one try may take."""

_MANY_VMS = 10_000
"""With more it takes less time to place them well than to look for just any placement."""

_LEAST_CHECK = 1.0
"""Seconds that a check may take of what was found when time ran out."""


def settled(cluster: Cluster, solution: Solution) -> Cluster:
    """A cluster with the places of a solution for some or all of its VMs; who is stopped there stays where it is."""
    placement, changes = solution.placement or {}, {}
    stopped = ~cluster.vm_columns.running & ~waiting(cluster)
    for index, (vm, now) in enumerate(_hosts(cluster)):
        node = placement.get(vm, now)
        if node != now and not stopped[index]:
            changes[index] = {"node": node, "target": None, "running": True}
    return with_vms(cluster, changes) if changes else cluster


def _hosts(cluster: Cluster) -> Iterator[tuple[str, str | None]]:
    """Each VM with its node."""
    nodes = [*cluster.node_columns.names, None]
    return ((vm, nodes[node]) for vm, node in zip(cluster.vm_columns.names, cluster.vm_columns.node.tolist(), strict=True))
