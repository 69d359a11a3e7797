"""How many random examples a law is tried on: few in the fast suite, many in the slow one."""

import pytest
from hypothesis import given, settings

__all__ = ["CAMPAIGN", "often", "tried"]

CAMPAIGN = 28
"""How many times as many examples a slow campaign takes."""


def often(quick, campaign=None):
    """A test with an argument ``examples``, in both suites."""
    many = CAMPAIGN * quick if campaign is None else campaign
    return pytest.mark.parametrize("examples", [quick, pytest.param(many, marks=pytest.mark.slow)])


def tried(*strategies, quick, campaign=None):
    """A test on what strategies draw, in both suites; the fast one always draws the same."""

    def wrap(test):
        @often(quick, campaign)
        def on(examples):
            settings(max_examples=examples, deadline=None, derandomize=examples == quick)(given(*strategies)(test))()

        on.__name__, on.__doc__ = test.__name__, test.__doc__
        return on

    return wrap
