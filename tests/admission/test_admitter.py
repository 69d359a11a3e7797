"""An admitter call by call; `tests.laws.test_admissions` has whole sequences."""

import threading
from random import Random
from statistics import median
from time import thread_time

import numpy as np
import pytest
from attrs import evolve

import vmplace
from tests.support.admissions import WORD, after, assignments
from vmplace import VM, Admitter, Apart, Cluster, Guarantee, InputError, Node, NotFoundError, NotOn, Tag, Together
from vmplace.synthetic import generate

SAFE = Cluster([Node(f"n{i}", 12) for i in range(4)], [VM(f"v{i}", 4, f"n{i}") for i in range(4)])


@pytest.mark.parametrize("profile", ["azure", "flavors", "big-vms"])
def test_a_stream_at_the_brink_is_decided_as_fresh_checks_do(profile):
    random = Random(profile)
    cluster = generate(nodes=12, fill=0.93, profile=profile, seed=3, node_memory="256GiB")
    sizes = [vm.memory for vm in cluster.vms]
    admitter = Admitter(vmplace.place(cluster, method="greedy").to_document(), time_limit=float("inf"))
    told = set()
    for i in range(25):
        vm = VM(f"new{i}", random.choice(sizes + sorted(sizes)[-9:] * 20))
        found = admitter.admit(vm)
        told.add(found.admitted)
        if found.admitted:
            admitter.commit(vm, found.node)
            assert vmplace.check(admitter.cluster).status == "safe"
        else:
            now = admitter.cluster
            roomy = [c.node for c in admitter.candidates(vm) if c.score is not None]
            assert not any(vmplace.check(after(now, evolve(vm, node=node))).status == "safe" for node in roomy)
            admitter.remove(random.choice([vm.name for vm in now.vms]))
    assert told == {True, False}


def test_sizes_that_all_differ_are_decided_rightly_or_not_at_all():
    random = Random(1)
    cluster = generate(nodes=8, fill=0.9, profile="uniform", seed=3, node_memory="128GiB")
    sizes = [vm.memory for vm in cluster.vms]
    admitter = Admitter(vmplace.place(cluster, method="greedy").to_document(), time_limit=0.02)
    for i in range(15):
        vm = VM(f"new{i}", random.choice(sizes))
        found = admitter.admit(vm)
        if found.admitted:
            admitter.commit(vm, found.node)
            assert vmplace.check(admitter.cluster, time_limit=5).status != "unsafe"


@pytest.mark.parametrize("guarantees", [[Guarantee()], [Guarantee(), Guarantee(failures=2, vms=["v0"])]])
def test_some_nodes_are_told_as_among_all(guarantees):
    nodes = [*(Node(f"n{i}", 20) for i in range(4)), Node("p0", 20, pool="p")]
    vms = [VM("v0", 15, "n0"), VM("v1", 8, "n1"), VM("v2", 8, "n2")]
    for rules in ([], [Apart(["v0", "new"])]):
        admitter = Admitter(Cluster(nodes, vms, rules, guarantees))
        new = VM("new", 6)
        each = {candidate.node: candidate for candidate in admitter.candidates(new)}
        some = admitter.candidates(new, nodes=["p0", "n3", "n1"])
        assert list(some) == [each["p0"], each["n3"], each["n1"]]
        assert some.admitted.tolist() == [candidate.status == "admitted" for candidate in some]
        assert some.safe == (True in some.admitted.tolist())
        assert len({candidate.reason for candidate in some}) > 1
    with pytest.raises(NotFoundError, match="nodes: 'n9'"):
        admitter.candidates(new, nodes=["n0", "n9"])


def test_the_best_node_is_the_tightest_or_the_least_full():
    nodes = [Node("n0", 20), Node("n1", 30), Node("n2", 40), Node("n3", 40)]
    cluster = Cluster(nodes, [VM("v0", 10, "n0"), VM("v1", 12, "n1")])
    assert Admitter(cluster).admit(VM("new", 5)).node == "n0"
    assert Admitter(cluster, score="balance").admit(VM("new", 5)).node == "n2"
    tightest = Admitter(cluster).candidates(VM("new", 5))
    assert [c.score for c in tightest] == [5, 13, 35, 35]
    assert [c.score for c in Admitter(cluster, score="balance").candidates(VM("new", 5))] == [0.75, 17 / 30, 0.125, 0.125]


