import json
import math
import threading
import time

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from vmplace import VM, Apart, Cluster, Conflict, Guarantee, Node, NotOn, OnlyOn, Tag, Together
from vmplace.formats.result import read_result
from vmplace.problem.compile import compile_problem
from vmplace.problem.names import Names
from vmplace.search.goal import Goal
from vmplace.search.infeasibility import Demands, PartOracle, conflict_of_search, patience
from vmplace.solvers.budget import Budget
from vmplace.synthetic import generate
from vmplace.testing import clusters

LIMITS = ("max_moves", "max_migrated")
RULED = {"pools": False, "states": False, "unprotected": False, "stopped": False, "headroom": False}


def roomy(cluster):
    """So much memory that rules alone decide."""
    return evolve(cluster, nodes=[evolve(node, memory=node.memory * 4) for node in cluster.nodes])


def among(rule, names):
    if not isinstance(rule.vms, tuple):
        return [rule]
    left = [name for name in rule.vms if name in names]
    return [evolve(rule, vms=left)] if left else []


def blamed(cluster, conflict):
    """A cluster that has nothing but what a conflict names."""
    vms = [vm for vm in cluster.vms if vm.name in conflict.vms]
    rules = [left for i in conflict.rules for left in among(cluster.rules[i], conflict.vms)]
    return evolve(cluster, vms=vms, rules=rules)


def possible(cluster, conflict, options):
    kept = {key: value for key, value in options.items() if key not in LIMITS or key in conflict.limits}
    return World(blamed(cluster, conflict)).optimum(**kept) is not None


def one_less(conflict):
    for key in ("vms", "rules", "limits"):
        members = getattr(conflict, key)
        for i in range(len(members)):
            yield evolve(conflict, **{key: members[:i] + members[i + 1 :]})


hard = st.one_of(
    clusters(min_nodes=3, max_nodes=4, max_vms=5, placed="all", **RULED).map(roomy),
    clusters(max_nodes=4, max_vms=5, failures=(1, 1, 0)),
    clusters(min_nodes=3, max_nodes=4, max_vms=5, **RULED),
    clusters(min_nodes=3, max_nodes=4, max_vms=5, placed="all", **{**RULED, "rules": False}),
)
asked = st.fixed_dictionaries(
    {"move_running": st.booleans(), "best_effort": st.sampled_from((False, False, True))},
    optional={"max_moves": st.integers(0, 1), "max_migrated": st.integers(0, 4)},
)


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(hard, asked)
def test_what_is_blamed_is_impossible_by_itself_and_minimal_where_it_says_so(cluster, options):
    solution = vmplace.place(cluster, method="exact", deterministic=True, **options)
    conflict = solution.conflict
    assert (conflict is None) == (solution.status != "infeasible")
    if conflict is None:
        return
    assert not possible(cluster, conflict, options)
    if conflict.minimal:
        assert all(possible(cluster, less, options) for less in one_less(conflict))
    if conflict.kind == "search":
        assert conflict.minimal


def nodes(*sizes):
    return [Node(f"n{i}", size) for i, size in enumerate(sizes)]


def conflict_of(*parts, **options):
    return vmplace.place(Cluster(*parts), **options).conflict


@pytest.mark.parametrize(
    ("sizes", "vms", "conflict"),
    [
        ((8, 8, 8), (9, 1), Conflict("size", ("v0",), need=9, free=8, minimal=True)),
        ((9, 9, 9), (5, 5, 5, 1), Conflict("slots", ("v0", "v1", "v2"), need=3, free=2, slot=5, minimal=True)),
        ((8, 8), (6, 6, 6), Conflict("capacity", ("v0", "v1", "v2"), need=18, free=16)),
        ((8, 8), (5, 5), Conflict("sums", ("v0", "v1"), need=10, free=8, minimal=True)),
        ((8,), (1, 1), Conflict("alone", ("v0", "v1"), need=2, free=0)),
        ((), (1,), Conflict("rules", ("v0",), need=1, minimal=True)),
    ],
)
def test_the_figures_of_bounds(sizes, vms, conflict):
    assert conflict_of(nodes(*sizes), [VM(f"v{i}", size) for i, size in enumerate(vms)]) == conflict


