"""How many random examples a law is tried on: few in the fast suite, many in the slow one."""

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings

__all__ = ["CAMPAIGN", "Law", "both_suites", "often", "tried"]

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


@frozen
class Law:
    """A test on what strategies draw, by the names of its arguments, with the number of examples of the fast suite."""

    body: object
    examples: int
    drawn: object

    def holds(self, examples, **profile):
        trial = given(**self.drawn)(self.body)
        quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
        settings(max_examples=examples, deadline=None, suppress_health_check=quiet, **profile)(trial)()


def both_suites(laws, times=CAMPAIGN):
    """A test of each law by its name, in both suites; the slow one takes so many times as many examples."""

    @pytest.mark.parametrize("name", laws)
    @pytest.mark.parametrize("depth", ["quick", pytest.param("campaign", marks=pytest.mark.slow)])
    def holds(name, depth):
        law = laws[name]
        if depth == "quick":
            law.holds(law.examples, derandomize=True)
        else:
            law.holds(law.examples * times)

    return holds
