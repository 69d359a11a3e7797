"""What a guarantee asks for, in numbers."""

import pytest

from vmplace import Guarantee


@pytest.mark.parametrize(("nodes", "up"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4)])
def test_a_majority_is_more_than_half(nodes, up):
    assert Guarantee(quorum="majority").quorum_of(nodes) == up


@pytest.mark.parametrize(("quorum", "up"), [(None, 0), (1, 1), (9, 9)])
def test_a_number_is_a_quorum_whatever_there_is(quorum, up):
    assert Guarantee(quorum=quorum).quorum_of(4) == up
