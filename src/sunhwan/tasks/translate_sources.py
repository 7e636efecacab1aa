"""From what a person names as data to pairs of texts: tables with a source and a target column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from sunhwan.data.column_facts import fits
from sunhwan.data.examples import Examples, Rejected
from sunhwan.data.korean import to_nfc
from sunhwan.data.lines import LONGEST_LINE, decoded, without_mark
from sunhwan.data.spool import Spool
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.sources import checksums, find_data
from sunhwan.tasks.translate_parts import Pairs, repetitions

if TYPE_CHECKING:
    from sunhwan.data.column_facts import Kind
    from sunhwan.data.column_finder import Finder
    from sunhwan.data.rows import Rows

ROLES = ("source", "target")
#: what columns are often called, but for words such as text behind it
_NAMES = {
    "source": "source src input question query prompt instruction article document english eng en "
    "원문 입력 질문 영어 영문 본문",
    "target": "target tgt output answer response reply translation translated summary korean kor "
    "ko 번역 번역문 출력 답변 대답 답 정답 요약 한국어 국문",
    "caption": "caption captions description sentence title 설명 캡션 제목",
}
_BESIDE = {"text", "texts", "sentence", "sentences", "문장", "글"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")
#: how a sentence ends, as the name of a column seldom does
_SENTENCE = re.compile(r"""[.!?…。！？]["'”’)]*$""")
#: rows that the columns are guessed from
_SAMPLE = 1000
_NAME_BOTH = "give --source NAME and --target NAME"


@dataclass
class PairSource(Pairs):
    r"""Pairs and how they were read.

    The texts are in NFC, without the white space round them, and their lines end by ``\n``.

    Attributes
    ----------
    sources, targets, places
        See `Pairs`.
    reader
        Plain JSON: how to read more of the same kind; see `read_pairs_again`.
    columns
        What the report shows: ``source`` and ``target``, a column each.
    notes
        Lines for the terminal, such as why a column was taken.
    files
        Name and SHA-256 of each file.
    rejected
        Rows that could not be used.
    """

    reader: dict[str, Any]
    columns: dict[str, str]
    notes: list[str] = field(default_factory=list)
    files: list[dict[str, str]] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class SourceLine(NamedTuple):
    """A line to translate: where it stands, its text, and why it cannot be (or None)."""

    place: str
    text: str
    reason: str | None


def read_pairs(paths: Sequence[Path | str], named: Mapping[str, Any] | None = None) -> PairSource:
    r"""Read the pairs of tables, one a row.

    Parameters
    ----------
    paths
        Tables of the same columns; each also gzip.
    named
        What the user said of the columns: ``source`` and ``target``. What is left out goes by the
        names of the columns, else the source is the first of the two that hold texts.

    Raises
    ------
    UsageError
        Nothing is named, the first line holds a pair, or a column is not clear.
    DataError
        No such file, a file that is no table, or no pair that can be used.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "pairs.tsv")
    ...     size = path.write_text("english\tkorean\nGo.\t가.\nRun!\t\n", encoding="utf-8")
    ...     source = read_pairs([path])
    >>> source.sources, source.targets, source.rejected
    (['Go.'], ['가.'], [Rejected(place='pairs.tsv, line 3', reason='`korean` is empty')])
    """
    given = {role: column for role, column in (named or {}).items() if column is not None}
    if unknown := [role for role in given if role not in ROLES]:
        raise UsageError(
            f"`{unknown[0]}` has no meaning for `translate`, whose columns are `source` and "
            "`target`"
        )
    files = _find(paths)
    rows = _open(files)
    finder = _find_columns(rows, given)
    columns = {role: finder.roles[role][0] for role in ROLES}
    found = read_table(files, rows, columns, answers=True)
    found.notes += [f"{role}: {columns[role]} ({finder.reasons[role]})" for role in ROLES]
    found.notes += repetitions(found)
    return found


