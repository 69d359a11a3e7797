"""Failure scenarios: units, hosts, keys and their order."""

import pytest
from hypothesis import given, settings

import vmplace.auditor.scenarios
from tests.support.brute import World
from vmplace.auditor.audit import audit
from vmplace.auditor.case import Case
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node
from vmplace.model.errors import InputError
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters


def scenarios(nodes, vms=(), placement=None, *, powered=None, drained=(), **guarantee):
    cluster = Cluster(nodes, vms, (), Guarantee(**guarantee))
    placement = {vm.name: vm.node for vm in vms} if placement is None else placement
    return AuditedScenarios.of(Case(cluster, placement, powered, drained))


def racked(*domains, **more):
    return [Node(f"n{i}", 10, domain=domain, **more) for i, domain in enumerate(domains, 1)]


@pytest.mark.parametrize(
    ("failures", "keys"),
    [
        (0, []),
        (1, ["n1", "n2", "n3"]),
        (2, ["n1+n2", "n1+n3", "n2+n3"]),
        (3, ["n1+n2+n3"]),
        (7, ["n1+n2+n3"]),
    ],
)
def test_exactly_so_many_fail_or_all_there_are(failures, keys):
    assert scenarios(racked(None, None, None), failures=failures).keys == keys


def test_nodes_of_a_domain_fail_as_one_and_others_alone():
    nodes = racked("b", None, "a", "b", "a")
    assert scenarios(nodes, scope="domain").keys == ["b", "n2", "a"]
    assert scenarios(nodes, scope="domain", failures=2).keys == ["b+n2", "b+a", "n2+a"]
    assert scenarios(nodes).keys == ["n1", "n2", "n3", "n4", "n5"]


def test_pools_fail_each_by_itself_in_document_order():
    nodes = [Node("n1", 1, pool="q"), Node("n2", 1), Node("n3", 1, pool="q"), Node("n4", 1), Node("n5", 1, pool="z")]
    assert scenarios(nodes, failures=2).keys == ["n1+n3", "n2+n4", "n5"]


def test_a_domain_in_two_pools_has_one_key_and_one_place_in_the_order():
    nodes = [
        Node("n1", 1, domain="a", pool="p"),
        Node("n2", 1, domain="b", pool="p"),
        Node("n3", 1, domain="b", pool="q"),
        Node("n4", 1, domain="a", pool="q"),
    ]
    by_key = scenarios(nodes, scope="domain").by_key
    assert {key: len(of_pools) for key, of_pools in by_key.items()} == {"a": 2, "b": 2}
    assert list(scenarios(nodes, scope="domain", failures=2).by_key) == ["a+b"]


@pytest.mark.parametrize(
    ("vms", "keys"),
    [
        ([], ["n1"]),
        ([VM("a", 1, "m1")], ["n1", "m1"]),
        ([VM("a", 1, "m1", running=False)], ["n1"]),
        ([VM("a", 1, "n1", target="m1")], ["n1"]),
        ([VM("a", 1, "m1", protected=False)], ["n1", "m1"]),
        ([VM("a", 1, "m1", evictable=True)], ["n1", "m1"]),
    ],
    ids=["empty", "hosting", "stopped", "a target", "unprotected", "evictable"],
)
def test_a_maintenance_node_fails_if_it_hosts(vms, keys):
    nodes = [Node("n1", 10), Node("m1", 10, state="maintenance"), Node("off", 10, state="offline")]
    assert scenarios(nodes, vms).keys == keys


def test_a_domain_is_a_host_if_any_of_its_nodes_is():
    nodes = [Node("n1", 10, domain="a", state="offline"), Node("n2", 10, domain="a"), Node("n3", 10, domain="b", state="offline")]
    found = scenarios(nodes, scope="domain")
    assert found.keys == ["a"]
    assert found.unit.tolist() == [-1, 0, -1, -1]


def test_what_is_drained_or_not_powered_does_not_fail():
    nodes = racked(None, None, None)
    assert scenarios(nodes, powered=["n1", "n2"]).keys == ["n1", "n2"]
    assert scenarios(nodes, drained=["n1"], failures=2).keys == ["n2+n3"]


def test_a_node_called_like_a_domain_is_refused_where_domains_fail():
    nodes = [Node("n1", 1, domain="n2"), Node("n2", 1)]
    assert scenarios(nodes).keys == ["n1", "n2"]
    with pytest.raises(InputError, match=r"^nodes\[1\]\.name: 'n2' is the name of a failure domain, too"):
        audit(Cluster(nodes, (), (), Guarantee(scope="domain")), {})
    assert scenarios([Node("n1", 1, domain="n1"), Node("n2", 1)], scope="domain").keys == ["n1", "n2"]


def test_a_pool_of_too_many_scenarios_is_not_told(monkeypatch):
    monkeypatch.setattr(vmplace.auditor.scenarios, "MOST_SCENARIOS", 7)
    nodes = [*(Node(f"n{i}", 1) for i in range(4)), *(Node(f"q{i}", 1, pool="q") for i in range(2))]
    found = scenarios(nodes, failures=2)
    assert found.keys == ["n0+n1", "n0+n2", "n0+n3", "n1+n2", "n1+n3", "n2+n3", "q0+q1"]
    assert not found.crowded
    found = scenarios([*nodes, Node("n4", 1)], failures=2)
    assert found.keys == ["q0+q1"]
    assert [hosts.tolist() for hosts in found.crowded] == [[0, 1, 2, 3, 6]]
    assert [found.is_crowded(key) for key in ("n0+n4", "n4+n0", "n0", "n0+n0", "n0+q0", "q0+q1", "n0+x", "n0+n1+n2")] == [
        True,
        *[False] * 7,
    ]
    assert len(scenarios([Node(f"n{i}", 1) for i in range(9)]).keys) == 9  # single failures are never too many


@settings(max_examples=60, deadline=None)
@given(clusters(max_nodes=6, domains=True, targets=True, failures=(0, 1, 2, 3)))
def test_keys_are_those_of_the_oracle(cluster):
    world = World(cluster)
    found = AuditedScenarios.of(Case(cluster, world.now, None, ()))
    assert sorted(found.by_key) == sorted(world.scenarios(world.now))  # a domain in two pools may come later
    for key, failures in world.failures(world.now).items():
        pools = {cluster.nodes.pool.words.index(failure.pool) if cluster.nodes else 0 for failure in failures}
        assert len(found.by_key[key]) == len(pools) == len(failures)
