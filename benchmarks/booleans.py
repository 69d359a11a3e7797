"""The baseline of `exact`: the same question as the textbook writes it, one boolean per VM and node, and one per VM and backup.

``x[j, i]``: VM j is on node i. ``y[j, i]``: it restarts there when its node fails. ``z[j, f, i] = x[j, f] and y[j, i]`` charges
node i in the failure of f.
"""

from ortools.sat.python import cp_model

from vmplace.model.cluster import Cluster

__all__ = ["place_by_booleans"]


def place_by_booleans(cluster: Cluster, *, time_limit: float) -> str:
    """Find any placement that survives every single failure; the solver's word for how it ended."""
    sizes = [vm.memory for vm in cluster.vms]
    usable = [node.usable for node in cluster.nodes]
    model = cp_model.CpModel()
    vms, nodes = range(len(sizes)), range(len(usable))
    x = [[model.new_bool_var("") for _ in nodes] for _ in vms]
    y = [[model.new_bool_var("") for _ in nodes] for _ in vms]
    for j in vms:
        model.add_exactly_one(x[j])
        model.add_exactly_one(y[j])
        for i in nodes:
            model.add_at_most_one(x[j][i], y[j][i])
    loads = [cp_model.LinearExpr.weighted_sum([x[j][i] for j in vms], sizes) for i in nodes]
    for f in nodes:
        for i in nodes:
            if i == f:
                continue
            coming = []
            for j in vms:
                both = model.new_bool_var("")
                model.add_bool_or(~x[j][f], ~y[j][i], both)
                coming.append(both)
            model.add(loads[i] + cp_model.LinearExpr.weighted_sum(coming, sizes) <= usable[i])
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = time_limit
    solver.parameters.num_workers = 2
    return str(solver.status_name(solver.solve(model)))
