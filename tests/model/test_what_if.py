"""What if: clusters as they would be."""

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node, NotOn, OnlyOn, Tag, Together, what_if
from vmplace.model.columns import VMColumns
from vmplace.model.what_if import (
    bridged,
    fresh_names,
    less,
    part_of,
    waiting,
    with_nodes,
    with_vms,
    yielding,
)
from vmplace.testing import clusters

CLUSTER = Cluster(
    [Node("n1", 64), Node("n2", 64), Node("n3", 64)],
    [VM("a", 8, "n1"), VM("b", 8, "n2", target="n1"), VM("c", 8, "n1", running=False), VM("d", 8)],
    [Apart(["a", "b"]), OnlyOn(["a", "c"], ["n1", "n2"]), NotOn(["b"], ["n3"]), Together(["c"])],
)


def test_nothing_changes_unless_asked():
    assert what_if(CLUSTER) is CLUSTER


def test_what_was_on_a_node_that_goes_waits_and_what_was_stopped_stays_stopped():
    left = what_if(CLUSTER, remove_nodes=["n1"])
    assert [node.name for node in left.nodes] == ["n2", "n3"]
    assert [(vm.name, vm.node, vm.target, vm.running) for vm in left.vms] == [
        ("a", None, None, True),
        ("b", "n2", None, True),
        ("c", None, None, False),
        ("d", None, None, True),
    ]


def test_what_is_started_waits_for_a_node():
    started = what_if(CLUSTER, start=["c", "d"])
    assert [(vm.name, vm.node, vm.running) for vm in started.vms if vm.node is None] == [("c", None, True), ("d", None, True)]
    assert what_if(CLUSTER, start="all") == what_if(CLUSTER, start=["c"]) == what_if(CLUSTER, start="c")
    assert what_if(started, start="all") is started


@pytest.mark.parametrize("start", [["x"], ["a"], "x", ["c", "a"]])
def test_what_cannot_be_started_is_named(start):
    with pytest.raises(InputError) as refused:
        what_if(CLUSTER, start=start)
    assert [flaw.place for flaw in refused.value.flaws] == ["start"]


def test_homes_forget_a_node_that_goes():
    cluster = Cluster([Node("n", 9), Node("m", 9)], [VM("a", 1, "n", home="m"), VM("b", 1, "m", home="n"), VM("c", 1)])
    assert [vm.home for vm in what_if(cluster, remove_nodes=["m"]).vms] == [None, "n", None]
    assert [vm.home for vm in what_if(cluster, remove_vms=["a"]).vms] == ["n", None]


def test_rules_forget_what_is_gone_and_are_dropped_when_they_say_nothing():
    left = what_if(CLUSTER, remove_nodes=["n1", "n3"])
    assert left.rules == (Apart(["a", "b"]), OnlyOn(["a", "c"], ["n2"]), Together(["c"]))
    left = what_if(CLUSTER, remove_vms=["a", "c"])
    assert left.rules == (Apart(["b"]), NotOn(["b"], ["n3"]))


def test_a_must_rule_that_is_left_no_node_is_kept_and_a_wish_is_dropped():
    licences = evolve(CLUSTER, rules=CLUSTER.rules[:2])
    left = what_if(licences, remove_nodes=["n1", "n2"])
    assert left.rules == licences.rules
    assert vmplace.place(left).conflict.rules == (1,)
    wish = evolve(CLUSTER, rules=[OnlyOn(["a"], ["n1"], must=False), OnlyOn(["d"], ["n2"])])
    assert what_if(wish, remove_nodes=["n1"]).rules == (OnlyOn(["d"], ["n2"]),)
    assert what_if(CLUSTER, remove_nodes=["n1", "n2"], remove_vms=["a", "b", "c"]).rules == ()


