"""One self-contained HTML page for a result: sentences, figures, tables, commands.

The page needs no network and no script, follows the reader's light or dark setting, fits a phone
and prints. Everything but the SVG of a `Figure` or `Strip` is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A figure from `sunhwan.runs.figures`, with its caption.

    Parameters
    ----------
    svg
        Put into the page as it is.
    wide
        Whether it takes the whole width instead of half of it.
    small
        Whether it and those that follow it stand four in a row.
    full
        Whether it may be as wide as the page, and is scrolled where that is too little.
    """

    svg: str
    caption: str = ""
    wide: bool = False
    small: bool = False
    full: bool = False

    @property
    def markup(self) -> Markup:
        """The SVG, marked as safe: it is drawn here, and its texts are escaped where it is."""
        return Markup(self.svg)


@dataclass(frozen=True)
class Table:
    """A table whose first column names the row.

    Parameters
    ----------
    head
        Names of the columns; no head is shown where all are empty.
    rows
        Texts; a row shorter than `head` leaves its last cells empty.
    numeric
        Whether all columns after the first `words` are numbers, set flush right.
    words
        How many columns at the start are words.
    marked
        Indices of rows to stand out, such as a sum.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    numeric: bool = True
    words: int = 1
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Code:
    """A command or a piece of text to be copied."""

    text: str


@dataclass(frozen=True)
class Equation:
    """An equation on a line of its own, and where it is from."""

    text: str
    source: str = ""


@dataclass(frozen=True)
class Key:
    """What the lines of the figures mean: ``(text, CSS colour, dashed)`` each."""

    entries: Sequence[tuple[str, str, bool]]


@dataclass(frozen=True)
class Links:
    """Other pages, ``(text, relative address)`` each."""

    entries: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Passage:
    """A text some of whose words are coloured.

    Parameters
    ----------
    head
        A line above it.
    spans
        The text in pieces, each with a strength from -1 (against) to 1 (for); 0 is not coloured.
    """

    head: str
    spans: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Strip:
    """Small pictures side by side, and a text below them.

    Parameters
    ----------
    head
        A line above.
    tiles
        ``(svg, name)`` each; the SVG is put into the page as it is.
    spans
        As of `Passage`.
    """

    head: str
    tiles: Sequence[tuple[str, str]]
    spans: Sequence[tuple[str, float]]

    @property
    def drawn(self) -> list[tuple[Markup, str]]:
        """The tiles, the SVG marked as safe: it is drawn here."""
        return [(Markup(svg), name) for svg, name in self.tiles]


Block = Figure | Table | Code | Equation | Key | Links | Passage | Strip | str


@dataclass(frozen=True)
class Section:
    """A heading with its blocks; texts are paragraphs, figures in a row stand side by side."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole page.

    Parameters
    ----------
    kicker, title
        A small line above the heading, and the heading.
    result
        The result in one sentence.
    compared
        Pairs beside each other in large type: name, figure, note.
    note
        A warning that goes with the result, such as that a run was shortened.
    language
        Of the texts, as HTML names it.
    styles
        Style sheets among the templates; a later one goes before an earlier one.
    """

    kicker: str
    title: str
    result: str
    sections: Sequence[Section]
    compared: Sequence[tuple[str, str, str]] = field(default=())
    note: str = ""
    language: str = "en"
    styles: Sequence[str] = ("page.css",)


def render(page: Page) -> str:
    """The page as HTML text.

    Examples
    --------
    >>> "<h1>a &lt; b</h1>" in render(Page("k", "a < b", "r", sections=[]))
    True
    """
    sections = [(section.title, _grouped(section.blocks)) for section in page.sections]
    return _environment().get_template("page.html").render(page=page, sections=sections)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("sunhwan.runs", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _grouped(blocks: Sequence[Block]) -> list[tuple[str, list[Block]]]:
    """Blocks with their kind, figures that follow each other in one group."""
    groups: list[tuple[str, list[Block]]] = []
    for block in blocks:
        kind = "text" if isinstance(block, str) else type(block).__name__.lower()
        last = groups[-1][1][0] if groups else None
        if isinstance(block, Figure) and isinstance(last, Figure) and block.small == last.small:
            groups[-1][1].append(block)
        else:
            groups.append((kind, [block]))
    return groups
