from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vmplace.search.bounds.shares import Shares


def shares(unit, *usable):
    problem = type("Online", (), {"usable": np.array(usable, dtype=np.int64), "online": np.ones(len(usable), dtype=bool)})
    return Shares.of(problem, unit)


def test_the_whole_expresses_every_share():
    assert shares(2, 10, 7).whole == 35
    assert shares(2, 10, 10).whole == 5
    assert shares(1).whole == 1
    assert shares(1, 999_983, 999_979).whole == 2**20
    assert shares(1, 999_983, 999_979).factor(999_983) is None


@given(st.integers(1, 5), st.lists(st.integers(1, 60), min_size=1, max_size=3), st.data())
def test_parts_are_shares(unit, usable, data):
    found = shares(unit, *usable)
    node = data.draw(st.sampled_from(usable))
    load = data.draw(st.integers(0, node // unit))
    parts = load * found.factor(node)
    assert Fraction(parts, found.whole) == Fraction(load * unit, node) <= 1
    assert found.most(parts, node) == load
    assert found.ceil(Fraction(load * unit, node)) == parts
    assert found.above(parts - 1) <= Fraction(load * unit, node) < found.above(parts)
    assert any((found.above(parts) * c / unit).denominator == 1 for c in usable)
