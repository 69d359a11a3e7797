"""Compiles a cluster to a `Problem`: names become indices here, and nowhere else (`problem.names` is the way back)."""

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np
from attrs import frozen

from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray, NodeColumns, VMColumns
from vmplace.model.entities import Apart, NotOn, OnlyOn
from vmplace.model.guarantee import FEWEST_VMS, Guarantee, less_share
from vmplace.model.references import members_of, resolve
from vmplace.problem.problem import Problem, normal_limit
from vmplace.problem.promise import Promise
from vmplace.problem.rules import CompiledRule
from vmplace.problem.signatures import numbered, signed
from vmplace.problem.size_limits import size_limits

__all__ = ["capacities", "compile_problem", "domains", "name_ranks", "own_limit", "own_limits"]


def compile_problem(cluster: Cluster, drained: BoolArray | None = None, *, several: bool = False) -> Problem:
    """The cluster as arrays, not to be written to: where they can be, they are the cluster's own.

    Parameters
    ----------
    drained
        Nodes to be emptied, shape (n_nodes,): their VMs are there now, but may not stay; no other VM may come.
    several
        Whether there may be several guarantees; the caller then looks at each of `Problem.each`.
    """
    assert several or not cluster.further, "several guarantees are not looked at one by one"
    if drained is not None:
        return _compiled(cluster, drained)
    if "problem" not in cluster.derived:
        cluster.derived["problem"] = _compiled(cluster, np.zeros(len(cluster.nodes), dtype=bool))
    problem: Problem = cluster.derived["problem"]
    return problem


def _compiled(cluster: Cluster, out: BoolArray) -> Problem:
    nodes, vms = cluster.nodes, cluster.vms
    online, offline = nodes.state.are("online"), nodes.state.are("offline")
    where = np.where(offline[vms.node], -1, vms.node) if offline.any() else vms.node
    rows = _Rows.of(vms, where, offline)
    pools = {pool: i for i, pool in enumerate(dict.fromkeys([*nodes.pool.words, *vms.pool.words]))}
    pool, vm_pool, domain = nodes.pool.numbered(pools), vms.pool.numbered(pools), domains(nodes)
    resources, n_firm = _resources(cluster, nodes, vms)
    original, own, zone = np.arange(len(vms))[rows.active], own_limits(nodes), _zones(nodes, pool, domain)
    rules = [*_compiled_rules(cluster, nodes, vms, original, domain), *size_limits(cluster, original)]
    rules += _homes(cluster, rules, original, online & ~out)
    promises = tuple(_promise(cluster, asked, zone, rows) for asked in cluster.guarantees)
    return Problem(
        resources=resources,
        n_firm=n_firm,
        capacity=capacities(cluster, nodes, resources),
        limit=reduce(np.minimum, (normal_limit(nodes.usable, own, asked) for asked in cluster.guarantees)),
        own_limit=own,
        online=online & ~out,
        maintenance=~online & ~offline & ~out,
        drained=out,
        pool=pool,
        domain=zone,
        demand=rows.each(_demand(vms, resources)),
        node_of=rows.each(where, vms.target),
        evictable=rows.each(vms.evictable),
        movable=rows.each(rows.settled(vms.movable), False),
        cold=rows.each(rows.settled(vms.cold), False),
        priority=rows.each(vms.priority, 0),
        **signed(rows.each(vm_pool), rules, pool, ~offline & ~out, online & ~out),
        **promises[0].own,
        promises=promises if cluster.further else (),
        original=np.concatenate([original, rows.migrating]) if len(rows.migrating) else original,
        n_incoming=len(rows.migrating),
    )


