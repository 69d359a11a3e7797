"""How many nodes: equal to brute force on small clusters of every kind, with a witness that the audit accepts."""

import math
import time
from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from attrs import evolve
from hypothesis import strategies as st

import vmplace
from tests.laws.test_guarantees import FEATURES
from tests.support.campaigns import Law, both_suites
from tests.support.conjunctions import LISTS, all_planned, world_of
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, NotOn, OnlyOn, Tag
from vmplace.capacity.feasibility import Feasibility, FeasibilityOracle
from vmplace.synthetic import generate
from vmplace.testing import clusters


def fleet(cluster: Cluster, pool: str, kinds: tuple[Node, ...], counts: Mapping[str, int]) -> Cluster:
    """The pool's VMs, waiting, on so many nodes, under rules that name no node."""
    offline = {node.name for node in cluster.nodes if node.state == "offline"}
    waits = [vm for vm in cluster.vms if vm.pool == pool and (vm.running or vm.node is None or vm.node in offline)]
    names = {vm.name for vm in waits}
    rules = []
    for rule in cluster.rules:
        if isinstance(getattr(rule, "nodes", None), tuple):
            continue
        members = rule.vms if isinstance(rule.vms, Tag) else tuple(name for name in rule.vms if name in names)
        rules += [evolve(rule, vms=members)] if members else []
    nodes = [evolve(kind, name=f"{kind.name}{i}", pool=pool) for kind in kinds for i in range(counts[kind.name])]
    return evolve(cluster, nodes=nodes, vms=[evolve(vm, node=None, target=None) for vm in waits], rules=rules)


def cheapest(cluster: Cluster, pool: str, kinds: tuple[Node, ...], most: int) -> Fraction | None:
    costs = []
    for numbers in product(range(most + 1), repeat=len(kinds)):
        counts = {kind.name: number for kind, number in zip(kinds, numbers, strict=True)}
        cost = sum((kind.price * counts[kind.name] for kind in kinds), Fraction(0)) if len(kinds) > 1 else Fraction(*numbers)
        try:
            if (not costs or cost < min(costs)) and feasible(fleet(cluster, pool, kinds, counts)):
                costs.append(cost)
        except InputError:
            continue  # rules that ask for nodes which are not among these
    return min(costs, default=None)


def feasible(cluster: Cluster) -> bool:
    return world_of(cluster).optimum("moves") is not None


def equals_brute_force(cluster: Cluster, kinds: tuple[Node, ...], pool: str, most: int) -> None:
    limits = {kind.name: most for kind in kinds}
    try:
        fleet(cluster, pool, kinds, limits)
    except InputError:
        with pytest.raises(InputError):
            vmplace.size(cluster, kinds, most=limits, pool=pool)
        return
    found = vmplace.size(cluster, kinds, most=limits, pool=pool, time_limit=20)
    best = cheapest(cluster, pool, kinds, most)
    if found.status == "infeasible":
        assert best is None
    if found.status == "optimal":
        assert found.objective == best
    if found.counts is not None:
        assert best is not None
        assert found.bound <= best <= found.objective
        assert feasible(fleet(cluster, pool, kinds, found.counts))
        accepted(found)
    if all_planned(cluster):
        assert found.status in ("optimal", "infeasible")


def accepted(found: Any) -> None:
    """The witness is on these nodes, and holds."""
    assert found.solution.guarantee == "safe"
    asked = found.solution.cluster
    assert len(asked.nodes) == found.nodes == sum(found.counts.values())
    wrong = vmplace.audit(asked, found.placement, found.failover)
    assert {violation.kind for violation in wrong} <= {"unverified"}
    assert found.to_document().nodes == asked.nodes


@st.composite
def asked(draw: Any, **knobs: Any) -> tuple[Cluster, tuple[Node, ...], str, int]:
    """VMs, and one or two kinds of nodes that have room for a few of them."""
    cluster = draw(clusters(max_nodes=2, max_vms=4, min_nodes=1, **knobs))
    unit = math.gcd(*(vm.memory for vm in cluster.vms)) or 1
    largest = max((vm.memory for vm in cluster.vms), default=unit)
    tags = sorted({tag for node in cluster.nodes for tag in node.tags})
    amounts = {name: draw(st.integers(0, 6)) for thing in cluster.nodes for name in thing.resources}
    kinds = tuple(
        Node(
            name,
            largest + unit * draw(st.integers(-1, 6)) or unit,
            price=draw(st.sampled_from((1, 2, 3, 1.5))),
            tags=draw(st.sampled_from(((), tags))),
            resources=amounts,
            domain=draw(st.sampled_from((None, None, f"rack-{name}"))) if knobs.get("domains") else None,
        )
        for name in draw(st.sampled_from((("a",), ("a", "b"))))
    )
    pools = sorted({thing.pool for thing in (*cluster.nodes, *cluster.vms)})
    return cluster, kinds, draw(st.sampled_from(pools)), 4 if len(kinds) == 1 else 2


