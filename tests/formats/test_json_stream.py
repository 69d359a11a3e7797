"""The bytes of json.dumps, in pieces."""

import json
import tracemalloc
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vmplace.formats.json_stream import pieces
from vmplace.results.values import Status

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
KEYS = st.text() | st.integers() | st.booleans() | st.none()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner).map(tuple))


def dumped(value: Any) -> str:
    return json.dumps(value, allow_nan=False, indent=2)


def lazy(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({key: lazy(inner) for key, inner in value.items()})
    return map(lazy, value) if isinstance(value, list | tuple) else value


@given(VALUES)
@example({"a": {}, "b": [], "c": [[], {}], "d": [{"x": 1, "y": [2, "], \n"]}, 3, 4, {}]})
@example({str(i): i if i % 1500 else [i] for i in range(4000)})
@example([*range(2500), [], *map(str, range(1000))])
@example({"status": Status.SAFE})
def test_the_same_bytes(value: Any) -> None:
    assert "".join(pieces(value)) == dumped(value)
    assert "".join(pieces(lazy(value))) == dumped(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, -float("inf")], {"a": {"b": float("nan")}}])
def test_no_number(value: Any) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        list(pieces(value))


@pytest.mark.parametrize("value", [object(), [1, 1j], {"a": {(1, 2): 3}}, {"a": {1}}, [b"a"]])
def test_nothing_that_json_holds(value: Any) -> None:
    with pytest.raises(TypeError):
        list(pieces(value))


class Plans(Mapping[str, dict[str, str]]):
    """Plans made when asked for; `asked` counts them."""

    def __init__(self, count: int) -> None:
        self.count, self.asked = count, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[str]:
        return (f"n{i}" for i in range(self.count))

    def __getitem__(self, name: str) -> dict[str, str]:
        self.asked += 1
        return {f"{name}-vm{i}": f"n{i}" for i in range(50)}


def test_one_plan_at_a_time() -> None:
    plans = Plans(10)
    begun = pieces({"failover": plans})
    text = ""
    while "n0-vm49" not in text:
        text += next(begun)
    assert plans.asked <= 2


def test_memory_is_bounded() -> None:
    tracemalloc.start()
    try:
        size = sum(map(len, pieces({"placement": {f"vm{i}": "n" for i in range(10)}, "failover": Plans(1000)})))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 1_000_000
    assert peak < size / 5
