"""Incremental admission control by names where rules, several resources or several failures bind: pools with kept plans."""

from collections.abc import Callable, Mapping

import numpy as np
from attrs import define, field, frozen

from vmplace.admission.candidates import CandidateSurvey, away, scores
from vmplace.admission.incremental.planned_pool import Asking, Plan, PlannedPool, Restart
from vmplace.admission.results import Candidates, Rejection
from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.entities import VM
from vmplace.model.references import RuledVMs
from vmplace.problem.names import Names
from vmplace.problem.problem import BoolArray
from vmplace.problem.rules import CompiledRule

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
class _Bound:
    """The VMs that rules bind, or that some node does not take for their size."""

    ruled: RuledVMs
    most: Mapping[str, int]

    @classmethod
    def of(cls, cluster: Cluster) -> "_Bound":
        most: dict[str, int] = {}
        for word in cluster.nodes.max_vm.words:
            most.update({name: min(limit, most.get(name, limit)) for name, limit in word.items()})
        return cls(RuledVMs.of(cluster.rules), most)

    def holds(self, vm: VM) -> bool:
        """Whether a VM is one of them."""
        amounts = {**vm.resources, "memory": vm.memory}
        return self.ruled.holds(vm) or any(amounts.get(name, 0) > most for name, most in self.most.items())


@define(eq=False)
class PlannedCluster:
    """A plan for each failure of a cluster, kept as VMs that no rule binds come and go."""

    _resources: tuple[str, ...]
    _bound: _Bound
    _parts: dict[str, _Part] = field(factory=dict)
    _place: dict[str, tuple[str, int]] = field(factory=dict)

    @classmethod
    def of(cls, cluster: Cluster, verdict: Verdict) -> "PlannedCluster | None":
        """The plans of a cluster, of which this is the verdict.

        None where some failure is not known to be survived, plans are not all that is asked, or they are too many.
        """
        problem, scenarios, nodes = verdict.state.problem, verdict.state.scenarios, cluster.nodes
        survived = scenarios.complete and bool((verdict.fate == ScenarioStatus.SAFE).all())
        if not survived or not problem.plain or problem.guarantee.quorum is not None or not verdict.countable:
            return None
        sizes = [np.count_nonzero(problem.pool == pool) * np.count_nonzero(scenarios.pool == pool) for pool in problem.pools]
        if sum(sizes) * problem.n_firm > _MOST_ENTRIES:
            return None
        live = cls(problem.resources, _Bound.of(cluster))
        for number in problem.pools:
            mine = np.flatnonzero(problem.pool == number)
            name, names = nodes.pool[int(mine[0])], [nodes.names[i] for i in mine.tolist()]
            live._parts[name] = _part(verdict, Names(cluster, problem), mine, names)
            live._place.update((node, (name, i)) for i, node in enumerate(names))
        return live

    # What is there

    def tells_of(self, vm: VM) -> bool:
        """Whether the plans tell of a VM, once it is started."""
        known = all(name in self._resources or not amount for name, amount in vm.resources.items())
        return known and vm.pool in self._parts and not self._bound.holds(vm)

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
        return True

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
            cause = self._resources[int(resources[index])]
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
        part, asking, names = self._parts[vm.pool], self._asking(vm, waits=waits), [*self._resources]
        pool = part.pool
        rejections, resources = pool.rejections(asking)
        rejections[rejections == Rejection.NOTHING] = Rejection.DOUBT

        def named(name: str) -> int:
            names.append(name)
            return len(names) - 1

        def sift() -> tuple[IntArray, IntArray]:
            rejections, failure = pool.sift(asking)
            blamed = named(part.failures(failure)) if failure >= 0 else -1
            return rejections, np.where(rejections == Rejection.FAILURE, blamed, -1)

        def ask(index: int) -> tuple[Rejection, int]:
            rejection, failure = pool.judge(index, asking)
            if rejection is not Rejection.DOUBT:
                return rejection, named(part.failures(failure)) if failure >= 0 else -1
            rejection, reason = otherwise(part.names[index])
            return rejection, named(reason)

        free = np.maximum(pool.capacity[:, 0] - pool.load[:, 0], 0)
        scored, penalties = scores(score, free, pool.capacity[:, 0], vm.charged), away(vm, self._place, pool.online)
        known = Candidates(part.names, vm.charged, rejections, scored, penalties, free, resources, names.__getitem__)
        return CandidateSurvey(known, ask, sift)


