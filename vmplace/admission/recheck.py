"""Admission of one VM to a cluster of any kind: each node is certified with the VM there, and compared with how it was."""

from functools import cached_property

import numpy as np
from attrs import define, field

from vmplace.admission.candidates import CandidateSurvey, scores
from vmplace.admission.results import Candidates, Rejection
from vmplace.failover.regression import Defects, Key, LostMemory, by_priority
from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.problem import Problem
from vmplace.problem.rules import CompiledRule, clashes
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
        What was wrong without it, or with it as it was.
    was
        The node it was on, by index; None if on none.
    waits
        Whether it is to be started: what is down in all failures until then.
    smaller
        Whether it takes no more than it did, so that where it was it fits.
    """

    cluster: Cluster
    place: int
    before: Defects
    was: int | None
    waits: bool
    smaller: bool = False
    _failures: list[Key] = field(factory=list)

    def survey(self, score: str, budget: Budget) -> CandidateSurvey:
        """What is known of it on each node."""
        free = np.maximum(self.problem.usable - self.problem.load(self._others), 0)
        rejections = self._rejections()
        rejections[rejections == Rejection.NOTHING] = Rejection.DOUBT
        memory = int(self.problem.memory[self._vm])
        known = Candidates(
            self.cluster.nodes.names,
            memory,
            rejections,
            scores(score, free, self.problem.usable, memory),
            self._penalties(),
            free,
            np.full(len(free), -1, dtype=np.int64),
            self._failure,
        )
        return CandidateSurvey(known, lambda index: self._ask(index, budget))

    def weigh(self, node: int, budget: Budget) -> tuple[Rejection, int, str]:
        """What speaks against a node, what is free there, and which failure is to blame."""
        known = self.survey("tightest", Budget(0)).known
        told, failing = Rejection(int(known.rejections[node])), ""
        if told is Rejection.DOUBT:
            told, failure = self._ask(node, budget)
            failing = self._failure(failure)
        return told, int(known.free[node]), failing

    @cached_property
    def problem(self) -> Problem:
        """The cluster in arrays."""
        return compile_problem(self.cluster)

    @cached_property
    def _vm(self) -> int:
        return int(np.flatnonzero(self.problem.original == self.place)[0])

    @cached_property
    def _others(self) -> IntArray:
        """Where all others are, shape (n_vms,)."""
        node_of = self.problem.node_of.copy()
        node_of[self._vm] = -1
        return node_of

    @property
    def _credit(self) -> LostMemory:
        """What failures may leave out more than before: the VM, if it is down in all of them until it is started."""
        down = self.waits and self.problem.protected[self._vm]
        return by_priority(self.problem, np.array([self._vm])) if down else {}

    def _ask(self, node: int, budget: Budget) -> tuple[Rejection, int]:
        node_of = self._others.copy()
        node_of[self._vm] = node
        after = Defects.of(self.problem, node_of, budget=budget)
        resource, key = after.resource_worse(self.before), Key()
        if resource is not None:
            told = Rejection.RESOURCE if resource else Rejection.MEMORY
        else:
            worse, key = after.failure_worse(self.before, self._credit, int(self.problem.vm_pool[self._vm]))
            told = Rejection.of(worse)
        self._failures.append(key)
        return told, len(self._failures) - 1

    def _failure(self, index: int) -> str:
        names, key = Names(self.cluster, self.problem), self._failures[index]
        return "+".join(names.unit(unit) for unit in key) or "one node after the other"

    def _rejections(self) -> IntArray:
        """What keeps it off each node in normal running, shape (n_nodes,)."""
        problem, vm = self.problem, self._vm
        demand = problem.demand[vm]
        after = problem.loads(self._others) + demand
        found = np.full(problem.n_nodes, int(Rejection.NOTHING))
        for rule in self._rules(must=True):
            found[self._more(clashes(rule, vm, self._others, problem.n_nodes))] = Rejection.RULE
        found[self._more(~problem.reachable[problem.signature[vm]])] = Rejection.RULE
        short = (after[:, 1:] > problem.capacity[:, 1:]) & (demand[1:] > 0)
        found[np.any(short, axis=1)] = Rejection.RESOURCE
        found[after[:, 0] > problem.limit] = Rejection.HEADROOM
        found[after[:, 0] > problem.usable] = Rejection.MEMORY
        closed = ~problem.online
        if self.was is not None:
            closed[self.was] = False  # there it may stay
        found[closed] = Rejection.STATE
        found[problem.pool != problem.vm_pool[vm]] = Rejection.POOL
        if self.was is not None and self.smaller:
            found[self.was] = Rejection.NOTHING
        return found

    def _more(self, clashes: IntArray | BoolArray) -> BoolArray:
        """Nodes where a rule is broken more than by the VM where it was, shape (n_nodes,)."""
        return np.asarray(clashes > (0 if self.was is None else clashes[self.was]))

    def _penalties(self) -> IntArray:
        """What it adds to the cost of soft rules on each node, shape (n_nodes,)."""
        weight = np.zeros(self.problem.n_nodes, dtype=np.int64)
        for rule in self._rules(must=False):
            weight += rule.weight * clashes(rule, self._vm, self._others, len(weight))
        return weight

    def _rules(self, *, must: bool) -> list[CompiledRule]:
        return [b for b in self.problem.compiled_rules if b.must is must and self._vm in b.vms]
