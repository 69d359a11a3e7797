"""Plans of drains and of consolidation: what holds after each step, what limits count, and what an answer says to do next."""

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
