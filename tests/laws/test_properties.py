"""Laws that check, place, repair and audit obey, judged by the oracle in brute.py.

Each law is written once and run twice: a few fixed examples in the fast suite, many random ones in the slow campaign.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from attrs import evolve
from hypothesis import strategies as st

import vmplace
from tests.support.brute import Best, World, takes
from tests.support.campaigns import Law, both_suites
from tests.support.transits import replay
from vmplace.testing import clusters

OBJECTIVES = (
    "balance",
    "moves",
    "consolidate",
    ("moves", "balance"),
    ("balance", "moves"),
    ("consolidate", "balance"),
    ("moves", "consolidate", "balance"),
)
PLAIN = {
    "rules": False,
    "states": False,
    "pools": False,
    "unprotected": False,
    "immovable": False,
    "stopped": False,
    "headroom": False,
}
FAILURES = (1, 1, 1, 1, 0)


LAWS: dict[str, Law] = {}


def law(examples: int, **strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(body: Callable[..., None]) -> Callable[..., None]:
        LAWS[body.__name__] = Law(body, examples, strategies)
        return body

    return register


asked = st.fixed_dictionaries(
    {"objective": st.sampled_from(OBJECTIVES), "move_running": st.booleans()},
    optional={"max_moves": st.integers(0, 2), "max_migrated": st.integers(0, 12)},
)


def roomy(cluster: Any) -> Any:
    """The cluster with so much memory on every node that rules alone decide."""
    return evolve(cluster, nodes=[evolve(node, memory=node.memory * 4) for node in cluster.nodes])


ruled = {**PLAIN, "rules": True}
crowded = clusters(min_nodes=3, max_nodes=4, max_vms=6, placed="all", **ruled).map(roomy)
small = st.one_of(
    clusters(min_nodes=3, max_nodes=4, max_vms=5, **ruled).map(roomy),
    clusters(max_nodes=4, max_vms=5, failures=FAILURES),
    clusters(min_nodes=3, max_nodes=4, max_vms=5, **ruled),
    clusters(min_nodes=3, max_nodes=4, max_vms=5, placed="all", **PLAIN),
)
plain = clusters(min_nodes=1, max_nodes=5, max_vms=8, placed="none", **PLAIN)
placed = st.one_of(
    crowded,
    clusters(max_nodes=4, max_vms=6, placed="all", failures=FAILURES),
    clusters(min_nodes=3, max_nodes=4, max_vms=6, placed="all", **ruled),
)


# What every answer must stand up to


def charged(world: World, placement: Mapping[str, str]) -> dict[str, str]:
    stopped = {vm.name: vm.node for vm in world.cluster.vms if world.stopped(vm)}
    assert all(placement.get(vm, node) == node for vm, node in stopped.items())
    return {vm: node for vm, node in placement.items() if vm not in stopped}


def named(unprotected: Any) -> dict[str, set[str]]:
    return {entry.scenario: set(entry.vms) for entry in unprotected}


def left_out(world: World, node_of: Mapping[str, str], failover: Mapping[str, Mapping[str, str]]) -> dict[str, set[str]]:
    """Whom the plans leave out, for scenarios where they do; the plans hold and cover every scenario."""
    assert list(failover) == world.scenarios(node_of)
    missing = {}
    for failed, plan in failover.items():
        assert world.plan_holds(node_of, failed, plan), (failed, plan)
        rest = {vm.name for vm in world.displaced(node_of, failed)} - {vm for vm, node in plan.items() if node}
        if rest:
            missing[failed] = rest
    return missing


def memory(world: World, names: set[str]) -> tuple[int, ...]:
    return world.vector([world.vms[name] for name in names])


def values_of(costs: tuple[Any, ...], objective: Any) -> Any:
    """The objective as a Solution shows it: without the weight of broken rules."""
    first = objective if isinstance(objective, str) else objective[0]
    values = costs[:1] + costs[2:] if first == "moves" else costs[1:]
    return values[0] if isinstance(objective, str) else values


def assert_sound(solution: Any, best: Best | None, *, best_effort: bool = False, **options: Any) -> None:
    """True of whatever any method answers, given the best answer there is."""
    world, objective = World(solution.cluster), options["objective"]
    assert solution.method
    if solution.placement is None:
        assert_empty(solution, best)
        return
    if solution.unsolved:  # some pools are as they were: see tests.placement.test_pools
        assert (solution.status in ("infeasible", "unknown"), best is None or solution.status == "unknown") == (True, True)
        return
    assert best is not None
    node_of = charged(world, solution.placement)
    assert_placed(world, node_of, best_effort=best_effort, **options)
    if "consolidate" in (objective if isinstance(objective, tuple) else (objective,)):
        world = World(solution.cluster, powered=solution.powered)
        assert len(solution.powered) == world.fewest_powered(node_of) or solution.status != "optimal"
    assert_protected(solution, world, node_of, best, best_effort)
    assert_valued(solution, world, node_of, best, objective)
    assert_written(solution, world, node_of)


def assert_empty(solution: Any, best: Best | None) -> None:
    assert solution.status in ("infeasible", "unknown")
    assert solution.status != "infeasible" or best is None
    assert solution.objective is None
    assert solution.guarantee in ("unsafe", "unknown")


def assert_placed(
    world: World,
    node_of: Mapping[str, str],
    *,
    objective: Any,
    move_running: bool,
    best_effort: bool,
    max_moves: int | None = None,
    max_migrated: int | None = None,
) -> None:
    assert set(node_of) == {vm.name for vm in world.charged}
    assert all(node in world.choices(world.vms[vm], move_running) for vm, node in node_of.items())
    assert world.right(node_of, headroom=not best_effort)
    assert max_moves is None or len(world.moved(node_of)) <= max_moves
    assert max_migrated is None or world.migrated(node_of) <= max_migrated


def assert_protected(solution: Any, world: World, node_of: Mapping[str, str], best: Best, best_effort: bool) -> None:
    missing = left_out(world, node_of, solution.failover)
    assert named(solution.unprotected) == missing
    assert best_effort or not missing
    assert (solution.guarantee == "safe") == world.all_survivable(node_of)
    violations = vmplace.audit(
        solution.cluster, solution.placement, solution.failover, powered=sorted(world.powered, key=list(world.nodes).index)
    )
    declared = {"unprotected", "headroom"} if best_effort else set()
    assert [v for v in violations if v.kind not in declared] == []
    if best_effort and best.no_worse and World(solution.cluster).verdict().status == "unsafe":
        now = World(solution.cluster).losses_now()
        assert all(loss <= now.get(failed, loss) for failed, loss in world.losses(node_of).items())


def assert_valued(solution: Any, world: World, node_of: Mapping[str, str], best: Best, objective: Any) -> None:
    whole = World(solution.cluster)
    costs = whole.costs(node_of, objective)
    optimum = values_of(best.costs, objective)
    if solution.status == "optimal":
        assert (world.total_loss(node_of), costs) == (best.lost, best.costs)
        assert solution.bound == solution.objective == optimum
    else:
        assert solution.status == "feasible"
    if "consolidate" not in objective:  # of a placement not proved best, powered may be more than needed
        assert solution.objective == values_of(costs, objective)
    assert solution.bound is None or solution.bound <= optimum


def assert_written(solution: Any, world: World, node_of: Mapping[str, str]) -> None:
    moved = {vm.name: (world.now[vm.name], node_of[vm.name], takes(vm)) for vm in world.moved(node_of)}
    ways: dict[str, tuple[str, str, int]] = {}
    for m in solution.migrations:  # who stops over has several, one after the other
        source, here, _ = ways.get(m.vm, (m.source, m.source, m.memory))
        assert here == m.source
        ways[m.vm] = source, m.destination, m.memory
    assert {vm: way for vm, way in ways.items() if way[0] != way[1]} == moved
    if solution.plan is not None and solution.plan.steps:
        replay(solution.cluster, solution.plan, node_of)
    assert [b.rule for b in solution.broken_rules] == world.broken(node_of, must=False)
    assert World(solution.to_document()).now == node_of
    assert solution.to_dict()["status"] == solution.status.value


# check and audit


@law(52, cluster=st.one_of(placed, small, clusters(max_nodes=6, max_vms=9, placed="all")))
def check_agrees_with_brute_force(cluster: Any) -> None:
    world, report = World(cluster), vmplace.check(cluster)
    truth = world.verdict()
    assert report.status == report.guarantee == truth.status
    assert {f: s.status.value for f, s in report.scenarios.items()} == {
        f: "unsafe" if any(loss) else "safe" for f, loss in truth.losses.items()
    }
    for failed, scenario in report.scenarios.items():
        assert scenario.displaced == sum(takes(vm) for vm in world.displaced(world.now, failed))
    assert {pool: status.value for pool, status in report.pools.items()} == truth.pools
    assert set(report.waiting) == truth.waiting
    assert {v.subject for v in report.violations if v.kind == "overfull"} == truth.overfull
    assert {v.subject for v in report.violations if v.kind == "rule"} == {f"rules[{i}]" for i in truth.broken_musts}
    assert [b.rule for b in report.broken_rules] == world.broken(world.now, must=False)


@law(52, cluster=st.one_of(placed, clusters(max_nodes=6, max_vms=9, placed="all")))
def check_shows_the_best_plans(cluster: Any) -> None:
    world, report = World(cluster), vmplace.check(cluster)
    missing = left_out(world, world.now, report.failover)
    assert named(report.unprotected) == missing
    for failed, loss in world.losses(world.now).items():
        assert memory(world, missing.get(failed, set())) == loss
        displaced = world.displaced(world.now, failed)
        if any(True for _ in world.full_plans(world.now, failed, displaced, shoulds=True)):
            assert world.plan_holds(world.now, failed, report.failover[failed], shoulds=True)


@law(52, cluster=st.one_of(placed, small))
def check_passes_the_audit(cluster: Any) -> None:
    world, report = World(cluster), vmplace.check(cluster)
    violations = vmplace.audit(cluster, report.placement, report.failover)
    kinds = {v.kind for v in violations}
    assert kinds <= {"placement", "overfull", "headroom", "rule", "unprotected"}
    assert ("unprotected" in kinds) == bool(report.unprotected)
    assert ("placement" in kinds) == bool(report.waiting)
    assert {v.subject for v in violations if v.kind == "overfull"} == world.overfull(world.now)
    assert ("rule" in kinds) == bool(world.broken(world.now, must=True))


@law(87, cluster=st.one_of(small, placed), data=st.data())
def audit_agrees_with_brute_force(cluster: Any, data: st.DataObject) -> None:
    names = [node.name for node in cluster.nodes]
    powered = data.draw(st.none() | st.lists(st.sampled_from(names), unique=True) if names else st.none(), "powered")
    drained = data.draw(st.lists(st.sampled_from(names), max_size=1) if names else st.just([]), "drained")
    world = World(cluster, powered=powered, drained=drained)
    best = world.optimum(move_running=True)
    placement = spoilt(data, dict(best.placement if best else world.now), [vm.name for vm in cluster.vms], names)
    node_of = {vm: node for vm, node in placement.items() if not world.stopped(world.vms[vm])}
    failover = {}
    for failed in world.scenarios(node_of):
        displaced = world.displaced(node_of, failed)
        plan = next(world.full_plans(node_of, failed, displaced), {})
        failover[failed] = spoilt(data, dict(plan), [vm.name for vm in cluster.vms], names)
    good = world.flawless(placement, failover)
    asked = {"powered": powered, "drained": drained}
    assert (vmplace.audit(cluster, placement, failover, **asked) == []) == good
    assert_undecided(world, vmplace.audit(cluster, placement, **asked), node_of)
    if all(set(plan) <= {vm.name for vm in world.displaced(node_of, failed)} for failed, plan in failover.items()):
        arrays = columns(cluster, placement, failover)
        assert (vmplace.audit(cluster, *arrays, **asked) == []) == good


@law(70, cluster=st.one_of(crowded, placed), data=st.data())
def audit_judges_each_plan(cluster: Any, data: st.DataObject) -> None:
    world = World(cluster)
    for failed in world.scenarios(world.now):
        plan = shuffled(data, world, failed, world.displaced(world.now, failed))
        violations = vmplace.audit(cluster, world.now, {failed: plan})
        assert any(v.kind == "failover" for v in violations) != world.plan_holds(world.now, failed, plan)


def shuffled(data: st.DataObject, world: World, failed: str, vms: list[Any]) -> dict[str, str]:
    """Restarts on any nodes that VM and node by themselves allow: what they break, they break together."""
    open_to = {vm.name: [n.name for n in world.nodes.values() if world.may_restart(vm, n, failed)] for vm in vms}
    return {name: data.draw(st.sampled_from(nodes)) for name, nodes in open_to.items() if nodes}


def spoilt(data: st.DataObject, node_of: dict[str, str], vms: list[str], nodes: list[str]) -> dict[str, str]:
    """The same, more often than not, or with one VM elsewhere or missing."""
    if vms and nodes and data.draw(st.integers(0, 4)) == 4:
        vm, node = data.draw(st.sampled_from(vms)), data.draw(st.sampled_from([None, *nodes]))
        node_of.pop(vm, None)
        if node is not None:
            node_of[vm] = node
    return node_of


def assert_undecided(world: World, violations: list[Any], node_of: Mapping[str, str]) -> None:
    """Without plans: nothing is said of a failure that displaces nobody, and only the impossible is called unprotected."""
    said = {kind: {v.subject for v in violations if v.kind == kind} for kind in ("unverified", "unprotected", "failover")}
    told = said["unverified"] | said["unprotected"]
    assert not said["failover"]
    assert told == {f for f in world.scenarios(node_of) if world.displaced(node_of, f)}
    if all(world.nodes[node].pool == world.vms[vm].pool for vm, node in node_of.items()):
        assert not any(world.survivable(node_of, failed) for failed in said["unprotected"])


def columns(cluster: Any, placement: Mapping[str, str], failover: Mapping[str, Mapping[str, str]]) -> list[Any]:
    index = {node.name: i for i, node in enumerate(cluster.nodes)}
    backup = {vm: node for plan in failover.values() for vm, node in plan.items()}
    return [np.array([index.get(of.get(vm.name, ""), -1) for vm in cluster.vms], dtype=np.int64) for of in (placement, backup)]


# place and repair


@law(87, cluster=small, options=asked)
def exact_finds_the_optimum(cluster: Any, options: dict[str, Any]) -> None:
    assert_exact(cluster, options)


@law(21, cluster=clusters(max_nodes=6, max_vms=9, failures=FAILURES), options=asked)
def exact_finds_the_optimum_of_larger_clusters(cluster: Any, options: dict[str, Any]) -> None:
    assert_exact(cluster, options)


@law(52, cluster=small, options=asked)
def exact_best_effort_leaves_the_least_unprotected(cluster: Any, options: dict[str, Any]) -> None:
    assert_exact(cluster, {**options, "best_effort": True})


def assert_exact(cluster: Any, options: dict[str, Any]) -> None:
    best = World(cluster).optimum(**options)
    solution = vmplace.place(cluster, method="exact", **options)
    assert solution.status == ("infeasible" if best is None else "optimal")
    assert_sound(solution, best, **options)


@law(87, cluster=small, options=asked, method=st.sampled_from(["greedy", "auto"]), best_effort=st.booleans())
def every_method_is_sound(cluster: Any, options: dict[str, Any], method: str, best_effort: bool) -> None:
    options = {**options, "best_effort": best_effort}
    best = World(cluster).optimum(**options)
    solution = vmplace.place(cluster, method=method, **options)
    assert_sound(solution, best, **options)
    assert method == "greedy" or best is None or solution.placement is not None


@law(21, cluster=placed, best_effort=st.booleans())
def repair_moves_the_least(cluster: Any, best_effort: bool) -> None:
    options = {"objective": "moves", "move_running": True, "best_effort": best_effort}
    best = World(cluster).optimum(**options)
    solution = vmplace.repair(cluster, best_effort=best_effort)
    assert_sound(solution, best, **options)
    assert (solution.placement is None or bool(solution.unsolved)) == (best is None)


@law(50, cluster=clusters(min_nodes=1, max_nodes=5, max_vms=8, placed="none", **PLAIN), method=st.sampled_from(["exact", "auto"]))
def without_rules_the_largest_node_can_stay_empty(cluster: Any, method: str) -> None:
    solution = vmplace.place(cluster, method=method)
    spare = max(node.usable for node in cluster.nodes)
    rooms = sorted((node.usable for node in cluster.nodes), reverse=True)
    rooms.remove(spare)
    sizes = sorted((vm.memory for vm in cluster.vms), reverse=True)
    assert (solution.status == "infeasible") != packs(sizes, rooms)


def packs(sizes: list[int], rooms: list[int]) -> bool:
    """Whether the sizes fit into the rooms, by trying each size in each."""
    if not sizes:
        return True
    return any(
        packs(sizes[1:], [*rooms[:i], room - sizes[0], *rooms[i + 1 :]]) for i, room in enumerate(rooms) if room >= sizes[0]
    )


@law(21, cluster=small, options=asked, method=st.sampled_from(["exact", "greedy", "auto"]), seed=st.integers(0, 3))
def the_same_seed_gives_the_same_answer(cluster: Any, options: dict[str, Any], method: str, seed: int) -> None:
    first, second = (vmplace.place(cluster, method=method, seed=seed, deterministic=True, **options) for _ in range(2))
    assert first.placement == second.placement
    assert first.failover == second.failover
    assert (first.status, first.objective, first.bound) == (second.status, second.objective, second.bound)


test_law = both_suites(LAWS)
