"""Incremental admission control by names where rules, several resources or several failures bind: planned pools, by a check."""

from collections.abc import Callable, Mapping

import numpy as np
from attrs import define, field, frozen

from vmplace.admission.candidates import CandidateSurvey, scores
from vmplace.admission.incremental.planned_pool import Asking, Plan, PlannedPool, Restart
from vmplace.admission.results import Candidates, Rejection
from vmplace.failover.certify import certify
from vmplace.failover.planned.columns import RestartColumns
from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.entities import VM, Tag
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.problem import BoolArray
from vmplace.problem.rules import CompiledRule
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget

__all__ = ["PlannedCluster"]

_MOST_ENTRIES = 2**25
"""So many amounts, of failures times nodes times resources, are kept at most."""

Otherwise = Callable[[str], tuple[Rejection, str]]
"""What a search tells of a VM on a node, by its name, and what speaks against it."""


@frozen(eq=False)
class _Part:
    """A pool with the names of its nodes and of its failures."""

    names: list[str]
    failures: Callable[[int], str]
    pool: PlannedPool


@frozen(eq=False)
class _Unbound:
    """The VMs that no rule binds: by what rules name, and the largest that every node takes."""

    names: frozenset[str]
    tags: frozenset[str]
    most: Mapping[str, int]

    @classmethod
    def of(cls, cluster: Cluster) -> "_Unbound":
        members = [rule.vms for rule in cluster.rules]
        tags = frozenset(each.tag for each in members if isinstance(each, Tag))
        names = frozenset(name for each in members if not isinstance(each, Tag) for name in each)
        most: dict[str, int] = {}
        for word in cluster.nodes.max_vm.words:
            most.update({name: min(limit, most.get(name, limit)) for name, limit in word.items()})
        return cls(names, tags, most)

    def holds(self, vm: VM) -> bool:
        """Whether no rule binds a VM."""
        small = all((vm.memory if name == "memory" else vm.resources.get(name, 0)) <= most for name, most in self.most.items())
        return small and vm.name not in self.names and self.tags.isdisjoint(vm.tags)


