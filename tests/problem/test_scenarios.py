from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.problem.compile import compile_problem
from vmplace.problem.scenarios import Scenarios
from vmplace.problem.state import PlacementState
from vmplace.testing import clusters

wide = clusters(max_nodes=6, max_vms=6, placed="all", failures=(1, 2, 2, 3, 4), domains=True, rules=False)


def failures(nodes, k=1, scope="node", vms=()):
    problem = compile_problem(Cluster(nodes, vms, guarantee=Guarantee(failures=k, scope=scope)))
    return PlacementState.of(problem, problem.node_of).scenarios


def plain(count):
    return [Node(f"n{i}", 10) for i in range(count)]


def keys(found):
    return [found.key(scenario) for scenario in range(len(found))]


# Which sets there are


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_all_sets_of_k_in_order(k):
    assert keys(failures(plain(5), k)) == list(combinations(range(5), k))


@pytest.mark.parametrize("k", [4, 5, 1000])
def test_where_there_are_no_more_than_k_all_fail_at_once(k):
    found = failures(plain(4), k)
    assert keys(found) == [(0, 1, 2, 3)]
    assert (found.total, found.complete) == (1, True)
    assert found.units.shape[1] <= 4 + 1


@pytest.mark.parametrize(("nodes", "k"), [([], 1), ([], 3), (plain(3), 0), ([Node("n", 9, state="offline")], 2)])
def test_where_nothing_can_fail_there_is_no_scenario(nodes, k):
    found = failures(nodes, k)
    assert (len(found), found.total, found.complete) == (0, 0, True)
    assert found.sums(np.zeros(len(nodes), dtype=np.int64)).tolist() == []
    assert found.largest(np.zeros(len(nodes), dtype=np.int64)).tolist() == []
    assert found.any(np.zeros(len(nodes), dtype=bool)).tolist() == []


def test_pools_fail_each_for_itself_and_short_sets_are_padded():
    nodes = [Node(f"{pool}{i}", 10, pool=pool) for i, pool in enumerate("abaabc")]
    found = failures(nodes, 2)
    # In the order of the units that fail, a shorter set before those that begin like it.
    assert keys(found) == [(0, 2), (0, 3), (1, 4), (2, 3), (5,)]
    assert found.units.tolist()[-1] == [5, -1]
    assert found.pool.tolist() == [0, 0, 1, 0, 2]
    assert found.failing(4).tolist() == [5]


def test_a_maintenance_node_fails_where_it_hosts_a_vm_and_not_for_a_migration_towards_it():
    nodes = [*plain(2), Node("m", 10, state="maintenance"), Node("t", 10, state="maintenance")]
    vms = [VM("a", 1, "m"), VM("b", 1, "n0", target="t")]
    assert keys(failures(nodes, 2, vms=vms)) == [(0, 1), (0, 2), (1, 2)]


def test_domains_fail_as_one_and_a_node_without_is_one_of_its_own():
    nodes = [Node("a", 9, domain="r"), Node("b", 9), Node("c", 9, domain="r", state="offline"), Node("d", 9, domain="s")]
    found = failures(nodes, 1, "domain")
    assert [found.failing(scenario).tolist() for scenario in range(3)] == [[0, 2], [1], [3]]
    assert [sorted(n for n in row if n >= 0) for row in found.nodes.tolist()] == [[0, 2], [1], [3]]
    both = failures(nodes, 2, "domain")
    assert [both.failing(scenario).tolist() for scenario in range(3)] == [[0, 1, 2], [0, 2, 3], [1, 3]]


def test_a_domain_in_two_pools_is_two_units():
    nodes = [Node(f"n{i}", 9, pool=pool, domain="r") for i, pool in enumerate("abab")]
    found = failures(nodes, 1, "domain")
    assert [found.failing(scenario).tolist() for scenario in range(2)] == [[0, 2], [1, 3]]


@settings(max_examples=30, deadline=None)
@given(wide)
def test_scenarios_are_those_of_the_oracle(cluster):
    world, problem = World(cluster), compile_problem(cluster)
    found = PlacementState.of(problem, problem.node_of).scenarios
    index = {node.name: i for i, node in enumerate(cluster.nodes)}
    expected = {
        frozenset(index[name] for name in failure.nodes) for parts in world.failures(world.now).values() for failure in parts
    }
    # The oracle leaves out the nodes of a unit that could not fail by themselves.
    able = {index[node] for units in world.hosts(world.now).values() for nodes in units.values() for node in nodes}
    told = [frozenset(found.failing(scenario).tolist()) & able for scenario in range(len(found))]
    assert set(told) == expected
    assert len(told) == len(expected) == found.total
    assert keys(found) == sorted(keys(found))
    assert {key: number for number, key in enumerate(keys(found))} == found.number


# What they add up


