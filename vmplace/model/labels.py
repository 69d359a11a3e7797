"""Compact columns: dictionary-encoded values, of which few are distinct, and names that are numbered."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

__all__ = ["Labels", "Numbered", "constant"]

_W = TypeVar("_W")


@lru_cache(maxsize=256, typed=True)
def constant(value: np.generic, count: int) -> npt.NDArray[Any]:
    """One value for all entries, which takes no memory for each, shape (count,)."""
    return np.broadcast_to(value, count)


@frozen
class Numbered(Sequence[str]):
    """The names ``prefix0, prefix1, ...``, made when asked for."""

    prefix: str
    size: int

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [f"{self.prefix}{i}" for i in range(self.size)[index]]
        return f"{self.prefix}{range(self.size)[index]}"

    def __iter__(self) -> Iterator[str]:
        return (f"{self.prefix}{i}" for i in range(self.size))


@frozen(eq=False)
class Labels(Sequence[_W], Generic[_W]):
    """A dictionary-encoded column: a few distinct values (words, sets of tags, mappings, ...) for many entries.

    Parameters
    ----------
    words
        The distinct values, in order of appearance.
    code
        Index of each entry's word, shape (n_entries,).
    """

    words: tuple[_W, ...]
    code: npt.NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, entries: Sequence[_W]) -> "Labels[_W]":
        """Entries written out; mappings, which have no hash, are told apart by their repr."""
        mappings = bool(entries) and isinstance(entries[0], Mapping)
        if entries and not (mappings and any(entries)) and entries.count(entries[0]) == len(entries):
            return cls.alike(entries[0], len(entries))
        keys: Sequence[Hashable] = list(map(repr, entries)) if mappings else entries
        number = {key: index for index, key in enumerate(dict.fromkeys(keys))}
        code = np.fromiter(map(number.__getitem__, keys), np.int64, len(entries))
        return cls(tuple(entries[i] for i in np.unique(code, return_index=True)[1].tolist()), code)

    @classmethod
    def alike(cls, word: _W, count: int) -> "Labels[_W]":
        """One word for all, which takes no memory for each."""
        return cls((word,) if count else (), constant(np.int64(0), count))

    def __len__(self) -> int:
        return len(self.code)

    @overload
    def __getitem__(self, index: int) -> _W: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_W]: ...
    def __getitem__(self, index: int | slice) -> _W | Sequence[_W]:
        if isinstance(index, slice):
            return [self.words[code] for code in self.code[index].tolist()]
        return self.words[int(self.code[index])]

    def __iter__(self) -> Iterator[_W]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Labels):
            return NotImplemented
        if self.words == other.words:
            return np.array_equal(self.code, other.code)
        return self[:] == other[:]  # mappings that are equal may be told apart by their repr

    __hash__ = None  # type: ignore[assignment]

    def unlike(self, other: "Labels[_W]") -> npt.NDArray[np.bool_]:
        """Which entries differ from those of another column, one by one, shape (n_entries,)."""
        # Mappings that are equal may be words of their own on either side.
        number: dict[Any, int] = {}
        mine, its = (
            np.array([number.setdefault(_hashable(word), len(number)) for word in words], dtype=np.int64)
            for words in (self.words, other.words)
        )
        return np.not_equal(mine[self.code], its[other.code])

    def are(self, word: _W) -> npt.NDArray[np.bool_]:
        """Which entries have the word, shape (n_entries,)."""
        return np.array([known == word for known in self.words], dtype=bool)[self.code]

    def numbered(self, number: Mapping[_W, int]) -> npt.NDArray[np.int64]:
        """The entries by a numbering of their words, shape (n_entries,)."""
        if len(self.words) == 1:
            return constant(np.int64(number[self.words[0]]), len(self))
        return np.array([number[word] for word in self.words], dtype=np.int64)[self.code]

    def chosen(self, rows: npt.NDArray[np.int64]) -> "Labels[_W]":
        """Some of the entries, or some of them again."""
        if len(self.words) == 1:
            return Labels.alike(self.words[0], len(rows))
        code = self.code[rows]
        present, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return Labels(tuple(self.words[i] for i in present[order].tolist()), np.argsort(order)[inverse])

    def replaced(self, words: Mapping[_W, _W]) -> "Labels[_W]":
        """The entries with other words for some."""
        if words.keys().isdisjoint(self.words):
            return self
        return Labels.of([words.get(word, word) for word in self])

    def followed_by(self, other: "Labels[_W]") -> "Labels[_W]":
        """These entries and then others."""
        both = Labels.of([*self.words, *other.words])
        if len(both.words) == 1:
            return Labels.alike(both.words[0], len(self) + len(other))
        return Labels(both.words, both.code[np.concatenate([self.code, other.code + len(self.words)])])


def _hashable(word: Any) -> Any:
    """What can be hashed in place of a word: equal where words are."""
    if isinstance(word, Mapping):
        return frozenset((key, _hashable(value)) for key, value in word.items())
    if isinstance(word, list | tuple):
        return type(word), tuple(map(_hashable, word))
    return word if isinstance(word, Hashable) else (type(word), repr(word))
