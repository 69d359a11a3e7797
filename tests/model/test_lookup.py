"""Names that are not there: what the flaw says, and whether it suggests another."""

import pytest

from vmplace.model.errors import Flaw
from vmplace.model.lookup import closest, not_found


@pytest.mark.parametrize(
    ("wanted", "known", "found"),
    [("memroy", ["name", "memory"], "memory"), ("zz", ["name"], None), (3, ["3"], None), ("3", [3], None), ("", [], None)],
)
def test_the_closest_word(wanted: object, known: list[object], found: str | None) -> None:
    assert closest(wanted, known) == found


def test_the_flaw_suggests_a_name_or_asks_for_one() -> None:
    nodes = {"node1": 0, "node6": 1}
    assert not_found("nodes", "node", "node66", nodes) == Flaw(
        "nodes", "'node66' is not a node of this cluster; did you mean 'node6'?", "not-found"
    )
    assert not_found("vm", "VM", None, ["a"]) == Flaw("vm", "None is not a VM of this cluster: name one", "not-found")


def test_a_large_cluster_is_not_searched_for_a_similar_name() -> None:
    many = [f"vm{i}" for i in range(200_000)]
    assert not_found("vm", "VM", "vm1x", many).message == "'vm1x' is not a VM of this cluster: name one"
