"""Drains against the oracle, and what cannot be drained."""

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from tests.support.maintenance import concerned
from tests.support.transits import replay
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, NotOn, OnlyOn, Status, Together, drain
from vmplace.testing import clusters

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
FOUR = [Node(f"n{i}", 100) for i in range(4)]
SPREAD = Cluster(FOUR, [VM(f"v{i}", 30, f"n{i}") for i in range(4)])


def test_the_nodes_are_empty_and_the_rest_is_safe_without_them():
    solution = drain(SPREAD, "n1")
    assert (solution.status, solution.guarantee, solution.drained) == (Status.OPTIMAL, Status.SAFE, ("n1",))
    assert solution.objective == solution.bound == 30
    assert [(m.vm, m.source, m.step) for m in solution.migrations] == [("v1", "n1", 1)]
    assert "n1" not in solution.failover
    assert vmplace.audit(SPREAD, solution.placement, solution.failover, drained=["n1"]) == []
    after = solution.to_document()
    assert [node.state for node in after.nodes] == ["online", "maintenance", "online", "online"]
    assert vmplace.check(after).status is Status.SAFE
    assert solution.to_dict()["drained"] == ["n1"]


def test_columns_stay_columns():
    cluster = Cluster.from_arrays(node_memory=[100] * 4, vm_memory=[20] * 4, vm_node=[0, 1, 2, 3])
    after = drain(cluster, ["n3", "n1"]).to_document()
    assert list(after.nodes.state) == ["online", "maintenance", "online", "maintenance"]
    assert vmplace.check(after).status is Status.SAFE


def test_more_may_have_to_move_than_is_on_the_nodes():
    vms = [VM("big", 60, "n0"), *(VM(f"v{i}", 45, f"n{i}") for i in (1, 2, 3)), VM("w", 10, "n1")]
    cluster = Cluster([*FOUR, Node("n4", 100)], vms)
    solution = drain(cluster, ["n4"])
    assert solution.guarantee is Status.SAFE


def test_maintenance_may_be_drained_and_waiting_vms_are_placed():
    nodes = [*FOUR[:3], Node("n3", 100, state="maintenance")]
    solution = drain(Cluster(nodes, [VM("a", 10, "n3"), VM("w", 10)]), ["n3"])
    assert set(solution.placement.values()) <= {"n0", "n1", "n2"}
    assert [(number, start.vm) for number, start in solution.plan.starts] == [(1, "w")]


@pytest.mark.parametrize(
    ("vm", "reason"),
    [
        (VM("a", 10, "n1", movable=False), "a on n1 is not movable"),
        (VM("a", 10, "n1", target="n2"), "a on n1 is being migrated to n2"),
        (VM("a", 10, "n2", target="n1"), "a is being migrated to n1"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"strict": True}, {"best_effort": True}, {"objective": ("moves", "balance")}])
def test_who_cannot_leave_makes_it_infeasible(vm, reason, options):
    solution = drain(Cluster(FOUR, [vm, VM("w", 4)]), ["n1"], **options)
    assert (solution.status, solution.placement, solution.reason) == (Status.INFEASIBLE, None, reason)
    assert (solution.conflict.kind, solution.conflict.vms, solution.waiting) == ("drain", ("a",), ("w",))
    assert [(blocker.vms, blocker.reason) for blocker in solution.blockers] == [(("a",), reason)]
    assert solution.to_dict()["drained"] == ["n1"]


def test_all_who_cannot_leave_are_in_the_conflict():
    cluster = Cluster(FOUR, [VM(f"a{i}", 10, "n1", movable=False) for i in range(3)])
    solution = drain(cluster, ["n1", "n2"])
    assert solution.reason == "3 obstacles keep VMs on n1 and n2: a0, a1 and a2"
    assert [blocker.vms for blocker in solution.blockers] == [("a0",), ("a1",), ("a2",)]
    assert solution.conflict.vms == ("a0", "a1", "a2")


