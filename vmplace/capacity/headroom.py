"""Capacity planning: how many more VMs of a size fit before the guarantee is lost."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from attrs import define, field

from vmplace.capacity.enlarged import EnlargedCluster
from vmplace.capacity.feasibility import Feasibility, FeasibilityOracle, with_preferences
from vmplace.capacity.results import Headroom, HeadroomTable
from vmplace.capacity.upper_bounds import CountBound, count_bounds
from vmplace.failover.certify import certify
from vmplace.failover.witness import unprotected
from vmplace.model.cluster import Cluster
from vmplace.model.converters import parse_resources, parse_weight, placed
from vmplace.model.door import door
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import Method, each
from vmplace.model.units import parse_memory, parse_reserve, short
from vmplace.model.what_if import part_of
from vmplace.placement.place import solution_of
from vmplace.placement.reasons import impossible_sentence
from vmplace.problem.names import Names
from vmplace.results.placement import Solution
from vmplace.results.values import Status
from vmplace.search.goal import CandidatePlacement, Goal, migrated
from vmplace.search.strategy import Strategy
from vmplace.solvers.budget import Budget, Progress

__all__ = ["COMMON_SIZES", "headroom", "headroom_table"]

COMMON_SIZES = tuple(1024 * 2**power for power in range(9))
"""1 to 256 GiB, in MiB."""

_MOST = 500_000
"""So many times more are tried at most."""

_SEARCH_SHARE, _QUICK_SHARE, _PROBE_SHARE, _MOVES_SHARE = 0.85, 0.5, 0.5, 0.5


@door()
def headroom(
    cluster: Cluster,
    memory: int | str | Mapping[int | str, int],
    *,
    overhead: int | str = 0,
    resources: Mapping[str, int] | None = None,
    pool: str | None = None,
    move_running: bool = False,
    method: Method = "auto",
    seed: int = 0,
    deterministic: bool = False,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Headroom:
    """How many more VMs of a size, or of a mix, fit so that each failure of the guarantee is still survived.

    VMs that have a node stay there, unless `move_running`; those that wait are placed as well. New VMs are protected and under no
    rule; a guarantee that names its VMs does not protect them. With several pools, only the one in question counts.

    Parameters
    ----------
    cluster
        As it runs.
    memory
        What each VM reserves: MiB, or a string such as ``"8GiB"``. Or a mix that comes as one: ``{"8GiB": 3, "16GiB": 1}``.
    overhead
        Memory that the hypervisor needs for each VM on top of that, as `VM.overhead`; 0: a node reserves just `memory`.
    resources
        How much each VM needs of further resources.
    pool
        The pool in which they run; required if there are several.
    move_running
        Whether running VMs may migrate to make room. Few do, but it is not proved that fewer would not be enough.
    method, seed, deterministic
        As for `place`.
    time_limit
        Seconds; the most found by then is returned, with a bound. None: until it is proved.
    progress, cancel
        Called now and then; set it to get the best so far, as Ctrl-C does.

    Returns
    -------
    Headroom
        ``optimal``: the largest number for which a placement keeps the guarantee. Where restarts are planned, every smaller
        number is possible, too; with restarts in any order, or by a policy, one VM less may break the guarantee.

    Raises
    ------
    InputError
        (a ValueError) that names the argument that is wrong.
    """
    oracle = FeasibilityOracle.of(move_running, method, seed, deterministic)
    question = EnlargedCluster(cluster, *part_of(cluster, pool), _parse_bundle(memory), *_parse_needs(overhead, resources))
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        return _HeadroomSearch(question, oracle, budget).run()


@door(sizes=each((int, np.integer, str), "size"))
def headroom_table(
    cluster: Cluster,
    sizes: Iterable[int | str] = COMMON_SIZES,
    *,
    overhead: int | str = 0,
    resources: Mapping[str, int] | None = None,
    pool: str | None = None,
    move_running: bool = False,
    method: Method = "auto",
    seed: int = 0,
    deterministic: bool = False,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> HeadroomTable:
    """The headroom for each of several sizes on its own; the sizes share the time limit.

    Parameters
    ----------
    cluster
        As it runs.
    sizes
        Memory of a VM: MiB, or strings; 1, 2, 4, ... 256 GiB unless given.
    overhead, resources, pool, move_running, method, seed, deterministic, time_limit, progress, cancel
        As for `headroom`.

    Raises
    ------
    InputError
        (a ValueError) that names the argument that is wrong.
    """
    oracle = FeasibilityOracle.of(move_running, method, seed, deterministic)
    bundles = [_parse_bundle(size, "sizes") for size in sizes]
    needs, (part, own) = _parse_needs(overhead, resources), part_of(cluster, pool)
    rows = []
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        for number, bundle in enumerate(bundles):
            inner = budget.share(1 / (len(bundles) - number))
            rows.append(_HeadroomSearch(EnlargedCluster(cluster, part, own, bundle, *needs), oracle, inner).run())
    return HeadroomTable(cluster=cluster, rows=tuple(rows))


def _parse_bundle(memory: Any, place: str = "memory") -> dict[int, int]:
    """How many VMs of each memory come as one, largest first."""
    asked = list(memory.items()) if isinstance(memory, Mapping) else [(memory, 1)]
    if not asked:
        raise InputError([Flaw(place, "{} asks for no VM: write memory, or {memory: how many}", "missing")])
    bundle: dict[int, int] = {}
    for size, number in asked:
        mib = placed(place, parse_memory)(size)
        bundle[mib] = bundle.get(mib, 0) + placed(f"{place}[{short(size)}]", parse_weight)(number)
    return dict(sorted(bundle.items(), reverse=True))


def _parse_needs(overhead: object, resources: Mapping[str, int] | None) -> tuple[int, Mapping[str, int]]:
    """What each VM needs besides its memory."""
    return placed("overhead", parse_reserve)(overhead), placed("resources", parse_resources)(resources or {})


@define
class _HeadroomSearch:
    """The search of `headroom`, by bisection between a placement and a bound: `low` bundles fit, no more than `high` can."""

    question: EnlargedCluster
    oracle: FeasibilityOracle
    whole: Budget
    budget: Budget = field(init=False)
    low: int = field(default=-1, init=False)
    high: int = field(default=0, init=False)
    best: CandidatePlacement | None = field(default=None, init=False)
    method: str = field(default="bounds", init=False)
    why: str = field(default="", init=False)
    limits: dict[str, int] = field(factory=dict, init=False)
    by_sum: dict[str, int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.budget = self.whole.share(_SEARCH_SHARE)  # what was found has to be audited in time, too

    def run(self) -> Headroom:
        self._look_up()
        self._halve(self.budget.share(_QUICK_SHARE))
        if self.low < 0 <= self.high:
            self._take(0, self.oracle.thorough(self.question.problem(0), budget=self.budget.share(_PROBE_SHARE)))
        if 0 <= self.low < self.high:
            self._close()
        return self._result()

    def _look_up(self) -> None:
        """What no placement can exceed."""
        question, problem = self.question, self.question.whole
        parts, by_resource = Names(question.part, problem).each, dict[int, tuple[CountBound, str]]()
        words = ("memory", *problem.resources)
        for names in parts:
            budget = self.budget.share(_QUICK_SHARE / len(parts))
            state, found = count_bounds(names.problem, self.oracle.goal, question.demand, question.pool_number, budget=budget)
            for bound in found:
                word, known = words[bound.resource], by_resource.get(bound.resource)
                self.by_sum[word] = min(bound.by_sum, self.by_sum.get(word, bound.by_sum))
                if known is None or (bound.most, bound.by_sum) < (known[0].most, known[0].by_sum):
                    failing = "" if bound.failure is None else names.scenario(state.scenarios, bound.failure)
                    which = f" (guarantee {names.problem.number + 1})" if names.problem.number is not None else ""
                    by_resource[bound.resource] = bound, failing and f"{failing}{which}"
        self.limits = {words[resource]: bound.most for resource, (bound, _) in by_resource.items()}
        least, failing = min(by_resource.values(), key=lambda found: found[0].most)
        self.high, what = least.most, words[least.resource]
        enough = f"enough {what} in all, but in pieces that are too small" if least.in_pieces else f"too little {what} in all"
        self.why = f"the nodes have {enough} for one more"
        if failing:
            self.why = f"with one more, a failure of {failing} would leave {enough}"

    def _halve(self, budget: Budget) -> None:
        """Quickly: whether it can be kept with nothing more; then the most, as bounds are often met; then halving."""
        low, high = 0, min(self.high, _MOST)
        for times in (0, high):
            if self.low < times <= self.high and not budget.spent:
                self._take(times, self.oracle.quick(self.question.problem(times), budget=budget.share(_PROBE_SHARE)))
        while self.low >= 0 and not budget.spent and max(low, self.low) + 1 < min(high, self.high):
            low = max(low, self.low)
            middle = (low + min(high, self.high)) // 2
            fit = self.oracle.quick(self.question.problem(middle), budget=budget)
            self._take(middle, fit)
            if fit.best is None:
                high = middle

    def _close(self) -> None:
        """By search, halving what is open; where a VM less may do harm, from above as long as that is a proof."""
        tried: set[int] = set()
        proving = not self.question.monotone
        while self.low < self.high and not self.budget.spent:
            open_ = [times for times in range(self.low + 1, min(self.high, _MOST) + 1) if times not in tried]
            if not open_:
                return
            times = open_[-1 if proving else len(open_) // 2]
            fit = self.oracle.thorough(self.question.problem(times), budget=self.budget.share(_PROBE_SHARE))
            self._take(times, fit)
            tried.add(times)
            proving = proving and (fit.best is not None or fit.infeasible)

    def _take(self, times: int, fit: Feasibility) -> None:
        """Learn from an answer.

        Where a VM less may do harm, what is impossible lowers the most only if it is the most, or if a bound says so, which holds
        for every promise. If nothing more is impossible, that is the end.
        """
        if fit.best is not None and times > self.low:
            self.low, self.best, self.method = times, fit.best, fit.method
        if fit.infeasible and (self.question.monotone or times in (0, self.high) or fit.reason is not None):
            self.high, self.method = times - 1, fit.method if self.low < 0 else self.method
            self.why = self._searched() if times else self._flaw_now()
            if fit.reason is not None:
                self.why = impossible_sentence(fit.reason, Names(self.question.cluster_with(times), self.question.problem(times)))
        self.budget.tell("search", value=max(0, self.low), bound=max(0, self.high))

    def _searched(self) -> str:
        """Why no more fit where the search says so, and the sums do not."""
        problem = self.question.problem(1)
        ruled = bool(problem.compiled_rules or problem.unary_rules or problem.resources)
        ruled = ruled or any(part.guarantee.quorum for part in problem.each)
        if problem.plain and not ruled:
            return "the nodes have enough memory in all for one more, but in pieces that are too small: every placement was tried"
        return "the sums of what is free would allow one more, but no placement keeps the guarantee: every one was tried"

    def _flaw_now(self) -> str:
        """What keeps the guarantee from being kept as it is."""
        problem = self.question.problem(0)
        if np.any(problem.node_of < 0) or self.oracle.move_running:
            return "every placement of the VMs was tried"
        for names in Names(self.question.part, problem).each:
            which = f"guarantee {names.problem.number + 1}: " if names.problem.number is not None else ""
            verdict = certify(names.problem, problem.node_of, budget=self.budget)
            for loss in unprotected(names, verdict.state.scenarios, verdict.losses):
                return f"{which}{loss.scenario}: {loss.reason}"
        return "some failure is not survived (vmplace check shows which)"

    def _result(self) -> Headroom:
        count: int | None = max(0, self.low)
        if self.high < 0:
            status, self.why = Status.INFEASIBLE, f"the guarantee cannot be kept even without new VMs: {self.why}"
        elif self.low < 0:
            status, count = Status.UNKNOWN, None
        else:
            status = Status.OPTIMAL if self.low == self.high else Status.FEASIBLE
        ended = status in (Status.UNKNOWN, Status.FEASIBLE)
        question = self.question
        return Headroom(
            cluster=question.cluster,
            status=status,
            bundle=question.bundle,
            overhead=question.overhead,
            resources=question.resources,
            count=count,
            bound=max(0, self.high),
            solution=None if self.best is None else self._solution(self.best),
            added=question.added(max(0, self.low)),
            limits=self.limits,
            by_sum=self.by_sum,
            reason="the search ended before a proof" if ended else self.why,
            method=self.method,
            stats={"seconds": round(self.budget.elapsed, 3)},
        )

    def _solution(self, best: CandidatePlacement) -> Solution:
        """The placement as `place` returns it; where VMs may move, with fewer moves if there is time to find that."""
        question, goal = self.question, Goal(("moves",), move_running=self.oracle.move_running)
        problem = question.problem(self.low)
        best = with_preferences(problem, best, budget=self.whole)
        if self.oracle.move_running and not self.whole.spent:
            methods = Strategy(self.oracle.method, self.oracle.seed, self.oracle.deterministic)
            fewer = methods.find(problem, goal, budget=self.whole.share(_MOVES_SHARE))[0].best
            if fewer is not None and migrated(problem, fewer.node_of) < migrated(problem, best.node_of):
                best = fewer
        cluster = question.cluster_with(self.low)
        return solution_of(cluster, problem, goal, best, method=self.method, budget=self.budget)
