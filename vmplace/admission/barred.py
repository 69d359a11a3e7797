"""What keeps a VM off every node even if nothing else ran there: then no migration makes room for it."""

from collections.abc import Iterator

import numpy as np

from vmplace.admission.candidates import outsized
from vmplace.admission.ledger import Ledger, started
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.model.entities import VM
from vmplace.model.units import spell_memory
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names

__all__ = ["barred"]

_SHOWN = 3


def barred(vm: VM, cluster: Cluster, told: str = "") -> str:
    """What keeps a VM off every node, and what would help; empty if some node could take it were it empty.

    `told`: what was said before; if that it is too large for all nodes, only what would help is left to say.
    """
    ledger = Ledger(cluster)
    if contradiction := ledger.contradiction([started(vm)]):
        return f"the rules exclude it from every node ({contradiction}): change one of them"
    if told and told == outsized(vm, ledger.nodes.values()):
        return "make the VM smaller, or add a node that can take it"
    with_vm, place = ledger.with_vm(started(vm))
    names = Names(with_vm, compile_problem(with_vm, several=True))
    index = int(np.flatnonzero(names.problem.original == place)[0])
    open_ = np.flatnonzero(names.problem.online & (names.problem.pool == names.problem.vm_pool[index]))
    if not len(open_):
        return "no node of its pool is online: bring one back"
    found, mends = list[str](), dict[str, None]()
    for nodes, why, mend in _bars(names, index, open_):
        one = len(nodes) == 1
        found.append(why.format(nodes=_listed(names, nodes), takes="takes" if one else "take", has="has" if one else "have"))
        mends[mend] = None
        open_ = np.setdiff1d(open_, nodes)
    if len(open_):
        return ""
    return f"{'; '.join(found)}: {', '.join(mends)}, or add a node that can take it"


def _bars(names: Names, vm: int, open_: IntArray) -> Iterator[tuple[IntArray, str, str]]:
    """Nodes of some that a VM is kept off, each of them once, with the reason and what would help."""
    problem, left = names.problem, open_
    for rule in problem.unary_rules:
        if rule.nodes is not None and vm in rule.vms and not rule.nodes[left].all():
            there, left = left[~rule.nodes[left]], left[rule.nodes[left]]
            if rule.kind == "max-vm":
                yield there, "{nodes} {takes} no VM of that size (max_vm)", "raise max_vm"
            else:
                yield there, f"{names.rule_label(rule.index)} keeps it off {{nodes}}", "change the rule"
    demand = problem.demand[vm]
    for number, resource in enumerate(problem.resources, 1):
        short = demand[number] > problem.capacity[left, number]
        if short.any():
            yield left[short], f"{{nodes}} {{has}} less than {demand[number]} {resource} even when empty", "make the VM smaller"
            left = left[~short]
    small = demand[0] > problem.limit[left]
    if small.any():
        size = spell_memory(int(demand[0]))
        yield left[small], f"{{nodes}} {{has}} less than {size} for VMs even when empty", "make the VM smaller"


def _listed(names: Names, nodes: IntArray) -> str:
    shown = [names.node(node) for node in nodes[:_SHOWN].tolist()]
    more = [f"{len(nodes) - _SHOWN} more"] if len(nodes) > _SHOWN else []
    *others, last = [*shown, *more]
    return f"{', '.join(others)} and {last}" if others else last