def _part(verdict: Verdict, names: Names, nodes: IntArray, labels: list[str]) -> _Part:
    """A pool of some nodes."""
    state, problem, restarts = verdict.state, verdict.state.problem, verdict.restarts
    scenarios, firm, place = state.scenarios, problem.n_firm, np.full(problem.n_nodes, -1)
    place[nodes] = np.arange(len(nodes))
    mine = np.flatnonzero(scenarios.pool == problem.pool[nodes[0]])
    failing = np.zeros((len(mine), len(nodes)), dtype=bool)
    fails = scenarios.nodes[mine]
    row, column = np.nonzero(fails >= 0)
    failing[row, place[fails[row, column]]] = True
    start, end = np.searchsorted(restarts.scenario, mine), np.searchsorted(restarts.scenario, mine, side="right")
    own = restarts[np.isin(restarts.scenario, mine)]
    use = np.zeros((len(mine), len(nodes), firm), dtype=np.int64)
    np.add.at(use, (np.searchsorted(mine, own.scenario), place[own.node]), problem.demand[own.vm, :firm])
    lasting = problem.node_of if problem.lasting is None else np.where(problem.lasting, problem.node_of, -1)
    rules, ruled = _RestartRules(verdict, names, mine, nodes), np.zeros((len(mine), len(nodes)), dtype=bool)
    theirs = own[np.isin(own.vm, list(rules.of_vm))]
    ruled[np.searchsorted(mine, theirs.scenario), place[theirs.node]] = True

    def plan_of(failure: int) -> Plan:
        entries = range(int(start[failure]), int(end[failure]))
        vms, targets = restarts.vm[entries].tolist(), place[restarts.node[entries]].tolist()
        return {
            names.vm(vm): Restart(node, problem.demand[vm, :firm], vm in rules.of_vm)
            for vm, node in zip(vms, targets, strict=True)
        }

    return _Part(
        labels,
        lambda failure: names.scenario(scenarios, int(mine[failure])),
        PlannedPool(
            problem.capacity[nodes],
            problem.limit[nodes],
            state.target[nodes],
            problem.loads(problem.node_of)[nodes],
            problem.loads(lasting)[nodes, :firm],
            failing,
            use,
            ruled,
            plan_of,
            rules.open_to,
        ),
    )


class _RestartRules:
    """The rules that bind the restarts of VMs.

    Parameters
    ----------
    failures, nodes
        The pool's, as indices into the scenarios of the verdict and the nodes of its problem.

    Attributes
    ----------
    of_vm : dict
        The rules of each VM that has any.
    """

    def __init__(self, verdict: Verdict, names: Names, failures: IntArray, nodes: IntArray) -> None:
        self._state, self._names, self._failures, self._nodes = verdict.state, names, failures, nodes
        self.of_vm: dict[int, list[CompiledRule]] = {}
        problem = names.problem
        for rule in (*problem.compiled_rules, *problem.unary_rules):
            for vm in rule.vms.tolist() if rule.must and rule.during_failover else ():
                self.of_vm.setdefault(vm, []).append(rule)
        self._index = {names.vm(vm): vm for vm in self.of_vm}

    def open_to(self, failure: int, name: str, plan: Plan) -> BoolArray:
        """The nodes of the pool that rules leave to a VM beside a plan; none where it is to be together with others."""
        problem, vm = self._names.problem, self._index[name]
        open_: BoolArray = problem.restartable[problem.signature[vm]].copy()
        fails = self._state.scenarios.failing(int(self._failures[failure]))
        for rule in self.of_vm[vm]:
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
