"""Many tables of one sequence each, and the table beside them that names each and its answer."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from sunhwan.data.archives import Member
from sunhwan.data.column_facts import fits, look_at
from sunhwan.data.column_finder import Finder, Named
from sunhwan.data.columns import Columns, Task, guess
from sunhwan.data.examples import Rejected
from sunhwan.data.lines import Source
from sunhwan.data.rows import Row, Rows
from sunhwan.data.values import FieldError, to_label
from sunhwan.errors import DataError, UsageError

#: columns that are put beside those of the files; no header of a table can hold a line feed
_FILE, _ANSWER, _GROUP = "file\n", "answer\n", "group\n"


@dataclass(frozen=True)
class Found:
    """A column that gives an answer, and why it was taken."""

    column: str
    reason: str


@dataclass(frozen=True)
class _Candidate:
    table: Rows
    key: str
    column: str
    #: what the fields of `key` say of a file, to the name of that file
    names: Mapping[str, str]


class SequenceFiles:
    """Tables in files: those with the most common header are sequences, the others may name them.

    Parameters
    ----------
    members
        Their files.
    root
        The folder or archive, for messages.

    Attributes
    ----------
    files
        Each sequence and its rows.
    rejected
        Files that are no table, and rows of the other tables that name no file, or have no answer.

    Raises
    ------
    DataError
        No file is a table.
    """

    def __init__(self, members: Sequence[Member], root: str) -> None:
        self._root = root
        self.rejected: list[Rejected] = []
        alike: dict[frozenset[str], list[tuple[Member, Rows]]] = {}
        for member in members:
            try:
                rows = Rows([_source(member)])
            except DataError as error:
                self.rejected.append(
                    Rejected(member.place, error.message.removeprefix(f"{member.place}: "))
                )
                continue
            alike.setdefault(frozenset(rows.columns), []).append((member, rows))
        if not alike:
            first = self.rejected[0]
            raise DataError(f"{root}: no file is a table; {first.place}: {first.reason}")
        most = max(alike, key=lambda header: len(alike[header]))
        self.files = alike.pop(most)
        self._tables = [rows for group in alike.values() for _, rows in group]

    def columns(self, named: Named, task: Task) -> Columns:
        """What the columns of each sequence are.

        Raises
        ------
        UsageError
            They are not clear; see `guess`.
        DataError
            The first sequence has no rows.
        """
        sample = self.files[0][1].sample()
        if task == "tag":
            return guess(sample, task, named)
        if not sample:
            raise DataError(f"{self.files[0][0].place}: expected rows after the header")
        finder = Finder(look_at(sample), named)
        finder.time()
        finder.take_numbers()
        return Columns(
            "long",
            time=finder.roles.get("time", ()),
            features=finder.roles["features"],
            reasons=finder.reasons,
            unused=tuple(finder.free()),
        )

    def find_answer(self, role: str, named: str | None) -> Found | None:
        """The column of another table that gives each file its answer; None where there is none.

        Raises
        ------
        UsageError
            Several would do, or the one named does not exist.
        """
        found = self._candidates()
        if named is not None:
            if named not in [candidate.column for candidate in found]:
                known = ", ".join(candidate.column for candidate in found) or "none"
                raise UsageError(
                    f"{self._root}: no table names the sequences and has a column {named!r}; "
                    f"the columns beside the names are {known}"
                )
            return Found(named, f"`{named}` (--{role})")
        clear = [c for c in found if fits(c.column, role)] or found
        if len({candidate.column for candidate in clear}) > 1:
            raise UsageError(
                f"{self._root}: the {role} could be any of "
                f"{', '.join(candidate.column for candidate in clear)}",
                hint=f"give --{role} NAME",
            )
        if not clear:
            return None
        table = clear[0].table.name
        return Found(clear[0].column, f"`{clear[0].column}` of {table}, by `{clear[0].key}`")

    def answers(self, column: str, role: str) -> dict[str, str]:
        """The name of each sequence to its answer.

        Raises
        ------
        DataError
            No table names the sequences and has that column.
        """
        chosen = next((c for c in self._candidates() if c.column == column), None)
        if chosen is None:
            raise DataError(
                f"{self._root}: expected a table that names the sequences and has a column "
                f"{column!r}, as in the data that the model was trained on"
            )
        answers: dict[str, str] = {}
        for row in chosen.table:
            key = str(row.fields[chosen.key]).strip()
            name = chosen.names.get(key)
            try:
                if name is None:
                    raise FieldError(f"there is no sequence for {chosen.key} {key!r}")
                if name in answers:
                    raise FieldError(f"{chosen.key} {key!r} occurs twice")
                answers[name] = to_label(row.fields[column], column)
            except FieldError as error:
                self.rejected.append(Rejected(row.place, str(error)))
        self.rejected += chosen.table.rejected
        return answers

    def rows(
        self,
        columns: Columns,
        role: str,
        answers: Mapping[str, str] | None,
        groups: Mapping[str, str] | None,
    ) -> tuple[Iterator[Row], Columns]:
        """All sequences as one long table, and its columns.

        Parameters
        ----------
        columns
            Of each sequence.
        role
            ``label`` or ``target``, of `answers`.
        answers, groups
            Name of a file to its answer and group; a file without them is rejected.
        """
        added: dict[str, Any] = {"id": _FILE}
        added |= {} if answers is None else {role: _ANSWER}
        added |= {} if groups is None else {"group": _GROUP}
        return self._rows(columns, answers, groups), replace(columns, **added)

    def _rows(
        self,
        columns: Columns,
        answers: Mapping[str, str] | None,
        groups: Mapping[str, str] | None,
    ) -> Iterator[Row]:
        for member, table in self.files:
            columns.check(table.columns, table.name)
            if any(known is not None and member.name not in known for known in (answers, groups)):
                self.rejected.append(Rejected(member.place, "no answer or group is known for it"))
                continue
            added = {
                _FILE: member.place,
                _ANSWER: (answers or {}).get(member.name),
                _GROUP: (groups or {}).get(member.name),
            }
            for row in table:
                yield row._replace(fields=row.fields | added)
            self.rejected += table.rejected

    def _candidates(self) -> list[_Candidate]:
        """Columns beside a column that names at least half of the sequences."""
        ways = _ways_to_name([member.name for member, _ in self.files])
        found = []
        for table in self._tables:
            rows = table.sample(10 * len(self.files))
            for key in table.columns:
                values = {str(row.fields[key]).strip() for row in rows}
                names = max(ways, key=lambda way: len(values & way.keys()))
                if 2 * len(values & names.keys()) >= len(self.files):
                    others = [column for column in table.columns if column != key]
                    found += [_Candidate(table, key, column, names) for column in others]
                    break
        return found


def _source(member: Member) -> Source:
    """A file that is read anew each time, so that only one is in memory."""
    return Source(member.place, lambda: io.BytesIO(member.read()))


def _ways_to_name(names: Sequence[str]) -> list[dict[str, str]]:
    """What a table may call a file (its path, its name, the last number in it), to its path."""
    ways = []
    for call in (
        lambda path: str(path),
        lambda path: path.name,
        lambda path: path.stem,
        lambda path: (re.findall(r"\d+", path.stem) or [""])[-1],
        lambda path: str(int((re.findall(r"\d+", path.stem) or ["0"])[-1])),
    ):
        calls = [call(PurePosixPath(name)) for name in names]
        if len(set(calls)) == len(names):
            ways.append(dict(zip(calls, names, strict=True)))
    return ways