@frozen(eq=False)
class _Rows:
    """Which VMs of a cluster a problem has: those that run, then the halves of migrations on their targets."""

    active: Any
    migrating: IntArray

    @classmethod
    def of(cls, vms: VMColumns, where: IntArray, offline: BoolArray) -> "_Rows":
        """A slice of all leaves columns as they are."""
        return cls(slice(None) if vms.running.all() else np.flatnonzero(vms.running), _migrating(vms, where, offline))

    def each(self, values: Any, incoming: Any = None) -> Any:
        """A column of the cluster as one of the problem; `incoming`: one value for all halves, or another column for them."""
        if not len(self.migrating):
            return values[self.active]
        halves = values if incoming is None else incoming
        taken = halves[self.migrating] if isinstance(halves, np.ndarray) else np.broadcast_to(halves, len(self.migrating))
        return np.concatenate([values[self.active], taken])

    def settled(self, values: BoolArray) -> BoolArray:
        """Flags of the cluster's VMs, taken from those that migrate."""
        return values & ~np.isin(np.arange(len(values)), self.migrating) if len(self.migrating) else values


def _promise(cluster: Cluster, asked: Guarantee, zone: IntArray, rows: _Rows) -> Promise:
    nodes, evictable, protected = cluster.nodes, cluster.vms.evictable, _protected(cluster, asked)
    some = bool(rows.each(evictable).any())
    return Promise(
        asked,
        zone if asked.scope == "domain" else np.arange(len(nodes)),
        name_ranks(nodes.names, asked),
        rows.each(protected & ~evictable if some else protected, False),
        rows.each(protected & evictable if some else evictable, False),
    )


def name_ranks(names: Sequence[str], guarantee: Guarantee) -> IntArray:
    """Rank of each node by its name, as bytes, where a policy goes by it, else 0, shape (n_nodes,)."""
    if guarantee.policy != FEWEST_VMS:
        return np.broadcast_to(np.int64(0), len(names))
    return np.argsort(np.array(sorted(range(len(names)), key=lambda i: names[i].encode()), dtype=np.int64))


def _protected(cluster: Cluster, asked: Guarantee) -> BoolArray:
    """Which VMs a guarantee protects, shape (n_vms,)."""
    if asked.vms is None:
        return cluster.vms.protected
    named = set(resolve(asked.vms, cluster.vms))
    return np.asarray(cluster.vms.protected & np.array([name in named for name in cluster.vms.names], dtype=bool))


def _migrating(vms: VMColumns, where: IntArray, offline: BoolArray) -> IntArray:
    """VMs that take memory on a second node."""
    if not len(vms) or vms.target.max() < 0:
        return np.zeros(0, dtype=np.int64)
    there = (vms.target >= 0) & vms.running & (where >= 0) & (vms.target != where)
    return np.flatnonzero(there & ~np.append(offline, True)[vms.target])


def domains(nodes: NodeColumns) -> IntArray:
    """The failure domain of each node as a number, a node without one being its own, shape (n_nodes,)."""
    own = len(nodes.domain.words) + np.arange(len(nodes))
    named = nodes.domain.numbered({word: i for i, word in enumerate(nodes.domain.words)})
    return np.where(nodes.domain.are(""), own, named)


def _zones(nodes: NodeColumns, pool: IntArray, domain: IntArray) -> IntArray:
    """Which nodes fail as one where domains fail: those of one domain and pool, shape (n_nodes,)."""
    if not any(nodes.domain.words):
        return np.arange(len(nodes))
    return numbered(domain * (int(pool.max(initial=0)) + 1) + pool)[0]


def _resources(cluster: Cluster, nodes: NodeColumns, vms: VMColumns) -> tuple[tuple[str, ...], int]:
    """Names of the further resources, those last that a failover may exceed; how many others there are, with memory."""
    known = dict.fromkeys([*nodes.amounts(), *vms.amounts(), *cluster.overcommit, *cluster.soft_resources])
    firm = [name for name in known if name not in cluster.soft_resources]
    return (*firm, *cluster.soft_resources), 1 + len(firm)


