"""How many nodes: equal to brute force on small clusters of every kind, with a witness that the audit accepts."""

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from tests.brute import World
from tests.test_guarantees import FEATURES
from vmplace import Cluster, InputError, Node, Tag
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
    return World(cluster).optimum("moves") is not None


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
    planned = cluster.guarantee.restart == "planned" and cluster.guarantee.policy is None
    if planned and cluster.guarantee.sequence == "at-once":
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


@settings(max_examples=60, deadline=None, derandomize=True)
@given(asked())
def test_the_number_is_that_of_brute_force(drawn):
    judged(drawn)


@pytest.mark.parametrize("feature", FEATURES)
def test_it_is_for_every_kind_of_guarantee(feature):
    settings(max_examples=12, deadline=None, derandomize=True)(given(asked(**FEATURES[feature]))(judged))()


@pytest.mark.slow
@pytest.mark.parametrize("feature", ["plain", *FEATURES])
def test_it_is_on_many_clusters(feature):
    settings(max_examples=150, deadline=None, derandomize=True)(given(asked(**FEATURES.get(feature, {})))(judged))()
