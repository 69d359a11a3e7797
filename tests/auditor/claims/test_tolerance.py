"""How many failures are survived: the numbers follow from those of the pools, and the reports have to show them."""

import copy

import pytest

import vmplace
from vmplace import VM, Cluster, Guarantee, Node

CLUSTER = Cluster([Node(name, 10) for name in "abc"], [VM("v", 2, "a"), VM("w", 2, "b")])
SEVERAL = Cluster(CLUSTER.nodes, CLUSTER.vms, (), [Guarantee(), Guarantee(failures=2)])


def reported(failures):
    return vmplace.check(Cluster(CLUSTER.nodes, CLUSTER.vms, (), Guarantee(failures=failures))).to_dict()


def told(status, number, **reports):
    numbers = {"count": number, "bound": number}
    return vmplace.tolerance(CLUSTER).to_dict() | {"status": status, **numbers, "pools": {"default": numbers}, **reports}


def wrong(cluster, document):
    return [(v.subject, v.message) for v in vmplace.audit_result(cluster, document).violations]


def test_a_number_that_is_too_low_is_refuted_by_its_own_reports():
    assert wrong(CLUSTER, told("optimal", 2)) == []
    low = told("optimal", 0, report=reported(0), beyond=reported(1))
    assert wrong(CLUSTER, low) == [("beyond", "is not unsafe, but a report on 1 failure has to be")]
    none = told("infeasible", None, report=reported(0), beyond=None)
    assert wrong(CLUSTER, none) == [("report", "is not unsafe, but a report on 0 failures has to be")]


def test_a_report_on_more_failures_than_there_are_nodes_shows_nothing():
    cluster = Cluster([Node(name, 10) for name in "ab"], [VM("v", 2, "a", protected=False)])
    document = vmplace.tolerance(cluster).to_dict()
    assert (document["count"], document["bound"]) == (2, 2)
    audit = vmplace.audit_result(cluster, document)
    assert audit.violations == ()
    assert any(left.claim == "bound" and "shows nothing" in left.reason for left in audit.unchecked)


def test_a_pool_of_which_less_is_known_counts():
    document = told("optimal", 2) | {"pools": {"default": {"count": None, "bound": 2}}}
    assert wrong(CLUSTER, document) == [("count", "says 2; None is right")]
    assert wrong(CLUSTER, told("optimal", 2) | {"pools": {}}) == [("pools", "says []; ['default'] is right")]


@pytest.mark.parametrize("gone", ["count", "bound", "pools", "scope"])
def test_what_an_answer_leaves_out_is_refuted(gone):
    document = copy.deepcopy(vmplace.tolerance(SEVERAL).to_dict())
    assert wrong(SEVERAL, document) == []
    del document["guarantees"][0][gone]
    assert wrong(SEVERAL, document)
