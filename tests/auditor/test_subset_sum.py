"""Sums of subsets, against trying all of them."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import vmplace.auditor.subset_sum
from vmplace.auditor.subset_sum import least_sums_above, subset_sums

things = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=4)


def all_sums(sizes, counts):
    return {
        sum(size * n for size, n in zip(sizes, some, strict=True)) for some in product(*(range(count + 1) for count in counts))
    }


@given(things, st.integers(0, 40))
def test_every_sum_up_to_the_most_has_its_bit(things, most):
    sizes, counts = [size for size, _ in things], [count for _, count in things]
    bits = subset_sums(sizes, counts, most)
    assert {i for i in range(bits.bit_length()) if bits >> i & 1} == {s for s in all_sums(sizes, counts) if s <= most}


@given(things, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4), st.sampled_from([1, 3]))
def test_the_least_sum_above_a_floor(things, limits, step):
    sizes, counts = [step * size for size, _ in things], [count for _, count in things]
    sums = all_sums(sizes, counts)
    columns = [np.array(part, dtype=np.int64) for part in ([f for f, _ in limits], [m for _, m in limits], sizes, counts)]
    found = least_sums_above(*columns, step).tolist()
    for (floor, most), least in zip(limits, found, strict=True):
        right = [s for s in sums if floor < s <= most]
        assert least == min(right) if right else least > max(sums)


def test_what_is_too_wide_is_rounded(monkeypatch):
    monkeypatch.setattr(vmplace.auditor.subset_sum, "_WIDEST", 10)
    columns = [np.array(part) for part in ([7], [50], [9], [2])]
    assert least_sums_above(*columns, 1).tolist() == [8]
    assert least_sums_above(*columns, 9).tolist() == [9]
