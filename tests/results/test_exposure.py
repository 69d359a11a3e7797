"""The worst single failure, and the sentence about it."""

import pytest

from vmplace import Guarantee
from vmplace.results.exposure import Exposure

TWO = [("n0", ("a",)), ("n1", ("b", "c")), ("n0", ("d", "e"))]


@pytest.mark.parametrize(
    ("losses", "exposed", "guarantee", "said"),
    [
        (TWO, ("n0", "n1"), Guarantee(), "if one node fails now, up to 3 VMs cannot restart (worst: n0)"),
        (TWO, ("n0", "n1", "n2"), Guarantee(), "if one node fails now, at least 3 VMs cannot restart (worst: n0)"),
        (TWO[1:2], ("n1",), Guarantee(), "if n1 fails now, 2 VMs cannot restart"),
        (TWO[:1], ("n0",), Guarantee(restart="any-order"), "if n0 fails now, 1 VM may not restart"),
        (TWO, ("n0", "n1"), Guarantee(failures=2), "if 2 nodes fail now, up to 3 VMs cannot restart (worst: n0)"),
        (TWO, ("n0", "n1"), Guarantee(scope="domain"), "if one failure domain fails now, up to 3 VMs cannot restart (worst: n0)"),
        (
            TWO,
            ("n0", "n1"),
            Guarantee(failures={"domain": 1, "node": 1}),
            "if 1 failure domain and 1 node fail now, up to 3 VMs cannot restart (worst: n0)",
        ),
    ],
)
def test_what_is_said(losses, exposed, guarantee, said):
    found = Exposure.of(losses, exposed, [guarantee])
    assert found is not None
    assert found.sentence() == said


def test_of_several_guarantees_it_is_said_of_the_one_whose_failure_is_worst():
    guarantees = [Guarantee(), Guarantee(failures=2)]
    losses = [("n0", ("a",)), ("2++n0+n1", ("a", "b")), ("2++n1+n2", ("b",))]
    found = Exposure.of(losses, ("n0", "2++n0+n1", "2++n1+n2"), guarantees)
    assert (found.scenario, found.number, found.guarantee) == ("2++n0+n1", 2, guarantees[1])
    assert found.sentence() == "if 2 nodes fail now, up to 2 VMs cannot restart (guarantee 2, worst: n0+n1)"
    assert (
        Exposure.of(losses[:2], ("n0", "2++n0+n1", "2++n1+n2"), guarantees).sentence().startswith("if 2 nodes fail now, at least")
    )
    alone = Exposure.of(losses[:1], ("n0", "2++n0+n1"), guarantees)
    assert alone.sentence() == "if n0 fails now, 1 VM cannot restart (guarantee 1)"


def test_nothing_is_said_where_no_loss_is_known():
    assert Exposure.of([], ("n0",), [Guarantee()]) is None
