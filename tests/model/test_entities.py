"""Nodes, VMs, rules and the guarantee: valid once constructed."""

import copy
import pickle
import re
from fractions import Fraction
from typing import Any

import attrs
import numpy as np
import pytest

from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Rule, Tag, Together
from vmplace.model.errors import InputError
from vmplace.model.guarantee import Guarantee

SAMPLES: list[Any] = [
    Node("n", "64GiB", reserve="1GiB", tags=["a"], price=0.1, resources={"vcpu": 2}, meta={"x": [1]}),
    Node("n", 8, headroom="1MiB", max_vm={"memory": 4, "vcpu": 2}),
    VM("v", 1, movable="cold", overhead=1, home="n", used=0),
    VM("v", 1, "n", target="m", tags={"t"}, priority=-2, resources={"vcpu": 2}),
    Tag("t"),
    Apart(["a", "b"], scope="domain", meta={"x": 1}),
    Together(Tag("t"), must=False, weight=3),
    OnlyOn(["a"], ["n"]),
    NotOn({"tag": "t"}, Tag("u"), during_failover=False, name="r"),
    Guarantee(failures=2, headroom=0.1),
]

NONSENSE: list[Any] = [
    object(),
    1j,
    b"x",
    [[]],
    {"a": {}},
    float("nan"),
    (1, 2),
    {1, 2},
    lambda: None,
    10**5000,
    "",
    -1,
    "\ud800",
]

KINDS: list[tuple[type[Any], dict[str, Any]]] = [
    (Node, {"name": "n", "memory": 8}),
    (VM, {"name": "v", "memory": 8}),
    (Tag, {"tag": "t"}),
    (Apart, {"vms": ["a"]}),
    (Together, {"vms": ["a"]}),
    (OnlyOn, {"vms": ["a"], "nodes": ["n"]}),
    (NotOn, {"vms": ["a"], "nodes": ["n"]}),
    (Guarantee, {}),
]
FIELDS = [(kind, least, field.name) for kind, least in KINDS for field in attrs.fields(kind)]


def test_defaults() -> None:
    node, vm, rule, guarantee = Node("n", 8), VM("v", 8), Apart(["a"]), Guarantee()
    assert (node.reserve, node.state, node.domain, node.pool, node.tags, node.price) == (
        0,
        "online",
        None,
        "default",
        frozenset(),
        1,
    )
    assert (vm.node, vm.target, vm.pool, vm.priority, vm.tags) == (None, None, "default", 0, frozenset())
    assert (vm.running, vm.movable, vm.protected, vm.evictable) == (True, True, True, False)
    assert (rule.must, rule.weight, rule.during_failover, rule.scope) == (True, 1, True, "node")
    assert (guarantee.failures, guarantee.scope, guarantee.sequence, guarantee.restart) == (1, "node", "at-once", "planned")
    assert (guarantee.policy, guarantee.order, guarantee.headroom) == (None, None, 0)
    assert all(not thing.meta for thing in (node, vm, rule, guarantee))
    assert (node.headroom, node.max_vm, rule.name) == (None, {}, None)
    assert (vm.overhead, vm.home, vm.used) == (0, None, None)
    assert not node.resources
    assert not vm.resources


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (0, Fraction(0)),
        (0.1, Fraction(1, 10)),
        (Fraction(1, 3), Fraction(1, 3)),
        ("0MiB", 0),
        ("1GiB", 1024),
        (1024, 1024),
        (1, 1),
    ],
)
def test_headroom_is_a_share_or_an_amount(given: Any, held: Any) -> None:
    found = Node("n", 4096, headroom=given)
    assert (found.headroom, type(found.headroom)) == (held, type(held))
    assert attrs.evolve(found) == found


def test_headroom_may_be_all_and_no_more() -> None:
    assert Node("n", 9, reserve=1, headroom="8MiB").headroom == 8
    with pytest.raises(InputError, match="headroom: 9MiB is more than the 8MiB for VMs: write less"):
        Node("n", 9, reserve=1, headroom="9MiB")


