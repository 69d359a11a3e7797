"""The migration problem and its states: what has to move from one placement to another, and what has room on the way."""

from collections import Counter
from functools import cached_property

import numpy as np
from attrs import define, field, frozen

from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.rules import CompiledRule, kept

__all__ = ["Hop", "MigrationProblem", "MigrationState", "lasting_rules"]

Hop = tuple[int, int, int]
"""A unit, the node it leaves and the one it goes to."""


@frozen(eq=False)
class MigrationProblem:
    """Two placements, and the VMs in between as units: those that must be together move as one.

    A must-rule counts on the way if both placements keep it. VMs that wait are no units: they start where they belong.

    Parameters
    ----------
    problem
        The cluster as it stands.
    final
        Node of each VM at the end, shape (n_vms,).
    unit_of
        Unit of each VM, -1 for those that wait, shape (n_vms,).
    """

    problem: Problem
    final: IntArray
    unit_of: IntArray

    @classmethod
    def of(cls, problem: Problem, final: IntArray) -> "MigrationProblem":
        """The transit from the problem's present placement to another."""
        runs = problem.node_of >= 0
        leader = np.arange(problem.n_vms)
        for rule in lasting_rules(problem, final):
            if rule.kind == "together":
                vms = rule.vms[runs[rule.vms]]
                joined = np.isin(leader, leader[vms])
                leader[joined] = leader[joined].min(initial=problem.n_vms)
        unit_of = np.full(problem.n_vms, -1, dtype=np.int64)
        unit_of[runs] = np.unique(leader[runs], return_inverse=True)[1]
        return cls(problem, final, unit_of)

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return int(self.unit_of.max(initial=-1)) + 1

    @cached_property
    def lasting(self) -> tuple[CompiledRule, ...]:
        """The must-rules that both placements keep."""
        return lasting_rules(self.problem, self.final)

    @cached_property
    def _grouped(self) -> tuple[IntArray, IntArray]:
        """The VMs by unit, and where each unit begins among them."""
        order = np.argsort(self.unit_of, kind="stable")
        return order, np.searchsorted(self.unit_of[order], np.arange(self.n_units + 1))

    def members(self, unit: int) -> IntArray:
        """The VMs of a unit."""
        order, begin = self._grouped
        return order[begin[unit] : begin[unit + 1]]

    @cached_property
    def size(self) -> IntArray:
        """How many VMs are in each unit, shape (n_units,)."""
        return np.diff(self._grouped[1])

    @cached_property
    def demand(self) -> IntArray:
        """What each unit needs, shape (n_units, n_resources)."""
        demand = np.zeros((self.n_units, self.problem.demand.shape[1]), dtype=np.int64)
        runs = self.unit_of >= 0
        np.add.at(demand, self.unit_of[runs], self.problem.demand[runs])
        return demand

    @cached_property
    def memory(self) -> IntArray:
        """Memory of each unit in MiB, shape (n_units,)."""
        return np.ascontiguousarray(self.demand[:, 0])

    @cached_property
    def source(self) -> IntArray:
        """Node of each unit now, shape (n_units,)."""
        return self._of_first(self.problem.node_of)

    @cached_property
    def goal(self) -> IntArray:
        """Node of each unit at the end, shape (n_units,)."""
        return self._of_first(self.final)

    def _of_first(self, column: IntArray) -> IntArray:
        order, begin = self._grouped
        first: IntArray = column[order[begin[:-1]]]
        return first

    @cached_property
    def movable(self) -> BoolArray:
        """Units all of whose VMs may migrate, shape (n_units,)."""
        movable = np.ones(self.n_units, dtype=bool)
        movable[self.unit_of[(self.unit_of >= 0) & ~self.problem.movable]] = False
        return movable

    def open_to(self, unit: int) -> BoolArray:
        """Nodes that a unit may stop over on, as far as states, pools and rules of each VM alone say, shape (n_nodes,)."""
        rows = np.unique(self.problem.signature[self.members(unit)])
        return np.asarray(self.problem.online & self.problem.reachable[rows].all(axis=0))

    @cached_property
    def apart(self) -> list[tuple[IntArray, IntArray]]:
        """The units of each rule that keeps some apart, and the zone of each node."""
        found = []
        for rule in self.lasting:
            units = np.unique(self.unit_of[rule.vms])
            units = units[units >= 0]
            if rule.zone is not None and len(units) > 1:
                found.append((units, rule.zone))
        return found

    @cached_property
    def rules_of(self) -> dict[int, list[int]]:
        """By unit, which of `apart` it is under."""
        rules: dict[int, list[int]] = {}
        for rule, (units, _) in enumerate(self.apart):
            for unit in units.tolist():
                rules.setdefault(unit, []).append(rule)
        return rules

    def node_of(self, at: IntArray) -> IntArray:
        """The placement in which each unit is on some node and nobody else has started, shape (n_vms,)."""
        return np.where(self.unit_of >= 0, np.append(at, -1)[self.unit_of], -1)

    def direct(self) -> int:
        """The memory that migrates at least: of each unit that ends elsewhere, once, in MiB."""
        return int(self.memory[self.source != self.goal].sum())


