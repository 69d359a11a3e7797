"""Plans that are kept as VMs come and go: each is audited, and what they tell is compared with a check of the cluster."""

import numpy as np
import pytest
from attrs import evolve
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import vmplace
from vmplace import VM, Admitter, Apart, Cluster, Guarantee, Node, Together
from vmplace.admission import guarantee_state
from vmplace.admission.incremental.planned_cluster import PlannedCluster
from vmplace.admission.results import Rejection
from vmplace.auditor.audit import audit_plans
from vmplace.failover.certify import certify
from vmplace.problem.compile import compile_problem
from vmplace.solvers.budget import Budget
from vmplace.testing import clusters

FEATURES = {"resources": True, "domains": True, "evictable": True, "targets": True, "failures": (1, 1, 1, 2), "max_vms": 7}


def kept(cluster):
    problem = compile_problem(cluster)
    found = PlannedCluster.of(cluster, certify(problem, problem.node_of, budget=Budget()))
    assert found is not None
    return found


def plans_of(planned):
    """The plans of all failures, by their names."""
    found = {}
    for part in planned._parts.values():
        for failure in range(len(part.pool.failing)):
            plan = part.pool._plan(failure)
            whole = found.setdefault(part.failures(failure), {})  # a domain may be in several pools
            whole.update((name, part.names[restart.node]) for name, restart in plan.items())
            use = np.zeros_like(part.pool.use[failure])
            for restart in plan.values():
                use[restart.node] += restart.demand
            assert (use == part.pool.use[failure]).all()
        assert (part.pool._need == part.pool.use.max(axis=0, initial=0)).all()
        assert (part.pool._asked == part.pool.use.sum(axis=1)).all()
        assert (part.pool._lost == part.pool.failing.astype(int) @ part.pool.spare).all()
    return found


def audited(cluster, planned):
    """What plans break that stop all evictable VMs, and the VMs that they leave out."""
    evictable = {vm.name: None for vm in cluster.vms if vm.evictable and vm.running and vm.node}
    hosts = {vm.name: vm.node for vm in cluster.vms if vm.running}
    displaced = vmplace.check(cluster).failover  # of a node in maintenance, none once it is empty
    plans = {key: plan for key, plan in plans_of(planned).items() if key in displaced}
    missing = [(key, name) for key, told in displaced.items() for name in told.keys() - evictable.keys() - plans[key].keys()]
    return missing + audit_plans(cluster, hosts, {key: evictable | plan for key, plan in plans.items()})


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(clusters(**FEATURES), st.data())
def test_what_plans_tell_is_right_and_they_hold_as_vms_come_and_go(cluster, data):
    assume(cluster.guarantee.plain and cluster.guarantee.quorum is None and cluster.nodes)
    assume(vmplace.check(cluster).status == "safe")
    planned, told = kept(cluster), 0
    for number in range(data.draw(st.integers(1, 4))):
        here = [vm for vm in cluster.vms if vm.node is not None and vm.running and vm.target is None and planned.tells_of(vm)]
        if here and data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(here))
            if cluster.node(gone.node).state != "offline":
                assert planned.take(gone, gone.node)
            cluster = evolve(cluster, vms=[vm for vm in cluster.vms if vm.name != gone.name])
            continue
        pool = data.draw(st.sampled_from(cluster.pools))
        amounts = {name: data.draw(st.integers(0, 2)) for name in planned._resources}
        vm = VM(f"new{number}", data.draw(st.integers(1, 4)), pool=pool, resources=amounts)
        vm = evolve(vm, evictable=data.draw(st.integers(0, 4)) == 0, protected=data.draw(st.integers(0, 4)) > 0)
        survey = planned.survey(vm, waits=False, score="tightest", otherwise=lambda node: (Rejection.DOUBT, node))
        by_passes, _ = survey.sift()
        for index, node in enumerate(survey.known.names):
            with_it = evolve(cluster, vms=[*cluster.vms, evolve(vm, node=node)])
            each = {Rejection(int(by_passes[index])), planned.weigh(vm, node, waits=False)[0]}
            if Rejection.NOTHING in each:
                assert vmplace.check(with_it).status == "safe"
            if Rejection.FAILURE in each:
                assert vmplace.check(with_it).status == "unsafe"
            told += not each & {Rejection.DOUBT}
            if each == {Rejection.NOTHING} and data.draw(st.booleans()):
                assert planned.put(vm, node)
                cluster = with_it
                break
    assert audited(cluster, planned) == []


NODES = [Node(name, 10, resources={"vcpu": 8}) for name in "abc"]


def pool_of(planned):
    (part,) = planned._parts.values()
    return part.pool


def test_a_plan_goes_elsewhere_with_what_has_no_room_any_more():
    cluster = Cluster(NODES, [VM("x", 4, "a", resources={"vcpu": 4})])
    planned = kept(cluster)
    (target,) = {node for plan in plans_of(planned).values() for node in plan.values()}
    assert planned.put(VM("y", 4, resources={"vcpu": 5}), target)
    other = {node for plan in plans_of(planned).values() for name, node in plan.items() if name == "x"}
    assert other == {"b", "c"} - {target}


def test_what_rules_bind_goes_only_where_they_allow_it():
    vms = [VM("x", 4, "a"), VM("y", 2, "b"), VM("z", 1, "c")]
    for rule, fits in ((Apart(["x", "y"]), False), (Together(["x"]), True), (Together(["x", "y"], during_failover=False), True)):
        planned = kept(Cluster([Node(name, 10) for name in "abc"], vms, [rule]))
        told, _ = planned.weigh(VM("new", 6), plans_of(planned)["a"]["x"], waits=False)
        assert told is (Rejection.NOTHING if fits else Rejection.DOUBT), rule


def test_a_failure_that_the_largest_vm_does_not_survive_speaks_against_a_node():
    nodes = [Node("a", 10), Node("b", 10), Node("c", 6), Node("d", 6)]
    planned = kept(Cluster(nodes, [VM("x", 9, "a"), VM("y", 1, "c")], [Apart(["y"])]))
    told, reason = planned.weigh(VM("new", 2), "b", waits=False)
    assert (told, "a failure of a " in reason) == (Rejection.FAILURE, True)
    assert planned.weigh(VM("new", 2), "b", waits=True)[0] is Rejection.DOUBT
    assert planned.weigh(VM("new", 11), "b", waits=False)[0] is Rejection.MEMORY


@pytest.mark.parametrize("rules", [[], [Apart(["vm0", "vm1"])]])
def test_an_admitter_does_not_compile_anew_for_each_vm(monkeypatch, rules):
    nodes = [Node(f"n{i}", 96, resources={"vcpu": 40}) for i in range(6)]
    vms = [VM(f"vm{i}", 4 + i % 3, f"n{i % 6}", resources={"vcpu": 2}) for i in range(30)]
    admitter, made = Admitter(Cluster(nodes, vms, rules, Guarantee(failures=2))), []

    def of(cluster, verdict, make=PlannedCluster.of):
        made.append(cluster)
        return make(cluster, verdict)

    monkeypatch.setattr(guarantee_state.PlannedCluster, "of", of)
    monkeypatch.setattr(guarantee_state, "RecheckedVM", None)
    for number in range(8):
        vm = VM(f"new{number}", 2, resources={"vcpu": 1})
        found = admitter.admit(vm)
        assert admitter.commit(vm, found.node).admitted
        assert admitter.candidates(VM("other", 3, resources={"vcpu": 1})).admitted.any()
        if number % 3 == 2:
            admitter.remove(f"new{number - 1}")
    assert len(made) == 1
    assert vmplace.check(admitter.cluster).status == "safe"
