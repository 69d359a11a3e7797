"""The main job on real traces; skipped where the folder with them is absent."""

import pytest

import vmplace
from benchmarks.data import FOLDER, azure_arrivals, huawei_requests
from vmplace import Status

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=f"the traces are not in {FOLDER} (set VMPLACE_DATA)")


def test_azure_arrivals_on_the_fewest_nodes():
    cluster = azure_arrivals(2_000, nodes=60)
    solution = vmplace.place(cluster, objective="consolidate", time_limit=60)
    assert solution.status is Status.OPTIMAL
    assert solution.guarantee is Status.SAFE
    need = sum(vm.memory for vm in cluster.vms)
    node = cluster.nodes[0].usable
    # No placement uses fewer than one node more than the memory fills: the proof, told by hand.
    assert solution.objective == len(solution.powered) == -(-need // node) + 1
    assert vmplace.audit(cluster, solution.placement, solution.failover, powered=solution.powered) == []


@pytest.mark.slow
def test_huawei_requests_with_their_groups_as_rules():
    pytest.importorskip("openpyxl")
    pytest.importorskip("xlrd")
    cluster = huawei_requests(nodes=655)
    solution = vmplace.place(cluster, time_limit=60)
    assert solution.guarantee is Status.SAFE
    assert vmplace.audit(cluster, solution.placement, solution.failover) == []
    kinds = {(rule.kind, getattr(rule, "scope", "node")) for rule in cluster.rules if rule.must}
    assert kinds == {(kind, "node") for kind in ("apart", "together", "only-on", "not-on")} | {("apart", "domain")}
    # Every must is kept (the audit says so); of the others only those are broken that nothing could keep.
    assert {broken.rule for broken in solution.broken_rules} == {n for n, rule in enumerate(cluster.rules) if not rule.must}
