"""What must hold between the parts of a cluster."""

import time
from typing import Any

import pytest

from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Tag, Together
from vmplace.model.errors import InputError
from vmplace.model.references import absent, broken_references, resolve

NODES = [Node("n1", 9, tags=["gpu"]), Node("n2", 9), Node("m1", 9, pool="other")]
VMS = [VM("a", 1, tags=["db"]), VM("b", 1, tags=["db"]), VM("c", 1), VM("x", 1, pool="other")]


def flaws(nodes: list[Node] = NODES, vms: list[VM] = VMS, rules: Any = (), unreadable: Any = ({}, {})) -> list[tuple[str, str]]:
    found = broken_references(NodeColumns.holding(nodes), VMColumns.holding(vms), list(enumerate(rules)), unreadable)
    return [(flaw.place, flaw.message) for flaw in found]


def test_resolve() -> None:
    assert resolve(("b", "a"), VMColumns.holding(VMS)) == ("b", "a")
    assert resolve(Tag("db"), VMColumns.holding(VMS)) == ("a", "b")
    assert resolve(Tag("none"), NodeColumns.holding(NODES)) == ()
    assert resolve(("b", "z", "a"), VMColumns.holding(VMS)) == ("b", "a")
    assert absent(("z", "b", "y"), VMColumns.holding(VMS)) == ("z", "y")
    assert absent(Tag("none"), VMColumns.holding(VMS)) == ()


def test_nothing_wrong() -> None:
    rules = [Apart(["a", "c"]), Together(["b", "c"]), OnlyOn(Tag("db"), ["n1", "n2"]), NotOn(["x"], Tag("gpu"))]
    assert flaws(rules=rules) == []


def test_every_second_name() -> None:
    nodes = [Node("n", 9), Node("n", 9), Node("m", 9), Node("n", 9)]
    assert [place for place, _ in flaws(nodes, [VM("n", 1)])] == ["nodes[1].name", "nodes[3].name"]
    assert flaws(nodes, [])[1] == ("nodes[3].name", "'n' is taken by nodes[0]: give each its own name")


