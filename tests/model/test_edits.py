import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Apart, Cluster, Node, OnlyOn, Tag
from vmplace.model.edits import bridged, less, waiting, with_nodes, with_states, with_vms, within, without, yielding

NODES = [Node("a", 9), Node("b", 9), Node("c", 9, state="offline")]
VMS = [VM("x", 2, "a"), VM("y", 3, "b"), VM("w", 4), VM("off", 1, "c")]
PLAIN = Cluster(NODES, VMS)
COLUMNS = Cluster(PLAIN.node_columns, PLAIN.vm_columns)


@pytest.mark.parametrize("cluster", [PLAIN, COLUMNS])
def test_changes_leave_all_else_and_columns_columns(cluster):
    changed = with_vms(cluster, {0: {"node": "b", "memory": 5}, 2: {"protected": False}, 3: {"node": None}})
    assert list(changed.vms) == [VM("x", 5, "b"), VMS[1], VM("w", 4, protected=False), VM("off", 1)]
    grown = with_nodes(cluster, [Node("new", 7)])
    assert list(grown.nodes) == [*NODES, Node("new", 7)]
    assert with_states(grown, "online", [2]).nodes[2] == Node("c", 9)
    for made in (changed, grown):
        assert isinstance(made.vms, tuple) == isinstance(cluster.vms, tuple)
        assert vmplace.check(made).status == vmplace.check(evolve(made, nodes=list(made.nodes), vms=list(made.vms))).status
    assert waiting(cluster).tolist() == [False, False, True, True]


def test_rules_yield_and_those_that_bind_nobody_go_or_keep_their_number():
    rules = [Apart(["x", "y"]), OnlyOn(["w"], ["a", "b"]), Apart(Tag("db"))]
    vms = [*VMS, VM("d", 1, "a", tags=["db"])]
    cluster = Cluster(NODES, vms, rules)
    assert [rule.must for rule in yielding(cluster, [0, 2]).rules] == [False, True, False]
    assert without(cluster, {"w", "x"}).rules == (Apart(["y"]), rules[2])
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
    part = within(cluster, "p")
    assert [vm.name for vm in part.vms] == ["y", "z"]
    assert part.rules[1] == Apart(["y"])