def test_all_nodes_cannot_be_drained():
    solution = drain(SPREAD, [node.name for node in FOUR])
    assert (solution.status, solution.placement) == (Status.INFEASIBLE, None)
    assert solution.reason
    assert drain(Cluster(FOUR), [node.name for node in FOUR]).status is Status.OPTIMAL


def test_a_search_that_fails_knows_that_the_node_is_gone():
    cluster = Cluster(FOUR[:3], [VM("lic", 10, "n0")], [OnlyOn(("lic",), ("n0", "n1"))])
    solution = drain(cluster, ["n1"], strict=True)
    assert solution.status is Status.INFEASIBLE
    assert solution.conflict.vms == ("lic",)
    assert "N+1 cannot hold while n1 is out: lic cannot be placed under rules[0]" in solution.reason


def test_limits_hold():
    for options in ({"max_moves": 0}, {"max_migrated": 30}):
        solution = drain(SPREAD, ["n1", "n2"], **options)
        assert solution.status is Status.INFEASIBLE
        assert {blocker.kind for blocker in solution.blockers} == {"search"}
        assert next(iter(options)) in solution.blockers[0].reason


CROWDED = Cluster(FOUR, [VM(f"v{i}", 60, f"n{i}") for i in range(3)])


def test_what_cannot_be_kept_safe_is_drained_all_the_same_and_said():
    solution = drain(CROWDED, ["n3"])
    assert (solution.status, solution.guarantee) == (Status.OPTIMAL, Status.UNSAFE)
    assert (solution.placement["v2"], solution.migrations) == ("n2", ())
    assert solution.suspended == (
        "N+1 cannot hold while n3 is out: the protected VMs fill 3 slots of 60 MiB; if the largest node fails, 2 are left; "
        "drained all the same; --strict refuses"
    )
    assert {lost.scenario: lost.vms for lost in solution.unprotected} == {f"n{i}": (f"v{i}",) for i in range(3)}
    assert solution.to_dict()["suspended"] == solution.suspended
    assert drain(CROWDED, ["n3"], best_effort=True).suspended == solution.suspended


def test_strict_refuses_what_cannot_be_kept_safe():
    for options in ({"strict": True}, {"best_effort": False}):
        solution = drain(CROWDED, ["n3"], **options)
        assert (solution.status, solution.placement, solution.blockers) == (Status.INFEASIBLE, None, ())
        assert solution.reason.startswith("N+1 cannot hold while n3 is out: ")
        assert solution.reason.endswith("; leave --strict out to drain all the same")


def test_not_even_without_the_guarantee():
    for strict in (True, False):
        solution = drain(CROWDED, ["n2", "n3"], strict=strict)
        assert solution.status is Status.INFEASIBLE
        assert [(b.kind, b.vms) for b in solution.blockers] == [("search", ("v0", "v1", "v2"))]


def test_what_is_safe_says_nothing_of_that():
    for strict in (True, False):
        assert drain(SPREAD, ["n1"], strict=strict).suspended == ""


def test_where_nothing_is_asked_no_step_is_called_safe():
    solution = drain(evolve(SPREAD, guarantee=Guarantee(failures=0)), ["n1"])
    assert [step.guarantee for step in solution.plan.steps] == [None]
    assert solution.plan.exposed == ()
    assert "safe" not in solution.plan.drawn("sh")


BLOCKED = [
    # A VM each that no rule, size or count of nodes lets go.
    (VM("v", 60, "n1"), [], "size", "needs 60 MiB"),
    (VM("v", 10, "n1"), [NotOn(("v",), ("n0", "n2"))], "rules", "rules[0] (not-on) leaves no other node"),
    (VM("v", 10, "n1", pool="b"), [], "rules", "no other node of pool b is online"),
    (VM("v", 10, "n1"), [Together(("v", "w"))], "together", "rules[0] (together)"),
    (VM("v", 10, "n1"), [Apart(("v", "x", "y"))], "apart", "rules[0] (apart)"),
]


