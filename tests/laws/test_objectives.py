"""Objectives against enumeration: every placement of small clusters is looked at."""

from fractions import Fraction

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
    (("balance", "20%"),),
    (("balance", 0.3), "moves"),
    (("balance", "<=70%"), "consolidate"),
    (("moves", "50%"), "balance"),
    (("moves", "<=6"), "consolidate"),
    (("consolidate", 0.5), "moves"),
    ("moves", ("consolidate", "<=3"), "balance"),
    (("consolidate", "<=3"), ("balance", "10%"), "moves"),
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
    pools=False,
)
TIMES = pytest.mark.parametrize("times", [1, pytest.param(60, marks=pytest.mark.slow)])


@TIMES
def test_what_is_best_is_found_and_holds_as_written(times):
    @settings(max_examples=60 * times, deadline=None, derandomize=times == 1, suppress_health_check=list(HealthCheck))
    @given(SMALL, st.sampled_from(OBJECTIVES), st.booleans(), st.sampled_from(["exact", "exact", "greedy"]))
    def law(cluster, objective, move_running, method):
        assert_best(cluster, objective, move_running, method)

    law()


def assert_best(cluster, objective, move_running, method):
    names = tuple(entry if isinstance(entry, str) else entry[0] for entry in objective)
    there = list(options(cluster, names, move_running=move_running))
    solution = vmplace.place(cluster, objective=objective, method=method, move_running=move_running, time_limit=20)
    if not there:
        assert solution.placement is None
        return solution
    assert solution.status != "infeasible"
    if solution.placement is not None:
        mine = assert_one_of_them(cluster, there, names, solution)
        assert_said_truly(solution, mine, best_of(there, objective, names))
        assert_nothing_moves_in_vain(cluster, there, mine, best_of(there, objective, names))
    return solution


def assert_one_of_them(cluster, there, names, solution):
    """The placement is one of those there are, its values are its own, and what is written is as safe."""
    running = {vm.name: solution.placement[vm.name] for vm in World(cluster).charged}
    mine = [
        option
        for option in there
        if option.placement == running and ("consolidate" not in names or option.powered == {*solution.powered})
    ]
    assert mine
    values = solution.objective if isinstance(solution.objective, tuple) else (solution.objective,)
    should = 1 if names[0] == "moves" else 0
    assert (*mine[0].asked[:should], *mine[0].asked[should + 1 :]) == values
    assert vmplace.check(solution.to_document()).status == solution.guarantee == "safe"
    return mine[0]


def best_of(there, objective, names):
    """The placements that are left level by level: first what was asked for, each within its slack, then ties."""
    slack = {entry[0]: entry[1] for entry in objective if not isinstance(entry, str)}
    stages = list(names)
    stages.insert(1 if names[0] == "moves" else 0, "rules")
    levels = [there]
    for number, stage in enumerate(stages):
        least = min(option.asked[number] for option in levels[-1])
        most = worse(least, stage, slack.get(stage, 0))
        levels.append([option for option in levels[-1] if option.asked[number] <= most])
    for number in (0, 1):
        least = min(option.ties[number] for option in levels[-1])
        levels.append([option for option in levels[-1] if option.ties[number] == least])
    return levels


def worse(least, stage, slack):
    """What a stage may come to."""
    if isinstance(slack, str) and slack.startswith("<="):
        return max(least, Fraction(slack[2:-1]) / 100 if stage == "balance" else int(slack[2:]))
    return least * (1 + (Fraction(slack[:-1]) / 100 if isinstance(slack, str) else Fraction(str(slack))))


def assert_said_truly(solution, mine, levels):
    """It is the best if it is said to be, and no bound is above what some placement comes to."""
    bounds = solution.bound if isinstance(solution.bound, tuple) else (solution.bound,)
    values = solution.objective if isinstance(solution.objective, tuple) else (solution.objective,)
    assert all(bound <= value for bound, value in zip(bounds, values, strict=True))
    if solution.status == "optimal":
        assert mine in levels[-3]
        assert mine in levels[-1] or not solution.stats.get("ties", {"proved": True})["proved"]


def assert_nothing_moves_in_vain(cluster, there, mine, levels):
    """No VM that migrates could stay where it is, the others being where they are, with all that was asked for as good."""
    now, as_good = World(cluster).now, levels[-3]
    for option in there:
        changed = {vm for vm, node in option.placement.items() if mine.placement[vm] != node}
        if len(changed) == 1 and option.powered == mine.powered:
            (vm,) = changed
            returns = option.placement[vm] == now.get(vm)
            assert not (returns and (option.asked <= mine.asked or (mine in as_good and option in as_good)))
