import numpy as np
import pytest
from hypothesis import given, settings

from tests.support.brute import World
from tests.support.placements import state
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.failover.certify import certify
from vmplace.failover.verdict import ScenarioStatus
from vmplace.problem.compile import compile_problem
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

IN_TURN = {"failures": 2, "sequence": "sequential"}

# Any two of these can fail at once, each pair by a plan of its own; but whatever is done when one fails, some next is fatal.
FATAL_IN_TURN = ((14, 16, 16, 16), ((7, 2), (4, 1), (4, 1), (3, 3), (7, 0), (5, 2)))


def certified(usable, vms, budget=None, **guarantee):
    now = state(usable, vms, **guarantee)
    return certify(now.problem, now.node_of, budget=budget or Budget())


def test_failures_at_once_have_no_turns():
    assert certified(*FATAL_IN_TURN, failures=2).turns == {}
    assert certified(*FATAL_IN_TURN, failures=2).safe
    assert certified(*FATAL_IN_TURN, failures=1, sequence="sequential").turns == {}


def test_planned_failures_in_turn_are_judged_by_pool_besides_each_by_itself():
    verdict = certified(*FATAL_IN_TURN, **IN_TURN)
    assert (verdict.fate == ScenarioStatus.SAFE).all()
    assert verdict.turns == {0: ScenarioStatus.UNSAFE}
    assert verdict.unsafe


def test_turns_are_not_looked_into_where_a_failure_by_itself_is_fatal():
    verdict = certified((8, 8, 8), ((5, 0), (5, 1), (5, 2)), **IN_TURN)
    assert verdict.unsafe
    assert verdict.turns == {}


@pytest.mark.parametrize("options", [{"budget": Budget(0)}, {"searching": False}])
def test_without_time_or_a_search_turns_stay_open(options):
    now = state(*FATAL_IN_TURN, **IN_TURN)
    verdict = certify(now.problem, now.node_of, **{"budget": Budget(), **options})
    assert not verdict.safe
    assert not verdict.unsafe


def test_where_room_is_never_short_turns_are_told_without_either():
    now = state((20, 20, 20, 20), ((3, 0), (3, 1), (3, 2)), **IN_TURN)
    verdict = certify(now.problem, now.node_of, budget=Budget(0), searching=False)
    assert verdict.safe
    assert verdict.turns == {0: ScenarioStatus.SAFE}


def test_each_pool_has_its_turns():
    usable, vms = FATAL_IN_TURN
    nodes = [Node(f"{pool}{i}", size, pool=pool) for pool in "ab" for i, size in enumerate(usable)]
    both = [
        VM(f"{pool}v{k}", size if pool == "a" else 1, f"{pool}{i}", pool=pool) for pool in "ab" for k, (size, i) in enumerate(vms)
    ]
    problem = compile_problem(Cluster(nodes, both, guarantee=Guarantee(**IN_TURN)))
    verdict = certify(problem, problem.node_of, budget=Budget())
    assert verdict.turns == {0: ScenarioStatus.UNSAFE, 1: ScenarioStatus.SAFE}
    assert [verdict.of_pool(pool) for pool in (0, 1)] == [ScenarioStatus.UNSAFE, ScenarioStatus.SAFE]


powerable = clusters(max_nodes=4, max_vms=5, placed="all", failures=(1, 2), domains=True, evictable=True, states=False)


@settings(max_examples=50, deadline=None)
@given(powerable)
def test_only_powered_nodes_are_there(cluster):
    world, problem = World(cluster), compile_problem(cluster)
    hosting = np.isin(np.arange(problem.n_nodes), problem.node_of)
    powered = hosting | (np.arange(problem.n_nodes) % 2 == 0)
    verdict = certify(problem, problem.node_of, budget=Budget(), powered=powered)
    names = [node.name for node, on in zip(cluster.nodes, powered.tolist(), strict=True) if on]
    assert verdict.safe == world.powering(names).all_survivable(world.now)
