import numpy as np

from vmplace.admission.candidates import CandidateSurvey, scores
from vmplace.admission.results import Candidates, Rejection
from vmplace.solvers.budget import Budget

NO, YES, OPEN = int(Rejection.MEMORY), int(Rejection.NOTHING), int(Rejection.DOUBT)


def survey(truth, *, sift=None, scores=(3, 1, 2, 1), penalties=None):
    """One that notes which nodes are asked about."""
    asked = []

    def ask(index):
        asked.append(index)
        return Rejection(truth[index]), -1

    none = np.full(4, -1)
    penalties = np.zeros(4, dtype=np.int64) if penalties is None else penalties
    known = Candidates("abcd", 1, np.full(4, OPEN), np.array(scores), penalties, np.zeros(4), none, str)
    return CandidateSurvey(known, ask, sift), asked


def test_the_best_is_asked_about_first_and_then_no_more():
    found, asked = survey([YES] * 4)
    assert next(found.admitted(Budget())) == 1
    assert asked == [1]


def test_equals_come_in_order_and_penalties_count_first():
    assert list(survey([YES, YES, NO, YES])[0].admitted(Budget())) == [1, 3, 0]
    assert list(survey([YES] * 4, penalties=np.array([0, 2, 1, 0]))[0].admitted(Budget())) == [3, 0, 2, 1]


def test_what_a_sieve_tells_is_not_asked_about():
    found, asked = survey([YES, NO, YES, YES], sift=lambda: (np.array([OPEN, OPEN, YES, NO]), np.full(4, -1)))
    assert list(found.admitted(Budget())) == [2, 0]
    assert asked == [1, 0]
    assert [c.status.value for c in found.known] == ["admitted", "refused", "admitted", "refused"]


def test_when_time_is_up_only_the_best_is_asked_about():
    found, asked = survey([NO] * 4)
    assert list(found.admitted(Budget(0))) == []
    assert asked == [1]
    assert found.known.status == "unknown"
    found.decide(Budget(0), found.known.names)
    assert asked == [1]


def test_scores():
    free, usable = np.array([4, 6]), np.array([8, 8])
    assert scores("tightest", free, usable, 2).tolist() == [2, 4]
    assert scores("balance", free, usable, 2).tolist() == [0.75, 0.5]
