import numpy as np
import pytest
from hypothesis import given, settings

from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Tag
from vmplace.model.references import resolve
from vmplace.problem.compile import compile_problem
from vmplace.problem.restrict import eased
from vmplace.testing import clusters

NODES = [
    Node("a", 10, tags=["gpu"]),
    Node("b", 10, state="maintenance"),
    Node("c", 10, state="offline"),
    Node("d", 10, pool="other"),
]


def test_who_takes_memory():
    vms = [
        VM("runs", 1, "a"),
        VM("stopped", 2, "a", running=False),
        VM("on-offline", 3, "c"),
        VM("waits", 4),
        VM("in-maintenance", 5, "b"),
        VM("stopped-on-offline", 6, "c", running=False),
        VM("stopped-nowhere", 7, running=False),
    ]
    problem = compile_problem(Cluster(NODES, vms))
    assert problem.original.tolist() == [0, 2, 3, 4]
    assert problem.node_of.tolist() == [0, -1, -1, 1]
    assert problem.load(problem.node_of).tolist() == [1, 5, 0, 0]
    assert problem.demand.shape == (4, 1)


def test_where_vms_may_be_and_restart():
    rules = [OnlyOn(["x"], Tag("gpu")), NotOn(["y"], ["a"], during_failover=False), NotOn(["z"], ["a"], must=False)]
    vms = [VM("x", 1), VM("y", 1), VM("z", 1), VM("o", 1, pool="other")]
    problem = compile_problem(Cluster(NODES, vms, rules))
    reachable, restartable = (mask[problem.signature].tolist() for mask in (problem.reachable, problem.restartable))
    yes, no = True, False
    assert reachable == [[yes, no, no, no], [no, yes, no, no], [yes, yes, no, no], [no, no, no, yes]]
    assert restartable == [[yes, no, no, no], [yes, no, no, no], [yes, no, no, no], [no, no, no, yes]]
    (wish,) = problem.compiled_rules
    assert (wish.kind, wish.nodes.tolist()) == ("only-on", [no, yes, yes, yes])


def test_classes_are_of_equal_memory_and_rules():
    vms = [VM("a", 2), VM("b", 2), VM("c", 4), VM("d", 2), VM("e", 2, protected=False), VM("f", 2, priority=1)]
    problem = compile_problem(Cluster(NODES, vms, [Apart(["a", "c"])]))
    of = problem.classes.of.tolist()
    assert of[1] == of[3]
    assert len(set(of)) == 5 == len(problem.classes)
    assert problem.classes.memory[of].tolist() == [2, 2, 4, 2, 2, 2]


def test_headroom_is_rounded_up_and_exact():
    nodes = [Node("a", 10), Node("b", 1000)]
    limits = [compile_problem(Cluster(nodes, [], (), Guarantee(headroom=h))).limit.tolist() for h in (0, 0.1, 0.11, 0.3)]
    assert limits == [[10, 1000], [9, 900], [8, 890], [7, 700]]


def test_columns_are_taken_as_they_are():
    cluster = Cluster.from_arrays(node_memory=[10, 20], vm_memory=[1, 2, 3], vm_node=[0, -1, 1])
    problem = compile_problem(cluster)
    assert problem.usable.tolist() == [10, 20]
    assert problem.node_of.tolist() == [0, -1, 1]
    assert len(problem.classes) == 3


def test_default_columns_take_no_memory_for_each():
    problem = compile_problem(Cluster.from_arrays(node_memory=[10], vm_memory=[1, 2, 3]))
    for column in (problem.protected, problem.movable, problem.priority, problem.signature, problem.node_of):
        assert (len(column), column.strides) == (3, (0,))


def allowed(cluster, vm, during_failover):
    """The nodes that a VM may be on, or restart on, by what each rule says."""
    names = set()
    for node in cluster.nodes:
        states = ("online",) if during_failover else ("online", "maintenance")
        good = node.state in states and node.pool == vm.pool
        for rule in cluster.rules:
            if not isinstance(rule, OnlyOn | NotOn) or not rule.must or (during_failover and not rule.during_failover):
                continue
            if vm.name in resolve(rule.vms, cluster.vms):
                good &= (node.name in resolve(rule.nodes, cluster.nodes)) == isinstance(rule, OnlyOn)
        if good:
            names.add(node.name)
    return names


