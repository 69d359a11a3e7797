"""How much an exhaustive search of the auditor may look at: counted, not timed, so that an audit always says the same."""

__all__ = ["TooHardError", "WorkLimit"]


class TooHardError(Exception):
    """A search has looked at as much as it may."""


class WorkLimit:
    """What is left to be looked at.

    Parameters
    ----------
    most
        How many states.
    """

    def __init__(self, most: int = 20_000) -> None:
        self.left = most

    def spend(self) -> None:
        """Look at one more state; raises TooHardError if that is too many."""
        if self.left <= 0:
            raise TooHardError
        self.left -= 1
