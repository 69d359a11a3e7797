"""The claims of `headroom` and `size`: a placement with more VMs, or on other nodes, and how many."""

from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any

import numpy as np

from vmplace.auditor.case import Case
from vmplace.auditor.claims.bounds import fewest_of_one_size
from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.claims.score import Score, check_bound, check_gap, check_optimal, read_scores
from vmplace.auditor.claims.solution import check_solution
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short
from vmplace.model.what_if import part_of, what_if
from vmplace.results.values import Status

__all__ = ["check_headroom", "check_headroom_table", "check_size"]


def check_headroom(claims: Claims, cluster: Cluster) -> None:
    """Re-check a headroom: its new VMs are those of the placement that the cluster does not have."""
    bundle = {int(memory): number for memory, number in claims.read("bundle", Mapping[str, int], {}).items()}
    overhead, resources = claims.read("overhead", int, 0), claims.read("resources", Mapping[str, int], {})
    placement: Mapping[str, str] = claims.read("placement", Mapping[str, str | None] | None) or {}
    enlarged, new = _enlarged(
        cluster, placement, bundle, {"overhead": overhead, "resources": resources}, tuple(claims.members.get("pools") or ())
    )
    _check_placed(claims, enlarged)
    scores = read_scores(claims)
    each = sum(bundle.values())
    for score in scores:
        claims.expect("objective.name", score.name, "headroom")
        count = len(new) // each if each else 0
        if placement and new:
            claims.expect("objective.value", score.value, count)
        elif score.value not in (None, 0):
            claims.wrong(
                "objective.value",
                f"says {short(score.value)}, but the cluster has all VMs of the placement: give the cluster that was asked about",
            )
        _check_most(claims, score, cluster, bundle)
    check_optimal(claims, scores)
    counts: dict[str, int] = {}
    for name in new:
        counts[placement[name]] = counts.get(placement[name], 0) + 1
    claims.expect("where", dict(claims.read("where", Mapping[str, int], {})), counts)
    _check_limits(claims)


def _enlarged(
    cluster: Cluster,
    placement: Mapping[str, str],
    bundle: Mapping[int, int],
    needs: Mapping[str, Any],
    pools: tuple[str, ...],
) -> tuple[Cluster, list[str]]:
    """The part of a cluster that a placement is of, with the new VMs in it; and their names."""
    known = set(cluster.vms.names)
    new = [name for name in placement if name not in known]
    if len(cluster.pools) > 1 and len(pools) == 1:
        cluster = part_of(cluster, pools[0])[0]
    pool = pools[0] if len(pools) == 1 else next(iter(cluster.pools), "default")
    sizes = [memory for memory, number in bundle.items() for _ in range(number)]
    if not new or not sizes:
        return cluster, []
    vms = [VM(name, memory, pool=pool, **needs) for name, memory in zip(new, islice(cycle(sizes), len(new)), strict=True)]
    return what_if(cluster, add_vms=vms), new


def _check_placed(claims: Claims, cluster: Cluster) -> None:
    """Re-check the placement as if it were that of a report: the objective is another one, and looked at elsewhere."""
    status = claims.read("status", Status)
    solved = claims.members.get("placement") is not None and status in (Status.OPTIMAL, Status.FEASIBLE)
    said = claims.members.get("guarantee" if solved else "status")
    if status not in (Status.OPTIMAL, Status.FEASIBLE, Status.INFEASIBLE, Status.UNKNOWN):
        claims.wrong("status", f"says {short(status and status.value)}, which is not optimal, feasible, infeasible or unknown")
        said = claims.members.get("guarantee")
    inner = claims.within("", {**claims.members, "objective": None, "status": said})
    check_solution(inner, cluster)
    claims.adopt(inner)


