"""Options, checked."""

import pytest

from vmplace import InputError
from vmplace.model.units import parse_reserve
from vmplace.placement.migration.limits import Limits, Pace, argument
from vmplace.placement.options import PlaceOptions


def test_what_is_asked_becomes_a_goal_and_a_pace():
    ask = PlaceOptions(objective=("moves", "balance"), move_running=True, max_moves=3, max_migrated="2GiB", parallel=4, seed=5)
    assert (ask.goal.objectives, ask.goal.move_running, ask.goal.max_migrated) == (("moves", "balance"), True, 2048)
    assert ask.pace == Pace(Limits(4, None), 3, 2048, 5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"objective": "best"},
        {"objective": ()},
        {"method": "best"},
        {"seed": -1},
        {"max_moves": 1.5},
        {"max_migrated": "1GB"},
        {"parallel": 0},
        {"parallel_per_node": "many"},
    ],
)
def test_what_is_wrong_is_named(wrong):
    with pytest.raises(InputError) as error:
        PlaceOptions(**{"objective": "moves", **wrong})
    assert [flaw.place for flaw in error.value.flaws] == list(wrong)


def test_none_is_no_limit():
    assert argument("max_migrated", None, parse_reserve) is None
    assert argument("max_migrated", "1GiB", parse_reserve) == 1024
