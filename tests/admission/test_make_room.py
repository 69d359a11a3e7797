import vmplace
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.admission.admit import applied
from vmplace.admission.make_room import room_made
from vmplace.admission.results import Admission
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget

REFUSED = Admission(Status.REFUSED, "x", reason="no")


def test_several_find_room_together():
    cluster = Cluster([Node(f"n{i}", 12) for i in range(4)], [VM(f"v{i}", 3, f"n{i}") for i in range(4)])
    found = room_made(cluster, [VM("x", 10), VM("y", 10)], REFUSED, Budget(20))
    assert found.admitted
    assert set(found.placement) == {"x", "y"}
    assert sum(m.memory for m in found.migrations) == 9
    assert found.reason == "no; once 9 MiB has migrated there is room"


def test_every_guarantee_holds_once_room_is_made():
    asked = [Guarantee(), Guarantee(failures=2, vms=["v0", "x"])]
    cluster = Cluster([Node(f"n{i}", 12) for i in range(4)], [VM(f"v{i}", 3, f"n{i}") for i in range(4)], (), asked)
    found = vmplace.admit(cluster, VM("x", 10), make_room=True)
    assert found.admitted
    assert sum(migration.memory for migration in found.migrations) == 9
    then = applied(cluster, [VM("x", 10)], found)
    assert vmplace.check(then).status == "safe"
    assert vmplace.check(then).cluster.guarantees == tuple(asked)
    refused = vmplace.admit(cluster, VM("x", 13), make_room=True)
    assert (refused.status, refused.migrations) == ("refused", ())


def test_what_keeps_it_off_every_node_is_told_with_what_would_help():
    nodes = [Node(f"n{i}", 12, max_vm={"memory": 4}) for i in range(3)]
    found = room_made(Cluster(nodes, [VM("v", 3, "n0")]), [VM("x", 5)], REFUSED, Budget(20))
    assert found.reason.startswith("no; no migration can help: n0, n1 and n2 take no VM of that size (max_vm): raise max_vm, or ")


def test_no_time_is_no_proof():
    nodes = [Node(f"n{i}", 12) for i in range(4)]
    found = room_made(Cluster(nodes, [VM("v", 12, "n0"), VM("w", 12, "n1")]), [VM("x", 12)], REFUSED, Budget(0))
    assert not found.admitted
    assert found.reason.startswith("no; with migrations: ")
