"""The independent checker of witnesses: is a placement right, and do its failover plans hold?

Whole numbers only, no solver, and no code shared with the search. Names become indices as they are read, so that names and
columns are judged by the same lines. The index -1 is no node: it reaches the last entry of each node column, added for it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from vmplace.cluster import Cluster
from vmplace.columns import IntArray, NodeColumns, VMColumns
from vmplace.errors import Flaw, InputError
from vmplace.labels import Labels
from vmplace.model import Apart, Guarantee, NotOn, Together
from vmplace.references import resolve
from vmplace.results import Violation
from vmplace.units import short, spell_memory

__all__ = ["audit"]

Names = Iterable[str]
Placement = Mapping[str, str | None] | npt.ArrayLike
Failover = Mapping[str, Mapping[str, str | None]] | npt.ArrayLike


def audit(
    cluster: Cluster, placement: Placement, failover: Failover | None = None, *, powered: Names | None = None, drained: Names = ()
) -> list[Violation]:
    """Everything that a placement and its failover plans break; empty if they are good.

    Parameters
    ----------
    placement, failover
        VM to node, and per failed node VM to restart node; or the index of each VM's node and of its restart node, of shape
        (n_vms,). None or -1: nowhere. A node left out has an empty plan. Without plans, what needs one is ``unverified``.
    powered, drained
        Nodes that stay powered on (None: all), and nodes to be emptied, even of VMs that are not movable. A node that is
        drained or not powered hosts nothing, takes no restarts and is no failure scenario.

    Raises
    ------
    InputError
        If an array has the wrong shape or type, or an index that is no node. Unknown names are violations.
    """
    case = _Case(cluster, placement, powered, drained)
    case.check_placement()
    case.check_failover(failover)
    case.check_rules()
    case.check_gaps()
    return case.found


class _Case:
    """A cluster as columns, the placement under audit, and the violations found so far."""

    def __init__(self, cluster: Cluster, placement: Placement, powered: Names | None, drained: Names) -> None:
        self.cluster, nodes, vms = cluster, cluster.nodes, cluster.vms
        self.vms = vms.names if isinstance(vms, VMColumns) else [vm.name for vm in vms]
        self.memory = _column(vms, "memory")
        self.nodes = [*(nodes.names if isinstance(nodes, NodeColumns) else [node.name for node in nodes]), "no node"]
        self.index: dict[str | None, int] = {name: i for i, name in enumerate(self.nodes[:-1])}
        self.usable = np.append(_column(nodes, "usable"), 0)
        pools: dict[str, int] = {}
        self.node_pool = np.append(_column(nodes, "pool", lambda pool: pools.setdefault(pool, len(pools))), -1)
        self.vm_pool = _column(vms, "pool", lambda pool: pools.setdefault(pool, len(pools)))
        # A VM runs on the node it is on now, or is stopped there, or waits: it has no node, or one that is offline.
        homes = np.array([*(self.index.get(name, -1) for name in getattr(vms, "node_names", ())), -1])
        now = homes[vms.node] if isinstance(vms, VMColumns) else _column(vms, "node", lambda name: self.index.get(name, -1))
        state = np.array([*(nodes.state if isinstance(nodes, NodeColumns) else [node.state for node in nodes]), ""])
        self.now = np.where(np.isin(state, ["online", "maintenance"])[now], now, -1)
        self.stopped = (self.now >= 0) & (_column(vms, "running") == 0)
        off, on = set(drained), set(self.nodes[:-1] if powered is None else powered)
        unknown = sorted((off | on).difference(self.index))
        self.found = [Violation("placement", name, f"{short(name)} is no node of this cluster") for name in unknown]
        self.drained, kept = (np.array([name in names for name in self.nodes]) for names in (off, on - off))
        self.online, self.maintenance = kept & (state == "online"), kept & (state == "maintenance")  # or as good as offline
        self.listed = self.read("placement", placement)
        self.at = np.where(self.stopped, -1, self.listed)  # the node that a VM takes its memory on
        self.to = np.full_like(self.at, -1)  # the node that it restarts on if that one fails
        self.load = _sums(self.at, self.memory, len(self.nodes))

    def blame(self, kind: str, guilty: npt.NDArray[np.bool_], message: str) -> None:
        for v in np.flatnonzero(guilty).tolist():
            vm, at, now, to = self.vms[v], self.nodes[self.at[v]], self.nodes[self.now[v]], self.nodes[self.to[v]]
            self.found.append(Violation(kind, vm if kind == "placement" else at, message.format(vm=vm, at=at, now=now, to=to)))

    def read(self, kind: str, given: Any) -> IntArray:
        """Each VM's node: in a placement, or in the plan for the failure of the node it is on."""
        if not isinstance(given, Mapping):
            column, last = np.asarray(given), len(self.index) - 1
            if column.shape != self.memory.shape or column.dtype.kind not in "iu" or np.any((column < -1) | (column > last)):
                raise InputError([Flaw(kind, f"{short(given)}: give {len(self.vms)} whole numbers from -1 to {last}")])
            return column.astype(np.int64)
        plans: Mapping[str, Any] = given if kind == "failover" else {"": given}
        home_of = {vm: self.nodes[self.at[v]] if kind == "failover" else "" for v, vm in enumerate(self.vms)}
        self.found += [Violation(kind, odd, f"{short(odd)} is no node here") for odd in plans if odd and odd not in self.index]
        for failed, vm, node in ((failed, vm, node) for failed, plan in plans.items() for vm, node in plan.items()):
            if home_of.get(vm) != failed:
                self.found.append(Violation(kind, failed or vm, f"{short(vm)} is no VM{failed and f' running on {failed}'}"))
            elif node is not None and node not in self.index:
                self.found.append(Violation(kind, failed or vm, f"{short(node)}, given for {vm}, is no node of this cluster"))
        return np.array([self.index.get(plans.get(home, {}).get(vm), -1) for vm, home in home_of.items()], np.int64)

    def check_placement(self) -> None:
        at, now, charged = self.at, self.now, self.at >= 0
        fixed = (_column(self.cluster.vms, "movable") == 0) & (now >= 0) & ~self.drained[now]
        self.blame("placement", ~self.stopped & ~charged, "{vm} is on no node")
        self.blame("placement", self.stopped & (self.listed >= 0) & (self.listed != now), "{vm} must stay on {now}, stopped")
        self.blame("placement", charged & ~(self.online | self.maintenance)[at], "{vm} is on {at}, offline, drained or unpowered")
        self.blame("placement", charged & self.maintenance[at] & (at != now), "{vm} comes to {at}, which is in maintenance")
        self.blame("placement", charged & (self.vm_pool != self.node_pool[at]), "{vm} is on {at}, which is in another pool")
        self.blame("placement", charged & fixed & (at != now), "{vm} is on {at}, but must not move from {now}")
        share = self.cluster.guarantee.headroom
        for name, load, usable in zip(self.nodes[:-1], self.load.tolist(), self.usable.tolist(), strict=False):
            limit = usable + -usable * share.numerator // share.denominator  # what is kept free is rounded up
            if load > usable:
                self.found.append(Violation("overfull", name, f"{name} holds {_excess(load, usable)}"))
            elif load > limit:
                self.found.append(Violation("headroom", name, f"{name} holds {_excess(load, limit)} without headroom"))

    def check_failover(self, failover: Failover | None) -> None:
        failures, at, count = self.cluster.guarantee.failures, self.at, len(self.nodes)
        if failures > 1 or (failures == 1 and self.cluster.guarantee.scope != "node"):
            return  # check_gaps says so
        fails = (self.online | self.maintenance) & (failures == 1)  # what is empty displaces nobody
        displaced = fails[at] & (_column(self.cluster.vms, "protected") == 1)
        if failover is None:  # only sums can be checked: what must restart, and the room of the others in the pool
            need = _sums(np.where(displaced, at, -1), self.memory, count)
            room = np.where(self.online, np.maximum(self.usable - self.load, 0), 0)
            left = _sums(self.node_pool, room, count)[self.node_pool] - room
            for i in np.flatnonzero(need[:-1]).tolist():
                sums = f"{spell_memory(int(need[i]))} must restart, {spell_memory(int(left[i]))} are free elsewhere"
                kind, name = "unprotected" if need[i] > left[i] else "unverified", self.nodes[i]
                self.found.append(Violation(kind, name, f"if {name} fails, {sums}"))
            return
        self.to = to = self.read("failover", failover)
        self.blame("unprotected", displaced & (to < 0), "if {at} fails, {vm} restarts nowhere")
        self.blame("failover", ~displaced & (to >= 0), "{vm} restarts on {to}, but is not protected, or no failure displaces it")
        to[~displaced] = -1
        for why, bad in (("failed", to == at), ("closed", ~self.online[to]), ("other pool", self.vm_pool != self.node_pool[to])):
            self.blame("failover", bad & (to >= 0), "if {at} fails, {vm} cannot restart on {to}: " + why)
            to[bad] = -1
        vms = np.flatnonzero(to >= 0)
        pairs, pair = np.unique(at[vms] * count + to[vms], return_inverse=True)  # of a failed node and a survivor
        survivors = pairs % count
        after = self.load[survivors] + _sums(pair, self.memory[vms], len(pairs))
        for p in np.flatnonzero(after > self.usable[survivors]).tolist():
            name, excess = self.nodes[pairs[p] // count], _excess(int(after[p]), int(self.usable[survivors[p]]))
            self.found.append(Violation("failover", name, f"if {name} fails, {self.nodes[survivors[p]]} would hold {excess}"))

    def check_rules(self) -> None:
        index = {name: v for v, name in enumerate(self.vms)} if self.cluster.rules else {}
        for r, rule in enumerate(self.cluster.rules):
            comers: dict[int, dict[int, list[str]]] = {-1: {}}  # per failed node (-1: none) and node: the members that come there
            for vm in resolve(rule.vms, self.cluster.vms) if rule.must else ():
                at, to = int(self.at[index[vm]]), int(self.to[index[vm]])
                if at >= 0:
                    comers[-1].setdefault(at, []).append(vm)
                if to >= 0 and rule.during_failover:
                    comers.setdefault(at, {}).setdefault(to, []).append(vm)
            named = {self.index[name] for name in resolve(getattr(rule, "nodes", ()), self.cluster.nodes)}
            for failed, members in comers.items():
                if isinstance(rule, Apart):
                    bad = [i for i in members if len(members[i]) > 1 or (failed >= 0 and i in comers[-1])]
                elif isinstance(rule, Together):
                    bad = list(members) if len(members) > 1 else []
                else:
                    bad = [i for i in members if (i in named) == isinstance(rule, NotOn)]
                if bad:
                    kind, subject = ("rule", f"rules[{r}]") if failed < 0 else ("failover", self.nodes[failed])
                    places = "; ".join(f"{', '.join(members[i])} on {self.nodes[i]}" for i in bad)
                    self.found.append(Violation(kind, subject, f"rules[{r}] ({rule.kind}) is broken by {places}"))

    def check_gaps(self) -> None:
        asked = self.cluster.guarantee
        known = Guarantee(failures=min(asked.failures, 1), headroom=asked.headroom, meta=asked.meta)
        objects = [] if isinstance(self.cluster.vms, VMColumns) else self.cluster.vms
        further = any(vm.target or vm.evictable or vm.resources for vm in objects)
        domains = any(isinstance(rule, Apart) and rule.must and rule.scope != "node" for rule in self.cluster.rules)
        if asked != known or domains or further:
            rest = "guarantees but of single nodes and planned restarts, nor domains, targets, evictions, resources"
            self.found.append(Violation("unverified", "cluster", f"not checked yet: {rest}"))


def _column(things: Any, key: str, tell: Callable[[Any], int] = int) -> npt.NDArray[Any]:
    """What `tell` says of each one's value."""
    if not isinstance(things, NodeColumns | VMColumns):
        return np.array([tell(getattr(thing, key)) for thing in things], np.int64)
    column = getattr(things, key)
    return np.array([*map(tell, column.words)], np.int64)[column.code] if isinstance(column, Labels) else column


def _sums(groups: IntArray, amounts: IntArray, count: int) -> IntArray:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, groups, amounts)
    return sums


def _excess(held: int, limit: int) -> str:
    return f"{spell_memory(held)}, {spell_memory(held - limit)} more than its {spell_memory(limit)}"
