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
)
TIMES = pytest.mark.parametrize("times", [1, pytest.param(60, marks=pytest.mark.slow)])


@TIMES
def test_what_is_best_is_found_and_holds_as_written(times):
    @settings(max_examples=40 * times, deadline=None, derandomize=times == 1, suppress_health_check=list(HealthCheck))
    @given(SMALL, st.sampled_from(OBJECTIVES), st.sampled_from(["exact", "greedy"]))
    def law(cluster, objective, method):
        best = min((option.asked for option in options(cluster, objective, move_running=True)), default=None)
        solution = vmplace.place(cluster, objective=objective, method=method, move_running=True, time_limit=20)
        if best is None:
            assert solution.placement is None
            return
        assert solution.status != "infeasible"
        if solution.placement is not None:
            assert_one_of_them(cluster, objective, solution, best)

    law()


def assert_one_of_them(cluster, objective, solution, best):
    """The placement is one of those there are, its values are its own, and it is the best if it is said to be."""
    running = {vm.name: solution.placement[vm.name] for vm in World(cluster).charged}
    mine = [
        option
        for option in options(cluster, objective, move_running=True)
        if option.placement == running and ("consolidate" not in objective or option.powered == {*solution.powered})
    ]
    assert mine
    values, bounds = (v if isinstance(v, tuple) else (v,) for v in (solution.objective, solution.bound))
    should = 1 if objective[0] == "moves" else 0
    assert (*mine[0].asked[:should], *mine[0].asked[should + 1 :]) == values
    assert bounds[0] <= values[0]
    if solution.status == "optimal":
        assert mine[0].asked == best
        assert bounds == values
    assert vmplace.check(solution.to_document()).status == solution.guarantee == "safe"
