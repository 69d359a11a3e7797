"""Lists of guarantees that must all hold: placements against enumeration with the oracle of each guarantee."""

import json
import os
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

import vmplace
from tests.laws.test_properties import asked, charged
from tests.support.campaigns import Law, both_suites
from tests.support.conjunctions import LISTS, Conjunction, all_planned
from vmplace.testing import clusters

CAMPAIGN = int(os.environ.get("VMPLACE_CAMPAIGN", "36"))

PLANNED, ANYHOW = LISTS["lists"], LISTS["lists-anyhow"]
EVERYTHING = {
    **ANYHOW,
    "sequences": ("at-once",),
    "mixed": True,
    "quorums": True,
    "targets": True,
    "overhead": True,
    "node_headroom": True,
    "max_vm": True,
}


def drawn(features: Mapping[str, Any], placed: Any = "mixed") -> st.SearchStrategy[Any]:
    found = clusters(max_nodes=4, max_vms=6, placed=placed, **features)
    return found.filter(lambda cluster: len(cluster.guarantees) > 1)


def confirm(cluster: Any, result: Any) -> None:
    """The audit does not refute it as it is saved."""
    assert vmplace.audit_result(cluster, json.loads(json.dumps(result.to_dict()))).status != "refuted"


def assert_open(solution: Any, best: Any) -> None:
    """A result without a placement for all pools: infeasible only if none exists."""
    assert solution.status in ("infeasible", "unknown")
    assert solution.status != "infeasible" or best is None


def assert_each(solution: Any, world: Conjunction, node_of: Any) -> None:
    """The verdict on each guarantee is that of its oracle."""
    assert [report.guarantee == "safe" for report in solution.guarantees] == [
        part.all_survivable(node_of) for part in world.parts
    ]


def placement_is_right(cluster: Any, options: dict[str, Any], method: str, best_effort: bool) -> None:
    world, options = Conjunction(cluster), {**options, "best_effort": best_effort}
    best = world.optimum(**options)
    solution = vmplace.place(cluster, method=method, time_limit=20, **options)
    confirm(cluster, solution)
    if solution.node_of is None or solution.unsolved:
        assert_open(solution, best)
        return
    node_of = charged(world, solution.placement)
    powered = Conjunction(cluster, powered=solution.powered) if solution.powered else world
    assert best is not None
    # Beyond plans fewer nodes may lose less than all of them do, and what `best` loses is that of all.
    comparable = not solution.powered or all_planned(cluster) or best.lost == world.vector(())
    assert_each(solution, powered, node_of)
    assert solution.safe == powered.all_survivable(node_of)
    if not best_effort:
        assert world.right(node_of)
        assert solution.safe
    if solution.status == "optimal" and comparable:
        assert (powered.total_loss(node_of), world.costs(node_of, options["objective"])) == (best.lost, best.costs)
    elif solution.status == "optimal":
        assert powered.total_loss(node_of) <= best.lost
    assert solution.status in ("optimal", "feasible")


def exact_is_conclusive(cluster: Any, options: dict[str, Any]) -> None:
    """Where plans are made for failures at once, nothing stays open on small clusters."""
    best = Conjunction(cluster).optimum(**options)
    solution = vmplace.place(cluster, method="exact", time_limit=20, **options)
    assert solution.status == ("infeasible" if best is None else "optimal")


def drain_is_right(cluster: Any, chosen: list[int], strict: bool) -> None:
    names = sorted({cluster.nodes.names[i % len(cluster.nodes)] for i in chosen if len(cluster.nodes)})
    if not names or any(cluster.node(name).state == "offline" for name in names):
        return
    world = Conjunction(cluster, drained=names)
    best = world.optimum("moves", move_running=True, best_effort=not strict)
    solution = vmplace.drain(cluster, names, strict=strict, time_limit=20)
    confirm(cluster, solution)
    if solution.node_of is None or solution.unsolved:
        assert_open(solution, best)
        return
    if solution.stopped:  # see tests.laws.test_drain_stops
        assert best is None
        return
    assert best is not None
    node_of = charged(world, solution.placement)
    assert_each(solution, world, node_of)
    if solution.status == "optimal":
        assert (world.total_loss(node_of), world.costs(node_of, "moves")) == (best.lost, best.costs)


def rolling_drain_is_right(cluster: Any) -> None:
    found = vmplace.rolling_drain(cluster, time_limit=6)
    confirm(cluster, found)
    for group in found.groups:
        world = Conjunction(group.cluster, drained=group.drained)
        assert group.safe == world.all_survivable(charged(world, group.placement))


_METHODS = st.sampled_from(["auto", "exact", "greedy"])

LAWS = {
    "planned": Law(
        placement_is_right, 20, {"cluster": drawn(PLANNED), "options": asked, "method": _METHODS, "best_effort": st.just(False)}
    ),
    "anyhow": Law(
        placement_is_right, 20, {"cluster": drawn(ANYHOW), "options": asked, "method": _METHODS, "best_effort": st.just(False)}
    ),
    "everything": Law(
        placement_is_right, 10, {"cluster": drawn(EVERYTHING), "options": asked, "method": _METHODS, "best_effort": st.booleans()}
    ),
    "best-effort": Law(
        placement_is_right, 20, {"cluster": drawn(PLANNED), "options": asked, "method": _METHODS, "best_effort": st.just(True)}
    ),
    "best-effort-anyhow": Law(
        placement_is_right, 10, {"cluster": drawn(ANYHOW), "options": asked, "method": _METHODS, "best_effort": st.just(True)}
    ),
    "drain": Law(
        drain_is_right,
        20,
        {
            "cluster": drawn({**PLANNED, "immovable": False, "pools": False}),
            "chosen": st.lists(st.integers(0, 3), min_size=1, max_size=2),
            "strict": st.booleans(),
        },
    ),
    "drain-anyhow": Law(
        drain_is_right,
        10,
        {
            "cluster": drawn({**ANYHOW, "immovable": False, "pools": False}, "all"),
            "chosen": st.lists(st.integers(0, 3), min_size=1, max_size=1),
            "strict": st.booleans(),
        },
    ),
    "rolling": Law(rolling_drain_is_right, 5, {"cluster": drawn({**PLANNED, "immovable": False, "pools": False}, "all")}),
    "conclusive": Law(exact_is_conclusive, 10, {"cluster": drawn(PLANNED), "options": asked}),
}


test_law = both_suites(LAWS, CAMPAIGN)
