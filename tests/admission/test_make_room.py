from vmplace import VM, Cluster, Node
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


def test_no_time_is_no_proof():
    nodes = [Node(f"n{i}", 12) for i in range(4)]
    found = room_made(Cluster(nodes, [VM("v", 12, "n0"), VM("w", 12, "n1")]), [VM("x", 12)], REFUSED, Budget(0))
    assert not found.admitted
    assert found.reason.startswith("no; with migrations: ")
