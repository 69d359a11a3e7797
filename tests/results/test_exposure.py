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
    found = Exposure.of(losses, exposed, guarantee)
    assert found is not None
    assert found.sentence() == said


def test_nothing_is_said_where_no_loss_is_known():
    assert Exposure.of([], ("n0",), Guarantee()) is None
