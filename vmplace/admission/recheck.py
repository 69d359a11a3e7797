"""Admission of one VM to a cluster of any kind: each node is certified with the VM there, and compared with how it was."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from attrs import define, field

from vmplace.admission.candidates import CandidateSurvey, scores
from vmplace.admission.results import Candidates, Rejection
from vmplace.failover.regression import Defects, LostMemory
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.rules import CompiledRule, clashes
from vmplace.problem.size_limits import barred_by_size
from vmplace.solvers.budget import Budget

__all__ = ["RecheckedVM"]


@define(eq=False, slots=False)
class RecheckedVM:
    """A VM to be admitted or changed, and the cluster with it.

    Parameters
    ----------
    cluster
        With the VM, wherever it is there.
    place
        Of the VM among the cluster's.
    before
        What was there without it, or with it as it was.
    credit
        What failures of each pool may leave out more than before: VMs that are down until they are started.
    was
        The node it was on, by index; None if on none.
    excluded
        What excludes it from all nodes, though the cluster does not tell: rules that contradict each other.
    grown
        Whether it has more memory of its own than before.
    """

    cluster: Cluster
    place: int
    before: Defects
    credit: Mapping[str, LostMemory]
    was: int | None
    excluded: str = ""
    grown: bool = False
    _causes: list[str] = field(factory=list)

    def survey(self, score: str, budget: Budget) -> CandidateSurvey:
        """What is known of it on each node."""
        free = np.maximum(self.problem.usable - self.problem.load(self._others), 0)
        rejections, causes = self._rejections()
        rejections[rejections == Rejection.NOTHING] = Rejection.DOUBT
        memory = int(self.problem.memory[self._vm])
        known = Candidates(
            self.cluster.nodes.names,
            memory,
            rejections,
            scores(score, free, self.problem.usable, memory),
            self._penalties(),
            free,
            causes,
            self._causes.__getitem__,
        )
        return CandidateSurvey(known, lambda index: self._ask(index, budget))

    def weigh(self, node: int, budget: Budget) -> tuple[Rejection, str]:
        """What speaks against a node, and that in a sentence."""
        known, subject = self.survey("tightest", Budget(0)).known, node
        told, cause = Rejection(int(known.rejections[node])), int(known.causes[node])
        elsewhere, causes = self._strained(self.problem.loads(self._others))
        if elsewhere.any():  # where a migration under way leads: there it takes more, too
            subject = int(elsewhere.argmax())
            told, cause = Rejection(int(elsewhere[subject])), int(causes[subject])
        if told is Rejection.DOUBT:
            told, cause = self._ask(node, budget)
        free = max(0, int(self.problem.usable[subject] - self._loads_before[subject, 0]))
        return told, told.sentence(known.names[subject], free, self._causes[cause] if cause >= 0 else "")

    def told(self, node: int, budget: Budget) -> tuple[Rejection, str]:
        """Whether failures speak against a node with room for it, and which."""
        told, cause = self._ask(node, budget)
        return told, self._causes[cause]

    @cached_property
    def problem(self) -> Problem:
        """The cluster in arrays."""
        return compile_problem(self.cluster)

    @cached_property
    def _names(self) -> Names:
        return Names(self.cluster, self.problem)

    @cached_property
    def _vm(self) -> int:
        return int(np.flatnonzero(self.problem.original == self.place)[0])

    @cached_property
    def _others(self) -> IntArray:
        """Where all others are, shape (n_vms,)."""
        node_of = self.problem.node_of.copy()
        node_of[self._vm] = -1
        return node_of

    @cached_property
    def _loads_before(self) -> IntArray:
        return self.before.loads_of(self.problem.resources)

    def _ask(self, node: int, budget: Budget) -> tuple[Rejection, int]:
        node_of = self._others.copy()
        node_of[self._vm] = node
        after = Defects.of(self.problem, node_of, budget=budget)
        numbers = {pool: number for number, pool in enumerate(self._names.pools)}
        worse, key = after.failure_worse(self.before, {numbers[pool]: lost for pool, lost in self.credit.items()})
        failing = "+".join(self._names.unit(unit) for unit in key) or "one node after the other"
        return Rejection.of(worse, survived=key not in self.before.losses), self._cause(failing)

    def _cause(self, cause: str) -> int:
        self._causes.append(cause)
        return len(self._causes) - 1

    def _rejections(self) -> tuple[IntArray, IntArray]:
        """What keeps it off each node in normal running, and the cause, both of shape (n_nodes,)."""
        problem, vm = self.problem, self._vm
        found, causes = np.full(problem.n_nodes, int(Rejection.NOTHING)), np.full(problem.n_nodes, -1)
        if self.excluded:
            found[:], causes[:] = Rejection.RULE, self._cause(f"the rules: {self.excluded}")
        for rule in self._rules(must=True):
            against = clashes(rule, vm, self._others, problem.n_nodes)
            new = (against > (0 if self.was is None else against[self.was])) & (found == Rejection.NOTHING)
            if rule.kind == "max-vm":
                if self.was is not None and self._outgrows(self.was):
                    new[self.was] = True
                found[new], causes[new] = Rejection.SIZE, self._cause(barred_by_size(self.cluster, self.place))
            elif new.any():
                found[new], causes[new] = Rejection.RULE, self._cause(self._names.rule_label(rule.index))
        strained, why = self._strained(problem.loads(self._others) + problem.demand[vm])
        short = strained != Rejection.NOTHING
        found[short], causes[short] = strained[short], why[short]
        closed = ~problem.online
        if self.was is not None:
            closed[self.was] = False  # there it may stay
        found[closed] = Rejection.STATE
        found[problem.pool != problem.vm_pool[vm]] = Rejection.POOL
        return found, causes

    def _strained(self, after: IntArray) -> tuple[IntArray, IntArray]:
        """Which loads are too high, and higher than before, and the resource that causes it, both of shape (n_nodes,)."""
        problem, more = self.problem, after > self._loads_before
        found, causes = np.full(problem.n_nodes, int(Rejection.NOTHING)), np.full(problem.n_nodes, -1)
        over = (after > problem.capacity) & more
        for number, resource in enumerate(problem.resources, 1):
            if over[:, number].any():
                found[over[:, number]], causes[over[:, number]] = Rejection.RESOURCE, self._cause(resource)
        found[(after[:, 0] > problem.limit) & more[:, 0]] = Rejection.HEADROOM
        found[over[:, 0]] = Rejection.MEMORY
        return found, causes

    def _outgrows(self, node: int) -> bool:
        """Whether it has grown beyond the largest VM that a node takes."""
        most = self.cluster.nodes.max_vm[node].get("memory")
        return self.grown and most is not None and int(self.cluster.vms.memory[self.place]) > most

    def _penalties(self) -> IntArray:
        """What it adds to the cost of soft rules on each node, shape (n_nodes,)."""
        weight = np.zeros(self.problem.n_nodes, dtype=np.int64)
        for rule in self._rules(must=False):
            weight += rule.weight * clashes(rule, self._vm, self._others, len(weight))
        return weight

    def _rules(self, *, must: bool) -> list[CompiledRule]:
        rules = (*self.problem.compiled_rules, *self.problem.unary_rules)
        return [rule for rule in rules if rule.must is must and self._vm in rule.vms]
