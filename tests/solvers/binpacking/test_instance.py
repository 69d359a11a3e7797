import pytest
from hypothesis import given, settings

from tests.support.bins import cases
from vmplace.solvers.binpacking.instance import Instance


def test_sizes_and_capacities_in_units_of_the_common_divisor():
    instance = Instance.of([4, 6, 4], [(9, 2), (11, 1), (8, 1)])
    assert instance == Instance((3, 2), (1, 2), ((5, 1), (4, 3)), 2)
    assert (instance.n_bins, instance.volume) == (4, 7)


def test_bins_of_no_use_and_no_items():
    assert Instance.of([], [(5, 1)]) == Instance((), (), ((5, 1),), 1)
    assert Instance.of([5], [(4, 2), (-3, 1), (9, 0)]).kinds == ((0, 3),)


@pytest.mark.parametrize("sizes", [[3, 0], [-2]])
def test_a_size_is_positive(sizes):
    with pytest.raises(ValueError, match="is not a size"):
        Instance.of(sizes, [(5, 1)])


def test_the_largest_bins_and_what_stays_empty_in_them():
    instance = Instance.of([3, 3, 2], [(4, 2), (7, 1)])
    assert [instance.largest(n) for n in range(5)] == [(0, 0), (1, 0), (1, 1), (1, 2), (1, 2)]
    assert [instance.waste(n) for n in range(4)] == [-8, -1, 3, 7]


@settings(max_examples=80, deadline=None)
@given(cases())
def test_each_item_is_assigned_to_a_bin_of_the_loads_kind(case):
    sizes, kinds = case
    largest = max(sizes, default=1)
    roomy = [*kinds, (largest, len(sizes) + 1)]
    instance = Instance.of(sizes, roomy)
    kind = [c for c, _ in instance.kinds].index(largest // instance.unit)
    loads = [(kind, ((j, 1),)) for j, count in enumerate(instance.counts) for _ in range(count)]
    bin_of = instance.assign(loads, sizes, roomy)
    capacities = [capacity for capacity, count in roomy for _ in range(count)]
    assert len(set(bin_of)) == len(bin_of) == len(sizes)
    assert all(capacities[b] // instance.unit == instance.kinds[kind][0] for b in bin_of)


def test_items_of_one_load_share_a_bin():
    instance = Instance.of([2, 3, 2], [(3, 1), (4, 1)])
    assert instance.assign([(0, ((1, 2),)), (1, ((0, 1),))], [2, 3, 2], [(3, 1), (4, 1)]) == (1, 0, 1)
