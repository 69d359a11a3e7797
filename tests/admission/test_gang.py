from vmplace import VM, Cluster, Node
from vmplace.admission.cluster import ChangingCluster
from vmplace.admission.gang import start_together
from vmplace.solvers.budget import Budget


def state(*sizes):
    return ChangingCluster(Cluster([Node(f"n{i}", size) for i, size in enumerate(sizes)]), "tightest", budget=Budget())


def test_they_stay_if_they_are_to():
    for keep in (False, True):
        made = state(6, 6, 6)
        assert start_together(made, [VM("a", 3), VM("b", 6), VM("c", 3)], Budget(), keep=keep).admitted
        assert len(made.ledger.cluster.vms) == (3 if keep else 0)


def test_all_ways_are_tried_before_it_is_refused():
    made = state(10, 10, 10)
    vms = [VM(f"v{i}", 3) for i in range(7)]
    found = start_together(made, vms, Budget(), keep=True)
    assert (found.status, found.reason) == ("refused", "each of the 7 VMs could be started, but not all of them")
    assert len(made.ledger.cluster.vms) == 0
    assert start_together(made, vms[:6], Budget(), keep=True).admitted


def test_without_time_it_is_unknown():
    assert start_together(state(10, 10, 10), [VM(f"v{i}", 3) for i in range(7)], Budget(0), keep=True).status == "unknown"
