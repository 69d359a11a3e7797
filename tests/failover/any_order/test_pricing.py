from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.any_order import any_order_problem, any_order_problems
from vmplace.failover.any_order.certificate import BlockingProblem
from vmplace.failover.any_order.pricing import HEAVY, Pricing
from vmplace.failover.certificates.blocking import NEVER
from vmplace.solvers.budget import Budget


def choices(counts):
    return product(*(range(n + 1) for n in counts))


def lightest_by_hand(blocking, counts, weights, node, *, exact):
    """The least weight of a choice that blocks a node, heeding all resources, or the blocking one alone."""
    kinds, at = blocking.problem.kinds, blocking.nodes.tolist().index(node)
    free = blocking.problem.free[node].tolist()
    need = [f - d + 1 if d else NEVER for f, d in zip(free, kinds.demand[blocking.kind].tolist(), strict=True)]
    counts = [min(n, 1) if kinds.apart[k] else n for k, n in enumerate(counts)]
    counts = [n if kinds.fits[k, node] else 0 for k, n in enumerate(counts)]
    best = HEAVY
    for choice in choices(counts):
        load = [sum(n * d for n, d in zip(choice, demand, strict=True)) for demand in kinds.demand.T.tolist()]
        short = [r for r, least in enumerate(need) if blocking.cost[at, r] < NEVER and least <= load[r] <= free[r]]
        if short and (not exact or all(used <= room for used, room in zip(load, free, strict=True))):
            best = min(best, sum(n * w for n, w in zip(choice, weights, strict=True)))
    return best


@settings(max_examples=60, deadline=None)
@given(st.data(), any_order_problems(max_vms=7), st.sampled_from((1, 2, 1000)))
def test_no_choice_that_blocks_a_node_is_lighter(data, case, fine):
    kinds = case.kinds
    for kind in range(len(kinds)):
        blocking = BlockingProblem.alone(case, kind)
        counts = [data.draw(st.integers(0, n)) for n in blocking.fillers.tolist()]
        weights = [data.draw(st.integers(0, 9)) for _ in counts]
        pricing = Pricing(blocking, fine)
        assert pricing.affordable
        pricing.fill(counts, weights, Budget())
        assert sorted(node for group in pricing.groups for node in group.nodes) == blocking.nodes.tolist()
        for group in pricing.groups:
            weight = pricing.weight(group)
            for node in group.nodes:
                exact = lightest_by_hand(blocking, counts, weights, node, exact=True)
                loose = lightest_by_hand(blocking, counts, weights, node, exact=False)
                assert loose <= weight <= exact
                if fine == 1000:
                    assert pricing.complete
                    assert weight == exact
            if weight < HEAVY:
                pattern = pricing.pattern(group)
                assert sum(n * weights[k] for k, n in pattern) == weight
                assert all(0 < n <= counts[k] for k, n in pattern)


def test_nodes_that_are_blocked_alike_are_one_group():
    blocking = BlockingProblem.alone(any_order_problem([4, 2, 2], [5, 4, 5, 3]), 0)
    assert [group.nodes for group in Pricing(blocking, 1).groups] == [(0, 2), (1,)]


def test_two_that_are_to_be_apart_are_not_both_on_a_node():
    blocking = BlockingProblem.alone(any_order_problem([4, 1, 1], [5], apart=[([1, 2], None)]), 0)
    pricing = Pricing(blocking, 1)
    pricing.fill([0, 2], [0, 1], Budget())
    assert pricing.weight(pricing.groups[0]) == HEAVY
