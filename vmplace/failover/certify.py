"""N+1 verdict of a placement: each scenario decided, by certificates first, then by plans or an exact search."""

import numpy as np
from attrs import evolve, frozen

from vmplace.failover.any_order.decide import decide_any_order
from vmplace.failover.certificates.certificates import Certificates
from vmplace.failover.outcome import Loss, Plan, Reason
from vmplace.failover.planned.batch import plan_together
from vmplace.failover.planned.columns import RestartColumns
from vmplace.failover.planned.decide import decide
from vmplace.failover.policy import decide_policy
from vmplace.failover.restart import RestartProblem
from vmplace.failover.ruled import RestartRules
from vmplace.failover.sequential import decide_any_order_in_turn, survives_in_turn
from vmplace.failover.verdict import METHODS, MOST_RESTARTS, JointVerdict, ScenarioStatus, Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.scenarios import Scenarios, most_down
from vmplace.problem.sizes import ranked
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget

__all__ = ["certify", "certify_all", "certify_failure", "fates_in_turn", "judge"]


def certify(
    problem: Problem,
    node_of: IntArray,
    *,
    budget: Budget,
    powered: BoolArray | None = None,
    losses: bool = True,
    stop_early: bool = False,
    searching: bool = True,
) -> Verdict:
    """Decide each scenario of a placement exactly, under one guarantee.

    Parameters
    ----------
    problem, node_of
        The placement; shape (n_vms,), -1 for a VM without a node.
    budget
        What is undecided when it is spent is `Fate.UNKNOWN`.
    powered
        Only these nodes are there, shape (n_nodes,).
    losses
        Find the best partial plan where a scenario is unsafe; where restarts are not planned, all VMs that it may cost a restart.
    stop_early
        Stop at the first unsafe scenario; what is then undecided is `Fate.UNKNOWN`.
    searching
        Whether scenarios are looked at one by one, where array passes over all do not tell; otherwise these are undecided.
    """
    state = PlacementState.of(problem, node_of, powered=powered)
    verdict = judge(state, budget=budget, losses=losses, stop_early=stop_early, searching=searching)
    if problem.in_turn and problem.planned:
        verdict.turns.update(fates_in_turn(verdict, budget if searching else Budget(0)))
    return verdict


def certify_all(
    problem: Problem,
    node_of: IntArray,
    *,
    budget: Budget,
    powered: BoolArray | None = None,
    losses: bool = True,
    stop_early: bool = False,
    searching: bool = True,
) -> JointVerdict:
    """Decide each scenario of a placement exactly, under each guarantee; the parameters are those of `certify`.

    With `stop_early`, guarantees after the first that does not hold are not looked at.
    """
    found, each = list[Verdict](), problem.each
    for done, part in enumerate(each):
        within = budget.share(1 / (len(each) - done)) if len(each) > 1 else budget
        found.append(
            certify(part, node_of, budget=within, powered=powered, losses=losses, stop_early=stop_early, searching=searching)
        )
        if stop_early and found[-1].unsafe:
            break
    return JointVerdict(tuple(found))


def certify_failure(problem: Problem, node_of: IntArray, units: IntArray, *, budget: Budget, losses: bool = True) -> Verdict:
    """Decide one failure only, as scenario 0: `units` fail at once, shape (n_failing,), -1 for none."""
    state = PlacementState.of(problem, node_of)
    alone = evolve(state, scenarios=Scenarios(problem, units[None, :], 1))
    return judge(alone, budget=budget, losses=losses)


