import pytest

from vmplace import VM, Cluster, Guarantee, InputError, Node
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


def test_of_several_guarantees_the_first_that_is_harmed_is_named():
    asked = Cluster(SMALL.nodes, SMALL.vms, (), [Guarantee(), Guarantee(failures=2, vms=["v0"]), Guarantee(headroom=0.5)])
    state = ChangingCluster(asked, "tightest", budget=Budget())
    assert list(state.verdicts(Budget())) == ["n0", "n1", "n2", "2++n0+n1", "2++n0+n2", "2++n1+n2", "3++n0", "3++n1", "3++n2"]
    told = {9: "guarantee 2: a failure of n0+n1", 7: "guarantee 3: n2 has 12 MiB free", 13: "n2 has 12 MiB free, and x would"}
    for memory, reason in told.items():
        found = state.settle(None, VM("x", memory, "n2"), Budget(), False)
        assert found.status == "refused"
        assert found.reason.startswith(reason)
    assert state.settle(None, VM("x", 6, "n2"), Budget(), False).admitted
    assert state.settle(None, VM("y", 13, "n2"), Budget(), True).admitted


def test_what_contradicts_the_rules_does_not_come_in_even_by_force():
    state = ChangingCluster(SMALL, "tightest", budget=Budget())
    with pytest.raises(InputError, match="zz"):
        state.settle(None, VM("x", 1, "n0", target="zz"), Budget(), True)
    assert "x" not in state.ledger
