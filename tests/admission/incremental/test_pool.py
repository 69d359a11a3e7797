import numpy as np

from vmplace.admission.incremental.pool import LivePool
from vmplace.admission.incremental.state import LiveVM
from vmplace.admission.results import Rejection
from vmplace.solvers.budget import Budget


def pool(usable, *items, limit=None):
    room = np.array(usable, dtype=np.int64)
    made = LivePool(room, room if limit is None else np.array(limit), np.ones(len(usable), dtype=bool))
    for node, size in items:
        made.failures.put(node, LiveVM(size))
    return made


def test_a_failure_that_only_a_search_tells_is_kept():
    live = pool((100, 16, 11), *((0, size) for size in (7, 7, 5, 5)))
    assert live.failures.losses(budget=Budget()) == {}
    assert live.judge(0, LiveVM(3), budget=Budget()) == (Rejection.FAILURE, 0)
    assert live.judge(0, LiveVM(3), budget=Budget(0)) == (Rejection.DOUBT, 0)
    assert live.judge(1, LiveVM(3), budget=Budget())[0] is Rejection.FAILURE
    assert live.judge(1, LiveVM(2), budget=Budget())[0] is Rejection.NOTHING


def test_what_is_lost_may_stay_lost_but_no_more():
    live = pool((9, 5, 5), (0, 7), (0, 2))
    assert live.failures.losses(budget=Budget()) == {0: {0: 7}}
    assert live.judge(1, LiveVM(3), budget=Budget())[0] is Rejection.NOTHING
    assert live.judge(1, LiveVM(4), budget=Budget())[0] is Rejection.NOTHING
    live.failures.put(2, LiveVM(3, protected=False))
    assert live.judge(1, LiveVM(4, protected=False), budget=Budget()) == (Rejection.NOTHING, -1)
    live.failures.put(1, LiveVM(4, protected=False))
    assert live.judge(2, LiveVM(1, protected=False), budget=Budget()) == (Rejection.WORSE, 0)
    assert live.judge(2, LiveVM(1, waits=True), budget=Budget()) == (Rejection.WORSE, 0)
    assert live.judge(2, LiveVM(2, waits=True), budget=Budget())[0] is Rejection.NOTHING


def test_what_speaks_against_a_node_in_normal_running():
    live = pool((10, 10, 10), (0, 6), limit=(8, 10, 10))
    live.failures.close(2)
    assert [Rejection(h).name for h in live.rejections(4).tolist()] == ["HEADROOM", "NOTHING", "STATE"]
    assert [live.fits(node, 5).name for node in range(3)] == ["MEMORY", "NOTHING", "STATE"]
    assert live.fits(2, 5, stays=True) is Rejection.NOTHING
