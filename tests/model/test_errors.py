"""Errors: what they are to `except`, what they carry, and codes that the documentation lists."""

import pickle
import re
from pathlib import Path
from typing import get_args

import pytest

import vmplace
from vmplace.model.errors import (
    ConflictError,
    Flaw,
    FlawCode,
    InputError,
    NotFoundError,
    VMPlaceError,
    closest,
    error_of,
    not_found,
)

DOCUMENTS = Path(__file__).parents[2] / "docs" / "documents.md"


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        (InputError, (VMPlaceError, ValueError)),
        (NotFoundError, (VMPlaceError, InputError, LookupError)),
        (ConflictError, (VMPlaceError, InputError)),
    ],
)
def test_what_each_may_be_caught_as(kind: type[Exception], bases: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(kind, base) for base in bases)
    assert getattr(vmplace, kind.__name__) is kind
    assert not issubclass(InputError, LookupError)
    assert not issubclass(ConflictError, LookupError)


@pytest.mark.parametrize("kind", [InputError, NotFoundError, ConflictError])
def test_an_error_is_pickled_with_its_flaws(kind: type[InputError]) -> None:
    error = pickle.loads(pickle.dumps(kind([Flaw("vms[0].memory", "0", "missing"), Flaw("", "all")])))
    assert type(error) is kind
    assert error.flaws == (Flaw("vms[0].memory", "0", "missing"), Flaw("", "all", "invalid-value"))
    assert str(error) == "vms[0].memory: 0\nall"


def test_the_error_is_as_specific_as_all_its_flaws() -> None:
    lost, clash, other = Flaw("a", "b", "not-found"), Flaw("a", "b", "conflict"), Flaw("a", "b", "length")
    assert type(error_of([lost, lost])) is NotFoundError
    assert type(error_of([clash])) is ConflictError
    assert type(error_of(iter([lost, clash]))) is InputError
    assert type(error_of([other])) is InputError
    assert error_of(iter([lost, clash])).flaws == (lost, clash)


def test_the_documentation_lists_each_code_with_its_meaning_and_mend() -> None:
    section = DOCUMENTS.read_text().partition("\n## Errors\n")[2]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert [code for code, _, _ in rows] == sorted(get_args(FlawCode))
    assert all(meaning.endswith(".") and mend.endswith(".") for _, meaning, mend in rows)


@pytest.mark.parametrize(
    ("document", "place", "code"),
    [
        ('{"nodes": [], "vms": [', "line 1, column 23", "syntax"),
        ("", "", "missing"),
        ('{"nodes": []}', "", "missing"),
        ('{"nodes": [], "vms": [], "rule": []}', "", "unknown-key"),
        ('{"nodes": [{"name": "n", "memory": 0}], "vms": []}', "nodes[0].memory", "invalid-value"),
        ('{"nodes": [{"name": "n", "memory": 1, "reserve": 1}], "vms": []}', "nodes[0].reserve", "contradiction"),
        ('{"nodes": [{"name": "n", "memory": 1}, {"name": "n", "memory": 1}], "vms": []}', "nodes[1].name", "duplicate"),
        ('{"nodes": [], "vms": [{"name": "a", "memory": 1, "node": "x"}]}', "vms[0].node", "not-found"),
    ],
)
def test_the_code_of_a_flaw_in_a_document(tmp_path: Path, document: str, place: str, code: str) -> None:
    (path := tmp_path / "c.json").write_text(document)
    with pytest.raises(InputError) as caught:
        vmplace.load(path)
    assert [(flaw.place, flaw.code) for flaw in caught.value.flaws] == [(place, code)]


@pytest.mark.parametrize(
    ("wanted", "known", "found"),
    [
        ("memroy", ["name", "memory"], "memory"),
        ("zz", ["name"], None),
        (3, ["3"], None),
        ("3", [3], None),
        ("", [], None),
        ("N2", ["n1", "n2"], "n2"),
    ],
)
def test_the_closest_word(wanted: object, known: list[object], found: str | None) -> None:
    assert closest(wanted, known) == found


def test_the_flaw_suggests_a_name_or_asks_for_one() -> None:
    nodes = {"node1": 0, "node6": 1}
    assert not_found("nodes", "node", "node66", nodes) == Flaw(
        "nodes", "'node66' is not a node of this cluster; did you mean 'node6'?", "not-found"
    )
    assert not_found("vm", "VM", None, ["a"]) == Flaw("vm", "None is not a VM of this cluster: name one of 'a'", "not-found")


def test_a_large_cluster_is_not_searched_for_a_similar_name() -> None:
    many = [f"vm{i}" for i in range(200_000)]
    assert not_found("vm", "VM", "vm1x", many).message == "'vm1x' is not a VM of this cluster: name one"


def test_names_are_listed_if_few_and_else_show_how_they_are_made() -> None:
    flaws = [not_found("nodes", "node", "zz", [f"n{i}" for i in range(count)]) for count in (0, 2, 9)]
    told = [flaw.message.partition("cluster: ")[2] for flaw in flaws]
    assert told == ["name one", "name one of 'n0', 'n1'", "name one of 'n0', 'n1', ..., 'n8'"]
    assert not_found("nodes", "node", "zz", {"b", "c", "a"}).message.endswith("name one of 'a', 'b', 'c'")
