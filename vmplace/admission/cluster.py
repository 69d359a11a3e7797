"""A cluster that changes, with what is known of its failures: live where it can be, certified anew where it cannot."""

from attrs import evolve

from vmplace.admission.candidates import CandidateSurvey
from vmplace.admission.harm import Regression
from vmplace.admission.incremental.cluster import LiveCluster, bare
from vmplace.admission.ledger import Ledger
from vmplace.admission.recheck import Certified
from vmplace.admission.results import Admission, Rejection
from vmplace.failover.check import check
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short
from vmplace.problem.compile import compile_problem
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["ChangingCluster"]


class ChangingCluster:
    """What a cluster has become, and what one change more would do to it.

    Parameters
    ----------
    cluster
        What it was to begin with.
    score
        What makes a node the best.
    budget
        What may be spent on failures that only a search can tell.
    """

    def __init__(self, cluster: Cluster, score: str, *, budget: Budget) -> None:
        self.ledger = Ledger(cluster)
        self.ruled = bool(cluster.rules)
        self._guarantee = cluster.guarantee
        self.live = LiveCluster.of(cluster, budget=budget)
        self._score = score
        self._once_live, self._odd = self.live is not None, set[str]()
        self._harm: Regression | None = None

    def verdicts(self, budget: Budget) -> dict[str, Status]:
        """What would become of each failure now, by its name."""
        if self.live is not None:
            return self.live.verdicts(budget=budget)
        report = check(self.ledger.cluster, time_limit=budget.left)
        return {name: scenario.status for name, scenario in report.scenarios.items()}

    def survey(self, vm: VM, budget: Budget) -> CandidateSurvey:
        """What is known of a VM that is to be started on each node."""
        waits = vm.name in self.ledger
        if self.live is not None and bare(vm):
            return self.live.survey(vm, waits=waits, score=self._score, budget=budget)
        cluster, place = self.ledger.with_vm(evolve(vm, node=None, target=None))
        return Certified(cluster, place, self._harm_now(budget), None, waits).survey(self._score, budget)

    def single(self, vm: VM, budget: Budget) -> Admission:
        """Where a VM may be started."""
        survey = self.survey(vm, budget)
        index = next(survey.admitted(budget), None)
        if index is None:
            found = survey.result()
            return Admission(found.status, vm.name, reason=found.summary())
        node = survey.names[index]
        return Admission(Status.ADMITTED, vm.name, node, {vm.name: node}, score=survey.score(index))

    @property
    def monotone(self) -> bool:
        """Whether one VM more never makes a failure easier: so it is where restarts are planned for each failure by itself."""
        asked = self._guarantee
        in_turn = asked.sequence == "sequential" and asked.failures > 1
        return asked.restart == "planned" and asked.policy is None and not in_turn

    def settle(self, vm: VM, wanted: VM, budget: Budget, force: bool) -> Admission:
        """Have a VM as wanted, unless that makes anything worse."""
        name, node = wanted.name, wanted.node
        if node is not None:
            self._refuse_pool(wanted)
        if self.live is None:
            self.ledger.with_vm(wanted)  # which refuses what contradicts the rules
        known = name in self.ledger
        if not (force or self._harmless(vm if known else None, wanted)):
            told, free, failing = self._weigh(vm if known else None, wanted, budget)
            if told is not Rejection.NOTHING:
                assert node is not None
                return Admission(told.status, name, reason=told.sentence(node, free, failing))
        self.replace(name, wanted)
        return Admission(Status.ADMITTED, name, node, {} if node is None else {name: node})

    def _refuse_pool(self, vm: VM) -> None:
        assert vm.node is not None
        pool = self.ledger.node(vm.node).pool
        if pool != vm.pool:
            pools = f"in pool {short(pool)}, the VM in {short(vm.pool)}"
            raise InputError([Flaw("node", f"{short(vm.node)} is {pools}: VMs never cross pools")])

    def _harmless(self, vm: VM | None, wanted: VM) -> bool:
        """Whether a VM as wanted takes nothing that it does not take already."""
        stays = vm is not None and vm.node == wanted.node
        if wanted.node is None or not wanted.running or (stays and self.ledger.waits(wanted)):
            return True
        return vm is not None and stays and self.monotone and wanted.memory <= vm.memory

    def _weigh(self, vm: VM | None, wanted: VM, budget: Budget) -> tuple[Rejection, int, str]:
        """What speaks against a VM as wanted, what is free there, and which failure is to blame."""
        host, waits = None if vm is None else self.ledger.host(vm), vm is not None and self.ledger.waits(vm)
        node = wanted.node
        assert node is not None
        if self.live is None or not bare(wanted):
            cluster, place = self.ledger.with_vm(wanted)
            names = list(self.ledger.nodes)
            was, index = None if host is None else names.index(host), names.index(node)
            smaller = vm is not None and wanted.memory <= vm.memory
            return Certified(cluster, place, self._harm_now(budget), was, waits, smaller).weigh(index, budget)
        if host is None:
            return self.live.weigh(wanted, node, waits=waits, stays=False, budget=budget)
        assert vm is not None
        before = self.live.losses(vm.pool, budget=budget)
        self.live.take(vm, host)
        try:
            return self.live.weigh(wanted, node, waits=False, stays=host == node, budget=budget, before=before)
        finally:
            self.live.put(vm, host)

    def _harm_now(self, budget: Budget) -> Regression:
        if self._harm is None or not self._harm.known:
            problem = compile_problem(self.ledger.cluster)
            self._harm = Regression.of(problem, problem.node_of, budget=budget)
        return self._harm

    def replace(self, name: str, vm: VM | None) -> None:
        """A VM is as given from now on; None: it is gone."""
        old = self.ledger.vm(name) if name in self.ledger else None
        host = None if old is None else self.ledger.host(old)
        if self.live is not None and old is not None and host is not None:
            self.live.take(old, host)
        if vm is None:
            self.ledger.remove(name)
        else:
            self.ledger.put(vm)
        self._harm = None
        if vm is not None and not bare(vm):
            self._odd.add(name)
            self.live = None
            return
        self._odd.discard(name)
        if self.live is None:
            if self._once_live and not self._odd:
                self.live = LiveCluster.of(self.ledger.cluster, budget=Budget(0))
        elif vm is not None and (node := self.ledger.host(vm)) is not None:
            self.live.put(vm, node)

    def restate(self, node: str, state: str) -> None:
        """A node fails, or is back."""
        self.ledger.set_state(node, state)
        self._harm = None
        if self.live is not None and state == "offline":
            self.live.close(node)
        elif self.live is not None:
            back = [vm for vm in self.ledger.on(node) if vm.running]
            self.live.open(node, back, online=state == "online")