def judged(drawn: Any) -> None:
    equals_brute_force(*drawn)


LAWS = {
    "plain": Law(judged, 30, {"drawn": asked()}),
    **{name: Law(judged, 6, {"drawn": asked(**knobs)}) for name, knobs in {**FEATURES, **LISTS}.items()},
}
test_the_number_is_that_of_brute_force = both_suites(LAWS, 10)


VMS = [VM(f"v{i}", "16GiB") for i in range(8)]
EIGHT = Cluster([], VMS)


def test_fewest_nodes_of_one_size_are_a_packing_and_one_more():
    found = vmplace.size(EIGHT, "48GiB")
    assert (found.status, found.objective, found.bound, found.gap, found.nodes) == ("optimal", 4, 4, 0, 4)
    assert (found.objective_name, dict(found.counts)) == ("nodes", {"node": 4})
    accepted(found)


def test_the_nodes_there_are_do_not_count_nor_where_vms_are():
    placed = Cluster([Node("n", "1TiB"), Node("off", 8, state="offline")], [evolve(vm, node="n") for vm in VMS])
    assert vmplace.size(placed, "48GiB").objective == 4
    stopped = evolve(placed, vms=[*placed.vms, VM("s", "48GiB", "n", running=False), VM("t", "16GiB", "off", running=False)])
    found = vmplace.size(stopped, "48GiB")
    assert (found.n_vms, found.objective) == (8, 4)
    started = vmplace.size(vmplace.what_if(stopped, start=["t"]), "48GiB")
    assert (started.n_vms, started.objective) == (9, 4)


@pytest.mark.parametrize(("options", "nodes"), [({"failures": 2}, 5), ({"failures": 0}, 3), ({"headroom": 0.5}, 8)])
def test_the_guarantee_may_be_another(options, nodes):
    found = vmplace.size(vmplace.what_if(EIGHT, guarantee=options), "48GiB")
    assert (found.status, found.objective) == ("optimal", nodes)
    accepted(found)


def test_the_cheapest_of_several_kinds_within_what_there_is():
    kinds = [Node("s", "16GiB", price=1), Node("b", "64GiB", price=3.5)]
    free = vmplace.size(EIGHT, kinds)
    # Two large ones hold all, and one more may fail; small ones alone are cheaper: each holds one, and one more.
    assert (free.status, free.objective, dict(free.counts)) == ("optimal", 9, {"s": 9, "b": 0})
    assert (free.price, free.objective_name) == (9, "price")
    few = vmplace.size(EIGHT, kinds, most={"s": 3})
    assert (few.status, few.objective) == ("optimal", Fraction(21, 2))
    none = vmplace.size(EIGHT, kinds, most={"s": 3, "b": 1})
    assert (none.status, none.counts, none.nodes, none.price) == ("infeasible", None, None, None)
    assert none.to_dict()["counts"] is None
    with pytest.raises(ValueError, match="infeasible"):
        none.to_document()


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(
    ("share", "sizes"), [(0.25, [8, 8, 4, 2, 1]), ("50%", [8, 8, 4, 2, 2, 1]), (2, [8, 8, 8, 4, 4, 4, 2, 2, 2, 1, 1, 1])]
)
def test_growth_adds_its_share_of_each_size_and_larger(share, sizes, columns):
    memory = [4, 8, 1, 2]
    cluster = Cluster.from_arrays(node_memory=[64], vm_memory=memory) if columns else Cluster([], map(VM, "abcd", memory))
    found = vmplace.size(cluster, 64, growth=share)
    grown = sorted((vm.memory for vm in found.solution.cluster.vms), reverse=True)
    assert grown == sizes
    assert sum(grown) >= sum(memory) * (1 + (Fraction(1, 2) if share == "50%" else Fraction(share)))
    assert len({vm.name for vm in found.solution.cluster.vms}) == found.n_vms == len(sizes)


