from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Tag
from vmplace.problem import compile_problem

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
    assert problem.memory is not None
    assert problem.node_of.tolist() == [0, -1, 1]
    assert len(problem.classes) == 3


def test_nothing_at_all():
    problem = compile_problem(Cluster([], []))
    assert (problem.n_nodes, problem.n_vms, len(problem.classes)) == (0, 0, 0)
