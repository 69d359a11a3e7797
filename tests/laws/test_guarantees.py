"""Every kind of guarantee, alone and mixed with all others, judged by the oracle in brute.py.

Each feature is tried on a few fixed examples in the fast suite, on more in the slow one, and on as many as
``VMPLACE_CAMPAIGN`` says (times those of the fast suite) where that is set.
"""

import os
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

import vmplace
from tests.laws.test_properties import asked, charged
from tests.support.brute import World, takes
from tests.support.campaigns import Law, both_suites
from vmplace.testing import clusters

CAMPAIGN = int(os.environ.get("VMPLACE_CAMPAIGN", "36"))

FEATURES: Mapping[str, Mapping[str, Any]] = {
    "several": {"failures": (1, 2, 3)},
    "domains": {"failures": (1, 1, 2), "domains": True},
    "resources": {"resources": True},
    "evictable": {"evictable": True},
    "targets": {"targets": True},
    "overhead": {"overhead": True, "targets": True},
    "node-headroom": {"node_headroom": True},
    "max-vm": {"max_vm": True, "resources": True, "evictable": True},
    "any-order": {"restart": ("any-order",), "failures": (1, 1, 1, 2), "domains": True},
    "policies": {"policies": True, "failures": (1, 1, 2)},
    "quorum": {"failures": (1, 1, 2, 3), "domains": True, "quorums": True},
    "domains-and-nodes": {"domains": True, "mixed": True, "quorums": True, "failures": ()},
    "domains-and-nodes-any-order": {"domains": True, "mixed": True, "failures": (), "restart": ("any-order",), "policies": True},
    "in-turn": {"sequences": ("sequential",), "failures": (2, 2, 3)},
    "in-turn-unplanned": {"sequences": ("sequential",), "failures": (2,), "policies": True, "restart": ("planned", "any-order")},
    "mixed": {
        "failures": (1, 1, 2, 0),
        "domains": True,
        "resources": True,
        "evictable": True,
        "targets": True,
        "policies": True,
        "restart": ("planned", "any-order"),
        "sequences": ("at-once", "at-once", "sequential"),
        "quorums": True,
        "overhead": True,
        "node_headroom": True,
        "max_vm": True,
    },
}


def check_agrees(cluster: Any) -> None:
    world, report = World(cluster), vmplace.check(cluster)
    truth = world.verdict()
    told = {key: scenario.status.value for key, scenario in report.scenarios.items()}
    expected = {key: "safe" if world.survivable(world.now, key) else "unsafe" for key in truth.losses}
    assert list(told) == list(expected)
    assert told == expected
    assert report.status == truth.status
    assert {pool: status.value for pool, status in report.pools.items()} == truth.pools
    missing: dict[str, set[str]] = {}
    for loss in report.unprotected:
        missing.setdefault(loss.scenario, set()).update(loss.vms)
    for key, loss in truth.losses.items():
        assert world.vector([world.vms[name] for name in missing.get(key, ())]) == loss
        assert world.plan_holds(world.now, key, report.failover[key])
        assert report.scenarios[key].displaced == sum(takes(vm) for vm in world.displaced(world.now, key))


def placement_is_sound(cluster: Any, options: dict[str, Any], method: str, best_effort: bool) -> None:
    world, options = World(cluster), {**options, "best_effort": best_effort}
    best = world.optimum(**options)
    solution = vmplace.place(cluster, method=method, time_limit=20, **options)
    if solution.node_of is None:
        assert solution.status in ("infeasible", "unknown")
        assert solution.status != "infeasible" or best is None
        return
    if solution.unsolved:  # the rest stands alone
        assert solution.status in ("infeasible", "unknown")
        assert solution.status != "infeasible" or best is None
        return
    assert best is not None
    node_of = charged(world, solution.placement)
    powered = World(cluster, powered=solution.powered) if solution.powered else world
    if not best_effort:
        assert world.right(node_of)
        assert powered.all_survivable(node_of)
        assert solution.guarantee == "safe"
    if solution.status == "optimal":
        assert (powered.total_loss(node_of), world.costs(node_of, options["objective"])) == (best.lost, best.costs)
    assert solution.status in ("optimal", "feasible")


def exact_is_conclusive(cluster: Any, options: dict[str, Any]) -> None:
    """Where plans are made for failures at once, nothing stays open on small clusters."""
    best = World(cluster).optimum(**options)
    solution = vmplace.place(cluster, method="exact", time_limit=20, **options)
    assert solution.status == ("infeasible" if best is None else "optimal")


def drawn(feature: str, placed: Any) -> st.SearchStrategy[Any]:
    return clusters(max_nodes=4, max_vms=5, placed=placed, **FEATURES[feature])


CONCLUSIVE = (
    "several",
    "quorum",
    "domains-and-nodes",
    "domains",
    "resources",
    "evictable",
    "targets",
    "overhead",
    "node-headroom",
    "max-vm",
)
LAWS = {
    **{f"check-{name}": Law(check_agrees, 20, {"cluster": drawn(name, "all")}) for name in FEATURES},
    **{
        f"place-{name}": Law(
            placement_is_sound,
            10,
            {
                "cluster": drawn(name, "mixed"),
                "options": asked,
                "method": st.sampled_from(["auto", "exact", "greedy"]),
                "best_effort": st.sampled_from([False, False, True]),
            },
        )
        for name in FEATURES
    },
    **{f"exact-{name}": Law(exact_is_conclusive, 8, {"cluster": drawn(name, "mixed"), "options": asked}) for name in CONCLUSIVE},
}


test_law = both_suites(LAWS, CAMPAIGN)
