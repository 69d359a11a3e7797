"""Remedies, the least intrusive first: what ends, moves or comes back; what is asked for a little less; nodes; VMs given up."""

import math
from collections.abc import Collection, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from attrs import evolve

from vmplace.diagnosis import variants
from vmplace.diagnosis.oracle import RemedyOracle
from vmplace.diagnosis.results import Remedy
from vmplace.diagnosis.variants import Variant
from vmplace.model.cluster import Cluster
from vmplace.model.entities import Node
from vmplace.model.guarantee import Guarantee
from vmplace.model.references import resolve
from vmplace.model.text import rule_label, with_overhead
from vmplace.model.units import MAX_MEMORY, spell_memory
from vmplace.model.what_if import waiting
from vmplace.problem.names import Names
from vmplace.results.placement import Report, Solution
from vmplace.search.deletion_filter import DeletionFilter

__all__ = [
    "each_needed",
    "fewer_rules",
    "fewer_vms",
    "finished",
    "less_headroom",
    "less_own_headroom",
    "less_promised",
    "more_nodes",
    "one_vm_less",
    "returned",
]

_MOST_NODES, _PERCENT = 4, 100

_ENOUGH, _NAMED = 3, 6
"""So many VMs are found, each of which is enough alone; and so many are named."""


def finished(oracle: RemedyOracle) -> Iterator[Remedy]:
    """All migrations under way come to their end."""
    vms = oracle.cluster.vms
    under_way = (vms.target >= 0) & (vms.target != vms.node) & vms.running & (vms.node >= 0)
    ends = [i for i in np.flatnonzero(under_way).tolist() if oracle.concerns(vms.pool[i])]
    if ends:
        done = "the migration under way is done" if len(ends) == 1 else f"the {len(ends)} migrations under way are done"
        yield from _if_it_helps(oracle, "finish", f"wait until {done}", variants.arrived(oracle.names, ends))


def returned(oracle: RemedyOracle) -> Iterator[Remedy]:
    """A node comes back from maintenance, or online; or all do."""
    away = [i for i, node in enumerate(oracle.cluster.nodes) if node.state != "online" and oracle.concerns(node.pool)]
    found = False
    for group in [*([i] for i in away), *([away] if len(away) > 1 else [])]:
        if found and len(group) > 1:
            return
        names = ", ".join(oracle.cluster.nodes[i].name for i in group)
        for remedy in _if_it_helps(
            oracle, "return", f"bring {names} back into service", variants.in_service(oracle.names, group)
        ):
            found = True
            yield remedy


def fewer_rules(oracle: RemedyOracle, suspects: Collection[int]) -> Iterator[Remedy]:
    """One must-rule becomes a preference; where no single one is enough, an irreducible set of the rules to blame."""
    cluster, found = oracle.cluster, False
    pool = {vm.name: vm.pool for vm in cluster.vms} if cluster.rules else {}
    musts = [
        i
        for i, rule in enumerate(cluster.rules)
        if rule.must and any(oracle.concerns(pool[vm]) for vm in resolve(rule.vms, cluster.vms))
    ]
    for index in musts:
        change = variants.yielding(oracle.names, [index])
        for remedy in _if_it_helps(oracle, "rule", _be_preferences(cluster, [index]), change):
            found = True
            yield remedy
    chosen = frozenset(suspects)
    if found or len(chosen) < 2 or not oracle.helps(variants.yielding(oracle.names, chosen)):
        return
    shrinking = DeletionFilter(chosen, lambda rules: oracle.helps(variants.yielding(oracle.names, rules)))
    shrinking.drop_each(sorted(chosen))
    rules, change = sorted(shrinking.kept), variants.yielding(oracle.names, shrinking.kept)
    yield from oracle.remedy("rule", _be_preferences(cluster, rules), change, least=shrinking.irreducible)


def _be_preferences(cluster: Cluster, rules: list[int]) -> str:
    named = " and ".join(rule_label(i, cluster.rules[i].kind, cluster.rules[i].name) for i in rules)
    return f"make {named} {'a preference' if len(rules) == 1 else 'preferences'} (must: false)"


