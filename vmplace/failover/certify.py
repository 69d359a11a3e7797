"""What a placement is worth: which failures it survives, each by itself and, where they come in turn, one after the other."""

from attrs import evolve

from vmplace.failover.judge import fates_in_turn, judge
from vmplace.failover.verdict import Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.scenarios import Scenarios
from vmplace.problem.state import PlacementState
from vmplace.solvers.budget import Budget

__all__ = ["certify", "certify_failure"]


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
    """Decide each scenario of a placement exactly.

    Parameters
    ----------
    problem, node_of
        The placement; shape (n_vms,), -1 for a VM without a node.
    budget
        What is undecided when it is spent is `Fate.UNKNOWN`.
    powered
        Only these nodes are there, shape (n_nodes,).
    losses
        Find the best partial plan where a scenario is unsafe; where restarts are not planned, all whom it may cost a restart.
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


def certify_failure(problem: Problem, node_of: IntArray, units: IntArray, *, budget: Budget, losses: bool = True) -> Verdict:
    """Decide one failure only, as scenario 0: `units` fail at once, shape (n_failing,), -1 for none."""
    state = PlacementState.of(problem, node_of)
    alone = evolve(state, scenarios=Scenarios(problem, units[None, :], 1))
    return judge(alone, budget=budget, losses=losses)
