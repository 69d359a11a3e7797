"""Small failures at random, and all that can come of them, found by trying everything; shares no code with the package."""

from collections.abc import Iterator

import numpy as np
from hypothesis import strategies as st

from vmplace.failover.any_order.state import AnyOrderProblem


def any_order_problem(demand, free, *, must=None, allowed=None, apart=(), together=(), likeness=None):
    """A problem from lists; `apart` holds (VMs, zones), where zones None stands for nodes."""
    n_vms, n_nodes, n_resources = len(demand), len(free), np.size([*demand, *free, 0][0])
    demand = np.array(demand, dtype=np.int64).reshape(n_vms, n_resources)
    free = np.array(free, dtype=np.int64).reshape(n_nodes, n_resources)
    must = np.ones(n_vms, dtype=bool) if must is None else np.array(must, dtype=bool)
    allowed = np.ones((n_vms, n_nodes), dtype=bool) if allowed is None else np.array(allowed, dtype=bool).reshape(n_vms, n_nodes)
    apart = tuple((np.array(vms), np.arange(n_nodes) if zone is None else np.array(zone)) for vms, zone in apart)
    together = tuple(np.array(vms) for vms in together)
    if likeness is None:
        known: dict[object, int] = {}
        likeness = [
            known.setdefault(
                (
                    tuple(demand[v].tolist()),
                    bool(must[v]),
                    tuple(allowed[v].tolist()),
                    tuple(v in vms for vms, _ in apart),
                    tuple(v in vms for vms in together),
                ),
                len(known),
            )
            for v in range(n_vms)
        ]
    return AnyOrderProblem(demand, must, free, allowed, np.array(likeness, dtype=np.int64), apart, together)


@st.composite
def any_order_problems(draw, *, max_nodes=4, max_vms=6, resources=2, rules=True):
    """Failures in which little room is left, so that either answer is likely."""
    n_nodes, n_vms = draw(st.integers(0, max_nodes)), draw(st.integers(0, max_vms))
    n_resources = draw(st.integers(1, resources))
    unit = draw(st.sampled_from((1, 1, 2, 3)))
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    demand = [
        [unit * draw(st.sampled_from(sizes)), *(draw(st.integers(0, 3)) for _ in range(1, n_resources))] for _ in range(n_vms)
    ]
    free = [[draw(st.integers(0, 9 * unit)), *(draw(st.integers(0, 6)) for _ in range(1, n_resources))] for _ in range(n_nodes)]
    must = [draw(st.booleans()) or draw(st.booleans()) for _ in range(n_vms)]
    if not rules:
        return any_order_problem(demand, free, must=must)
    barred = draw(st.sampled_from((0, 0, 1, 3)))
    allowed = [[draw(st.integers(1, 9)) > barred for _ in range(n_nodes)] for _ in range(n_vms)]
    members = st.lists(st.integers(0, n_vms - 1), min_size=1, unique=True) if n_vms else st.nothing()
    zones = st.none() | st.lists(st.integers(0, 2), min_size=n_nodes, max_size=n_nodes)
    apart = draw(st.lists(st.tuples(members, zones), max_size=2)) if n_vms else ()
    together = draw(st.lists(members, max_size=2)) if n_vms else ()
    return any_order_problem(demand, free, must=must, allowed=allowed, apart=apart, together=together)


class Possible:
    """All states of a failure, as node (-1: none) of each VM."""

    def __init__(self, problem):
        self.demand, self.free = problem.demand.tolist(), problem.free.tolist()
        self.must, self.allowed = problem.must.tolist(), problem.allowed.tolist()
        self.apart = [(vms.tolist(), zone.tolist()) for vms, zone in problem.apart]
        self.together = [vms.tolist() for vms in problem.together]

    def consistent(self, home):
        """Whether capacities and rules hold."""
        for i, free in enumerate(self.free):
            there = [self.demand[v] for v, node in enumerate(home) if node == i]
            if any(sum(d[r] for d in there) > room for r, room in enumerate(free)):
                return False
        placed = {v: i for v, i in enumerate(home) if i >= 0}
        zones = [[zone[placed[v]] for v in vms if v in placed] for vms, zone in self.apart]
        return (
            all(self.allowed[v][i] for v, i in placed.items())
            and all(len(set(taken)) == len(taken) for taken in zones)
            and all(len({placed[v] for v in vms if v in placed}) <= 1 for vms in self.together)
        )

    def open(self, home, vm):
        """Where a VM could restart in a state."""
        return [i for i in range(len(self.free)) if self.consistent([*home[:vm], i, *home[vm + 1 :]])]

    def states(self, home=()) -> Iterator[list[int]]:
        """Every one: each part of a consistent assignment is consistent, so it grows VM by VM."""
        if len(home) == len(self.demand):
            yield list(home)
            return
        for i in range(-1, len(self.free)):
            grown = [*home, i]
            if self.consistent([*grown, *[-1] * (len(self.demand) - len(grown))]):
                yield from self.states(grown)

    def stranded(self):
        """The VMs that some state strands."""
        lost: set[int] = set()
        for home in self.states():
            lost.update(v for v, i in enumerate(home) if i < 0 and self.must[v] and v not in lost and not self.open(home, v))
        return lost

    def tells(self, story):
        """Whether a story can happen, restart by restart, and strands its VM."""
        home = [-1] * len(self.demand)
        for vm, node in story.placed:
            if home[vm] >= 0 or node not in self.open(home, vm):
                return False
            home[vm] = node
        return self.must[story.stranded] and home[story.stranded] < 0 and not self.open(home, story.stranded)
