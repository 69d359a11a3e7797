"""Answers with a placement: the report of `check`, and the solution of `place`, `repair` and `drain`."""

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from attrs import evolve, field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.errors import ConflictError, Flaw
from vmplace.model.text import counted, readable
from vmplace.model.what_if import waiting
from vmplace.results.actions import Part
from vmplace.results.exposure import Exposure
from vmplace.results.failover import FailoverPlans
from vmplace.results.migration import MigrationPlan, starting
from vmplace.results.nodes import NodeTable, node_table
from vmplace.results.result import Result
from vmplace.results.tables import Library, frame
from vmplace.results.values import (
    AnyOrder,
    Blocker,
    BrokenRule,
    Comparison,
    Conflict,
    MigrationTable,
    Scenario,
    Start,
    Status,
    Stop,
    Unprotected,
    Violation,
    relative_gap,
)

__all__ = ["Report", "Solution"]

Value = int | Fraction

_KEYS = (
    "status guarantee placement failover unprotected violations waiting warnings broken_rules pools scenarios "
    "guarantees:_verdicts"
)


@frozen(kw_only=True, eq=False, repr=False)
class _Placed(Result):
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
    guarantees
        The reports on each of several guarantees. The keys of the second one's scenarios are like ``2++n1+n2``.
    """

    _keys = _KEYS
    _if_known: ClassVar[tuple[str, ...]] = ("guarantees",)

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
    guarantees: "tuple[Report, ...]" = field(default=(), repr=False)
    method: str = ""
    stats: Mapping[str, Any] = field(factory=dict)

    @cached_property
    def placement(self) -> dict[str, str] | None:
        """The node of each VM that has one, by name; None without a placement."""
        if self.node_of is None:
            return None
        return self._named(self.node_of)

    @cached_property
    def backup_of(self) -> IntArray | None:
        """Index of the node each VM restarts on when its node fails, shape (n_vms,); -1 for a VM in no plan.

        Where a certificate shows that a failure is survived, the plan is made when it is first asked for, and audited as well.

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
    def failover(self) -> "Failover":
        """For each failure scenario that is decided: the node on which each displaced VM restarts, as far as VMs can.

        None stands for an evictable VM that is stopped to make room.
        """
        return Failover(self)

    @cached_property
    def nodes(self) -> NodeTable:
        """Each node with its load, and what its failure does; empty without a placement."""
        if self.node_of is None:
            return NodeTable()
        return node_table(self.cluster, self.node_of, self.scenarios, self.unprotected)

    @property
    def _verdicts(self) -> list[dict[str, Any]] | None:
        """The verdicts on each of several guarantees."""
        return [{"status": report.status, "pools": report.pools} for report in self.guarantees] or None

    def _named(self, node_of: IntArray) -> dict[str, str]:
        nodes = list(self.cluster.nodes.names)
        return {vm: nodes[i] for vm, i in zip(self.cluster.vms.names, node_of.tolist(), strict=True) if i >= 0}


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

    def to_frame(self, library: Library | None = None) -> Any:
        """Return a dataframe with a row for each restart: `scenario`, `vm`, and the `node` it restarts on.

        `node` is null for an evictable VM that is stopped to make room. See `Table.to_frame` for the parameter and errors.
        """
        restarts = [(scenario, vm, node) for scenario, plan in self.items() for vm, node in plan.items()]
        keys = ("scenario", "vm", "node")
        return frame({key: (str, [row[place] for row in restarts]) for place, key in enumerate(keys)}, library)


@frozen(kw_only=True, eq=False, repr=False)
class Report(_Placed):
    """What `check` found of the current placement.

    `status` is ``safe``, ``unsafe`` or ``unknown``; `guarantee` is the same. `placement` is the cluster's own.
    `comparison` is what the policies of other platforms say of it, where ``compare=True`` asked for it.
    """

    comparison: tuple[Comparison, ...] = ()
    outlook: Callable[[], AnyOrder] | None = field(default=None, repr=False)

    @cached_property
    def any_order(self) -> AnyOrder | None:
        """Whether it would be safe with restarts in any order, too; None unless it is safe with planned restarts.

        It is found out when it is first asked for, in a second at most.
        """
        return None if self.outlook is None else self.outlook()

    def parts(self) -> dict[str, Any]:
        parts = super().parts()
        parts["any_order"] = None if self.any_order is None else self.any_order.parts()
        if self.comparison:
            parts["comparison"] = [row.parts() for row in self.comparison]
        parts |= {"objective": None, "migrations": [], "powered": [], "drained": []}
        return parts | {"method": self.method, "stats": self.stats}

    def summary(self) -> str:
        """The answer in a line."""
        fates = [scenario.status for scenario in self.scenarios.values()]
        lost, open_ = fates.count(Status.UNSAFE), fates.count(Status.UNKNOWN)
        told = [f"{lost} of {counted(len(fates), 'failure')} not survived"] if lost else []
        told += [f"{open_} of {counted(len(fates), 'failure')} not decided in time"] if open_ else []
        told += [counted(len(self.violations), "violation")] if self.violations else []
        told += [f"{counted(len(self.waiting), 'VM')} without a node"] if self.waiting else []
        return f"{self.status}: {', '.join(told or [f'{len(fates)} of {len(fates)} failures survived'])}"


