"""The oracle of remedies: whether a variant of the cluster is safe, or can be made so; decided by solving, checked in the end."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from attrs import define, evolve, field

from vmplace.diagnosis import variants
from vmplace.diagnosis.results import Remedy
from vmplace.diagnosis.variants import Variant
from vmplace.failover.certify import certify_all
from vmplace.failover.check import verdicts_now
from vmplace.model.cluster import Cluster
from vmplace.placement.options import PlaceOptions
from vmplace.placement.place import attempt
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.restrict import only, rules_of
from vmplace.results.placement import Solution
from vmplace.results.values import Migration, Status
from vmplace.search.goal import Goal, faulty
from vmplace.search.infeasibility import Demands, PartOracle
from vmplace.solvers.budget import Budget

__all__ = ["RemedyOracle"]

_STEP = 0.3
"""Of the time left, what one try may take."""

_MANY_VMS = 10_000
"""With more it takes less time to place them well than to look for just any placement."""

_LEAST_CHECK = 1.0
"""Seconds that a check may take of what was found when time ran out."""


@define
class RemedyOracle:
    """Tries variants of a cluster.

    Parameters
    ----------
    names
        The cluster as it stands, compiled.
    pool
        Which one should become safe; empty for the whole cluster.
    options
        Of placements: the least memory migrated.
    moving
        Whether VMs that run may migrate besides, where as few as possible do.
    budget
        For all tries; one takes a share of what is left.
    """

    names: Names
    pool: str
    options: PlaceOptions
    moving: bool
    budget: Budget
    tries: int = field(default=0, init=False)
    undecided: int = field(default=0, init=False)

    @property
    def cluster(self) -> Cluster:
        """The cluster as it stands."""
        return self.names.cluster

    def part(self, names: Names) -> Names:
        """The part of a cluster that should become safe."""
        if not self.pool:
            return names
        return variants.left_out(names, {vm.name for vm in names.cluster.vms if vm.pool != self.pool})

    def concerns(self, pool: str) -> bool:
        """Whether a pool should become safe."""
        return self.pool in ("", pool)

    def helps(self, variant: Variant) -> bool | None:
        """Whether it is safe, or has a safe placement within what may be done besides; None, and counted, if undecided."""
        self.tries += 1
        answer = None if self.budget.spent else self._safe(variant)
        self.undecided += answer is None
        return answer

    def _safe(self, variant: Variant) -> bool | None:
        problem = only(variant.problem, self.names.pools.index(self.pool)) if self.pool else variant.problem
        idle = problem.node_of < 0
        if not faulty(problem) and not any(np.any((part.protected | part.optional) & idle) for part in problem.each):
            stands = self._stands(problem)
            if stands or not self.moving:
                return stands
        step = self.budget.share(_STEP)
        if not problem.plain or problem.n_vms > _MANY_VMS:
            found = self._attempt(self.part(variant.names()), step)
            return True if found.node_of is not None else False if found.status is Status.INFEASIBLE else None
        names, goal = Names(self.cluster, problem), Goal(("rules",), move_running=self.moving)
        oracle = PartOracle(names, goal, step, self.options.seed, self.options.deterministic)
        whole = np.flatnonzero(~problem.incoming).tolist()
        return oracle.fits(
            Demands(frozenset(whole), frozenset(rule.index for rule in rules_of(problem) if rule.must and rule.kind != "max-vm"))
        )

    def _stands(self, problem: Problem) -> bool | None:
        """Whether each failure is survived as a problem stands."""
        verdict = certify_all(problem, problem.node_of, budget=self.budget.share(_STEP), losses=False, stop_early=True)
        return True if verdict.safe else False if verdict.unsafe else None

    def _attempt(self, names: Names, budget: Budget) -> Solution:
        return attempt(names, evolve(self.options, move_running=self.moving), budget)

    def nearest(self, good: int, bad: int, change: Callable[[int], Variant]) -> tuple[int, bool]:
        """By bisection, the last number that helps before one that does not; and whether all that were tried were decided."""
        before = self.undecided
        while abs(good - bad) > 1:
            middle = (good + bad) // 2
            good, bad = (middle, bad) if self.helps(change(middle)) else (good, middle)
        return good, self.undecided == before

    def remedy(
        self, kind: str, action: str, variant: Variant, solution: Solution | None = None, **costs: Any
    ) -> Iterator[Remedy]:
        """A variant as a remedy; nothing if it could not be verified in time.

        Parameters
        ----------
        kind, action
            What it is.
        variant
            The changed cluster.
        solution
            The placement that makes it safe, where it is known.
        **costs
            Of `Remedy`.
        """
        names = variant.names()
        if solution is None and not self._verified(names):
            solution = self._attempt(self.part(names), self.budget.share(_STEP))
        if solution is not None:
            names = variants.settled(names, solution)
        if solution is not None and (solution.node_of is None or not self._verified(names)):
            self.undecided += 1
            return
        migrations: tuple[Migration, ...] = () if solution is None else solution.migrations
        if migrations:
            nodes, held = [*names.cluster.nodes.names, None], names.cluster.vms
            host = {vm: nodes[node] for vm, node in zip(held.names, held.node.tolist(), strict=True)}
            migrations = tuple(migration for migration in migrations if host.get(migration.vm) == migration.destination)
        moved = sum(migration.memory for migration in migrations)
        yield Remedy(kind, self.pool, action, names.cluster, moved=moved, migrations=migrations, **costs)

    def _verified(self, names: Names) -> bool:
        """Whether it is safe as it stands, with failover plans that pass their audit."""
        with Budget(max(_LEAST_CHECK, self.budget.left), self.budget.cancel).interruptible() as budget:
            report, _ = verdicts_now(names, budget)
        if (report.pools.get(self.pool) if self.pool else report.status) is not Status.SAFE:
            return False
        for part in report.guarantees or (report,):
            assert part.witness is not None
            part.witness()
        return True
