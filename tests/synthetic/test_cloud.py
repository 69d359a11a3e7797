"""The profile cloud: what it has, how often, and that the placement keeps its own rules."""

import json
from collections import Counter

import numpy as np
import pytest

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.synthetic import generate

METHODS = ["worst-fit", "best-fit"]


def made(nodes: int = 60, **wanted) -> Cluster:
    return generate(**{"nodes": nodes, "fill": 0.85, "profile": "cloud", "seed": 1, **wanted})


@pytest.mark.parametrize("placed", METHODS)
@pytest.mark.parametrize("wanted", [{}, {"mixed": True}, {"overcommit": 2}, {"fill": 1.5}])
def test_every_must_rule_is_kept_and_no_node_overfull(placed, wanted):
    """Read off the document, object by object."""
    cluster = made(placed=placed, **wanted)
    nodes, running = {node.name: node for node in cluster.nodes}, {vm.name: vm for vm in cluster.vms if vm.running and vm.node}
    used = Counter()
    for vm in running.values():
        used.update({(vm.node, "memory"): vm.memory, **{(vm.node, name): amount for name, amount in vm.resources.items()}})
    for (node, name), amount in used.items():
        there = nodes[node].memory if name == "memory" else nodes[node].resources[name] * cluster.overcommit.get(name, 1)
        assert amount <= there
    for rule in cluster.rules:
        if rule.kind == "only-on":
            assert all(rule.nodes.tag in nodes[vm.node].tags for vm in running.values() if rule.vms.tag in vm.tags)
        elif rule.must:
            hosts = [running[name].node for name in rule.vms if name in running]
            places = [nodes[host].domain for host in hosts] if getattr(rule, "scope", "") == "domain" else hosts
            assert len(set(places)) == (len(places) if rule.kind == "apart" else 1)