@frozen(kw_only=True, eq=False, repr=False)
class Solution(_Placed):
    """What `place` and `repair` found.

    Parameters
    ----------
    status
        ``optimal`` (proved), ``feasible`` (see `gap`), ``infeasible`` (proved) or ``unknown``; in the last two
        there is no placement, unless some pools could be placed and others (`unsolved`) not.
    guarantee
        ``safe``, ``unsafe`` or ``unknown``: of the placement returned, or, without one, ``unsafe`` if infeasible.
    objective_name, objective, bound
        What was minimised, its value, and a lower bound on the value of any placement; a tuple each for several objectives.
        ``balance`` is a Fraction, ``moves`` MiB, ``consolidate`` nodes.
    allowed
        The value up to which an objective with slack counts as optimal; None for one without. None where no slack was asked for.
    migrations
        By steps, where they are in order.
    plan
        The order of the migrations, or why no order exists; None where nothing moves, or with ``ordered=False``.
    drained
        Nodes that were to be emptied.
    suspended
        Why the guarantee does not hold with this placement, where it had to be given up to drain nodes; else empty.
    blockers
        If nodes cannot be emptied: everything that keeps VMs on them, each with what would help.
    reason
        Why there is no placement, or no more than ``feasible``.
    conflict
        If ``infeasible``: what forbids a placement.
    unsolved
        The pools without a placement, with the reason, where others have one: their VMs stay as they are, and those that wait go
        on waiting.
    stopped
        Evictable VMs that a drain stops, each on the node that it is on, where there is no room for all; `stats` says whether
        they are proved to be the fewest (``stops_proved``). They are stopped in `cluster`.
    afterwards
        What is done once the drained nodes are back: stopped VMs start again, or the way back of a rolling drain. Else None.
    """

    _keys = (
        f"{_KEYS} objective:_score suspended reason conflict unsolved blockers "
        "migrations plan:_outline powered drained stopped:_stopped afterwards method stats"
    )
    _if_known: ClassVar[tuple[str, ...]] = ("guarantees", "stopped", "afterwards")

    objective_name: str | tuple[str, ...]
    objective: Value | tuple[Value, ...] | None = None
    bound: Value | tuple[Value, ...] | None = None
    allowed: Value | tuple[Value | None, ...] | None = None
    migrations: MigrationTable = field(factory=MigrationTable, converter=MigrationTable)
    plan: MigrationPlan | None = None
    drained: tuple[str, ...] = ()
    suspended: str = ""
    blockers: tuple[Blocker, ...] = ()
    reason: str = ""
    conflict: Conflict | None = None
    unsolved: Mapping[str, str] = field(factory=dict)
    stopped: tuple[Stop, ...] = ()
    afterwards: MigrationPlan | None = None

    def to_document(self) -> Cluster:
        """The cluster with this placement; stopped VMs keep their nodes, or none.

        Nodes that were drained are in maintenance; where nodes were to be switched off, all that are not in `powered` are
        offline: the guarantee is that of the others. A VM that moved has no target: a target that was its own node would be a
        migration back.

        Raises
        ------
        ConflictError
            (a ValueError) if there is no placement.
        """
        if self.node_of is None:
            raise ConflictError([Flaw("status", f"{self.status}: the solution has no placement", "conflict")])
        off = set(self.cluster.nodes.names).difference(self.powered) if self.powered else ()
        cluster, held = self.cluster.in_state("offline", off).in_state("maintenance", self.drained), self.cluster.vms
        moved = held.node != self.node_of
        target = np.where(moved, -1, held.target) if moved.any() else held.target
        return evolve(cluster, vms=evolve(held, node=self.node_of, target=target))

    @property
    def _begun(self) -> IntArray:
        """Indices of the VMs that waited and have a node now."""
        assert self.node_of is not None
        begun: IntArray = np.flatnonzero(waiting(self.cluster) & (self.node_of >= 0))
        return begun

    @property
    def starts(self) -> tuple[Start, ...]:
        """The VMs that waited and are started, in document order."""
        if self.node_of is None:
            return ()
        vms, nodes = self.cluster.vms, self.cluster.nodes.names
        return tuple(Start(vms.names[vm], nodes[self.node_of[vm]], int(vms.charged[vm])) for vm in self._begun.tolist())

    @property
    def todo(self) -> MigrationPlan:
        """What there is to do, in order: `plan`; where VMs only start, a step for each priority, the highest first."""
        if self.plan is not None or self.node_of is None:
            return MigrationPlan(status=self.status, reason=self.reason) if self.plan is None else self.plan
        if self.migrations:
            return MigrationPlan(status=Status.UNKNOWN, reason="none was asked for")
        ranks = self.cluster.vms.priority[self._begun].tolist()
        steps = starting(sorted(zip(ranks, self.starts, strict=True), key=lambda each: (-each[0], -each[1].memory)))
        if steps:
            failures = tuple(dict.fromkeys(loss.scenario for loss in self.unprotected))
            open_ = tuple(name for name in failures if self.scenarios[name].status is Status.UNKNOWN)
            lost = tuple(dict.fromkeys(vm for loss in self.unprotected for vm in loss.vms))
            last = evolve(
                steps[-1],
                guarantee=self.guarantee,
                exposed=failures,
                undecided=open_,
                unprotected=lost,
                worst=self.exposure,
            )
            steps = (*steps[:-1], last)
        return MigrationPlan(status=Status.OPTIMAL, steps=steps)

    @property
    def maintenance(self) -> tuple[Part, ...]:
        """What there is to do for a drain from its first step until all is as it should be: nodes are serviced in between."""
        part = evolve(self.todo.part(self.drained), serviced=True)
        return (part,) if self.afterwards is None else (part, self.afterwards.part())

    @property
    def exposure(self) -> Exposure | None:
        """The failure that leaves most VMs without a node, if that is known."""
        if not self.unprotected:
            return None
        exposed = [key for key, scenario in self.scenarios.items() if scenario.status is not Status.SAFE]
        return Exposure.of(((loss.scenario, loss.vms) for loss in self.unprotected), exposed, self.cluster.guarantees)

    @property
    def held(self) -> bool:
        """Whether the guarantee holds: of a drain, in the pools of the drained nodes."""
        if self.node_of is None or not self.drained or len(self.pools) < 2:
            return self.node_of is not None and self.guarantee is Status.SAFE
        pool_of = dict(zip(self.cluster.nodes.names, self.cluster.nodes.pool, strict=True))
        return all(self.pools[pool_of[node]] is Status.SAFE for node in self.drained)

    @property
    def gap(self) -> float | tuple[float | None, ...] | None:
        """|value - bound| / value, 0 where they are equal; None without a value."""
        if isinstance(self.objective, tuple) and isinstance(self.bound, tuple):
            return tuple(relative_gap(value, bound) for value, bound in zip(self.objective, self.bound, strict=True))
        if isinstance(self.objective, tuple) or isinstance(self.bound, tuple):
            return None
        return relative_gap(self.objective, self.bound)

    @property
    def _score(self) -> dict[str, Any]:
        allowed = {} if self.allowed is None else {"allowed": self.allowed}
        return {"name": self.objective_name, "value": self.objective, "bound": self.bound, "gap": self.gap, **allowed}

    @property
    def _stopped(self) -> tuple[Stop, ...] | None:
        return self.stopped or None

    @property
    def _outline(self) -> dict[str, Any] | None:
        return None if self.plan is None else self.plan.outline()

    def summary(self) -> str:
        """The answer in a line."""
        if self.node_of is None:
            return f"{self.status}: {self.reason or 'no placement'}"
        moved = sum(migration.memory for migration in self.migrations)
        scores = zip(_all(self.objective_name), _all(self.objective), strict=False)
        told = [f"{name} {float(value):.1%}" if isinstance(value, Fraction) else f"{name} {value}" for name, value in scores]
        told = [f"guarantee {self.guarantee}", *told, f"{counted(len(self.migrations), 'migration')} ({readable(moved)})"]
        return f"{self.status}: {', '.join(told)}"


def _all(values: Any) -> tuple[Any, ...]:
    return values if isinstance(values, tuple) else (values,)
