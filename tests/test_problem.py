from hypothesis import given, settings

from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Tag
from vmplace.problem import compile_problem
from vmplace.references import resolve
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
        VM("on-offline", 3, "c", running=False),
        VM("waits", 4, running=False),
        VM("in-maintenance", 5, "b"),
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
    (wish,) = problem.bindings
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


@settings(max_examples=150, deadline=None)
@given(clusters())
def test_each_vm_is_as_the_cluster_says(cluster):
    problem = compile_problem(cluster)
    names = [node.name for node in cluster.nodes]
    offline = {node.name for node in cluster.nodes if node.state == "offline"}
    now = [None if vm.node in offline else vm.node for vm in cluster.vms]
    assert problem.original.tolist() == [i for i, vm in enumerate(cluster.vms) if vm.running or now[i] is None]
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
