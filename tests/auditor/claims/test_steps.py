"""Steps are replayed: memory on both nodes, rules on the way, starts, and the guarantee after each."""

import copy

import pytest

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node
from vmplace.model.guarantee import Guarantee

NONE = Guarantee(failures=0)


def step(number, guarantee="safe", starts=(), exposed=(), crowded=(), stops=(), undecided=()):
    return {
        "step": number,
        "stops": list(stops),
        "starts": list(starts),
        "guarantee": guarantee,
        "exposed": list(exposed),
        "unprotected": [],
        "undecided": list(undecided),
        "crowded": list(crowded),
    }


def move(vm, source, to, memory, number, cold=False):
    return {"vm": vm, "from": source, "to": to, "memory": memory, "step": number, "cold": cold}


def plan(*steps, extra=0, stopovers=(), exposed=()):
    return {"status": "feasible", "steps": list(steps), "extra": extra, "exposed": list(exposed), "stopovers": list(stopovers)}


def wrong(cluster, placement, migrations, outline):
    """What is wrong with the steps of a result that says nothing else."""
    document = {"status": "safe", "guarantee": "safe", "placement": placement, "migrations": migrations, "plan": outline}
    found = vmplace.audit_result(cluster, document).violations
    return [v.message for v in found if v.subject.startswith(("plan", "migrations"))]


SWAP = Cluster([Node("n1", 10), Node("n2", 10), Node("n3", 10)], [VM("a", 6, "n1"), VM("b", 5, "n2")], (), NONE)


def test_a_node_holds_what_comes_beside_what_leaves_until_a_step_ends():
    at_once = [move("a", "n1", "n2", 6, 1), move("b", "n2", "n1", 5, 1)]
    end = {"a": "n2", "b": "n1"}
    told = wrong(SWAP, end, at_once, plan(step(1, None, crowded=["n1", "n2"])))
    assert told == [f"has {node} hold 11 MiB, 1 MiB more than its 10 MiB while it lasts" for node in ("n1", "n2")]
    stopover = [move("a", "n1", "n3", 6, 1), move("b", "n2", "n1", 5, 2), move("a", "n3", "n2", 6, 3)]
    around = plan(*(step(number, None) for number in (1, 2, 3)), extra=6, stopovers=["a"])
    assert wrong(SWAP, end, stopover, around) == []
    assert wrong(SWAP, end, stopover, {**around, "extra": 5}) == ["says 5; 6 MiB is right"]
    assert wrong(SWAP, end, stopover, {**around, "stopovers": []}) == ["says []; ['a'] is right"]


def test_exactly_what_is_free_is_enough():
    exact = Cluster([Node("n1", 10), Node("n2", 11)], [VM("a", 6, "n1"), VM("b", 5, "n2")], (), NONE)
    end = {"a": "n2", "b": "n2"}
    assert wrong(exact, end, [move("a", "n1", "n2", 6, 1)], plan(step(1, None))) == []


def test_vms_that_are_apart_do_not_meet_on_the_way():
    vms = [VM("a", 1, "n1"), VM("b", 1, "n2")]
    cluster = Cluster([Node("n1", 10), Node("n2", 10), Node("n3", 10)], vms, [Apart(["a", "b"])], NONE)
    end = {"a": "n2", "b": "n3"}
    together = [move("a", "n1", "n2", 1, 1), move("b", "n2", "n3", 1, 1)]
    in_turn = [move("b", "n2", "n3", 1, 1), move("a", "n1", "n2", 1, 2)]
    told = "breaks rules[0] (apart), which is kept before and at the end"
    assert wrong(cluster, end, together, plan(step(1, None))) == [told]
    assert wrong(cluster, end, in_turn, plan(step(1, None), step(2, None))) == []


def test_who_waits_starts_once_where_the_placement_has_it():
    cluster = Cluster([Node("n1", 10), Node("n2", 10)], [VM("a", 6, "n1"), VM("w", 5)], (), NONE)
    end, migrations = {"a": "n2", "w": "n1"}, [move("a", "n1", "n2", 6, 1)]

    def starts(*numbers, **changed):
        begun = {"vm": "w", "node": "n1", "memory": 5, **changed}
        return plan(*(step(number, None, [begun] if number in numbers else []) for number in (1, 2)))

    assert wrong(cluster, end, migrations, starts(2)) == []
    assert "has n1 hold 11 MiB, 1 MiB more than its 10 MiB while it lasts" in wrong(cluster, end, migrations, starts(1))
    assert wrong(cluster, end, migrations, starts()) == ["start w 0 times, not once"]
    assert "start w 2 times, not once" in wrong(cluster, end, migrations, starts(1, 2))
    assert "says that w has 4 MiB, not 5" in wrong(cluster, end, migrations, starts(2, memory=4))


