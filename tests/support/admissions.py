"""The oracle of admissions: a change is fine if a fresh check finds nothing worse after it than before."""

from attrs import evolve

import vmplace
from tests.support.brute import takes
from vmplace.model.references import resolve
from vmplace.problem.compile import compile_problem

WORD = {"admitted": True, "refused": False, "unknown": None}


def after(cluster, vm):
    """The cluster with a VM as given."""
    if any(other.name == vm.name for other in cluster.vms):
        return evolve(cluster, vms=[vm if other.name == vm.name else other for other in cluster.vms])
    return evolve(cluster, vms=[*cluster.vms, vm])


def allowed_nodes(cluster, vm):
    """Node by node whether a new VM may start there; None where a fresh check cannot tell."""
    return {node.name: allowed(cluster, None, evolve(vm, node=node.name)) for node in cluster.nodes}


def allowed(cluster, old, new):
    """Whether a VM may become what it is to be (None before: it is new)."""
    states = {node.name: node.state for node in cluster.nodes}
    node = next(node for node in cluster.nodes if node.name == new.node)
    waits = old is not None and old.running and (old.node is None or states[old.node] == "offline")
    runs = old is not None and old.running and not waits
    stays = runs and old.node == new.node
    if node.pool != new.pool or (node.state != "online" and not stays):
        return False
    then = after(cluster, new)
    if not (stays and takes(new) <= takes(old)) and not _fits(then, new, stays):
        return False
    credit = (new.pool, {new.priority: takes(new)}) if waits and new.protected and not new.evictable else ("", {})
    return no_worse(cluster, then, credit)


def _fits(cluster, vm, stays):
    problem, index = compile_problem(cluster), [node.name for node in cluster.nodes].index(vm.node)
    load = problem.loads(problem.node_of)[index].tolist()
    demands = [vm.resources.get(name, 0) for name in problem.resources]
    short = any(n and used > most for n, used, most in zip(demands, load[1:], problem.capacity[index, 1:].tolist(), strict=True))
    return load[0] <= problem.limit[index] and (stays or not short)


def no_worse(before, then, credit=("", {})):
    """Whether a cluster is no worse than another; None where a fresh check cannot tell."""
    earlier, later = vmplace.check(before), vmplace.check(then)
    for report in (earlier, later):
        if any(not lost.minimal for lost in report.unprotected) or "unknown" in report.pools.values():
            return None
    if (_excess(then) > _excess(before)).any():
        return False
    broken, was = _broken(then), _broken(before)
    if any(broken[rule] > was.get(rule, 0) for rule in broken):
        return False
    pools = _pools(before)
    lost, then_lost = _losses(earlier), _losses(later)
    for scenario, now in then_lost.items():
        most = dict(lost.get(scenario, {}))
        if pools.get(scenario.split("+")[0]) == credit[0]:
            most = {rank: most.get(rank, 0) + credit[1].get(rank, 0) for rank in {*most, *credit[1]}}
        ranks = sorted({*now, *most}, reverse=True)
        if [now.get(rank, 0) for rank in ranks] > [most.get(rank, 0) for rank in ranks]:
            return False
    return True


def _losses(report):
    vms = {vm.name: vm for vm in report.cluster.vms}
    found = {}
    for lost in report.unprotected:
        by_rank = found.setdefault(lost.scenario, {})
        for name in lost.vms:
            by_rank[vms[name].priority] = by_rank.get(vms[name].priority, 0) + takes(vms[name])
    return found


def _pools(cluster):
    domains = cluster.guarantee.scope == "domain"
    return {(node.domain if domains and node.domain else node.name): node.pool for node in cluster.nodes}


def _excess(cluster):
    problem = compile_problem(cluster)
    return (problem.loads(problem.node_of) - problem.capacity).clip(0)


def _broken(cluster):
    """How far each must-rule is broken."""
    states = {node.name: node.state for node in cluster.nodes}
    domain = {node.name: node.domain or ("alone", node.name) for node in cluster.nodes}
    host = {vm.name: vm.node for vm in cluster.vms if vm.running and vm.node and states[vm.node] != "offline"}
    found = {}
    for index, rule in enumerate(cluster.rules):
        members = [name for name in resolve(rule.vms, cluster.vms) if name in host]
        if not rule.must:
            continue
        if rule.kind == "apart":
            places = [domain[host[name]] if rule.scope == "domain" else host[name] for name in members]
            found[index] = sum(places[i] == places[j] for i in range(len(places)) for j in range(i))
        elif rule.kind == "together":
            found[index] = max(0, len({host[name] for name in members}) - 1)
        else:
            nodes = set(resolve(rule.nodes, cluster.nodes))
            found[index] = sum((host[name] in nodes) is not (rule.kind == "only-on") for name in members)
    return found