def judge(
    state: PlacementState, *, budget: Budget, losses: bool = True, stop_early: bool = False, searching: bool = True
) -> Verdict:
    """Decide each scenario of a placement exactly; the parameters are those of `vmplace.failover.certify.certify`."""
    trial = _Certification.of(state, losses)
    planned = state.problem.planned
    if stop_early or not losses:
        trial.settle(_hopeless(state) & trial.open, ScenarioStatus.UNSAFE, "sums")
    if stop_early and trial.verdict.unsafe:
        return trial.verdict
    certificates = Certificates(state, everyone=not planned)
    # In turn, VMs may be bound to those that restart on a node that fails next.
    certifiable = trial.open & state.unbound if state.problem.in_turn and not planned else trial.open
    if certifiable.any() and state.problem.guarantee.policy is None:
        trial.settle(certificates.any_order(certifiable), ScenarioStatus.SAFE, "certificate")
    mixed = state.scenarios.parts is not None  # of which the heaviest are not known
    if not state.scenarios.complete and not mixed and state.unruled and state.problem.guarantee.policy is None:
        trial.verdict.certain.update(set(certificates.certain_pools) - _perhaps_without_quorum(state))
    if planned:
        trial.plan_together(certificates)
    left = np.flatnonzero(trial.open) if searching else np.zeros(0, dtype=np.int64)
    for done, scenario in enumerate(left.tolist()):
        budget.tell("check", done=done, total=len(left))
        if budget.spent:
            break
        trial.decide(scenario, budget)
        if stop_early and trial.verdict.fate[scenario] == ScenarioStatus.UNSAFE:
            break
    return trial.verdict


@frozen(eq=False)
class _Certification:
    """A verdict in the making."""

    verdict: Verdict
    wants_losses: bool

    @classmethod
    def of(cls, state: PlacementState, wants_losses: bool) -> "_Certification":
        fate = np.full(len(state.scenarios), int(ScenarioStatus.UNKNOWN), dtype=np.int64)
        trial = cls(Verdict(state, fate, np.zeros_like(fate), {}, []), wants_losses)
        trial.settle(state.asked == 0, ScenarioStatus.SAFE, "empty")
        if state.without_quorum.any():
            trial.lose_quorum(np.flatnonzero(state.without_quorum))
        return trial

    @property
    def state(self) -> PlacementState:
        return self.verdict.state

    @property
    def open(self) -> BoolArray:
        """Scenarios left, shape (n_scenarios,)."""
        return np.asarray(self.verdict.fate == ScenarioStatus.UNKNOWN)

    def settle(self, scenarios: BoolArray | IntArray | int, fate: ScenarioStatus, how: str) -> None:
        self.verdict.fate[scenarios] = fate
        self.verdict.told_by[scenarios] = METHODS.index(how)

    def lose_quorum(self, scenarios: IntArray) -> None:
        """Nothing restarts where too few nodes are left, and nothing is left to prove."""
        state, problem = self.state, self.state.problem
        self.settle(scenarios, ScenarioStatus.UNSAFE, "quorum")
        vms, counts = state.displaced_by(scenarios if self.wants_losses else scenarios[:0])
        for scenario, lost in zip(scenarios.tolist(), np.split(vms, np.cumsum(counts)[:-1]), strict=False):
            need = int(problem.quorum[state.scenarios.pool[scenario]])
            reason = Reason("quorum", tuple(lost.tolist()), need, int(state.left_up[scenario]))
            self.verdict.losses[scenario] = Loss(lost, reason, minimal=True)

    def plan_together(self, certificates: Certificates) -> None:
        """What array passes tell of planned restarts."""
        plain = self.state.plain & self.open
        if plain.any():
            self.settle(certificates.slots & plain, ScenarioStatus.SAFE, "slots")
        together = self.open & (self.state.plan >= 0)
        if together.any():
            self._plan(np.flatnonzero(together), certificates.rules)

    def _plan(self, failing: IntArray, rules: RestartRules) -> None:
        """Plan failures together; where a VM finds no room this tells nothing, unless it fits nowhere even alone."""
        ends = np.cumsum(self.state.restarts[failing])
        for part in np.split(failing, np.searchsorted(ends, np.arange(MOST_RESTARTS, int(ends[-1]), MOST_RESTARTS))):
            if len(part):
                self._plan_part(part, rules)

    def _plan_part(self, failing: IntArray, rules: RestartRules) -> None:
        state = self.state
        plans = plan_together(state, failing, rules)
        lost = plans[plans.node < 0]
        small = (state.problem.memory[lost.vm] <= state.room_elsewhere[lost.scenario]) | ~state.plain[lost.scenario]
        complete = np.setdiff1d(failing, lost.scenario)
        self.settle(complete, ScenarioStatus.SAFE, "packing")
        told = [complete] if self.verdict.countable else []
        if self.wants_losses:
            told.append(np.setdiff1d(lost.scenario, lost.scenario[small]))
            self._lose(lost[np.isin(lost.scenario, told[-1])])
        if told:
            self.verdict.plans.append(plans[(plans.node >= 0) & np.isin(plans.scenario, np.concatenate(told))])

    def _lose(self, lost: RestartColumns) -> None:
        """VMs that fit on no survivor, even alone, are lost in any plan: nothing is left to prove."""
        state, memory = self.state, self.state.problem.memory
        lost = lost[ranked(lost.scenario, -memory[lost.vm])]
        scenarios, first = np.unique(lost.scenario, return_index=True)
        self.settle(scenarios, ScenarioStatus.UNSAFE, "sums")
        for scenario, vms in zip(scenarios.tolist(), np.split(lost.vm, first)[1:], strict=True):
            plan, room = int(state.plan[scenario]), int(state.room_elsewhere[scenario])
            reason = Reason("size", (int(vms[0]),), int(memory[vms[0]]), room, plan)
            self.verdict.losses[scenario] = Loss(vms, reason, minimal=True)

    def decide(self, scenario: int, budget: Budget) -> None:
        """Decide one failure."""
        plan = self._decided(scenario, budget)
        self.verdict.plans.append(RestartColumns.of(scenario, plan.vms, plan.nodes))
        if plan.safe is not None:
            self.settle(scenario, ScenarioStatus.SAFE if plan.safe else ScenarioStatus.UNSAFE, plan.method)
        if plan.loss is not None:
            self.verdict.losses[scenario] = plan.loss

    def _decided(self, scenario: int, budget: Budget) -> Plan:
        problem = self.state.problem
        if problem.planned:
            return decide(RestartProblem.of(self.state, scenario), budget=budget, losses=self.wants_losses)
        if problem.guarantee.policy is not None:
            return decide_policy(self.state, scenario, budget=budget)
        plan = decide_any_order(self.state, scenario, budget=budget, losses=self.wants_losses)
        if problem.in_turn and not (plan.safe and not self.state.restart_rules(self.state.scenarios.failing(scenario))):
            # A VM that is stranded when all fail at once need not be when they fail in turn; nor the other way where rules bind
            # VMs to those that restart on a node that fails next.
            return decide_any_order_in_turn(self.state, scenario, budget=budget)
        return plan


