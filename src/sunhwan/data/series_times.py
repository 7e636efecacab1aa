"""Which column of a table of series holds the times, and times as people write them."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.data.column_facts import fits
from sunhwan.data.series_tables import PLACE
from sunhwan.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

_PARTS = ("year", "month", "day", "hour", "minute")
#: year, month, day, hour, minute, second; all but the year may be left out
PATTERN = (
    r"^(\d{4})(?:[-/.]? ?(\d{1,2}))?(?:[-/.]? ?(\d{1,2})\.?)?"
    r"(?:[T ]+(\d{1,2}))?(?::(\d{2}))?(?::(\d{2}(?:\.\d+)?))?Z?$"
)
_LOOKS_LIKE_TIME = r"^\d{4}([-/]\d{1,2}|\. ?\d{1,2}\. ?\d{1,2})(\D.*)?$"
#: a number that is a month, such as 2024.01 or 202401: a time only where the name says so
_LOOKS_LIKE_MONTH = r"^(1[89]|20)\d{2}\.?(0?[1-9]|1[0-2])$"
#: 2024년 1월 31일 13시 5분, all but the year and the month may be left out
_KOREAN = (
    (r"^\s*(\d{4})년\s*(\d{1,2})월\s*(\d{1,2})일", "$1-$2-$3"),
    (r"^\s*(\d{4})년\s*(\d{1,2})월", "$1-$2"),
    (r"\s+(\d{1,2})시\s*(\d{1,2})분$", " $1:$2"),
    (r"\s+(\d{1,2})시$", " $1"),
)


def with_plain_times(table: pl.DataFrame) -> pl.DataFrame:
    """The table with dates such as ``2024년 1월 31일`` as ``2024-1-31``.

    Examples
    --------
    >>> import polars as pl
    >>> table = pl.DataFrame({"날짜": ["2024년 1월", "2024년 12월 3일 7시 5분"]})
    >>> with_plain_times(table)["날짜"].to_list()
    ['2024-1', '2024-12-3 7:05']
    """
    import polars as pl

    names = [
        name
        for name in table.columns
        if name != PLACE
        and table[name].dtype == pl.String
        and table[name].str.contains(_KOREAN[1][0]).any()
    ]
    for name in names:
        column = table[name]
        for pattern, plain in _KOREAN:
            column = column.str.replace(pattern, plain)
        column = column.str.replace(r":(\d)$", ":0$1")
        table = table.with_columns(column.str.strip_chars())
    return table


def find_times(table: pl.DataFrame) -> list[str]:
    """The column of times, or those of year, month, ...; none where nothing is one.

    Raises
    ------
    UsageError
        A column is named like a time, but its values cannot be read as times: the rows would
        be taken as they come.
    """
    columns = [name for name in table.columns if name != PLACE]
    for name in columns:
        if _all(table[name], _LOOKS_LIKE_TIME):
            return [name]
    for name in columns:
        if fits(name, "time") and _all(table[name], _LOOKS_LIKE_MONTH):
            return [name]
    names = {name.lower(): name for name in columns}
    parts = [names[part] for part in takewhile(names.__contains__, _PARTS)]
    if not parts:
        _check_no_time_is_lost(table, columns)
    return parts


def _all(column: pl.Series, pattern: str) -> bool:
    first = column.drop_nulls().head(20)
    return len(first) > 0 and bool(first.str.contains(pattern).all())


def _check_no_time_is_lost(table: pl.DataFrame, columns: list[str]) -> None:
    import polars as pl

    for name in columns:
        filled = table[name].drop_nulls()
        is_text = filled.cast(pl.Float64, strict=False).null_count() > 0
        if fits(name, "time") and is_text and 2 * filled.n_unique() > len(filled):
            raise UsageError(
                f"the column {name!r} is named like a time, but {str(filled[0])[:40]!r} cannot be "
                "read as one, and without times rows would be taken in the order they come in",
                hint="write times such as 2024-01, 2024-01-31 or 2024-01-31 13:00, name another "
                "column with `time`, or give the column another name",
            )


def time_text(time: np.datetime64, frequency: str) -> str:
    """A time as people write it; the number of the row, from 0, where there are no times.

    Examples
    --------
    >>> time_text(np.datetime64("2024-01-31T00:00", "us"), "1d")
    '2024-01-31'
    """
    if frequency == "1i":
        return str(int(time.astype("datetime64[s]").astype(np.int64)))
    text = str(np.datetime_as_string(time, "s"))
    return text.removesuffix("T00:00:00").replace("T", " ")