def own_limits(nodes: NodeColumns) -> IntArray:
    """What nodes with a headroom of their own leave to normal running, in MiB, -1 for the others, shape (n_nodes,)."""
    if nodes.headroom.words in ((), (None,)):
        return np.broadcast_to(np.int64(-1), len(nodes))
    limits = (
        -1 if headroom is None else own_limit(usable, headroom)
        for usable, headroom in zip(nodes.usable.tolist(), nodes.headroom, strict=True)
    )
    return np.array(list(limits), dtype=np.int64)


def own_limit(usable: int, headroom: int | Fraction) -> int:
    """What a node's own headroom, an amount in MiB or a share, leaves to normal running."""
    return usable - headroom if isinstance(headroom, int) else less_share(usable, headroom)


def capacities(cluster: Cluster, nodes: NodeColumns, resources: tuple[str, ...]) -> IntArray:
    """What VMs may use of some nodes: memory, and the further resources overcommitted, shape (n_nodes, n_resources)."""
    none = np.broadcast_to(np.int64(0), len(nodes))
    amounts, ratio = nodes.amounts(), {name: cluster.overcommit.get(name, Fraction(1)) for name in resources}
    rated = (
        np.array([a * ratio[name].numerator // ratio[name].denominator for a in amounts.get(name, none).tolist()], np.int64)
        for name in resources
    )
    return np.column_stack([nodes.usable, *rated])


def _demand(vms: VMColumns, resources: tuple[str, ...]) -> IntArray:
    if not resources:
        return vms.charged[:, None]
    amounts, none = vms.amounts(), np.broadcast_to(np.int64(0), len(vms))
    return np.column_stack([vms.charged, *(amounts.get(name, none) for name in resources)])


def _compiled_rules(
    cluster: Cluster, nodes: NodeColumns, vms: VMColumns, original: IntArray, domain: IntArray
) -> list[CompiledRule]:
    found: list[CompiledRule] = []
    place = None
    if len(original) < len(vms):  # stopped VMs have no place: no rule sees them
        place = np.full(len(vms), -1, dtype=np.int64)
        place[original] = np.arange(len(original))
    alone = np.arange(len(nodes))
    for index, (rule, members) in enumerate(zip(cluster.rules, cluster.rule_members, strict=True)):
        kind, among, zone = rule.kind, None, None
        if isinstance(rule, Apart):
            zone = domain if rule.scope == "domain" else alone
        elif isinstance(rule, OnlyOn | NotOn):
            kind, among = "only-on", np.zeros(len(nodes), dtype=bool)
            among[members_of(rule.nodes, nodes)] = True
            if isinstance(rule, NotOn):
                among = ~among
        own = members
        if place is not None:
            own = place[members]
            own = own[own >= 0]
        compiled = CompiledRule(index, kind, own, among, zone, rule.must, rule.weight, rule.during_failover)
        if compiled.binds:
            found.append(compiled)
    return found


def _homes(cluster: Cluster, rules: list[CompiledRule], original: IntArray, target: BoolArray) -> list[CompiledRule]:
    """The homes of VMs as soft rules, one for each node: those that state, pool and must-rules leave them."""
    vms, nodes = cluster.vms, cluster.nodes
    if vms.home.words in ((), ("",)):
        return []
    node_index = {name: i for i, name in enumerate(nodes.names) if target[i]}
    home = vms.home.numbered({word: node_index.get(word, -1) for word in vms.home.words})[original]
    found, limits = list[CompiledRule](), [rule for rule in rules if rule.kind == "max-vm"]
    for node in np.unique(home[home >= 0]).tolist():
        mine = np.flatnonzero((home == node) & vms.pool.are(nodes.pool[node])[original])
        barring = (rule for rule in rules if rule.must and rule.nodes is not None and not rule.nodes[node])
        mine = np.setdiff1d(mine, np.concatenate([mine[:0], *(rule.vms for rule in barring)]))
        index, there = len(cluster.rules) + len(limits) + len(found), np.arange(len(nodes)) == node
        # While its node is down, a VM may restart anywhere.
        found.append(CompiledRule(index, "home", mine, there, None, must=False, weight=1, during_failover=False))
    return [rule for rule in found if rule.binds]
