"""The claims of `rolling_drain`: its groups one after the other, each from the cluster as the one before leaves it."""

from collections.abc import Mapping
from typing import Any

from vmplace.auditor.claims.claims import Claims
from vmplace.auditor.claims.solution import check_solution
from vmplace.auditor.claims.steps import carried_out, settled
from vmplace.model.cluster import Cluster
from vmplace.model.units import short
from vmplace.results.values import Status

__all__ = ["check_rolling"]


def check_rolling(claims: Claims, cluster: Cluster) -> None:
    """Re-check a rolling drain."""
    status = claims.read("status", Status)
    groups = claims.read("groups", tuple[Mapping[str, Any], ...], ())
    drained = _check_groups(claims, cluster, groups)
    undrained = claims.read("undrained", Mapping[str, str], {})
    for node in undrained:
        if node not in cluster.nodes.names or node in drained:
            claims.wrong("undrained", f"lists {short(node)}, which is in a group, or is not a node of this cluster")
    claims.right("undrained")
    if undrained:
        claims.leave("undrained", "the result has no certificate that these nodes cannot be drained")
    _check_left(claims, cluster, {*drained, *undrained})
    _check_status(claims, status, len(groups), bool(undrained))
    suspended = claims.read("suspended", tuple[int, ...], ())
    if any(not 1 <= number <= len(groups) for number in suspended):
        claims.wrong("suspended", f"names a group beyond the last: there are {len(groups)}")
    claims.leave("suspended", "how long the guarantee is suspended follows from the steps, which are verified one by one")
    claims.read("guarantee", Status)
    claims.leave("guarantee", "follows from the groups, whose guarantees are verified one by one")


def _check_groups(claims: Claims, cluster: Cluster, groups: tuple[Mapping[str, Any], ...]) -> list[str]:
    """Replay the groups; returns the nodes in them."""
    state, migrated, drained = cluster, 0, list[str]()
    for number, members in enumerate(groups):
        group = claims.within(f"groups[{number}]", members)
        nodes = group.read("nodes", tuple[str, ...], ())
        solution = group.within("solution", group.read("solution", Mapping[str, Any], {}))
        placement = check_solution(solution, state)
        if placement is None:
            group.wrong("solution", "has no placement")
            break
        if set(nodes) != set(solution.read("drained", tuple[str, ...], ())):
            group.wrong("nodes", "are not the nodes that its solution drains")
        group.right("nodes")
        for node in set(nodes) & set(drained):
            group.wrong("nodes", f"has {node}, which an earlier group has drained")
        drained += nodes
        migrated += sum(entry["memory"] for entry in solution.members.get("migrations", ()))
        stopped = frozenset(entry["vm"] for entry in solution.members.get("stopped", ()))
        state, returned = carried_out(Claims(solution.members), settled(state, placement, stopped), stopped)
        migrated += returned
        solution.rest()
        group.rest()
    claims.expect("migrated", claims.read("migrated", int, migrated), migrated, " MiB")
    return drained


def _check_left(claims: Claims, cluster: Cluster, told: set[str]) -> None:
    """Nodes that are neither drained nor said not to be may not have been asked for."""
    states = zip(cluster.nodes.names, cluster.nodes.state, strict=True)
    left = [name for name, state in states if state != "offline" and name not in told]
    if left:
        claims.leave(
            "groups",
            f"{', '.join(left[:5])}{' ...' * (len(left) > 5)}: not in any group, and perhaps not asked for",
        )


def _check_status(claims: Claims, status: Status | None, groups: int, undrained: bool) -> None:
    claims.right("status")
    if status not in (Status.OPTIMAL, Status.FEASIBLE, Status.INFEASIBLE, Status.UNKNOWN):
        claims.wrong("status", f"says {short(status and status.value)}, which is not optimal, feasible, infeasible or unknown")
    bound = claims.read("bound", int, 0)
    if status in (Status.OPTIMAL, Status.FEASIBLE) and undrained:
        claims.wrong("status", f"says {status}, but some nodes are not drained")
    if status in (Status.INFEASIBLE, Status.UNKNOWN) and not undrained:
        claims.wrong("status", f"says {status}, but every node is drained")
    if status is Status.OPTIMAL and bound != groups:
        claims.wrong("status", f"says optimal, but there are {groups} groups and the bound is {bound}")
    if bound > groups and not undrained:
        claims.wrong("bound", f"says that at least {bound} groups are needed, but {groups} are enough")
    elif bound > min(1, groups):
        claims.leave("bound", "the result has no certificate that fewer groups are not enough")
    else:
        claims.right("bound")