@define(eq=False)
class PlannedCluster:
    """A plan for each failure of a cluster, kept as VMs that no rule binds come and go."""

    _resources: tuple[str, ...]
    _unbound: _Unbound
    _parts: dict[str, _Part] = field(factory=dict)
    _place: dict[str, tuple[str, int]] = field(factory=dict)

    @classmethod
    def of(cls, cluster: Cluster, *, budget: Budget) -> "PlannedCluster | None":
        """The plans of a cluster under its first guarantee; None where there are too many, or plans are not all that is asked."""
        problem = compile_problem(cluster)
        if not problem.plain or problem.guarantee.quorum is not None:
            return None
        scenarios = PlacementState.of(problem, problem.node_of).scenarios
        sizes = [int((problem.pool == pool).sum() * (scenarios.pool == pool).sum()) for pool in problem.pools if len(scenarios)]
        if not scenarios.complete or sum(sizes) * problem.n_firm > _MOST_ENTRIES:
            return None
        verdict = certify(problem, problem.node_of, budget=budget, losses=False)
        if not verdict.countable:
            return None
        live, restarts = cls(problem.resources, _Unbound.of(cluster)), _restarts(verdict)
        for number in problem.pools:
            mine = np.flatnonzero(problem.pool == number)
            name, names = cluster.nodes.pool[int(mine[0])], [cluster.nodes.names[i] for i in mine.tolist()]
            live._parts[name] = _part(verdict, restarts, Names(cluster, problem), mine, names)
            live._place.update((node, (name, i)) for i, node in enumerate(names))
        return live

    # What is there

    def tells_of(self, vm: VM) -> bool:
        """Whether the plans tell of a VM, once it is started."""
        known = all(name in self._resources or not amount for name, amount in vm.resources.items())
        return known and vm.pool in self._parts and self._unbound.holds(vm)

    def put(self, vm: VM, node: str) -> bool:
        """A VM more; whether the plans are still good."""
        if not self.tells_of(vm) or vm.target is not None:
            return False
        pool, index = self._found(node)
        return pool.put(vm.name, index, self._asking(vm))

    def take(self, vm: VM, node: str) -> bool:
        """A VM less; whether the plans are still good."""
        if not self.tells_of(vm) or vm.target is not None:
            return False
        pool, index = self._found(node)
        pool.take(vm.name, index, self._asking(vm))
        return bool(pool.planned.all())  # where a failure is not survived, it may be now

    def _found(self, node: str) -> tuple[PlannedPool, int]:
        name, index = self._place[node]
        return self._parts[name].pool, index

    def _asking(self, vm: VM, *, waits: bool = False) -> Asking:
        amounts = [vm.charged, *(vm.resources.get(name, 0) for name in self._resources)]
        returns = vm.protected and not vm.evictable
        return Asking(np.array(amounts, dtype=np.int64), not vm.evictable, returns and not waits, waits and returns)

    # What is asked

    def weigh(self, vm: VM, node: str, *, waits: bool) -> tuple[Rejection, str]:
        """What speaks against a VM to start on a node of its pool, and that in a sentence."""
        (pool, index), asking = self._found(node), self._asking(vm, waits=waits)
        rejections, resources = pool.rejections(asking)
        told, cause = Rejection(int(rejections[index])), ""
        if told is Rejection.RESOURCE:
            cause = self._resources[int(resources[index]) - 1]
        elif told is Rejection.NOTHING:
            told, failure = pool.judge(index, asking)
            cause = self._parts[vm.pool].failures(failure) if failure >= 0 else ""
        free = int(pool.capacity[index, 0] - pool.load[index, 0])
        return told, told.sentence(node, max(free, 0), cause)

    def survey(self, vm: VM, *, waits: bool, score: str, otherwise: Otherwise) -> CandidateSurvey:
        """What is known of it on each node of its pool.

        Parameters
        ----------
        waits
            Whether it is one of the cluster's, down until it is started: failures may leave out as much more.
        otherwise
            Asked where the plans do not tell.
        """
        part, asking, told = self._parts[vm.pool], self._asking(vm, waits=waits), list[str]()
        pool, firsts = part.pool, len(self._resources)
        rejections, resources = pool.rejections(asking)
        rejections[rejections == Rejection.NOTHING] = Rejection.DOUBT
        causes = np.where(resources > 0, resources - 1, -1)

        def cause(number: int) -> str:
            if number < firsts:
                return self._resources[number]
            place, searched = divmod(number - firsts, 2)
            return told[place] if searched else part.failures(place)

        def sift() -> tuple[IntArray, IntArray]:
            rejections, failures = pool.sift(asking)
            return rejections, np.where(failures >= 0, firsts + 2 * failures, -1)

        def ask(index: int) -> tuple[Rejection, int]:
            rejection, failure = pool.judge(index, asking)
            if rejection is not Rejection.DOUBT:
                return rejection, firsts + 2 * failure if failure >= 0 else -1
            rejection, reason = otherwise(part.names[index])
            told.append(reason)
            return rejection, firsts + 2 * len(told) - 1

        free = np.maximum(pool.capacity[:, 0] - pool.load[:, 0], 0)
        scored = scores(score, free, pool.capacity[:, 0], vm.charged)
        known = Candidates(part.names, vm.charged, rejections, scored, self._away(vm, len(free)), free, causes, cause)
        return CandidateSurvey(known, ask, sift)

    def _away(self, vm: VM, count: int) -> IntArray:
        """The penalty of each node of a VM's pool that is not its home, as far as this is online, shape (n_nodes,)."""
        pool, index = self._place.get(vm.home or "", ("", -1))
        away = np.zeros(count, dtype=np.int64)
        if index >= 0 and pool == vm.pool and self._parts[pool].pool.online[index]:
            away[:] = 1
            away[index] = 0
        return away


def _restarts(verdict: Verdict) -> RestartColumns:
    """The plans of failures that are survived, by failure."""
    restarts = verdict.restarts
    return restarts[(verdict.fate[restarts.scenario] == ScenarioStatus.SAFE) & (restarts.node >= 0)]