def read_pairs_again(
    reader: Mapping[str, Any], paths: Sequence[Path | str], *, answers: bool = True
) -> PairSource:
    """Read other pairs the way a source was read, whose `reader` is given.

    Parameters
    ----------
    answers
        False reads the sources alone: a table need not have the other column, and where none can be
        used there are none.

    Raises
    ------
    UsageError
        Nothing is named.
    DataError
        As for `read_pairs`; a table lacks a column; or `reader` is no such mapping.
    """
    columns = columns_again(reader, ROLES)
    files = _find(paths)
    return read_table(files, _open(files), columns, answers)


def columns_again(reader: Mapping[str, Any], roles: tuple[str, str]) -> dict[str, str]:
    """The column of each role, from the `PairSource.reader` of a run.

    Raises
    ------
    DataError
        It is not as it was written.
    """
    given = dict(reader) if isinstance(reader, Mapping) else {}
    columns = {role: given.get(role) for role in roles}
    if given != {"kind": "table", **columns} or not all(
        isinstance(column, str) for column in columns.values()
    ):
        raise DataError(f"expected how the pairs of a run are read, received {reader!r:.200}")
    return {role: str(column) for role, column in columns.items()}


def read_source_lines(stream: BinaryIO, name: str = "standard input") -> Iterator[SourceLine]:
    r"""The lines of a stream as sources, each as soon as it is there; none is left out.

    Parameters
    ----------
    stream
        Bytes of UTF-8, such as ``sys.stdin.buffer``.
    name
        For messages.

    Raises
    ------
    DataError
        It begins like no text in UTF-8.

    Examples
    --------
    >>> from io import BytesIO
    >>> for line in read_source_lines(BytesIO(b" Go. \r\n\nRun!")):
    ...     print(line)
    SourceLine(place='standard input, line 1', text='Go.', reason=None)
    SourceLine(place='standard input, line 2', text='', reason='the text is empty')
    SourceLine(place='standard input, line 3', text='Run!', reason=None)
    """
    number = 0
    while raw := stream.readline(LONGEST_LINE + 1):
        number += 1
        reason, text = None, ""
        is_long = len(raw) > LONGEST_LINE
        while is_long and raw and not raw.endswith(b"\n"):
            raw = stream.readline(LONGEST_LINE)
        if is_long:
            reason = f"longer than {LONGEST_LINE >> 20} MiB"
        else:
            line = decoded(without_mark(raw, name) if number == 1 else raw, number)
            reason, text = line.fault, _tidy(line.text)
            if reason is None and not text:
                reason = "the text is empty"
        yield SourceLine(f"{name}, line {number}", "" if reason else text, reason)


def _find(paths: Sequence[Path | str]) -> list[Path]:
    if not paths:
        raise UsageError("`translate` needs pairs: a table with a column of sources and of targets")
    return [find_data(path) for path in paths]


def _open(files: Sequence[Path]) -> Rows:
    from sunhwan.data.rows import open_rows

    return open_rows(files)


def _find_columns(rows: Rows, given: Mapping[str, str]) -> Finder:
    """The columns of both sides, each with the reason for it: named, called so, or left."""
    finder = finder_of(rows, given)
    for role in ROLES:
        finder.choose(role, called(finder, role), "its name says so")
    lacking = [role for role in ROLES if role not in finder.roles]
    if not lacking:
        return finder
    _check_header(finder, rows.name)
    left = texts_left(finder, len(lacking))
    if len(lacking) == 1:
        finder.need(lacking[0], left, "the only column of texts left")
    elif len(left) == len(lacking):
        finder.take("source", left[:1], "the first of the two columns of texts")
        finder.take("target", left[1:], "the second of the two columns of texts")
    elif len(left) > len(lacking):
        names = ", ".join(left)
        raise UsageError(f"the source and the target could be any of {names}", hint=_NAME_BOTH)
    else:
        raise UsageError(
            "expected two columns of texts, of sources and of targets, among "
            f"{', '.join(rows.columns)}",
            hint=_NAME_BOTH,
        )
    return finder


