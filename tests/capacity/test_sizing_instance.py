"""What a cluster is sized for."""

from fractions import Fraction

import pytest
from attrs import evolve

from vmplace import VM, Apart, Cluster, InputError, Node, NotOn, OnlyOn, Tag, Together
from vmplace.capacity.sizing_instance import SizingInstance, wanted

KINDS = (Node("s", 8, price=1), Node("b", 16, price=2.5, tags=["t"]))
CLUSTER = Cluster(
    [Node("n", 64), Node("off", 64, state="offline", tags=["t"])],
    [VM("a", 4, "n", tags=["x"]), VM("b", 2, "off"), VM("c", 2, "n", running=False), VM("d", 1, "n", target="off")],
    [Apart(["a", "c"]), Together(["c"]), NotOn(["b"], ["n"]), OnlyOn(Tag("x"), Tag("t")), Apart(Tag("x"))],
)


def test_all_that_run_are_wanted_on_no_node():
    asked, warnings = wanted(CLUSTER, "default", Fraction(0), KINDS)
    assert list(asked.vms) == [VM("a", 4, tags=["x"]), VM("b", 2), VM("d", 1)]
    assert asked.rules == (Apart(["a"]), OnlyOn(Tag("x"), Tag("t")), Apart(Tag("x")))
    assert warnings == ("rules[2] (not-on) names nodes of the cluster, and is left out",)


def test_copies_are_like_others_and_under_rules_by_tag():
    asked, _ = wanted(CLUSTER, "default", Fraction(1, 2), KINDS)
    assert list(asked.vms[3:]) == [VM("growth-1", 4, tags=["x"]), VM("growth-2", 1)]


def test_a_tag_that_no_kind_has_is_refused_where_it_must_be():
    with pytest.raises(InputError):
        wanted(CLUSTER, "default", Fraction(0), KINDS[:1])
    wish = evolve(CLUSTER, rules=[OnlyOn(Tag("x"), Tag("t"), must=False), OnlyOn(["c"], Tag("t"))])
    assert len(wanted(wish, "default", Fraction(0), KINDS[:1])[0].rules) == 1


def test_nodes_are_numbered_by_kind():
    instance = SizingInstance(wanted(CLUSTER, "default", Fraction(0), KINDS)[0], KINDS, (9, 9))
    assert [node.name for node in instance.cluster((2, 1)).nodes] == ["s-1", "s-2", "b-1"]
    assert [node.name for node in instance.cluster((1, 2)).nodes] == ["s-1", "b-1", "b-2"]


def test_prices_are_whole_steps_and_of_one_kind_only_the_number_counts():
    asked = wanted(CLUSTER, "default", Fraction(0), KINDS)[0]
    assert SizingInstance(asked, KINDS, (9, 9)).prices() == ((2, 5), Fraction(1, 2))
    assert SizingInstance(asked, KINDS[1:], (9,)).prices() == ((1,), 1)
