"""What all answers of public functions have in common: a verdict, a summary, no truth value, equality by what they say."""

from typing import Any, NoReturn

from vmplace.model.text import printable
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Status

__all__ = ["Result"]


class Result(ToDict):
    """Base of the answers of public functions.

    Results are equal if they are of one class and say the same, whatever time it took: `stats` does not count.
    """

    __slots__ = ()

    @property
    def safe(self) -> bool:
        """Whether the guarantee is known to hold. False also where that is unknown: `status` tells the two apart."""
        verdict = getattr(self, "guarantee", None) or getattr(self, "status", None)
        return verdict is Status.SAFE

    def summary(self) -> str:
        """The answer in a line."""
        raise NotImplementedError

    def __bool__(self) -> NoReturn:
        raise TypeError(f"a result ({type(self).__name__}) is neither true nor false: ask for .safe")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {printable(self.summary())}>"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        assert isinstance(other, Result)
        return self is other or _said(self.to_dict()) == _said(other.to_dict())

    def __hash__(self) -> int:
        return hash((type(self), self.summary()))


def _said(part: Any) -> Any:
    """The part without the statistics of how it was found."""
    if isinstance(part, dict):
        return {key: _said(value) for key, value in part.items() if key != "stats"}
    return list(map(_said, part)) if isinstance(part, list) else part