@pytest.mark.parametrize(
    ("guarantee", "exposed", "undecided", "told"),
    [
        ("unsafe", ["n1"], [], []),
        ("safe", [], [], ["says 'safe'; 'unsafe' is right"]),
        ("unsafe", ["n2"], [], ["n1 is not survived after this step", "n2 is survived after this step"]),
        (
            *("unsafe", [], []),
            ["says unsafe, with 0 failures exposed, 0 of them undecided", "n1 is not survived after this step"],
        ),
        ("unknown", ["n1"], ["n1"], []),
        ("unknown", ["n1", "n3"], ["n1", "n3"], []),
        ("unsafe", ["n1", "n3"], ["n3"], []),
        ("unsafe", ["n1"], ["n1"], ["says unsafe, with 1 failure exposed, 1 of them undecided"]),
        ("unknown", ["n1"], [], ["says unknown, with 1 failure exposed, 0 of them undecided"]),
        ("unsafe", ["n1"], ["n3"], ["names 'n3', which is not among those exposed"]),
    ],
)
def test_the_guarantee_after_a_step_is_decided_anew(guarantee, exposed, undecided, told):
    """Once c has joined a and b, the others have no room for all three."""
    vms = [VM("a", 3, "n1"), VM("b", 3, "n1"), VM("c", 3, "n2")]
    cluster = Cluster([Node("n1", 10), Node("n2", 4), Node("n3", 4)], vms)
    end = {"a": "n1", "b": "n1", "c": "n1"}
    outline = plan(step(1, guarantee, exposed=exposed, undecided=undecided), exposed=[] if guarantee == "safe" else [1])
    assert wrong(cluster, end, [move("c", "n2", "n1", 3, 1)], outline) == told


def test_cold_moves_have_room_once_they_are_stopped():
    vms = [VM("ct", 6, "n1", movable="cold"), VM("a", 6, "n2")]
    cluster = Cluster([Node("n1", 10), Node("n2", 10)], vms, (), NONE)
    end = {"ct": "n2", "a": "n1"}
    migrations = [move("a", "n2", "n1", 6, 1), move("ct", "n1", "n2", 6, 2, cold=True)]
    stop = {"vm": "ct", "node": "n1", "memory": 6}
    assert wrong(cluster, end, migrations, plan(step(1, None, stops=[stop]), step(2, None))) == []
    assert wrong(cluster, end, migrations, plan(step(1, None), step(2, None, stops=[stop]))) != []
    live = copy.deepcopy(migrations)
    live[1]["cold"] = False
    assert "says False; ct moves cold" in wrong(cluster, end, live, plan(step(1, None, stops=[stop]), step(2, None)))


APART = Cluster(
    [*(Node(f"n{i}", 60, pool="a") for i in range(3)), Node("m", 40, pool="b")],
    [VM("v", 10, "n0", pool="a"), VM("w", 3, "m", pool="b")],
)


def test_a_pool_in_which_nothing_is_done_need_not_count():
    result = vmplace.drain(APART, "n0")
    document = result.to_dict()
    assert (document["pools"], result.plan.steps[0].guarantee) == ({"a": "safe", "b": "unsafe"}, "safe")
    assert vmplace.audit_result(APART, document).violations == ()
    document["plan"] = plan(step(1, "unsafe", exposed=["m"]), exposed=[1])
    assert vmplace.audit_result(APART, document).violations == ()
    document["plan"] = plan(step(1, "unsafe", exposed=["n1"]), exposed=[1])
    assert [v.subject for v in vmplace.audit_result(APART, document).violations] == ["plan.steps[0].exposed"]


def test_a_pool_in_which_something_is_done_counts():
    nodes = [*(Node(f"n{i}", 10, pool="a") for i in range(3)), Node("m", 40, pool="b")]
    cluster = Cluster(nodes, [VM("v", 4, "n0", pool="a"), VM("w", 3, "n0", pool="a"), VM("u", 8, "n1", pool="a")])
    outline, end = plan(step(1, "safe")), {"v": "n2", "w": "n0", "u": "n1"}
    assert wrong(cluster, end, [move("v", "n0", "n2", 4, 1)], outline) == ["says 'safe'; 'unsafe' is right"]


def test_a_node_that_is_switched_off_afterwards_may_be_a_stopover():
    end, off = {"a": "n2", "b": "n1"}, ["n1", "n2"]
    stopover = [move("a", "n1", "n3", 6, 1), move("b", "n2", "n1", 5, 2), move("a", "n3", "n2", 6, 3)]
    around = plan(*(step(number, None) for number in (1, 2, 3)), extra=6, stopovers=["a"])
    objective = {"name": "consolidate", "value": 2, "bound": 2, "gap": 0}
    document = {"status": "optimal", "guarantee": "safe", "placement": end, "migrations": stopover, "plan": around}
    document |= {"powered": off, "objective": objective}
    assert vmplace.audit_result(SWAP, document).violations == ()
    to_off = {**document, "placement": {**end, "a": "n3"}, "migrations": [stopover[0], stopover[1]], "powered": ["n1", "n2"]}
    assert "placement" in {v.kind for v in vmplace.audit_result(SWAP, to_off).violations}


def test_a_policy_that_does_not_look_at_memory_may_fail_where_memory_is_enough():
    nodes = [Node("n0", 8), Node("n1", 2), Node("n2", 4), Node("n3", 8)]
    cluster = Cluster(nodes, [VM("v0", 2, "n0"), VM("v1", 4, "n0")], guarantee=Guarantee(policy="fewest-vms"))
    result = vmplace.drain(cluster, "n0")
    assert "n0" in result.plan.steps[0].exposed  # n1 runs no VM and is too small for the one that is still on n0
    assert vmplace.audit_result(cluster, result.to_dict()).violations == ()
