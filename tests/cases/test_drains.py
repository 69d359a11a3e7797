"""Plans of drains and of consolidation: what holds after each step, what limits count, and what an answer says to do next."""

from itertools import combinations, product

import vmplace
from vmplace import VM, Cluster, Guarantee, Node, Status, Together


def test_the_last_step_of_a_consolidation_is_judged_without_the_nodes_that_are_switched_off():
    nodes = [Node("n2", 1024), Node("n3", 64), Node("n4", 128)]
    vms = [VM("vm1", 64, "n2"), VM("vm2", 64, "n4")]
    cluster = Cluster(nodes, vms, [Together(["vm1", "vm2"])], Guarantee(policy="best-fit"))
    solution = vmplace.place(cluster, objective="consolidate", move_running=True)
    assert (solution.guarantee, solution.powered) == (Status.SAFE, ("n2", "n4"))
    assert solution.plan.steps[-1].guarantee is Status.SAFE  # while n3 is on, one of the two would start there
    assert vmplace.check(solution.to_document()).status is Status.SAFE
    assert vmplace.audit_result(cluster, solution).violations == ()
    claimed = solution.to_dict()
    claimed["plan"]["steps"][-1] |= {"guarantee": "unsafe", "exposed": ["n2"]}
    claimed["plan"]["exposed"] = [1]
    assert [v.subject for v in vmplace.audit_result(cluster, claimed).violations] == ["plan.steps[0].exposed"]


def test_steps_before_the_last_may_use_nodes_that_are_switched_off_later():
    vms = [VM("a", 4, "n0"), VM("b", 4, "n1"), VM("c", 4, "n2")]
    cluster = Cluster([Node(f"n{i}", 12) for i in range(3)], vms)
    solution = vmplace.place(cluster, objective="consolidate", move_running=True)
    assert len(solution.powered) == 2
    assert vmplace.audit_result(cluster, solution).violations == ()
    assert {step.guarantee for step in solution.plan.steps} == {Status.SAFE}


def test_limits_count_cold_moves():
    vms = [VM("ct", 16, "n0", movable="cold"), VM("v", 8, "n0")]
    cluster = Cluster([Node(f"n{i}", 64) for i in range(3)], vms, (), Guarantee(failures=0))
    target = {"ct": "n1", "v": "n2"}
    assert vmplace.plan_moves(cluster, target, max_moves=1).reason == "2 VMs have to migrate, max_moves allows 1"
    assert vmplace.plan_moves(cluster, target, max_migrated=23).reason == "24 MiB have to migrate, max_migrated allows 23"
    assert vmplace.plan_moves(cluster, target, max_moves=2, max_migrated=24).status is Status.OPTIMAL
    assert vmplace.drain(cluster, "n0", max_moves=1).status is Status.INFEASIBLE


def test_a_drain_leaves_the_least_unprotected_first_and_moves_the_least_then():
    vms = [VM("a", 60, "n0"), VM("b", 50, "n1"), VM("c", 1, "n1"), VM("d", 50, "n2")]
    cluster = Cluster([Node("n0", 100), Node("n1", 100), Node("n2", 61)], vms)
    solution = vmplace.drain(cluster, "n0")
    assert solution.status is Status.OPTIMAL
    best = min(_drains(cluster), key=lambda found: found[:2])
    lost = sum(vm.memory for loss in solution.unprotected for vm in vms if vm.name in loss.vms)
    assert (lost, solution.objective) == best[:2]


def test_what_is_not_proved_says_how_much_less_could_be_unprotected():
    cluster = vmplace.generate(nodes=6, node_memory="512GiB", fill=0.97, placed="worst-fit", seed=2)
    solution = vmplace.drain(cluster, "n0", method="greedy")
    assert solution.status is Status.FEASIBLE
    assert solution.reason.startswith("greedy proves nothing; another placement could leave ")
    assert solution.reason.endswith(" less unprotected at most")
    assert solution.bound == int(cluster.vms.memory[cluster.vms.node == 0].sum())


def _drains(cluster):
    """What each drain of n0 leaves unprotected, and migrates."""
    vms = [(vm.name, vm.memory, vm.node) for vm in cluster.vms]
    size = {"n1": 100, "n2": 61}
    for nodes in product(size, repeat=len(vms)):
        load = {node: sum(memory for (_, memory, _), at in zip(vms, nodes, strict=True) if at == node) for node in size}
        if all(load[node] <= size[node] for node in size):
            lost = 0
            for failed, other in (("n1", "n2"), ("n2", "n1")):
                down = [memory for (_, memory, _), at in zip(vms, nodes, strict=True) if at == failed]
                kept = (sum(some) for n in range(len(down) + 1) for some in combinations(down, n))
                lost += sum(down) - max(total for total in kept if total <= size[other] - load[other])
            yield lost, sum(memory for (_, memory, now), at in zip(vms, nodes, strict=True) if at != now), nodes