@pytest.mark.parametrize(
    ("vm", "place", "said"),
    [
        (VM("v", 1, "n9"), "vms[0].node", "'n9' is not a node"),
        (VM("v", 1, "m1"), "vms[0].node", "in pool 'other', the VM in 'default'"),
        (VM("v", 1, "n1", target="n9"), "vms[0].target", "'n9' is not a node"),
        (VM("v", 1, "n1", target="m1"), "vms[0].target", "in pool 'other'"),
        (VM("v", 1, target="n1"), "vms[0].target", "without a node"),
    ],
)
def test_vms(vm: VM, place: str, said: str) -> None:
    ((found, message),) = flaws(vms=[vm])
    assert found == place
    assert said in message


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([Apart(["a", "z"]), NotOn(["z"], ["z"]), Together(["z", "y"])], {}),
        ([OnlyOn(["a"], ["n1", "z"]), OnlyOn(["b"], ["z"]), OnlyOn(["z"], ["n1"])], {}),
        ([OnlyOn(["a"], ["n1", "z"]), NotOn(["a"], ["n1"])], {}),
        ([OnlyOn(["a"], ["n1", "z"]), NotOn(["a"], ["n1", "z"])], {"rules[1]": "leaves 'a' no node of the pool together"}),
        ([OnlyOn(["a"], ["z"]), OnlyOn(["a"], ["n1"])], {"rules[1]": "leaves 'a' no node of the pool together"}),
        ([OnlyOn(["a"], ["n2", "z"]), OnlyOn(["a"], Tag("gpu"))], {}),
        ([OnlyOn(["a"], ["z"]), NotOn(["b"], ["n1", "n2"])], {"rules[1]": "leaves 'b' no node of the pool"}),
        ([Together(["a", "c"]), OnlyOn(["a"], ["z"]), OnlyOn(["c"], ["n1"])], {}),
        ([Together(["a", "z", "x"])], {"rules[0]": "'a' of pool 'default' and 'x' of 'other' together"}),
        ([Apart(["a", "z", "b"]), Together(["z", "b", "a"])], {"rules[0]": "keeps 'a' and 'b' apart, rules[1] keeps them"}),
        ([Apart(["a", "b"]), Together(Tag("db"))], {"rules[0]": "keeps 'a' and 'b' apart, rules[1] keeps them together"}),
        ([Together(["c", "a", "b"]), Apart(["b", "a"])], {"rules[1]": "keeps 'b' and 'a' apart, rules[0]"}),
        ([Apart(["a", "b"]), Together(["a", "b"], must=False)], {}),
        ([Apart(["a", "b"], must=False), Together(["a", "b"])], {}),
        ([Apart(["a", "b"]), Together(["b", "c"])], {}),
        ([OnlyOn(["a"], ["n1"]), NotOn(["a"], ["n1"])], {"rules[1]": "no node of the pool together with rules[0]"}),
        ([OnlyOn(["a"], ["n1"]), OnlyOn(["a"], ["n2"])], {"rules[1]": "together with rules[0]: drop one"}),
        ([OnlyOn(["a"], ["n1"]), NotOn(["a"], ["n1"], must=False)], {}),
        ([NotOn(Tag("db"), ["n1", "n2"])], {"rules[0]": "leaves 'a' and 1 more no node of the pool: allow one"}),
        ([OnlyOn(["x"], ["n1", "n2"])], {"rules[0]": "leaves 'x' no node of the pool"}),
        ([OnlyOn(["a"], Tag("none"))], {"rules[0]": "leaves 'a' no node of the pool"}),
        ([NotOn(["a"], ["n1", "n2"]), NotOn(["a"], ["n1"])], {"rules[0]": "leaves 'a' no node of the pool: allow one"}),
        ([Together(["a", "x"])], {"rules[0]": "'a' of pool 'default' and 'x' of 'other' together: VMs never cross pools"}),
        (
            [Together(["a", "c"]), OnlyOn(["a"], ["n1"]), NotOn(["c"], ["n1"])],
            {"rules[0]": "rules[1], rules[2] leave no common node"},
        ),
        ([Together(["a", "c"]), OnlyOn(["a"], ["n1"]), NotOn(["c"], ["n2"])], {}),
        ([Together(["a", "x"], must=False)], {}),
        ([Together(["a", "c"]), OnlyOn(["a"], Tag("none")), OnlyOn(["c"], ["n1"])], {"rules[1]": "leaves 'a' no node"}),
    ],
)
def test_rules(rules: list[Any], expected: dict[str, str]) -> None:
    found = dict(flaws(rules=rules))
    assert found.keys() == expected.keys()
    for place, said in expected.items():
        assert said in found[place]


def test_a_pool_without_nodes_is_infeasible_not_wrong() -> None:
    assert flaws(vms=[VM("v", 1, pool="empty")], rules=[NotOn(["v"], ["n1"])]) == []


@pytest.mark.parametrize("unreadable", [({7: "n9"}, {}), (None, {})])
def test_nodes_that_could_not_be_read(unreadable: Any) -> None:
    rules = [OnlyOn(["a"], ["n9"]), NotOn(["a"], ["n1", "n2"])]
    assert flaws(vms=[VM("a", 1, "n9")], rules=rules, unreadable=unreadable) == []
    assert [place for place, _ in flaws(vms=[VM("a", 1, "n9")], rules=rules)] == ["vms[0].node"]


def test_names_of_what_could_not_be_read_are_taken() -> None:
    places = [place for place, _ in flaws([Node("n1", 9)], [], unreadable=({3: "n1", 5: "z", 6: "z"}, {}))]
    assert places == ["nodes[3].name", "nodes[6].name"]


def test_large_tags_cost_neither_time_nor_memory() -> None:
    nodes = [Node(f"n{i}", 9) for i in range(1000)]
    vms = [VM(f"v{i}", 1, tags=["db"]) for i in range(20_000)]
    rules = [NotOn(Tag("db"), [f"n{i}"]) for i in range(20)]
    start = time.process_time()
    assert flaws(nodes, vms, rules) == []
    assert [place for place, _ in flaws(nodes[:20], vms, rules)] == ["rules[19]"]
    assert time.process_time() - start < 5


def test_the_cluster_lists_them_all() -> None:
    with pytest.raises(InputError) as caught:
        Cluster(NODES, [VM("a", 1, "n9"), VM("a", 1, "n8"), VM("b", 1)], [NotOn(["b"], ["n1", "n2"])])
    assert [flaw.place for flaw in caught.value.flaws] == ["vms[1].name", "vms[0].node", "vms[1].node", "rules[0]"]
