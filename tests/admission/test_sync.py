"""A new inventory: what differs is applied, as if the admitter were new, and tickets that it contradicts are named."""

import pytest
from attrs import evolve
from hypothesis import strategies as st

from tests.support.campaigns import tried
from vmplace import VM, Admitter, Apart, Cluster, ConflictError, Guarantee, InputError, Node, Together
from vmplace.testing import clusters
from vmplace.testing.strategies import EXTRAS

NODES = [Node(name, 16) for name in "abc"]
VMS = [VM("x", 4, "a"), VM("y", 4, "b"), VM("z", 4, None)]
CLUSTER = Cluster(NODES, VMS)
FOREVER = float("inf")


def contents(cluster):
    return sorted(cluster.vms, key=lambda vm: vm.name), list(cluster.nodes), cluster.rules, cluster.guarantees


def test_what_differs_is_told_and_applied():
    admitter = Admitter(CLUSTER)
    nodes = [Node("a", 16, state="maintenance"), NODES[1], Node("d", 16)]
    found = admitter.sync(Cluster(nodes, [VM("x", 6, "a"), VM("z", 4, "d"), VM("new", 2, "b")]))
    assert (found.added, found.removed, found.changed) == (("new",), ("y",), ("x", "z"))
    assert (found.nodes_added, found.nodes_removed, found.nodes_changed) == (("d",), ("c",), ("a",))
    assert (found.settings, found.conflicts, found.safe) == (False, (), True)
    assert found.summary() == "1 VM new, 1 VM gone, 2 VMs changed, 1 node new, 1 node gone, 1 node changed"
    assert contents(admitter.cluster) == contents(Cluster(nodes, [VM("x", 6, "a"), VM("z", 4, "d"), VM("new", 2, "b")]))
    assert admitter.sync(admitter.cluster).summary() == "nothing has changed"
    assert admitter.sync(evolve(admitter.cluster, guarantee=Guarantee(failures=0))).summary() == "settings changed"
    assert admitter.candidates(VM("more", 16)).admitted.tolist() == [False, False, False]


def test_a_node_that_failed_and_is_back_has_its_vms():
    admitter = Admitter(CLUSTER)
    admitter.fail("a")
    assert admitter.sync(CLUSTER).nodes_changed == ("a",)
    assert admitter.verdicts() == Admitter(CLUSTER).verdicts()
    offline = CLUSTER.in_state("offline", ["a"])
    assert admitter.sync(offline).summary() == "1 node changed"
    admitter.recover("a")
    assert admitter.cluster == CLUSTER


def test_a_rule_that_names_a_vm_that_is_gone_is_no_change_of_settings():
    cluster = evolve(CLUSTER, rules=[Apart(["x", "y", "z"])])
    admitter = Admitter(cluster)
    admitter.remove("z")
    assert admitter.sync(cluster).summary() == "1 VM new"


@pytest.fixture
def reserved():
    admitter = Admitter(CLUSTER)
    return admitter, admitter.reserve([VM("new", 4), "z"]), admitter.reserve(VM("other", 1), node="c")


def test_room_stays_held_and_a_vm_that_was_started_there_is_no_contradiction(reserved):
    admitter, ticket, other = reserved
    node = ticket.admission.placement["new"]
    assert admitter.sync(CLUSTER).summary() == "nothing has changed"
    assert {"new", "other"} < {vm.name for vm in admitter.cluster.vms}
    assert admitter.sync(evolve(CLUSTER, vms=[*VMS, VM("new", 4, node)])).conflicts == ()
    assert ticket.rollback()
    assert sorted(vm.name for vm in admitter.cluster.vms) == ["new", "other", "x", "y", "z"]
    assert admitter.cluster.vm("z").node is None
    other.commit()
    assert admitter.cluster.vm("other").node == "c"


@pytest.mark.parametrize(
    ("nodes", "vms", "reason"),
    [
        (NODES[:2], VMS, "c is gone, where room is held for other"),
        ([*NODES[:2], Node("c", 16, state="offline")], VMS, "c is offline, where room is held for other"),
        ([*NODES[:2], Node("c", 16, state="maintenance")], VMS, "c is in maintenance, where room is held for other"),
        ([*NODES[:2], Node("c", 16, pool="p")], VMS, "c is in another pool than other"),
        (NODES, [*VMS, VM("other", 1, "a")], "other runs on a, room is held on c"),
    ],
)
def test_what_contradicts_a_ticket_ends_it(nodes, vms, reason):
    admitter = Admitter(CLUSTER)
    ticket = admitter.reserve(VM("other", 1), node="c")
    (conflict,) = admitter.sync(Cluster(nodes, vms)).conflicts
    assert (conflict.ticket, conflict.vm, conflict.reason, conflict.held) == (ticket.id, "other", reason, False)
    assert ticket.state == "contradicted"
    with pytest.raises(ConflictError, match="is contradicted: reserve again"):
        ticket.commit()
    assert contents(admitter.cluster) == contents(Cluster(nodes, vms))


