"""The door: arguments checked by name and position, passed on, and the function's signature kept."""

import inspect
from typing import Any

import pytest

from vmplace import Cluster, InputError
from vmplace.model.door import door
from vmplace.model.kinds import a_text, name_list, optional

EMPTY = Cluster([])


@door(names=name_list, label=optional(a_text))
def asked(cluster: Cluster, names: Any, other: Any = 0, *, label: str | None = None, strict: bool = False, **more: Any) -> Any:
    """What it was given."""
    return cluster, names, other, label, strict, more


class Thing:
    @door()
    def ask(self, cluster: Cluster, *, strict: bool = False) -> tuple[Cluster, bool]:
        return cluster, strict


def test_right_arguments_are_passed_on() -> None:
    assert asked(EMPTY, "n1") == (EMPTY, ("n1",), 0, None, False, {})
    assert asked(EMPTY, iter(["a", "b"]), 3, label="x", strict=True, pool="p", odd=object) == (
        *(EMPTY, ("a", "b"), 3, "x", True),
        {"pool": "p", "odd": object},
    )
    assert asked(names=[], cluster=EMPTY)[:2] == (EMPTY, ())
    assert Thing().ask(EMPTY, strict=True) == (EMPTY, True)


@pytest.mark.parametrize(
    ("arguments", "keywords", "place"),
    [
        ((None, "n"), {}, "cluster"),
        ((EMPTY, 3), {}, "names"),
        ((EMPTY, b"n"), {}, "names"),
        ((EMPTY, {"n": 1}), {}, "names"),
        ((EMPTY, ["a", 3]), {}, "names[1]"),
        ((EMPTY, []), {"label": 3}, "label"),
        ((EMPTY, []), {"strict": 1}, "strict"),
        ((EMPTY, []), {"pool": 1}, "pool"),
        ((EMPTY, []), {"progress": 1}, "progress"),
        ((EMPTY, []), {"cancel": 1}, "cancel"),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(arguments: tuple[Any, ...], keywords: dict[str, Any], place: str) -> None:
    with pytest.raises(InputError) as caught:
        asked(*arguments, **keywords)
    assert [(flaw.place, flaw.code) for flaw in caught.value.flaws] == [(place, "wrong-type")]
    assert ": give " in str(caught.value)


def test_a_method_is_checked_too() -> None:
    with pytest.raises(InputError, match="cluster: None is not a Cluster"):
        Thing().ask(None)  # type: ignore[arg-type]


def test_what_is_missing_or_too_much_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'names'"):
        asked(EMPTY)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="takes from 2 to 3 positional arguments but 4"):
        asked(EMPTY, [], 0, 1)  # type: ignore[misc]


def test_signature_and_docstring_stay() -> None:
    assert str(inspect.signature(asked)).startswith(
        "(cluster: vmplace.model.cluster.Cluster, names: Any, other: Any = 0, *, label"
    )
    assert asked.__doc__ == "What it was given."
