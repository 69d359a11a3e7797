"""Where a report is going, and how figures are written there."""

from collections.abc import Sequence
from io import StringIO
from typing import TextIO

from attrs import field, frozen
from rich.console import Console, RenderableType

from vmplace.console import printable
from vmplace.results import Status

__all__ = ["ELLIPSIS", "ENDLESS", "FEW", "STYLE", "Screen", "counted", "readable"]

ELLIPSIS = ("…", "...")
"""What stands for what is left out, and the same in ASCII."""

ENDLESS = 100_000
"""The width of what has none."""

FEW = 12
"""How much of a list is shown."""

STYLE = {Status.SAFE: "green", Status.UNSAFE: "bold red", Status.UNKNOWN: "yellow"}
"""Colours of the verdicts."""


@frozen(eq=False)
class Screen:
    """Where a report is going: how wide, in colour or not, in which characters.

    Parameters
    ----------
    file
        A terminal is asked for its width and colours; anything else gets plain text whose lines are never cut.
    everything
        Whether long lists are given whole.
    """

    file: TextIO
    everything: bool = False
    console: Console = field(init=False)

    @console.default
    def _open(self) -> Console:
        plain = Console(file=_Shadow(self.file), highlight=False, markup=False, emoji=False)
        if plain.is_terminal:
            return plain
        return Console(file=plain.file, highlight=False, markup=False, emoji=False, width=ENDLESS)

    @property
    def ascii(self) -> bool:
        """Whether only ASCII can be shown."""
        return self.console.options.ascii_only

    def clean(self, text: str) -> str:
        """A name or a message, safe to show."""
        return printable(text, self.console.encoding)

    def choose(self, symbols: tuple[str, str]) -> str:
        """The first of the two, or the second where there is only ASCII."""
        return symbols[self.ascii]

    def few(self, items: Sequence[str], most: int = FEW) -> str:
        """The items in a line, shortened with a count."""
        shown = items if self.everything else items[:most]
        more = f" and {len(items) - len(shown)} more" if len(shown) < len(items) else ""
        return self.clean(", ".join(shown)) + more

    def render(self, content: RenderableType) -> str:
        """The content as characters for the file."""
        with self.console.capture() as captured:
            self.console.print(content, soft_wrap=not self.console.is_terminal)
        return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


class _Shadow(StringIO):
    """Takes what is meant for a file, and looks like it: rich would write to the file, and end the program if that fails."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._file.encoding or "utf-8"

    def isatty(self) -> bool:
        return self._file.isatty()


def readable(mib: int) -> str:
    """Memory as people say it: ``readable(1792) == "1.75 GiB"``."""
    if abs(mib) < 1024:
        return f"{mib} MiB"
    return f"{_two_digits(mib / 1024)} GiB" if abs(mib) < 10 * 1024**2 else f"{_two_digits(mib / 1024**2)} TiB"


def counted(number: int, noun: str) -> str:
    """``counted(2, "node") == "2 nodes"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _two_digits(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
