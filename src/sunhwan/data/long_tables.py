"""Tables whose rows are steps: gathered to sequences, which may be larger than memory together.

Rows of a sequence need not stand together, so the steps read are put away from time to time, those
of each sequence as a part of it, and the parts are joined at the end.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.columns import Columns, Task
from sunhwan.data.examples import Collector, Examples, Kind, Rejected
from sunhwan.data.rows import Row
from sunhwan.data.spool import Spool
from sunhwan.data.table_fields import answer_reader, group_of, input_reader
from sunhwan.data.values import FieldError, is_missing, to_time

#: steps that are read before they are put away
_WAITING = 1 << 18


def from_steps(
    rows: Iterable[Row], columns: Columns, task: Task, rejected: list[Rejected]
) -> Examples:
    """One step a row: the sequences in the order in which they begin.

    Parameters
    ----------
    rows, columns, task
        As of `sunhwan.data.table_examples.to_examples`.
    rejected
        Takes the rows that cannot be used.
    """
    steps = _gathered(rows, columns, task, rejected)
    collector = Collector(
        steps.kind,
        answers=steps.is_answered,
        groups=columns.group is not None,
        per_step=task == "tag",
    )
    for sequence in steps.sequences():
        order, again = sequence.order()
        for step, first in sorted(again.items()):
            where = f" in {sequence.key}" if sequence.key else ""
            reason = f"has the time of {sequence.place(first)}{where}"
            rejected.append(Rejected(sequence.place(step), reason))
        targets = [sequence.answers[step] for step in order] if steps.is_answered else []
        if task != "tag" and len(different := dict.fromkeys(targets)) > 1:
            values = " and ".join(map(repr, list(different)[:2]))
            reason = f"the answer of sequence {sequence.key} is not one but {values}"
            rejected.append(Rejected(sequence.place(0), reason))
            continue
        value = sequence.values
        value = value[order] if steps.kind == "numbers" else [value[step] for step in order]
        target: Any = targets
        if task != "tag":
            target = targets[0] if targets else None
        elif columns.label is None:
            target = np.array(targets, np.float32)
        # one string for all sequences of a label
        target = sys.intern(target) if isinstance(target, str) else target
        collector.add(value, target, sequence.place(0), sequence.group)
    return collector.examples(rejected)


@dataclass
class _Sequence:
    """The steps of one sequence as they came.

    Attributes
    ----------
    values
        ``float32[T, D]``, or a list of tokens.
    answers
        Of each step; empty where there are none.
    times
        ``float64[T, parts]``.
    places
        Number of the file and line of each step, ``int64[T, 2]``.
    """

    key: str
    group: str | None
    files: list[str]
    values: Any
    answers: list[Any]
    times: NDArray[np.float64]
    places: NDArray[np.int64]

    def place(self, step: int) -> str:
        file, line = self.places[step].tolist()
        return f"{self.files[file]} {line}"

    def order(self) -> tuple[NDArray[np.int64], dict[int, int]]:
        """The steps in the order of time, and those whose time is that of another step."""
        times = self.times
        if not times.shape[1]:
            return np.arange(len(self.places)), {}
        order = np.lexsort(times.T[::-1])
        same = np.concatenate([[False], (times[order][1:] == times[order][:-1]).all(axis=1)])
        # the sort is stable, so that the first of equal times is the one read first
        first = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
        again = {int(order[n]): int(order[first[n]]) for n in np.flatnonzero(same)}
        return order[~same], again


@dataclass
class _Waiting:
    """Steps of one sequence that are not put away yet, end to end."""

    values: Any
    answers: Any
    times: array[float] = field(default_factory=lambda: array("d"))
    places: array[int] = field(default_factory=lambda: array("q"))


class _Steps:
    """The steps of all sequences, put away in parts of one sequence each."""

    def __init__(self, kind: Kind, columns: Columns) -> None:
        self.kind = kind
        self.is_answered = columns.label is not None or columns.target is not None
        self._is_labelled = columns.label is not None
        self._width = len(columns.features)
        self._values: Spool[Any] = Spool()
        self._answers: Spool[Any] = Spool()
        self._times: Spool[NDArray[np.float64]] = Spool()
        self._places: Spool[NDArray[np.int64]] = Spool()
        self._parts: dict[str, array[int]] = {}
        self._groups: dict[str, str | None] = {}
        self._files: dict[str, int] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._put_away = self._count = 0

    def add(
        self, key: str, row: Row, value: Any, target: Any, times: list[float], group: str | None
    ) -> None:
        waiting = self._waiting.get(key)
        if waiting is None:
            values = array("f") if self.kind == "numbers" else []
            answers = [] if self._is_labelled else array("d")
            waiting = self._waiting[key] = _Waiting(values, answers)
            self._groups.setdefault(key, group)
        if self.kind == "numbers":
            waiting.values.extend(value)
        else:
            waiting.values.append(value)
        if self.is_answered:
            waiting.answers.append(target)
        waiting.times.extend(times)
        file = self._files.setdefault(f"{row.file}, {row.unit}", len(self._files))
        waiting.places.extend((file, row.line))
        self._count += 1
        if self._count >= _WAITING:
            self._put_waiting_away()

    def sequences(self) -> Iterator[_Sequence]:
        """Each sequence with all its steps, in the order in which they begin."""
        self._put_waiting_away()
        values, answers = self._values.items(), self._answers.items()
        times, places = self._times.items(), self._places.items()
        files = list(self._files)
        for key, parts in self._parts.items():
            found = [values[part] for part in parts]
            given = [answers[part] for part in parts]
            rows = np.concatenate([places[part] for part in parts])
            yield _Sequence(
                key,
                self._groups[key],
                files,
                np.concatenate(found) if self.kind == "numbers" else list(chain(*found)),
                list(chain(*given)) if self._is_labelled else np.concatenate(given).tolist(),
                np.concatenate([times[part] for part in parts]).reshape(len(rows), -1),
                rows,
            )

    def _put_waiting_away(self) -> None:
        for key, steps in self._waiting.items():
            self._parts.setdefault(key, array("q")).append(self._put_away)
            self._put_away += 1
            values = steps.values
            if self.kind == "numbers":
                values = np.array(values, np.float32).reshape(-1, self._width)
            self._values.add(values)
            self._answers.add(steps.answers if self._is_labelled else np.array(steps.answers))
            self._times.add(np.array(steps.times))
            self._places.add(np.array(steps.places, np.int64).reshape(-1, 2))
        self._waiting, self._count = {}, 0


def _gathered(
    rows: Iterable[Row], columns: Columns, task: Task, rejected: list[Rejected]
) -> _Steps:
    kind, read = input_reader(columns)
    answer = answer_reader(columns, task)
    steps = _Steps(kind, columns)
    for row, key in _with_keys(rows, columns, rejected):
        try:
            value = read(row.fields)
            target = answer(row.fields) if answer else None
            times = [to_time(row.fields[name], name) for name in columns.time]
            group = group_of(columns, row.fields)
        except FieldError as error:
            rejected.append(Rejected(row.place, str(error)))
            continue
        steps.add(key, row, value, target, times, group)
    return steps


def _with_keys(
    rows: Iterable[Row], columns: Columns, rejected: list[Rejected]
) -> Iterator[tuple[Row, str]]:
    for row in rows:
        if columns.id is None:
            yield row, ""
        elif is_missing(row.fields[columns.id]):
            rejected.append(Rejected(row.place, f"`{columns.id}` is empty"))
        else:
            yield row, str(row.fields[columns.id]).strip()
