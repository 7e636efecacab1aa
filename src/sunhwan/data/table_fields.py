"""What the fields of a row mean: an input, or a step of one; an answer; a group."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np

from sunhwan.data.columns import Columns, Task
from sunhwan.data.examples import Kind
from sunhwan.data.values import FieldError, to_label, to_number, to_sequence, to_text

Fields = dict[str, Any]


def input_reader(columns: Columns) -> tuple[Kind, Callable[[Fields], Any]]:
    """How the input, or the step of a long table, is made of a row.

    Of a clip it is the name of the file. What it gives raises `FieldError` for a field that cannot
    be used.
    """
    text, names, width = columns.text, columns.features, columns.width
    if columns.layout == "clips":
        return "clip", lambda fields: to_text(fields[names[0]], names[0]).strip()
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


def answer_reader(columns: Columns, task: Task) -> Callable[[Fields], Any] | None:
    """How the answer is made of a row; None where there is none."""
    label, target = columns.label, columns.target
    whole = columns.layout in ("lists", "clips") and task == "tag"
    listed = _split if columns.layout == "clips" else _as_it_is
    if label is not None:
        if whole:
            return lambda fields: _tokens(listed(fields[label]), label)
        # one string for all rows of a label, for there are few labels and many rows
        return lambda fields: sys.intern(to_label(fields[label], label))
    if target is None:
        return None
    if whole:
        return lambda fields: to_sequence(listed(fields[target]), target)[:, 0]
    return lambda fields: to_number(fields[target], target)


def _split(value: Any) -> Any:
    """A list; of a text, which is all that CSV has, what stands between its spaces."""
    return value.split() if isinstance(value, str) else value


def _as_it_is(value: Any) -> Any:
    return value


def _tokens(value: Any, column: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise FieldError(f"`{column}` must be a list of strings that is not empty")
    return [to_label(item, column) for item in value]


def group_of(columns: Columns, fields: Fields) -> str | None:
    """What keeps the row together with others; None where nothing does."""
    return None if columns.group is None else to_label(fields[columns.group], columns.group)