def test_rules_go_by_tags_and_those_that_name_nodes_are_left_out_aloud():
    vms = [VM("a", 4, "n"), VM("b", 4, "n")]
    rules = [OnlyOn(["a"], ["n"]), Apart(["a", "b"]), OnlyOn(["b"], Tag("gpu"))]
    cluster = Cluster([Node("n", 64, tags=["gpu"])], vms, rules)
    kinds = [Node("plain", 8), Node("gpu", 8, price=5, tags=["gpu"])]
    found = vmplace.size(cluster, kinds)
    # b needs a gpu node and, should it fail, another one; a goes on a third.
    assert (found.status, dict(found.counts)) == ("optimal", {"plain": 1, "gpu": 2})
    assert found.warnings == ("rules[0] (only-on) names nodes of the cluster, and is left out",)
    with pytest.raises(InputError) as refused:
        vmplace.size(cluster, kinds[:1])
    assert (refused.value.flaws[0].place, "rules[2]" in refused.value.flaws[0].message) == ("node", True)
    with pytest.raises(InputError):
        vmplace.size(evolve(cluster, rules=[NotOn(["b"], Tag("gpu"))]), kinds[1:])


def test_a_vm_larger_than_any_node_makes_it_infeasible():
    found = vmplace.size(EIGHT, "8GiB")
    assert (found.status, found.bound, found.reason.split(" needs ")[0]) == ("infeasible", None, "v0")


def test_what_all_fail_together_is_never_enough():
    racked = evolve(EIGHT, guarantee=Guarantee(scope="domain"))
    found = vmplace.size(racked, Node("n", "64GiB", domain="rack"), time_limit=20)
    assert found.status == "infeasible"
    assert vmplace.size(racked, "64GiB").warnings[0].startswith("a node without a failure domain")


def test_more_failures_than_nodes_could_be_built_for_are_left_open():
    found = vmplace.size(vmplace.what_if(EIGHT, guarantee={"failures": 10**8}), "48GiB", time_limit=2)
    assert (found.status, found.bound > 10**8) == ("unknown", True)


def test_no_vm_needs_no_node():
    found = vmplace.size(Cluster([]), "8GiB")
    assert (found.status, found.objective, found.nodes) == ("optimal", 0, 0)
    accepted(found)


def test_in_no_time_nothing_is_claimed():
    found = vmplace.size(EIGHT, "48GiB", time_limit=0)
    assert (found.status, found.counts, found.gap) == ("unknown", None, None)


def test_what_was_not_decided_is_no_proof(monkeypatch):
    thorough = FeasibilityOracle.thorough
    monkeypatch.setattr(FeasibilityOracle, "quick", lambda *_, **__: Feasibility())
    monkeypatch.setattr(
        FeasibilityOracle,
        "thorough",
        lambda self, problem, budget: thorough(self, problem, budget=budget) if problem.n_nodes > 4 else Feasibility(),
    )
    found = vmplace.size(EIGHT, "48GiB")
    assert (found.status, found.objective, found.bound) == ("feasible", 5, 4)
    assert vmplace.size(EIGHT, "48GiB", most={"node": 4}).status == "unknown"


def test_only_the_vms_of_the_pool_count():
    nodes = [Node("n1", 64, domain="r"), Node("n2", 64, pool="p", domain="r")]
    vms = [VM("a", 8, "n1"), VM("b", 8, "n2", pool="p"), VM("c", 8, "n1", running=False)]
    for rules in ([], [Apart(["a", "b"], scope="domain")]):
        found = vmplace.size(Cluster(nodes, vms, rules), 8, pool="p")
        assert (found.n_vms, found.objective) == (1, 2)
        assert {node.pool for node in found.to_document().nodes} == {"p"}


def test_thousands_of_requests_are_sized_in_seconds_to_a_node():
    cluster = generate(nodes=80, fill=0.9, profile="azure", seed=1)
    assert len(cluster.vms) > 5000
    start = time.monotonic()
    found = vmplace.size(cluster, "448GiB", time_limit=5)
    assert time.monotonic() - start < 6
    assert found.objective - found.bound <= 1
    accepted(found)


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        ({"node": "8G"}, "node"),
        ({"node": []}, "node"),
        ({"node": [Node("a", 1), Node("a", 2)]}, "node"),
        ({"node": [Node("a", 1, price=1e-9), Node("b", 2, price=999999999.123)]}, "node"),
        ({"node": 1, "most": {"x": 1}}, "most"),
        ({"node": 1, "most": {"node": -1}}, "most['node']"),
        ({"node": 1, "growth": "lots"}, "growth"),
        ({"node": 1, "growth": -0.5}, "growth"),
        ({"node": 1, "growth": True}, "growth"),
        ({"node": 1, "growth": 20}, "growth"),
        ({"node": 1, "pool": "x"}, "pool"),
        ({"node": 1, "method": "magic"}, "method"),
        ({"node": 1, "seed": -1}, "seed"),
        ({"node": 1, "time_limit": -1}, "time_limit"),
    ],
)
def test_a_wrong_argument_is_named(arguments, place):
    with pytest.raises(InputError) as refused:
        vmplace.size(EIGHT, **arguments)
    assert refused.value.flaws[0].place == place
