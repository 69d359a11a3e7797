import pytest

import vmplace
from vmplace import VM, Admitter, Cluster, ConflictError, InputError, Node

CLUSTER = Cluster([Node(f"n{i}", 12) for i in range(3)], [VM("v0", 4, "n0"), VM("w", 4)])


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_room_is_held_until_it_is_given_back():
    admitter = Admitter(CLUSTER)
    ticket = admitter.reserve([VM("a", 8), VM("b", 8)])
    assert ticket.state == "held"
    assert {vm.name for vm in admitter.cluster.vms} == {"v0", "w", "a", "b"}
    assert admitter.admit(VM("c", 8)).status == "refused"
    assert ticket.rollback()
    assert ticket.state == "rolled back"
    with pytest.raises(ConflictError, match="is rolled back: reserve again"):
        ticket.commit()
    assert admitter.cluster == CLUSTER


def test_what_is_committed_stays():
    admitter = Admitter(CLUSTER)
    ticket = admitter.reserve("w", node="n2")
    ticket.commit()
    with pytest.raises(ConflictError, match="is committed"):
        ticket.commit()
    assert not ticket.rollback()
    assert (ticket.state, admitter.tickets) == ("committed", {})
    assert [vm.node for vm in admitter.cluster.vms] == ["n0", "n2"]


def test_who_waited_waits_again():
    admitter = Admitter(CLUSTER)
    admitter.reserve("w").rollback()
    assert admitter.cluster == CLUSTER


@pytest.mark.parametrize("node", ["n1", None])
def test_who_was_stopped_is_stopped_again(node, tmp_path):
    cluster = Cluster(CLUSTER.nodes, [VM("v0", 4, "n0"), VM("off", 4, node, running=False)])
    admitter = Admitter(cluster)
    assert admitter.admit("off").admitted
    assert admitter.cluster == cluster
    ticket = admitter.reserve("off", node="n2")
    assert admitter.cluster.vms[1] == VM("off", 4, "n2")
    admitter.save(tmp_path / "state.json")
    assert ticket.rollback()
    again = Admitter.load(tmp_path / "state.json")
    assert again.tickets[ticket.id].rollback()
    assert admitter.cluster == again.cluster == cluster
    assert admitter.commit("off", "n2").admitted
    assert admitter.fail("n2") == ("off",)
    assert admitter.cluster.vms[1].running


def test_a_node_that_fails_takes_down_only_what_ran_there():
    admitter = Admitter(Cluster(CLUSTER.nodes, [VM("v0", 4, "n0"), VM("off", 4, "n0", running=False)]))
    assert admitter.fail("n0") == ("v0",)
    assert admitter.verdicts() == {name: s.status for name, s in vmplace.check(admitter.cluster).scenarios.items()}
    admitter.recover("n0")
    assert admitter.move("off", "n1").admitted
    assert admitter.cluster.vms[1] == VM("off", 4, "n1", running=False)


def test_who_waited_for_a_node_that_is_down_waits_for_it_again_unless_it_is_back():
    for back in (False, True):
        admitter = Admitter(CLUSTER)
        admitter.fail("n0")
        ticket = admitter.reserve("v0")
        if back:
            admitter.recover("n0")
        ticket.rollback()
        assert admitter.cluster.vms[0].node == (None if back else "n0")


def test_a_name_that_was_removed_and_is_new_again_is_no_tickets():
    admitter = Admitter(CLUSTER)
    ticket = admitter.reserve(VM("a", 2), node="n0")
    admitter.remove("a")
    assert admitter.commit(VM("a", 3), "n0").admitted
    ticket.rollback()
    assert [vm.memory for vm in admitter.cluster.vms if vm.name == "a"] == [3]


def test_a_ticket_expires():
    clock = Clock()
    admitter = Admitter(CLUSTER, clock=clock)
    ticket = admitter.reserve(VM("a", 8), expires_in=10)
    clock.now += 9
    assert ticket.state == "held"
    clock.now += 1
    assert admitter.cluster == CLUSTER
    assert ticket.state == "expired"
    with pytest.raises(ConflictError, match="is expired"):
        ticket.commit()


def test_a_refused_ticket_holds_nothing():
    admitter = Admitter(CLUSTER)
    ticket = admitter.reserve(VM("a", 13))
    assert (ticket.state, ticket.admission.status) == ("refused", "refused")
    with pytest.raises(ConflictError, match="is refused"):
        ticket.commit()
    assert admitter.cluster == CLUSTER


def test_who_was_moved_or_removed_meanwhile_is_not_given_back():
    admitter = Admitter(CLUSTER)
    ticket = admitter.reserve([VM("a", 2), VM("b", 2)])
    admitter.remove("a")
    other = next(node for node in ("n0", "n1", "n2") if node != ticket.admission.placement["b"])
    assert admitter.move("b", other).admitted
    assert ticket.rollback()
    assert {vm.name for vm in admitter.cluster.vms} == {"v0", "w", "b"}


def test_an_expiry_that_is_no_time_is_told():
    with pytest.raises(InputError, match="expires_in: -3 is not a number of seconds"):
        Admitter(CLUSTER).reserve(VM("a", 1), expires_in=-3)
