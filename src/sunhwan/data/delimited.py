"""Fields between commas, semicolons, tabs or bars: which of them, and whether quotes count.

The delimiter is the one at which most lines part into as many fields as the header. A header of
one name is not parted, and neither are the lines below it: texts may hold commas there.

Quotes count (a field in ``"`` may hold delimiters and line feeds, and ``""`` is one quote) in
every file that is not parted by tabs. In files parted by tabs they are plain characters, for most
such files hold texts with stray quotes, unless the first lines show that the writer used them: more
rows have the right number of fields with them than without; or as many, but the header is quoted or
a quote within a quoted field is doubled, and no quote stands alone.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sunhwan.data.lines import LONGEST_LINE, Line

DELIMITERS = (",", ";", "\t", "|")
#: for files of one column: the unit separator of ASCII, which no text holds
_NOTHING = "\x1f"
#: of a quoted field; more means that a quote was never closed
_LONGEST_FIELD, _MOST_LINES = 2**20, 10_000
_WHOLE = re.compile(r'"(?:[^"]|"")*"')
_NAMES = {
    **{",": "fields between commas", ";": "fields between semicolons"},
    **{"\t": "fields between tabs", "|": "fields between bars", _NOTHING: "one field a line"},
}


class Record(NamedTuple):
    """The fields that began on a line, or the reason why there are none."""

    line: int
    fields: list[str]
    fault: str | None


@dataclass(frozen=True)
class Dialect:
    """How a file parts its fields.

    Attributes
    ----------
    delimiter
        One of `DELIMITERS`, or what stands in no file of one column.
    quoted
        Whether quotes count; see above.
    """

    delimiter: str
    quoted: bool

    def __str__(self) -> str:
        quotes = "quotes enclose fields" if self.quoted else "quotes are plain characters"
        return f"{_NAMES[self.delimiter]}, {quotes}"


def sniff(lines: Sequence[str], *, tabs: bool = False) -> Dialect:
    r"""The dialect of a file from its first lines, without their ends.

    Parameters
    ----------
    lines
        The header and what follows it.
    tabs
        Whether tabs are expected, so that quotes are plain characters in a file of one column.

    Examples
    --------
    >>> print(sniff(["id;text", "1;so, so", '2;"well; well"']))
    fields between semicolons, quotes enclose fields
    >>> print(sniff(["id\ttext", '1\t"No," he said']))
    fields between tabs, quotes are plain characters
    """
    best = max(DELIMITERS, key=lambda delimiter: _fit(lines, delimiter))
    if _count(lines[0], best) == 1:
        return Dialect(_NOTHING, not tabs)
    return Dialect(best, best != "\t" or _uses_quotes(lines))


def _fit(lines: Sequence[str], delimiter: str) -> tuple[bool, float, int]:
    wanted = _count(lines[0], delimiter)
    rows = lines[1:]
    share = sum(_count(row, delimiter) == wanted for row in rows) / max(1, len(rows))
    return wanted > 1, share, wanted


def _count(line: str, delimiter: str) -> int:
    if '"' not in line or delimiter == "\t":
        return line.count(delimiter) + 1
    try:
        return len(_parse([line], delimiter, strict=False))
    except csv.Error:
        return 0


def _uses_quotes(lines: Sequence[str]) -> bool:
    """Whether the writer of a file parted by tabs put fields in quotes."""
    rows = [line.split("\t") for line in lines if line]
    numbered = [Line(number, line + "\n", None) for number, line in enumerate(lines, 1) if line]
    parsed = [record.fields for record in read_records(numbered, Dialect("\t", quoted=True))]
    wrong, wrong_if_quoted = (sum(len(r) != len(rows[0]) for r in way) for way in (rows, parsed))
    if wrong != wrong_if_quoted:
        return wrong_if_quoted < wrong
    marked = [field for row in rows for field in row if '"' in field]
    if not all(_WHOLE.fullmatch(field) for field in marked):
        return False
    return any('""' in field[1:-1] for field in marked) or '"' in lines[0]


def read_records(lines: Iterable[Line], dialect: Dialect) -> Iterator[Record]:
    """The records of a file; one with a fault has no fields.

    A quote that is never closed costs its own line and no other: reading goes on with the next.
    """
    source = _Lines(lines)
    for line in source:
        if dialect.quoted and '"' in line.text:
            yield _quoted(line, source, dialect.delimiter)
        elif line.fault:
            yield Record(line.number, [], line.fault)
        else:
            yield Record(line.number, line.content.split(dialect.delimiter), None)


class _Lines:
    """Lines that can be given back."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines, self._returned = iter(lines), deque[Line]()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return self._returned.popleft() if self._returned else next(self._lines)

    def give_back(self, lines: Sequence[Line]) -> None:
        self._returned.extendleft(reversed(lines))


def _quoted(first: Line, source: _Lines, delimiter: str) -> Record:
    taken = [first]

    def texts() -> Iterator[str]:
        size = len(first.text)
        yield first.text
        for line in source:
            taken.append(line)
            size += len(line.text)
            if size > _LONGEST_FIELD or len(taken) > _MOST_LINES:
                return
            yield line.text

    try:
        fields = _parse(texts(), delimiter, strict=True)
    except csv.Error as error:
        source.give_back(taken[1:])
        reason = f"a quote is opened and never closed, or not doubled within a field ({error})"
        return Record(first.number, [], first.fault or reason)
    fault = next((line.fault for line in taken if line.fault), None)
    return Record(first.number, [] if fault else fields, fault)


def _parse(lines: Iterable[str], delimiter: str, *, strict: bool) -> list[str]:
    # the limit is one for the whole process; ours is only ever wider than its default
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    return next(csv.reader(lines, delimiter=delimiter, strict=strict))
