"""What presolve leaves out never binds: reasons at their borders, and the same verdicts and optima with it and without."""

from contextlib import contextmanager
from fractions import Fraction
from unittest.mock import patch

import pytest
from attrs import evolve
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from tests.support.campaigns import tried
from tests.support.implied import nearly_implied
from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Together
from vmplace.problem import presolve
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.problem.presolve import presolved


def left_out(cluster):
    found = presolved(compile_problem(cluster)).reductions
    return [resource.name for resource in found.resources], [(rule.index, rule.why, rule.by) for rule in found.rules]


def asking(cpus, nodes=((8, 4), (16, 8)), memory=4, **more):
    return Cluster(
        [Node(f"n{i}", size, resources={"cpu": cpu}) for i, (size, cpu) in enumerate(nodes)],
        [VM(f"v{i}", memory, f"n{i % len(nodes)}", resources={"cpu": cpu}) for i, cpu in enumerate(cpus)],
        **more,
    )


def test_a_resource_is_implied_as_long_as_no_vm_asks_for_more_of_it_than_every_node_has():
    problem = presolved(compile_problem(asking([1, 2])))
    assert (problem.resources, problem.n_firm, problem.demand.tolist()) == ((), 1, [[4], [4]])
    (why,) = problem.reductions.resources
    assert (why.name, why.asked, why.there) == ("cpu", Fraction(1, 2), Fraction(1, 2))
    assert left_out(asking([1, 3])) == ([], [])
    assert left_out(asking([1, 2], nodes=[(8, 4), (16, 7)])) == ([], [])


def test_each_pool_has_to_do_without_it():
    cluster = asking([2, 2])
    other = Node("m", 8, pool="b", resources={"cpu": 1})
    apart = evolve(cluster, nodes=[*cluster.nodes, other])
    assert left_out(apart) == (["cpu"], [])
    small, large = (VM("w", 4, "m", pool="b", resources={"cpu": cpu}) for cpu in (0, 1))
    assert left_out(evolve(apart, vms=[*apart.vms, small])) == (["cpu"], [])
    assert left_out(evolve(apart, vms=[*apart.vms, large])) == ([], [])


def test_a_node_that_is_overfull_counts_with_what_is_on_it():
    assert left_out(asking([1, 1], nodes=[(8, 2)])) == (["cpu"], [])
    assert left_out(asking([1, 1, 1], nodes=[(8, 2)])) == ([], [])
    assert left_out(asking([1, 1, 1], nodes=[(8, 3)])) == (["cpu"], [])


