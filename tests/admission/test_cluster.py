from vmplace import VM, Cluster, Node
from vmplace.admission.cluster import ChangingCluster
from vmplace.solvers.budget import Budget

SMALL = Cluster([Node(f"n{i}", 12) for i in range(3)], [VM("v0", 4, "n0"), VM("w", 4)])


def test_changes_are_followed_whether_live_or_not():
    for odd in (False, True):
        state = ChangingCluster(SMALL, "tightest", budget=Budget())
        if odd:
            state.replace("odd", VM("odd", 1, "n0", evictable=True))
        state.replace("w", VM("w", 4, "n1"))
        state.restate("n2", "offline")
        assert state.verdicts(Budget()) == {"n0": "safe", "n1": "safe"}
        assert state.settle(None, VM("x", 9, "n0"), Budget(), False).status == "refused"
        assert state.settle(None, VM("x", 5, "n1"), Budget(), False).status == "refused"
        assert state.settle(None, VM("x", 5, "n1"), Budget(), True).admitted
        assert state.verdicts(Budget())["n1"] == "unsafe"
        assert (state.guarantees[0].live is None) is odd


def test_one_vm_more_never_helps_planned_restarts_only():
    assert ChangingCluster(SMALL, "tightest", budget=Budget()).monotone