def test_soft_groups_are_kept_as_far_as_they_go():
    """Those apart are spread evenly over nodes or racks, those together are on one node where there was room for them."""
    cluster = made(30)
    hosts = {vm.name: cluster.node(vm.node) for vm in cluster.vms if vm.running and vm.node}
    spreads, whole = 0, []
    for rule in cluster.rules:
        if rule.must:
            continue
        if rule.kind == "apart":
            places = [hosts[name].domain if rule.scope == "domain" else hosts[name].name for name in rule.vms if name in hosts]
            crowds = Counter(places).values()
            assert max(crowds) <= -(-len(rule.vms) // (30 if rule.scope == "node" else len(cluster.nodes.domain.words)))
            spreads += 1
        else:
            whole.append(len({hosts[name].name for name in rule.vms if name in hosts}) == 1)
    assert spreads > 10
    assert np.mean(whole) > 0.6


@pytest.mark.parametrize("placed", METHODS)
def test_check_and_audit_find_nothing_broken(placed):
    cluster = made(9, placed=placed)
    report = vmplace.check(cluster)
    assert (report.violations, report.waiting != ()) == ((), True)
    flaws = [flaw for flaw in vmplace.audit(cluster, cluster.vms.node) if flaw.kind != "unverified"]
    assert [(flaw.kind, flaw.subject) for flaw in flaws] == [("placement", name) for name in report.waiting]


def test_little_waits_but_what_is_to_wait():
    for placed in METHODS:
        vms = made(500, placed=placed).vms
        waiting = vms.running & (vms.node < 0)
        assert waiting.mean() == pytest.approx(1 / 200, rel=0.3)
    assert (made(placed="none").vms.node == -1).all()


def test_where_nothing_waits_there_is_room_for_restarts():
    cluster = made(24)
    vms = cluster.vms.rows(np.flatnonzero(~cluster.vms.running | (cluster.vms.node >= 0)))
    report = vmplace.check(vmplace.Cluster(cluster.nodes, vms, cluster.rules, overcommit=cluster.overcommit))
    assert report.status == "safe"


def test_flavours_have_the_processors_of_the_public_cloud():
    cluster = made(300)
    vcpus = cluster.vms.amounts()["vcpu"]
    flavours = set(zip(vcpus.tolist(), cluster.vms.memory.tolist(), strict=True))
    assert {(1, 768), (1, 1792), (2, 3584), (4, 7168), (8, 14336), (8, 57344)} <= flavours
    large = vcpus[cluster.vms.memory == 14336]
    assert (large == 8).mean() > 0.99
    assert vcpus.sum() / cluster.vms.memory.sum() * 1024 == pytest.approx(0.42, abs=0.02)
    assert set(cluster.nodes.amounts()["vcpu"].tolist()) == {96}
    assert (generate(nodes=300, fill=0.85, seed=1).vms.memory == cluster.vms.memory[cluster.vms.running]).all()


def test_processors_of_mixed_nodes_go_with_their_memory():
    nodes = made(8, mixed=True).nodes
    assert nodes.amounts()["vcpu"].tolist() == [96, 48, 96, 192] * 2


def test_groups_are_as_frequent_and_as_large_as_in_the_traces():
    cluster = made(1_000, placed="none")
    count = int(cluster.vms.running.sum())
    groups = {
        "together": [len(rule.vms) for rule in cluster.rules if rule.kind == "together"],
        "apart": [len(rule.vms) for rule in cluster.rules if rule.kind == "apart" and rule.scope == "node"],
        "racks": [len(rule.vms) for rule in cluster.rules if rule.kind == "apart" and rule.scope == "domain"],
    }
    shares = {kind: sum(sizes) / count for kind, sizes in groups.items()}
    assert shares == pytest.approx({"together": 0.116, "apart": 0.129, "racks": 0.194}, rel=0.12)
    assert np.mean(np.array(groups["together"]) == 6) == pytest.approx(112 / 224, abs=0.05)
    assert np.mean(np.array(groups["racks"]) == 2) == pytest.approx(82 / 261, abs=0.05)
    assert max(groups["apart"]) <= 45
    assert max(groups["racks"]) <= 130
    named = [name for rule in cluster.rules if rule.kind in ("together", "apart") for name in rule.vms]
    assert len(set(named)) == len(named)


def test_a_must_can_be_kept_after_a_failure():
    cluster = made(30)
    memory, racks = dict(zip(cluster.vms.names, cluster.vms.memory.tolist(), strict=True)), len(cluster.nodes.domain.words)
    most = {
        ("together", None): lambda vms: sum(memory[vm] for vm in vms) <= 64 * 1024,
        ("apart", "node"): lambda vms: len(vms) <= 15,
        ("apart", "domain"): lambda vms: len(vms) <= racks,
    }
    kinds = set()
    for rule in cluster.rules:
        if rule.kind != "only-on":
            key = (rule.kind, getattr(rule, "scope", None))
            assert rule.must == most[key](rule.vms)
            kinds.add((*key, rule.must))
    assert len(kinds) == 6


def test_few_nodes_have_gpus_and_few_vms_need_them():
    cluster = made(200)
    there, needed = cluster.nodes.amounts()["gpu"], cluster.vms.amounts()["gpu"]
    assert (there > 0).sum() == 8
    assert set(there.tolist()) == {0, 8}
    assert 0 <= 7 * 8 // 2 - needed.sum() < 4
    hosts = cluster.vms.node[needed > 0]
    assert (there[hosts[hosts >= 0]] == 8).all()
    assert cluster.vms.memory[needed > 0].min() >= 7 * 1024


def test_licences_bind_vms_to_few_nodes():
    cluster = made(300)
    rules = [rule for rule in cluster.rules if rule.kind == "only-on"]
    assert [rule.vms for rule in rules] == [vmplace.Tag(f"licence-{number}") for number in range(3)]
    assert [len(cluster.nodes.tagged(rule.nodes.tag)) for rule in rules] == [8, 8, 8]
    bound = np.concatenate([cluster.vms.tagged(rule.vms.tag) for rule in rules])
    assert len(bound) / cluster.vms.running.sum() == pytest.approx(0.025, abs=0.005)
    apart = {name for rule in cluster.rules if rule.kind == "apart" for name in rule.vms}
    assert {cluster.vms.names[vm] for vm in bound.tolist()} & apart


def test_racks_are_as_large_as_in_the_traces():
    domains = list(made(500).nodes.domain)
    sizes = [domains.count(rack) for rack in dict.fromkeys(domains)]
    assert set(sizes[:-1]) <= {15, 16, 17, 18, 19}
    assert len(set(sizes[:-1])) == 5
    assert domains == sorted(domains, key=lambda rack: int(rack.removeprefix("rack-")))


def test_priorities_and_what_is_stopped():
    vms = made(300).vms
    assert np.bincount(vms.priority[vms.running]) / vms.running.sum() == pytest.approx([0.9, 0.1], abs=0.02)
    stopped = ~vms.running
    assert stopped.sum() == vms.running.sum() // 20
    assert (vms.node[stopped] < 0).mean() == pytest.approx(0.5, abs=0.05)


def test_it_is_written_and_read(tmp_path):
    cluster = made(9, seed=4)
    vmplace.dump(cluster, tmp_path / "cloud.json")
    assert vmplace.load(tmp_path / "cloud.json") == cluster
    assert json.loads((tmp_path / "cloud.json").read_text())["overcommit"] == {"vcpu": 4}


@pytest.mark.parametrize("nodes", [2, 3, 4, 7, 8, 16])
@pytest.mark.parametrize("fill", [0.001, 0.01, 0.2])
def test_small_ones_have_what_there_is_room_for(nodes, fill):
    for memory in ("2GiB", "64GiB"):
        cluster = made(nodes, fill=fill, node_memory=memory)
        assert len(cluster.nodes) == nodes
        assert 0 <= fill * (nodes - 1) * cluster.nodes.memory[0] - cluster.vms.memory[cluster.vms.running].sum() < 768
        assert vmplace.check(cluster).violations == ()


def test_what_a_seed_gives_never_changes():
    cluster = made(12, seed=7)
    vms, first = cluster.vms, cluster.rules[0]
    assert (len(vms), vms.amounts()["vcpu"][:8].tolist(), vms.node[:8].tolist(), first.kind, first.vms[:3]) == EXPECTED


EXPECTED = (815, [1, 4, 4, 1, 1, 4, 8, 1], [5, 9, 10, 6, 5, 1, 8, 6], "together", ("vm47", "vm50", "vm51"))


@pytest.mark.slow
def test_ten_thousand_nodes_take_seconds():
    cluster = made(10_000, fill=0.4)
    assert len(cluster.vms) > 350_000
    assert cluster.vms[5].node is not None
