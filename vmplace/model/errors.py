"""Errors in the input: the flaws found, each with its place, and the exception that carries them."""

from collections.abc import Iterable

from attrs import frozen

__all__ = ["Flaw", "InputError"]


@frozen
class Flaw:
    """One thing wrong with the input.

    Parameters
    ----------
    place
        Where it is, as a path into the document (``vms[17].memory``); empty for the document as a whole.
    message
        The value found and what to write instead.
    """

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class InputError(ValueError):
    """The input is wrong; every flaw found is listed.

    Attributes
    ----------
    flaws : tuple of Flaw
        All that is wrong, in the order of the document.
    """

    def __init__(self, flaws: Iterable[Flaw]) -> None:
        self.flaws = tuple(flaws)
        super().__init__("\n".join(map(str, self.flaws)))

    def __reduce__(self) -> tuple[type["InputError"], tuple[tuple[Flaw, ...]]]:
        return type(self), (self.flaws,)