def less_headroom(oracle: RemedyOracle) -> Iterator[Remedy]:
    """Less of each node kept free in normal running, whichever guarantees ask for more: as much as can be, in whole percents."""
    asked = oracle.cluster.guarantees
    most = max(one.headroom for one in asked)

    def keeping(percent: int) -> Variant:
        share = Fraction(percent, _PERCENT)
        return variants.promising(oracle.names, [evolve(one, headroom=min(one.headroom, share)) for one in asked])

    if not most or not oracle.helps(keeping(0)):
        return
    kept, decided = oracle.nearest(0, math.ceil(most * _PERCENT), keeping)
    less = [number for number, one in enumerate(asked) if one.headroom * _PERCENT > kept]
    now = " and ".join(dict.fromkeys(_percent(asked[number].headroom) for number in less))
    action = f"{_of(oracle, *less)}keep a headroom of {kept} % instead of {now}"
    yield from oracle.remedy("headroom", action, keeping(kept), least=decided)


def _percent(share: int | Fraction) -> str:
    return f"{float(share * _PERCENT):g} %"


def less_own_headroom(oracle: RemedyOracle) -> Iterator[Remedy]:
    """The same of a node that has a headroom of its own; where no single one is enough, as few of them as it takes keep none."""
    nodes, found = oracle.cluster.nodes, False
    held = [i for i, node in enumerate(nodes) if node.headroom and oracle.concerns(node.pool)]

    def without(chosen: Collection[int]) -> Variant:
        return variants.keeping_free(oracle.names, dict.fromkeys(chosen, 0))

    if not held or not oracle.helps(without(held)):
        return
    for index in held:
        if oracle.helps(without([index])):
            yield from _kept_by(index, oracle)
            found = True
    if found or len(held) < 2:
        return
    shrinking = DeletionFilter(frozenset(held), lambda chosen: oracle.helps(without(chosen)))
    shrinking.drop_each(held)
    names = " and ".join(nodes.names[i] for i in sorted(shrinking.kept))
    action, change = f"keep no headroom on {names} (headroom: 0)", without(shrinking.kept)
    yield from oracle.remedy("headroom", action, change, least=shrinking.irreducible)


def _kept_by(index: int, oracle: RemedyOracle) -> Iterator[Remedy]:
    """The most headroom that one node can keep: in MiB, or in whole percents where it is a share."""
    node = oracle.cluster.nodes[index]
    share, whole = isinstance(node.headroom, Fraction), node.headroom or 0

    def keeping(kept: int) -> Variant:
        return variants.keeping_free(oracle.names, {index: Fraction(kept, _PERCENT) if share else kept})

    kept, decided = oracle.nearest(0, math.ceil(whole * _PERCENT) if share else int(whole), keeping)
    less, now = (f"{kept} %", _percent(whole)) if share else (spell_memory(kept), spell_memory(int(whole)))
    yield from oracle.remedy(
        "headroom", f"keep a headroom of {less} on {node.name} instead of {now}", keeping(kept), least=decided
    )


def less_promised(oracle: RemedyOracle) -> Iterator[Remedy]:
    """One guarantee weakened: restarts by a plan, failures at once, or one failure less; or one of several given up."""
    guarantees = oracle.cluster.guarantees
    for number, asked in enumerate(guarantees):
        found = False
        for action, guarantee in _weaker(asked):
            change = variants.promising(oracle.names, _with(guarantees, number, guarantee))
            for remedy in _if_it_helps(oracle, "promise", _of(oracle, number) + action, change):
                found = True
                yield remedy
        if len(guarantees) > 1 and not found:
            change = variants.promising(oracle.names, _with(guarantees, number, None))
            yield from _if_it_helps(oracle, "promise", f"give up guarantee {number + 1}", change)


def _weaker(asked: Guarantee) -> Iterator[tuple[str, Guarantee]]:
    """The guarantees next to one, and what is asked for less in each."""
    if not asked.planned:
        planned = evolve(asked, restart="planned", policy=None, order=None)
        yield "restart VMs by a plan after a failure (restart: planned)", planned
    if asked.in_turn:
        yield "guarantee only failures at the same time (sequence: at-once)", evolve(asked, sequence="at-once")
    if asked.failures > 1:
        fewer = asked.failures - 1
        left = f"{fewer} failure" if fewer == 1 else f"{fewer} failures"
        action = f"guarantee no more than {left} at the same time (failures: {fewer})"
        yield action, evolve(asked, failures=fewer, domains=0)


