"""One guarantee of a changing cluster: by certificates or plans that are kept, else certified anew."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from attrs import evolve, frozen

from vmplace.admission.candidates import CandidateSurvey
from vmplace.admission.incremental.cluster import LiveCluster, Losses
from vmplace.admission.incremental.planned_cluster import PlannedCluster
from vmplace.admission.ledger import Ledger, started
from vmplace.admission.recheck import RecheckedVM
from vmplace.admission.results import Rejection
from vmplace.failover.certify import certify
from vmplace.failover.check import check
from vmplace.failover.regression import Defects, LostMemory, added
from vmplace.failover.verdict import Verdict
from vmplace.model.entities import VM
from vmplace.model.guarantee import Guarantee
from vmplace.model.kinds import State
from vmplace.problem.compile import compile_problem
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

__all__ = ["Baseline", "GuaranteeState"]


@frozen(eq=False)
class Baseline:
    """What is wrong before VMs are started: after all of them have been, no failure may end worse.

    Parameters
    ----------
    credit
        What each failure of a pool leaves out until they are: those of them that are down.
    defects
        What failures do now.
    losses
        The same where the cluster is live, the credit included; None where it is not, or where `defects` tells.
    """

    credit: Mapping[str, LostMemory]
    defects: Defects | None
    losses: Mapping[str, Losses] | None = None


class GuaranteeState:
    """What one guarantee makes of a cluster that changes, and of one change more.

    Parameters
    ----------
    ledger
        The cluster as it is now; every change is reported here.
    asked
        The guarantee.
    budget
        What may be spent on failures that only a search can tell.
    """

    def __init__(self, ledger: Ledger, asked: Guarantee, *, budget: Budget) -> None:
        self._ledger, self._asked = ledger, asked
        self.live = LiveCluster.of(ledger.cluster.under(asked), budget=budget)
        self._alone, self._odd = None if self.live is None else self.live.alone, set[str]()
        self._now: tuple[Verdict, Defects] | None = None
        self._plans: PlannedCluster | None = None

    def verdicts(self, budget: Budget) -> dict[str, Status]:
        """Whether each failure is survived now, by its name."""
        if self.live is not None:
            told = self.live.verdicts(budget=budget)
            return {node: told[node] for node in self._ledger.nodes if node in told}
        report = check(self._ledger.cluster.under(self._asked), time_limit=budget.left)
        return {name: scenario.status for name, scenario in report.scenarios.items()}

    @property
    def monotone(self) -> bool:
        """Whether one VM more never makes a failure easier: so it is where restarts are planned for each failure alone."""
        return self._asked.plain

    @property
    def interchangeable(self) -> bool:
        """Whether VMs that are alike may change places: nothing asks for their names."""
        return self._asked.policy is None and self._asked.vms is None

    @property
    def by_order(self) -> bool:
        """Whether the order of VMs or nodes in the document counts."""
        return self._asked.policy is not None

    def keeps_live(self, vm: VM) -> bool:
        """Whether it is kept incrementally, with a VM as given, too."""
        return self.live is not None and self.live.alone.binds(vm)

    def keeps(self, vm: VM) -> bool:
        """Whether certificates or plans that are kept tell of a VM: then nothing but rules can contradict it."""
        return self.keeps_live(vm) or (self._plans is not None and self._plans.tells_of(vm))

    # Questions

    def baseline(self, vms: Sequence[VM], budget: Budget) -> Baseline | None:
        """What is wrong before VMs are started; None where each of them in turn may be compared with what was before it."""
        if len(vms) == 1:
            return None
        credit = self._credit(vms)
        if self.live is None or not all(map(self.keeps_live, vms)):
            return Baseline(credit, self._known(budget)[1])
        if not credit:
            return None
        return Baseline(credit, None, {pool: self.live.losses(pool, credit.get(pool), budget=budget) for pool in credit})

    def survey(self, vm: VM, score: str, budget: Budget, since: Baseline | None = None) -> CandidateSurvey:
        """The survey of candidate nodes for a VM to start; `since`: what to compare with, if not with what is now."""
        if self.live is not None and self.live.alone.binds_once_started(vm) and (since is None or since.losses is not None):
            before = None if since is None or since.losses is None else since.losses.get(vm.pool)
            waits = before is None and bool(self._credit([vm]))
            return self.live.survey(self._seen(vm), waits=waits, score=score, budget=budget, before=before)
        if since is None and (plans := self._plans_for(vm, budget)) is not None:
            return plans.survey(
                self._seen(vm),
                waits=bool(self._credit([vm])),
                score=score,
                otherwise=self._otherwise(vm, budget),
            )
        return self._rechecked(vm, started(vm), budget, since).survey(score, budget)

    def weigh(self, vm: VM | None, wanted: VM, budget: Budget) -> tuple[Rejection, str]:
        """What speaks against a VM (None: it is new) as wanted, and that in a sentence."""
        node, host = str(wanted.node), None if vm is None else self._ledger.host(vm)
        if self.live is None or not self.keeps_live(wanted):
            told = self._planned(vm, host, wanted, budget)
            if told[0] is not Rejection.DOUBT:
                return told
            return self._rechecked(vm, wanted, budget).weigh(list(self._ledger.nodes).index(node), budget)
        wanted = self._seen(wanted)
        if vm is None or host is None:
            return self.live.weigh(wanted, node, waits=bool(self._credit([vm])), budget=budget)
        before, there = self.live.losses(vm.pool, budget=budget), self._seen(vm)
        self.live.take(there, host)
        try:
            return self.live.weigh(
                wanted, node, waits=False, held=vm.charged if host == node else 0, budget=budget, before=before
            )
        finally:
            self.live.put(there, host)

    def _planned(self, vm: VM | None, host: str | None, wanted: VM, budget: Budget) -> tuple[Rejection, str]:
        """The same as plans tell it that are kept."""
        plans, node = self._plans_for(wanted, budget), str(wanted.node)
        if plans is None or wanted.target is not None:
            return Rejection.DOUBT, ""
        if vm is None or host is None:
            return plans.weigh(self._seen(wanted), node, waits=bool(self._credit([vm])))
        if not plans.take(self._seen(vm), host):
            self._plans = None
            return Rejection.DOUBT, ""
        told, reason = plans.weigh(self._seen(wanted), node, waits=False)
        if not plans.put(self._seen(vm), host):
            self._plans = None
        # Where it is already, what is short of something for other reasons is none.
        failing = told in (Rejection.NOTHING, Rejection.FAILURE)
        return (told, reason) if failing or host != node else (Rejection.DOUBT, "")

    def _seen(self, vm: VM) -> VM:
        """A VM as the guarantee sees it: protected or not."""
        return vm if self._asked.protects(vm) is vm.protected else evolve(vm, protected=False)

    def _credit(self, vms: Iterable[VM | None]) -> dict[str, LostMemory]:
        """What failures leave out because VMs are down, by pool."""
        credit: dict[str, LostMemory] = {}
        for vm in vms:
            down = vm is not None and vm.name in self._ledger and self._ledger.waits(vm)
            if vm is not None and down and self._asked.protects(vm) and not vm.evictable:
                credit[vm.pool] = added(credit.get(vm.pool, {}), {vm.priority: vm.charged})
        return credit

    def _rechecked(self, vm: VM | None, wanted: VM, budget: Budget, since: Baseline | None = None) -> RecheckedVM:
        """A VM as it is now (None: it is new) and as wanted."""
        if since is None:
            since = Baseline(self._credit([vm]), self._known(budget)[1])
        assert since.defects is not None
        host = None if vm is None or vm.name not in self._ledger else self._ledger.host(vm)
        was = None if host is None else list(self._ledger.nodes).index(host)
        excluded = self._ledger.contradiction([wanted])
        cluster, place = self._ledger.with_vm(evolve(wanted, tags=()) if excluded else wanted)
        grown = vm is not None and wanted.memory > vm.memory
        return RecheckedVM(cluster.under(self._asked), place, since.defects, since.credit, was, excluded, grown)

    def _otherwise(self, vm: VM, budget: Budget) -> Callable[[str], tuple[Rejection, str]]:
        """What a search tells of a VM to start on a node; the cluster is compiled when it is asked first."""
        rechecked = cache(lambda: self._rechecked(vm, started(vm), budget))
        return lambda node: rechecked().told(list(self._ledger.nodes).index(node), budget)

    def _plans_for(self, vm: VM, budget: Budget) -> PlannedCluster | None:
        """The plans of all failures, kept where they tell of a VM; None where they do not."""
        if self._plans is None:
            verdict, _ = self._known(budget)
            self._plans = PlannedCluster.of(self._ledger.cluster.under(self._asked), verdict)
        return self._plans if self._plans is not None and self._plans.tells_of(vm) else None

    def _known(self, budget: Budget) -> tuple[Verdict, Defects]:
        """What failures do now; looked at again where time was too short to tell."""
        if self._now is None or not self._now[1].known:
            problem = compile_problem(self._ledger.cluster.under(self._asked))
            verdict = certify(problem, problem.node_of, budget=budget)
            self._now = verdict, Defects.told(verdict)
        return self._now

    # Changes

    def replaced(self, name: str, old: VM | None, host: str | None, vm: VM | None) -> None:
        """A VM, which was on a host as `old`, is as given in the ledger; None: it was not there, took nothing, is gone."""
        if self.live is not None and old is not None and host is not None:
            self.live.take(self._seen(old), host)
        self._now = None
        self._replan(old, host, vm)
        if self._alone is None:
            return
        if vm is not None and not self._alone.binds(vm):
            self._odd.add(name)
            self.live = None
            return
        self._odd.discard(name)
        node = None if vm is None else self._ledger.host(vm)
        if self.live is not None and vm is not None and node is not None:
            self.live.put(self._seen(vm), node)
            self._doubt_implied(node)
        if self.live is None and not self._odd:
            self._relive()

    def _replan(self, old: VM | None, host: str | None, vm: VM | None) -> None:
        """The plans of failures follow a change, or are forgotten."""
        plans, node = self._plans, None if vm is None else self._ledger.host(vm)
        if plans is None:
            return
        gone = old is None or host is None or plans.take(self._seen(old), host)
        if not (gone and (vm is None or node is None or plans.put(self._seen(vm), node))):
            self._plans = None

    def _doubt_implied(self, node: str) -> None:
        """Memory need not imply further resources on a node that has become overfull."""
        if self.live is not None and self.live.alone.most and self.live.is_overfull(node):
            self.live = None

    def _relive(self) -> None:
        """Keep the cluster incrementally again, if memory alone binds it."""
        self.live = LiveCluster.of(self._ledger.cluster.under(self._asked), budget=Budget(0))
        self._alone = self._alone if self.live is None else self.live.alone

    def restated(self, node: str, state: State) -> None:
        """A node is in another state in the ledger."""
        self._now, self._plans = None, None
        if self.live is None:
            return
        self.live.close(node)
        if state != "offline":
            back = [self._seen(vm) for vm in self._ledger.on(node) if vm.running]
            self.live.open(node, back, online=state == "online")
            self._doubt_implied(node)
            if self.live is None:
                self._relive()