def test_what_is_removed_can_come_back_otherwise_and_new_vms_go_on_new_nodes():
    after = what_if(
        CLUSTER,
        remove_nodes=["n3"],
        add_nodes=[Node("n3", "1GiB")],
        remove_vms=["d"],
        add_vms=[VM("d", 16, "n3")],
        resize_vms={"a": "2GiB"},
    )
    assert after.nodes[-1] == Node("n3", 1024)
    assert (after.vms[-1], after.vms[0].memory) == (VM("d", 16, "n3"), 2048)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"remove_nodes": ["n9"]}, "remove_nodes"),
        ({"remove_vms": ["n1"]}, "remove_vms"),
        ({"add_nodes": [Node("n1", 1)]}, "add_nodes"),
        ({"add_nodes": [Node("n9", 1), Node("n9", 1)]}, "add_nodes"),
        ({"add_vms": [VM("a", 1)]}, "add_vms"),
        ({"resize_vms": {"z": 1}}, "resize_vms"),
        ({"resize_vms": {"a": "8G"}}, "resize_vms"),
        ({"resize_vms": {"a": 1}, "remove_vms": ["a"]}, "resize_vms"),
        ({"add_vms": [VM("z", 1, "n9")]}, "vms[4].node"),
    ],
)
def test_what_is_wrong_is_named(changes, place):
    with pytest.raises(InputError) as refused:
        what_if(CLUSTER, **changes)
    assert refused.value.flaws[0].place == place


@settings(max_examples=60, deadline=None, derandomize=True)
@given(clusters(min_nodes=2, domains=True, targets=True), st.data())
def test_any_part_that_goes_leaves_a_cluster_without_it(cluster, data):
    nodes = data.draw(st.sets(st.sampled_from([node.name for node in cluster.nodes])))
    vms = data.draw(st.sets(st.sampled_from([vm.name for vm in cluster.vms]))) if cluster.vms else set()
    try:
        left = what_if(cluster, remove_nodes=nodes, remove_vms=vms)
    except InputError as refused:
        assert {flaw.place.split("[")[0] for flaw in refused.flaws} == {"rules"}  # noqa: PT017
        return
    assert [node.name for node in left.nodes] == [node.name for node in cluster.nodes if node.name not in nodes]
    stopped = {vm.name for vm in cluster.vms if not vm.running and vm.node in nodes}
    assert {vm.name for vm in left.vms} == {vm.name for vm in cluster.vms} - vms - stopped
    for vm in left.vms:
        was = next(before for before in cluster.vms if before.name == vm.name)
        assert vm.node == (None if was.node in nodes else was.node)
    assert vmplace.check(left).status in ("safe", "unsafe")


def test_columns_stay_columns_where_vms_only_come():
    held = Cluster.from_arrays(node_memory=[9, 8], vm_memory=[1, 2], vm_node=[1, -1])
    more = what_if(held, add_vms=[VM("x", 3, "n0", priority=2, resources={"vcpu": 1}, pool="default")])
    assert isinstance(more.vms, VMColumns)
    assert list(more.vms) == [*held.vms, VM("x", 3, "n0", priority=2, resources={"vcpu": 1})]
    assert what_if(held, add_nodes=[Node("z", 4)]).nodes[-1] == Node("z", 4)
    again = held.vms.rows(np.array([1, 0, 1]), ["p", "q", "r"])
    assert list(again) == [VM("p", 2), VM("q", 1, "n1"), VM("r", 2)]


def test_fresh_names_are_not_taken():
    names = fresh_names("new", ["new-1", "new-3"])
    assert [next(names) for _ in range(3)] == ["new-2", "new-4", "new-5"]


def test_a_part_is_a_pool_of_its_own_unless_a_rule_ties_it_to_others():
    nodes = [Node("n1", 64, domain="r"), Node("n2", 64, pool="p", domain="r")]
    vms = [VM("a", 8, "n1"), VM("b", 8, "n2", pool="p")]
    both = Cluster(nodes, vms)
    assert part_of(both, "p") == (Cluster(nodes[1:], vms[1:]), "p")
    tied = Cluster(nodes, [vms[0], evolve(vms[1], node=None)], [Apart(["a", "b"], scope="domain")])
    assert part_of(tied, "p") == (tied, "p")
    assert part_of(Cluster(nodes[:1], vms[:1]), None)[1] == "default"
    for cluster, pool in ((both, None), (both, "q"), (CLUSTER, "p")):
        with pytest.raises(InputError) as refused:
            part_of(cluster, pool)
        assert refused.value.flaws[0].place == "pool"


