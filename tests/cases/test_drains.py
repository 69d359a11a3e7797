"""Plans of drains and of consolidation: what holds after each step, what limits count, and what an answer says to do next."""

from itertools import combinations, product

import vmplace
from vmplace import VM, Cluster, Guarantee, Node, Status, Together
from vmplace.cli import main


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


FULL = Cluster(
    [Node("n1", 100), Node("n2", 100), Node("n3", 100)],
    [
        VM("db", 60, "n1", priority=5),
        VM("app", 40, "n2"),
        VM("batch", 30, "n2", evictable=True),
        VM("test", 20, "n3", evictable=True, priority=-1),
        VM("web", 60, "n3"),
    ],
)


def test_evictable_vms_stop_for_a_drain_that_has_no_room_for_all():
    solution = vmplace.drain(FULL, "n1")
    assert [(stop.vm, stop.node, stop.memory) for stop in solution.stopped] == [("test", "n3", 20)]
    assert solution.stats["stops_proved"]
    assert [(number, start.vm, start.node) for number, start in solution.afterwards.starts] == [(1, "test", "n1")]
    document = solution.to_document()
    assert not next(vm.running for vm in document.vms if vm.name == "test")
    assert vmplace.audit_result(FULL, solution).violations == ()
    assert solution.to_dict()["stopped"] == [{"vm": "test", "node": "n3", "memory": 20}]
    roomy = Cluster([*FULL.nodes, Node("n4", 20)], FULL.vms)
    assert "stopped" not in vmplace.drain(roomy, "n1").to_dict()


def test_a_local_vm_that_may_be_stopped_does_not_keep_a_node():
    local = VM("local", 10, "n1", movable=False, evictable=True)
    cluster = Cluster(FULL.nodes, [local, VM("db", 60, "n1")])
    solution = vmplace.drain(cluster, "n1")
    assert (solution.status, solution.guarantee) == (Status.OPTIMAL, Status.SAFE)
    assert [stop.vm for stop in solution.stopped] == ["local"]
    assert [[stop.vm for stop in step.stops] for step in solution.plan.steps] == [[], ["local"]]  # it runs as long as it can
    refused = vmplace.drain(cluster, "n1", strict=True)
    assert (refused.status, refused.stopped) == (Status.INFEASIBLE, ())
    assert refused.reason.endswith("without --strict evictable VMs may be stopped for it")
    assert vmplace.drain(Cluster(FULL.nodes, [VM("fixed", 10, "n1", movable=False)]), "n1").status is Status.INFEASIBLE


def test_the_guarantee_alone_stops_no_vm():
    tight = Cluster(FULL.nodes[:2], [VM("a", 60, "n1"), VM("b", 40, "n2", evictable=True)])
    solution = vmplace.drain(tight, "n1")
    assert (solution.guarantee, solution.stopped) == (Status.UNSAFE, ())


def test_what_a_rolling_drain_stops_runs_again_before_the_next_group(tmp_path, capsys):
    found = vmplace.rolling_drain(FULL)
    assert (found.status, len(found.groups), found.undrained) == (Status.OPTIMAL, 3, {})
    assert [[stop.vm for stop in group.stopped] for group in found.groups] == [["test"]] * 3
    assert all(vm.running and vm.node for vm in found.to_document(FULL).vms)
    assert vmplace.audit_result(FULL, found).violations == ()
    home = vmplace.rolling_drain(FULL, home=True)
    assert home.to_document(FULL) == FULL
    path = tmp_path / "cluster.json"
    vmplace.dump(FULL, path)
    assert main(["drain", str(path), "--rolling", "--moves", str(tmp_path / "m.sh")]) == 4
    said, script = capsys.readouterr().out, (tmp_path / "m.sh").read_text()
    assert "\n  group 1: test on n3; when n1 is back: start test on n1\n" in said
    assert script.index("stop -- test n3") < script.index("maintain -- n1") < script.index("start -- test n1")


def test_the_report_and_the_script_of_a_drain_say_who_stops_and_starts_again(tmp_path, capsys):
    path, moves, out = (tmp_path / name for name in ("cluster.json", "m.sh", "out.json"))
    vmplace.dump(FULL, path)
    assert main(["drain", str(path), "n1", "--moves", str(moves), "-o", str(out)]) == 4
    said = capsys.readouterr().out
    assert "The other nodes have no room for all: 1 evictable VM must stop meanwhile (proved: fewer are not enough).\n" in said
    assert "\n1 VM stopped (20 MiB), 2 migrations (90 MiB):\n" in said
    assert "\nWhen n1 is back: start test on n1. " in said
    script = moves.read_text()
    assert script.index("stop -- test n3") < script.index("maintain -- n1") < script.index("start -- test n1")
    assert "in the document; vmplace place --start test --move-running then spreads the VMs again." in said
    (tmp_path / "back.json").write_text(out.read_text().replace("maintenance", "online"))
    assert main(["place", str(tmp_path / "back.json"), "--start", "test", "--move-running"]) == 0


def test_false_claims_of_stops_are_refuted():
    true = vmplace.drain(FULL, "n1").to_dict()

    def refuted(**changes):
        return [v.subject for v in vmplace.audit_result(FULL, {**true, **changes}).violations]

    assert refuted() == []
    assert "stopped[0].vm" in refuted(stopped=[{"vm": "web", "node": "n3", "memory": 60}])
    assert "stopped[0]" in refuted(stopped=[{"vm": "test", "node": "n2", "memory": 20}])
    assert refuted(stopped=[{"vm": "test", "node": "n3", "memory": 21}]) == ["stopped[0].memory"]
    assert "plan.steps[0]" in refuted(stopped=[])
    assert refuted(afterwards=None) == ["afterwards"]
    twice = {**true["afterwards"], "steps": true["afterwards"]["steps"] * 2}
    assert "afterwards.steps" in refuted(afterwards=twice)
    full = {
        **true["afterwards"],
        "steps": [{**true["afterwards"]["steps"][0], "starts": [{"vm": "test", "node": "n2", "memory": 20}]}],
    }
    assert "afterwards.steps" in refuted(afterwards=full)
    late = {**true["plan"], "steps": [{**step, "stops": []} for step in true["plan"]["steps"]]}
    assert "plan.steps" in refuted(plan=late)


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
