"""Files to text, and text to values: the garbage collector rests for a while, and then goes on as before."""

import gc

import pytest

from vmplace.formats.parse import uncollected


@uncollected()
def rests() -> bool:
    return not gc.isenabled()


def test_rests_and_goes_on() -> None:
    assert gc.isenabled()
    assert rests()
    assert gc.isenabled()


def test_goes_on_after_an_error() -> None:
    with pytest.raises(KeyError), uncollected():
        raise KeyError
    assert gc.isenabled()


def test_whoever_turned_it_off_turns_it_on() -> None:
    gc.disable()
    try:
        assert rests()
        assert not gc.isenabled()
    finally:
        gc.enable()
