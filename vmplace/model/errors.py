"""Errors that callers can mend: the flaws found, each with its place and a stable code, and the exceptions that carry them."""

import difflib
from collections.abc import Collection, Iterable, Sequence, Set
from functools import lru_cache
from typing import Literal

from attrs import frozen

from vmplace.model.units import short

__all__ = [
    "ConflictError",
    "Flaw",
    "FlawCode",
    "InputError",
    "NotFoundError",
    "VMPlaceError",
    "closest",
    "did_you_mean",
    "error_of",
    "likely",
    "not_among",
    "not_found",
]

FlawCode = Literal[
    "conflict",
    "contradiction",
    "dependency",
    "duplicate",
    "invalid-value",
    "length",
    "missing",
    "no-effect",
    "not-found",
    "syntax",
    "unknown-key",
    "wrong-type",
]
"""What kind of flaw it is, for scripts: `docs/documents.md` says what each means, and how to mend it."""


@frozen
class Flaw:
    """One thing wrong with the input.

    Parameters
    ----------
    place
        Where it is, as a path into the document (``vms[17].memory``); empty for the document as a whole.
    message
        The value found and what to write instead.
    code
        The kind of flaw. Codes are stable, messages are not.
    """

    place: str
    message: str
    code: FlawCode = "invalid-value"

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class VMPlaceError(Exception):
    """Any error that vmplace raises on purpose."""


class InputError(VMPlaceError, ValueError):
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


class NotFoundError(InputError, LookupError):
    """No node, VM or other thing has the name that was asked for."""


class ConflictError(InputError):
    """The present state does not allow the request: a VM to start runs already, or a result has no placement."""


def error_of(flaws: Iterable[Flaw]) -> InputError:
    """The most specific error for these flaws: NotFoundError or ConflictError where all of them are of that kind."""
    found = tuple(flaws)
    codes = {flaw.code for flaw in found}
    kind = {"not-found": NotFoundError, "conflict": ConflictError}.get(codes.pop(), InputError) if len(codes) == 1 else InputError
    return kind(found)


_MOST_COMPARED = 5_000


def closest(wanted: object, known: Iterable[object]) -> str | None:
    """The known word that is most like the one wanted; None where none is."""
    if not isinstance(wanted, str):
        return None
    return _closest_word(wanted, tuple(word for word in known if isinstance(word, str)))


@lru_cache(maxsize=1024)
def _closest_word(wanted: str, known: tuple[str, ...]) -> str | None:
    alike = [word for word in known if word.casefold() == wanted.casefold()]
    return min(alike, default=None) or next(iter(difflib.get_close_matches(wanted, known, n=1)), None)


def likely(name: object, known: Collection[str]) -> str | None:
    """The closest of a cluster's names; None where none is, or where they are too many to compare."""
    return closest(name, known) if len(known) <= _MOST_COMPARED else None


def did_you_mean(guess: str | None) -> str:
    """The question as the end of a message; empty without a guess."""
    return f"; did you mean {short(guess)}?" if guess else ""


def not_among(value: object, words: Iterable[str]) -> str:
    """The message for a value that is none of the words allowed."""
    known = list(words)
    return f"{short(value)} is not one of {', '.join(known)}{did_you_mean(closest(value, known)) or ': write one of these'}"


def not_found(place: str, noun: str, name: object, known: Collection[str]) -> Flaw:
    """The flaw of a name that is not among those of the cluster's nodes, VMs or pools."""
    mend = ": name one"
    if 0 < len(known) <= _MOST_COMPARED:
        names = sorted(known) if isinstance(known, Set) else list(known)
        mend = did_you_mean(closest(name, names)) or f": name one of {_some(names)}"
    return Flaw(place, f"{short(name)} is not a {noun} of this cluster{mend}", "not-found")


_LISTED = 8


def _some(names: Sequence[str]) -> str:
    """All names if they are few; else the first and the last, which show how they are made."""
    shown = [short(name) for name in (names if len(names) <= _LISTED else [*names[:2], names[-1]])]
    return ", ".join(shown if len(names) <= _LISTED else [*shown[:2], "...", shown[2]])
