"""From what a person names as data to examples: tables, folders, zips, CoNLL-U."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sunhwan.data import columns as column_guess
from sunhwan.data.examples import Examples, Rejected
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.config import Task

if TYPE_CHECKING:
    from sunhwan.data.rows import Row

#: rows that the columns are guessed from
_SAMPLE = 1000
#: rows that are in memory at a time when a table is read to predict
_CHUNK = 2048


@dataclass
class Source:
    """Examples and how they were read.

    Attributes
    ----------
    examples
        All of them.
    reader
        Plain JSON: how to read more of the same kind; see `read_again`.
    columns
        What the report shows: which column is what.
    notes
        Lines for the terminal, such as why a column was taken.
    files
        Name and SHA-256 of each file.
    """

    examples: Examples
    reader: dict[str, Any]
    columns: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)


def read_source(task: Task, paths: Sequence[Path | str], named: Mapping[str, Any]) -> Source:
    """Read the examples of a task.

    Parameters
    ----------
    paths
        Tables, CoNLL-U files, or one folder or zip.
    named
        What the user said of the columns, such as ``{"text": "review"}``.

    Raises
    ------
    UsageError, DataError
        No such file; columns that cannot be told apart; no row that can be used.
    """
    files = [find_data(path) for path in paths]
    if not files:
        raise UsageError(f"`train {task}` needs data: a file, a folder or a zip")
    given = {name: value for name, value in named.items() if value is not None}
    first = files[0]
    if first.is_dir() or first.suffix == ".zip":
        return _from_folder(task, files, given)
    if _bare(first).suffix == ".conllu":
        return _from_conllu(task, files, given)
    return _from_tables(task, files, given)


@dataclass
class Chunk:
    """Some of the examples to answer, with what the data says of each.

    Attributes
    ----------
    examples
        Without answers.
    rows
        For each example its row of a table, or what stands in its place.
    steps
        For each example the rows of its steps, where a row is a step and each is answered.
    table
        Where a row is an example: place and fields of every row, also of those that cannot be
        answered.
    """

    examples: Examples
    rows: list[dict[str, Any]] = field(default_factory=list)
    steps: list[list[dict[str, Any]]] | None = None
    table: list[tuple[str, dict[str, Any]]] | None = None


def read_again(
    reader: Mapping[str, Any], task: Task, paths: Sequence[Path | str], labelled: bool
) -> Examples:
    """Read other data the way a source was read; without answers if ``labelled`` is False."""
    files = [find_data(path) for path in paths]
    kind = reader["kind"]
    if kind == "conllu":
        from sunhwan.data.conllu import read_conllu

        return read_conllu(files, column=reader["column"], labelled=labelled)
    if kind == "folder":
        from sunhwan.data.folders import FolderLayout, from_folder

        _check_alone(files)
        layout = FolderLayout.from_config(reader["layout"])
        layout = layout if labelled else layout.without_answers()
        return from_folder(files[0], task, layout=layout, checked=False)
    from sunhwan.data.rows import open_rows
    from sunhwan.data.table_examples import to_examples

    return to_examples(open_rows(files), _columns(reader, labelled), task, checked=False)


def read_in_chunks(
    reader: Mapping[str, Any], task: Task, paths: Sequence[Path | str]
) -> Iterator[Chunk]:
    """Examples without answers, a few thousand at a time where a row of a table is one.

    Raises
    ------
    UsageError, DataError
        There is no such data, or it lacks a column that the run was trained on.
    """
    if reader["kind"] != "table":
        yield _whole(read_again(reader, task, paths, labelled=False))
        return
    from sunhwan.data.rows import open_rows

    rows, columns = open_rows([find_data(path) for path in paths]), _columns(reader, labelled=False)
    columns.check(rows.columns, rows.name)
    if columns.layout == "long":
        yield _sequences(list(rows), columns, task)
    else:
        yield from _in_chunks(rows, columns, task, rows.folders)
    if rows.rejected:
        yield Chunk(Examples("text", [], None, [], rejected=list(rows.rejected)))


def read_text_lines(reader: Mapping[str, Any], task: Task, stream: BinaryIO) -> Iterator[Chunk]:
    """A text a line, for a run that was trained on texts.

    Raises
    ------
    UsageError
        The run was not trained on texts.
    """
    known = reader.get("columns") or reader.get("layout") or {}
    if not known.get("text") and known.get("kind") != "text":
        raise UsageError("lines of text can be read for a run that was trained on texts only")
    from sunhwan.data.rows import Row

    name = str(known.get("text") or "text")
    rejected: list[Rejected] = []

    def rows() -> Iterator[Row]:
        for number, line in enumerate(stream, 1):
            try:
                text = line.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
            except UnicodeDecodeError as error:
                place = f"standard input, line {number}"
                rejected.append(Rejected(place, f"not UTF-8: byte {error.start + 1} of the line"))
            else:
                yield Row("standard input", number, {name: text})

    yield from _in_chunks(rows(), column_guess.Columns("text", text=name), task)
    if rejected:
        yield Chunk(Examples("text", [], None, [], rejected=rejected))


def has_answers(reader: Mapping[str, Any], paths: Sequence[Path | str]) -> bool:
    """True if a table has the column of answers; other data always has them."""
    if reader["kind"] != "table":
        return True
    from sunhwan.data.rows import open_rows

    columns = _columns(reader, labelled=True)
    return (columns.label or columns.target) in open_rows(list(map(find_data, paths))).columns


def _columns(reader: Mapping[str, Any], labelled: bool) -> column_guess.Columns:
    """The columns that are needed; what kept rows together in training is not."""
    columns = replace(column_guess.Columns.from_config(reader["columns"]), group=None)
    return columns if labelled else columns.without_answers()


def _in_chunks(
    rows: Iterable[Row],
    columns: column_guess.Columns,
    task: Task,
    folders: Mapping[str, Path] | None = None,
) -> Iterator[Chunk]:
    from sunhwan.data.table_examples import to_examples

    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        examples = to_examples(chunk, columns, task, checked=False, folders=folders)
        yield Chunk(examples, table=[(row.place, row.fields) for row in chunk])


def _sequences(rows: list[Row], columns: column_guess.Columns, task: Task) -> Chunk:
    """The sequences of a table whose rows are steps."""
    from sunhwan.data.table_examples import to_examples
    from sunhwan.data.values import to_time

    examples = to_examples(rows, columns, task, checked=False)
    dropped = {row.place for row in examples.rejected}
    steps: dict[Any, list[Row]] = {}
    for row in rows:
        if row.place not in dropped:
            key = None if columns.id is None else str(row.fields[columns.id]).strip()
            steps.setdefault(key, []).append(row)
    # a sequence is known by the place of the row that was read first
    by_place = {members[0].place: (key, members) for key, members in steps.items()}
    found = [by_place[place] for place in examples.places]
    if task != "tag":
        named = columns.id or "row"
        names = [
            place if key is None else key
            for (key, _), place in zip(found, examples.places, strict=True)
        ]
        return Chunk(examples, [{named: name} for name in names])
    for _, members in found:
        members.sort(key=lambda row: [to_time(row.fields[name], name) for name in columns.time])
    places = [{"row": place} for place in examples.places]
    return Chunk(examples, places, [[row.fields for row in members] for _, members in found])


def _whole(examples: Examples) -> Chunk:
    """Examples that are no rows of a table: named by their place."""
    rows: list[dict[str, Any]] = [{"row": place} for place in examples.places]
    if examples.kind == "tokens":
        for row, tokens in zip(rows, examples.inputs, strict=True):
            row["tokens"] = list(tokens)
    return Chunk(examples, rows)


def _from_tables(task: Task, files: list[Path], named: dict[str, Any]) -> Source:
    from sunhwan.data.rows import open_rows
    from sunhwan.data.table_examples import to_examples

    rows = open_rows(files)
    columns = column_guess.guess(rows.sample(_SAMPLE), task, named)
    examples = to_examples(rows, columns, task)
    notes = [*rows.notes, *_lines(columns.describe)]
    reader = {"kind": "table", "columns": columns.config()}
    found = checksums(files)
    if examples.kind == "clip":
        found.append(_checksum_of_clips(examples, columns.features[0]))
    return Source(examples, reader, columns.used(), notes, found)


def _checksum_of_clips(examples: Examples, column: str) -> dict[str, str]:
    """One checksum over the frames of all clips, whose files are too many to name each."""
    digest = hashlib.sha256()
    for frames in examples.inputs:
        digest.update(f"{frames.shape}".encode())
        digest.update(frames.tobytes())
    return {"name": column, "sha256": digest.hexdigest()}


def _from_folder(task: Task, files: list[Path], named: dict[str, Any]) -> Source:
    from sunhwan.data.folders import find_layout, from_folder

    _check_alone(files)
    layout = find_layout(files[0], task, named)
    examples = from_folder(files[0], task, named, layout=layout)
    reader = {"kind": "folder", "layout": layout.config()}
    notes = _lines(layout.describe)
    return Source(examples, reader, {"layout": files[0].name}, notes, checksums(files))


def _check_alone(files: Sequence[Path]) -> None:
    if len(files) > 1:
        raise UsageError(f"one folder or zip can be read at a time, received {len(files)}")


def _from_conllu(task: Task, files: list[Path], named: dict[str, Any]) -> Source:
    from sunhwan.data.conllu import read_conllu

    if task != "tag":
        raise UsageError(f"CoNLL-U files hold a label for each word, which is `tag`, not `{task}`")
    if unknown := [name for name in named if name != "label"]:
        raise UsageError(f"`{unknown[0]}` cannot be given for CoNLL-U files, only `label`")
    column: Any = str(named.get("label", "upos"))
    examples = read_conllu(files, column=column)
    reader = {"kind": "conllu", "column": column}
    notes = [f"words and their `{column}` of {len(examples):,} sentences"]
    return Source(examples, reader, {"tokens": "form", "label": column}, notes, checksums(files))


def _lines(describe: Callable[[], Any]) -> list[str]:
    found = describe()
    return found.splitlines() if isinstance(found, str) else list(found)


def find_data(path: Path | str) -> Path:
    """The file or folder that is meant; a path below SUNHWAN_DATA may leave that out."""
    given = Path(path)
    home = os.environ.get("SUNHWAN_DATA")
    for candidate in (given, *([Path(home) / given] if home and not given.is_absolute() else [])):
        if candidate.exists():
            return candidate
    raise DataError(f"{given}: expected a file or folder, but there is none")


def _bare(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == ".gz" else path


def checksums(paths: Sequence[Path | str]) -> list[dict[str, str]]:
    """Name and SHA-256 of each file; a folder has none."""
    found = []
    for path in filter(Path.is_file, map(find_data, paths)):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found.append({"name": path.name, "sha256": digest})
    return found