def test_max_vm_lists_all_that_is_wrong() -> None:
    with pytest.raises(InputError) as caught:
        Node("n", 9, max_vm={"memory": "8G", "vcpu": -1, "gpu": 2})
    assert [flaw.place for flaw in caught.value.flaws] == ["max_vm.memory", "max_vm.vcpu"]


def test_usable_memory() -> None:
    assert Node("n", "8GiB", reserve="1GiB").usable == 7168
    with pytest.raises(InputError, match="reserve: 8GiB leaves nothing of 8GiB"):
        Node("n", "8GiB", reserve="8GiB")


@pytest.mark.parametrize(("kind", "least", "name"), FIELDS, ids=lambda value: getattr(value, "__name__", str(value)[:12]))
def test_every_field_refuses_nonsense_by_name(kind: type[Any], least: dict[str, Any], name: str) -> None:
    refusals = [error for value in NONSENSE if (error := _refusal(kind, {**least, name: value})) is not None]
    flaws = [flaw for error in refusals for flaw in error.flaws]
    assert len(refusals) >= len(NONSENSE) - 2
    assert {re.split(r"[.\[]", flaw.place)[0] for flaw in flaws} == {name}
    assert all(len(str(flaw).splitlines()) == 1 for flaw in flaws)


def _refusal(kind: type[Any], arguments: dict[str, Any]) -> InputError | None:
    try:
        hash(kind(**arguments))
    except InputError as error:
        return error
    return None


def test_headroom_is_the_exact_fraction_of_its_decimal_text() -> None:
    assert Guarantee(headroom=0.1).headroom == Fraction(1, 10)
    assert Guarantee(headroom=np.float64(0.3)).headroom == Fraction(3, 10)


def test_tags_are_checked_in_a_frozenset_too() -> None:
    with pytest.raises(InputError, match=r"tags\[0\]: 1 is not a string"):
        Node("n", 8, tags=frozenset({1}))  # type: ignore[arg-type]


def test_names_of_numpy_and_enums_become_plain() -> None:
    vm = VM(np.str_("v"), np.int64(8), np.str_("n"), running=np.True_)  # type: ignore[arg-type]
    assert [type(value) for value in (vm.name, vm.memory, vm.node, vm.running)] == [str, int, str, bool]


@pytest.mark.parametrize("members", [["a", "b"], ("a", "b"), iter("ab")])
def test_members_are_names(members: Any) -> None:
    assert Apart(members).vms == ("a", "b")


@pytest.mark.parametrize("tag", [Tag("t"), {"tag": "t"}])
def test_members_are_a_tag(tag: Any) -> None:
    assert Apart(tag).vms == Tag("t")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_values_are_frozen_hashable_and_copied_equal(sample: Any) -> None:
    first = attrs.fields(type(sample))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(sample, first, None)
    for twin in (copy.copy(sample), copy.deepcopy(sample), pickle.loads(pickle.dumps(sample)), attrs.evolve(sample)):
        assert twin == sample
        assert hash(twin) == hash(sample)


def test_errors_are_copied_whole() -> None:
    with pytest.raises(InputError) as caught:
        Node("", 8)
    twin = pickle.loads(pickle.dumps(caught.value))
    assert (twin.flaws, str(twin)) == (caught.value.flaws, str(caught.value))


def test_a_callers_mapping_is_not_shared() -> None:
    resources, meta = {"vcpu": 1}, {"x": [1]}
    vm = VM("v", 8, resources=resources, meta=meta)
    resources["vcpu"], meta["x"] = 2, []
    assert (vm.resources, vm.meta) == ({"vcpu": 1}, {"x": [1]})
    assert VM("v", 8).meta is not VM("v", 8).meta
    empty: dict[str, int] = {}
    vm = VM("v", 8, resources=empty, meta=empty)
    empty["vcpu"] = 1
    assert (vm.resources, vm.meta) == ({}, {})


def test_a_rule_is_of_a_kind() -> None:
    rules = [kind(**least) for kind, least in KINDS if issubclass(kind, Rule)]
    assert [rule.kind for rule in rules] == ["apart", "together", "only-on", "not-on"]
    with pytest.raises(TypeError, match="make an Apart, a Together, an OnlyOn or a NotOn"):
        Rule(["a"])
