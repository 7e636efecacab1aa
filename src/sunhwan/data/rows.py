"""Rows of tables, one at a time: CSV, TSV, JSON lines, Parquet, each also gzip."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

from sunhwan.data.delimited import read_records, sniff
from sunhwan.data.examples import Rejected
from sunhwan.data.lines import Line, Source, open_bytes, read_lines
from sunhwan.data.values import shortened
from sunhwan.errors import DataError, UsageError

Format = Literal["csv", "tsv", "jsonl", "parquet"]
Reject = Callable[[str, str], None]

_ENDINGS: dict[str, Format] = {
    **{".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".parquet": "parquet", ".pq": "parquet"},
    **{".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"},
}
#: endings of the names of tables
TABLE_ENDINGS = tuple(ending + gz for ending in _ENDINGS for gz in ("", ".gz"))
#: of the beginning of a file, from which delimiter, quotes and the keys of JSON lines are known
_SAMPLE_LINES, _SAMPLE_SIZE = 5000, 2**20
_BATCH = 4096


class Row(NamedTuple):
    """One row of a table.

    Attributes
    ----------
    file
        As given, without its folders where that is clear.
    line
        From 1; where a quoted field goes over several lines, the first. For Parquet, the row.
    fields
        Column name to value: str in CSV and TSV; also numbers, bool, None and lists in JSON lines
        and Parquet. Dates come as ISO text.
    unit
        ``line`` or ``row``.
    """

    file: str
    line: int
    fields: dict[str, Any]
    unit: str = "line"

    @property
    def place(self) -> str:
        """Such as ``reviews.csv, line 12``."""
        return f"{self.file}, {self.unit} {self.line}"


class _Table(Protocol):
    """One file: its columns, how it is written, and its rows."""

    columns: tuple[str, ...]
    note: str

    def read(self, reject: Reject) -> Iterator[Row]: ...


class Rows:
    """The rows of one or several files; can be gone through any number of times.

    Parameters
    ----------
    sources
        At least one; all of the same columns, in any order.
    format
        Of all of them; None goes by each name.

    Attributes
    ----------
    name, columns
        Of the first file, and the names of its columns.
    notes
        How each file is written, such as ``a.csv: fields between commas, quotes enclose fields``.
    folders
        File, as in `Row.file`, to where it lies.
    rejected
        Rows that were malformed in the latest pass.

    Raises
    ------
    DataError
        A file is missing, empty, without a header or not of its format, or its columns are not
        those of the first; names the file and line.
    """

    def __init__(self, sources: Sequence[Source], format: Format | None = None) -> None:
        if not sources:
            raise UsageError("expected at least one data file, received none")
        self._tables = [_open(source, format) for source in sources]
        self.name, self.columns = sources[0].name, self._tables[0].columns
        self.notes = [
            f"{source.name}: {table.note}"
            for source, table in zip(sources, self._tables, strict=True)
        ]
        self.folders = {source.name: source.path.parent for source in sources if source.path}
        self.rejected: list[Rejected] = []
        for source, table in zip(sources, self._tables, strict=True):
            if different := sorted(set(self.columns) ^ set(table.columns)):
                raise DataError(
                    f"{source.name}: expected the columns of {sources[0].name} "
                    f"({', '.join(self.columns)}), received {', '.join(table.columns)}",
                    hint=f"only one of the two files has {', '.join(different)}",
                )

    def __iter__(self) -> Iterator[Row]:
        rejected = self.rejected = []
        return self._read(lambda place, reason: rejected.append(Rejected(place, reason)))

    def sample(self, count: int = 1000) -> list[Row]:
        """The first rows; `rejected` stays as it is."""
        return list(islice(self._read(lambda place, reason: None), count))

    def _read(self, reject: Reject) -> Iterator[Row]:
        for table in self._tables:
            yield from table.read(reject)


def open_rows(paths: str | Path | Sequence[str | Path], *, format: Format | None = None) -> Rows:
    r"""The rows of tables, read one after the other and never held in memory as a whole.

    CSV and TSV: a header line; the delimiter is found, see `sunhwan.data.delimited` for it and for
    quotes; UTF-8, with or without a byte order mark; lines that are empty are no rows. JSON lines:
    one object a line; the columns are the keys of the first lines, and a key that a row lacks is
    None. Parquet: by way of Polars, in batches.

    Parameters
    ----------
    paths
        One file or several of the same columns. Gzip data is expanded whatever the name.
    format
        ``csv``, ``tsv``, ``jsonl`` or ``parquet``; None goes by the names.

    Raises
    ------
    UsageError
        The format is not known.
    DataError
        See `Rows`; malformed rows do not raise, but are listed in `Rows.rejected`.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "tiny.csv"
    ...     size = path.write_text('text,label\n"so, so",0\nfine\n')
    ...     rows = open_rows(path)
    ...     list(rows)[0].fields, rows.rejected[0].reason
    ({'text': 'so, so', 'label': '0'}, 'expected 2 fields (text, label), received 1')
    """
    if format not in (None, *get_args(Format)):
        known = ", ".join(map(repr, get_args(Format)))
        raise UsageError(f"`format` must be one of {known} or None, received {format!r}")
    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    again = Counter(path.name for path in given)
    return Rows(
        [Source.from_path(p, p.name if again[p.name] == 1 else str(p)) for p in given], format
    )


def _open(source: Source, format: Format | None) -> _Table:
    ending = Path(source.name.lower().removesuffix(".gz")).suffix
    format = format or _ENDINGS.get(ending)
    if format is None:
        raise UsageError(
            f"{source.name}: the ending {ending!r} names no format",
            hint=f"rename the file to end in one of {', '.join(_ENDINGS)}",
        )
    if format == "parquet":
        return _Parquet(source)
    start = _beginning(source)
    if format == "jsonl":
        return _JsonLines(source, start)
    return _Delimited(source, start, tabs=format == "tsv")


def _beginning(source: Source) -> list[Line]:
    lines, size = [], 0
    for line in read_lines(source):
        lines.append(line)
        size += len(line.text)
        if len(lines) == _SAMPLE_LINES or size > _SAMPLE_SIZE:
            break
    if not any(line.content.strip() for line in lines):
        raise DataError(f"{source.name}: expected a table, but the file is empty")
    return lines


class _Delimited:
    def __init__(self, source: Source, start: list[Line], *, tabs: bool) -> None:
        self._source = source
        while not start[0].content.strip():
            del start[0]
        head = start[0]
        bare = "a carriage return stands alone" if "\r" in head.content else None
        if fault := head.fault or bare:
            raise DataError(
                f"{source.name}, line {head.number}: expected the names of the columns, but the "
                f"line cannot be read ({fault})",
                hint="save the file as UTF-8 with usual line ends (in Excel: 'CSV UTF-8'); "
                "files of Korean Excel: iconv -f cp949 -t utf-8",
            )
        self._dialect = sniff([line.content for line in start], tabs=tabs)
        self.note = str(self._dialect)
        header = next(read_records(start, self._dialect))
        if header.fault:
            raise DataError(f"{source.name}, line {header.line}: {header.fault}")
        self._first = header.line
        self.columns = _header(header.fields, f"{source.name}, line {header.line}")

    def read(self, reject: Reject) -> Iterator[Row]:
        name, columns = self._source.name, self.columns
        lines = (line for line in read_lines(self._source) if line.number >= self._first)
        records = read_records(lines, self._dialect)
        next(records)
        for number, fields, fault in records:
            if len(fields) == len(columns):
                yield Row(name, number, dict(zip(columns, fields, strict=True)))
            elif fault or fields != [""]:
                expected = f"expected {len(columns)} fields ({', '.join(columns)})"
                reject(f"{name}, line {number}", fault or f"{expected}, received {len(fields)}")


def _header(fields: Sequence[str], place: str) -> tuple[str, ...]:
    """Column names, without the `#` that some files begin with."""
    names = [field.strip() for field in fields]
    names[0] = names[0].lstrip("#").strip()
    names = [name or f"column {number}" for number, name in enumerate(names, 1)]
    if again := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            f"{place}: more than one column is called {', '.join(map(repr, again))}",
            hint="give each column a name of its own",
        )
    numbers = [name for name in names if _is_number(name)]
    if numbers and not _are_steps(numbers):
        raise DataError(
            f"{place}: expected the names of the columns, received {numbers[0]!r}, which looks "
            "like data",
            hint="add a first line that names the columns, such as text,label",
        )
    return tuple(names)


def _are_steps(names: Sequence[str]) -> bool:
    """Whether numbers are names of steps: whole, rising, at least three."""
    if len(names) < 3 or not all(name.isdecimal() for name in names):
        return False
    numbers = [int(name) for name in names]
    return numbers == sorted(set(numbers))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _JsonLines:
    note = "one JSON object a line"

    def __init__(self, source: Source, start: list[Line]) -> None:
        self._source = source
        filled = [line for line in start if line.content.strip()]
        found = [value for value in map(_object, filled) if isinstance(value, dict)]
        self.columns = tuple(dict.fromkeys(key for value in found for key in value))
        # an array of objects that goes over many lines has lines that are objects, but not all
        if not self.columns or filled[0].content.lstrip().startswith("["):
            raise DataError(
                f"{source.name}, line {filled[0].number}: expected JSON lines, received "
                f"{shortened(filled[0].content)}",
                hint="write one object a line: jq -c '.[]' array.json > lines.jsonl",
            )

    def read(self, reject: Reject) -> Iterator[Row]:
        for line in read_lines(self._source):
            if not line.content.strip():
                continue
            value = _object(line)
            if isinstance(value, dict):
                fields = {column: value.get(column) for column in self.columns}
                yield Row(self._source.name, line.number, fields)
            else:
                reject(f"{self._source.name}, line {line.number}", value)


def _object(line: Line) -> dict[str, Any] | str:
    """The JSON object of a line, or the reason why there is none."""
    if line.fault:
        return line.fault
    try:
        value = json.loads(line.content, parse_constant=_refuse, object_pairs_hook=_unique)
        if "\\u" in line.text:
            # half of a surrogate pair can be written in JSON, but is no text
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at place {error.pos + 1}"
    except (ValueError, RecursionError) as error:
        return f"not JSON that can be read: {error}"
    return value if isinstance(value, dict) else "not a JSON object"


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key occurs twice")
    return value


class _Parquet:
    note = "Parquet"

    def __init__(self, source: Source) -> None:
        self._source = source
        with self._scan() as frame:
            self.columns = tuple(frame.collect_schema().names())

    def read(self, reject: Reject) -> Iterator[Row]:
        number = 0
        with self._scan() as frame:
            for batch in frame.collect_batches(chunk_size=_BATCH, maintain_order=True):
                for fields in batch.iter_rows(named=True):
                    number += 1
                    yield Row(self._source.name, number, _plain(fields), "row")

    @contextlib.contextmanager
    def _scan(self) -> Iterator[Any]:
        import polars

        with self._expanded() as path:
            try:
                yield polars.scan_parquet(path, glob=False)
            except polars.exceptions.PolarsError as error:
                reason = str(error).splitlines()[0]
                raise DataError(f"{self._source.name}: not a Parquet file ({reason})") from error

    @contextlib.contextmanager
    def _expanded(self) -> Iterator[Path]:
        """A file that Polars can jump about in: the one given, or a copy that is expanded."""
        with open_bytes(self._source) as stream, contextlib.ExitStack() as stack:
            if self._source.path and not self._source.name.lower().endswith(".gz"):
                yield self._source.path
                return
            copy = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".parquet"))
            shutil.copyfileobj(stream, copy)
            copy.flush()
            yield Path(copy.name)


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    for column, value in fields.items():
        if isinstance(value, date | datetime | time):
            fields[column] = value.isoformat()
        elif isinstance(value, Decimal):
            fields[column] = float(value)
    return fields
