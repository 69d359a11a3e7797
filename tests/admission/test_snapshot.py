import json

import pytest

import vmplace
from vmplace import VM, Admitter, Cluster, Guarantee, InputError, Node

CLUSTER = Cluster([Node(f"n{i}", 12) for i in range(3)], [VM("v0", 4, "n0"), VM("w", 4)])


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_a_snapshot_holds_the_tickets(tmp_path):
    clock = Clock()
    admitter = Admitter(CLUSTER, clock=clock)
    ticket = admitter.reserve([VM("a", 2), "w"], expires_in=10)
    admitter.fail("n1")
    admitter.save(tmp_path / "state.json")
    again = Admitter.load(tmp_path / "state.json", clock=clock)
    assert again.cluster == admitter.cluster
    assert again.verdicts() == admitter.verdicts()
    assert list(again.tickets) == [ticket.id]
    assert again.tickets[ticket.id].rollback()
    again.recover("n1")
    assert again.cluster == CLUSTER
    clock.now += 10
    assert Admitter.load(tmp_path / "state.json", clock=clock).tickets == {}


def test_a_snapshot_is_a_document(tmp_path):
    Admitter(CLUSTER).save(tmp_path / "state.json")
    assert vmplace.load(tmp_path / "state.json").vms == CLUSTER.vms


@pytest.mark.parametrize("held", [{"tickets": [{"id": "x"}]}, {"tickets": 3}, [], {"failed": {"n0": "asleep"}}])
def test_what_is_no_snapshot_is_told(tmp_path, held):
    path = tmp_path / "state.json"
    Admitter(CLUSTER).save(path)
    document = json.loads(path.read_text())
    document["meta"]["admitter"] = held
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"meta\.admitter: is not what a snapshot holds"):
        Admitter.load(path)


def test_a_snapshot_holds_all_guarantees(tmp_path):
    asked = Cluster(CLUSTER.nodes, CLUSTER.vms, (), [Guarantee(), Guarantee(failures=2, vms=["v0"])])
    Admitter(asked).save(tmp_path / "state.json")
    again = Admitter.load(tmp_path / "state.json")
    assert again.cluster.guarantees == asked.guarantees
    assert again.verdicts() == Admitter(asked).verdicts()