@settings(max_examples=60, deadline=None)
@given(clusters())
def test_each_vm_is_as_the_cluster_says(cluster):
    problem = compile_problem(cluster)
    names = [node.name for node in cluster.nodes]
    offline = {node.name for node in cluster.nodes if node.state == "offline"}
    now = [None if vm.node in offline else vm.node for vm in cluster.vms]
    assert problem.original.tolist() == [i for i, vm in enumerate(cluster.vms) if vm.running]
    assert problem.usable.tolist() == [node.memory - node.reserve for node in cluster.nodes]
    for k, i in enumerate(problem.original.tolist()):
        vm, signature = cluster.vms[i], problem.signature[k]
        assert problem.demand[k].tolist() == [vm.memory]
        assert (problem.protected[k], problem.movable[k], problem.priority[k]) == (vm.protected, vm.movable, vm.priority)
        assert problem.node_of[k] == (-1 if now[i] is None else names.index(now[i]))
        for mask, during_failover in ((problem.reachable, False), (problem.restartable, True)):
            reached = {name for name, good in zip(names, mask[signature], strict=True) if good}
            assert reached == allowed(cluster, vm, during_failover)
        assert [n.pool == vm.pool for n in cluster.nodes] == (problem.pool == problem.signature_pool[signature]).tolist()


def test_nothing_at_all():
    problem = compile_problem(Cluster([], []))
    assert (problem.n_nodes, problem.n_vms, len(problem.classes)) == (0, 0, 0)


# Further resources


def with_resources(nodes, vms=(), **options):
    """(amounts by name) of nodes, each of 10 MiB, and of VMs, each of 1 MiB."""
    hosts = [Node(f"n{i}", 10, resources=amounts) for i, amounts in enumerate(nodes)]
    return Cluster(hosts, [VM(f"v{k}", 1, resources=amounts) for k, amounts in enumerate(vms)], **options)


def test_resources_are_columns_those_that_bind_in_a_failover_first():
    cluster = with_resources(
        [{"disk": 5, "vcpu": 4}, {"iops": 1, "net": 2}],
        [{"vcpu": 2}, {"gpu": 1}],
        overcommit={"iops": 2.0},
        soft_resources=["vcpu", "net"],
    )
    problem = compile_problem(cluster)
    assert problem.resources == ("disk", "iops", "gpu", "vcpu", "net")
    assert problem.n_firm == 4
    assert problem.capacity.tolist() == [[10, 5, 0, 0, 4, 0], [10, 0, 2, 0, 0, 2]]
    assert problem.demand.tolist() == [[1, 0, 0, 0, 2, 0], [1, 0, 0, 1, 0, 0]]
    assert problem.usable.tolist() == [10, 10]
    assert problem.memory.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("amount", "ratio", "capacity"),
    [(7, 1.5, 10), (3, 0.5, 1), (1, 0.5, 0), (10, 0.1, 1), (3, 1.1, 3), (10, 1.1, 11), (7, 4.0, 28), (10**9, 2.5, 25 * 10**8)],
)
def test_overcommitted_capacities_are_exact_and_floored(amount, ratio, capacity):
    assert compile_problem(with_resources([{"vcpu": amount}], overcommit={"vcpu": ratio})).capacity.tolist() == [[10, capacity]]


def test_load_is_counted_in_every_resource():
    cluster = with_resources([{"vcpu": 4}, {"vcpu": 4}], [{"vcpu": 3}, {"vcpu": 2}, {}])
    problem = compile_problem(cluster)
    assert problem.loads(np.array([0, 1, 1])).tolist() == [[1, 3], [2, 2]]
    assert problem.loads(np.array([-1, -1, 0])).tolist() == [[1, 0], [0, 0]]
    assert problem.load(np.array([0, 1, 1])).tolist() == [1, 2]


def test_headroom_concerns_memory_only():
    problem = compile_problem(with_resources([{"vcpu": 4}], guarantee=Guarantee(headroom=0.5)))
    assert problem.limit.tolist() == [5]
    assert problem.capacity.tolist() == [[10, 4]]


def test_vms_that_differ_in_a_resource_are_no_class():
    problem = compile_problem(with_resources([{}], [{"vcpu": 1}, {"vcpu": 2}, {"vcpu": 1}]))
    of = problem.classes.of.tolist()
    assert of[0] == of[2] != of[1]
    assert problem.classes.demand[of].tolist() == problem.demand.tolist()


# Who gives way, and who is on the way


def test_evictable_vms_need_not_restart_and_those_protected_may():
    vms = [VM("a", 1), VM("e", 2, evictable=True), VM("u", 3, evictable=True, protected=False), VM("n", 4, protected=False)]
    problem = compile_problem(Cluster(NODES, vms))
    assert problem.protected.tolist() == [True, False, False, False]
    assert problem.evictable.tolist() == [False, True, True, False]
    assert problem.optional.tolist() == [False, True, False, False]
    assert problem.lasting.tolist() == [True, False, False, True]
    classes = problem.classes
    assert classes.returning[classes.of].tolist() == [True, False, False, True]
    assert compile_problem(Cluster(NODES, vms[:1])).lasting is None


