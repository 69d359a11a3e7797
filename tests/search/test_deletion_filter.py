from hypothesis import given
from hypothesis import strategies as st

from vmplace.search.deletion_filter import DeletionFilter
from vmplace.solvers.budget import Budget

some = st.frozensets(st.integers(0, 9), max_size=4)


@given(st.lists(some, min_size=1, max_size=4), st.permutations(range(10)))
def test_of_a_monotone_property_an_irreducible_subset_is_left_the_same_by_halves_as_one_by_one(causes, order):
    def holds(kept):
        return any(cause <= kept for cause in causes)

    halved, each = (DeletionFilter(frozenset(range(10)), holds) for _ in range(2))
    halved.drop([[element] for element in order])
    each.drop_each(order)
    assert halved.kept == each.kept
    assert halved.irreducible
    assert each.irreducible
    assert holds(halved.kept)
    assert not any(holds(halved.kept - {element}) for element in halved.kept)


def test_of_interchangeable_elements_the_first_few_stay_after_few_questions():
    asked = []

    def holds(kept):
        asked.append(kept)
        return len(kept) >= 33

    shrinking = DeletionFilter(frozenset(range(100)), holds)
    shrinking.drop([range(100)])
    assert shrinking.kept == frozenset(range(33))
    assert shrinking.irreducible
    assert len(asked) <= 8


def test_what_is_undecided_stays_and_is_not_called_irreducible():
    shrinking = DeletionFilter(frozenset("abc"), lambda kept: None if "a" not in kept else "b" in kept)
    shrinking.drop_each("abc")
    assert (shrinking.kept, shrinking.irreducible) == (frozenset("ab"), False)
    late = DeletionFilter(frozenset("abc"), lambda _: True, Budget(0))
    late.drop(["a", "b"])
    late.settle("abc")
    assert (late.kept, late.irreducible) == (frozenset("abc"), False)


def test_a_property_that_is_not_monotone_is_settled():
    # b can only go once c has gone.
    shrinking = DeletionFilter(frozenset("abc"), lambda kept: "a" in kept and not ("c" in kept and "b" not in kept))
    shrinking.drop_each("abc")
    assert shrinking.kept == frozenset("ab")
    shrinking.settle("abc")
    assert (shrinking.kept, shrinking.irreducible) == (frozenset("a"), True)
