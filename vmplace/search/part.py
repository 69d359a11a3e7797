"""Part of what a cluster asks for: some VMs, some rules, some limits; and whether that much can be had."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any, NamedTuple

from attrs import define, evolve, field, frozen

from vmplace.failover.outcome import Reason
from vmplace.model.cluster import Cluster
from vmplace.model.edits import among
from vmplace.model.entities import VM, Guarantee
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.search.bounds.necessary import impossible
from vmplace.search.goal import Goal
from vmplace.search.heuristics import construct
from vmplace.search.mip.search import search
from vmplace.solvers.budget import Budget

__all__ = ["LIMITS", "Demand", "Demands", "PartOracle"]

LIMITS = ("max_moves", "max_migrated")
"""Limits of a goal, by the names of its fields."""

_TRIAL_SHARE = 0.25


class Demand(NamedTuple):
    """One of the things that a cluster asks for: a field of `Demands`, and a member of it."""

    kind: str
    member: Any


@frozen
class Demands:
    """Some of what a cluster asks for. All its nodes are there, and a VM that may not move stays where it is.

    Parameters
    ----------
    vms
        Indices into the problem.
    rules
        Indices into the cluster; must-rules only.
    limits
        Of `LIMITS`.
    nodes
        Those whose memory is limited, as indices into the problem; only what blames a failure looks at them.
    """

    vms: frozenset[int] = frozenset()
    rules: frozenset[int] = frozenset()
    limits: frozenset[str] = frozenset()
    nodes: frozenset[int] = frozenset()

    @classmethod
    def whole(cls, names: Names, goal: Goal) -> "Demands":
        """All that is asked for."""
        rules = frozenset(index for index, rule in enumerate(names.cluster.rules) if rule.must)
        limits = frozenset(limit for limit in LIMITS if getattr(goal, limit) is not None)
        return cls(frozenset(range(names.problem.n_vms - names.problem.n_incoming)), rules, limits)

    @classmethod
    def of(cls, elements: Iterable[Demand]) -> "Demands":
        """From its elements."""
        members: dict[str, set[Any]] = {}
        for kind, member in elements:
            members.setdefault(kind, set()).add(member)
        return cls(**{kind: frozenset(some) for kind, some in members.items()})

    @property
    def elements(self) -> frozenset[Demand]:
        """All of it, one by one."""
        members = {"vms": self.vms, "rules": self.rules, "limits": self.limits, "nodes": self.nodes}
        return frozenset(Demand(kind, member) for kind, some in members.items() for member in some)


@define
class PartOracle:
    """Tries whether parts of a cluster's demands can be met.

    Asking for less never does harm: a placement, and its failover plans, remain good when a VM, a rule or a limit is taken
    away (`apart` and `together` bind the VMs that are left no more than before). So what is in a part that cannot be met
    cannot be met in any larger one either.

    Parameters
    ----------
    names
        The cluster and its problem.
    goal
        What is asked for.
    budget
        For all tries; one takes a share of what is left.
    seed, deterministic
        As for `search`.
    quick
        Whether to do without the search, so that only bounds and the quick constructions decide.
    """

    names: Names
    goal: Goal
    budget: Budget
    seed: int = 0
    deterministic: bool = False
    quick: bool = False
    tries: int = field(default=0, init=False)

    def fits(self, part: Demands) -> bool | None:
        """Whether there is a placement for this much; None if that could not be told in time."""
        if not part.vms:
            return True
        if self.budget.spent:
            return None
        self.tries += 1
        problem, goal = self._asked(part)
        if impossible(problem, goal) is not None:
            return False
        inner = self.budget.share(_TRIAL_SHARE)
        if construct(problem, goal, budget=inner) is not None:
            return True
        if self.quick:
            return None
        finding = search(problem, goal, budget=inner, seed=self.seed, deterministic=self.deterministic)
        self.budget.work -= finding.stats["work"]
        if finding.infeasible:
            return False
        return None if finding.best is None else True

    def infeasible(self, elements: frozenset[Demand]) -> bool | None:
        """Whether there is proved to be no placement for these: an oracle for `DeletionFilter`."""
        fits = self.fits(Demands.of(elements))
        return None if fits is None else not fits

    def bound(self, part: Demands) -> Reason | None:
        """The bound that shows there is no placement, if one does; its figures are the part's, its indices are not."""
        return impossible(*self._asked(part))

    def _asked(self, part: Demands) -> tuple[Problem, Goal]:
        # No rule is left that is no must, so that the first placement found is as good as any: the search ends with it.
        limits = {limit: getattr(self.goal, limit) for limit in part.limits}
        goal = Goal(("rules",), move_running=self.goal.move_running, **limits)
        return compile_problem(self.cluster(part), self.names.problem.drained), goal

    def cluster(self, part: Demands) -> Cluster:
        """A cluster that asks for just this much: it has no wishes, and no guarantee where the goal does without."""
        cluster = self.names.cluster
        vms = [self._vms[vm] for vm in sorted(part.vms)]
        present = {vm.name for vm in vms}
        rules = [among(cluster.rules[index], present) for index in sorted(part.rules)]
        return evolve(cluster, vms=vms, rules=[rule for rule in rules if rule is not None], guarantee=self._guarantee())

    @cached_property
    def _vms(self) -> list[VM]:
        """The problem's VMs, made once where the cluster has columns."""
        vms = list(self.names.cluster.vms)
        return [vms[index] for index in self.names.problem.original.tolist()]

    def _guarantee(self) -> Guarantee:
        # What no plan can do, nothing else can.
        asked = evolve(self.names.cluster.guarantee, restart="planned", policy=None, order=None, sequence="at-once")
        if self.goal.best_effort:
            asked = evolve(asked, failures=0)
        return asked if self.goal.headroom else evolve(asked, headroom=0)
