"""Bounds: those that sums reach are verified, others are listed."""

import pytest

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Node


@pytest.mark.parametrize(("bound", "listed"), [(0.4, False), (0.3, False), (0.5, True)])
def test_a_bound_above_what_sums_show_is_listed(bound, listed):
    cluster = Cluster([Node("n1", 10), Node("n2", 10)], [VM("a", 4, "n1"), VM("b", 1, "n1")])
    document = vmplace.place(cluster).to_dict()
    document |= {"status": "feasible", "objective": {"name": "balance", "value": 0.5, "bound": bound, "gap": (0.5 - bound) / 0.5}}
    audit = vmplace.audit_result(cluster, document)
    assert [v for v in audit.violations if v.subject.startswith("objective")] == []
    assert any(left.claim == "objective.bound" for left in audit.unchecked) is listed