def test_a_bound_names_the_rules_it_rests_on_and_no_others():
    hosts, vms = nodes(80, 80, 8, 6), [VM("a", 9), VM("b", 5), VM("c", 5)]
    rules = [NotOn(["a"], ["n3"]), Apart(["b", "c"]), OnlyOn(["a", "b"], ["n2", "n3"])]
    assert conflict_of(hosts, vms, rules) == Conflict("size", ("a",), rules=(2,), need=9, free=8, minimal=True)
    assert conflict_of(hosts[1:], vms, rules) == Conflict("size", ("a",), rules=(2,), need=9, free=8)
    group = [Apart(["a", "b"]), Together(["b", "c"])]
    found = conflict_of(nodes(9, 9, 9), [VM("a", 1), *vms[1:]], group)
    assert found == Conflict("group", ("b", "c"), rules=(1,), need=10, free=9, minimal=True)


def test_of_many_vms_and_rules_those_to_blame():
    vms = [VM(f"v{i}", 1) for i in range(60)]
    rules = [Together(["v1", "v2"]), Apart(["v3", "v4", "v5", "v6"]), Apart(["v7", "v8"])]
    solution = vmplace.place(Cluster(nodes(90, 90, 90), vms, rules))
    # Of four that must be on four of three nodes, three cannot restart anywhere.
    assert solution.conflict == Conflict("apart", ("v3", "v4", "v5"), rules=(1,), need=3, free=2, minimal=True)
    assert solution.reason == "the rules keep v3, v4 and v5 apart: 3 VMs on 3 places, one of which may fail"


def test_interchangeable_vms_are_counted_and_not_tried_one_by_one():
    # Four on each of nine nodes; without one of these 32.
    vms = [VM(f"v{i}", 3) for i in range(36)] + [VM(f"w{i}", 1) for i in range(4)]
    rules = [OnlyOn([f"v{i}" for i in range(36)], [f"n{i}" for i in range(9)])]
    solution = vmplace.place(Cluster(nodes(*[14] * 10), vms, rules))
    assert solution.conflict == Conflict("search", tuple(f"v{i}" for i in range(33)), rules=(0,), minimal=True)
    assert solution.stats["conflict_trials"] < 15


def test_a_limit_is_to_blame_only_if_more_moves_would_do():
    hosts, stuck = nodes(80, 80, 80), [VM("a", 60, "n0"), VM("b", 30, "n0"), VM("c", 1, "n1")]
    assert vmplace.repair(Cluster(hosts, stuck)).status == "optimal"
    limited = vmplace.repair(Cluster(hosts, stuck), max_moves=0, max_migrated=50)
    assert limited.conflict == Conflict("search", ("a", "b"), limits=("max_moves",), minimal=True)
    assert "a and b cannot all be placed under max_moves so that" in limited.reason
    packing = [VM("a", 30, "n0"), VM("b", 30, "n0"), VM("c", 60, "n1"), VM("d", 25, "n2"), VM("e", 1)]
    assert vmplace.repair(Cluster(hosts, packing), max_moves=0).conflict == Conflict("search", tuple("abcd"), minimal=True)


def test_who_has_to_stay_is_said_to():
    vms = [VM("a", 60, "n0"), VM("b", 30, "n0"), VM("c", 1)]
    solution = vmplace.place(Cluster(nodes(80, 80, 80), vms))
    assert solution.conflict == Conflict("search", ("a", "b"), minimal=True)
    assert "while running VMs stay (allow them to move with move_running)" in solution.reason
    pinned = [evolve(vm, movable=False) for vm in vms]
    assert "running" not in vmplace.place(Cluster(nodes(80, 80, 80), pinned)).reason
    without = vmplace.place(Cluster(nodes(80, 80, 80), vms, (), Guarantee(failures=0))).reason
    assert without.startswith("a and b cannot all be placed while")


