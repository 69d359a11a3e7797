import pytest

from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Together
from vmplace.admission.recheck import RecheckedVM
from vmplace.admission.results import Rejection
from vmplace.failover.regression import Defects
from vmplace.problem.compile import compile_problem
from vmplace.solvers.budget import Budget

NODES = [Node(f"n{i}", 12, domain="rack" if i < 2 else None, resources={"vcpu": 4}) for i in range(4)]
FAILS = "a failure of {} is survived now, and would not be with this VM here"
VMS = [VM("a", 2, "n0", resources={"vcpu": 3}), VM("b", 2, "n1")]


def rejections(rules=(), vm=None, nodes=NODES, guarantee=None, **options):
    """What speaks against a VM on each node."""
    vm = vm or VM("new", 2)
    vms = [other for other in VMS if other.node in {node.name for node in nodes}]
    before = compile_problem(Cluster(nodes, vms, (), guarantee or Guarantee(), **options))
    cluster = Cluster(nodes, [*vms, vm], rules, guarantee or Guarantee(), **options)
    asked = RecheckedVM(cluster, len(vms), Defects.of(before, before.node_of, budget=Budget()), {}, None)
    survey = asked.survey("tightest", Budget())
    survey.decide(Budget(), survey.known.names)
    return [Rejection(int(rejection)).name for rejection in survey.known.rejections], asked


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Apart(["new", "a"]), "RULE NOTHING NOTHING NOTHING"),
        (Apart(["new", "a"], scope="domain"), "RULE RULE NOTHING NOTHING"),
        (Together(["new", "b"]), "RULE NOTHING RULE RULE"),
        (OnlyOn(["new"], ["n2"]), "RULE RULE FAILURE RULE"),
        (NotOn(["new"], ["n0"]), "RULE NOTHING NOTHING NOTHING"),
    ],
)
def test_must_rules_keep_it_off(rule, expected):
    assert " ".join(rejections([rule])[0]) == expected


def test_what_is_short_is_told():
    assert rejections(vm=VM("new", 2, resources={"vcpu": 2}))[0] == ["RESOURCE", "NOTHING", "NOTHING", "NOTHING"]
    assert rejections(vm=VM("new", 11))[0] == ["MEMORY", "MEMORY", "NOTHING", "NOTHING"]
    assert rejections(vm=VM("new", 9), guarantee=Guarantee(headroom=0.1))[0] == ["HEADROOM", "HEADROOM", "NOTHING", "NOTHING"]
    assert rejections(nodes=[*NODES[:3], Node("n3", 12, state="maintenance")])[0][3] == "STATE"
    assert rejections(nodes=[*NODES[:3], Node("n3", 12, pool="other")])[0][3] == "POOL"


def test_the_failure_is_named():
    told, asked = rejections(vm=VM("new", 9), guarantee=Guarantee(scope="domain"), nodes=NODES[:3])
    assert told == ["FAILURE", "FAILURE", "FAILURE"]
    assert asked.weigh(2, Budget()) == (Rejection.FAILURE, FAILS.format("rack"))
    told, asked = rejections(vm=VM("new", 11), nodes=[NODES[0], NODES[2]])
    assert asked.weigh(1, Budget()) == (Rejection.FAILURE, FAILS.format("n0"))
