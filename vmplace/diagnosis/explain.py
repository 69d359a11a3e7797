"""Diagnosis: what makes a cluster unsafe, why no placement of it is safe, and what-if remedies, each of them verified."""

import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from attrs import define, evolve, field

from vmplace.diagnosis.failures import failures_lost, turns_lost
from vmplace.diagnosis.faults import faults_now
from vmplace.diagnosis.oracle import RemedyOracle
from vmplace.diagnosis.remedies import (
    each_needed,
    fewer_rules,
    fewer_vms,
    finished,
    less_headroom,
    less_own_headroom,
    less_promised,
    more_nodes,
    one_vm_less,
    returned,
)
from vmplace.diagnosis.results import Blame, Explanation, Obstacle, Remedy, Slack, ranked
from vmplace.diagnosis.variants import Variant, left_out
from vmplace.failover.check import verdicts_now
from vmplace.failover.soft_rules import named_broken_rules
from vmplace.failover.verdict import Verdict
from vmplace.model.cluster import Cluster
from vmplace.model.converters import parse_count, placed
from vmplace.model.door import door
from vmplace.model.guarantee import scenario_key
from vmplace.model.units import spell_memory
from vmplace.model.what_if import bridged
from vmplace.placement.options import PlaceOptions
from vmplace.placement.place import solve
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.unknown_names import unknown_names
from vmplace.results.placement import Report, Solution
from vmplace.results.values import Status
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.search.goal import Goal
from vmplace.search.infeasibility import PartOracle, conflict_of_search
from vmplace.solvers.budget import Budget, Progress

__all__ = ["explain"]

_VERDICT, _CAUSES, _REPAIR, _CONFLICT = 0.2, 0.3, 0.3, 0.3
"""Of the time left, what each part of an explanation may take."""

_REFINING = 1.0
"""Seconds in all to look for a better answer than is known: fewer VMs that failures leave out, less memory migrated."""

_TIGHTEST, _FEW = 5, 4


