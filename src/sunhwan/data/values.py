"""What a field of a table says: a number, a label, a time, a sequence, or why it is none."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: what stands for a value that is not there
MISSING = frozenset({"", "na", "n/a", "nan", "nat", "null", "none", "?"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"(\d{4})(?:[-/](\d{1,2})|[-./] ?(\d{1,2})[-./] ?(\d{1,2})\.?)(?:[T ]+(.+))?")
#: 2024년 1월 31일
_KOREAN = re.compile(r"^(\d{4})년\s*(\d{1,2})월(?:\s*(\d{1,2})일)?")
_LARGEST = float(np.finfo(np.float32).max)


class FieldError(Exception):
    """Why a field cannot be used; becomes the reason of a rejected row."""


def is_missing(value: Any) -> bool:
    """Whether a field holds nothing, or one of the marks for nothing.

    Examples
    --------
    >>> is_missing(" NA "), is_missing(0)
    (True, False)
    """
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return value is None or (isinstance(value, float) and math.isnan(value))


def to_number(value: Any, column: str) -> float:
    """The finite number in a field, within the range of ``float32``.

    Raises
    ------
    FieldError
        There is none.

    Examples
    --------
    >>> to_number(" -1.5e3", "price")
    -1500.0
    """
    if is_missing(value):
        raise FieldError(f"`{column}` is empty" + (f" ({value})" if value else ""))
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FieldError(f"`{column}` must be a number, received {shortened(value)}")
    if not abs(value) <= _LARGEST:
        raise FieldError(f"`{column}` must be a number that float32 can hold, received {value}")
    return float(value)


def to_label(value: Any, column: str) -> str:
    """A label as it is written, without the white space round it.

    Raises
    ------
    FieldError
        It is empty, or no single value.

    Examples
    --------
    >>> to_label("1 ", "label"), to_label(True, "label")
    ('1', 'true')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float | None):
        raise FieldError(f"`{column}` must be a label, received {shortened(value)}")
    label = "" if value is None else str(value).strip()
    if not label or (isinstance(value, float) and math.isnan(value)):
        raise FieldError(f"`{column}` is empty")
    return label


def to_text(value: Any, column: str) -> str:
    """A text that is not blank.

    Raises
    ------
    FieldError
        It is empty, or no text.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        raise FieldError(f"`{column}` is empty")
    if not isinstance(value, str | int | float):
        raise FieldError(f"`{column}` must be a text, received {shortened(value)}")
    return str(value)


def to_time(value: Any, column: str) -> float:
    """What times are ordered by: a number as it is, a date in seconds since 1970.

    Dates are ISO dates, also with ``.`` or ``/`` or as in ``2024년 1월 31일``, with or without a
    day and a time of day.

    Raises
    ------
    FieldError
        It is neither.

    Examples
    --------
    >>> to_time("1970-01-02", "day"), to_time("1970/2", "month") / 86400, to_time("7", "step")
    (86400.0, 31.0, 7.0)
    """
    found = (
        _DATE.fullmatch(_KOREAN.sub(_in_digits, value.strip())) if isinstance(value, str) else None
    )
    if found is None:
        return to_number(value, column)
    year, only_month, month, day, clock = found.groups(default="")
    iso = f"{year}-{int(only_month or month):02d}-{int(day or 1):02d}"
    iso += f"T{clock.strip()}" if clock else ""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError as error:
        raise FieldError(f"`{column}` must be a date, received {value!r} ({error})") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _in_digits(found: re.Match[str]) -> str:
    return "-".join(part for part in found.groups() if part)


def to_sequence(value: Any, column: str) -> NDArray[np.float32]:
    """``float32[T, D]`` from a list of numbers (D is 1) or of lists of D numbers each.

    Raises
    ------
    FieldError
        It is no such list, or is empty.

    Examples
    --------
    >>> to_sequence([1, 2.5, 3], "x").shape
    (3, 1)
    """
    if not isinstance(value, list) or not value:
        raise FieldError(f"`{column}` must be a list of numbers, received {shortened(value)}")
    steps = [step if isinstance(step, list) else [step] for step in value]
    if len({len(step) for step in steps}) > 1 or not steps[0]:
        raise FieldError(f"`{column}` must have as many numbers at each step")
    return np.array([[to_number(item, column) for item in step] for step in steps], np.float32)


def shortened(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
