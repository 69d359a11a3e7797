import numpy as np
import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn
from vmplace.failover.planned.batch import plan_together
from vmplace.failover.planned.columns import RestartColumns
from vmplace.model.labels import Numbered


def test_a_rule_that_spans_pools_condemns_only_where_it_is_broken():
    nodes = [Node("a1", 8), Node("a2", 8), *(Node(f"b{i}", 8, pool="b") for i in (1, 2))]
    vms = [VM("x", 4, "a1"), VM("y", 4, "b1", pool="b"), VM("z", 4, "b1", pool="b")]
    report = vmplace.check(Cluster(nodes, vms, [Apart(["x", "y", "z"])]))
    assert report.status == "unsafe"
    assert report.pools == {"default": "safe", "b": "unsafe"}


def test_only_the_pool_of_the_vm_on_a_wrong_node_is_condemned():
    nodes = [Node("a1", 8), Node("a2", 8), *(Node(f"b{i}", 8, pool="b") for i in (1, 2, 3))]
    vms = [VM("x", 4, "a2"), VM("y", 4, "b1", pool="b")]
    report = vmplace.check(Cluster(nodes, vms, [NotOn(["x", "y"], ["b1"])]))
    assert report.pools == {"default": "safe", "b": "unsafe"}


def test_one_bad_pool_does_not_condemn_another():
    nodes = [Node("a1", 8), Node("a2", 8), Node("lone", 8, pool="b")]
    report = vmplace.check(Cluster(nodes, [VM("x", 4, "a1"), VM("y", 4, "lone", pool="b")]))
    assert report.pools == {"default": "safe", "b": "unsafe"}
    (left_out,) = report.unprotected
    assert left_out.vms == ("y",)
    assert left_out.minimal
    assert "a single node can never be N+1" in left_out.reason


def test_a_failure_that_time_ends_for_in_one_pool_lists_what_it_displaces_there():
    """It is unsafe for the other pool already, so its plan is shown, and what that does not restart is named."""
    nodes = [Node("n0", 1), Node("n1", 1, domain="rack"), Node("n2", 3, domain="rack", pool="second")]
    vms = [VM("v0", 3, "n0"), VM("v1", 3, "n1"), VM("v2", 3, "n2", pool="second")]
    cluster = Cluster(nodes, vms, guarantee=Guarantee(scope="domain"))
    report = vmplace.check(cluster, time_limit=0)
    assert report.pools == {"default": "unsafe", "second": "unknown"}
    known, open_ = (loss for loss in report.unprotected if loss.scenario == "rack")
    assert (known.vms, known.minimal) == (("v1",), True)
    assert (open_.vms, open_.minimal) == (("v2",), False)
    assert open_.reason == "time ended before it was known whether v2 on rack can restart"
    assert vmplace.audit_result(cluster, report.to_dict()).violations == ()


def test_what_is_stopped_for_a_restart_degrades_nothing():
    nodes = [Node("n0", 32, resources={"cpu": 32}), Node("n1", 10, resources={"cpu": 10})]
    vms = [
        VM("v", 10, "n0", resources={"cpu": 10}),
        VM("low", 6, "n1", evictable=True, protected=False, resources={"cpu": 1}),
    ]
    assert vmplace.check(Cluster(nodes, vms, soft_resources=["cpu"])).warnings == ()
    over = [nodes[0], evolve(nodes[1], resources={"cpu": 9})]
    assert vmplace.check(Cluster(over, vms, soft_resources=["cpu"])).warnings == (
        "if n0 fails, n1 is degraded: 10 cpu in use of 9",
    )


def spread(nodes=40, vms=400):
    """Far more room than any failure needs: no plan is needed to tell so."""
    memory, where = np.full(vms, 8), np.arange(vms) % nodes
    return Cluster.from_arrays(node_memory=np.full(nodes, 160), vm_memory=memory, vm_node=where)


def test_an_overfull_node_costs_no_name_of_a_vm_that_has_nothing_to_do_with_it(monkeypatch):
    def named(names):
        assert names.prefix == "n", "there may be millions of VMs"
        return (f"{names.prefix}{i}" for i in range(names.size))

    monkeypatch.setattr(Numbered, "__iter__", named)
    memory = np.full(400, 8)
    memory[[3, 8]] = 150
    report = vmplace.check(Cluster.from_arrays(node_memory=np.full(40, 160), vm_memory=memory, vm_node=np.arange(400) % 40))
    assert [violation.subject for violation in report.violations] == ["n3", "n8"]
    assert report.pools == {"default": "unsafe"}


def test_plans_are_made_when_asked_for(monkeypatch):
    made = []
    monkeypatch.setattr("vmplace.failover.verdict.plan_together", lambda *args: made.append(args) or plan_together(*args))
    report = vmplace.check(spread())
    assert report.status == "safe"
    assert set(report.stats["scenarios"]) == {"certificate"}
    assert not made
    assert len(report.failover["n7"]) == 10
    assert len(report.failover) == len(report.scenarios) == 40
    assert vmplace.audit(spread(), report.node_of, report.backup_of) == []
    assert vmplace.audit(spread(), report.placement, report.failover) == []
    assert len(made) == 1


def test_a_plan_that_fails_its_audit_is_not_shown(monkeypatch):
    report = vmplace.check(spread())
    monkeypatch.setattr(
        "vmplace.failover.verdict.plan_together",
        lambda now, _: RestartColumns(now.node_of, np.arange(len(now.node_of)), now.node_of),
    )
    with pytest.raises(RuntimeError, match="failed its audit"):
        report.failover["n0"]


def test_scenarios_and_plans_are_mappings_in_document_order():
    report = vmplace.check(spread(nodes=12, vms=24))
    assert list(report.scenarios) == list(report.failover) == [f"n{i}" for i in range(12)]
    assert report.scenarios["n3"].displaced == 16
    assert "n12" not in report.scenarios
    assert "n12" not in report.failover
    assert repr(report.scenarios) == repr(dict(report.scenarios))
    assert repr(report.failover) == repr(dict(report.failover))