MIGRATING = [
    VM("goes", 3, "a", target="b", resources={"vcpu": 2}),
    VM("stays", 4, "a", target="a"),
    VM("waits", 5, "c", target="a"),
    VM("stopped", 6, "a", target="b", running=False),
    VM("in-vain", 7, "b", target="c"),
    VM("gives-way", 8, "b", target="a", evictable=True, priority=5),
]


def test_a_migration_takes_what_it_needs_on_both_its_nodes():
    problem = compile_problem(Cluster(NODES, MIGRATING))
    assert problem.n_incoming == 2
    assert problem.incoming.tolist() == [False] * 5 + [True] * 2
    assert problem.original.tolist() == [0, 1, 2, 4, 5, 0, 5]
    assert problem.whole.tolist() == [0, 1, 2, 3, 4, 0, 4]
    assert problem.node_of.tolist() == [0, 0, -1, 1, 1, 1, 0]
    assert problem.loads(problem.node_of).tolist() == [[3 + 4 + 8, 2], [3 + 7 + 8, 2], [0, 0], [0, 0]]


def test_the_half_on_the_target_stays_there_and_never_restarts():
    problem = compile_problem(Cluster(NODES, MIGRATING, [Apart(["goes", "stays"]), NotOn(["goes"], ["d"])]))
    half, other = np.flatnonzero(problem.incoming).tolist()
    assert not problem.movable[[0, half, 4, other]].any()
    assert problem.movable[[1, 2, 3]].all()
    assert not problem.protected[[half, other]].any()
    assert not problem.optional[[half, other]].any()
    assert problem.evictable[[half, other]].tolist() == [False, True]
    assert not problem.classes.returning[problem.classes.of[[half, other]]].any()
    assert all(half not in binding.vms for binding in problem.compiled_rules)
    assert problem.bond[half] == 0
    assert problem.bond[1] != 0
    assert problem.reachable[problem.signature[half], 1]


def test_towards_a_node_that_is_off_nothing_migrates():
    assert compile_problem(Cluster(NODES, [VM("v", 1, "a", target="c")])).n_incoming == 0
    assert compile_problem(Cluster(NODES, [VM("v", 1, "c", target="a")])).n_incoming == 0


# What fails, or keeps VMs apart, as one

RACKS = [
    Node("a", 9, domain="r1"),
    Node("b", 9),
    Node("c", 9, domain="r1", pool="other"),
    Node("d", 9, domain="r1"),
    Node("e", 9, domain="r2", pool="other"),
    Node("f", 9),
]


def test_units_are_nodes_or_domains_within_a_pool():
    by_node = compile_problem(Cluster(RACKS))
    by_domain = compile_problem(Cluster(RACKS, guarantee=Guarantee(scope="domain")))
    assert by_node.unit.tolist() == [0, 1, 2, 3, 4, 5]
    assert by_domain.unit.tolist() == [0, 1, 2, 0, 3, 4]
    assert by_domain.unit_pool.tolist() == [0, 0, 1, 1, 0]


@pytest.mark.parametrize("scope", ["node", "domain"])
def test_zones_are_by_the_rules_own_scope_over_all_pools(scope):
    vms = [VM("x", 1), VM("y", 1)]
    problem = compile_problem(Cluster(RACKS, vms, [Apart(["x", "y"], scope="domain"), Apart(["x", "y"])], Guarantee(scope=scope)))
    wide, narrow = (binding.zone.tolist() for binding in problem.compiled_rules)
    assert wide[0] == wide[2] == wide[3]
    assert len(set(wide)) == 4
    assert len(set(narrow)) == 6


def test_what_is_promised():
    def asking(**guarantee):
        return compile_problem(Cluster(RACKS, guarantee=Guarantee(**guarantee)))

    assert (asking().plain, asking().planned, asking().in_turn) == (True, True, False)
    assert (asking(sequence="sequential").plain, asking(sequence="sequential", failures=2).plain) == (True, False)
    for beyond in ({"restart": "any-order"}, {"policy": "best-fit"}, {"sequence": "sequential", "failures": 2}):
        problem = asking(**beyond)
        assert not problem.plain
        assert eased(problem).plain
        assert eased(problem).failures == problem.failures
    assert asking(policy="best-fit", restart="planned").planned is False


def test_without_nodes_nobody_is_on_maintenance():
    assert compile_problem(Cluster([], [VM("a", 1)])).on_maintenance.tolist() == [False]
