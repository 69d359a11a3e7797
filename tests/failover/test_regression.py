from attrs import evolve

from vmplace import VM, Cluster, Guarantee, Node
from vmplace.failover.regression import Defects, FailureLoss, no_worse
from vmplace.problem.compile import compile_problem
from vmplace.solvers.budget import Budget

NODES = [Node(f"n{i}", 10) for i in range(3)]


def defects(*vms, budget=None, **options):
    problem = compile_problem(Cluster(NODES, vms, **options))
    return Defects.of(problem, problem.node_of, budget=budget or Budget())


def test_nothing_is_worse_than_itself():
    for vms in ((), (VM("a", 9, "n0"), VM("b", 9, "n1"), VM("c", 9, "n2"))):
        assert defects(*vms).failure_worse(defects(*vms), {}) == (False, ())


def test_what_is_left_out_is_weighed_by_priority_then_memory():
    crowd = [VM("b", 6, "n1"), VM("c", 6, "n2")]
    low, high = defects(VM("a", 9, "n0"), *crowd), defects(VM("a", 5, "n0", priority=1), *crowd)
    safe = defects(VM("a", 4, "n0"), *crowd)
    assert low.failure_worse(safe, {}) == (True, (0,))
    assert safe.failure_worse(low, {}) == (False, ())
    assert low.failure_worse(high, {})[0] is False
    assert high.failure_worse(low, {})[0] is True
    assert low.failure_worse(safe, {0: {0: 9}})[0] is False
    assert low.failure_worse(safe, {0: {0: 8}})[0] is True
    assert low.failure_worse(safe, {1: {0: 9}})[0] is True


def test_loads_are_told_by_the_names_of_resources():
    vms = (VM("a", 4, "n0", resources={"x": 1, "z": 3}), VM("b", 5, "n0", resources={"z": 1}))
    nodes = [Node("n0", 10, resources={"z": 9}), Node("n1", 10, resources={"x": 9})]
    problem = compile_problem(Cluster(nodes, vms))
    found = Defects.of(problem, problem.node_of, budget=Budget())
    assert found.loads_of(("x", "y", "z")).tolist() == [[9, 1, 0, 4], [0, 0, 0, 0]]


def test_what_is_unknown_is_doubtful():
    nodes = [Node("n0", 100), Node("n1", 16), Node("n2", 11)]
    problem = compile_problem(Cluster(nodes, [VM(f"v{i}", size, "n0") for i, size in enumerate((7, 7, 5, 5, 3))]))
    hasty, sure = (Defects.of(problem, problem.node_of, budget=Budget(limit)) for limit in (0, None))
    empty = Defects.of(problem, problem.node_of * 0 - 1, budget=Budget())
    assert (hasty.known, sure.known, empty.known) == (False, True, True)
    assert hasty.failure_worse(empty, {})[0] is None
    assert sure.failure_worse(hasty, {})[0] is None
    assert sure.failure_worse(empty, {})[0] is True


def test_failures_in_turn_count_by_pool():
    asked = Guarantee(failures=2, sequence="sequential")
    nodes = [Node(f"n{i}", room) for i, room in enumerate((14, 16, 16, 16))]
    sizes, homes = (7, 4, 4, 3, 7, 5), (2, 1, 1, 3, 0, 2)
    vms = [VM(f"v{i}", size, f"n{home}") for i, (size, home) in enumerate(zip(sizes, homes, strict=True))]
    problem = compile_problem(Cluster(nodes, vms, guarantee=asked))
    now = Defects.of(problem, problem.node_of, budget=Budget())
    at_once = evolve(problem, guarantee=Guarantee(failures=2))
    before = Defects.of(at_once, problem.node_of, budget=Budget())
    assert not before.losses
    assert now.failure_worse(before, {})[0] is True
    assert now.failure_worse(now, {})[0] is False


def test_a_higher_priority_counts_first():
    assert no_worse({}, {})
    assert no_worse({0: 9}, {1: 1})
    assert not no_worse({1: 1}, {0: 9})
    assert no_worse({1: 1, 0: 2}, {1: 1, 0: 2})
    assert not no_worse({1: 1, 0: 3}, {1: 1, 0: 2})


def test_a_loss_that_is_an_upper_bound_shows_only_that_it_is_no_worse():
    before = FailureLoss({0: 4})
    some_plan = FailureLoss({0: 5}, exact=False, certain=True)
    assert some_plan.worse_than(before, {0: 1}) is False
    assert some_plan.worse_than(before, {}) is None
    assert some_plan.worse_than(FailureLoss(), {}) is True
    assert some_plan.worse_than(FailureLoss(None), {}) is None
    assert FailureLoss().worse_than(FailureLoss(None), {}) is False
    known_to_be_lost = FailureLoss({0: 3}, exact=False, enough=False, certain=True)
    assert known_to_be_lost.worse_than(before, {}) is None


def test_a_failure_that_costs_the_quorum_is_worse_though_it_displaces_nothing():
    unsurvived = FailureLoss(certain=True)
    assert unsurvived.worse_than(FailureLoss(), {}) is True
    assert unsurvived.worse_than(unsurvived, {}) is False
    assert unsurvived.worse_than(FailureLoss(), {0: 1}) is False
    assert FailureLoss().worse_than(unsurvived, {}) is False