@door()
def explain(
    cluster: Cluster,
    *,
    seed: int = 0,
    deterministic: bool = False,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Explanation:
    """Explain why a cluster is not safe, why no placement of it could be, and what would help.

    For each failure that is not survived, a deletion filter finds an irreducible set of VMs and rules to blame. A remedy is a
    change that makes the cluster safe when it is tried, under every guarantee where there are several; each remedy returned has
    been checked. Pools are explained one by one, unless a rule binds several of them together.

    Parameters
    ----------
    cluster
        What to explain.
    seed, deterministic
        As for `place`.
    time_limit
        Seconds for all of it; `Explanation.unfinished` says what time ran out for. None: until everything was tried.
    progress, cancel
        Called now and then; set it to get what is known by then, as Ctrl-C does.

    Returns
    -------
    Explanation
        ``safe``, with the failures that leave least; ``unsafe`` or ``infeasible``, with what is to blame and with remedies; or
        ``unknown``.

    Raises
    ------
    InputError
        (a ValueError) that names the argument that is wrong.
    """
    seed = placed("seed", parse_count)(seed)
    options = PlaceOptions(objective="moves", seed=seed, deterministic=deterministic, move_running=True)
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        budget.patience = [_REFINING]
        names = Names(cluster, compile_problem(cluster, several=True))
        report, verdicts = verdicts_now(names, budget.share(_VERDICT))
        broken = named_broken_rules(names, names.problem.node_of)
        found = Explanation(cluster=cluster, status=report.status)
        if report.status is Status.SAFE:
            found = evolve(found, tightest=_tightest(names, verdicts))
        elif report.status is Status.UNSAFE:
            found = _Explainer(names, report, verdicts, budget, options).explanation()
        undecided = tuple(key for key, scenario in report.scenarios.items() if scenario.status is Status.UNKNOWN)
        if undecided or report.status is Status.UNKNOWN:
            late = f"whether {len(undecided) or 'all'} of the failures are survived"
            found = evolve(found, undecided=undecided, unfinished=(late, *found.unfinished))
        warnings = tuple(unknown_names(cluster))
        return evolve(found, broken_rules=broken, warnings=warnings, stats={"seconds": round(budget.elapsed, 3), **found.stats})


def _tightest(names: Names, verdicts: Sequence[Verdict]) -> tuple[Slack, ...]:
    """The failures that leave least memory free, where something must restart."""
    slacks = [
        evolve(slack, scenario=scenario_key(number, slack.scenario))
        for number, (own, verdict) in enumerate(zip(names.each, verdicts, strict=True))
        for slack in _slacks(own, verdict)
    ]
    return tuple(sorted(slacks, key=lambda slack: slack.left)[:_TIGHTEST])


def _slacks(names: Names, verdict: Verdict) -> Iterator[Slack]:
    """Those of one guarantee."""
    state, scenarios = verdict.state, verdict.state.scenarios
    free = np.zeros(int(names.problem.pool.max(initial=0)) + 1, dtype=np.int64)
    np.add.at(free, names.problem.pool, state.free)
    left = free[scenarios.pool] - scenarios.sums(state.free) - state.asked if len(scenarios) else np.zeros(0, dtype=np.int64)
    order = [number for number in np.argsort(left, kind="stable").tolist() if state.asked[number]][:_TIGHTEST]
    for number in order:
        yield Slack(
            names.scenario(scenarios, number),
            names.pools[int(scenarios.pool[number])],
            int(state.asked[number]),
            int(left[number]),
            min(int(left[number]), int(state.room_elsewhere[number])),
        )


@define
class _Explainer:
    """One call of `explain` for what is unsafe."""

    names: Names
    report: Report
    verdicts: tuple[Verdict, ...]
    budget: Budget
    options: PlaceOptions
    blames: list[Blame] = field(factory=list, init=False)
    obstacles: list[Obstacle] = field(factory=list, init=False)
    remedies: list[Remedy] = field(factory=list, init=False)
    futile: list[str] = field(factory=list, init=False)
    unfinished: list[str] = field(factory=list, init=False)

    def explanation(self) -> Explanation:
        """The causes, then what would help, pool by pool."""
        self._blame()
        bad = [pool for pool, status in self.report.pools.items() if status is Status.UNSAFE]
        apart = len(self.report.pools) > 1 and not bridged(self.names.cluster)
        pools = bad if apart else [""]
        tries = 0
        for done, pool in enumerate(pools):
            tries += self._remedy(pool, self.budget.share(1 / (len(pools) - done)))
        return Explanation(
            cluster=self.names.cluster,
            status=Status.INFEASIBLE if self.obstacles else Status.UNSAFE,
            blames=tuple(self.blames),
            obstacles=tuple(self.obstacles),
            remedies=ranked(self.remedies),
            futile=tuple(dict.fromkeys(self.futile)),
            unfinished=tuple(dict.fromkeys(self.unfinished)),
            stats={"tries": tries},
        )

    def _blame(self) -> None:
        """What is to blame as things stand."""
        budget = self.budget.share(_CAUSES)
        self.blames += faults_now(self.report, self.names)
        for number, (names, verdict) in enumerate(zip(self.names.each, self.verdicts, strict=True)):
            within = budget.share(1 / (len(self.verdicts) - number))
            found = [*failures_lost(names, verdict, within), *turns_lost(names, verdict, within)]
            self.blames += [evolve(blame, subject=scenario_key(number, blame.subject)) for blame in found]
        late = sum(blame.late for blame in self.blames)
        if late:
            self.unfinished.append(f"the exact causes of {late} faults, and how much memory is missing")

    def _remedy(self, pool: str, budget: Budget) -> int:
        """What makes a pool safe, or the cluster; returns how many changes were tried."""
        oracle = RemedyOracle(self.names, pool, self.options, False, budget)
        part = oracle.part(self.names)
        solution = self._repaired(part, budget)
        where = f" of pool {pool}" if pool else ""
        core: frozenset[str] | None = None
        if solution.node_of is not None:
            action, kind = _moves(solution, part)
            proved = solution.status is Status.OPTIMAL
            unchanged = Variant(self.names, self.names.problem, lambda: self.names.cluster)
            self.remedies += oracle.remedy(kind, action, unchanged, solution, least=proved)
        elif solution.status is Status.INFEASIBLE:
            oracle.moving = True
            found = list(self._obstacles(pool, part, solution, budget.share(_CONFLICT)))
            self.obstacles += found
            core = frozenset[str]().union(*(o.conflict.vms for o in found)) if len(found) == 1 else frozenset()
        else:
            self.unfinished.append(f"whether migrations could make the VMs{where} safe")
        self._try(oracle, core, where)
        return oracle.tries

    def _repaired(self, part: Names, budget: Budget) -> Solution:
        """A placement that is safe, and migrates little: the least is for `repair` to find.

        It is looked for as long as patience goes, and where none is found by then, in a share of the time.
        """
        with budget.refining() as quick:
            solution = self._placed(part, self.options, quick)
        return self._placed(part, self.options, budget.share(_REPAIR)) if solution.status is Status.UNKNOWN else solution

    def _placed(self, names: Names, options: PlaceOptions, budget: Budget) -> Solution:
        with Budget(budget.left, budget.cancel).interruptible() as inner:
            return solve(names, options, inner)

    def _obstacles(self, pool: str, part: Names, solution: Solution, budget: Budget) -> Iterator[Obstacle]:
        """Why migrations alone do not help: one IIS after another, each without the VMs of those before."""
        while solution.status is Status.INFEASIBLE and part.cluster.vms:
            obstacle = self._obstacle(pool, part, solution, budget)
            yield obstacle
            if obstacle.conflict.kind in ("sums", "capacity", "alone") or not obstacle.conflict.minimal or budget.spent:
                return
            part = left_out(part, obstacle.conflict.vms)
            solution = self._placed(part, self.options, budget.share(_REPAIR))

    def _obstacle(self, pool: str, part: Names, solution: Solution, budget: Budget) -> Obstacle:
        """One of them; with fewer VMs to blame, if the bound names more than need be."""
        goal = Goal(("moves",), move_running=True)
        conflict, bound = solution.conflict, impossible(part.problem, goal)
        assert conflict is not None
        if not conflict.minimal:
            fewer = conflict_of_search(PartOracle(part, goal, budget, self.options.seed, self.options.deterministic))
            if fewer.minimal:
                conflict = evolve(conflict, vms=fewer.vms, rules=fewer.rules, limits=fewer.limits, minimal=True)
        missing = None
        if bound is not None and bound.resource == 0 and bound.kind not in ("apart", "rules", "alone", "quorum"):
            missing = (bound.need - max(bound.free, 0)) * (bound.size if bound.kind == "slots" else 1)
        return Obstacle(pool, solution.reason, conflict, missing)

    def _try(self, oracle: RemedyOracle, core: frozenset[str] | None, where: str) -> None:
        """One kind of remedy after another, each in its share of the time."""
        budget = oracle.budget
        suspects = {vm for blame in self.blames for vm in blame.vms}.union(core or ())
        rules = {rule for blame in self.blames for rule in blame.rules if blame.pool == oracle.pool or not oracle.pool}
        rules.update(rule for obstacle in self.obstacles for rule in obstacle.conflict.rules if obstacle.pool == oracle.pool)
        ways: list[tuple[str, Callable[[], Iterator[Remedy]]]] = [
            ("to wait for migrations under way", lambda: finished(oracle)),
            ("to bring back nodes that are out of service", lambda: returned(oracle)),
            ("to give up one rule", lambda: fewer_rules(oracle, rules)),
            ("to give up headroom of the guarantee", lambda: less_headroom(oracle)),
            ("to give up headroom of single nodes", lambda: less_own_headroom(oracle)),
            ("to weaken the guarantee", lambda: less_promised(oracle)),
            ("to add up to four nodes", lambda: more_nodes(oracle)),
            ("to shut down one VM", lambda: one_vm_less(oracle, suspects, core)),
        ]
        for done, (way, remedies) in enumerate(ways):
            oracle.budget = budget.share(1 / (len(ways) + 1 - done))
            self._collect(oracle, f"{way}{where}", remedies())
        oracle.budget = budget
        self._give_up_several(oracle, where)

    def _collect(self, oracle: RemedyOracle, way: str, remedies: Iterator[Remedy]) -> None:
        tries, undecided = oracle.tries, oracle.undecided
        self.budget.tell("explain")
        found = list(remedies)
        self.remedies += found
        if oracle.undecided > undecided:
            self.unfinished.append(f"what it would take {way}")
        elif oracle.tries > tries and not found:
            self.futile.append(way)

    def _give_up_several(self, oracle: RemedyOracle, where: str) -> None:
        """Where no single VM is enough: the VMs that the best plans leave out."""
        found = {remedy.kind for remedy in self.remedies if remedy.pool == oracle.pool}
        missing = [kind for kind in ("unprotect", "stop") if kind not in found]
        if not missing:
            return
        if oracle.budget.spent:
            self.unfinished.append(f"what it would take to give up several VMs{where}")
            return
        part, solution = oracle.part(self.names), None
        lost, needed = {vm for loss in self.report.unprotected for vm in loss.vms}, each_needed(self.names, self.report)
        if oracle.moving or self.report.waiting:
            options = evolve(self.options, move_running=oracle.moving, best_effort=True)
            solution = self._placed(part, options, oracle.budget.share(_REPAIR))
            if solution.node_of is None:
                if solution.status is Status.UNKNOWN:
                    self.unfinished.append(f"what it would take to give up several VMs{where}")
                return
            lost, needed = {vm for loss in solution.unprotected for vm in loss.vms}, frozenset[str]()
            oracle.moving = False  # besides what this placement moves
        for kind in missing:
            own = needed if kind == "unprotect" else frozenset[str]()
            self._collect(oracle, f"to give up several VMs{where}", fewer_vms(oracle, lost, solution, kind, own))


def _moves(solution: Solution, names: Names) -> tuple[str, str]:
    """What a repair does, and which kind of remedy it is."""
    moved, started = solution.migrations, names.vms(np.flatnonzero(names.problem.node_of < 0).tolist())
    ways = [f"{m.vm} ({spell_memory(m.memory)}) from {m.source} to {m.destination}" for m in moved]
    if len(moved) > _FEW:
        ways = [f"{len(moved)} VMs ({spell_memory(sum(m.memory for m in moved))})"]
    first = [f"{vm} on {(solution.placement or {})[vm]}" for vm in started]
    if len(started) > _FEW:
        first = [f"{len(started)} VMs"]
    parts = [f"migrate {', '.join(ways)}"] if moved else []
    parts += [f"start {', '.join(first)}"] if started else []
    return "; ".join(parts), "move" if moved else "start"