def _with(guarantees: Sequence[Guarantee], number: int, other: Guarantee | None) -> list[Guarantee | None]:
    """The guarantees with another in place of one."""
    return [other if index == number else asked for index, asked in enumerate(guarantees)]


def _of(oracle: RemedyOracle, *numbers: int) -> str:
    """Which of several guarantees it is about."""
    named = " and ".join(str(number + 1) for number in numbers)
    return f"{'guarantee' if len(numbers) == 1 else 'guarantees'} {named}: " if oracle.cluster.further else ""


def more_nodes(oracle: RemedyOracle) -> Iterator[Remedy]:
    """One new node, as small as can be; where none helps, some as large as the largest."""
    for pool in [oracle.pool] if oracle.pool else oracle.cluster.vms.pool.words:
        yield from _more_in(pool, oracle)


def _more_in(pool: str, oracle: RemedyOracle) -> Iterator[Remedy]:
    cluster, share = oracle.cluster, 1 - max(asked.headroom for asked in oracle.cluster.guarantees)
    memory = cluster.vms.charged[cluster.vms.pool.are(pool)]
    if not len(memory):
        return
    hosts = [node for node in cluster.nodes if node.pool == pool]
    named = dict.fromkeys(name for node in hosts for name in node.resources)
    like = {name: max(node.resources.get(name, 0) for node in hosts) for name in named}
    taken = set(cluster.nodes.names)
    names = [name for name in (f"new-{k + 1}" for k in range(len(taken) + _MOST_NODES)) if name not in taken]

    def added(size: int, count: int = 1) -> Variant:
        return variants.added(oracle.names, [Node(name, size, pool=pool, resources=like) for name in names[:count]])

    def wide(amount: int) -> int:
        return min(MAX_MEMORY, -int(-amount // share))

    every = wide(int(memory.sum()))
    within = f" in pool {pool}" if len(set(cluster.nodes.pool.words)) > 1 else ""
    beside = within + "".join(f", with {amount} {name}" for name, amount in like.items() if amount)
    if oracle.helps(added(every)):
        size, decided = oracle.nearest(every, 0, added)
        yield from oracle.remedy("node", f"add a node of {spell_memory(size)}{beside}", added(size), least=decided, bought=size)
        return
    size = max([*(node.usable for node in hosts), wide(int(memory.max()))])
    for count in range(2, _MOST_NODES + 1):
        if oracle.helps(added(size, count)):
            action = f"add {count} nodes of {spell_memory(size)} each{beside}"
            yield from oracle.remedy("node", action, added(size, count), least=False, bought=size * count)
            return


def _if_it_helps(oracle: RemedyOracle, kind: str, action: str, variant: Variant) -> Iterator[Remedy]:
    if oracle.helps(variant):
        yield from oracle.remedy(kind, action, variant)


def one_vm_less(oracle: RemedyOracle, suspects: Collection[str], core: Collection[str] | None) -> Iterator[Remedy]:
    """A VM that makes the cluster safe if it stops; and whether it is enough that it shrinks, or need not restart.

    Parameters
    ----------
    oracle
        Tells.
    suspects
        Names of VMs to try first; then come the smallest.
    core
        VMs that cannot all be placed: unless one of them is given up, nothing helps. None: it may be any.
    """
    found = 0
    for index in _in_order(oracle, suspects, core):
        if oracle.budget.spent:
            oracle.undecided += 1
            return
        gone = variants.stopped(oracle.names, [index])
        if not oracle.helps(gone):
            continue
        vm = oracle.cluster.vms[index]
        costs: dict[str, Any] = {"given_up": (vm.name,), "forgone": vm.charged}
        if vm.protected and not vm.evictable and not waiting(oracle.cluster)[index]:
            eased = variants.unprotected(oracle.names, [index])
            if oracle.helps(eased):
                yield from oracle.remedy("unprotect", _stay_down(oracle.cluster, [index]), eased, **costs)
        yield from _smaller(index, oracle)
        yield from oracle.remedy("stop", _shut_down(oracle.cluster, [index]), gone, **costs)
        found += 1
        if found == _ENOUGH:
            return


def fewer_vms(
    oracle: RemedyOracle, lost: Collection[str], solution: Solution | None, kind: str, needed: Collection[str] = ()
) -> Iterator[Remedy]:
    """Several VMs that need not restart any more, or stop: of those that the best plans leave out, no more than it takes.

    Parameters
    ----------
    lost
        Names of the VMs without a restart.
    solution
        The placement that is meant; None: as it stands.
    kind
        ``unprotect`` or ``stop``.
    needed
        Names of those without any one of which the others are not enough to unprotect.
    """
    cluster = oracle.cluster
    memory, names, pools = cluster.vms.charged, cluster.vms.names, cluster.vms.pool
    mine = (i for i, name in enumerate(names) if name in lost and oracle.concerns(pools[i]))
    chosen = sorted(mine, key=lambda i: (-int(memory[i]), i))
    give_up, say = (variants.unprotected, _stay_down) if kind == "unprotect" else (variants.stopped, _shut_down)

    def helps(vms: Collection[int]) -> bool | None:
        if not vms:
            return False  # or there would be nothing to remedy
        changed = give_up(oracle.names, vms)
        return oracle.helps(changed if solution is None else variants.placed(changed, solution))

    if len(chosen) < 2 or oracle.budget.spent or not helps(chosen):
        return
    shrinking = DeletionFilter(frozenset(chosen), helps, oracle.budget)
    shrinking.drop([[vm] for vm in chosen if names[vm] not in needed])
    kept = sorted(shrinking.kept)
    yield from oracle.remedy(
        kind,
        say(cluster, kept),
        give_up(oracle.names, kept),
        solution,
        given_up=tuple(names[i] for i in kept),
        forgone=int(memory[kept].sum()),
        least=shrinking.irreducible,
    )


def each_needed(names: Names, report: Report) -> frozenset[str]:
    """VMs each of which has to be spared a restart, where all that failures leave out are.

    That is where no plan for its failure leaves out less, and no VM is displaced by two failures.
    """
    problem = names.problem
    if len(problem.each) > 1 or problem.failures > 1 or not problem.planned:
        return frozenset()
    return frozenset(vm for loss in report.unprotected if loss.minimal for vm in loss.vms)


def _in_order(oracle: RemedyOracle, suspects: Collection[str], core: Collection[str] | None) -> Iterator[int]:
    """VMs that take memory, or are to: suspects before others, the smaller first, and of interchangeable ones the first."""
    problem, names = oracle.names.problem, oracle.cluster.vms.names
    pools = oracle.cluster.vms.pool
    whole = range(problem.n_vms - problem.n_incoming)
    original = problem.original.tolist()
    order = sorted(whole, key=lambda vm: (names[original[vm]] not in suspects, int(problem.memory[vm])))
    seen = set()
    for vm in order:
        name, alike = names[original[vm]], (int(problem.classes.of[vm]), int(problem.node_of[vm]))
        if alike in seen or not oracle.concerns(pools[original[vm]]) or (core is not None and name not in core):
            continue
        seen.add(alike)
        yield original[vm]


def _smaller(index: int, oracle: RemedyOracle) -> Iterator[Remedy]:
    """A VM as large as it can be."""
    vm = oracle.cluster.vms[index]

    def shrunk(memory: int) -> Variant:
        return variants.shrunk(oracle.names, index, memory)

    if vm.memory > 1 and oracle.helps(shrunk(1)):
        size, decided = oracle.nearest(1, vm.memory, shrunk)
        action = f"shrink {_named(oracle.cluster, [index])} to {spell_memory(size)}"
        yield from oracle.remedy("shrink", action, shrunk(size), given_up=(vm.name,), forgone=vm.memory - size, least=decided)


def _stay_down(cluster: Cluster, vms: Collection[int]) -> str:
    its = "its node fails" if len(vms) == 1 else "their nodes fail"
    return f"let {_named(cluster, vms)} stay down if {its} (protected: false)"


def _shut_down(cluster: Cluster, vms: Collection[int]) -> str:
    waits = waiting(cluster)
    verb = "do not start" if all(waits[index] for index in vms) else "shut down"
    return f"{verb} {_named(cluster, vms)}"


def _named(cluster: Cluster, vms: Collection[int]) -> str:
    columns = cluster.vms
    each = [f"{columns.names[i]} ({with_overhead(int(columns.charged[i]), int(columns.overhead[i]))})" for i in vms]
    if len(each) > _NAMED:
        return f"{', '.join(each[:_NAMED])} and {len(each) - _NAMED} more VMs"
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} and {each[-1]}"