def test_a_rule_that_is_no_must_counts_before_the_score():
    cluster = Cluster(
        SAFE.nodes, [VM("a", 4, "n0"), VM("b", 1, "n1")], [Apart(["a"], must=False), NotOn(Tag("x"), ["n0"], must=False)]
    )
    found = Admitter(cluster).candidates(VM("new", 4, tags=["x"]))
    assert [c.penalty for c in found] == [1, 0, 0, 0]
    assert Admitter(cluster).admit(VM("new", 4, tags=["x"])).node == "n1"
    assert Admitter(cluster).admit(VM("new", 4)).node == "n0"


def test_all_of_several_are_admitted_or_none():
    admitter = Admitter(SAFE)
    found = admitter.admit([VM("a", 8), VM("b", 4), VM("c", 4)])
    assert found.admitted
    assert set(found.placement) == {"a", "b", "c"}
    assert admitter.cluster == SAFE
    for name, node in found.placement.items():
        assert admitter.commit(VM(name, 8 if name == "a" else 4), node).admitted
    assert vmplace.check(admitter.cluster).status == "safe"
    none = Admitter(SAFE, time_limit=20).admit([VM(f"x{i}", 4) for i in range(6)])
    assert none.status == "refused"
    assert "not all of them" in none.reason
    assert Admitter(SAFE).admit([VM("a", 1), VM("b", 11)]).reason == "no node has 11 MiB free: n0 has 8 MiB free"


def test_several_go_back_where_the_first_way_leads_nowhere():
    # On the tightest node the first would keep the second apart from both of its places.
    nodes = [Node("n0", 10), Node("n1", 11), Node("n2", 30), Node("n3", 30)]
    rules = [NotOn(Tag("only-n0"), ["n1", "n2", "n3"])]
    admitter = Admitter(Cluster(nodes, [], rules, Guarantee(failures=0)))
    found = admitter.admit([VM("a", 9), VM("b", 8, tags=["only-n0"])])
    assert found.placement == {"a": "n1", "b": "n0"}


def test_what_cannot_be_asked_of_several_leaves_nothing_behind():
    cluster = Cluster(SAFE.nodes, SAFE.vms, [Apart(Tag("x")), Together(Tag("x"))])
    admitter = Admitter(cluster)
    found = admitter.admit([VM("a", 2, tags=["x"]), VM("b", 1, tags=["x"])])
    assert (found.status, "rules[0] keeps 'a' and 'b' apart" in found.reason) == ("refused", True)
    assert admitter.cluster == cluster


def test_what_failed_waits_and_is_started_elsewhere_or_comes_back():
    admitter = Admitter(SAFE)
    assert admitter.fail("n0") == ("v0",)
    assert vmplace.check(admitter.cluster).waiting == ("v0",)
    found = admitter.admit("v0")
    assert found.admitted
    assert admitter.commit("v0", found.node).admitted
    assert vmplace.check(admitter.cluster).status == "safe"
    admitter.recover("n0")
    assert [vm.node for vm in admitter.cluster.vms if vm.name == "v0"] == [found.node]
    admitter.fail("n1")
    admitter.recover("n1")
    assert [vm.node for vm in admitter.cluster.vms if vm.name == "v1"] == ["n1"]
    assert vmplace.check(admitter.cluster).status == "safe"


def test_a_node_comes_back_in_the_state_it_failed_in():
    admitter = Admitter(evolve(SAFE, nodes=[evolve(SAFE.nodes[0], state="maintenance"), *SAFE.nodes[1:]]))
    before = admitter.cluster
    admitter.fail("n0")
    admitter.fail("n0")
    admitter.recover("n0")
    admitter.recover("n1")
    assert admitter.cluster == before


def test_names_in_rules_go_with_their_vms():
    admitter = Admitter(Cluster(SAFE.nodes, SAFE.vms, [Apart(["v0", "v1"]), NotOn(["v0"], ["n1"])]))
    admitter.remove("v0")
    assert [rule.vms for rule in admitter.cluster.rules] == [("v1",)]


