"""Nodes and VMs as options spell them."""

from fractions import Fraction

import pytest

from vmplace.cli.specs import Spec, made, parse_amount, parse_bundle, parse_spec
from vmplace.model.entities import VM, Node
from vmplace.model.errors import InputError

PARSE_NODE, PARSE_VM = parse_spec(Node, "most"), parse_spec(VM)


@pytest.mark.parametrize(
    ("text", "name", "count", "fields"),
    [
        ("512GiB", None, 1, {"memory": "512GiB"}),
        ("3x512GiB", None, 3, {"memory": "512GiB"}),
        ("n9:512", "n9", 1, {"memory": 512}),
        ("n9:memory=512GiB,reserve=16GiB,domain=r1", "n9", 1, {"memory": "512GiB", "reserve": "16GiB", "domain": "r1"}),
        (
            "2x1TiB,price=2.5,most=4,tag=a,tag=b",
            None,
            2,
            {"memory": "1TiB", "price": Fraction(5, 2), "most": 4, "tags": ["a", "b"]},
        ),
        ("1TiB,resources.vcpu=64", None, 1, {"memory": "1TiB", "resources": {"vcpu": 64}}),
        ("1TiB,headroom=0.1", None, 1, {"memory": "1TiB", "headroom": Fraction(1, 10)}),
        ("1TiB,headroom=10%", None, 1, {"memory": "1TiB", "headroom": Fraction(1, 10)}),
        ("1TiB,headroom=16GiB", None, 1, {"memory": "1TiB", "headroom": "16GiB"}),
        (
            "1TiB,max_vm.memory=64GiB,max_vm.vcpu=16",
            None,
            1,
            {"memory": "1TiB", "max_vm": {"memory": "64GiB", "vcpu": 16}},
        ),
    ],
)
def test_what_is_spelt_is_read(text, name, count, fields):
    assert PARSE_NODE(text) == Spec(name, count, fields)


def test_vms_have_fields_of_their_own():
    spec = PARSE_VM("db:64GiB,node=n1,protected=false,movable=yes,priority=-2")
    assert next(made(VM, [spec], (), "x")) == VM("db", "64GiB", "n1", protected=False, movable=True, priority=-2)


def test_what_vms_take_and_prefer():
    spec = PARSE_VM("db:64GiB,overhead=256MiB,home=n1,used=2GiB,movable=cold")
    expected = VM("db", "64GiB", overhead=256, home="n1", used=2048, movable="cold")
    assert next(made(VM, [spec], (), "x")) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "memory"),
        ("n9:", "memory"),
        ("domain=r1", "gives no memory"),
        ("0x1GiB", "asks for 0"),
        ("1GiB,colour=red", "not one of memory"),
        ("1GiB,domain=a,domain=b", "twice"),
        ("1GiB,price=cheap", "not a number"),
        ("1GiB,price=1/0", "not a number"),
        ("1GiB,price=1e999999999", "not a number"),
        ("1GiB,headroom=1.5", "neither a share nor memory"),
        ("1GiB,headroom=some", "'some' is not memory"),
        ("1GiB,max_vm.memory=8GB", "write 8GiB"),
        ("1GiB,max_vm=8GiB", "not one of memory, .*max_vm.NAME"),
        ("1GiB,most=-x", "whole number"),
        ("1GiB,resources.vcpu=1.5", "whole number"),
    ],
)
def test_what_is_wrong_is_said(text, said):
    with pytest.raises(ValueError, match=said):
        list(made(Node, [PARSE_NODE(text)], (), "x"))


def test_a_flag_is_true_or_false():
    with pytest.raises(ValueError, match="neither true nor false"):
        PARSE_VM("1GiB,protected=maybe")


def test_names_are_made_where_none_is_given():
    specs = [PARSE_NODE("2x8"), PARSE_NODE("big:2x9"), PARSE_NODE("one:7")]
    assert [node.name for node in made(Node, specs, ["new-1"], "x")] == ["new-2", "new-3", "big-1", "big-2", "one"]


def test_what_is_no_thing_is_told_of_the_option():
    for specs in ([PARSE_NODE("a:8G")], [PARSE_NODE("a:8"), PARSE_NODE("a:9")]):
        with pytest.raises(InputError) as refused:
            list(made(Node, specs, (), "add_nodes"))
        assert refused.value.flaws[0].place == "add_nodes"


def test_mixes_of_memory_and_amounts():
    assert parse_bundle("8GiB") == {8192: 1}
    assert parse_bundle("3x8GiB+16GiB + 8192") == {8192: 4, 16384: 1}
    assert parse_amount("vcpu=4") == ("vcpu", 4)
    for text in ("8G", "", "8GiB+", "0x8GiB", "x", "-1"):
        with pytest.raises(ValueError, match="write"):
            parse_bundle(text)
    for text in ("vcpu", "=4"):
        with pytest.raises(ValueError, match="not an amount of a resource"):
            parse_amount(text)
    for text in ("vcpu=-4", "vcpu=x", "vcpu="):
        with pytest.raises(ValueError, match="whole number"):
            parse_amount(text)
