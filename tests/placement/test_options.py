import inspect

import attrs
import pytest

import vmplace
from vmplace import InputError
from vmplace.placement.migration.limits import MigrationLimits
from vmplace.placement.options import DrainKeywords, PlaceOptions, RepairKeywords


def test_what_is_asked_becomes_a_goal_and_limits():
    options = PlaceOptions(
        objective=("moves", "balance"), move_running=True, max_moves=3, max_migrated="2GiB", parallel=4, seed=5
    )
    assert (options.goal.objectives, options.goal.move_running, options.goal.max_migrated) == (("moves", "balance"), True, 2048)
    assert options.limits == MigrationLimits(4, 1, 3, 2048, 5)


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


def test_none_is_no_limit_and_amounts_may_be_words():
    assert MigrationLimits.of(max_migrated=None, parallel=None) == MigrationLimits()
    assert MigrationLimits.of(max_migrated="1GiB").max_migrated == 1024


def test_place_has_the_same_options_with_the_same_defaults():
    signature = inspect.signature(vmplace.place).parameters
    options = {option.name: option.default for option in attrs.fields(PlaceOptions) if option.init}
    assert options == {name: signature[name].default for name in options}
    assert set(signature) - set(options) == {"cluster", "time_limit", "progress", "cancel"}


def test_the_keywords_of_repair_and_drain_are_those_of_place():
    known = set(inspect.signature(vmplace.place).parameters) - {"cluster"}
    assert set(RepairKeywords.__annotations__) == known
    assert set(DrainKeywords.__annotations__) == known - {"move_running", "time_limit", "progress", "cancel"}
