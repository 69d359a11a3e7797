"""The claims of a saved result as they are read, and what the audit finds of each."""

from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import Any

from attrs import define, field

from vmplace.model.converters import member_place
from vmplace.model.units import short
from vmplace.results.audit import Unchecked
from vmplace.results.from_dict import structure
from vmplace.results.values import Violation

__all__ = ["TEXT", "Claims"]

TEXT = "says how the result was found, or why; nothing depends on it"
_NO_CLAIM = ("method", "stats", "reason", "warnings")


@define(eq=False)
class Claims:
    """The members of a result, or of a part of it, with the findings of the whole.

    Parameters
    ----------
    members
        As JSON carries them.
    place
        Of the part in the result.
    found, checked, unchecked, warnings
        The findings, shared by all parts.
    """

    members: Mapping[str, Any]
    place: str = ""
    found: list[Violation] = field(factory=list)
    checked: list[str] = field(factory=list)
    unchecked: list[Unchecked] = field(factory=list)
    warnings: list[str] = field(factory=list)
    _read: set[str] = field(factory=set, init=False)

    def within(self, place: str, members: Mapping[str, Any]) -> "Claims":
        """The claims of a part."""
        return Claims(members, self._at(place), self.found, self.checked, self.unchecked, self.warnings)

    def read(self, key: str, kind: Any, default: Any = None) -> Any:
        """The value of a key, of a kind that `structure` knows; raises InputError if it is of another."""
        self._read.add(key)
        if key not in self.members:
            return default
        unknown: list[str] = []
        value = structure(kind, self.members[key], self._at(key), unknown)
        for place in unknown:
            self.unchecked.append(Unchecked(place, "is a key that this audit does not know"))
        return value

    def expect(self, claim: str, says: object, right: object, unit: str = "") -> bool:
        """Compare what a claim says with what is right."""
        self.right(claim)
        if says != right:
            self.wrong(claim, _difference(says, right, unit))
        return says == right

    def right(self, claim: str) -> None:
        """Note a claim as re-checked."""
        place = self._at(claim)
        if place not in self.checked:
            self.checked.append(place)

    def wrong(self, claim: str, message: str) -> None:
        """Record that a claim is not so; the message follows its place."""
        self.right(claim)
        self.found.append(Violation("claim", self._at(claim), message))

    def leave(self, claim: str, reason: str) -> None:
        """Note a claim as one that cannot be re-checked."""
        self.unchecked.append(Unchecked(self._at(claim), reason))

    def adopt(self, other: "Claims") -> None:
        """Take for read what was read of the same members elsewhere."""
        self._read |= other._read

    def rest(self) -> None:
        """Note all keys that nobody has read."""
        for key in self.members:
            if key in _NO_CLAIM and key not in self._read:
                self.leave(key, TEXT)
            elif key not in self._read:
                self.leave(key, "is a key that this audit does not know")

    def take(self, violations: Iterable[Violation]) -> None:
        """Record violations of the placement or its plans."""
        self.found += violations

    def _at(self, key: str) -> str:
        if key.startswith("["):
            return f"{self.place}{key}"
        return member_place(self.place, key) if key.isidentifier() else f"{self.place}.{key}" if self.place else key


def _difference(says: object, right: object, unit: str) -> str:
    """What a claim says and what is right, down to where they differ if they look alike in short."""
    if short(says) == short(right):
        if isinstance(says, Mapping) and isinstance(right, Mapping):
            key = next(key for key in [*says, *right] if key not in says or key not in right or says[key] != right[key])
            return f"says {short(says.get(key))} of {short(key)}; {short(right.get(key))} is right"
        if isinstance(says, list | tuple) and isinstance(right, list | tuple):
            common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(says, right, strict=False)))
            one, other = (short(list(side[common : common + 1])) for side in (says, right))
            return f"says {one} from [{common}] on; {other} is right ({len(says)} entries, {len(right)} are right)"
    return f"says {short(says)}; {short(right)}{unit} is right"
