import json
from fractions import Fraction

import numpy as np
import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Cluster, Node, Report, Scenario, Solution, Status, Together
from vmplace.results.failover import FailoverPlans

CLUSTER = Cluster([Node("a", 9), Node("b", 9)], [VM("x", 2, "a"), VM("y", 3), VM("off", 4, "b", running=False)])


def solution(**parts):
    filled = {"status": Status.FEASIBLE, "guarantee": Status.SAFE, "objective_name": "balance", **parts}
    return Solution(cluster=CLUSTER, **filled)


@pytest.mark.parametrize(
    ("value", "bound", "gap"),
    [
        (Fraction(4, 5), Fraction(3, 5), 0.25),
        (8, 8, 0.0),
        (0, 0, 0.0),
        (8, 0, 1.0),
        (8, None, None),
        (None, None, None),
        ((8, 4), (8, 3), (0.0, 0.25)),
        ((8, 4), None, None),
    ],
)
def test_gap(value, bound, gap):
    assert solution(objective=value, bound=bound).gap == gap


def test_a_status_is_its_word():
    assert str(Status.SAFE) == Status.SAFE.value == "safe" == Status.SAFE


def test_plans_are_of_decided_scenarios_and_named():
    scenarios = {"a": Scenario(Status.SAFE, "packing", 5), "b": Scenario(Status.UNKNOWN, "time", 1)}
    plans = FailoverPlans(CLUSTER, lambda: {"a": [0], "b": [1]}, np.array([0, 1]), np.array([0, 1]), np.array([1, 0]))
    found = solution(node_of=np.array([0, 1, 1]), witness=lambda: plans, scenarios=scenarios)
    assert found.backup_of.tolist() == [1, 0, -1]
    assert found.failover == {"a": {"x": "b"}}
    assert found.placement == {"x": "a", "y": "b", "off": "b"}
    assert solution().placement is None
    assert solution().failover == {}


def test_the_document():
    document = solution(node_of=np.array([1, 0, 1])).to_document()
    assert [(vm.name, vm.node, vm.running) for vm in document.vms] == [("x", "b", True), ("y", "a", True), ("off", "b", False)]
    assert evolve(document, vms=CLUSTER.vms) == CLUSTER
    with pytest.raises(ValueError, match="unknown"):
        solution(status=Status.UNKNOWN).to_document()


def test_the_document_of_columns_stays_in_columns():
    cluster = Cluster.from_arrays(node_memory=[9, 9], vm_memory=[2, 2])
    document = vmplace.place(cluster).to_document()
    assert type(document.vms) is type(cluster.vms)
    assert sorted(vm.node for vm in document.vms) == ["n0", "n1"]


KEYS = {"status", "guarantee", "placement", "failover", "unprotected", "violations", "waiting", "objective", "migrations"}
KEYS |= {"powered", "drained", "method", "stats"}


@pytest.mark.parametrize(
    "ask",
    [
        vmplace.check,
        vmplace.place,
        vmplace.repair,
        lambda c: vmplace.place(c, objective=("consolidate", "balance"), best_effort=True),
        lambda c: vmplace.place(c, time_limit=0),
        lambda c: vmplace.place(evolve(c, vms=[VM("x", 99), VM("y", 1)])),
    ],
)
def test_every_result_is_json_with_the_same_keys(ask):
    found = ask(evolve(CLUSTER, rules=[Together(["x", "y"], must=False)]))
    written = found.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert set(written) >= KEYS
    if isinstance(found, Report):
        assert written["objective"] is None
    else:
        assert set(written["objective"]) == {"name", "value", "bound", "gap"}


def test_results_are_frozen():
    with pytest.raises(AttributeError):
        vmplace.check(CLUSTER).status = Status.SAFE


@pytest.mark.parametrize("columns", [False, True])
def test_who_comes_to_another_node_is_under_way_to_none(columns):
    # A target that is the VM's own node is no migration; from another node it would be one.
    nodes, vms = [Node("n0", 9), Node("n1", 9), Node("n2", 9)], [VM("a", 6, "n0", target="n0"), VM("b", 6, "n0", target="n0")]
    cluster = Cluster(nodes, vms)
    if columns:
        cluster = Cluster(cluster.nodes, cluster.vms)
    then = vmplace.repair(cluster).to_document()
    assert vmplace.check(then).status == "safe"
    assert all(vm.target in (None, vm.node) for vm in then.vms)
