"""Names that are looked up and are not there: the flaw that says so, with the known name that is most like it."""

import difflib
from collections.abc import Collection, Iterable
from functools import lru_cache

from vmplace.model.errors import Flaw
from vmplace.model.units import short

__all__ = ["closest", "did_you_mean", "not_found"]

_MOST_COMPARED = 5_000


def closest(wanted: object, known: Iterable[object]) -> str | None:
    """The known word that is most like the one wanted; None where none is."""
    if not isinstance(wanted, str):
        return None
    return _closest_word(wanted, tuple(word for word in known if isinstance(word, str)))


@lru_cache(maxsize=1024)
def _closest_word(wanted: str, known: tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(wanted, known, n=1)), None)


def did_you_mean(guess: str | None) -> str:
    """The question as the end of a message; empty without a guess."""
    return f"; did you mean {short(guess)}?" if guess else ""


def not_found(place: str, noun: str, name: object, known: Collection[str]) -> Flaw:
    """The flaw of a name that is not among those of the cluster's nodes, VMs or pools."""
    guess = closest(name, known) if len(known) <= _MOST_COMPARED else None
    return Flaw(place, f"{short(name)} is not a {noun} of this cluster{did_you_mean(guess) or ': name one'}", "not-found")
