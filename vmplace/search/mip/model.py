"""The MIP model: integer counts of VMs per class and node, rows of capacity, rules and guarantee, objectives in stages."""

from fractions import Fraction

from attrs import frozen

from vmplace.problem.problem import BoolArray, Problem
from vmplace.search.goal import Goal, Stage
from vmplace.search.mip.any_order import AnyOrderRows
from vmplace.search.mip.best_effort import Losses
from vmplace.search.mip.guarantee import SlotRows, keep_quorum
from vmplace.search.mip.restarts import RestartRows
from vmplace.search.mip.running import Peak, bound_loads, count_moves, state_rule
from vmplace.search.mip.variables import CountVariables
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import IntegerProgram, Terms, terms, weighted

__all__ = ["CountModel", "GuaranteeRows"]


@frozen(eq=False)
class GuaranteeRows:
    """The rows of one guarantee.

    Parameters
    ----------
    variables
        The program's, with the guarantee's own problem.
    losses
        What failures leave out, with a best effort; else None.
    slots
        The slot-volume rows; None where all failures are written out, or none must be survived.
    restarts
        Writes out single failures.
    """

    variables: CountVariables
    losses: Losses | None
    slots: SlotRows | None
    restarts: RestartRows


class CountModel:
    """A problem and a goal as an integer program; making it raises OutOfTimeError once the budget is spent.

    Its rows are necessary: they hold for every placement that keeps the guarantee, unless `any_order` adds sufficient ones.

    Parameters
    ----------
    problem, goal
        What is asked.
    budget
        The time there is.
    onto
        Nodes whose contents may change, shape (n_nodes,); None means all. VMs whose node is open must be able to stay on these.
    least_peak
        A lower bound on ``balance``.
    any_order
        Whether to add rows that are sufficient for restarts in any order, where a guarantee asks for more than plans.
    stoppable
        VMs that may be stopped, shape (n_vms,): `objective` counts the memory of a priority, or the VMs. None: no VM may be.

    Attributes
    ----------
    variables : CountVariables
        The program's variables, with the warm start and the way back to a placement.
    guarantees : list of GuaranteeRows
        Those of each of `Problem.each`.
    stages : list of Stage
        What to minimise, in order.
    """

    def __init__(
        self,
        problem: Problem,
        goal: Goal,
        budget: Budget,
        *,
        onto: BoolArray | None = None,
        least_peak: int | Fraction = 0,
        any_order: bool = False,
        stoppable: BoolArray | None = None,
    ) -> None:
        self.stages = goal.stages(problem)
        self.variables = CountVariables(problem, goal, budget, onto, stoppable)
        bound_loads(self.variables)
        losses = [Losses(self.variables.under(part)) if goal.best_effort else None for part in problem.each]
        self._out = count_moves(self.variables)
        if goal.max_powered is not None and self.variables.powered is not None:
            self.program.row(terms(self.variables.powered), upper=goal.max_powered)
        self._breaches = [(state_rule(self.variables, rule), rule.weight * (not rule.must)) for rule in problem.compiled_rules]
        enough = Fraction((goal.objectives[-1] == "balance" and goal.enough) or 0)
        self._peak = Peak(self.variables, Fraction(least_peak), enough) if "balance" in goal.objectives else None
        free_slots: dict[tuple[int, int, int], int] = {}
        self.guarantees = [
            self._stated(part, lost, free_slots, any_order=any_order and not part.plain)
            for part, lost in zip(problem.each, losses, strict=True)
        ]

    def _stated(
        self, problem: Problem, losses: Losses | None, free_slots: dict[tuple[int, int, int], int], *, any_order: bool
    ) -> GuaranteeRows:
        """The rows of a guarantee, with those that are always there."""
        variables, slots = self.variables.under(problem), None
        restarts = RestartRows(variables, losses)
        if losses is None:
            keep_quorum(variables)
        if losses is not None and losses.scenarios is not None:
            for number in range(len(losses.scenarios)):
                variables.budget.demand()
                restarts.write_out(losses.scenarios.key(number))
        elif problem.failures:
            slots = SlotRows(variables, losses, self._out, self._peak, free_slots)
            if any_order:
                AnyOrderRows(variables, slots, self._out)
        return GuaranteeRows(variables, losses, slots, restarts)

    @property
    def program(self) -> IntegerProgram:
        """The integer linear program."""
        return self.variables.program

    def objective(self, stage: Stage) -> Terms:
        """What a stage minimises."""
        name, priority = stage
        if name == "rules":
            return weighted(self._breaches)
        if name == "stopped":
            mine = self.variables.classes.priority == priority
            return terms(self.variables.stopped[mine], self.variables.amount[0][mine])
        if name == "stops":
            return terms(self.variables.stopped)
        if name == "lost":
            return [term for one in self.guarantees if one.losses is not None for term in one.losses.memory(priority)]
        if name == "moves":
            assert self._out is not None
            memory = self.variables.amount[0]
            return terms(self._out, memory[:, None]) + terms(self.variables.stopped, -memory)
        if name == "consolidate":
            assert self.variables.powered is not None
            return terms(self.variables.powered)
        assert self._peak is not None
        return [(self._peak.variable, 1)]

    def bound(self, stage: Stage, bound: int) -> int | Fraction:
        """A bound on a stage's terms as a bound on its value."""
        name, _ = stage
        if name == "balance":
            assert self._peak is not None
            return self._peak.bound(bound)
        return bound * self._step(name)

    def hold(self, stage: Stage, value: int | Fraction, *, strictly: bool = False) -> None:
        """Demand that a stage is at most this value; `strictly`: below it."""
        name, _ = stage
        if name == "balance":
            assert self._peak is not None
            self._peak.hold(value, strictly=strictly)
        else:
            self.program.row(self.objective(stage), upper=int(value) // self._step(name) - int(strictly))

    def _step(self, name: str) -> int:
        return self.variables.unit if name in ("lost", "moves") else 1
