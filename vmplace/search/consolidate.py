"""Consolidation onto the fewest powered nodes, by bin packing, where nothing else restricts the placement."""

from collections import Counter

import numpy as np
from attrs import frozen

from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.search.goal import Goal
from vmplace.solvers.binpacking.pack import pack
from vmplace.solvers.budget import Budget

__all__ = ["Consolidation", "applies", "spare_packing"]


@frozen(eq=False)
class Consolidation:
    """What `spare_packing` found.

    Parameters
    ----------
    node_of
        Node of each VM, shape (n_vms,); None without a placement.
    powered
        Nodes that stay on, shape (n_nodes,); None without a placement.
    bound
        No placement does with fewer nodes; one more than are online where it is proved that there is none.
    infeasible
        Whether it is proved that there is no placement.
    method
        As `vmplace.solvers.binpacking.pack.Packing.method`.
    """

    node_of: IntArray | None
    powered: BoolArray | None
    bound: int
    infeasible: bool
    method: str


def spare_packing(problem: Problem, goal: Goal, *, budget: Budget) -> Consolidation | None:
    """Pack all VMs into as few nodes as can be and keep as many more, empty and as large as any, as may fail.

    It is enough: whichever nodes fail, the VMs of each restart on an empty one, which is at least as large. It is needed: nodes K
    that survive the failure of their largest ones hold all VMs without these; sorted by size, each of the others is no larger
    than the one in its place among all nodes but the largest; so that many of these hold all VMs, too.

    Returns None where more is asked than this: see `applies`.
    """
    if not applies(problem, goal):
        return None
    online = np.flatnonzero(problem.online)
    nodes = online[np.argsort(-problem.usable[online], kind="stable")].tolist()
    spare = nodes[: problem.failures] if problem.n_vms else []
    others = nodes[len(spare) :]
    # One kind for each size of node, in the order of `others`: the packing's bins are these nodes.
    packing = pack(problem.memory.tolist(), list(Counter(problem.usable[others].tolist()).items()), budget=budget)
    bound = packing.bound + len(spare)
    if packing.bin_of is None:
        return Consolidation(None, None, bound, packing.infeasible, packing.method)
    node_of = np.array(others, dtype=np.int64)[np.array(packing.bin_of, dtype=np.int64)]
    powered = np.zeros(problem.n_nodes, dtype=bool)
    powered[node_of] = True
    powered[spare] = True
    return Consolidation(node_of, powered, bound, False, packing.method)


def applies(problem: Problem, goal: Goal) -> bool:
    """Whether VMs are free to go to any online node of the one pool, all protected, and nothing else limits them."""
    return bool(
        problem.guarantee.scope == "node"
        and problem.guarantee.quorum is None
        and problem.capacity.shape[1] == 1
        and problem.lasting is None
        and len(problem.pools) <= 1
        and not problem.compiled_rules
        and not problem.maintenance.any()
        and np.all(problem.limit == problem.usable)
        and not goal.best_effort
        and goal.max_moves is None
        and goal.max_migrated is None
        and goal.max_share is None
        and np.all(goal.free(problem))
        and np.all(problem.protected)
        # Where a VM may be, it may restart: rules that hold in a failover hold in normal running.
        and np.all(problem.reachable[:, problem.online])
    )