@pytest.mark.parametrize(("vm", "rules", "kind", "why"), BLOCKED)
def test_each_kind_of_blocker_is_told_with_what_would_help(vm, rules, kind, why):
    pool = vm.pool
    nodes = [Node("n0", 50), Node("n1", 200, pool=pool), Node("n2", 50), Node("n3", 200, state="offline", pool=pool)]
    others = [VM("w", 45, "n1", pool=pool), VM("x", 2, "n0"), VM("y", 2, "n2")]
    if pool == "default":
        others[0] = evolve(others[0], node="n1" if kind == "together" else "n0")
    else:
        others = others[1:]
    solution = drain(Cluster(nodes, [vm, *others], rules), "n1")
    assert solution.status is Status.INFEASIBLE
    (blocker,) = solution.blockers
    assert blocker.kind == kind
    assert "v" in blocker.vms
    assert why in blocker.reason
    assert "down for the maintenance" in blocker.remedy


def test_too_much_in_all_says_how_much():
    vms = [VM(f"v{i}", 25, f"n{i % 2}") for i in range(6)]
    solution = drain(Cluster([Node("n0", 100), Node("n1", 100)], vms, guarantee=Guarantee(failures=0)), "n1")
    assert [(b.kind, b.remedy) for b in solution.blockers] == [
        ("capacity", "shut VMs of 50 MiB down for the maintenance, or add a node")
    ]


def test_strict_and_best_effort_contradict():
    with pytest.raises(InputError, match="strict: contradicts best_effort"):
        drain(SPREAD, "n1", strict=True, best_effort=True)


def test_what_is_stopped_stays_and_is_told():
    cluster = Cluster(FOUR, [VM("a", 10, "n1"), VM("s", 10, "n1", running=False)])
    solution = drain(cluster, ["n1"])
    assert solution.warnings == ("1 stopped VM on n1 stays there",)
    assert solution.placement["s"] == "n1"
    assert solution.to_document().vms[1].running is False


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (["zz"], "'zz' is not a node of this cluster: name one of 'n0', 'n1', 'n2', 'n3', 'off'"),
        ([], "no node is named: name one or more"),
        (["off"], "'off' is offline: it hosts nothing"),
    ],
)
def test_wrong_nodes_are_named(nodes, message):
    with pytest.raises(InputError) as error:
        drain(Cluster([*FOUR, Node("off", 4, state="offline")]), nodes)
    assert [(flaw.place, flaw.message) for flaw in error.value.flaws] == [("nodes", message)]


@pytest.mark.parametrize("options", [{"method": "odd"}, {"objective": "odd"}, {"seed": -1}, {"parallel": 0}, {"time_limit": -1}])
def test_wrong_options_are_named(options):
    with pytest.raises(InputError) as error:
        drain(SPREAD, ["n1"], **options)
    assert error.value.flaws[0].place in options


def test_without_time_nothing_is_claimed():
    assert drain(SPREAD, ["n1"], time_limit=0).status in (Status.UNKNOWN, Status.FEASIBLE)


@st.composite
def tasks(draw, **features):
    cluster = draw(clusters(min_nodes=1, max_nodes=4, max_vms=5, immovable=False, **features))
    names = [node.name for node in cluster.nodes if node.state != "offline"]
    return cluster, sorted(draw(st.sets(st.sampled_from(names), min_size=1, max_size=2))) if names else []


def held(world, solution):
    """The VMs that a drain has to do with, by their nodes."""
    node_of = {vm: node for vm, node in solution.placement.items() if vm in world.vms}
    return {vm: node for vm, node in node_of.items() if not world.stopped(world.vms[vm])}