def test_tags_choose_among_what_is_left():
    tagged = Cluster([Node("n1", 64, tags=["t"]), Node("n2", 64)], [VM("a", 8)], [OnlyOn(["a"], Tag("t"))])
    with pytest.raises(InputError):
        what_if(tagged, remove_nodes=["n1"])
    assert what_if(tagged, remove_nodes=["n2"]).rules == tagged.rules


NODES = [Node("a", 9), Node("b", 9), Node("c", 9, state="offline")]
VMS = [VM("x", 2, "a"), VM("y", 3, "b"), VM("w", 4), VM("off", 1, "c")]


def test_changes_leave_all_else():
    cluster = Cluster(NODES, VMS)
    changed = with_vms(cluster, {0: {"node": "b", "memory": 5}, 2: {"protected": False}, 3: {"node": None}})
    assert list(changed.vms) == [VM("x", 5, "b"), VMS[1], VM("w", 4, protected=False), VM("off", 1)]
    grown = with_nodes(cluster, [Node("new", 7)])
    assert list(grown.nodes) == [*NODES, Node("new", 7)]
    assert grown.in_state("online", ["c"]).nodes[2] == Node("c", 9)
    for made in (changed, grown):
        assert vmplace.check(made).status == vmplace.check(evolve(made, nodes=list(made.nodes), vms=list(made.vms))).status
    assert waiting(cluster).tolist() == [False, False, True, True]


def test_rules_yield_and_those_that_bind_nobody_go_or_keep_their_number():
    rules = [Apart(["x", "y"]), OnlyOn(["w"], ["a", "b"]), Apart(Tag("db"))]
    vms = [*VMS, VM("d", 1, "a", tags=["db"])]
    cluster = Cluster(NODES, vms, rules)
    assert [rule.must for rule in yielding(cluster, [0, 2]).rules] == [False, True, False]
    assert what_if(cluster, remove_vms={"w", "x"}).rules == (Apart(["y"]), rules[2])
    kept = less(cluster, {"w", "x"})
    assert kept.rules[0] == Apart(["y"])
    assert kept.rules[1].vms not in (Tag("db"), ("w",))
    assert vmplace.check(kept).warnings == tuple(f"rules[1]: no VM has the tag {kept.rules[1].vms.tag!r}" for _ in range(1))


def test_a_pool_is_apart_from_others_unless_a_must_rule_binds_both():
    nodes = [Node("a", 9), Node("p", 9, pool="p")]
    vms = [VM("x", 2, "a"), VM("y", 2, "p", pool="p"), VM("z", 2, "p", pool="p")]
    cluster = Cluster(nodes, vms, [Apart(["y", "z"], must=False), Apart(["x", "y"])])
    assert bridged(cluster)
    assert not bridged(yielding(cluster, [1]))
    part = less(cluster, {"x"})
    assert [vm.name for vm in part.vms] == ["y", "z"]
    assert part.rules[1] == Apart(["y"])


def test_another_guarantee_or_some_keys_of_it():
    asked = Guarantee(failures=2, headroom=0.1, policy="best-fit")
    changed = what_if(CLUSTER, guarantee=asked)
    assert changed == evolve(CLUSTER, guarantee=asked)
    assert what_if(changed, guarantee={"failures": 1}).guarantee == Guarantee(headroom=0.1, policy="best-fit")
    assert what_if(changed, guarantee={"restart": "planned"}).guarantee == Guarantee(failures=2, headroom=0.1)


@pytest.mark.parametrize("changes", [{"failures": -1}, {"failure": 1}, "planned", {"policy": "worst"}])
def test_what_is_no_guarantee_is_refused_by_its_place(changes):
    with pytest.raises(InputError, match=r"^guarantee"):
        what_if(CLUSTER, guarantee=changes)