def lasting_rules(problem: Problem, final: IntArray) -> tuple[CompiledRule, ...]:
    """The must-rules that the present placement and another keep."""
    return tuple(b for b in problem.compiled_rules if b.must and kept(b, problem.node_of) and kept(b, final))


@define(eq=False)
class MigrationState:
    """Where units are, and what is free, while they move.

    A hop takes its memory, and all other resources, on both nodes from `begin` until `finish`; for rules that keep VMs apart
    the unit is on both nodes as well.

    Parameters
    ----------
    transit
        What is to move.
    at
        Node of each unit, shape (n_units,).
    room
        What is free of usable memory and of the other resources, shape (n_nodes, n_resources).
    """

    transit: MigrationProblem
    at: IntArray
    room: IntArray
    _zones: list[Counter[int]] = field(factory=list)

    @classmethod
    def of(cls, transit: MigrationProblem, at: IntArray | None = None) -> "MigrationState":
        """The state with each unit on some node: at the outset, unless it is said."""
        problem, at = transit.problem, (transit.source if at is None else at).copy()
        zones = [Counter(zone[at[units]].tolist()) for units, zone in transit.apart]
        return cls(transit, at, problem.capacity - problem.loads(transit.node_of(at)), zones)

    @property
    def pending(self) -> IntArray:
        """The units that are not where they belong."""
        return np.flatnonzero(self.at != self.transit.goal)

    @cached_property
    def headroom(self) -> IntArray:
        """What is to stay free of each resource of a node in normal running, shape (n_nodes, n_resources)."""
        headroom = np.zeros_like(self.room)
        headroom[:, 0] = self.transit.problem.usable - self.transit.problem.limit
        return headroom

    def holds(self, unit: int | IntArray, node: int | IntArray, spare: IntArray | int = 0) -> BoolArray:
        """Whether there is room for units on nodes, with so much of each resource to spare."""
        need = self.transit.demand[unit]
        return np.asarray(((need <= self.room[node] - spare) | (need == 0)).all(axis=-1))

    def apart(self, unit: int, node: int) -> bool:
        """Whether the rules that keep VMs apart let a unit go to a node."""
        return all(self._others(rule, unit, node) == 0 for rule in self.transit.rules_of.get(unit, ()))

    def rivals(self, unit: int, node: int) -> tuple[list[int], BoolArray | None]:
        """The units that keep one from a node by such a rule, and the nodes they would have to leave, shape (n_nodes,)."""
        for rule in self.transit.rules_of.get(unit, ()):
            if self._others(rule, unit, node):
                units, zone = self.transit.apart[rule]
                there = units[zone[self.at[units]] == zone[node]]
                return [other for other in there.tolist() if other != unit], np.asarray(zone == zone[node])
        return [], None

    def _others(self, rule: int, unit: int, node: int) -> int:
        """How many others are in a node's zone, or are on their way to it or from it."""
        zone = self.transit.apart[rule][1]
        return self._zones[rule][int(zone[node])] - int(zone[self.at[unit]] == zone[node])

    def begin(self, unit: int, node: int) -> None:
        """Have a unit take its room on the node it goes to."""
        self.room[node] -= self.transit.demand[unit]
        for rule in self.transit.rules_of.get(unit, ()):
            self._zones[rule][int(self.transit.apart[rule][1][node])] += 1

    def cancel(self, unit: int, node: int) -> None:
        """Take back a `begin`."""
        self.room[node] += self.transit.demand[unit]
        for rule in self.transit.rules_of.get(unit, ()):
            self._zones[rule][int(self.transit.apart[rule][1][node])] -= 1

    def finish(self, unit: int, node: int) -> None:
        """Have a unit leave the node that it is on for the one it took room on."""
        source = int(self.at[unit])
        self.cancel(unit, source)
        self.at[unit] = node

    def go(self, unit: int, node: int) -> Hop:
        """Move a unit while nothing else moves."""
        hop = unit, int(self.at[unit]), node
        self.begin(unit, node)
        self.finish(unit, node)
        return hop

    def take_back(self, hops: list[Hop]) -> None:
        """Undo hops made one after the other."""
        for unit, source, _ in reversed(hops):
            self.go(unit, source)