def judged(task):
    cluster, names = task
    if not names:
        return
    world, solution = World(concerned(cluster, names), drained=names), drain(cluster, names, strict=True, time_limit=20)
    best = world.optimum("moves", move_running=True)
    assert (solution.status is Status.INFEASIBLE) == (best is None)
    if best is None:
        return
    assert (solution.status, solution.held) == (Status.OPTIMAL, True)
    node_of = held(world, solution)
    assert world.right(node_of)
    assert world.all_survivable(node_of)
    assert solution.objective == world.migrated(node_of) == best.costs[0]
    assert not set(node_of.values()) & set(names)
    audited(cluster, names, solution)
    if solution.plan is not None and solution.plan.steps:
        resting = evolve(cluster, nodes=[evolve(n, state="maintenance") if n.name in names else n for n in cluster.nodes])
        replay(concerned(resting, names), solution.plan, node_of)
        assert solution.migrations == solution.plan.migrations


def audited(cluster, names, solution):
    """The document that is written is what is told of it; and what is called safe is."""
    assert vmplace.check(solution.to_document(), time_limit=20).status is solution.guarantee
    if solution.guarantee is Status.SAFE:
        found = vmplace.audit(cluster, solution.placement, solution.failover, drained=names)
        crowded = any("headroom" in warning for warning in solution.warnings)
        assert {violation.kind for violation in found} == ({"headroom"} if crowded else set())


def suspended(task):
    """A drain of what may not be safe then: the least unprotected, and told; or all that is in the way."""
    cluster, names = task
    if not names:
        return
    world, solution = World(concerned(cluster, names), drained=names), drain(cluster, names, time_limit=20)
    best = world.optimum("moves", move_running=True, best_effort=True)
    if solution.stopped:
        assert best is None  # with all VMs running
        gone = {stop.vm for stop in solution.stopped}
        cluster = evolve(cluster, vms=[evolve(vm, running=vm.running and vm.name not in gone) for vm in cluster.vms])
        world = World(concerned(cluster, names), drained=names)
        best = world.optimum("moves", move_running=True, best_effort=True)
    assert (solution.status is Status.INFEASIBLE) == (best is None)
    assert bool(solution.blockers) == (best is None)
    if best is None:
        assert all(blocker.vms and set(blocker.vms) <= set(world.vms) for blocker in solution.blockers)
        return
    node_of = held(world, solution)
    assert world.right(node_of, headroom=False)
    assert not set(node_of.values()) & set(names)
    safe = world.all_survivable(node_of)
    assert solution.held == safe
    assert bool(solution.suspended) == (solution.guarantee is not Status.SAFE)
    lost = world.total_loss(node_of)
    assert lost >= best.lost
    if solution.status is Status.OPTIMAL:
        assert (lost, solution.objective) == (best.lost, best.costs[0])
    audited(cluster, names, solution)


@settings(max_examples=30, **QUIET)
@given(tasks() | tasks(failures=(0, 1, 2, 2, 3), rules=False, states=False))
def test_drains_that_suspend_the_guarantee_against_the_oracle(task):
    suspended(task)


@pytest.mark.slow
@settings(max_examples=400, **QUIET)
@given(tasks(domains=True, evictable=True) | tasks(failures=(1, 2, 3), states=False))
def test_many_drains_that_suspend_the_guarantee_against_the_oracle(task):
    suspended(task)


@settings(max_examples=30, **QUIET)
@given(tasks() | tasks(rules=False, states=False, headroom=False))
def test_drains_against_the_oracle(task):
    judged(task)


@pytest.mark.slow
@settings(max_examples=400, **QUIET)
@given(tasks(domains=True, resources=True, evictable=True) | tasks(failures=(0, 1, 2), rules=False, states=False))
def test_many_drains_against_the_oracle(task):
    judged(task)


@st.composite
def cold_tasks(draw):
    cluster, names = draw(tasks(states=False, pools=False))
    cold = draw(st.sets(st.integers(0, max(0, len(cluster.vms) - 1)), min_size=1))
    vms = [evolve(vm, movable="cold") if i in cold else vm for i, vm in enumerate(cluster.vms)]
    return evolve(cluster, vms=vms), names


