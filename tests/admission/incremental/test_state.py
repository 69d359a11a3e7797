from random import Random

import numpy as np

from vmplace.admission.incremental.state import LiveState, LiveVM


def columns(state):
    """What follows from what is there, by size where that is how it is kept."""
    by_size = {size: (int(state.room[row]), state.counts[row].tolist()) for size, row in state.row.items()}
    largest = [int(state.sizes[row]) if row >= 0 else 0 for row in state.largest.tolist()]
    return state.step, by_size, largest, *(a.tolist() for a in (state.load, state.free, state.displaced, state.whole))


def made_anew(state, held):
    fresh = LiveState(state.usable, state.limit, state.online)
    pairs = [(node, item) for node, items in enumerate(held) for item in items]
    fresh.fill(np.array([node for node, _ in pairs], dtype=np.int64), [item for _, item in pairs])
    fresh.learn(list(state.row))
    return fresh


def test_tables_are_those_of_a_state_made_anew():
    random, usable = Random(1), np.array([30, 30, 40, 20], dtype=np.int64)
    for _ in range(30):
        state, held = LiveState(usable, usable, np.ones(4, dtype=bool)), [[], [], [], []]
        for _ in range(20):
            node = random.randrange(4)
            if held[node] and random.random() < 0.4:
                state.take(node, held[node].pop(random.randrange(len(held[node]))))
            else:
                item = LiveVM(random.choice((2, 4, 6, 7)), random.choice((0, 1)), random.random() < 0.8)
                state.put(node, item)
                held[node].append(item)
        assert columns(state) == columns(made_anew(state, held))
        assert state.totals.tolist() == state.counts.sum(axis=1).tolist()


def test_a_node_that_is_closed_has_nothing():
    usable = np.array([10, 10], dtype=np.int64)
    state = LiveState(usable, usable, np.ones(2, dtype=bool))
    state.put(0, LiveVM(4))
    state.close(0)
    assert (state.load.tolist(), state.free.tolist(), state.largest.tolist(), state.totals.tolist()) == (
        [0, 0],
        [0, 10],
        [-1, -1],
        [0],
    )
    state.open(0, online=True)
    assert state.free.tolist() == [10, 10]
