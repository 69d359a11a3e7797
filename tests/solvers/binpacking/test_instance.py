import pytest
from hypothesis import given, settings

from tests.support.bins import cases
from vmplace.solvers.binpacking.instance import Stock


def test_sizes_and_capacities_in_units_of_the_common_divisor():
    stock = Stock.of([4, 6, 4], [(9, 2), (11, 1), (8, 1)])
    assert stock == Stock((3, 2), (1, 2), ((5, 1), (4, 3)), 2)
    assert (stock.n_bins, stock.volume) == (4, 7)


def test_bins_of_no_use_and_no_items():
    assert Stock.of([], [(5, 1)]) == Stock((), (), ((5, 1),), 1)
    assert Stock.of([5], [(4, 2), (-3, 1), (9, 0)]).kinds == ((0, 3),)


@pytest.mark.parametrize("sizes", [[3, 0], [-2]])
def test_a_size_is_positive(sizes):
    with pytest.raises(ValueError, match="is no size"):
        Stock.of(sizes, [(5, 1)])


def test_the_largest_bins_and_what_stays_empty_in_them():
    stock = Stock.of([3, 3, 2], [(4, 2), (7, 1)])
    assert [stock.largest(n) for n in range(5)] == [(0, 0), (1, 0), (1, 1), (1, 2), (1, 2)]
    assert [stock.waste(n) for n in range(4)] == [-8, -1, 3, 7]


@settings(max_examples=80, deadline=None)
@given(cases())
def test_each_item_is_assigned_to_a_bin_of_the_loads_kind(case):
    sizes, kinds = case
    largest = max(sizes, default=1)
    roomy = [*kinds, (largest, len(sizes) + 1)]
    stock = Stock.of(sizes, roomy)
    kind = [c for c, _ in stock.kinds].index(largest // stock.unit)
    loads = [(kind, ((j, 1),)) for j, count in enumerate(stock.counts) for _ in range(count)]
    bin_of = stock.assign(loads, sizes, roomy)
    capacities = [capacity for capacity, count in roomy for _ in range(count)]
    assert len(set(bin_of)) == len(bin_of) == len(sizes)
    assert all(capacities[b] // stock.unit == stock.kinds[kind][0] for b in bin_of)


def test_items_of_one_load_share_a_bin():
    stock = Stock.of([2, 3, 2], [(3, 1), (4, 1)])
    assert stock.assign([(0, ((1, 2),)), (1, ((0, 1),))], [2, 3, 2], [(3, 1), (4, 1)]) == (1, 0, 1)