def _check_most(claims: Claims, score: Score, cluster: Cluster, bundle: Mapping[int, int]) -> None:
    """A bound on a number is an upper one: what is free in all, shared out."""
    check_gap(claims, score, upper=True)
    if score.bound is None:
        return
    if score.value is not None and score.bound < score.value:
        claims.wrong("objective.bound", f"says that no more than {short(score.bound)} fit, but {short(score.value)} do")
    case = Case(cluster, np.full(len(cluster.vms), -1), None, ())
    size = sum(memory * number for memory, number in bundle.items())
    room = int(case.memory.capacity[case.online].sum()) + int(case.memory.capacity[case.maintenance].sum())
    most = max(0, room - int(case.memory.demand[~case.stopped].sum())) // size if size else 0
    if score.bound >= most:
        claims.right("objective.bound")
    else:
        claims.leave("objective.bound", f"sums show no more than {most}; the result has no certificate for {short(score.bound)}")


def _check_limits(claims: Claims) -> None:
    limits = claims.read("limits", Mapping[str, int], {})
    claims.expect("binding", claims.read("binding", str | None), min(limits, key=lambda name: limits[name], default=None))
    if limits:
        claims.leave("limits", "the result has no certificate for what each resource allows")
    by_sum = claims.read("by_sum", Mapping[str, int], {})
    for name, most in limits.items():
        if by_sum and by_sum.get(name, -1) < most:
            claims.wrong("by_sum", f"says {short(by_sum.get(name))} for {short(name)}, which is less than its limit of {most}")
    if by_sum:
        claims.leave("by_sum", "the result has no certificate for what is free in all")


def check_headroom_table(claims: Claims) -> None:
    """Re-check a table of headrooms: figures without placements."""
    claims.read("status", Status)
    for number, members in enumerate(claims.read("rows", tuple[Mapping[str, Any], ...], ())):
        row = claims.within(f"rows[{number}]", members)
        for score in read_scores(row):
            check_gap(row, score, upper=True)
            check_optimal(row, [score])
            row.leave("objective.value", "a table has no placements: save the answer for this size alone")
        _check_limits(row)
        for key in ("status", "bundle", "overhead", "resources", "where"):
            row.read(key, Any)
        row.rest()


def check_size(claims: Claims, cluster: Cluster) -> None:
    """Re-check a sizing; the cluster has to be the document that `size -o` wrote, which has the nodes."""
    placement: Mapping[str, str] = claims.read("placement", Mapping[str, str | None] | None) or {}
    if placement and not set(placement.values()) & set(cluster.nodes.names):
        raise InputError([Flaw("placement", "its nodes are not in CLUSTER: give the document that size -o wrote")])
    _check_placed(claims, cluster)
    counts: Mapping[str, int] | None = claims.read("counts", Mapping[str, int] | None)
    nodes, price, scores = claims.read("nodes", int | None), claims.read("price", int | float | None), read_scores(claims)
    if counts is None or not placement:
        return
    true = _counts(cluster, counts)
    claims.expect("counts", dict(counts), true)
    claims.expect("counts", sum(counts.values()), len(cluster.nodes), " in all")
    claims.expect("nodes", nodes, len(cluster.nodes))
    claims.expect("vms", claims.read("vms", int), len(cluster.vms))
    cost = sum(node.price for node in cluster.nodes)
    claims.expect("price", float(price) if price is not None else None, float(cost))
    for score in scores:
        claims.expect("objective.name", score.name, "price" if score.name == "price" else "nodes")
        claims.expect("objective.value", score.value, len(cluster.nodes) if score.name == "nodes" else score.value)
        case = Case(cluster, np.full(len(cluster.vms), -1), None, ())
        check_bound(claims, score, fewest_of_one_size(case) if score.name == "nodes" and len(counts) == 1 else 0)
        if score.name == "price":
            claims.expect("objective.value", float(score.value) if score.value is not None else None, float(cost))
    check_optimal(claims, scores)


def _counts(cluster: Cluster, kinds: Mapping[str, int]) -> dict[str, int]:
    """How many nodes are called after each kind, with a number."""
    return {
        kind: sum(name.rpartition("-")[0] == kind and name.rpartition("-")[2].isdigit() for name in cluster.nodes.names)
        for kind in kinds
    }
