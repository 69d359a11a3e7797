import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vmplace.spreading import spread

whole = st.integers(0, 40)


@given(st.lists(st.sampled_from([1, 2, 3, 7, 8, 16]), max_size=60), st.lists(st.tuples(whole, whole), min_size=1, max_size=5))
def test_what_fits_is_placed_and_the_books_are_kept(sizes, nodes):
    memory = np.array(sorted(sizes, reverse=True), dtype=np.int64)
    load, room = (np.array(column, dtype=np.int64) for column in zip(*nodes, strict=True))
    usable = load + room + 1
    before = room.copy()
    chosen = spread(memory, usable, load, room)
    placed = chosen >= 0
    taken = np.bincount(chosen[placed], memory[placed], len(nodes)).astype(np.int64)
    assert (room == before - taken).all()
    assert (room >= 0).all()
    assert (load + room == usable - 1).all()
    assert all(size > room.max() for size in memory[~placed])


def test_equal_vms_level_nodes_whatever_they_have():
    load = np.array([0, 30, 60, 5], dtype=np.int64)
    usable = np.array([100, 100, 100, 200], dtype=np.int64)
    room = usable - load
    spread(np.full(150, 1, dtype=np.int64), usable, load, room)
    share = load / usable
    assert share[[0, 1, 3]].max() - share[[0, 1, 3]].min() <= 0.011
    assert load[2] == 60


def test_the_largest_go_to_the_least_loaded():
    load = np.array([0, 4, 8], dtype=np.int64)
    usable = np.full(3, 100, dtype=np.int64)
    assert spread(np.array([9, 5, 1], dtype=np.int64), usable, load, usable - load).tolist() == [0, 1, 2]


def test_a_run_of_equal_vms_stops_where_room_does():
    room = np.array([7, 3], dtype=np.int64)
    chosen = spread(np.full(20, 2, dtype=np.int64), np.array([50, 50]), np.zeros(2, dtype=np.int64), room)
    assert sorted(chosen.tolist()) == [-1] * 16 + [0, 0, 0, 1]
    assert room.tolist() == [1, 1]
