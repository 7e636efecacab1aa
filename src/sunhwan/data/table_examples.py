"""Rows of a table to examples, once it is known which column is what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.clips import load_clip
from sunhwan.data.columns import Columns, Task
from sunhwan.data.examples import Collector, Examples, Rejected
from sunhwan.data.lines import NOT_UTF8
from sunhwan.data.long_tables import from_steps
from sunhwan.data.rows import Row, Rows
from sunhwan.data.spool import lengths
from sunhwan.data.table_fields import answer_reader, group_of, input_reader
from sunhwan.data.values import FieldError
from sunhwan.errors import DataError, UsageError

#: for more rows than this there must be at most half as many labels
_MOST_SINGLE_LABELS = 10
#: share of rows that are not UTF-8 above which the file is taken for one of another encoding
_MOST_WRONG = 0.01


def to_examples(
    rows: Rows | Iterable[Row],
    columns: Columns,
    task: Task,
    *,
    checked: bool = True,
    folders: Mapping[str, Path] | None = None,
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
    folders
        Where each file of rows lies, from where the names of clips go on; that of `Rows` is known.

    Returns
    -------
    Examples
        ``text``; ``numbers``, float32[T, D] each; ``tokens``; ``clip``, uint8[T, H, W, 3]. For a
        long table in the order in which the sequences begin, their steps in the order of time; the
        place of a sequence is that of its first row.

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
    if columns.layout == "long":
        examples = from_steps(rows, columns, task, rejected)
    else:
        known = rows.folders if isinstance(rows, Rows) else folders or {}
        examples = _from_rows(rows, columns, task, rejected, known)
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
        There are none, all have the same answer, most have a label of their own, or so many rows
        are not UTF-8 that the file is not.
    """
    if not len(examples):
        first = "; ".join(f"{r.place}: {r.reason}" for r in examples.rejected[:1])
        raise DataError(
            f"none of the {len(examples.rejected)} rows can be used; {first}"
            if first
            else "expected rows after the header, received none",
            hint="name the columns with --text, --label, --target or --features" if first else None,
        )
    _check_encoding(examples)
    if examples.targets is None:
        return
    per_step = task == "tag"
    count = int(lengths(examples.targets).sum()) if per_step else len(examples)

    def answers() -> Iterable[Any]:
        given: Any = examples.targets
        return chain.from_iterable(given) if per_step else given

    first = next(iter(answers()))
    is_number = isinstance(first, float | np.floating)
    name = "target" if is_number else "label"
    if all(answer == first for answer in answers()):
        raise DataError(
            f"all {count} examples have the {name} {first!r}, so nothing can be learnt",
            hint=f"add examples of another {name}, or name another column with --{name}",
        )
    if not is_number and 2 * len(labels := set(answers())) > count > _MOST_SINGLE_LABELS:
        raise DataError(
            f"{count} examples have {len(labels)} different labels, such as {first!r}, so nothing "
            "can be learnt",
            hint="name another column with --label, or learn numbers with `regress --target`",
        )


def _check_encoding(examples: Examples) -> None:
    """In a file of another encoding, just the rows with a letter beyond ASCII would be missing."""
    wrong = [row for row in examples.rejected if row.reason.startswith(NOT_UTF8)]
    count = len(examples) + len(examples.rejected)
    if len(wrong) > _MOST_WRONG * count:
        raise DataError(
            f"{wrong[0].place}: {wrong[0].reason}, as in {len(wrong):,} of {count:,} rows",
            hint="save the data as UTF-8 (in Excel: 'CSV UTF-8'); files of Korean Excel: "
            "iconv -f cp949 -t utf-8, of others: iconv -f windows-1252 -t utf-8",
        )


def _from_rows(
    rows: Iterable[Row],
    columns: Columns,
    task: Task,
    rejected: list[Rejected],
    folders: Mapping[str, Path],
) -> Examples:
    """One example a row."""
    kind, read = input_reader(columns)
    answer = answer_reader(columns, task)
    collector = Collector(
        kind,
        answers=answer is not None,
        groups=columns.group is not None,
        per_step=task == "tag",
    )
    features, frame = 0, ()
    for row in rows:
        try:
            value = read(row.fields)
            if kind == "clip":
                value = _clip(folders.get(row.file, Path()) / value, frame)
                frame = frame or value.shape[1:]
            if kind == "numbers":
                features = features or value.shape[1]
                if value.shape[1] != features:
                    raise FieldError(
                        f"expected {features} numbers at each step as in the rows before, "
                        f"received {value.shape[1]}"
                    )
            target = answer(row.fields) if answer else None
            if isinstance(target, list | np.ndarray) and len(target) != len(value):
                steps = f"{len(value)} steps"
                if kind == "clip":
                    steps = f"{row.fields[columns.features[0]]} has {len(value)} frames"
                raise FieldError(f"{steps}, but {len(target)} answers")
            group = group_of(columns, row.fields)
        except FieldError as error:
            rejected.append(Rejected(row.place, str(error)))
            continue
        collector.add(value, target, row.place, group)
    return collector.examples(rejected)


def _clip(path: Path, like: tuple[int, ...]) -> NDArray[np.uint8]:
    try:
        return load_clip(path, like)
    except DataError as error:
        raise FieldError(error.message) from error