def test_a_best_effort_that_fails_blames_what_even_that_forbids():
    vms = [VM("a", 60, "n0"), VM("b", 30, "n0"), VM("c", 79, "n1")]
    solution = vmplace.place(Cluster(nodes(80, 80, 80), vms), best_effort=True)
    assert solution.conflict == Conflict("search", ("a", "b"), minimal=True)
    assert "survived" not in solution.reason


def test_columns_have_conflicts_too():
    cluster = Cluster.from_arrays(node_memory=[80] * 3, vm_memory=[60, 30, 1], vm_node=[0, 0, -1])
    assert vmplace.place(cluster).conflict == Conflict("search", ("vm0", "vm1"), minimal=True)


def test_long_lists_are_shortened_in_words_and_whole_in_data():
    vms = [VM(f"v{i}", 3) for i in range(36)]
    solution = vmplace.place(Cluster(nodes(*[14] * 10), vms, [OnlyOn([vm.name for vm in vms], [f"n{i}" for i in range(9)])]))
    assert len(solution.conflict.vms) == 33
    assert "v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11 and 21 more cannot all be placed" in solution.reason


def crowded():
    return generate(nodes=32, fill=0.97, profile="flavors", placed="worst-fit", seed=1)


@pytest.mark.parametrize("limit", [0.2, 1.0])
def test_what_time_does_not_allow_to_drop_stays(limit):
    cluster = crowded()
    start = time.monotonic()
    solution = vmplace.place(cluster, time_limit=limit)
    assert time.monotonic() - start < limit + 0.5
    if solution.status == "infeasible":
        assert not solution.conflict.minimal
        assert solution.reason.endswith(": every combination was tried; perhaps fewer of these are to blame")


def test_without_time_all_is_blamed():
    cluster = Cluster(nodes(80, 80), [VM("a", 60, "n0"), VM("b", 30)], [Apart(["a", "b"]), Together(["a", "b"], must=False)])
    goal = Goal(("moves",), move_running=True, max_moves=0)
    found = conflict_of_search(PartOracle(Names(cluster, compile_problem(cluster)), goal, Budget(0)))
    assert found == Conflict("search", ("a", "b"), rules=(0,), limits=("max_moves",))


def test_of_very_many_vms_none_is_dropped():
    cluster = Cluster.from_arrays(node_memory=[9000] * 3, vm_memory=[8000] + [1] * 10_000, vm_node=[0] + [1, 2] * 5000)
    start = time.monotonic()
    conflict = vmplace.place(cluster).conflict
    assert (conflict.kind, len(conflict.vms), conflict.minimal) == ("search", 10_001, False)
    assert time.monotonic() - start < 1


def test_patience():
    assert patience(Budget(1), 0, deterministic=False).limit == pytest.approx(0.5, abs=0.1)
    assert patience(Budget(None), 0, deterministic=False).limit == 2
    long = Budget(1000)
    long.start -= 100
    assert patience(long, 0, deterministic=False).limit == pytest.approx(100, abs=1)
    assert patience(long, 25, deterministic=True).limit == pytest.approx(450, abs=1)
    assert patience(long, 25, deterministic=True).work == (long.work - 25) / 2
    assert patience(Budget(None), 25, deterministic=True).left == math.inf


def test_a_cancelled_call_returns_soon():
    cancel = threading.Event()
    cluster = crowded()
    threading.Timer(0.6, cancel.set).start()
    start = time.monotonic()
    assert vmplace.place(cluster, cancel=cancel).status in ("infeasible", "unknown")
    assert time.monotonic() - start < 1.6


@pytest.mark.slow
def test_measured_in_work_it_ends_the_same():
    cluster = generate(nodes=8, fill=0.95, profile="big-vms", placed="worst-fit", seed=2)
    options = {"move_running": True, "max_moves": 1, "deterministic": True, "time_limit": 20}
    first, second = (vmplace.place(cluster, **options) for _ in range(2))
    assert first.conflict == second.conflict
    assert first.conflict is None or first.conflict.kind == "search"


