"""Capacity planning: the fewest nodes of one kind, or the cheapest of several kinds, that run the VMs with the guarantee."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from attrs import define, evolve, field

from vmplace.capacity.feasibility import Feasibility, FeasibilityOracle, with_preferences
from vmplace.capacity.node_mix import NodeMix
from vmplace.capacity.results import Sizing
from vmplace.capacity.sizing_instance import SizingInstance, wanted
from vmplace.model.cluster import Cluster
from vmplace.model.converters import parse_count, parse_mapping, placed, positive_number
from vmplace.model.door import door
from vmplace.model.entities import Node
from vmplace.model.errors import Flaw, InputError, NotFoundError
from vmplace.model.guarantee import Guarantee
from vmplace.model.kinds import Method, a_mapping, optional
from vmplace.model.units import parse_memory, parse_share, short
from vmplace.model.what_if import part_of
from vmplace.placement.place import solution_of
from vmplace.placement.reasons import impossible_sentence
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.presolve import presolved_names
from vmplace.problem.unknown_names import unknown_names
from vmplace.results.values import Status
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.search.goal import CandidatePlacement, Goal
from vmplace.solvers.budget import Budget, Progress
from vmplace.solvers.program import Answer, Outcome

__all__ = ["size"]


_MOST_GROWTH = 10

_MOST_BUILT = 1_000_000
"""More nodes than this are not tried."""

_MOST_NODES = 20_000
"""Where there may be more, it is not looked at all of them whether they are enough."""

_HOWEVER_MANY = ("size", "rules", "group")
"""What one node of each kind cannot do, more of them cannot either, if it is for one of these reasons."""

_SEARCH_SHARE, _QUICK_SHARE, _PROBE_SHARE, _MIX_SHARE = 0.85, 0.5, 0.5, 0.5


@door(most=optional(a_mapping))
def size(
    cluster: Cluster,
    node: Node | int | str | Sequence[Node],
    *,
    most: Mapping[str, int] | None = None,
    growth: float | Fraction | str = 0,
    pool: str | None = None,
    method: Method = "auto",
    seed: int = 0,
    deterministic: bool = False,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Sizing:
    """How many nodes of a kind it takes to run a cluster's VMs with its guarantee; of several kinds, the cheapest set.

    The cluster's own nodes and the current placement do not count: all VMs are placed anew. Stopped VMs take nothing. Rules that
    name nodes are left out, with a warning; rules that choose nodes by tag apply to the kinds' tags; only must-rules count.

    Parameters
    ----------
    cluster
        The VMs, the rules and the guarantee.
    node
        The kind of node: its usable memory, or a `Node` whose name, state and pool do not matter. Or several kinds with
        different names, each at its `Node.price`.
    most
        The largest number of nodes of a kind, by its name.
    growth
        So much more of the same mix: ``0.2`` or ``"20%"``. Of the VMs of each memory or more, rounded up, this share comes in
        addition. The added VMs are like the others, but no rule that names VMs binds them.
    pool
        The pool whose VMs to plan for; required if there are several.
    method, seed, deterministic
        As for `place`.
    time_limit
        Seconds; the best found by then is returned, with a bound. None: until it is proved.
    progress, cancel
        Called now and then; set it to get the best so far, as Ctrl-C does.

    Raises
    ------
    InputError
        (a ValueError) that names the argument that is wrong.
    """
    oracle = FeasibilityOracle.of(False, method, seed, deterministic)
    kinds, share = _parse_kinds(node), placed("growth", _parse_growth)(growth)
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        part, own = part_of(cluster, pool)
        kinds = tuple(evolve(kind, pool=own, state="online") for kind in kinds)
        vms, left_out = wanted(part, own, share, kinds)
        warnings = (*left_out, *unknown_names(cluster))
        limits = _parse_most(most or {}, kinds, _enough(vms))
        return _SizeSearch(cluster, SizingInstance(vms, kinds, limits), oracle, budget, warnings).run()


def _parse_kinds(node: Any) -> tuple[Node, ...]:
    kinds = tuple(node) if isinstance(node, Sequence) and not isinstance(node, str) else (node,)
    if not kinds:
        raise InputError([Flaw("node", "[] names no kind of node: give at least one", "missing")])
    found = tuple(kind if isinstance(kind, Node) else Node("node", placed("node", parse_memory)(kind)) for kind in kinds)
    names = [kind.name for kind in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError([Flaw("node", f"{short(twice)} is the name of two kinds: give each its own", "duplicate")])
    return found


def _parse_growth(value: float | Fraction | str) -> Fraction:
    if isinstance(value, str):
        share = parse_share(value)
    else:
        none = isinstance(value, int | float) and value == 0 and not isinstance(value, bool)
        share = Fraction(0) if none else positive_number(value)
    if not 0 <= share <= _MOST_GROWTH:
        raise ValueError(f"{short(value)} is not within 0 to {_MOST_GROWTH}: write a share, 0.2 or 20%")
    return share


def _parse_most(most: Mapping[str, int], kinds: Sequence[Node], enough: int) -> tuple[int, ...]:
    """How many there may be of each kind: as many as there are VMs, and as may fail, are always enough."""
    limits = {
        name: placed(f"most[{short(name)}]", parse_count)(limit) for name, limit in placed("most", parse_mapping)(most).items()
    }
    words = [kind.name for kind in kinds]
    for name in limits:
        if name not in words:
            mend = f"name one of {', '.join(words)}"
            raise NotFoundError([Flaw("most", f"{short(name)} is not a kind of node: {mend}", "not-found")])
    return tuple(min(limits.get(kind.name, enough), enough) for kind in kinds)


def _enough(cluster: Cluster) -> int:
    """So many nodes are always enough: one for each VM, as many more as may fail, and as many as a quorum needs besides these."""

    def enough(asked: Guarantee) -> int:
        quorum = asked.failures + 1 if isinstance(asked.quorum, str) else asked.quorum or 0
        return asked.failures + max(len(cluster.vms), quorum)

    return max(map(enough, cluster.guarantees))


@define
class _SizeSearch:
    """The search of `size`: lower bounds by the covering problem without what was refuted, upper bounds by placements."""

    cluster: Cluster
    instance: SizingInstance
    oracle: FeasibilityOracle
    whole: Budget
    warnings: tuple[str, ...]
    budget: Budget = field(init=False)
    best: tuple[tuple[int, ...], Names, CandidatePlacement] | None = field(default=None, init=False)
    bound: int = field(default=0, init=False)
    infeasible: bool = field(default=False, init=False)
    why: str = field(default="", init=False)
    method: str = field(default="bounds", init=False)
    _prices: tuple[int, ...] = field(init=False)
    _step: Fraction = field(init=False)
    _mix: NodeMix = field(init=False)
    _tried: set[tuple[int, ...]] = field(factory=set, init=False)

    def __attrs_post_init__(self) -> None:
        self.budget = self.whole.share(_SEARCH_SHARE)  # what was found has to be audited in time, too

    def run(self) -> Sizing:
        self._prices, self._step = self.instance.prices()
        self._mix = self.instance.mix(self._prices)
        self._look_up(self.budget.share(_QUICK_SHARE))
        if self.best is not None or not self._hopeless():
            self._climb()
        return self._result()

    @property
    def value(self) -> int | None:
        """What the best costs, in steps."""
        return None if self.best is None else self._cost(self.best[0])

    def _cost(self, counts: Iterable[int]) -> int:
        return sum(count * price for count, price in zip(counts, self._prices, strict=True))

    def _hopeless(self) -> bool:
        """Whether as many nodes as there may be are not enough, as a bound shows."""
        most = self.instance.most
        few = tuple(min(1, limit) for limit in most) if sum(most) > _MOST_NODES else most
        nodes = self.instance.cluster(few)
        problem = compile_problem(nodes, several=True)
        reason = impossible(problem, self.oracle.goal)
        if reason is not None and (few == most or reason.kind in _HOWEVER_MANY):
            self.infeasible, self.why = True, impossible_sentence(reason, Names(nodes, problem))
        return self.infeasible

    def _look_up(self, budget: Budget) -> None:
        """Quickly: the least that bounds allow, then more and more until something does, then halving in between."""
        answer = self._mix.cheapest(budget=budget.share(_MIX_SHARE))
        if not self._learn(answer) or self._does(self._counts(answer), budget):
            return
        low, high = 0, 1
        while self.best is None and not budget.spent:
            high *= 2
            answer = self._mix.cheapest(budget=budget.share(_MIX_SHARE), stretch=high)
            if answer.values is None:
                return
            low = low if self._does(self._counts(answer), budget) else high
        while high - low > 1 and not budget.spent:
            middle = (low + high) // 2
            answer = self._mix.cheapest(budget=budget.share(_MIX_SHARE), stretch=middle, below=self.value)
            does = answer.values is not None and self._does(self._counts(answer), budget)
            low, high = (low, middle) if does else (middle, high)

    def _does(self, counts: tuple[int, ...], budget: Budget) -> bool:
        """Whether these nodes are quickly found to do; none are looked at twice."""
        if counts in self._tried:
            return False
        self._tried.add(counts)
        fit = self._try(counts, self.oracle.quick, budget)
        if fit.infeasible:
            self._mix.exclude(counts)
        return fit.best is not None

    def _climb(self) -> None:
        """By search: the least that is not ruled out, again and again; what stays open does not keep others from being tried."""
        open_ = False
        while not self.infeasible and not self.budget.spent and (self.value is None or self.bound < self.value):
            answer = self._mix.cheapest(budget=self.budget.share(_MIX_SHARE), below=self.value)
            if not open_ and not self._learn(answer):
                return
            if answer.values is None:
                return
            counts = self._counts(answer)
            fit = self._try(counts, self.oracle.thorough, self.budget.share(_PROBE_SHARE))
            if fit.best is None:
                open_ = open_ or not fit.infeasible
                self._mix.exclude(counts)

    def _learn(self, answer: Answer) -> bool:
        """Take a bound; whether there is anything left to try."""
        if answer.outcome is Outcome.INFEASIBLE:
            if self.value is None:
                self.infeasible = True
                self.why = "no allowed number of these nodes is enough: every one was tried"
            else:
                self.bound = self.value
            return False
        self.bound = max(self.bound, answer.bound or 0)
        self._tell()
        return answer.values is not None

    def _counts(self, answer: Answer) -> tuple[int, ...]:
        assert answer.values is not None
        return answer.values[: len(self.instance.kinds)]

    def _try(self, counts: tuple[int, ...], ask: Callable[..., Feasibility], budget: Budget) -> Feasibility:
        if sum(counts) > _MOST_BUILT:
            return Feasibility()
        try:
            asked = self.instance.cluster(counts)
            names = presolved_names(asked)
        except InputError:  # none of the nodes that a rule asks for are among them
            return Feasibility(infeasible=True)
        fit = ask(names.problem, budget=budget)
        if fit.best is not None and (self.value is None or self._cost(counts) < self.value):
            self.best, self.method = (counts, names, fit.best), fit.method
            self._tell()
        return fit

    def _tell(self) -> None:
        value = None if self.value is None else float(self.value * self._step)
        self.budget.tell("search", value=value, bound=float(self.bound * self._step))

    def _result(self) -> Sizing:
        several = len(self.instance.kinds) > 1
        if self.infeasible or self.best is None:
            counts, solution, value = None, None, None
            status = Status.INFEASIBLE if self.infeasible else Status.UNKNOWN
        else:
            counts, names, best = self.best
            best = evolve(with_preferences(names.problem, best, budget=self.whole), powered=names.problem.online)
            value = self._cost(counts)
            status = Status.OPTIMAL if self.bound >= value else Status.FEASIBLE
            goal = Goal(("consolidate",))
            solution = solution_of(names.cluster, names.problem, goal, best, method=self.method, budget=self.budget)
        return Sizing(
            cluster=self.cluster,
            status=status,
            kinds=self.instance.kinds,
            counts=None if counts is None else dict(zip((kind.name for kind in self.instance.kinds), counts, strict=True)),
            objective_name="price" if several else "nodes",
            objective=None if value is None else self._shown(value),
            bound=None if self.infeasible else self._shown(self.bound),
            n_vms=len(self.instance.wanted.vms),
            solution=solution,
            reason=self.why if self.infeasible else "" if status is Status.OPTIMAL else "the search ended before a proof",
            warnings=self.warnings,
            method=self.method,
            stats={"seconds": round(self.budget.elapsed, 3)},
        )

    def _shown(self, steps: int) -> int | Fraction:
        return steps * self._step if len(self.instance.kinds) > 1 else steps
