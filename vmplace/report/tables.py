"""Terminal tables: columns that fit the width, colours and character set of the terminal or pipe."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice
from typing import Any, Literal, TextIO

from attrs import field, frozen
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from vmplace.model.text import printable
from vmplace.results.values import Status

__all__ = ["FEW", "STYLE", "Column", "Draw", "Screen"]

_ENDLESS = 100_000
"""The width of a pipe, which has none of its own."""

_BETWEEN = 3
"""Columns of space between two table columns."""

FEW = 12
"""Items of a list that are shown unless all are asked for."""

STYLE = {Status.SAFE: "green", Status.UNSAFE: "bold red", Status.UNKNOWN: "yellow"}
"""Colours of the verdicts."""


@frozen
class Column:
    """A column of a table.

    Parameters
    ----------
    title, cells, justify
        Heading, text of each row, and alignment.
    most
        Greatest width; None: the widest cell.
    folds
        Width to which its words may wrap; None: it never wraps.
    """

    title: str
    cells: Sequence[Text]
    justify: Literal["left", "right"] = "left"
    most: int | None = None
    folds: int | None = None

    @property
    def least(self) -> int:
        """Least width."""
        whole = max([len(self.title), *(cell.cell_len for cell in self.cells)])
        return min(width for width in (whole, self.most, self.folds) if width is not None)


@frozen(eq=False)
class Screen:
    """The output of a report: its width, its colours and its character set.

    Parameters
    ----------
    file
        A terminal determines width and colours; anything else gets plain text whose lines are never cut.
    everything
        Whether long lists are shown in full.
    """

    file: TextIO
    everything: bool = False
    console: Console = field(init=False)

    @console.default
    def _open(self) -> Console:
        plain = _Console(file=_Shadow(self.file), highlight=False, markup=False, emoji=False)
        if plain.is_terminal:
            return plain
        return _Console(file=plain.file, highlight=False, markup=False, emoji=False, width=_ENDLESS)

    @property
    def ascii(self) -> bool:
        """Whether the output can encode only ASCII."""
        return self.console.options.ascii_only

    def clean(self, text: str) -> str:
        """A name or a message, safe to show."""
        return printable(text, self.console.encoding)

    def choose(self, symbols: tuple[str, str]) -> str:
        """The first of the two, or the second if only ASCII can be encoded."""
        return symbols[self.ascii]

    def few(self, items: Sequence[str], most: int = FEW) -> str:
        """The items in a line, shortened with a count."""
        shown = items if self.everything else items[:most]
        more = f" and {len(items) - len(shown)} more" if len(shown) < len(items) else ""
        return self.clean(", ".join(shown)) + more

    def omitted(self, what: str) -> str:
        """The line in the place of what is left out of a list."""
        return f"{self.choose(('…', '...'))} {what} (--all lists them)"

    def listed(self, lines: Iterable[str], count: int, most: int = FEW) -> Iterator[str]:
        """The first lines of so many, indented, and how many more there are; all, if everything is shown."""
        shown = count if self.everything else min(count, most)
        yield from (f"  {self.clean(line)}" for line in islice(lines, shown))
        if shown < count:
            yield f"  {self.omitted(f'{count - shown} more')}"

    def section(self, title: str, lines: Iterable[str], count: int) -> Iterator[Text]:
        """A list below its title; nothing where it is empty."""
        if count:
            yield from map(Text, (f"{title}:", *self.listed(lines, count)))

    def table(self, columns: Iterable[Column], dispensable: Sequence[str] = ()) -> Table:
        """A table; if it is too wide, the columns with these titles are dropped, in this order."""
        shown = list(columns)
        for title in dispensable:
            if sum(column.least + _BETWEEN for column in shown) - _BETWEEN <= self.console.width:
                break
            shown = [column for column in shown if column.title != title]
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        cut: Literal["crop", "ellipsis"] = "crop" if self.ascii else "ellipsis"
        for column in shown:
            whole = column.folds is None
            overflow = cut if whole else "fold"
            table.add_column(column.title, justify=column.justify, max_width=column.most, no_wrap=whole, overflow=overflow)
        for cells in zip(*(column.cells for column in shown), strict=True):
            table.add_row(*cells)
        return table

    def render(self, content: RenderableType) -> str:
        """The rendered content as text for the file."""
        with self.console.capture() as captured:
            self.console.print(content, soft_wrap=not self.console.is_terminal)
        return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


Draw = Callable[[Any, Screen], RenderableType]
"""Makes a report of a result."""


class _Console(Console):
    """Shows what a terminal might obey, wherever it comes from; only rich itself sends control codes."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                lines = "\n".join(map(printable, segment.text.split("\n")))
                yield segment._replace(text=lines)


class _Shadow(StringIO):
    """Collects what is meant for a file and looks like it: rich would write to the file, and exit if that fails."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._file.encoding or "utf-8"

    def isatty(self) -> bool:
        return self._file.isatty()