def _part(verdict: Verdict, restarts: RestartColumns, names: Names, nodes: IntArray, labels: list[str]) -> _Part:
    """A pool of some nodes."""
    state, problem = verdict.state, verdict.state.problem
    scenarios, firm, place = state.scenarios, problem.n_firm, np.full(problem.n_nodes, -1)
    place[nodes] = np.arange(len(nodes))
    mine = np.flatnonzero(scenarios.pool == problem.pool[nodes[0]]) if len(scenarios) else np.zeros(0, dtype=np.int64)
    failing = np.zeros((len(mine), len(nodes)), dtype=bool)
    fails = scenarios.nodes[mine] if len(mine) else np.zeros((0, 1), dtype=np.int64)
    row, column = np.nonzero(fails >= 0)
    failing[row, place[fails[row, column]]] = True
    start, end = np.searchsorted(restarts.scenario, mine), np.searchsorted(restarts.scenario, mine, side="right")
    own = restarts[np.isin(restarts.scenario, mine)]
    use = np.zeros((len(mine), len(nodes), firm), dtype=np.int64)
    np.add.at(use, (np.searchsorted(mine, own.scenario), place[own.node]), problem.demand[own.vm, :firm])
    lasting = problem.node_of if problem.lasting is None else np.where(problem.lasting, problem.node_of, -1)
    bound, ruled = _Bound(verdict, names, mine, nodes), np.zeros((len(mine), len(nodes)), dtype=bool)
    theirs = own[np.isin(own.vm, list(bound.rules))]
    ruled[np.searchsorted(mine, theirs.scenario), place[theirs.node]] = True

    def plan_of(failure: int) -> Plan:
        entries = range(int(start[failure]), int(end[failure]))
        vms, targets = restarts.vm[entries].tolist(), place[restarts.node[entries]].tolist()
        return {
            names.vm(vm): Restart(node, problem.demand[vm, :firm], vm in bound.rules)
            for vm, node in zip(vms, targets, strict=True)
        }

    return _Part(
        labels,
        lambda failure: "+".join(names.unit(unit) for unit in scenarios.key(int(mine[failure]))),
        PlannedPool(
            problem.capacity[nodes],
            problem.limit[nodes],
            state.target[nodes],
            problem.loads(problem.node_of)[nodes],
            problem.loads(lasting)[nodes, :firm],
            failing,
            use,
            ruled,
            verdict.fate[mine] == ScenarioStatus.SAFE,
            plan_of,
            bound.open_to,
        ),
    )


class _Bound:
    """The VMs whose restart rules have a say in.

    Parameters
    ----------
    failures, nodes
        The pool's, as indices into the scenarios of the verdict and the nodes of its problem.

    Attributes
    ----------
    rules : dict
        The rules of each of these VMs.
    """

    def __init__(self, verdict: Verdict, names: Names, failures: IntArray, nodes: IntArray) -> None:
        self._state, self._names, self._failures, self._nodes = verdict.state, names, failures, nodes
        self.rules: dict[int, list[CompiledRule]] = {}
        problem = names.problem
        for rule in (*problem.compiled_rules, *problem.unary_rules):
            for vm in rule.vms.tolist() if rule.must and rule.during_failover else ():
                self.rules.setdefault(vm, []).append(rule)
        self._index = {names.vm(vm): vm for vm in self.rules}

    def open_to(self, failure: int, name: str, plan: Plan) -> BoolArray:
        """The nodes of the pool that rules leave to a VM beside a plan; none where it is to be together with others."""
        problem, vm = self._names.problem, self._index[name]
        open_: BoolArray = problem.restartable[problem.signature[vm]].copy()
        fails = self._state.scenarios.failing(int(self._failures[failure]))
        for rule in self.rules[vm]:
            if rule.kind == "together":
                open_[:] = False
            elif rule.zone is not None:
                hosts = [self._host(int(other), plan, fails) for other in rule.vms.tolist() if other != vm]
                open_ &= ~np.isin(rule.zone, rule.zone[[host for host in hosts if host >= 0]])
        return open_[self._nodes]

    def _host(self, vm: int, plan: Plan, fails: IntArray) -> int:
        """Where a VM is after a failure; -1 if nowhere."""
        host = int(self._names.problem.node_of[vm])
        if host not in fails:
            return host
        restart = plan.get(self._names.vm(vm))
        return -1 if restart is None else int(self._nodes[restart.node])
