"""Tolerance: how many nodes, or failure domains, may fail at once before a protected VM cannot restart."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from vmplace.failover.check import check
from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.text import counted
from vmplace.model.what_if import part_of
from vmplace.problem.compile import compile_problem
from vmplace.problem.problem import Problem
from vmplace.problem.state import PlacementState
from vmplace.results.placement import Report
from vmplace.results.result import Result
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget, Progress

__all__ = ["PoolTolerance", "Tolerance", "tolerance"]


@frozen
class PoolTolerance(ToDict):
    """How many failures at once a pool survives: `count` to `bound`; None where the placement is wrong even without one."""

    count: int | None
    bound: int | None


@frozen(kw_only=True, eq=False, repr=False)
class Tolerance(Result):
    """How many failures at once are survived.

    Parameters
    ----------
    cluster
        What was asked about.
    status
        ``optimal``: `count` and no more, proved. ``feasible``: `count`, and `bound` at most. ``infeasible``: the placement is not
        right even without a failure. ``unknown``: time ran out before anything was known.
    scope
        What fails: ``node`` or ``domain``; of several guarantees, what the one of the least `count` says.
    count, bound
        So many are survived, and so is any smaller number; one more than `bound` is not. None where that is unknown.
    pools
        The same for each pool by its name; the cluster survives as many as its weakest pool.
    report, beyond
        What `check` says of `count` failures, and of one more; None where it was not asked.
    guarantees
        The answer for each of several guarantees, with its reports; the numbers above are then the least of theirs.
    """

    _keys = "status scope count bound pools report beyond guarantees stats"
    _if_known = ("guarantees",)

    cluster: Cluster = field(repr=False)
    status: Status
    scope: str
    count: int | None = None
    bound: int | None = None
    pools: Mapping[str, PoolTolerance] = field(factory=dict)
    report: Report | None = field(default=None, repr=False)
    beyond: Report | None = field(default=None, repr=False)
    guarantees: "tuple[Tolerance, ...] | None" = field(default=None, repr=False)
    stats: Mapping[str, Any] = field(factory=dict)

    @property
    def safe(self) -> bool:
        """Whether at least one failure is known to be survived."""
        return bool(self.count)

    def summary(self) -> str:
        """The answer in a line."""
        if self.guarantees is not None:
            return " ".join(f"Guarantee {number}: {each.summary()}" for number, each in enumerate(self.guarantees, 1))
        noun = "node" if self.scope == "node" else "failure domain"
        if self.status is Status.INFEASIBLE:
            return f"The placement is wrong even while no {noun} fails."
        if self.count is None or self.bound is None:
            return f"Time ran out before it was known how many {noun}s may fail."
        some = f"1 {noun} may fail, whichever it is" if self.count == 1 else f"Any {counted(self.count, noun)} may fail at once"
        who = "protected VM" if self.cluster.guarantee.vms is None else "VM that the guarantee names"
        told = (
            f"{some}, and every {who} restarts." if self.count else f"0 {noun}s may fail: not every single failure is survived."
        )
        if self.count < self.bound:
            return f"{told} {self.bound} is the most that could be possible; time ran out before that was decided."
        more = self.count > 0 and not (self.beyond is not None and self.beyond.safe)  # where a pool has no more, none can fail
        return f"{told} {self.count + 1} at once may not." if more else told


@door()
def tolerance(
    cluster: Cluster,
    *,
    pool: str | None = None,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Tolerance:
    """How many nodes (or failure domains, where the guarantee's scope says so) may fail at once.

    Restarts, policy and quorum are those of the guarantee; its number of failures does not matter, and they come at once. Of
    several guarantees, each is answered on its own.

    Parameters
    ----------
    cluster
        What to look at, as it is placed.
    pool
        Only this pool; None for all.
    time_limit
        Seconds; what is undecided then lies between `Tolerance.count` and `Tolerance.bound`. None: until all is decided.
    progress, cancel
        Called now and then; set it to end early, as Ctrl-C does.

    Raises
    ------
    InputError
        (a ValueError) that names the argument that is wrong.
    """
    part = cluster if pool is None else part_of(cluster, pool)[0]
    pools = part.pools if pool is None else (pool,)
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        parts = part.one_by_one()
        found = [_climbed(one, pools, budget.share(1 / (len(parts) - done))) for done, one in enumerate(parts)]
        return found[0] if len(found) == 1 else _joined(part, found)


def _climbed(cluster: Cluster, pools: Iterable[str], budget: Budget) -> Tolerance:
    """The answer for one guarantee."""
    climb = _Climb(cluster, budget, dict.fromkeys(pools, -1), {}, {})
    climb.run()
    return climb.answer()


def _joined(cluster: Cluster, found: Sequence[Tolerance]) -> Tolerance:
    """The answers for several guarantees as one: the least number of all."""
    weakest = min(found, key=lambda each: _ranked(each.count))
    count, bound = weakest.count, min((each.bound for each in found), key=_ranked)
    pools = {
        pool: PoolTolerance(
            min((each.pools[pool].count for each in found), key=_ranked),
            min((each.pools[pool].bound for each in found), key=_ranked),
        )
        for pool in weakest.pools
    }
    return Tolerance(
        cluster=cluster,
        status=_status(_ranked(count), _ranked(bound)),
        scope=weakest.scope,
        count=count,
        bound=bound,
        pools=pools,
        guarantees=tuple(found),
        stats={
            "seconds": max(each.stats["seconds"] for each in found),
            "checks": sum(each.stats["checks"] for each in found),
        },
    )


def _ranked(number: int | None) -> int:
    return -1 if number is None else number


def _status(count: int, bound: int) -> Status:
    """What is known where so many are survived for certain, and so many at most; -1: not even the present is right."""
    if bound < 0:
        return Status.INFEASIBLE
    return Status.UNKNOWN if count < 0 else Status.OPTIMAL if count == bound else Status.FEASIBLE


@frozen(eq=False)
class _Climb:
    """One failure more at a time, until no pool survives them.

    Parameters
    ----------
    count, bound
        By pool: the most failures that are survived so far, -1 for not even none; and the most that may be.
    reports
        What `check` said, by the number of failures.
    """

    cluster: Cluster
    budget: Budget
    count: dict[str, int]
    bound: dict[str, int]
    reports: dict[int, Report]

    def run(self) -> None:
        most, units = _bounds(self.cluster, tuple(self.count))
        self.bound.update(most)
        failures = 0
        while any(self.count[pool] == failures - 1 and self.bound[pool] >= failures for pool in self.count):
            report = check(_failing(self.cluster, failures), time_limit=self.budget.left, cancel=self.budget.cancel)
            self.reports[failures] = report
            for pool in [pool for pool in self.count if self.count[pool] == failures - 1 < self.bound[pool]]:
                if report.pools[pool] is Status.SAFE:
                    self.count[pool] = failures
                elif report.pools[pool] is Status.UNSAFE:
                    self.bound[pool] = failures - 1
            failures += 1
            self.budget.tell("tolerance", done=failures, total=max(units.values(), default=0))
            if self.budget.spent:
                break

    def answer(self) -> Tolerance:
        count, bound = min(self.count.values(), default=0), min(self.bound.values(), default=0)
        if count < bound and count + 1 not in self.reports and not self.budget.spent:
            raise RuntimeError("a number of failures was left out; this is a defect, please report it")
        beyond = self.reports.get(count + 1)
        if beyond is None and count == bound >= 0 and not self.budget.spent:
            beyond = check(_failing(self.cluster, count + 1), time_limit=self.budget.left, cancel=self.budget.cancel)
        return Tolerance(
            cluster=self.cluster,
            status=_status(count, bound),
            scope=self.cluster.guarantee.scope,
            count=_known(count),
            bound=_known(bound),
            pools={pool: PoolTolerance(_known(self.count[pool]), _known(self.bound[pool])) for pool in self.count},
            report=self.reports.get(max(count, 0)),
            beyond=beyond,
            stats={"seconds": round(self.budget.elapsed, 3), "checks": len(self.reports)},
        )


def _known(number: int) -> int | None:
    return None if number < 0 else number


def _failing(cluster: Cluster, failures: int) -> Cluster:
    return evolve(cluster, guarantee=evolve(cluster.guarantee, failures=failures, domains=0, sequence="at-once"))


def _bounds(cluster: Cluster, pools: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int]]:
    """By pool: more failures than this are not survived, as sums show; and how many nodes or domains there are."""
    problem = compile_problem(_failing(cluster, 1))
    state = PlacementState.of(problem, problem.node_of)
    number = {pool: index for index, pool in enumerate(cluster.pools)}
    units = {pool: len(np.unique(problem.unit[problem.pool == number[pool]])) for pool in pools}
    return {pool: _most(problem, state, number[pool], units[pool]) for pool in pools}, units


def _most(problem: Problem, state: PlacementState, pool: int, units: int) -> int:
    """The failing units that ask for most and have most free, as many as leave enough free; all where nothing has to restart."""
    mine = problem.pool == pool
    if not state.displaced[mine].any():
        return units
    costs = np.bincount(problem.unit[mine], (state.displaced + state.free)[mine])
    hosts = np.sum(state.scenarios.pool == pool)
    enough = np.cumsum(np.sort(costs)[::-1]) <= state.free[mine].sum()
    return max(0, min(int(np.count_nonzero(enough)), int(hosts) - 1))
