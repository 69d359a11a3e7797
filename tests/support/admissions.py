"""The oracle of admissions, by enumeration: a change is fine if it fits and no failure ends worse than now.

Judged by `World`, which shares no code with the admission. Any VM that is to restart and is down counts as left out in each
failure of its pool, before the change and after it.
"""

from itertools import product

from attrs import evolve

from tests.support.brute import World
from tests.support.conjunctions import alone

WORD = {"admitted": True, "refused": False, "unknown": None}


def after(cluster, *vms):
    """The cluster with some VMs as given."""
    changed = {vm.name: vm for vm in vms}
    kept = [changed.pop(vm.name, vm) for vm in cluster.vms]
    return evolve(cluster, vms=[*kept, *changed.values()])


def started(vm, node):
    return evolve(vm, node=node, target=None, running=True)


def contradictory(cluster, *vms):
    """Whether rules exclude these VMs from all nodes, whatever their sizes: such a cluster cannot be made."""
    try:
        after(cluster, *vms)
    except ValueError:
        return True
    return False


def assignments(cluster, vms):
    """All ways to start VMs, each a node per VM, that are fine."""
    names = [node.name for node in cluster.nodes]
    if contradictory(cluster, *(evolve(vm, node=None, target=None, running=True) for vm in vms)):
        return []
    ways = product(names, repeat=len(vms))
    return [way for way in ways if allowed(cluster, *map(started, vms, way))]


def allowed(cluster, *changed):
    """Whether some VMs may become what they are to be: under each guarantee."""
    if contradictory(cluster, *changed):
        return False
    names = {vm.name for vm in changed}
    seen = ([vm for vm in then.vms if vm.name in names] for then in alone(after(cluster, *changed)))
    return all(_allowed(part, *vms) for part, vms in zip(alone(cluster), seen, strict=True))


def _allowed(cluster, *changed):
    before = World(cluster)
    if not all(_seated(before, vm) for vm in changed):
        return False
    then = World(after(cluster, *changed))
    if any(over > _beyond(before, vm.name).get(limit, 0) for vm in changed for limit, over in _beyond(then, vm.name).items()):
        return False
    return _fits(before, then) and _rules_kept(before, then) and _no_failure_worse(before, then, changed)


def _seated(before, vm):
    """Whether a VM is in its pool, on a node that takes VMs or has it already."""
    node = before.nodes[vm.node]
    return node.pool == vm.pool and (node.state == "online" or (node.state != "offline" and before.now.get(vm.name) == node.name))


def _beyond(world, name):
    """By how much a VM exceeds which limits of its node on the size of VMs."""
    if name not in world.now:
        return {}
    vm, most = world.vms[name], world.nodes[world.now[name]].max_vm
    sizes = {resource: vm.memory if resource == "memory" else vm.resources.get(resource, 0) for resource in most}
    return {(resource, limit): sizes[resource] - limit for resource, limit in most.items() if sizes[resource] > limit}


def _fits(before, then):
    for resource in then.resources:
        was, now = (world.loads(world.now, resource) for world in (before, then))
        for node in then.nodes:
            most = min(then.capacity(node, headroom, resource) for headroom in (False, True))
            if now[node] > max(most, was[node]):
                return False
    return True


def _rules_kept(before, then):
    return all(_broken(then, bound) <= _broken(before, was) for bound, was in zip(then.rules, before.rules, strict=True))


def _broken(world, bound):
    """How far a rule is broken."""
    homes = [world.now[vm] for vm in bound.vms if vm in world.now]
    if not bound.rule.must:
        return 0
    if bound.rule.kind == "apart":
        places = [bound.place_of[home] for home in homes]
        return sum(places[i] == places[j] for i in range(len(places)) for j in range(i))
    if bound.rule.kind == "together":
        return max(0, len(set(homes)) - 1)
    return sum((home in bound.nodes) is not (bound.rule.kind == "only-on") for home in homes)


def _no_failure_worse(before, then, changed):
    then.priorities = before.priorities = sorted({*before.priorities, *then.priorities}, reverse=True)
    was, now = ({key: _ends(world, key) for key in world.scenarios(world.now)} for world in (before, then))
    up = {vm.pool for vm in changed if vm.name in before.vms and _is_down(before, before.vms[vm.name])}
    for key, ends in now.items():
        for pool, (loss, survived) in ends.items():
            most, as_now = was.get(key, {}).get(pool, (_down(before, pool), True))
            if loss > most or (as_now and not survived and pool not in up):
                return False
    bad = up | before.bad_pools(before.now)
    return all(pool in bad or then.survives_in_turn(then.now, pool) for pool in then.hosts(then.now))


def _ends(world, key):
    """What a failure leaves without a restart in each pool that it strikes, those that are down among it; is it survived?"""
    return {
        part.pool: (
            tuple(map(sum, zip(world.loss(world.now, part), _down(world, part.pool), strict=True))),
            world._survived(world.now, part),
        )
        for part in world.failures(world.now)[key]
    }


def _down(world, pool):
    return world.vector([vm for vm in world.cluster.vms if vm.pool == pool and _is_down(world, vm)])


def _is_down(world, vm):
    """Whether a VM that is to restart wherever it can does not run."""
    return world.waits(vm) and vm.protected and not vm.evictable