def test_a_cluster_is_live_again_once_nothing_but_memory_binds_it():
    admitter = Admitter(SAFE)
    assert admitter.commit(VM("odd", 2, evictable=True), "n0").admitted
    assert admitter._state.guarantees[0].live is None
    assert admitter.admit(VM("new", 4)).admitted
    admitter.remove("odd")
    assert admitter._state.guarantees[0].live is not None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: a.admit(VM("v0", 4)), "vm.name: 'v0' runs already, on 'n0': choose another name"),
        (lambda a: a.admit(VM("new", 4, "n0")), "vm.node: 'new' has a node"),
        (lambda a: a.admit([]), r"vms: \[\] names no VM"),
        (lambda a: a.admit([VM("a", 1), VM("a", 2)]), "'a' is asked for twice"),
        (lambda a: a.admit("v0"), "'v0' runs already"),
        (lambda a: a.admit("who"), "'who' is not a VM"),
        (lambda a: a.commit(VM("new", 4), "n9"), "'n9' is not a node"),
        (lambda a: a.remove("who"), "'who' is not a VM"),
        (lambda a: a.move("v0", "n9"), "'n9' is not a node"),
        (lambda a: a.resize("v0", "8G"), "write 8GiB"),
        (lambda a: a.fail("n9"), "'n9' is not a node"),
        (lambda a: a.recover(3), "3 is not a node"),
        (lambda a: a.admit(VM("new", 4), time_limit=-1), "time_limit: -1 is not a number of seconds"),
        (lambda a: a.reserve([VM("a", 1), VM("b", 1)], node="n0"), "is for one VM, not for 2"),
        (lambda a: a.commit(VM("new", 4, pool="other"), "n0"), "VMs never cross pools"),
        (lambda a: Admitter(SAFE, score="best"), "score: 'best' is not one of"),
    ],
)
def test_what_is_wrong_is_told_and_changes_nothing(call, message):
    admitter = Admitter(SAFE)
    with pytest.raises(InputError, match=message):
        call(admitter)
    assert admitter.cluster == SAFE


def test_what_is_neither_a_vm_nor_a_name_is_an_error():
    with pytest.raises(InputError, match="3 is neither"):
        Admitter(SAFE).admit(3)


def test_without_time_nothing_wrong_is_said():
    # Too few slots for a certificate, no packing, no cut: only a search tells.
    cluster = Cluster(
        [Node("n0", 100), Node("n1", 16), Node("n2", 11)], [VM(f"v{i}", size, "n0") for i, size in enumerate((7, 7, 5, 5))]
    )
    vm = VM("new", 3)
    ways = assignments(cluster, [vm])
    truth = {node.name: (node.name,) in ways for node in cluster.nodes}
    assert {c.node: WORD[c.status.value] for c in Admitter(cluster, time_limit=60).candidates(vm)} == truth
    hurried = Admitter(cluster, time_limit=0).candidates(vm)
    assert all(WORD[c.status.value] in (None, truth[c.node]) for c in hurried)


def test_empty_clusters_refuse():
    assert Admitter(Cluster([])).admit(VM("new", 4)).status == "refused"
    assert len(Admitter(Cluster([])).candidates(VM("new", 4))) == 0
    alone = Admitter(Cluster([Node("n0", 8)]))
    assert alone.admit(VM("new", 4)).status == "refused"
    assert alone.admit(VM("new", 4, protected=False)).node == "n0"
    assert alone.admit(VM("new", 4, pool="nowhere")).reason == "no node of its pool is online"


def test_a_call_costs_far_less_than_a_check():
    cluster = generate(nodes=400, fill=0.95, profile="azure", seed=1)
    node_of = vmplace.place(cluster, method="greedy").node_of
    cluster = Cluster.from_arrays(node_memory=cluster.nodes.usable, vm_memory=cluster.vms.memory, vm_node=node_of)
    admitter, calls, checks = Admitter(cluster), [], []
    for i in range(60):
        vm = VM(f"new{i}", "7GiB")
        start = thread_time()
        node = admitter.admit(vm).node
        calls.append(thread_time() - start)
        admitter.commit(vm, node)
    for _ in range(3):
        fresh = Cluster.from_arrays(node_memory=cluster.nodes.usable, vm_memory=cluster.vms.memory, vm_node=node_of)
        start = thread_time()
        vmplace.check(fresh)
        checks.append(thread_time() - start)
    assert median(calls) < median(checks) / 3
    assert vmplace.check(admitter.cluster).status == "safe"


def test_threads_never_take_the_same_room():
    admitter = Admitter(Cluster([Node(f"n{i}", 16) for i in range(5)]))
    held = []

    def schedule(number):
        for i in range(12):
            ticket = admitter.reserve(VM(f"t{number}-{i}", 4))
            if ticket.admission.admitted:
                (ticket.commit if i % 3 else ticket.rollback)()
            held.append(ticket.state.value)

    threads = [threading.Thread(target=schedule, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    running = held.count("committed")
    assert len(admitter.cluster.vms) == running == 16
    assert vmplace.check(admitter.cluster).status == "safe"
    assert np.all(np.bincount([int(vm.node[1:]) for vm in admitter.cluster.vms]) <= 4)