def test_a_ticket_holds_all_or_nothing(reserved):
    admitter, ticket, _ = reserved
    found = admitter.sync(evolve(CLUSTER, vms=VMS[:2]))
    assert [(conflict.vm, conflict.reason) for conflict in found.conflicts] == [("z", "z is gone")]
    assert not found.safe
    assert found.summary() == "2 VMs gone, 1 conflict with tickets"
    assert sorted(vm.name for vm in admitter.cluster.vms) == ["other", "x", "y"]
    assert ticket.state == "contradicted"


def test_room_that_is_there_no_more_is_named_and_held(reserved):
    admitter, _, other = reserved
    crowded = evolve(CLUSTER, vms=[*VMS, VM("big", 16, "c")])
    conflicts = {conflict.vm: conflict for conflict in admitter.sync(crowded).conflicts}
    assert conflicts["other"].held
    assert conflicts["other"].reason.startswith("c holds ")
    assert other.state == "held"


def test_rules_that_contradict_room_that_is_held():
    admitter = Admitter(Cluster(NODES, VMS))
    ticket = admitter.reserve(VM("new", 4))
    (conflict,) = admitter.sync(evolve(CLUSTER, rules=[Apart(["new", "x"]), Together(["new", "x"])])).conflicts
    assert conflict.reason == "rules[0]: keeps 'new' and 'x' apart, rules[1] keeps them together: drop one"
    assert ticket.state == "contradicted"


def test_a_node_that_is_back_from_maintenance_holds_what_it_held():
    nodes = [Node("a", 8), Node("b", 8, state="maintenance"), Node("c", 8)]
    admitter = Admitter(Cluster(nodes, [VM("x", 3, "b"), VM("y", 2, "b")]))
    admitter.sync(Cluster([evolve(node, state="online") for node in nodes], [VM("x", 3, "b")]))
    assert [found.score for found in admitter.candidates(VM("new", 1))] == [7, 4, 7]


def test_anything_but_a_cluster_is_refused():
    with pytest.raises(InputError, match="cluster: 'inventory' is not a Cluster"):
        Admitter(CLUSTER).sync("inventory")


ANY = {"max_nodes": 4, "max_vms": 6, **dict.fromkeys(EXTRAS, True), "failures": (1, 1, 2), "policies": True}
PLAIN = {"rules": False, "max_nodes": 4, "max_vms": 8, "headroom": False, "overhead": True}


def judged(admitter, vm):
    """All that an admitter tells, as far as the order of VMs does not count."""
    found = admitter.candidates(vm)
    each = [(node.node, node.status.value, node.score, node.penalty) for node in found]
    return admitter.verdicts(), each, [found.reason(i) for i in range(len(found))]


@tried(clusters(**PLAIN), clusters(**PLAIN), clusters(**ANY), clusters(**ANY), st.booleans(), st.data(), quick=20, campaign=400)
def test_it_is_as_if_it_were_new(one, two, three, four, plain, data):
    was, now = (one, two) if plain else (three, four)
    if data.draw(st.booleans()):  # no more than a few VMs and states differ
        states = [data.draw(st.sampled_from(["online", "offline"])) for _ in was.nodes]
        nodes = [evolve(node, state=state) for node, state in zip(was.nodes, states, strict=True)]
        kept = [vm for vm in was.vms if data.draw(st.integers(0, 3)) or any(vm.name in str(rule) for rule in was.rules)]
        now = evolve(was, nodes=nodes, vms=[evolve(vm, memory=vm.memory + data.draw(st.integers(0, 1))) for vm in kept])
    admitter = Admitter(was, time_limit=FOREVER)
    admitter.sync(now)
    assert contents(admitter.cluster) == contents(now)
    vm = VM("new", data.draw(st.integers(1, 4)))
    assert judged(admitter, vm) == judged(Admitter(admitter.cluster, time_limit=FOREVER), vm)
    assert admitter.sync(now).summary() == "nothing has changed"
