"""Arrays and names that a caller gave."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmplace.model.arrays import index_array, memory_array, name_flaws
from vmplace.model.converters import parse_name
from vmplace.model.errors import InputError

NAMES = st.lists(st.sampled_from(["a", "b", "c", "d+", "", "\ud800", 3, None, np.str_("e")]) | st.text(max_size=2), max_size=6)


@given(NAMES)
def test_each_name_that_is_none_or_is_taken_is_told(names: list[object]) -> None:
    bad = []
    for index, name in enumerate(names):
        try:
            parse_name(name)
        except ValueError:
            bad.append(str(index))
        else:
            bad += [str(index)] if name in names[:index] else []
    assert [flaw.place for flaw in name_flaws(names, str)] == bad


def test_arrays_are_copies_that_nobody_can_change() -> None:
    given_array = np.array([1, 2])
    for copy in (memory_array("memory", given_array), index_array("node", given_array, 3)):
        assert copy.tolist() == [1, 2]
        assert not np.shares_memory(copy, given_array)
        assert not copy.flags.writeable


@pytest.mark.parametrize(("index", "good"), [(-2, False), (-1, True), (0, True), (2, True), (3, False)])
def test_indices_have_both_ends(index: int, good: bool) -> None:
    if good:
        assert index_array("node", [0, index], 3).tolist() == [0, index]
        return
    with pytest.raises(InputError, match=rf"^node\[1\]: {index} is not a node: write -1, or 0 to 2$"):
        index_array("node", [0, index], 3)
