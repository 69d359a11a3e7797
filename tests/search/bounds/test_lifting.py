import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vmplace.search.bounds.lifting import lifted, slot_prices

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=4, unique=True).map(sorted)


def charged(prices, sizes, free, room):
    return sum(c * (free // t - room // t) for c, t in zip(prices.tolist(), sizes, strict=True))


@settings(max_examples=60)
@given(st.data())
def test_no_exchange_of_vms_breaks_a_row(data):
    sizes, coarse = data.draw(SIZES), data.draw(st.integers(0, 1))
    capacity = data.draw(st.integers(sizes[-1], 30))
    room = data.draw(st.integers(0, capacity))
    factor = 1 + 4096 * coarse  # beyond it only slots are lifted
    families = list(lifted(np.array([room * factor]), np.array([capacity * factor]), [t * factor for t in sizes], sizes))
    count = st.lists(st.integers(0, 6), min_size=len(sizes), max_size=len(sizes))
    left, came = data.draw(count), data.draw(count)
    out = sum(n * size for n, size in zip(left, sizes, strict=True))
    free = room + out - sum(n * size for n, size in zip(came, sizes, strict=True))
    assume(out <= capacity - room and 0 <= free <= capacity)
    for family in families:
        prices, sizes_out, sizes_in = family.slots[0], family.leaving[0], family.coming[0]
        if coarse:
            assert (sizes_out.tolist(), sizes_in.tolist()) == (sizes, [0] * len(sizes))
            assert out * factor >= charged(prices, sizes, free, room)
        else:
            paid = sum(int(w) * n for w, n in zip(sizes_out, left, strict=True))
            paid -= sum(int(v) * n for v, n in zip(sizes_in, came, strict=True))
            assert paid >= charged(prices, sizes, free, room)


@given(SIZES, st.data())
def test_slot_prices_never_ask_for_more_than_is_free(sizes, data):
    capacity = data.draw(st.integers(1, 40))
    room = data.draw(st.integers(0, capacity))
    for prices in slot_prices(np.array([room]), np.array([capacity]), sizes):
        for free in range(room, capacity + 1):
            assert charged(prices[0], sizes, free, room) <= free - room


def test_prices_of_a_dividing_chain():
    families = [p[0].tolist() for p in slot_prices(np.array([11]), np.array([256]), [1, 2, 4, 8, 16, 32, 64])]
    assert [0, 0, 0, 0, 5, 11, 11] in families  # 16 - 11; then a hole of 32 or 64 costs what 11 did not bring
    assert [0, 0, 0, 0, 0, 0, 53] in families


def test_a_small_vm_that_fits_the_crumbs_costs_nothing_and_a_large_one_what_it_displaces():
    *_, last = lifted(np.array([11]), np.array([256]), [16, 64], [64, 32, 8])
    assert last.slots[0].tolist() == [0, 53]
    assert last.leaving[0].tolist() == [53, 32, 8]
    assert last.coming[0].tolist() == [53, 21, 0]