def test_what_is_too_large_to_multiply_is_compared_all_the_same():
    much, most, ratio = 2**26, 10**9, {"cpu": 1000}
    nodes = [(much, most // 2), (much, most)]
    assert left_out(asking([most // 2], nodes, much, overcommit=ratio)) == (["cpu"], [])
    assert left_out(asking([most // 2, most], nodes, 1, overcommit=ratio)) == ([], [])
    # A quotient is rounded, a product is not.
    close = [(much, most - 1), (much - 1, most - 16)]
    (why,) = presolved(compile_problem(asking([0], close))).reductions.resources
    assert why.there == min(Fraction(most - 1, much), Fraction(most - 16, much - 1))


def test_those_that_stay_keep_their_places():
    nodes = [Node(f"n{i}", 8, resources={"a": 8, "b": 1, "c": 8}) for i in range(2)]
    vms = [VM("v", 4, "n0", resources={"a": 4, "b": 1, "c": 1})]
    problem = presolved(compile_problem(Cluster(nodes, vms, soft_resources=["c"])))
    assert (problem.resources, problem.n_firm) == (("b",), 2)
    assert (problem.demand.tolist(), problem.capacity.tolist()) == ([[4, 1]], [[8, 1], [8, 1]])


NODES = [
    *(Node(name, 8) for name in "ab"),
    *(Node(name, 8, domain="rack") for name in "cd"),
    *(Node(name, 8, pool="second") for name in "xy"),
]
VMS = [VM("u", 5), VM("v", 5), VM("w", 3), VM("s", 2, pool="second")]


@pytest.mark.parametrize(
    ("rules", "idle"),
    [
        ([OnlyOn(["u"], ["a", "b", "c", "d"])], [(0, "everywhere", None)]),
        ([OnlyOn(["u"], ["a", "b", "c"])], []),
        ([NotOn(["u"], ["x"])], [(0, "everywhere", None)]),
        ([NotOn(["u"], ["x"], must=False)], [(0, "everywhere", None)]),
        ([NotOn(["u", "s"], ["x"])], []),
        ([Apart(["u", "v"])], [(0, "too-large", None)]),
        ([Apart(["u", "v"], must=False)], []),
        ([Apart(["u", "w"])], []),
        ([Apart(["u", "v"], scope="domain")], []),
        ([Apart(["u", "s"])], [(0, "other-pools", None)]),
        ([Apart(["v", "w", "s"]), Apart(["w", "v"])], [(1, "implied", 0)]),
        ([Apart(["v", "w"]), Apart(["w", "v"])], [(1, "implied", 0)]),
        ([Apart(["v", "w"]), Apart(["w", "v"], scope="domain")], [(0, "implied", 1)]),
        ([Apart(["v", "w"]), Apart(["w", "v"], during_failover=False)], [(1, "implied", 0)]),
        ([Apart(["v", "w"], during_failover=False), Apart(["w", "v"])], [(0, "implied", 1)]),
        ([Apart(["v", "w"]), Apart(["w", "v"], must=False)], []),
        ([Together(["v", "w"]), Together(["w", "v", "u"]), Together(["u", "v"])], [(0, "implied", 1), (2, "implied", 1)]),
        ([OnlyOn(["u", "v"], ["a", "b"]), OnlyOn(["u"], ["a", "b", "c"])], [(1, "implied", 0)]),
        ([OnlyOn(["u"], ["a", "b"]), OnlyOn(["u", "v"], ["a", "b", "c"])], []),
    ],
)
def test_rules_that_bind_nothing(rules, idle):
    assert left_out(Cluster(NODES, VMS, rules))[1] == idle


def test_restarts_that_may_overfill_a_node_keep_vms_apart_that_no_node_can_hold():
    cluster = Cluster(NODES, VMS, [Apart(["u", "v"])])
    assert left_out(evolve(cluster, guarantee=Guarantee(policy="most-free")))[1] == [(0, "too-large", None)]
    assert left_out(evolve(cluster, guarantee=Guarantee(policy="fewest-vms")))[1] == []


def test_the_statistics_say_what_was_left_out():
    cluster = evolve(
        asking([1, 2], nodes=[(8, 4), (8, 4), (8, 4)]), rules=[NotOn(["v0"], ["n0"], name="far"), Apart(["v0", "v1"])]
    )
    assert vmplace.check(cluster).stats["presolve"] == (
        "cpu: VMs ask for at most 512 per GiB of memory, nodes have at least 512",
    )
    repeated = evolve(cluster, rules=[*cluster.rules, Apart(["v0", "v1"], name="again")])
    assert vmplace.repair(repeated).stats["presolve"][1:] == ("rule again (apart): rules[1] (apart) asks for as much",)


EVERYTHING = {
    "max_vms": 5,
    "resources": True,
    "evictable": True,
    "targets": True,
    "overhead": True,
    "node_headroom": True,
    "max_vm": True,
    "domains": True,
    "restart": ("planned", "any-order"),
    "policies": True,
    "sequences": ("at-once", "sequential"),
    "failures": (1, 2),
    "quorums": True,
    "most_guarantees": 2,
}


def least_lost(cluster, report):
    """What each failure leaves out at least, by priority, where that is proved: which of equal VMs it is may differ."""
    lost = {}
    for loss in report.unprotected:
        if loss.minimal:
            vms = [vm for vm in cluster.vms if vm.name in loss.vms]
            lost[loss.scenario] = sorted((vm.priority, vm.charged) for vm in vms)
    return lost


def test_rules_that_share_one_vm_are_not_compared_pair_by_pair(monkeypatch):
    """As where each VM is kept apart from one hub by a rule of its own."""
    others, asked, implies = [VM(f"v{i}", 1, "a") for i in range(60)], [], presolve._implies
    monkeypatch.setattr(presolve, "_implies", lambda *of: asked.append(of) or implies(*of))
    rules = [Apart(["hub", vm.name]) for vm in others]
    presolved(compile_problem(Cluster([Node("a", 100), Node("b", 100)], [VM("hub", 1, "b"), *others], rules)))
    assert len(asked) <= len(rules)


@contextmanager
def without_presolve():
    def whole(cluster):
        return Names(cluster, compile_problem(cluster, several=True))

    with patch("vmplace.failover.check.presolved_names", whole), patch("vmplace.placement.place.presolved_names", whole):
        yield


@tried(nearly_implied(**EVERYTHING), quick=40, campaign=600)
def test_no_verdict_changes(cluster):
    report = vmplace.check(cluster)
    with without_presolve():
        whole = vmplace.check(cluster)
    assert {key: s.status for key, s in report.scenarios.items()} == {key: s.status for key, s in whole.scenarios.items()}
    assert (report.status, report.pools, report.violations) == (whole.status, whole.pools, whole.violations)
    assert report.warnings == whole.warnings
    assert least_lost(cluster, report) == least_lost(cluster, whole)
    assert report.broken_rules == whole.broken_rules


PLACED = nearly_implied(max_vms=5, domains=True, evictable=True, overhead=True)


@tried(PLACED, st.sampled_from(["balance", "moves", "consolidate"]), quick=15, campaign=300)
def test_no_optimum_changes(cluster, objective):
    move = objective == "moves"
    solution = vmplace.place(cluster, objective=objective, move_running=move)
    with without_presolve():
        whole = vmplace.place(cluster, objective=objective, move_running=move)
    assert (solution.status, solution.objective) == (whole.status, whole.objective)
    if solution.placement is not None:
        assert World(cluster).all_survivable(solution.placement) or solution.powered or solution.unsolved
        assert vmplace.audit_result(cluster, solution.to_dict()).violations == ()
