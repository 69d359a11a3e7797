import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.failover.test_certify import FATAL_IN_TURN
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.diagnosis import failures
from vmplace.diagnosis.failures import failures_lost, turns_lost
from vmplace.failover.certify import certify
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.solvers.budget import Budget


def lost(cluster, find=failures_lost, budget=None):
    problem = compile_problem(cluster)
    verdict = certify(problem, problem.node_of, budget=Budget())
    return list(find(Names(cluster, problem), verdict, budget or Budget()))


def nodes(*sizes):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes)]


SLOTS = Cluster(nodes(30, 9, 9), [*(VM(f"v{i}", 5, "n0") for i in range(4)), VM("s", 1, "n0")])


def test_of_many_vms_those_to_blame_and_what_is_missing():
    (blame,) = lost(SLOTS)
    assert len(blame.vms) == 3  # of the four of 5 MiB, as two find a place
    assert (blame.shortfall, blame.displaced, blame.free, blame.minimal, blame.late) == (6, 21, 18, True, False)
    assert [stuck.memory for stuck in blame.stuck] == [5, 5]
    assert blame.stuck[0].reason.endswith("finds a node alone, but not together with all other VMs that must restart")


def test_without_time_the_reason_is_all_there_is():
    (blame,) = lost(SLOTS, budget=Budget(0))
    assert blame.late
    assert not blame.minimal
    assert blame.vms == ("v2", "v3")  # those without a restart
    assert blame.reason.startswith("the VMs on n0 need 21 MiB")
    assert blame.shortfall is None


def test_more_memory_is_no_help_where_no_node_is_left():
    (blame,) = lost(Cluster(nodes(9), [VM("a", 1, "n0")]))
    assert (blame.shortfall, blame.nodes, blame.vms) == (None, (), ("a",))


@st.composite
def crumbs(draw):
    """Nodes on which what is free comes in pieces, sometimes of less than a VM; some are overfull."""
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, 4, 5, 7, 8, 16]), min_size=3, max_size=14))
    where = draw(st.lists(st.integers(0, 3), min_size=len(sizes), max_size=len(sizes)))
    free = draw(st.lists(st.integers(-1, 9), min_size=4, max_size=4))
    load = np.bincount(where, sizes, 4).astype(int)
    hosts = nodes(*(max(1, int(held) + left) for held, left in zip(load, free, strict=True)))
    failing = draw(st.sampled_from([1, 1, 2]))
    vms = [
        VM(f"v{i}", size, f"n{node}", protected=draw(st.integers(0, 5)) > 0)
        for i, (size, node) in enumerate(zip(sizes, where, strict=True))
    ]
    return Cluster(hosts, vms, guarantee=Guarantee(failures=failing))


@given(crumbs())
@settings(max_examples=40, deadline=None)
def test_arithmetic_of_sizes_tells_what_trying_does(cluster):
    told = lost(cluster)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(failures._Failure, "_memory_binds", False)
        assert told == lost(cluster)


def test_more_memory_is_no_help_without_a_quorum():
    blame, _ = lost(Cluster(nodes(9, 9), [VM("a", 1, "n0")], guarantee=Guarantee(quorum=2)))
    assert (blame.shortfall, blame.reason) == (None, "1 of 2 nodes would be left; quorum needs 2")
    assert [stuck.reason for stuck in blame.stuck] == [blame.reason]


def in_turn(*vms):
    sizes, homes = FATAL_IN_TURN
    names = [f"v{i}" for i in range(len(homes))]
    members = [VM(name, size, f"n{node}") for name, (size, node) in zip(names, homes, strict=True) if not vms or name in vms]
    return Cluster(nodes(*sizes), members, guarantee=Guarantee(failures=2, sequence="sequential"))


def test_failures_in_turn_have_vms_to_blame():
    (blame,) = lost(in_turn(), turns_lost)
    assert (blame.kind, blame.subject, blame.minimal) == ("turns", "default", True)
    assert lost(in_turn(*blame.vms), turns_lost)
    for gone in blame.vms:
        assert not lost(in_turn(*(vm for vm in blame.vms if vm != gone)), turns_lost)
