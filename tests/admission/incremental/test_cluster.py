import pytest
from attrs import evolve

from vmplace import VM, Apart, Cluster, Guarantee, Node
from vmplace.admission.incremental.cluster import LiveCluster
from vmplace.solvers.budget import Budget

CLUSTER = Cluster([Node("a0", 8), Node("b0", 8, pool="b"), Node("a1", 8)], [VM("v", 4, "a1"), VM("w", 4, "b0", pool="b")])


def test_pools_are_kept_apart():
    live = LiveCluster.of(CLUSTER, budget=Budget())
    assert live.verdicts(budget=Budget()) == {"a0": "safe", "a1": "safe", "b0": "unsafe"}
    survey = live.survey(VM("x", 4), waits=False, score="tightest", budget=Budget())
    assert (survey.known.names, survey.known.scores.tolist()) == (["a0", "a1"], [4, 0])


@pytest.mark.parametrize(
    "changed",
    [
        {"guarantee": Guarantee(failures=2)},
        {"guarantee": Guarantee(failures=0)},
        {"guarantee": Guarantee(restart="any-order")},
        {"guarantee": Guarantee(policy="first-fit")},
        {"rules": [Apart(["v"])]},
        {"vms": [VM("v", 4, "a1", evictable=True)]},
        {"vms": [VM("v", 4, "a1", target="a0")]},
        {"vms": [VM("v", 4, resources={"vcpu": 1})]},
        {"guarantee": Guarantee(scope="domain"), "nodes": [Node("a0", 8, domain="r"), Node("a1", 8, domain="r")], "vms": []},
        {"guarantee": Guarantee(scope="domain"), "nodes": [Node("a0", 8, domain="r"), Node("a1", 8, domain="s")], "vms": []},
    ],
)
def test_what_more_than_memory_binds_is_not_live(changed):
    assert LiveCluster.of(evolve(CLUSTER, **changed), budget=Budget()) is None
