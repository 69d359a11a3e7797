"""Converters of single fields."""

import datetime
from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np
import pytest
from attrs import field, frozen

from vmplace.model import converters as fields
from vmplace.model import guarantee
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import short


class Colour(StrEnum):
    RED = "red"


NAN, INF = float("nan"), float("inf")

TAKEN: list[tuple[Callable[[object], Any], object, Any]] = [
    (fields.parse_text, "a+b", "a+b"),
    (fields.parse_text, Colour.RED, "red"),
    (fields.parse_text, np.str_("x"), "x"),
    (fields.parse_name, "n 1", "n 1"),
    (fields.parse_optional_name, None, None),
    (fields.parse_optional_name, "a", "a"),
    (fields.parse_names, [], ()),
    (fields.parse_names, ["b", "a"], ("b", "a")),
    (fields.parse_names, (name for name in "ab"), ("a", "b")),
    (fields.parse_names, np.array(["x", "y"]), ("x", "y")),
    (fields.parse_flag, True, True),
    (fields.parse_flag, np.False_, False),
    (fields.parse_whole, -5, -5),
    (fields.parse_whole, 5.0, 5),
    (fields.parse_whole, np.int32(5), 5),
    (fields.parse_whole, 10**9, 10**9),
    (fields.parse_count, 0, 0),
    (fields.parse_weight, 1, 1),
    (fields.parse_state, "offline", "offline"),
    (guarantee.parse_policy, None, None),
    (guarantee.parse_order, "as-listed", "as-listed"),
    (fields.positive_number, 0.1, Fraction(1, 10)),
    (fields.positive_number, 1e-300, Fraction(1, 10**300)),
    (fields.positive_number, 3, Fraction(3)),
    (fields.positive_number, np.float64(0.1), Fraction(1, 10)),
    (fields.positive_number, np.int64(3), Fraction(3)),
    (fields.positive_number, Fraction(1, 3), Fraction(1, 3)),
    (fields.parse_headroom, 0, Fraction(0)),
    (fields.parse_headroom, 0.999, Fraction(999, 1000)),
    (fields.parse_mapping, {"a": [1]}, {"a": [1]}),
    (fields.parse_resources, {"vcpu": 0, "x": 2.0}, {"vcpu": 0, "x": 2}),
    (fields.parse_ratios, {"vcpu": 0.5}, {"vcpu": Fraction(1, 2)}),
    (fields.parse_date, None, None),
    (fields.parse_date, "2026-11-23", "2026-11-23"),
    (fields.parse_date, "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z"),
    (fields.parse_date, datetime.date(2026, 11, 23), "2026-11-23"),
    (fields.parse_date, datetime.datetime(2026, 11, 23, 10), "2026-11-23T10:00:00"),
    (fields.parse_meta, {}, {}),
    (fields.parse_meta, MappingProxyType({"a": ({"b": None},)}), {"a": [{"b": None}]}),
    (fields.parse_meta, {"": "", "x": np.float64(0.5)}, {"": "", "x": 0.5}),
]

REFUSED: list[tuple[Callable[[object], Any], object, str]] = [
    (fields.parse_text, "", "is empty"),
    (fields.parse_text, 5, "quote it"),
    (fields.parse_text, b"a", "quote it"),
    (fields.parse_text, "\ud800", "surrogate"),
    (fields.parse_name, "a+b", "holds '+'"),
    (fields.parse_name, None, "quote it"),
    (fields.parse_names, "ab", "not a list of strings"),
    (fields.parse_names, {"a": 1}, "not a list of strings"),
    (fields.parse_names, None, "not a list of strings"),
    (fields.parse_names, 5, "not a list of strings"),
    (fields.parse_flag, 1, "neither true nor false"),
    (fields.parse_flag, "true", "neither true nor false"),
    (fields.parse_flag, None, "neither true nor false"),
    (fields.parse_whole, 5.5, "not a whole number"),
    (fields.parse_whole, True, "not a whole number"),
    (fields.parse_whole, NAN, "not a whole number"),
    (fields.parse_whole, INF, "not a whole number"),
    (fields.parse_whole, "5", "not a whole number"),
    (fields.parse_whole, 10**9 + 1, "write a smaller number"),
    (fields.parse_whole, 10**5000, "write a smaller number"),
    (fields.parse_whole, 1e300, "write a smaller number"),
    (fields.parse_count, -1, "below 0"),
    (fields.parse_weight, 0, "below 1"),
    (fields.parse_state, "Online", "not one of online, maintenance, offline"),
    (fields.parse_state, ["online"], "not one of"),
    (fields.parse_scope, None, "not one of node, domain"),
    (guarantee.parse_sequence, {}, "not one of at-once, sequential"),
    (guarantee.parse_restart, 1, "not one of planned, any-order"),
    (guarantee.parse_policy, "", "not one of first-fit"),
    (guarantee.parse_order, "size", "not one of largest-first"),
    (fields.positive_number, 0, "not above zero"),
    (fields.positive_number, -0.5, "not above zero"),
    (fields.positive_number, True, "not a number"),
    (fields.positive_number, "1", "not a number"),
    (fields.positive_number, 1j, "not a number"),
    (fields.positive_number, NAN, "sensible size"),
    (fields.positive_number, INF, "sensible size"),
    (fields.positive_number, 10**5000, "sensible size"),
    (fields.positive_number, Fraction(10**5000), "sensible size"),
    (fields.parse_headroom, 1, "write a number from 0 to below 1"),
    (fields.parse_headroom, -0.01, "is not a share"),
    (fields.parse_headroom, NAN, "sensible size"),
    (fields.parse_mapping, [], "not a mapping"),
    (fields.parse_mapping, {1: 2}, "the key 1 is not a string: quote it"),
    (fields.parse_resources, None, "not a mapping"),
    (
        fields.parse_resources,
        {"vcpu": 1, "memory": 8},
        "memory: 8: reserved memory is not one of the further resources: give it as memory",
    ),
    (fields.parse_date, "soon", "not an ISO date"),
    (fields.parse_date, "2026-13-01", "not an ISO date"),
    (fields.parse_date, 20261123, "quote it"),
    (fields.parse_date, "", "is empty"),
    (fields.parse_meta, None, "not a mapping"),
    (fields.parse_meta, {"a": {1: 2}}, "the key 1 is not a string"),
    (fields.parse_meta, {"a": {1, 2}}, "not a value that JSON can hold"),
    (fields.parse_meta, {"a": b"x"}, "not a value that JSON can hold"),
    (fields.parse_meta, {"a": NAN}, "not a number that JSON can hold"),
    (fields.parse_meta, {"a": 10**5000}, "not a number that JSON can hold"),
]


