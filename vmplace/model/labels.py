"""Many strings held compactly: numbered names, and words that repeat."""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

__all__ = ["Labels", "Numbered"]


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
class Labels(Sequence[str]):
    """A few words for many entries.

    Parameters
    ----------
    words
        Each once, in order of appearance.
    code
        Index of each entry's word, shape (n_entries,).
    """

    words: tuple[str, ...]
    code: npt.NDArray[np.int64] = field(repr=False)

    @classmethod
    def of(cls, entries: Sequence[str]) -> "Labels":
        """Entries written out."""
        words = {word: index for index, word in enumerate(dict.fromkeys(entries))}
        return cls(tuple(words), np.fromiter(map(words.__getitem__, entries), np.int64, len(entries)))

    @classmethod
    def alike(cls, word: str, count: int) -> "Labels":
        """One word for all, which takes no memory for each."""
        return cls((word,) if count else (), np.broadcast_to(np.int64(0), count))

    def __len__(self) -> int:
        return len(self.code)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self.words[code] for code in self.code[index].tolist()]
        return self.words[int(self.code[index])]

    def __iter__(self) -> Iterator[str]:
        return iter(self[:])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Labels):
            return NotImplemented
        return self.words == other.words and np.array_equal(self.code, other.code)

    __hash__ = None  # type: ignore[assignment]

    def are(self, word: str) -> npt.NDArray[np.bool_]:
        """Which entries have the word, shape (n_entries,)."""
        return np.array([known == word for known in self.words], dtype=bool)[self.code]

    def numbered(self, number: dict[str, int]) -> npt.NDArray[np.int64]:
        """The entries by a numbering of their words, shape (n_entries,)."""
        if len(self.words) == 1:
            return np.broadcast_to(np.int64(number[self.words[0]]), len(self))
        return np.array([number[word] for word in self.words], dtype=np.int64)[self.code]

    def chosen(self, rows: npt.NDArray[np.int64]) -> "Labels":
        """Some of the entries, or some of them again."""
        if len(self.words) == 1:
            return Labels.alike(self.words[0], len(rows))
        return Labels.of([self.words[code] for code in self.code[rows].tolist()])

    def followed_by(self, other: "Labels") -> "Labels":
        """These entries and then others."""
        number = {word: index for index, word in enumerate(dict.fromkeys(self.words + other.words))}
        if len(number) == 1:
            return Labels.alike(next(iter(number)), len(self) + len(other))
        return Labels(tuple(number), np.concatenate([self.numbered(number), other.numbered(number)]))
