import pytest

from vmplace import VM, Cluster, Guarantee, Node, Tag
from vmplace.admission.guarantee_state import GuaranteeState
from vmplace.admission.ledger import Ledger
from vmplace.solvers.budget import Budget

NODES = [Node(f"n{i}", 10) for i in range(3)]
VMS = [VM("a", 6, "n0"), VM("b", 7, "n1", tags=["red"]), VM("w", 2)]


def state(asked, *others):
    ledger = Ledger(Cluster(NODES, VMS, (), [asked, *others]))
    return ledger, GuaranteeState(ledger, asked, budget=Budget())


@pytest.mark.parametrize("vms", [["b", "new"], Tag("red")])
def test_a_vm_that_the_guarantee_does_not_name_need_not_restart(vms):
    """Whether live or certified anew, and also of VMs that come later."""
    for failures in (1, 2):
        ledger, made = state(Guarantee(vms=vms, failures=failures))
        assert (made.live is None) is (failures == 2)
        before = made.verdicts(Budget())
        for name, safe in (("other", True), ("new", False)):
            vm = VM(name, 4, "n0", tags=["red"] if name == "new" else [])
            filled = VM("full", 10, "n2")
            for each in (vm, filled):
                ledger.put(each)
                made.replaced(each.name, None, None, each)
            expected = {key: "safe" if "n1" not in key and (safe or "n0" not in key) else "unsafe" for key in before}
            assert made.verdicts(Budget()) == expected
            for each in (vm, filled):
                ledger.remove(each.name)
                made.replaced(each.name, each, each.node, None)
            assert made.verdicts(Budget()) == before


def test_of_several_each_sees_its_own():
    _, made = state(Guarantee(failures=2), Guarantee())
    assert list(made.verdicts(Budget())) == ["n0+n1", "n0+n2", "n1+n2"]
    assert not made.survey(VM("x", 1), "tightest", Budget()).known.guarantees


def test_what_guarantees_are_monotone_and_who_may_change_places():
    told = {
        Guarantee(): (True, True),
        Guarantee(failures=2, sequence="sequential"): (False, True),
        Guarantee(restart="any-order"): (False, True),
        Guarantee(policy="first-fit"): (False, False),
        Guarantee(vms=["a"]): (True, False),
    }
    for asked, expected in told.items():
        made = state(asked)[1]
        assert (made.monotone, made.interchangeable) == expected
