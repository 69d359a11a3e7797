"""Placements by hand and at random, for tests of what failures do to them."""

from hypothesis import strategies as st

from vmplace import VM, Cluster, Guarantee, Node
from vmplace.problem.compile import compile_problem
from vmplace.problem.state import PlacementState


def state(usable, vms, **guarantee):
    """A placement from (memory, node) pairs."""
    nodes = [Node(f"n{i}", size) for i, size in enumerate(usable)]
    vms = [VM(f"vm{k}", size, f"n{i}") for k, (size, i) in enumerate(vms)]
    return standing_of(Cluster(nodes, vms, guarantee=Guarantee(**guarantee)))


def standing_of(cluster, **options):
    """The placement as it stands."""
    problem = compile_problem(cluster)
    return PlacementState.of(problem, problem.node_of, **options)


sizes = st.sampled_from([1, 2, 3, 4, 5, 6, 8])


@st.composite
def placements(draw):
    """(usable, vms) for `state`; no node holds too much."""
    usable = draw(st.lists(st.integers(4, 14), min_size=2, max_size=4))
    vms, load = [], [0] * len(usable)
    for size, i in draw(st.lists(st.tuples(sizes, st.integers(0, len(usable) - 1)), max_size=6)):
        if load[i] + size <= usable[i]:
            load[i] += size
            vms.append((size, i))
    return usable, vms