@settings(max_examples=25, **QUIET)
@given(cold_tasks())
def test_as_few_cold_moves_as_can_be(task):
    cluster, names = task
    if not names:
        return
    solution = drain(cluster, names, strict=True, time_limit=20)
    world = World(cluster, drained=names)
    assert (solution.status is Status.INFEASIBLE) == (world.optimum("moves", move_running=True) is None)
    if solution.node_of is None:
        return
    assert world.all_survivable(held(world, solution))
    moved = {m.vm for m in solution.migrations if m.cold}
    assert moved == {m.vm for m in solution.migrations if world.vms[m.vm].movable == "cold"}
    # Those that may stay where they are do so if that is enough.
    staying = [evolve(vm, movable=vm.node in names) if vm.movable == "cold" else vm for vm in cluster.vms]
    if World(evolve(cluster, vms=staying), drained=names).optimum("moves", move_running=True) is not None:
        assert all(world.vms[vm].node in names for vm in moved)
    if solution.plan is not None and solution.plan.steps:
        resting = evolve(cluster, nodes=[evolve(n, state="maintenance") if n.name in names else n for n in cluster.nodes])
        replay(resting, solution.plan, held(world, solution))
    audited(cluster, names, solution)


def test_what_moves_cold_elsewhere_does_so_only_where_nothing_else_helps():
    # What is on n3 finds room only if something makes way.
    nodes, asked = [Node(f"n{i}", 100) for i in (0, 1, 3)], Guarantee(failures=0)
    vms = [VM("c", 50, "n0", movable="cold"), VM("big", 70, "n3")]
    solution = drain(Cluster(nodes, [*vms, VM("d", 30, "n1"), VM("e", 30, "n1")], guarantee=asked), "n3")
    assert sorted((m.vm, m.cold) for m in solution.migrations) in ([("big", False), (vm, False)] for vm in "de")
    solution = drain(Cluster(nodes, [*vms, VM("d", 40, "n1", movable=False)], guarantee=asked), "n3")
    assert {m.vm: m.cold for m in solution.migrations} == {"c": True, "big": False}


def test_rolling_and_repair_move_cold_too():
    vms = [VM(f"c{i}", 20, f"n{i}", movable="cold") for i in range(4)]
    cluster = Cluster(FOUR, vms)
    found = vmplace.rolling_drain(cluster)
    assert (found.status, len(found.groups)) == (Status.OPTIMAL, 4)
    assert all(m.cold for group in found.groups for m in group.migrations)
    sizes = [("a", 50, "n0"), ("b", 50, "n0"), ("c", 60, "n1"), ("d", 60, "n2"), ("e", 10, "n3")]
    crowded = Cluster(FOUR, [VM(*each, movable="cold") for each in sizes])
    assert vmplace.check(crowded).status is Status.UNSAFE
    solution = vmplace.repair(crowded)
    assert (solution.guarantee, [(m.vm, m.cold) for m in solution.migrations]) == (Status.SAFE, [("e", True)])


def test_where_little_more_could_be_protected_only_what_has_to_leave_moves():
    nodes = [Node(f"n{i}", 1000) for i in range(4)]
    vms = [VM(f"v{i}-{k}", 10 + (i + k) % 5, f"n{i}") for i in range(4) for k in range(58)]
    solution = drain(Cluster(nodes, vms), "n1", time_limit=20)
    assert solution.guarantee is Status.UNSAFE
    assert {m.vm for m in solution.migrations} == {vm.name for vm in vms if vm.node == "n1"}
    assert {m.source for m in solution.migrations} == {"n1"}
    lost = sum(next(vm.memory for vm in vms if vm.name == name) for u in solution.unprotected for name in u.vms)
    whole = sum(vm.memory for vm in vms)
    least = whole - 2 * (3000 - whole)
    assert least <= lost <= least * 1.01
    assert solution.status is (Status.OPTIMAL if lost == least else Status.FEASIBLE)