def finder_of(rows: Rows, given: Mapping[str, str]) -> Finder:
    """What the columns of a table hold, those that are given with their roles.

    Raises
    ------
    DataError
        There is no row.
    UsageError
        There is no such column, or one has two roles.
    """
    from sunhwan.data.column_facts import look_at
    from sunhwan.data.column_finder import Finder

    sample = rows.sample(_SAMPLE)
    if not sample:
        raise DataError("expected rows after the header, but no row could be read")
    finder = Finder(look_at(sample), {})
    for role, column in given.items():
        finder.take(role, [column], f"--{role}")
    return finder


def called(finder: Finder, role: str) -> list[str]:
    """Free columns whose names say that they have a role; the plainest name wins."""
    # one that is empty is taken too, so that its rows are named
    choices: tuple[tuple[Kind, ...], ...] = ("text", "number"), ("none",)
    for kinds in choices:
        found = [name for name in finder.where(*kinds) if _is_called(name, role)]
        if plain := [name for name in found if name.strip().lower() == role] or found:
            return plain
    return []


def _is_called(name: str, role: str) -> bool:
    words = [word.lower() for word in _WORD.findall(name)]
    while len(words) > 1 and words[-1] in _BESIDE:
        words.pop()
    return bool(words) and words[-1] in _NAMES[role].split()


def texts_left(finder: Finder, count: int) -> list[str]:
    """Free columns of texts; where they are fewer than `count`, also of dates and numbers."""
    facts = finder.facts
    free = [name for name in finder.where("text", "number") if not fits(name, "id")]
    texts = [name for name in free if facts[name].kind == "text" and not facts[name].dates]
    return texts if len(texts) >= count else [n for n in free if not facts[n].counts_rows]


def _check_header(finder: Finder, place: str) -> None:
    """In a file without a header, the names of the columns are a pair."""
    for name in finder.where("text"):
        is_long = " " in name.strip() and 2 * len(name) > finder.facts[name].length
        if is_long or _SENTENCE.search(name.strip()):
            raise UsageError(
                f"{place}: the first line holds {name[:50]!r}, which seems to be a text and not "
                "the name of a column",
                hint="put a line with the names of the columns, such as source and target, before "
                "the rows, or name the columns with --source and --target",
            )


def read_table(
    files: Sequence[Path], rows: Rows, columns: Mapping[str, str], answers: bool
) -> PairSource:
    """The pairs of tables, of whose columns it is known what they are.

    Parameters
    ----------
    files, rows
        The tables, and their rows.
    columns
        That of the sources, then that of the targets, by what they are called.
    answers
        False reads the sources alone.

    Raises
    ------
    DataError
        A table lacks a column, or no row can be used.
    """
    from sunhwan.data.columns import Columns
    from sunhwan.data.table_examples import check_examples
    from sunhwan.data.values import FieldError, to_text

    wanted = list(columns.values())[: 2 if answers else 1]
    Columns("text", text=wanted[0], label=wanted[-1]).check(rows.columns, rows.name)
    sides: list[Spool[str]] = [Spool() for _ in wanted]
    places: Spool[str] = Spool()
    rejected: list[Rejected] = []
    for row in rows:
        try:
            texts = [_tidy(to_text(row.fields[column], column)) for column in wanted]
        except FieldError as error:
            rejected.append(Rejected(row.place, str(error)))
            continue
        for side, text in zip(sides, texts, strict=True):
            side.add(text)
        places.add(row.place)
    sources, *others = (side.items() for side in sides)
    found = PairSource(
        sources,
        others[0] if others else [],
        places.items(),
        {"kind": "table", **columns},
        dict(columns),
        list(rows.notes),
        checksums(files),
        [*rows.rejected, *rejected],
    )
    if answers:
        _check_some(found)
        # a file of another encoding would lack just the rows with a letter beyond ASCII
        examples = Examples("text", sources, None, found.places, rejected=found.rejected)
        check_examples(examples, "classify")
    return found


def _check_some(found: PairSource) -> None:
    if not len(found):
        first = found.rejected[0]
        raise DataError(
            f"none of the {len(found.rejected):,} rows can be used; {first.place}: {first.reason}",
            hint=f"name the columns with {' and '.join(f'--{role}' for role in found.columns)}",
        )


def _tidy(text: str) -> str:
    return to_nfc(text.replace("\r\n", "\n").strip())
