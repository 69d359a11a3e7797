import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vmplace.search.construct.spreading import fitting, holding, spread

size = st.sampled_from([1, 2, 3, 7, 8, 16])
pair = st.tuples(st.integers(0, 40), st.integers(0, 20))


def placed(memory, usable, load, room):
    """By memory alone."""
    return spread(np.array([memory], dtype=np.int64), usable[None, :], load[None, :], room[None, :]).tolist()


@given(
    st.lists(st.tuples(size, st.sampled_from([0, 0, 1, 2, 5])), max_size=60),
    st.lists(st.tuples(pair, pair), min_size=1, max_size=5),
)
def test_what_fits_is_placed_and_the_books_are_kept(sizes, nodes):
    demand = np.array(sorted(sizes, reverse=True), dtype=np.int64).reshape(-1, 2).T
    load, room = (np.array(column, dtype=np.int64).T for column in zip(*nodes, strict=True))
    usable = load + room + 1
    before = room.copy()
    chosen = spread(demand, usable, load, room)
    taken = np.zeros_like(room)
    for vm in np.flatnonzero(chosen >= 0).tolist():
        taken[:, chosen[vm]] += demand[:, vm]
    assert (room == before - taken).all()
    assert (room >= 0).all()
    assert (load + room == usable - 1).all()
    for vm in np.flatnonzero(chosen < 0).tolist():
        assert not ((room >= demand[:, [vm]]) | (demand[:, [vm]] == 0)).all(axis=0).any()


def test_equal_vms_level_nodes_whatever_they_have():
    load = np.array([0, 30, 60, 5], dtype=np.int64)
    usable = np.array([100, 100, 100, 200], dtype=np.int64)
    room = usable - load
    placed([1] * 150, usable, load, room)
    share = load / usable
    assert share[[0, 1, 3]].max() - share[[0, 1, 3]].min() <= 0.011
    assert load[2] == 60


def test_the_largest_go_to_the_least_loaded():
    load = np.array([0, 4, 8], dtype=np.int64)
    usable = np.full(3, 100, dtype=np.int64)
    assert placed([9, 5, 1], usable, load, usable - load) == [0, 1, 2]


def test_a_run_of_equal_vms_stops_where_room_does():
    room = np.array([7, 3], dtype=np.int64)
    chosen = placed([2] * 20, np.array([50, 50]), np.zeros(2, dtype=np.int64), room)
    assert sorted(chosen) == [-1] * 16 + [0, 0, 0, 1]
    assert room.tolist() == [1, 1]


def test_what_a_vm_needs_nothing_of_neither_keeps_it_away_nor_is_counted():
    room = np.array([[9, 8, 7, -1], [0, -3, 4, 9]], dtype=np.int64)
    for need, fits, holds in ([3, 0], [1, 1, 1, 0], [3, 2, 2, 0]), ([2, 2], [0, 0, 1, 0], [0, 0, 2, 0]):
        assert fitting(room, np.array(need)).tolist() == fits
        assert holding(room, np.array(need)).tolist() == holds


def test_a_batch_goes_where_each_of_it_fits():
    room = np.array([[40] * 16, [1] * 15 + [8]], dtype=np.int64)
    needs = np.array([[9, 8, 7, 6], [0, 1, 0, 8]], dtype=np.int64)
    chosen = spread(needs, np.full_like(room, 50), np.zeros_like(room), room)
    assert chosen[3] == 15
    assert (chosen >= 0).all()
