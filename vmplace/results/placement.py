"""What the functions of the package return: frozen values, with the names of the cluster."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray, VMColumns, names_of
from vmplace.results.failover import FailoverPlans
from vmplace.results.migration import MigrationPlan
from vmplace.results.to_dict import ToDict
from vmplace.results.values import BrokenRule, Comparison, Conflict, Migration, Scenario, Status, Unprotected, Violation

__all__ = ["Report", "Solution"]

Value = int | Fraction

_KEYS = "status guarantee placement failover unprotected violations waiting warnings broken_rules pools scenarios"


@frozen(kw_only=True, eq=False)
class _Placed(ToDict):
    """A placement with its failover plans, as columns and as names.

    Parameters
    ----------
    cluster
        What was asked about.
    node_of
        Index of each VM's node, shape (n_vms,); -1 for a VM without one. A stopped VM keeps its node. None without a placement.
    witness
        Makes the failover plans when they are first asked for; None without a placement.
    scenarios
        By the names of what fails, joined by "+".
    """

    _keys = _KEYS

    cluster: Cluster = field(repr=False)
    status: Status
    guarantee: Status
    node_of: IntArray | None = field(default=None, repr=False)
    witness: Callable[[], FailoverPlans] | None = field(default=None, repr=False)
    scenarios: Mapping[str, Scenario] = field(factory=dict, repr=False)
    unprotected: tuple[Unprotected, ...] = ()
    violations: tuple[Violation, ...] = ()
    waiting: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    broken_rules: tuple[BrokenRule, ...] = ()
    pools: Mapping[str, Status] = field(factory=dict)
    powered: tuple[str, ...] = ()
    method: str = ""
    stats: Mapping[str, Any] = field(factory=dict)

    @cached_property
    def placement(self) -> dict[str, str] | None:
        """VM to node, for every VM that has one; None if there is no placement."""
        if self.node_of is None:
            return None
        return self._named(self.node_of)

    @cached_property
    def backup_of(self) -> IntArray | None:
        """Index of the node each VM restarts on when its node fails, shape (n_vms,); -1 for a VM in no plan.

        Where a failure is survived without a doubt, its plan is made when first asked for, and audited like any other.

        Raises
        ------
        ValueError
            if several nodes or domains fail at once: a VM then restarts on another node in each failure.
        """
        return None if self.witness is None else self.plans.column

    @cached_property
    def plans(self) -> FailoverPlans:
        """The failover plans as columns."""
        assert self.witness is not None
        return self.witness()

    @cached_property
    def failover(self) -> Mapping[str, dict[str, str | None]]:
        """Per failure scenario that is decided: where the VMs it displaces restart, as far as they can.

        None stands for a VM that may be evicted, and is.
        """
        return Failover(self)

    def _named(self, node_of: IntArray) -> dict[str, str]:
        nodes = list(names_of(self.cluster.nodes))
        return {vm: nodes[i] for vm, i in zip(names_of(self.cluster.vms), node_of.tolist(), strict=True) if i >= 0}


@frozen(eq=False)
class Failover(Mapping[str, dict[str, str | None]]):
    """The failover plans of a placement for the failures that are decided."""

    _placed: _Placed = field(repr=False)

    def __getitem__(self, key: str) -> dict[str, str | None]:
        if self._placed.scenarios[key].status is Status.UNKNOWN:
            raise KeyError(key)
        return self._placed.plans[key]

    def __iter__(self) -> Iterator[str]:
        return (key for key, scenario in self._placed.scenarios.items() if scenario.status is not Status.UNKNOWN)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


@frozen(kw_only=True, eq=False)
class Report(_Placed):
    """What `check` found of the placement as it stands.

    `status` is ``safe``, ``unsafe`` or ``unknown``; `guarantee` is the same. `placement` is the cluster's own.
    `comparison` is what the usual policies say of it, if that was asked for.
    """

    comparison: tuple[Comparison, ...] = ()

    def parts(self) -> dict[str, Any]:
        parts = super().parts()
        if self.comparison:
            parts["comparison"] = [row.parts() for row in self.comparison]
        parts |= {"objective": None, "migrations": [], "powered": [], "drained": []}
        return parts | {"method": self.method, "stats": self.stats}


@frozen(kw_only=True, eq=False)
class Solution(_Placed):
    """What `place` and `repair` found.

    Parameters
    ----------
    status
        ``optimal`` (proved), ``feasible`` (see `gap`), ``infeasible`` (proved) or ``unknown``; in the last two
        there is no placement.
    guarantee
        ``safe``, ``unsafe`` or ``unknown``: of the placement returned, or, without one, ``unsafe`` if infeasible.
    objective_name, objective, bound
        What was minimised, its value and the least that any placement could have; a list each for several objectives.
        ``balance`` is a Fraction, ``moves`` MiB, ``consolidate`` nodes.
    migrations
        By steps, where they are in order.
    plan
        How the migrations were put in order, or why not; None where nothing moves, or nobody asked.
    drained
        Nodes that were to be emptied.
    reason
        Why there is no placement, or no more than ``feasible``.
    conflict
        If ``infeasible``: what forbids a placement.
    """

    _keys = f"{_KEYS} objective:_score reason conflict migrations plan:_outline powered drained method stats"

    objective_name: str | tuple[str, ...]
    objective: Value | tuple[Value, ...] | None = None
    bound: Value | tuple[Value, ...] | None = None
    migrations: tuple[Migration, ...] = ()
    plan: MigrationPlan | None = None
    drained: tuple[str, ...] = ()
    reason: str = ""
    conflict: Conflict | None = None

    def to_document(self) -> Cluster:
        """The cluster with this placement: who was to be started runs, who was stopped keeps its node.

        Nodes that were drained are in maintenance. Whoever comes to another node is under way to none: a target that was its own
        node would be a migration back.

        Raises
        ------
        ValueError
            if there is no placement.
        """
        if self.node_of is None:
            raise ValueError(f"there is no placement: the status is {self.status}")
        cluster, vms = self.cluster.in_maintenance(self.drained), self.cluster.vms
        if isinstance(vms, VMColumns):
            held = self.cluster.vm_columns
            moved = held.node != self.node_of
            running = held.running if held.running.all() else held.running | moved
            target = np.where(moved, -1, held.target) if moved.any() else held.target
            return evolve(cluster, vms=evolve(held, node=self.node_of, target=target, running=running))
        names = [node.name for node in self.cluster.nodes]
        placed = [
            vm if vm.node == names[i] else evolve(vm, node=names[i], target=None, running=True)
            for vm, i in zip(vms, self.node_of.tolist(), strict=True)
        ]
        return evolve(cluster, vms=placed)

    @property
    def gap(self) -> float | tuple[float | None, ...] | None:
        """|value - bound| / value, 0 where they are equal; None without a value."""
        if isinstance(self.objective, tuple) and isinstance(self.bound, tuple):
            return tuple(_gap(value, bound) for value, bound in zip(self.objective, self.bound, strict=True))
        if isinstance(self.objective, tuple) or isinstance(self.bound, tuple):
            return None
        return _gap(self.objective, self.bound)

    @property
    def _score(self) -> dict[str, Any]:
        return {"name": self.objective_name, "value": self.objective, "bound": self.bound, "gap": self.gap}

    @property
    def _outline(self) -> dict[str, Any] | None:
        return None if self.plan is None else self.plan.outline()


def _gap(value: Value | None, bound: Value | None) -> float | None:
    if value is None or bound is None:
        return None
    if value == bound:
        return 0.0
    return float(abs(Fraction(value) - bound) / Fraction(value)) if value else None
