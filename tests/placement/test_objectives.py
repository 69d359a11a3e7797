from fractions import Fraction

import pytest

import vmplace
from vmplace import VM, Cluster, InputError, Node
from vmplace.placement.objectives import parse_gap, parse_objectives
from vmplace.search.goal import Slack
from vmplace.synthetic import generate


@pytest.mark.parametrize(
    ("given", "names", "slack"),
    [
        ("balance", ("balance",), ()),
        (("balance", "moves"), ("balance", "moves"), ()),
        (("balance", 0.05), ("balance",), (("balance", Slack(Fraction(1, 20))),)),
        ([("balance", "5%"), "moves"], ("balance", "moves"), (("balance", Slack(Fraction(1, 20))),)),
        ((["moves", "<=64GiB"], "balance"), ("moves", "balance"), (("moves", Slack(enough=65536)),)),
        ((("balance", "<= 80%"), ("consolidate", "<=12")), ("balance", "consolidate"),
         (("balance", Slack(enough=Fraction(4, 5))), ("consolidate", Slack(enough=12)))),
    ],
)  # fmt: skip
def test_names_and_their_slack(given, names, slack):
    assert parse_objectives(given) == (names, slack)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("speed", "'speed' is not an objective: give one of"),
        ((), "is not an objective"),
        (("moves", ("moves", 0.1)), "is not an objective"),
        ((("balance", -0.1), "moves"), "-0.1 is not a slack for balance: write a share such as 5%, or <=80%"),
        ((("moves", "<=8G"), "balance"), "'<=8G' is not a slack for moves: write a share such as 5%, or <=64GiB"),
        ((("consolidate", True), "moves"), "True is not a slack for consolidate"),
        ((("balance", float("nan")), "moves"), "nan is not a slack"),
        ((("balance", "1/0"), "moves"), "'1/0' is not a slack"),
        ((("balance", "1e99999999"), "moves"), "'1e99999999' is not a slack"),
        ((("balance", "<=1e-99999999"), "moves"), "'<=1e-99999999' is not a slack"),
        ((("rules", 0.1), "moves"), "rules cannot have a slack"),
    ],
)
def test_what_is_no_objective_is_refused_by_name(given, message):
    with pytest.raises(InputError) as refused:
        parse_objectives(given)
    (flaw,) = refused.value.flaws
    assert flaw.place == "objective"
    assert message in flaw.message


NODES = [Node(f"n{i}", 100) for i in range(3)]
LOPSIDED = Cluster(NODES, [VM("a", 20, "n0"), VM("b", 16, "n0"), VM("c", 10, "n1"), VM("d", 10, "n2")])


@pytest.mark.parametrize(
    ("objective", "value", "bound", "gap", "allowed"),
    [
        (("balance", "moves"), (Fraction(1, 5), 26), (Fraction(1, 5), 26), (0, 0), None),
        ((("balance", 0.3), "moves"), (Fraction(26, 100), 16), None, None, 0.26),
        ((("balance", 0.8), "moves"), (Fraction(36, 100), 0), (Fraction(1, 5), 0), (pytest.approx(16 / 36), 0), 0.36),
        ((("balance", "<=36%"), "moves"), (Fraction(36, 100), 0), None, None, 0.36),
        ((("balance", "<=35%"), "moves"), (Fraction(26, 100), 16), None, None, 0.35),
    ],
)
def test_an_objective_may_be_worse_for_those_after_it(objective, value, bound, gap, allowed):
    solution = vmplace.place(LOPSIDED, objective=objective, move_running=True)
    assert (solution.status, solution.objective) == ("optimal", value)
    assert solution.objective_name == ("balance", "moves")
    if bound is not None:
        assert (solution.bound, solution.gap) == (bound, gap)
        score = solution.to_dict()["objective"]
        assert score == {
            "name": ["balance", "moves"], "value": [float(value[0]), value[1]], "bound": [float(bound[0]), bound[1]],
            "gap": list(gap), **({} if allowed is None else {"allowed": [allowed, None]}),
        }  # fmt: skip


@pytest.mark.parametrize("sizes", [(2, 2), (3, 4), (7, 5)])
@pytest.mark.parametrize("enough", [Fraction(n, 20) for n in range(8, 20)])
def test_a_value_that_is_good_enough_is_no_bound(sizes, enough):
    """Neither the value nor the bound is that of a share between those that nodes can have."""
    cluster = Cluster([Node(f"n{i}", size) for i, size in enumerate(sizes)], [VM("a", 1, "n0"), VM("b", 1)])
    best = min(max(Fraction(load, size) for load, size in zip(loads, sizes, strict=True)) for loads in ((1, 1), (2, 0)))
    solution = vmplace.place(cluster, objective=(("balance", f"<={float(enough):.0%}"), "consolidate"), method="exact")
    assert solution.status == "optimal"
    assert 0 < solution.bound[0] <= best <= solution.objective[0] <= max(best, enough)


def test_slack_of_the_only_objective_is_for_the_sake_of_fewer_migrations():
    solution = vmplace.place(LOPSIDED, objective=("balance", 0.8), move_running=True)
    assert (solution.status, solution.objective, solution.migrations) == ("optimal", Fraction(36, 100), ())


@pytest.mark.parametrize(("given", "gap"), [(0, 0), (0.01, Fraction(1, 100)), ("5%", Fraction(1, 20)), ("0.5", Fraction(1, 2))])
def test_a_gap_is_a_share(given, gap):
    assert parse_gap(given) == gap


@pytest.mark.parametrize("given", [-0.1, 1, "100%", "1e-99999999", "wide", True, None, float("nan")])
def test_what_is_no_gap_is_refused(given):
    with pytest.raises(InputError) as refused:
        vmplace.place(LOPSIDED, gap=given)
    assert refused.value.flaws[0].place == "gap"


HARD = generate(nodes=16, fill=0.97, profile="flavors", placed="worst-fit", seed=3)


@pytest.mark.parametrize("objective", ["moves", ("moves", "balance"), "balance"])
def test_a_search_ends_within_the_gap(objective):
    solution = vmplace.place(HARD, objective=objective, move_running=True, gap=0.9, ordered=False)
    gaps = solution.gap if isinstance(solution.gap, tuple) else (solution.gap,)
    assert all(gap <= 0.9 for gap in gaps)
    assert (solution.status == "optimal") == (solution.objective == solution.bound)
    assert solution.guarantee == "safe"
    assert solution.stats["seconds"] < 20


def test_a_gap_spares_the_proof():
    wide = vmplace.repair(HARD, gap=0.9, ordered=False)
    assert (wide.status, wide.stats.get("searches", 0)) == ("feasible", 0)
    assert 0 < wide.gap <= 0.9
