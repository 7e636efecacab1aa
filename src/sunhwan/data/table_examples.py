"""Rows of a table to examples, once it is known which column is what."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.columns import Columns, Task
from sunhwan.data.examples import Examples, Kind, Rejected
from sunhwan.data.rows import Row, Rows
from sunhwan.data.values import (
    FieldError,
    is_missing,
    to_label,
    to_number,
    to_sequence,
    to_text,
    to_time,
)
from sunhwan.errors import DataError, UsageError

Fields = dict[str, Any]
#: with as many labels as rows, and more than this, the column is no label
_MOST_SINGLE_LABELS = 10


def to_examples(
    rows: Rows | Iterable[Row], columns: Columns, task: Task, *, checked: bool = True
) -> Examples:
    """The sequences of a table and their answers.

    A row that lacks something (an empty text or label, a field that is no finite number, a time
    that the sequence has already) is left out and stands in `Examples.rejected`, after those that
    were malformed. Labels are strings as written. Without a label or target in `columns`, the
    examples have no targets.

    Parameters
    ----------
    rows
        Of `open_rows`, or from anywhere else.
    columns
        Of `guess`; `Columns.without_answers` for data whose answers are not known.
    task
        ``classify`` and ``regress`` give one answer each; ``tag`` gives one for each step,
        list[str] or float32[T].
    checked
        Whether to see that something can be learnt from the examples; not for predictions.

    Returns
    -------
    Examples
        ``text``; ``numbers``, float32[T, D] each; ``tokens``. For a long table in the order in
        which the sequences begin, their steps in the order of time; the place of a sequence is
        that of its first row.

    Raises
    ------
    UsageError
        The task is ``forecast``, which takes series instead.
    DataError
        A column is missing. With `checked`: no row can be used, or all have the same answer, or
        each has a label of its own.

    Examples
    --------
    >>> rows = [Row("a.csv", n, {"x1": 3, "x2": n, "label": n % 2}) for n in range(3)]
    >>> columns = Columns("wide", label="label", features=("x1", "x2"))
    >>> found = to_examples(rows, columns, "classify")
    >>> found.inputs[2].tolist(), found.targets
    ([[3.0], [2.0]], ['0', '1', '0'])
    """
    if task == "forecast":
        raise UsageError("forecast takes series and no examples; see `sunhwan.data.series`")
    if isinstance(rows, Rows):
        columns.check(rows.columns, rows.name)
    rejected: list[Rejected] = []
    build = _from_steps if columns.layout == "long" else _from_rows
    examples = build(rows, columns, task, rejected)
    malformed = rows.rejected if isinstance(rows, Rows) else []
    examples.rejected = [*malformed, *rejected]
    if checked:
        check_examples(examples, task)
    return examples


def check_examples(examples: Examples, task: Task) -> None:
    """See that something can be learnt from examples.

    Raises
    ------
    DataError
        There are none, all have the same answer, or each has a label of its own.
    """
    if not len(examples):
        first = "; ".join(f"{r.place}: {r.reason}" for r in examples.rejected[:1])
        raise DataError(
            f"none of the {len(examples.rejected)} rows can be used; {first}"
            if first
            else "expected rows after the header, received none",
            hint="name the columns with --text, --label, --target or --features" if first else None,
        )
    if examples.targets is None:
        return
    answers = examples.targets
    if task == "tag":
        answers = [answer for target in examples.targets for answer in target]
    name = "target" if isinstance(answers[0], float | np.floating) else "label"
    different = set(answers)
    if len(different) == 1:
        raise DataError(
            f"all {len(answers)} examples have the {name} {answers[0]!r}, so nothing can be learnt",
            hint=f"add examples of another {name}, or name another column with --{name}",
        )
    if name == "label" and len(different) == len(answers) > _MOST_SINGLE_LABELS:
        raise DataError(
            f"each of the {len(answers)} examples has a label of its own, such as {answers[0]!r}",
            hint="name another column with --label, or learn numbers with `regress --target`",
        )


def _input(columns: Columns) -> tuple[Kind, Callable[[Fields], Any]]:
    """How the input, or the step of a long table, is made of a row."""
    text, names, width = columns.text, columns.features, columns.width
    if columns.layout == "lists":
        if text is not None:
            return "tokens", lambda fields: _tokens(fields[text], text)
        return "numbers", lambda fields: to_sequence(fields[names[0]], names[0])
    if text is not None:
        kind: Kind = "tokens" if columns.layout == "long" else "text"
        return kind, lambda fields: to_text(fields[text], text)
    if columns.layout == "long":
        return "numbers", lambda fields: array("f", [to_number(fields[n], n) for n in names])
    return "numbers", lambda fields: np.array(
        [to_number(fields[name], name) for name in names], np.float32
    ).reshape(-1, width)


def _answer(columns: Columns, task: Task) -> Callable[[Fields], Any] | None:
    """How the answer is made of a row; None where there is none."""
    label, target = columns.label, columns.target
    whole = columns.layout == "lists" and task == "tag"
    if label is not None:
        if whole:
            return lambda fields: _tokens(fields[label], label)
        # one string for all rows of a label, for there are few labels and many rows
        return lambda fields: sys.intern(to_label(fields[label], label))
    if target is None:
        return None
    if whole:
        return lambda fields: to_sequence(fields[target], target)[:, 0]
    return lambda fields: to_number(fields[target], target)


def _tokens(value: Any, column: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise FieldError(f"`{column}` must be a list of strings that is not empty")
    return [to_label(item, column) for item in value]


def _group(columns: Columns, fields: Fields) -> str | None:
    return None if columns.group is None else to_label(fields[columns.group], columns.group)


def _from_rows(
    rows: Iterable[Row], columns: Columns, task: Task, rejected: list[Rejected]
) -> Examples:
    """One example a row."""
    kind, read = _input(columns)
    answer = _answer(columns, task)
    inputs, targets, places, groups = [], [], [], []
    features = 0
    for row in rows:
        try:
            value = read(row.fields)
            if kind == "numbers":
                features = features or value.shape[1]
                if value.shape[1] != features:
                    raise FieldError(
                        f"expected {features} numbers at each step as in the rows before, "
                        f"received {value.shape[1]}"
                    )
            target = answer(row.fields) if answer else None
            if isinstance(target, list | np.ndarray) and len(target) != len(value):
                raise FieldError(f"{len(value)} steps, but {len(target)} answers")
            group = _group(columns, row.fields)
        except FieldError as error:
            rejected.append(Rejected(row.place, str(error)))
            continue
        inputs.append(value)
        targets.append(target)
        places.append(row.place)
        groups.append(group)
    return Examples(
        kind,
        inputs,
        targets if answer else None,
        places,
        [str(group) for group in groups] if columns.group else None,
    )


class _Sequence:
    """The steps of one sequence of a long table, as they come."""

    def __init__(self, group: str | None) -> None:
        self.group = group
        self.inputs: list[Any] = []
        self.answers: list[Any] = []
        self.times = array("d")
        self.places: list[tuple[str, str, int]] = []

    def place(self, step: int) -> str:
        file, unit, line = self.places[step]
        return f"{file}, {unit} {line}"

    def order(self, parts: int) -> tuple[NDArray[np.int64], dict[int, int]]:
        """The steps in the order of time, and those whose time is that of another step."""
        if not parts:
            return np.arange(len(self.inputs)), {}
        times = np.frombuffer(self.times).reshape(-1, parts)
        order = np.lexsort(times.T[::-1])
        same = np.concatenate([[False], (times[order][1:] == times[order][:-1]).all(axis=1)])
        # the sort is stable, so that the first of equal times is the one read first
        first = np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))
        again = {int(order[n]): int(order[first[n]]) for n in np.flatnonzero(same)}
        return order[~same], again


def _from_steps(
    rows: Iterable[Row], columns: Columns, task: Task, rejected: list[Rejected]
) -> Examples:
    """One step a row."""
    kind, _ = _input(columns)
    answered = columns.label is not None or columns.target is not None
    examples = Examples(
        kind, [], [] if answered else None, [], [] if columns.group is not None else None
    )
    for key, sequence in _gather(rows, columns, task, rejected).items():
        steps, again = sequence.order(len(columns.time))
        for step, first in sorted(again.items()):
            rejected.append(
                Rejected(
                    sequence.place(step),
                    f"has the time of {sequence.place(first)}" + (f" in {key}" if key else ""),
                )
            )
        targets = [sequence.answers[step] for step in steps] if answered else []
        if task != "tag" and len(different := dict.fromkeys(targets)) > 1:
            values = " and ".join(map(repr, list(different)[:2]))
            reason = f"the answer of sequence {key} is not one but {values}"
            rejected.append(Rejected(sequence.place(0), reason))
            continue
        inputs = [sequence.inputs[step] for step in steps]
        examples.inputs.append(np.array(inputs, np.float32) if kind == "numbers" else inputs)
        examples.places.append(sequence.place(0))
        if examples.targets is not None:
            many = targets if columns.label is not None else np.array(targets, np.float32)
            examples.targets.append(many if task == "tag" else targets[0])
        if examples.groups is not None:
            examples.groups.append(str(sequence.group))
    return examples


def _gather(
    rows: Iterable[Row], columns: Columns, task: Task, rejected: list[Rejected]
) -> dict[str, _Sequence]:
    _, read = _input(columns)
    answer = _answer(columns, task)
    sequences: dict[str, _Sequence] = {}
    for row, key in _with_keys(rows, columns, rejected):
        try:
            value = read(row.fields)
            target = answer(row.fields) if answer else None
            times = [to_time(row.fields[name], name) for name in columns.time]
            group = _group(columns, row.fields)
        except FieldError as error:
            rejected.append(Rejected(row.place, str(error)))
            continue
        sequence = sequences.setdefault(key, _Sequence(group))
        sequence.inputs.append(value)
        sequence.answers.append(target)
        sequence.times.extend(times)
        sequence.places.append((row.file, row.unit, row.line))
    return sequences


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
