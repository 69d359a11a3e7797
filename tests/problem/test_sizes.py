import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vmplace import VM, Cluster, Node
from vmplace.problem.compile import compile_problem
from vmplace.problem.sizes import SizeCounts


@given(st.lists(st.integers(1, 9)), st.integers(1, 5))
def test_sizes_tell_what_the_list_tells(memory, step):
    sizes = SizeCounts.of(np.array(memory, dtype=np.int64))
    assert sizes.total == sum(memory)
    assert sizes.largest == max(memory, default=0)
    assert sizes.slots(step) == sum(size // step for size in memory)
    assert sizes.every(step).tolist() == sorted(memory, reverse=True)[::step]


def test_of_a_pool_of_the_protected_and_of_those_that_need_not_stay():
    nodes = [Node("a", 9), Node("m", 9, state="maintenance"), Node("b", 9, pool="p")]
    vms = [VM("v", 1, "a"), VM("w", 2, "m"), VM("x", 3, "a", protected=False), VM("y", 4, "b", pool="p"), VM("z", 5)]
    problem = compile_problem(Cluster(nodes, vms))
    asked = [{}, {"protected": True}, {"staying": False}, {"protected": True, "staying": False}]
    assert [problem.sizes(0, **how).values.tolist() for how in asked] == [[1, 2, 3, 5], [1, 2, 5], [1, 3, 5], [1, 5]]
    assert [problem.sizes(1, **how).values.tolist() for how in asked] == [[4]] * 4
