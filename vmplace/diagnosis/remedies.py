"""Remedies that give up no VM: nodes back in service, a rule or a promise given up, nodes bought."""

from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction

import numpy as np
from attrs import evolve

from vmplace.diagnosis.oracle import RemedyOracle
from vmplace.diagnosis.results import Remedy
from vmplace.model.cluster import Cluster
from vmplace.model.entities import Guarantee, Node
from vmplace.model.references import resolve
from vmplace.model.units import MAX_MEMORY, spell_memory
from vmplace.model.what_if import with_nodes, with_states, with_vms, yielding

__all__ = ["fewer_rules", "finished", "less_headroom", "less_promised", "more_nodes", "returned"]

_MOST_NODES = 4
_PERCENT = 100


def finished(tryout: RemedyOracle) -> Iterator[Remedy]:
    """All migrations under way come to their end."""
    vms, nodes = tryout.cluster.vm_columns, tryout.cluster.node_columns.names
    under_way = (vms.target >= 0) & (vms.target != vms.node) & vms.running & (vms.node >= 0)
    ends = {
        i: {"node": nodes[int(vms.target[i])], "target": None}
        for i in np.flatnonzero(under_way).tolist()
        if tryout.concerns(vms.pool[i])
    }
    if ends:
        count = "the migration" if len(ends) == 1 else f"the {len(ends)} migrations"
        yield from _if_it_helps(tryout, "finish", f"wait until {count} under way is done", with_vms(tryout.cluster, ends))


def returned(tryout: RemedyOracle) -> Iterator[Remedy]:
    """A node comes back from maintenance, or online; or all do."""
    away = [i for i, node in enumerate(tryout.cluster.nodes) if node.state != "online" and tryout.concerns(node.pool)]
    found = False
    for group in [*([i] for i in away), *([away] if len(away) > 1 else [])]:
        if found and len(group) > 1:
            return
        names = ", ".join(tryout.cluster.nodes[i].name for i in group)
        for remedy in _if_it_helps(
            tryout, "return", f"bring {names} back into service", with_states(tryout.cluster, "online", group)
        ):
            found = True
            yield remedy


def fewer_rules(tryout: RemedyOracle, suspects: Collection[int]) -> Iterator[Remedy]:
    """One must-rule is a must no more; where no one of them is enough, some of those to blame."""
    cluster, found = tryout.cluster, False
    pool = {vm.name: vm.pool for vm in cluster.vms} if cluster.rules else {}
    musts = [
        i
        for i, rule in enumerate(cluster.rules)
        if rule.must and any(tryout.concerns(pool[vm]) for vm in resolve(rule.vms, cluster.vms))
    ]
    for index in musts:
        for remedy in _if_it_helps(tryout, "rule", _be_wishes(cluster, [index]), yielding(cluster, [index])):
            found = True
            yield remedy
    chosen = sorted(suspects)
    if found or len(chosen) < 2 or not tryout.helps(yielding(cluster, chosen)):
        return
    before = tryout.undecided
    for index in list(chosen):
        fewer = [other for other in chosen if other != index]
        if tryout.helps(yielding(cluster, fewer)):
            chosen = fewer
    told = tryout.undecided == before
    yield from tryout.remedy("rule", _be_wishes(cluster, chosen), yielding(cluster, chosen), least=told)


def _be_wishes(cluster: Cluster, rules: Sequence[int]) -> str:
    named = " and ".join(f"rules[{i}] ({cluster.rules[i].kind})" for i in rules)
    return f"let {named} be {'a wish' if len(rules) == 1 else 'wishes'} (must: false)"


def less_headroom(tryout: RemedyOracle) -> Iterator[Remedy]:
    """Less of each node kept free in normal running: as much as still can be, in whole percents."""
    asked = tryout.cluster.guarantee

    def with_share(percent: int) -> Cluster:
        return evolve(tryout.cluster, guarantee=evolve(asked, headroom=Fraction(percent, _PERCENT)))

    most = int(asked.headroom * _PERCENT)
    if asked.headroom and tryout.helps(with_share(0)):
        few, many = 0, most if Fraction(most, _PERCENT) == asked.headroom else most + 1
        kept, told = tryout.nearest(few, many, with_share)
        action = f"keep a headroom of {kept} % instead of {float(asked.headroom):.0%}"
        yield from tryout.remedy("headroom", action, with_share(kept), least=told)


def less_promised(tryout: RemedyOracle) -> Iterator[Remedy]:
    """The promise next to the one that is asked for: restarts to a plan, failures at once, or one failure less."""
    asked = tryout.cluster.guarantee
    weaker: list[tuple[str, Guarantee]] = []
    if asked.restart != "planned" or asked.policy is not None:
        planned = evolve(asked, restart="planned", policy=None, order=None)
        weaker.append(("restart VMs to a plan after a failure (restart: planned)", planned))
    if asked.sequence != "at-once" and asked.failures > 1:
        weaker.append(("promise failures at once only (sequence: at-once)", evolve(asked, sequence="at-once")))
    if asked.failures > 1:
        fewer = asked.failures - 1
        weaker.append((f"promise no more than {fewer} at once (failures: {fewer})", evolve(asked, failures=fewer)))
    for action, guarantee in weaker:
        yield from _if_it_helps(tryout, "promise", action, evolve(tryout.cluster, guarantee=guarantee))


def more_nodes(tryout: RemedyOracle) -> Iterator[Remedy]:
    """One new node, as small as can be; where none helps, some as large as the largest."""
    for pool in [tryout.pool] if tryout.pool else tryout.cluster.vm_columns.pool.words:
        yield from _more_in(pool, tryout)


def _more_in(pool: str, tryout: RemedyOracle) -> Iterator[Remedy]:
    cluster, share = tryout.cluster, 1 - tryout.cluster.guarantee.headroom
    memory = cluster.vm_columns.memory[cluster.vm_columns.pool.are(pool)]
    if not len(memory):
        return
    hosts = [node for node in cluster.nodes if node.pool == pool]
    named = dict.fromkeys(name for node in hosts for name in node.resources)
    like = {name: max(node.resources.get(name, 0) for node in hosts) for name in named}
    taken = set(cluster.node_columns.names)
    names = [name for name in (f"new-{k + 1}" for k in range(len(taken) + _MOST_NODES)) if name not in taken]

    def added(size: int, count: int = 1) -> Cluster:
        return with_nodes(cluster, [Node(name, size, pool=pool, resources=like) for name in names[:count]])

    def wide(amount: int) -> int:
        return min(MAX_MEMORY, -int(-amount // share))

    every = wide(int(memory.sum()))
    within = f" in pool {pool}" if len(set(cluster.node_columns.pool.words)) > 1 else ""
    beside = within + "".join(f", with {amount} {name}" for name, amount in like.items() if amount)
    if tryout.helps(added(every)):
        size, told = tryout.nearest(every, 0, added)
        yield from tryout.remedy("node", f"add a node of {spell_memory(size)}{beside}", added(size), least=told, bought=size)
        return
    size = max([*(node.usable for node in hosts), wide(int(memory.max()))])
    for count in range(2, _MOST_NODES + 1):
        if tryout.helps(added(size, count)):
            action = f"add {count} nodes of {spell_memory(size)} each{beside}"
            yield from tryout.remedy("node", action, added(size, count), least=False, bought=size * count)
            return


def _if_it_helps(tryout: RemedyOracle, kind: str, action: str, cluster: Cluster) -> Iterator[Remedy]:
    if tryout.helps(cluster):
        yield from tryout.remedy(kind, action, cluster)
