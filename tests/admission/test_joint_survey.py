import numpy as np
import pytest

from vmplace import Node
from vmplace.admission.candidates import CandidateSurvey
from vmplace.admission.joint_survey import joint_survey, of_guarantee
from vmplace.admission.results import Candidates, Rejection
from vmplace.solvers.budget import Budget

NODES = [Node("a", 8), Node("b", 8, headroom=2), Node("c", 8), Node("d", 8)]
OPEN, YES = Rejection.DOUBT, Rejection.NOTHING


def survey(known, truth, names="abcd", causes="pqrs"):
    """One of nodes of which so much is known; the others turn out as in truth, each for a cause of its own."""
    asked = []

    def ask(index):
        asked.append(names[index])
        return Rejection(truth[index]), index

    none, some = np.full(len(names), -1), np.arange(len(names))
    known = np.array([int(rejection) for rejection in known])
    return CandidateSurvey(Candidates(names, 1, known, some, 0 * some, some, none, causes.__getitem__), ask), asked


def joined(*parts):
    return joint_survey([part for part, _ in parts], NODES)


def test_a_node_is_admitted_only_if_each_guarantee_allows_it():
    one, two = (
        survey([OPEN] * 4, [YES, YES, Rejection.FAILURE, YES]),
        survey([OPEN] * 4, [YES, Rejection.WORSE, YES, YES], causes="wxyz"),
    )
    joint = joined(one, two)
    assert list(joint.admitted(Budget())) == [0, 3]
    assert joint.known.reason(1) == "guarantee 2: a failure of x would leave more VMs without a restart than now"
    assert joint.known.reason(2) == "guarantee 1: a failure of r is survived now, and would not be with this VM here"
    assert two[1] == ["a", "b", "d"]  # what one refuses, no other is asked about


def test_what_a_guarantee_does_not_ask_for_is_not_called_its_own():
    known = [Rejection.MEMORY, Rejection.HEADROOM, Rejection.HEADROOM, Rejection.RULE]
    joint = joined(survey([OPEN] * 4, [YES] * 4), survey(known, known))
    assert joint.known.guarantees.tolist() == [-1, -1, 1, -1]
    assert [c.reason.startswith("guarantee 2: ") for c in joint.known] == [False, False, True, False]
    assert of_guarantee(Rejection.WORSE, True)
    assert not of_guarantee(Rejection.HEADROOM, True)


def test_a_doubt_of_one_is_a_doubt_and_a_refusal_of_another_counts_more():
    one, two = survey([OPEN] * 4, [OPEN] * 4), survey([OPEN] * 4, [YES, Rejection.FAILURE, YES, YES])
    joint = joined(one, two)
    joint.decide(Budget(), joint.known.names)
    assert [c.status.value for c in joint.known] == ["unknown", "refused", "unknown", "unknown"]


def test_nodes_outside_of_a_part_are_in_another_pool():
    joint = joined(survey([OPEN] * 2, [YES, YES], names="bd"), survey([OPEN] * 4, [YES] * 4))
    assert list(joint.admitted(Budget())) == [1, 3]
    assert joint.known.reason(0) == "a is in another pool"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([Rejection.FAILURE] * 4, [YES] * 4, "4 nodes have 1 MiB free, but the VM would break guarantee 1 on each; on a, for"),
        (
            [Rejection.FAILURE] * 2 + [YES] * 2,
            [Rejection.FAILURE] * 4,
            "the VM would break a guarantee on each; on a, for example",
        ),
        (
            [Rejection.RULE] * 3 + [YES],
            [Rejection.WORSE] * 4,
            "1 node has 1 MiB free, but the VM would weaken guarantee 2 there: ",
        ),
        ([Rejection.HEADROOM] * 4, [YES] * 4, "guarantee 1: no node has 1 MiB free beside its headroom: d has 3 MiB free"),
    ],
)
def test_a_refusal_names_the_guarantee(first, second, told):
    joint = joined(
        survey([OPEN if h in (YES, Rejection.FAILURE, Rejection.WORSE) else h for h in first], first), survey([OPEN] * 4, second)
    )
    joint.decide(Budget(), joint.known.names)
    assert told in joint.known.refusal()