@settings(max_examples=80, deadline=None)
@given(wide, st.data())
def test_sums_and_maxima_as_counted_one_by_one(cluster, data):
    problem = compile_problem(cluster)
    found = PlacementState.of(problem, problem.node_of).scenarios
    n_nodes = problem.n_nodes
    amounts = np.array(data.draw(st.lists(st.integers(0, 9), min_size=n_nodes, max_size=n_nodes)), dtype=np.int64)
    failing = [found.failing(scenario).tolist() for scenario in range(len(found))]
    assert found.sums(amounts).tolist() == [sum(amounts[i] for i in nodes) for nodes in failing]
    assert found.largest(amounts).tolist() == [max((amounts[i] for i in nodes), default=0) for nodes in failing]
    assert found.any(amounts > 5).tolist() == [any(amounts[i] > 5 for i in nodes) for nodes in failing]
    assert found.simple == all(len(key) == 1 for key in keys(found)) or problem.failures > 1
    if len(found):
        scenarios, nodes = (grid.ravel() for grid in np.meshgrid(np.arange(len(found)), np.arange(n_nodes)))
        pairs = zip(scenarios.tolist(), nodes.tolist(), strict=True)
        assert found.hit(scenarios, nodes).tolist() == [node in failing[scenario] for scenario, node in pairs]


# Where they are too many


@pytest.fixture
def few(monkeypatch):
    """Have no more than ten looked at."""
    monkeypatch.setattr("vmplace.problem.scenarios.MOST_SCENARIOS", 10)


def weighted(k, weight):
    problem = compile_problem(Cluster(plain(len(weight)), guarantee=Guarantee(failures=k)))
    return Scenarios.of(problem, np.ones(len(weight), dtype=bool), np.array(weight, dtype=np.int64))


@pytest.mark.parametrize(
    ("k", "weight", "kept"),
    [
        (2, (1, 9, 2, 8, 3, 7, 4, 5), (1, 3, 5, 6, 7)),
        (3, (5, 1, 5, 5, 5, 5), (0, 2, 3, 4, 5)),
        (2, (0, 0, 0, 0, 0, 0), (0, 1, 2, 3, 4)),
    ],
)
@pytest.mark.usefixtures("few")
def test_the_sets_of_those_that_displace_most_are_kept(k, weight, kept):
    found = weighted(k, weight)
    assert keys(found) == list(combinations(kept, k))
    assert found.total > len(found) == 10
    assert not found.complete


@pytest.mark.usefixtures("few")
def test_each_pool_has_its_share():
    nodes = [Node(f"{pool}{i}", 10, pool=pool) for pool in "ab" for i in range(6)]
    found = failures(nodes, 2, vms=[VM("v", 5, "a3", pool="a"), VM("w", 5, "b5", pool="b")])
    assert found.total == 30
    assert [sum(pool == p for p in found.pool.tolist()) for pool in (0, 1)] == [3, 3]
    assert {3, 11} <= {unit for key in keys(found) for unit in key}


def test_single_failures_are_never_too_many(few):
    assert failures(plain(30)).complete


@pytest.mark.usefixtures("few")
def test_what_was_not_looked_at_is_never_called_safe():
    # Nothing is short of room but for the failure of both light nodes, which is not among those looked at.
    nodes = [*(Node(f"n{i}", 100) for i in range(8)), Node("lic-1", 100), Node("lic-2", 100)]
    vms = [*(VM(f"v{i}", 20, f"n{i}") for i in range(8)), VM("lic", 1, "lic-1")]
    rules = [vmplace.OnlyOn(["lic"], ["lic-1", "lic-2"])]
    report = vmplace.check(Cluster(nodes, vms, rules, Guarantee(failures=2)))
    assert report.status == "unknown"
    assert all(scenario.status == "safe" for scenario in report.scenarios.values())
    assert vmplace.place(Cluster(nodes, vms, rules, Guarantee(failures=2)), time_limit=5).status != "optimal"


@pytest.mark.usefixtures("few")
def test_what_is_unsafe_among_them_is_unsafe():
    nodes, vms = plain(8), [VM(f"v{i}", 8, f"n{i}") for i in range(8)]
    assert vmplace.check(Cluster(nodes, vms, guarantee=Guarantee(failures=2))).status == "unsafe"


@pytest.mark.parametrize(("units", "k"), [(2000, 1000), (3000, 2), (300, 290), (60, 30)])
def test_so_many_that_none_could_list_them_take_little_memory(units, k):
    found = weighted(k, [1] * units)
    assert not found.complete
    assert found.units.nbytes < 64 * 2**20


def test_more_failures_than_anyone_has_nodes_take_none():
    assert failures(plain(3), 10**9).units.nbytes < 1000


@pytest.mark.parametrize(("count", "k"), [(500, 490), (2000, 1990)])
def test_what_is_looked_at_of_too_many_are_sets_of_k(count, k):
    found = failures(plain(count), k, vms=[VM("a", 8, "n3")])
    assert not found.complete
    assert {len(key) for key in keys(found)} == {k}
    solution = vmplace.place(Cluster(plain(count), [VM("a", 8)], guarantee=Guarantee(failures=k)), method="greedy")
    assert solution.guarantee == "safe"
