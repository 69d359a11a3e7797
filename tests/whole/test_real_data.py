"""The main job on real traces, and what the generator says of them; skipped where the folder with them is absent."""

import csv
from collections import Counter

import pytest

import vmplace
from benchmarks.data import FOLDER, azure_arrivals, huawei_racks, huawei_requests, huawei_sheet
from vmplace import Status
from vmplace.synthetic.groups import APART, RACKS, REQUESTS, SIZES, TOGETHER
from vmplace.synthetic.hosts import RACK_SIZES
from vmplace.synthetic.sizes import AZURE

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


def test_the_generator_has_the_flavours_of_the_trace():
    with (FOLDER / "azure-v1" / "flavor_counts.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert {(int(row["vcpu"]), int(float(row["mem_gib"]) * 1024)): int(row["count"]) for row in rows} == AZURE


def test_the_generator_has_the_groups_of_the_traces():
    pytest.importorskip("openpyxl")
    kinds = {"affinity": TOGETHER, "anti-affinity": APART, "fault_domain": RACKS}
    sizes, requests = {kind: Counter() for kind in kinds.values()}, 0
    for sequence in ("C1", "C2", "C3"):
        members = Counter()
        for _, _, _, strategy, group, _ in huawei_sheet(f"VM_data_{sequence}.xlsx"):
            requests += 1
            if strategy is not None:
                members[kinds[strategy], str(group)] += 1
        for (kind, _), count in members.items():
            sizes[kind][count] += count > 1
    assert requests == REQUESTS
    assert {kind: dict(+counted) for kind, counted in sizes.items()} == SIZES


def test_the_generator_has_the_racks_of_the_table():
    pytest.importorskip("xlrd")
    assert Counter(Counter(rack for _, rack in huawei_racks()).values()) == RACK_SIZES