def fates_in_turn(verdict: Verdict, budget: Budget) -> dict[int, ScenarioStatus]:
    """Of each pool whose failures are survived one by one whether they are in turn."""
    fates = {}
    for pool in np.unique(verdict.state.scenarios.pool).tolist():
        if verdict.of_pool(pool) == ScenarioStatus.SAFE:
            survived = survives_in_turn(verdict.state, pool, budget)
            fates[pool] = (
                ScenarioStatus.UNKNOWN if survived is None else ScenarioStatus.SAFE if survived else ScenarioStatus.UNSAFE
            )
    return fates


def _perhaps_without_quorum(state: PlacementState) -> set[int]:
    """Pools that failures which are not listed may leave without a quorum."""
    problem = state.problem
    if problem.guarantee.quorum is None:
        return set()
    left = np.bincount(problem.pool, state.up) - most_down(problem, state.up, problem.up)
    return {pool for pool in problem.pools if left[pool] < problem.quorum[pool]}


def _hopeless(state: PlacementState) -> BoolArray:
    """Failures that displace more than is free elsewhere, or a VM larger than any survivor has room for, shape (n_scenarios,)."""
    problem, scenarios = state.problem, state.scenarios
    total = np.zeros(int(problem.pool.max(initial=0)) + 1, dtype=np.int64)
    np.add.at(total, problem.pool, state.free)
    hopeless = state.asked > total[scenarios.pool] - scenarios.sums(state.free)
    largest = np.zeros(problem.n_nodes, dtype=np.int64)
    large = state.larger_than(int(state.room_elsewhere.min(initial=0)))
    np.maximum.at(largest, state.node_of[large], problem.memory[large])
    return np.asarray(hopeless | (scenarios.largest(largest) > state.room_elsewhere))