def test_it_is_json():
    hosts, rule = nodes(80, 80, 8), OnlyOn(["a"], ["n2"])
    written = vmplace.place(Cluster(hosts, [VM("a", 9)], [rule])).to_dict()
    assert json.loads(json.dumps(written))["conflict"] == {
        "kind": "size",
        "vms": ["a"],
        "rules": [0],
        "limits": [],
        "need": 9,
        "free": 8,
        "slot": None,
        "minimal": True,
    }
    assert vmplace.place(Cluster(hosts, [VM("a", 4)])).to_dict()["conflict"] is None


def test_a_saved_result_that_has_one_is_read(tmp_path):
    saved = tmp_path / "result.json"
    cluster = Cluster(nodes(8, 8, 8), [VM("a", 9)])
    saved.write_text(json.dumps(vmplace.place(cluster).to_dict()))
    audit = vmplace.audit_result(cluster, read_result(str(saved)))
    assert (audit.status, audit.says) == ("confirmed", "infeasible")
    assert "conflict" in {left.claim for left in audit.unchecked}


CLUSTER = Cluster(
    [Node(f"n{i}", 8) for i in range(3)],
    [
        VM("off", 4, "n0", running=False),
        VM("a", 4, "n0", tags=["red"]),
        VM("b", 4, "n0", tags=["red"]),
        VM("c", 2, "n1"),
        VM("d", 2),
    ],
    [Apart(["a", "b"]), Together(["c", "d"], must=False), OnlyOn(Tag("red"), ["n0"]), Apart(["off", "c"])],
    Guarantee(headroom=0.25),
)
STAY, MOVE = Goal(("balance",)), Goal(("moves",), move_running=True, max_moves=0)


def trial(goal, *, cluster=CLUSTER, limit=None, **options):
    return PartOracle(Names(cluster, compile_problem(cluster)), goal, Budget(limit), **options)


def part(vms, rules=(), limits=()):
    return Demands(frozenset(vms), frozenset(rules), frozenset(limits))


def test_the_whole_has_what_takes_memory_what_must_be_and_what_limits():
    whole = Demands.whole(trial(MOVE).names, MOVE)
    assert whole == part(range(4), (0, 2, 3), ["max_moves"])
    assert Demands.of(whole.elements) == whole
    assert Demands.of(whole.elements - part([1], [0]).elements) == part([0, 2, 3], [2, 3], ["max_moves"])


def test_its_problem_has_nothing_else():
    oracle = trial(STAY)
    problem, _ = oracle._asked(part([0, 2], [0, 2, 3]))
    assert Names(CLUSTER, problem).vms(range(problem.n_vms)) == ("a", "c")
    assert (problem.compiled_rules, [rule.index for rule in problem.unary_rules]) == ((), [2])
    problem, _ = oracle._asked(part([0, 1, 2, 3], [0]))
    assert ([rule.index for rule in problem.compiled_rules], problem.unary_rules) == ([0], ())
    assert (problem.guarantee, problem.limit.tolist()) == (CLUSTER.guarantee, [6, 6, 6])
    problem, goal = trial(Goal(("balance",), best_effort=True, headroom=False))._asked(part([0]))
    assert (problem.failures, goal.limit(problem).tolist()) == (0, [8, 8, 8])


@pytest.mark.parametrize(
    ("goal", "asked", "fits"),
    [
        (STAY, part([]), True),
        (STAY, part([2, 3]), True),
        (STAY, part([0, 1]), False),
        (MOVE, part([0, 1]), True),
        (MOVE, part([0, 1], limits=["max_moves"]), False),
        (MOVE, part([0, 1], [0]), True),
        (MOVE, part([0], [2]), False),
    ],
)
def test_whether_it_fits(goal, asked, fits):
    assert trial(goal).fits(asked) is fits


def test_what_cannot_be_told():
    assert trial(STAY, limit=0).fits(part([0])) is None
    assert trial(STAY, limit=0).fits(part([])) is True
    assert trial(STAY, quick=True).fits(part([0, 1])) is None


def test_bounds_are_those_of_the_part():
    large = Cluster(CLUSTER.nodes, [VM("x", 1), VM("y", 9)])
    assert trial(STAY, cluster=large).bound(part([1])).kind == "size"
    assert trial(STAY, cluster=large).bound(part([0])) is None
    assert trial(STAY, cluster=large).fits(part([1])) is False
