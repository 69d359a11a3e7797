"""Remedies that give up VMs: one that need not restart any more, shrinks or stops; or several."""

from collections.abc import Collection, Iterator

from vmplace.diagnosis.oracle import RemedyOracle, settled
from vmplace.diagnosis.results import Remedy
from vmplace.model.cluster import Cluster
from vmplace.model.units import spell_memory
from vmplace.model.what_if import waiting, with_vms, without
from vmplace.problem.compile import compile_problem
from vmplace.results.placement import Solution

__all__ = ["fewer_vms", "one_vm_less"]

_ENOUGH, _NAMED = 3, 6


def one_vm_less(tryout: RemedyOracle, suspects: Collection[str], core: Collection[str] | None) -> Iterator[Remedy]:
    """A VM that makes all safe if it stops; and whether it is enough that it shrinks, or need not restart.

    Parameters
    ----------
    tryout
        Tells.
    suspects
        Names of VMs to try first; then come the smallest.
    core
        VMs that cannot all be placed: unless one of them is given up, nothing helps. None: it may be any.
    """
    found = 0
    for index in _in_order(tryout, suspects, core):
        if tryout.budget.spent:
            tryout.undecided += 1
            return
        gone = _stopped(tryout.cluster, [index])
        if not tryout.helps(gone):
            continue
        vm = tryout.cluster.vms[index]
        if vm.protected and not vm.evictable and not waiting(tryout.cluster)[index]:
            eased = _unprotected(tryout.cluster, [index])
            if tryout.helps(eased):
                yield from tryout.remedy(
                    "unprotect", _let_down(tryout.cluster, [index]), eased, given_up=(vm.name,), forgone=vm.memory
                )
        yield from _smaller(index, tryout)
        yield from tryout.remedy("stop", _shut_down(tryout.cluster, [index]), gone, given_up=(vm.name,), forgone=vm.memory)
        found += 1
        if found == _ENOUGH:
            return


def fewer_vms(tryout: RemedyOracle, lost: Collection[str], solution: Solution | None, kind: str) -> Iterator[Remedy]:
    """Several VMs that need not restart any more, or stop: of those that the best plans leave out, no more than it takes.

    Parameters
    ----------
    lost
        Names of the VMs without a restart.
    solution
        The placement that is meant; None: as it stands.
    kind
        ``unprotect`` or ``stop``.
    """
    cluster = tryout.cluster
    memory, names, pools = cluster.vm_columns.memory, cluster.vm_columns.names, cluster.vm_columns.pool
    mine = (i for i, name in enumerate(names) if name in lost and tryout.concerns(pools[i]))
    chosen = sorted(mine, key=lambda i: (-int(memory[i]), i))
    give_up, say = (_unprotected, _let_down) if kind == "unprotect" else (_stopped, _shut_down)

    def then(vms: Collection[int]) -> Cluster:
        changed = give_up(cluster, vms)
        return changed if solution is None else settled(changed, solution)

    if len(chosen) < 2 or tryout.budget.spent or not tryout.helps(then(chosen)):
        return
    before = tryout.undecided
    for index in list(chosen):
        if tryout.budget.spent:
            tryout.undecided += 1
            break
        fewer = [other for other in chosen if other != index]
        if len(fewer) and tryout.helps(then(fewer)):
            chosen = fewer
    chosen.sort()
    yield from tryout.remedy(
        kind,
        say(cluster, chosen),
        give_up(cluster, chosen),
        solution,
        given_up=tuple(names[i] for i in chosen),
        forgone=int(memory[chosen].sum()),
        least=tryout.undecided == before,
    )


def _in_order(tryout: RemedyOracle, suspects: Collection[str], core: Collection[str] | None) -> Iterator[int]:
    """VMs that take memory, or are to: suspects before others, the smaller first, and of interchangeable ones the first."""
    problem, names = compile_problem(tryout.cluster), tryout.cluster.vm_columns.names
    pools = tryout.cluster.vm_columns.pool
    whole = range(problem.n_vms - problem.n_incoming)
    original = problem.original.tolist()
    order = sorted(whole, key=lambda vm: (names[original[vm]] not in suspects, int(problem.memory[vm])))
    seen = set()
    for vm in order:
        name, alike = names[original[vm]], (int(problem.classes.of[vm]), int(problem.node_of[vm]))
        if alike in seen or not tryout.concerns(pools[original[vm]]) or (core is not None and name not in core):
            continue
        seen.add(alike)
        yield original[vm]


def _smaller(index: int, tryout: RemedyOracle) -> Iterator[Remedy]:
    """A VM as large as it can be."""
    vm = tryout.cluster.vms[index]

    def shrunk(memory: int) -> Cluster:
        return with_vms(tryout.cluster, {index: {"memory": memory}})

    if vm.memory > 1 and tryout.helps(shrunk(1)):
        size, told = tryout.nearest(1, vm.memory, shrunk)
        action = f"shrink {_named(tryout.cluster, [index])} to {spell_memory(size)}"
        yield from tryout.remedy("shrink", action, shrunk(size), given_up=(vm.name,), forgone=vm.memory - size, least=told)


def _unprotected(cluster: Cluster, vms: Collection[int]) -> Cluster:
    return with_vms(cluster, {index: {"protected": False} for index in vms})


def _stopped(cluster: Cluster, vms: Collection[int]) -> Cluster:
    """VMs that run stop where they are; those that wait are gone, as one that is not running and has no node is to be started."""
    waits = waiting(cluster)
    changed = with_vms(cluster, {index: {"running": False, "target": None} for index in vms if not waits[index]})
    names = {cluster.vm_columns.names[index] for index in vms if waits[index]}
    return without(changed, names) if names else changed


def _let_down(cluster: Cluster, vms: Collection[int]) -> str:
    its = "its node fails" if len(vms) == 1 else "their nodes fail"
    return f"let {_named(cluster, vms)} stay down if {its} (protected: false)"


def _shut_down(cluster: Cluster, vms: Collection[int]) -> str:
    waits = waiting(cluster)
    verb = "do without" if all(waits[index] for index in vms) else "shut down"
    return f"{verb} {_named(cluster, vms)}"


def _named(cluster: Cluster, vms: Collection[int]) -> str:
    columns = cluster.vm_columns
    each = [f"{columns.names[i]} ({spell_memory(int(columns.memory[i]))})" for i in vms]
    if len(each) > _NAMED:
        return f"{', '.join(each[:_NAMED])} and {len(each) - _NAMED} more VMs"
    return each[0] if len(each) == 1 else f"{', '.join(each[:-1])} and {each[-1]}"
