"""Effort is counted."""

import pytest

from vmplace.auditor.effort import TooHardError, WorkLimit


def test_so_many_states_and_no_more():
    effort = WorkLimit(2)
    effort.spend()
    effort.spend()
    with pytest.raises(TooHardError):
        effort.spend()
    with pytest.raises(TooHardError):
        effort.spend()
