"""How many failures at once are survived."""

import json

import pytest
from attrs import evolve
from hypothesis import given, settings

import vmplace
from tests.support.brute import World
from tests.support.conjunctions import alone
from vmplace import VM, Cluster, Guarantee, InputError, Node
from vmplace.cli import main
from vmplace.testing import clusters

TWO_POOLS = Cluster(
    [*(Node(f"n{i}", 100) for i in range(5)), *(Node(f"p{i}", 50, pool="q") for i in range(2))],
    [*(VM(f"v{i}", 30, f"n{i % 5}") for i in range(6)), VM("z", 10, "p0", pool="q")],
)


FEATURES = {
    "max_nodes": 4,
    "max_vms": 4,
    "placed": "all",
    "domains": True,
    "evictable": True,
    "restart": ("planned", "any-order"),
    "quorums": True,
}


def survived(cluster, pool):
    """The most failures, none fewer left out, that a pool survives; -1 for not even none."""
    units = {(cluster.guarantee.scope == "domain" and node.domain) or node.name for node in cluster.nodes if node.pool == pool}
    for failures in range(len(units) + 1):
        asked = evolve(cluster.guarantee, failures=failures, domains=0, sequence="at-once")
        if World(evolve(cluster, guarantee=asked)).verdict().pools[pool] != "safe":
            return failures - 1
    return len(units)


@settings(max_examples=60, deadline=None)
@given(clusters(**FEATURES, policies=True))
def test_it_is_the_most_that_every_number_up_to_it_is_survived(cluster):
    found = vmplace.tolerance(cluster)
    expected = {pool: survived(cluster, pool) for pool in cluster.pools}
    assert {pool: -1 if each.count is None else each.count for pool, each in found.pools.items()} == expected
    assert all(each.count == each.bound for each in found.pools.values())
    least = min(expected.values(), default=0)
    assert (found.status, found.count) == (("infeasible", None) if least < 0 else ("optimal", least))
    assert found.report is None or found.report.cluster.guarantee.failures == max(least, 0)
    assert found.beyond is None or found.beyond.cluster.guarantee.failures == least + 1


@settings(max_examples=40, deadline=None)
@given(clusters(**FEATURES, most_guarantees=3))
def test_of_several_guarantees_each_is_answered_and_the_least_counts(cluster):
    found, parts = vmplace.tolerance(cluster), alone(cluster)
    expected = [{pool: survived(part, pool) for pool in cluster.pools} for part in parts]
    each = [found] if found.guarantees is None else found.guarantees
    assert [{pool: known(own.count) for pool, own in one.pools.items()} for one in each] == expected
    assert [known(one.count) for one in each] == [min(own.values(), default=0) for own in expected]
    assert {pool: known(own.count) for pool, own in found.pools.items()} == {
        pool: min(own[pool] for own in expected) for pool in cluster.pools
    }
    assert found.count == found.bound
    assert known(found.count) == min(known(one.count) for one in each)
    assert vmplace.audit_result(cluster, json.loads(json.dumps(found.to_dict()))).status != "refuted"


def known(number):
    return -1 if number is None else number


@pytest.mark.parametrize("cheat", ["count", "bound", "scope", "pools", "status", "report", "one", "one more"])
def test_the_audit_of_several_guarantees_finds_a_wrong_claim(cheat):
    asked = evolve(TWO_POOLS, guarantee=[Guarantee(failures=4), Guarantee(vms=["v0"], restart="any-order")])
    told = vmplace.tolerance(asked).to_dict()
    assert vmplace.audit_result(asked, told).status == "confirmed"
    changes = {
        "count": {"count": 2, "status": "feasible"},
        "bound": {"bound": 2, "status": "feasible"},
        "scope": {"scope": "domain"},
        "pools": {"pools": {**told["pools"], "q": {"count": 2, "bound": 2}}},
        "status": {"status": "feasible"},
        "report": {"report": told["guarantees"][0]["report"]},
        "one": {"guarantees": [{**told["guarantees"][0], "count": 2}, told["guarantees"][1]]},
        "one more": {"guarantees": [*told["guarantees"], told["guarantees"][1]]},
    }
    assert vmplace.audit_result(asked, told | changes[cheat]).status == "refuted"


def test_the_weakest_pool_counts_and_one_may_be_chosen():
    found = vmplace.tolerance(TWO_POOLS)
    assert (found.count, found.bound) == (1, 1)
    assert {pool: each.count for pool, each in found.pools.items()} == {"default": 3, "q": 1}
    assert (found.report.status, found.beyond.status) == ("safe", "unsafe")
    assert found.beyond.scenarios["p0+p1"].status == "unsafe"
    assert vmplace.tolerance(TWO_POOLS, pool="default").count == 3
    assert vmplace.tolerance(vmplace.what_if(TWO_POOLS, guarantee={"quorum": "majority"})).count == 0
    with pytest.raises(InputError):
        vmplace.tolerance(TWO_POOLS, pool="x")


def test_without_time_there_are_bounds():
    found = vmplace.tolerance(TWO_POOLS, time_limit=0)
    assert found.status in ("unknown", "feasible")
    assert found.bound == 1
    assert {pool: each.bound for pool, each in found.pools.items()} == {"default": 3, "q": 1}


def test_where_nothing_has_to_run_everything_may_fail():
    idle = Cluster([Node("a", 8), Node("b", 8)], [VM("v", 2, "a", protected=False)], (), Guarantee(failures=7))
    assert (vmplace.tolerance(idle).count, vmplace.tolerance(Cluster([])).count) == (2, 0)


@pytest.mark.parametrize(
    ("count", "bound", "told"),
    [
        (0, 0, "0 nodes may fail: not every single failure is survived."),
        (1, 1, "1 node may fail, whichever it is, and every protected VM restarts. 2 at once may not."),
        (1, 3, "1 node may fail, whichever it is, and every protected VM restarts. 3 is the most that could be possible; "),
    ],
)
def test_the_first_line_says_how_many(count, bound, told):
    found = evolve(vmplace.tolerance(TWO_POOLS), count=count, bound=bound)
    assert found.summary().startswith(told)


def test_the_command_says_it_and_what_one_more_would_do(tmp_path, capsys):
    path = str(tmp_path / "c.json")
    vmplace.dump(TWO_POOLS, path)
    assert main(["tolerance", path, "--pool", "default"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("Any 3 nodes may fail at once, and every protected VM restarts. 4 at once may not.")
    assert "For example, if " in told
    assert "With 4 failures:" not in told
    assert main(["tolerance", path]) == 0
    assert "Pools: default 3, q 1" in capsys.readouterr().out
    vmplace.dump(evolve(TWO_POOLS, guarantee=[Guarantee(), Guarantee(vms=["v0"])]), path)
    assert main(["tolerance", path]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "Guarantee 1:",
        "  1 node may fail, whichever it is, and every protected VM restarts. 2 at once may not.",
    ]
    assert "  Any 2 nodes may fail at once, and every VM that the guarantee names restarts." in lines
    vmplace.dump(evolve(TWO_POOLS, vms=[*TWO_POOLS.vms, VM("w", 1)]), path)
    assert main(["tolerance", path]) == 1
    assert "Waiting: w" in capsys.readouterr().out
