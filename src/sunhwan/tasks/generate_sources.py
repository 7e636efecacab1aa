"""From what a person names as data to texts to learn to write from: text files, folders, tables."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sunhwan.data.archives import LARGEST_MEMBER, Member, open_members
from sunhwan.data.examples import Examples, Rejected
from sunhwan.data.korean import to_nfc
from sunhwan.data.lines import NOT_UTF8, Source, read_lines
from sunhwan.data.spool import Spool
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.sources import checksums, find_data

#: how the names of tables end, before `.gz`; every other file is a text
TABLES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".parquet", ".pq")
#: rows that the column is guessed from
_SAMPLE = 1000
_ENCODING = "save it as UTF-8; a file of Korean Windows: iconv -f cp949 -t utf-8"


@dataclass
class TextSource:
    r"""Texts and how they were read.

    Attributes
    ----------
    texts
        In NFC, their lines ended by ``\n``; a list, or on disk (`sunhwan.data.spool`).
    places
        Where each came from, such as ``novel.txt`` or ``reviews.csv, line 12``.
    reader
        Plain JSON: how to read more of the same kind; see `read_texts_again`.
    columns
        What the report shows: the column of the texts, or the files.
    notes
        Lines for the terminal, such as why a column was taken.
    files
        Name and SHA-256 of each file; that of a folder is of the names and contents of its files.
    rejected
        Rows and files that could not be used.
    """

    texts: Sequence[str]
    places: Sequence[str]
    reader: dict[str, Any]
    columns: dict[str, str]
    notes: list[str] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read_texts(paths: Sequence[Path | str], named: Mapping[str, Any] | None = None) -> TextSource:
    r"""Read texts: of text files one each, of folders and zips one a file, of tables one a row.

    Parameters
    ----------
    paths
        Text files, folders of them and zips, or tables of the same columns; each also gzip.
    named
        What the user said of the columns: ``text``, for tables alone.

    Raises
    ------
    UsageError
        Nothing is named, tables are among texts, or the column of the texts is not clear.
    DataError
        No such file, a file that is no UTF-8 text, or no text that can be used.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     size = Path(folder, "b.txt").write_bytes("\ufeff국민\r\n대학".encode())
    ...     size = Path(folder, "a.txt").write_bytes(b" ")
    ...     source = read_texts([folder])
    >>> source.texts, source.rejected[0].reason
    (['국민\n대학'], 'the text is empty')
    """
    given = {role: column for role, column in (named or {}).items() if column is not None}
    if unknown := [role for role in given if role != "text"]:
        raise UsageError(f"`{unknown[0]}` has no meaning for `generate`, whose column is `text`")
    files = _find(paths)
    if not all(map(_is_table, files)):
        if given:
            raise UsageError(
                "`text` names a column of a table, but text files have none", hint="leave it out"
            )
        return _from_files(files)
    column, reason = _find_column(files, given.get("text"))
    source = _from_tables(files, column)
    source.notes.append(f"text: {column} ({reason})")
    return source


def read_texts_again(reader: Mapping[str, Any], paths: Sequence[Path | str]) -> TextSource:
    """Read other texts the way a source was read, whose `reader` is given.

    Raises
    ------
    UsageError
        Tables where text files were read, or the other way round.
    DataError
        As for `read_texts`; a table lacks the column; or `reader` is no such mapping.
    """
    column = reader.get("text") if isinstance(reader, dict) else None
    table = {"kind": "table", "text": column} if isinstance(column, str) else None
    if reader != (table or {"kind": "texts"}):
        raise DataError(f"expected how the texts of a run are read, received {reader!r:.200}")
    files = _find(paths)
    if all(map(_is_table, files)) != (table is not None):
        wanted = f"tables with the column {column!r}" if table else "text files"
        raise UsageError(
            f"expected {wanted}, as the run learnt from, received {files[0].name}",
            hint=f"names of tables end in one of {', '.join(TABLES)}",
        )
    return _from_tables(files, column) if isinstance(column, str) else _from_files(files)


def _find(paths: Sequence[Path | str]) -> list[Path]:
    files = [find_data(path) for path in paths]
    if not files:
        raise UsageError("`generate` needs texts: a text file, a folder of them or a table")
    tables = [path for path in files if _is_table(path)]
    if tables and len(tables) < len(files):
        other = next(path for path in files if path not in tables)
        raise UsageError(
            f"{tables[0].name} is a table and {other.name} is none; only files of one kind can be "
            "read together"
        )
    return files


def _is_table(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(TABLES) and not path.is_dir()


def _find_column(files: Sequence[Path], given: str | None) -> tuple[str, str]:
    """The column of the texts and the reason for it: named, called so, or with the longest."""
    from sunhwan.data.column_facts import look_at
    from sunhwan.data.column_finder import Finder
    from sunhwan.data.rows import open_rows

    sample = open_rows(files).sample(_SAMPLE)
    if not sample:
        raise DataError(f"{files[0].name}: expected rows after the header, received none")
    finder = Finder(look_at(sample), {"text": given})
    if not finder.by_name("text", ("text",)):
        finder.choose("text", finder.long_texts(), "holds the longest texts")
    finder.need("text", finder.where("text"), "holds the longest texts")
    column, reason = finder.roles["text"][0], finder.reasons["text"]
    if given is None and " " in column.strip() and 2 * len(column) > finder.facts[column].length:
        raise UsageError(
            f"{files[0].name}: the first line holds {column[:50]!r}, which seems to be a text and "
            "not the name of a column",
            hint="put a line such as text before the rows, or name the column with --text",
        )
    return column, reason


def _from_tables(files: Sequence[Path], column: str) -> TextSource:
    from sunhwan.data.columns import Columns
    from sunhwan.data.rows import open_rows
    from sunhwan.data.table_examples import check_examples
    from sunhwan.data.values import FieldError, to_text

    rows = open_rows(files)
    Columns("text", text=column).check(rows.columns, rows.name)
    texts = _Texts()
    for row in rows:
        try:
            texts.add(to_text(row.fields[column], column).replace("\r\n", "\n"), row.place)
        except FieldError as error:
            texts.rejected.append(Rejected(row.place, str(error)))
    texts.rejected[:0] = rows.rejected
    reader = {"kind": "table", "text": column}
    source = texts.source(reader, {"text": column}, checksums(files))
    source.notes += rows.notes
    # a file of another encoding would lack just the rows with a letter beyond ASCII
    check_examples(
        Examples("text", source.texts, None, source.places, rejected=source.rejected), "classify"
    )
    return source


def _from_files(paths: Sequence[Path]) -> TextSource:
    again = Counter(path.name for path in paths)
    texts, sums = _Texts(), []
    for path in paths:
        if path.is_dir() or path.suffix.lower() == ".zip":
            sums.append(_add_folder(texts, path))
            continue
        name = path.name if again[path.name] == 1 else str(path)
        fault = texts.add_lines(Source.from_path(path, name))
        if fault is not None:
            hint = _ENCODING if fault.reason.startswith(NOT_UTF8) else None
            raise DataError(
                f"{fault.place}: expected a line of text in UTF-8 ({fault.reason})", hint=hint
            )
        sums += checksums([path])
    shown = ", ".join(path.name for path in paths[:3]) + (", ..." if len(paths) > 3 else "")
    return texts.source({"kind": "texts"}, {"layout": shown}, sums)


def _add_folder(texts: _Texts, path: Path) -> dict[str, str]:
    """Add the texts of a folder or a zip; the checksum over all that was read."""
    total = hashlib.sha256()
    with open_members(path) as members:
        texts.rejected += members.rejected
        for member in members.files:
            if _is_table(Path(member.name)):
                reason = "is a table; tables are read where they are named themselves"
                texts.rejected.append(Rejected(member.place, reason))
                continue
            try:
                content = member.read()
                fault = texts.add_lines(_in_memory(member, content))
            except DataError as error:
                reason = error.message.removeprefix(f"{member.place}: ")
                texts.rejected.append(Rejected(member.place, reason))
                continue
            if fault is not None:
                texts.rejected.append(fault)
            total.update(f"{member.name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return {"name": path.name, "sha256": total.hexdigest()}


def _in_memory(member: Member, content: bytes) -> Source:
    def opened() -> BinaryIO:
        return io.BytesIO(content)

    return Source(member.place, opened)


class _Texts:
    """Takes texts one at a time, and keeps what is large on disk."""

    def __init__(self) -> None:
        self._texts: Spool[str] = Spool()
        self._places: Spool[str] = Spool()
        self.rejected: list[Rejected] = []

    def add(self, text: str, place: str) -> None:
        """Put a text behind the others."""
        self._texts.add(to_nfc(text))
        self._places.add(place)

    def add_lines(self, source: Source) -> Rejected | None:
        """Add the text of a file, or say which line is none; an empty one is rejected.

        Raises
        ------
        DataError
            As of `sunhwan.data.lines.read_lines`; or the text is too long.
        """
        lines, size = [], 0
        for line in read_lines(source):
            if line.fault is not None:
                return Rejected(f"{source.name}, line {line.number}", line.fault)
            lines.append(_unix(line.text))
            size += len(line.text)
            if size > LARGEST_MEMBER:
                raise DataError(
                    f"{source.name}: longer than {LARGEST_MEMBER >> 20} Mi characters",
                    hint="divide it into several files",
                )
        text = "".join(lines)
        if text.strip():
            self.add(text, source.name)
        else:
            self.rejected.append(Rejected(source.name, "the text is empty"))
        return None

    def source(
        self, reader: dict[str, Any], columns: dict[str, str], files: list[dict[str, str]]
    ) -> TextSource:
        """All that were added.

        Raises
        ------
        DataError
            There are none.
        """
        texts, places, rejected = self._texts.items(), self._places.items(), self.rejected
        if not texts:
            first = "".join(f"; {one.place}: {one.reason}" for one in rejected[:1])
            raise DataError(
                f"none of the {len(rejected):,} texts can be used{first}"
                if rejected
                else "expected texts, received none",
                hint=f"name text files, folders of them, or tables ({', '.join(TABLES)})",
            )
        return TextSource(texts, places, reader, columns, [], files, rejected)


def _unix(line: str) -> str:
    return line[:-2] + "\n" if line.endswith("\r\n") else line
