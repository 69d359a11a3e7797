import json

import numpy as np

from vmplace.admission.results import Admission, Candidates, Rejection
from vmplace.results.values import Migration, Status

FOUND = Candidates(
    ["n0", "n1", "n2", "n3"],
    4,
    np.array([Rejection.NOTHING, Rejection.FAILURE, Rejection.MEMORY, Rejection.DOUBT]),
    np.array([2, 3, -1, 5]),
    np.zeros(4, dtype=np.int64),
    np.array([6, 7, 3, 9]),
    np.array([-1, 0, -1, -1]),
    "abcd".__getitem__,
)


def test_candidates_are_made_one_by_one():
    assert [(c.node, c.status.value, c.score) for c in FOUND] == [
        ("n0", "admitted", 2),
        ("n1", "refused", 3),
        ("n2", "refused", None),
        ("n3", "unknown", 5),
    ]
    assert FOUND[-1].node == FOUND[3:][0].node == "n3"
    assert FOUND[1].reason == "a failure of a is survived now, and would not be with this VM here"
    assert json.loads(json.dumps(FOUND.to_dict()))["candidates"][2]["reason"] == "n2 has 3 MiB free"


def test_nodes_of_other_pools_are_refused():
    spread = FOUND.among(["n3", "x", "n0", "n1", "n2"])
    assert [c.status.value for c in spread] == ["unknown", "refused", "admitted", "refused", "refused"]
    assert spread[1].reason == "x is in another pool"


def test_every_hindrance_has_a_sentence_and_a_verdict():
    assert [h.status for h in Rejection] == [Status.ADMITTED, *[Status.REFUSED] * 9, Status.UNKNOWN]
    assert all(bool(h.sentence("n0", 4, "n1")) is (h is not Rejection.NOTHING) for h in Rejection)


def test_an_admission_is_json():
    found = Admission(Status.ADMITTED, "a", "n0", {"a": "n0"}, 3, "why", (Migration("b", "n0", "n1", 4),))
    told = json.loads(json.dumps(found.to_dict()))
    assert told["migrations"] == [{"vm": "b", "from": "n0", "to": "n1", "memory": 4, "step": None, "cold": False}]
    assert (told["status"], told["placement"], told["score"]) == ("admitted", {"a": "n0"}, 3)
