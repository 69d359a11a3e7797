"""Objectives against enumeration: every placement of small clusters is looked at."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from tests.support.enumeration import options
from vmplace.testing import clusters

OBJECTIVES = (
    ("balance",),
    ("moves",),
    ("consolidate",),
    ("balance", "consolidate"),
    ("moves", "consolidate"),
    ("consolidate", "moves"),
    ("consolidate", "balance"),
    ("moves", "consolidate", "balance"),
    ("balance", "moves", "consolidate"),
)
SMALL = clusters(
    max_nodes=4,
    max_vms=5,
    resources=True,
    domains=True,
    restart=("planned", "any-order", "any-order"),
    policies=True,
    failures=(1, 1, 1, 2, 0),
    sequences=("at-once", "at-once", "sequential"),
    stopped=False,
)
TIMES = pytest.mark.parametrize("times", [1, pytest.param(60, marks=pytest.mark.slow)])


@TIMES
def test_what_is_best_is_found_and_holds_as_written(times):
    @settings(max_examples=40 * times, deadline=None, derandomize=times == 1, suppress_health_check=list(HealthCheck))
    @given(SMALL, st.sampled_from(OBJECTIVES), st.booleans(), st.sampled_from(["exact", "exact", "greedy"]))
    def law(cluster, objective, move_running, method):
        there = list(options(cluster, objective, move_running=move_running))
        best = min((option.worth for option in there), default=None)
        solution = vmplace.place(cluster, objective=objective, method=method, move_running=move_running, time_limit=20)
        if best is None:
            assert solution.placement is None
            return
        assert solution.status != "infeasible"
        if solution.placement is not None:
            mine = assert_one_of_them(cluster, there, objective, solution, best)
            assert_nothing_moves_in_vain(cluster, there, mine)

    law()


def assert_one_of_them(cluster, there, objective, solution, best):
    """The placement is one of those there are, its values are its own, and it is the best if it is said to be."""
    running = {vm.name: solution.placement[vm.name] for vm in World(cluster).charged}
    mine = [
        option
        for option in there
        if option.placement == running and ("consolidate" not in objective or option.powered == {*solution.powered})
    ]
    assert mine
    values, bounds = (v if isinstance(v, tuple) else (v,) for v in (solution.objective, solution.bound))
    should = 1 if objective[0] == "moves" else 0
    assert (*mine[0].asked[:should], *mine[0].asked[should + 1 :]) == values
    assert bounds[0] <= values[0]
    if solution.status == "optimal":
        assert mine[0].asked == best[: len(mine[0].asked)]
        assert bounds == values
        ties = solution.stats.get("ties", {"proved": True})
        assert not ties["proved"] or mine[0].worth == best
    assert vmplace.check(solution.to_document()).status == solution.guarantee == "safe"
    return mine[0]


def assert_nothing_moves_in_vain(cluster, there, mine):
    """No VM that migrates could stay where it is, the others being where they are, with all that was asked for as good."""
    now = World(cluster).now
    for option in there:
        changed = {vm for vm, node in option.placement.items() if mine.placement[vm] != node}
        if len(changed) == 1 and option.powered == mine.powered:
            (vm,) = changed
            assert option.placement[vm] != now.get(vm) or option.asked > mine.asked
