"""The independent checker of witnesses: is a placement right, and do its failover plans hold?

Whole numbers only, no solver, and no code shared with the search but the cluster as columns. Names become indices as they are
read, so that names and columns are judged by the same lines. The index -1 is no node: it reaches the last entry of each node
column, added for it.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from vmplace.cluster import Cluster
from vmplace.columns import IntArray, VMColumns
from vmplace.errors import Flaw, InputError
from vmplace.model import Apart, Guarantee, NotOn, Together
from vmplace.references import resolve
from vmplace.results import Violation
from vmplace.units import short, spell_memory

__all__ = ["audit", "audit_running"]

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


def audit_running(cluster: Cluster, placement: Placement) -> list[Violation]:
    """What a placement breaks in normal running, whatever fails; arguments and errors as for `audit`."""
    case = _Case(cluster, placement, None, ())
    case.check_placement()
    case.check_rules()
    return case.found


class _Case:
    """A cluster as columns, the placement under audit, and the violations found so far."""

    def __init__(self, cluster: Cluster, placement: Placement, powered: Names | None, drained: Names) -> None:
        self.cluster = cluster
        self.node, self.vm = nodes, vms = cluster.node_columns, cluster.vm_columns
        self.usable = np.append(nodes.usable, 0)
        pools = {pool: i for i, pool in enumerate(sorted({*nodes.pool.words, *vms.pool.words}))}
        self.node_pool, self.vm_pool = np.append(nodes.pool.numbered(pools), -1), vms.pool.numbered(pools)
        online, maintenance = (np.append(nodes.state.are(state), False) for state in ("online", "maintenance"))
        # A VM runs on the node it is on now, or is stopped there, or waits: it has no node, or one that is offline.
        somewhere = online | maintenance
        self.now = vms.node if somewhere[:-1].all() else np.where(somewhere, np.arange(len(online)), -1)[vms.node]
        self.stopped = (self.now >= 0) & ~vms.running
        self.found: list[Violation] = []
        self.drained, kept = self.among(drained), ~self.among(()) if powered is None else self.among(powered)
        kept &= ~self.drained
        self.online, self.maintenance = kept & online, kept & maintenance  # or as good as offline
        self.listed = self.read("placement", placement)
        # The node that a VM takes its memory on, and the one that it restarts on if that fails.
        self.at = np.where(self.stopped, -1, self.listed) if self.stopped.any() else self.listed
        self.to = np.broadcast_to(np.int64(-1), len(vms))
        self.load = _sums(self.at, vms.memory, len(online))

    @cached_property
    def nodes(self) -> list[str]:
        return [*self.node.names, "no node"]

    @cached_property
    def index(self) -> dict[str | None, int]:
        return {name: i for i, name in enumerate(self.node.names)}

    def among(self, names: Names) -> npt.NDArray[np.bool_]:
        """Which nodes have one of some names, no node among them."""
        wanted = set(names)
        odd = sorted(wanted.difference(self.index)) if wanted else []
        self.found += [Violation("placement", name, f"{short(name)} is no node of this cluster") for name in odd]
        among = np.zeros(len(self.usable), dtype=bool)
        among[[self.index[name] for name in wanted.difference(odd)]] = True
        return among

    def blame(self, kind: str, guilty: IntArray, message: str) -> None:
        for v in guilty.tolist():
            vm, at, now, to = self.vm.names[v], self.nodes[self.at[v]], self.nodes[self.now[v]], self.nodes[self.to[v]]
            self.found.append(Violation(kind, vm if kind == "placement" else at, message.format(vm=vm, at=at, now=now, to=to)))

    def read(self, kind: str, given: Any) -> IntArray:
        """Each VM's node: in a placement, or in the plan for the failure of the node it is on."""
        if not isinstance(given, Mapping):
            column, last = np.asarray(given), len(self.node) - 1
            whole = column.shape == self.vm.memory.shape and column.dtype.kind in "iu"
            if not whole or (len(column) and not -1 <= int(column.min()) <= int(column.max()) <= last):
                raise InputError([Flaw(kind, f"{short(given)}: give {len(self.vm)} whole numbers from -1 to {last}")])
            return column.astype(np.int64, copy=False)
        plans: Mapping[str, Any] = given if kind == "failover" else {"": given}
        home_of = {vm: self.nodes[self.at[v]] if kind == "failover" else "" for v, vm in enumerate(self.vm.names)}
        self.found += [Violation(kind, odd, f"{short(odd)} is no node here") for odd in plans if odd and odd not in self.index]
        for failed, vm, node in ((failed, vm, node) for failed, plan in plans.items() for vm, node in plan.items()):
            if home_of.get(vm) != failed:
                self.found.append(Violation(kind, failed or vm, f"{short(vm)} is no VM{failed and f' running on {failed}'}"))
            elif node is not None and node not in self.index:
                self.found.append(Violation(kind, failed or vm, f"{short(node)}, given for {vm}, is no node of this cluster"))
        return np.array([self.index.get(plans.get(home, {}).get(vm), -1) for vm, home in home_of.items()], np.int64)

    def check_placement(self) -> None:
        at, now, open_ = self.at, self.now, self.online | self.maintenance
        absent, stopped, moved = np.flatnonzero(at < 0), np.flatnonzero(self.stopped), np.flatnonzero((at != now) & (at >= 0))
        listed, fixed = self.listed[stopped], ~self.vm.movable[moved] & (now[moved] >= 0) & ~self.drained[now[moved]]
        blame = partial(self.blame, "placement")
        blame(absent[~self.stopped[absent]], "{vm} is on no node")
        blame(stopped[(listed >= 0) & (listed != now[stopped])], "{vm} must stay on {now}, stopped")
        if np.any(self.load[:-1][~open_[:-1]]):
            blame(np.flatnonzero((at >= 0) & ~open_[at]), "{vm} is on {at}, offline, drained or unpowered")
        blame(moved[self.maintenance[at[moved]]], "{vm} comes to {at}, which is in maintenance")
        if len({*self.node.pool.words, *self.vm.pool.words}) > 1:
            blame(np.flatnonzero((self.vm_pool != self.node_pool[at]) & (at >= 0)), "{vm} is on {at}, which is in another pool")
        blame(moved[fixed], "{vm} is on {at}, but must not move from {now}")
        share, usable = self.cluster.guarantee.headroom, self.usable
        kept_free = [-(-c * share.numerator // share.denominator) for c in usable.tolist()] if share else 0  # rounded up
        limit = usable - np.array(kept_free)
        for i in np.flatnonzero(self.load[:-1] > limit[:-1]).tolist():
            name, over = self.nodes[i], self.load[i] > usable[i]
            excess = _excess(int(self.load[i]), int(usable[i] if over else limit[i]))
            kind, rest = ("overfull", "") if over else ("headroom", " without headroom")
            self.found.append(Violation(kind, name, f"{name} holds {excess}{rest}"))

    def check_failover(self, failover: Failover | None) -> None:
        failures, at, count = self.cluster.guarantee.failures, self.at, len(self.usable)
        if failures > 1 or (failures == 1 and self.cluster.guarantee.scope != "node"):
            return  # check_gaps says so
        fails = (self.online | self.maintenance) & (failures == 1)  # what is empty displaces nobody
        displaced = fails[at] & self.vm.protected
        if failover is None:  # only sums can be checked: what must restart, and the room of the others in the pool
            need = _sums(np.where(displaced, at, -1), self.vm.memory, count)
            room = np.where(self.online, np.maximum(self.usable - self.load, 0), 0)
            left = _sums(self.node_pool, room, count)[self.node_pool] - room
            for i in np.flatnonzero(need[:-1]).tolist():
                sums = f"{spell_memory(int(need[i]))} must restart, {spell_memory(int(left[i]))} are free elsewhere"
                kind, name = "unprotected" if need[i] > left[i] else "unverified", self.nodes[i]
                self.found.append(Violation(kind, name, f"if {name} fails, {sums}"))
            return
        self.to = to = self.read("failover", failover).copy()
        odd = ~displaced & (to >= 0)
        self.blame("unprotected", np.flatnonzero(displaced & (to < 0)), "if {at} fails, {vm} restarts nowhere")
        why = "{vm} restarts on {to}, but is not protected, or no failure displaces it"
        self.blame("failover", np.flatnonzero(odd), why)
        to[odd] = -1
        for why, bad in (("failed", to == at), ("closed", ~self.online[to]), ("other pool", self.vm_pool != self.node_pool[to])):
            bad &= to >= 0
            self.blame("failover", np.flatnonzero(bad), "if {at} fails, {vm} cannot restart on {to}: " + why)
            to[bad] = -1
        self.check_room(np.flatnonzero(to >= 0))

    def check_room(self, vms: IntArray) -> None:
        """Whether survivors have the room that VMs restart in, per pair of a failed node and a survivor."""
        count, memory = len(self.usable), self.vm.memory[vms]
        pair = self.at[vms] * count + self.to[vms]
        pair, memory = _sorted(pair, memory)
        start = np.flatnonzero(np.diff(pair, prepend=-1))
        pair = pair[start]
        survivors = pair % count
        after = self.load[survivors] + (np.add.reduceat(memory, start) if len(start) else 0)
        for p in np.flatnonzero(after > self.usable[survivors]).tolist():
            name, excess = self.nodes[pair[p] // count], _excess(int(after[p]), int(self.usable[survivors[p]]))
            self.found.append(Violation("failover", name, f"if {name} fails, {self.nodes[survivors[p]]} would hold {excess}"))

    def check_rules(self) -> None:
        index = {name: v for v, name in enumerate(self.vm.names)} if self.cluster.rules else {}
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
        objects = () if isinstance(self.cluster.vms, VMColumns) else self.cluster.vms
        further = any(vm.target or vm.evictable or vm.resources for vm in objects)
        domains = any(isinstance(rule, Apart) and rule.must and rule.scope != "node" for rule in self.cluster.rules)
        if asked != known or domains or further:
            rest = "guarantees but of single nodes and planned restarts, nor domains, targets, evictions, resources"
            self.found.append(Violation("unverified", "cluster", f"not checked yet: {rest}"))


def _sums(groups: IntArray, amounts: IntArray, count: int) -> IntArray:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, groups, amounts)
    return sums


def _sorted(keys: IntArray, amounts: IntArray) -> tuple[IntArray, IntArray]:
    """Both in the order of the keys; packed into one number where they fit, which is sorted ten times faster."""
    width = int(amounts.max(initial=0)).bit_length()
    if int(keys.max(initial=0)).bit_length() + width > 63:
        order = np.argsort(keys)
        return keys[order], amounts[order]
    packed = np.sort(keys << width | amounts)
    return packed >> width, packed & ((1 << width) - 1)


def _excess(held: int, limit: int) -> str:
    return f"{spell_memory(held)}, {spell_memory(held - limit)} more than its {spell_memory(limit)}"
