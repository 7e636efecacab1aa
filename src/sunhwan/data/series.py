"""Time series: rows of files or tables put on an even grid of times, with nothing hidden.

Whatever was guessed, sorted or left out stands in `SeriesSet.notes`.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sunhwan.data.column_facts import SLIPS
from sunhwan.data.examples import Rejected
from sunhwan.data.series_doubts import doubts
from sunhwan.data.series_tables import MISSING, PLACE, read_table
from sunhwan.data.series_times import PATTERN, find_times, with_plain_times
from sunhwan.errors import DataError, UsageError

#: steps as polars writes them, and as people do
FREQUENCIES = {"1h": "hourly", "1d": "daily", "1bd": "weekdays", "7d": "weekly", "1mo": "monthly"}
FREQUENCIES |= {"3mo": "quarterly", "12mo": "yearly", "1i": "rows in order, without times"}
#: a column of more different names than this is no covariate
MOST_CATEGORIES = 50
#: names that no column of a file has
_WHEN, _NAME, _TARGET, _VALUE = "\0time", "\0name", "\0target", "\0value"


@dataclass(frozen=True, eq=False)
class Series:
    """One series on an even grid of times.

    Attributes
    ----------
    name
        What its column or its rows are called.
    times
        ``datetime64[us][T]``, one step apart, from the first known value to the last.
    values
        ``float64[T]``; NaN in gaps.
    covariates
        Of each column ``float64[T]``, NaN where missing, or names ``object[T]``, None where
        missing.
    filled
        ``bool[T]``: where `values` was filled and not read; nowhere yet.
    """

    name: str
    times: NDArray[np.datetime64]
    values: NDArray[np.float64]
    covariates: dict[str, NDArray[Any]]
    filled: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SeriesSet:
    """One or many series of one frequency.

    Attributes
    ----------
    series, target, covariates
        Each series as it first appears; the names of what is to be forecast and goes with it.
    frequency
        The step: a key of `FREQUENCIES`, or another duration of polars such as ``15m``.
    notes, rejected
        What was guessed, sorted or left out, and what may be no measurement, a sentence each;
        rows without a time, dropped.
    """

    series: list[Series]
    target: str
    covariates: tuple[str, ...]
    frequency: str
    notes: list[str]
    rejected: list[Rejected]

    def __len__(self) -> int:
        return len(self.series)


def read_series(
    data: Any,
    *,
    time: str | Sequence[str] | None = None,
    series: str | None = None,
    target: str | Sequence[str] | None = None,
    covariates: Sequence[str] | None = None,
) -> SeriesSet:
    """One or many series from files or from a table.

    Parameters
    ----------
    data
        A path or several (CSV, TSV, JSON lines, Parquet; gzip too), a data frame, a mapping of
        columns, or a list of rows, each a mapping.
    time
        The column of times, ISO dates or months (``1949-01``) or years; or the columns of year,
        month, day, hour, minute, in this order. ``()`` takes the order of the rows.
    series
        The column that names the series of each row, if several stand below one another.
    target
        The column to forecast; several if each is a series.
    covariates
        Columns known up to now that may help; None takes all that are left, ``()`` none.

    Raises
    ------
    UsageError
        A column is not there, or its role cannot be guessed.
    DataError
        A file cannot be read, a value is no time or number, a time occurs twice, or times are
        not evenly apart; names the file and lines.

    Examples
    --------
    >>> found = read_series({"month": ["2020-02", "2020-01", "2020-04"], "sold": [5, 3, 9]})
    >>> found.series[0].values.tolist(), FREQUENCIES[found.frequency]
    ([3.0, 5.0, nan, 9.0], 'monthly')
    >>> print(found.notes[-1])
    1 of 4 values are missing in 1 gaps; the longest has 1 steps from 2020-03-01 00:00:00
    """
    table, notes = with_plain_times(read_table(data)), list[str]()
    when = _time_columns(table, time)
    taken = [*when, *_named(table, "series", [series] if series else [])]
    targets = _targets(table, target, taken)
    table, rejected = _with_times(table, when, series)
    helpers = _covariates(table, [*taken, *targets], covariates, notes)
    names = [column.name for column in helpers]
    keys = [series] if series else []
    rows = table.select(
        *(PLACE, _WHEN, *keys), *[_as_number(table, name) for name in targets], *helpers
    ).unpivot(
        targets, index=[PLACE, _WHEN, *keys, *names], variable_name=_TARGET, value_name=_VALUE
    )
    keys += [_TARGET] if len(targets) > 1 or not series else []
    rows = rows.with_columns(pl.concat_str(keys, separator=" ", ignore_nulls=True).alias(_NAME))
    every = _guess_step(rows) if when else "1i"
    rows = _sorted(rows, every, notes)
    groups = rows.partition_by(_NAME, maintain_order=True)
    roles = f"time: {', '.join(when) or '-'} ({FREQUENCIES.get(every, 'every ' + every)})"
    roles += f"; target: {', '.join(targets)}; covariates: {', '.join(names) or 'none'}"
    found = [_on_grid(group, names, every, notes) for group in groups]
    notes += doubts(found, every)
    return SeriesSet(
        found,
        targets[0] if len(targets) == 1 else "value",
        tuple(names),
        every,
        [roles, *notes],
        rejected,
    )


def _named(table: pl.DataFrame, option: str, names: Sequence[str]) -> list[str]:
    columns = table.columns[1:]
    if any(name not in columns for name in names):
        # a list of names is parted at commas, and one name may hold some itself
        whole = [name for name in columns if [part.strip() for part in name.split(",")] == [*names]]
        names = whole or names
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            raise UsageError(
                f"`{option}` must be one of the columns {', '.join(columns)}, received {name!r}",
                hint=f"did you mean {near[0]!r}?" if near else None,
            )
    return list(names)


def _time_columns(table: pl.DataFrame, time: str | Sequence[str] | None) -> list[str]:
    if time is not None:
        return _named(table, "time", [time] if isinstance(time, str) else time)
    return find_times(table)


def _is_number(column: pl.Series) -> bool:
    """Whether it is but for a few slips, which are named when the column is read."""
    slips = column.cast(pl.Float64, strict=False).null_count() - column.null_count()
    return slips <= SLIPS * (len(column) - column.null_count())


def _is_counter(column: pl.Series) -> bool:
    steps = column.cast(pl.Float64, strict=False).diff()[1:].to_list()
    return len(steps) > 1 and steps == [1.0] * len(steps)


def _targets(
    table: pl.DataFrame, target: str | Sequence[str] | None, taken: list[str]
) -> list[str]:
    if target:
        return _named(table, "target", [target] if isinstance(target, str) else target)
    numbers = [x for x in table.columns[1:] if x not in taken and _is_number(table[x])]
    found = [name for name in numbers if not _is_counter(table[name])] or numbers
    if len(found) != 1:
        raise UsageError(
            "`target` must be named, for one column of numbers was expected beside the times and "
            f"{len(found)} were found: {', '.join(found)}",
            hint="name the one to forecast, or several if each is a series of its own; "
            "if one of them holds the times, name it with `time`",
        )
    return found


def _with_times(
    table: pl.DataFrame, when: list[str], series: str | None
) -> tuple[pl.DataFrame, list[Rejected]]:
    """The rows that have a time, with it as a column, and the others."""
    if not when:
        order = pl.int_range(pl.len()).over(series) if series else pl.int_range(pl.len())
        return table.with_columns((order * 10**6).cast(pl.Datetime("us")).alias(_WHEN)), []
    if len(when) == 1:
        parts = table[when[0]].str.extract_groups(PATTERN).struct.unnest()
    else:
        parts = table.select(pl.col(name).alias(str(i)) for i, name in enumerate(when, 1))
    starts = (None, "1", "1", "0", "0", "0")
    texts = [
        (pl.col(str(i)) if i <= parts.width else pl.lit(None, pl.String)).fill_null(pl.lit(start))
        for i, start in enumerate(starts, 1)
    ]
    stamp = pl.format("{}-{}-{} {}:{}:{}", *(text.str.zfill(2) for text in texts))
    time = stamp.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", strict=False, time_unit="us").alias(_WHEN)
    table = table.with_columns(parts.select(time).to_series())
    empty = pl.all_horizontal(pl.col(name).is_null() for name in when)
    wrong = table.filter(~empty & ~(pl.col(_WHEN).dt.year() > 0).fill_null(False))
    if len(wrong):
        raise DataError(
            f"{wrong[PLACE][0]}: `{', '.join(when)}` must be a time such as 2024-01, 2024-01-31 "
            f"or 2024-01-31 13:00, received {', '.join(map(str, wrong.select(when).row(0)))!r}"
        )
    rejected = [Rejected(place, "it has no time") for place in table.filter(empty)[PLACE]]
    return table.filter(~empty), rejected


def _as_number(table: pl.DataFrame, name: str) -> pl.Series:
    numbers = table[name].cast(pl.Float64, strict=False)
    wrong = table.filter(table[name].is_not_null() & ~numbers.is_finite().fill_null(False))
    if len(wrong):
        raise DataError(
            f"{wrong[PLACE][0]}: `{name}` must be a number, received {wrong[name][0]!r}",
            hint=f"missing values are left empty, or one of: {', '.join(MISSING[1:])}",
        )
    return numbers


def _covariates(
    table: pl.DataFrame, taken: list[str], wanted: Sequence[str] | None, notes: list[str]
) -> list[pl.Series]:
    """The columns that go with the target, as numbers or names."""
    if wanted is not None:
        named = [table[name] for name in _named(table, "covariates", wanted)]
        return [_as_number(table, x.name) if _is_number(x) else x for x in named]
    found = []
    for column in (table[name] for name in table.columns[1:-1] if name not in taken):
        if _is_counter(column) or not column.count():
            what = "counts the rows" if column.count() else "is empty"
            notes.append(f"`{column.name}` {what} and is left out")
        elif _is_number(column):
            found.append(_as_number(table, column.name))
        elif (count := column.drop_nulls().n_unique()) > MOST_CATEGORIES:
            notes.append(f"`{column.name}` has {count} different names and is left out")
        else:
            found.append(column)
    return found


def _guess_step(rows: pl.DataFrame) -> str:
    """The commonest step between one time of a series and the next, as a duration of polars."""
    unique = rows.select(_NAME, _WHEN).unique().sort(_NAME, _WHEN)
    steps = unique.select(pl.col(_WHEN).diff().over(_NAME).dt.total_microseconds()).drop_nulls()
    if steps.is_empty():
        raise DataError(f"a series must have two times or more, received only {unique[_WHEN][0]}")
    step = int(steps.to_series().mode().sort()[0])
    day = 24 * 3600 * 10**6
    if step >= 29 * day:
        return f"{round(step / day / 30.4375)}mo"
    if step == day and len(unique) >= 10 and unique[_WHEN].dt.weekday().is_in([6, 7]).sum() == 0:
        return "1bd"
    units = {"d": day, "h": day // 24, "m": day // 1440, "s": 10**6, "us": 1}
    return next(f"{step // size}{unit}" for unit, size in units.items() if step % size == 0)


def _sorted(rows: pl.DataFrame, every: str, notes: list[str]) -> pl.DataFrame:
    if every.endswith("mo"):
        rows = rows.with_columns(pl.col(_WHEN).dt.truncate("1mo"))
    late = rows.filter((pl.col(_WHEN).diff().over(_NAME) < pl.duration()).fill_null(False))
    if len(late):
        notes.append(
            f"the rows are not in the order of time and were sorted; first at {late[PLACE][0]}"
        )
        rows = rows.sort(_WHEN, maintain_order=True)
    twice = rows.filter(rows.select(_NAME, _WHEN).is_duplicated()).sort(_NAME, _WHEN)
    if len(twice):
        raise DataError(
            f"{' and '.join(twice[PLACE][:2])}: each time must occur once in a series, but "
            f"{twice[_WHEN][0]} stands twice in {twice[_NAME][0]!r}",
            hint="name the column that tells series apart with `series`, or keep one of the rows",
        )
    return rows


def _on_grid(rows: pl.DataFrame, names: list[str], every: str, notes: list[str]) -> Series:
    """A series with a row for every step from its first known value to its last."""
    name = str(rows[_NAME][0])
    known = rows.filter(pl.col(_VALUE).is_not_null())[_WHEN]
    if not len(known):
        raise DataError(f"series {name!r} must have values, but all {len(rows)} are missing")
    inside = rows.filter(pl.col(_WHEN).is_between(known.min(), known.max()))
    if outside := len(rows) - len(inside):
        notes.append(f"{outside} missing values at the ends of series {name!r} are left out")
    axis = _axis(known, every)
    grid = axis.join(inside, on=_WHEN, how="left", maintain_order="left")
    astray = inside.join(axis, on=_WHEN, how="anti")
    if len(astray):
        raise DataError(
            f"{astray[PLACE][0]}: times must be steps of {every} apart, and "
            f"{astray[_WHEN][0]} lies between two steps",
        )
    runs = grid.select(pl.col(_VALUE).is_null().rle()).to_series().struct.unnest()
    starts = grid[_WHEN].gather(runs["len"].cum_sum() - runs["len"])
    gaps = runs.with_columns(starts).filter("value").sort("len", descending=True)
    if len(gaps):
        notes.append(
            f"{gaps['len'].sum()} of {len(grid)} values are missing in {len(gaps)} gaps; the "
            f"longest has {gaps['len'][0]} steps from {gaps[_WHEN][0]}"
        )
    columns = grid.select(names)
    return Series(
        name,
        grid[_WHEN].to_numpy(),
        grid[_VALUE].to_numpy(),
        {column.name: column.to_numpy() for column in columns},
        np.zeros(len(grid), bool),
    )


def _axis(known: pl.Series, every: str) -> pl.DataFrame:
    """All steps from the first known time to the last."""
    first, last, least = (cast(Any, x) for x in (known.min(), known.max(), known.diff().min()))
    if least and (last - first) / least > 1000 * len(known):
        raise DataError(
            f"most times of a series must have a row, but {len(known)} rows lie from {first} to "
            f"{last} and some only {least} apart"
        )
    step = {"1bd": "1d", "1i": "1s"}.get(every, every)
    axis = pl.datetime_range(first, last, step, time_unit="us", eager=True).alias(_WHEN).to_frame()
    return axis.filter(pl.col(_WHEN).dt.weekday() <= 5) if every == "1bd" else axis