@pytest.mark.parametrize(("convert", "value", "expected"), TAKEN)
def test_taken(convert: Callable[[object], Any], value: object, expected: object) -> None:
    taken = convert(value)
    assert taken == expected
    assert type(taken) is type(expected)


def named(value: Any) -> str:
    """What a case is called: the same in every process."""
    return value.__name__ if callable(value) else short(value).split(" at 0x")[0]


@pytest.mark.parametrize(("convert", "value", "said"), REFUSED, ids=named)
def test_refused(convert: Callable[[object], Any], value: object, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        convert(value)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("convert", "value", "places"),
    [
        (fields.parse_names, ["a", 1, "", "a", "b"], ["[1]", "[2]", "[3]"]),
        (fields.parse_resources, {"a": -1, "b": 1, "c d": "x"}, ["a", "['c d']"]),
        (fields.parse_ratios, {"a": 0, "": 1}, ["a", "['']"]),
        (fields.parse_meta, {"a": [NAN, {"b c": INF}], "d": {"e": b""}}, ["a[0]", "a[1]['b c']", "d.e"]),
    ],
)
def test_all_flaws_of_a_container(convert: Callable[[object], Any], value: object, places: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        convert(value)
    assert [flaw.place for flaw in caught.value.flaws] == places


def test_many_names_take_no_quadratic_time() -> None:
    many = [f"v{i}" for i in range(200_000)]
    with pytest.raises(InputError) as caught:
        fields.parse_names([*many, many[-1]])
    assert [flaw.place for flaw in caught.value.flaws] == ["[200000]"]


def test_meta_is_a_copy() -> None:
    inner = {"a": [1]}
    copied = fields.parse_meta({"x": inner})
    inner["a"].append(2)
    assert copied == {"x": {"a": [1]}}


@pytest.mark.parametrize("levels", [99, 100])
def test_meta_of_a_hundred_levels(levels: int) -> None:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    if levels < 100:
        assert fields.parse_meta(value) == value
    else:
        with pytest.raises(ValueError, match="deeper than 100 levels"):
            fields.parse_meta(value)


def test_meta_that_holds_itself() -> None:
    value: dict[str, Any] = {}
    value["a"] = [value]
    with pytest.raises(ValueError, match="deeper than 100 levels"):
        fields.parse_meta(value)


@pytest.mark.parametrize(
    ("place", "inner", "joined"), [("a", "b", "a.b"), ("a", "[0]", "a[0]"), ("", "b", "b"), ("a", "", "a"), ("", "", "")]
)
def test_within(place: str, inner: str, joined: str) -> None:
    assert list(fields.within(place, [Flaw(inner, "m")])) == [Flaw(joined, "m")]


@pytest.mark.parametrize(
    ("place", "key", "joined"),
    [
        ("", "a", "a"),
        ("x", "a-b", "x.a-b"),
        ("x", "a b", "x['a b']"),
        ("", "1", "['1']"),
        ("x", 5, "x[5]"),
        ("x", "a\n", "x['a\\n']"),
    ],
)
def test_member_place(place: str, key: object, joined: str) -> None:
    assert fields.member_place(place, key) == joined


def _one_more(value: object) -> int:
    if value == "bad":
        raise ValueError("no good")
    return int(str(value)) + 1


@frozen(field_transformer=fields.name_places)
class Sample:
    plain: int = field(converter=_one_more)
    usual: int = field(default=5, converter=_one_more)
    made: list[int] = attrs.field(factory=lambda: [1], converter=list)
    free: object = None


def test_name_places_converts_defaults_too() -> None:
    assert (Sample(1).usual, Sample(1, 7).usual, Sample(1, 5).usual) == (6, 8, 6)
    assert Sample(1).made is not Sample(1).made


@pytest.mark.parametrize(("values", "place"), [(("bad",), "plain"), ((1, "bad"), "usual")])
def test_name_places_names_the_field(values: tuple[Any, ...], place: str) -> None:
    with pytest.raises(InputError) as caught:
        Sample(*values)
    assert caught.value.flaws == (Flaw(place, "no good"),)
