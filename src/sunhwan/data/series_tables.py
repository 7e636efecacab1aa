"""Tables that series are read from: files, frames, mappings of columns, lists of rows."""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from sunhwan.data.lines import Source, open_bytes
from sunhwan.errors import DataError

#: what stands for a value that is not there
MISSING = ("", "NA", "N/A", "NaN", "nan", "NaT", "null", "NULL", "None")
#: the column of the place of each row, a name that no column of a file has
PLACE = "\0place"


def read_table(data: Any) -> pl.DataFrame:
    """The table as texts, and the place of each row in its first column.

    Parameters
    ----------
    data
        As of `sunhwan.data.series.read_series`. Of a pandas frame or column, an index of times is
        a column too, and any other index is left out.

    Raises
    ------
    DataError
        It cannot be read as one table; names the file.

    Examples
    --------
    >>> read_table({"day": ["2020-01-01", "2020-01-02"], "sold": [3, None]})["sold"].to_list()
    ['3', None]
    """
    listed = [data] if isinstance(data, str | Path) else data
    try:
        if isinstance(listed, list | tuple) and all(isinstance(x, str | Path) for x in listed):
            table = pl.concat([_read_file(Path(path)) for path in listed])
        elif isinstance(data, list | tuple):
            table = _placed(pl.from_dicts(data, infer_schema_length=None), "row ", 1)
        else:
            table = _placed(_from_columns(data), "row ", 1)
    except DataError:
        raise
    except (pl.exceptions.PolarsError, KeyError, TypeError, ValueError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"this cannot be read as one table: {reason}") from error
    if table.is_empty():
        raise DataError("a series must have rows, but the table has none")
    return table


def _from_columns(data: Any) -> pl.DataFrame:
    """The columns of a frame or a mapping."""
    if hasattr(data, "to_frame") and not hasattr(data, "columns"):
        data = data.to_frame()
    index = str(getattr(getattr(data, "index", None), "dtype", ""))
    if index.startswith(("datetime", "period")):
        data = data.reset_index()
    names = list(getattr(data, "columns", data))
    again = [name for name, count in Counter(map(str, names)).items() if count > 1]
    if again:
        raise DataError(
            f"each column must have a name of its own, but more than one is called {again[0]!r}"
        )
    return pl.DataFrame({str(name): _column(data[name]) for name in names})


def _column(values: Any) -> pl.Series:
    """A column with None where nothing is there, of which pandas has several kinds."""
    items: list[Any] = list(values)
    if hasattr(values, "isna"):
        gone = values.isna()
        items = [None if is_gone else item for item, is_gone in zip(items, gone, strict=True)]
    if str(getattr(values, "dtype", "")).startswith("period"):
        items = [None if item is None else str(item) for item in items]
    return pl.Series(items)


def _read_file(path: Path) -> pl.DataFrame:
    kind = path.name.lower().removesuffix(".gz")
    try:
        with open_bytes(Source.from_path(path, str(path))) as stream:
            content = stream.read()
        if kind.endswith(".parquet"):
            return _placed(pl.read_parquet(content), f"{path}, row ", 1)
        if kind.endswith((".jsonl", ".ndjson")):
            table = pl.read_ndjson(content, infer_schema_length=None)
            return _placed(table, f"{path}, line ", 1)
        mark = max(b",", b"\t", b";", key=content.split(b"\n", 1)[0].count).decode()
        table = pl.read_csv(content, separator=mark, infer_schema=False)
        # Polars 2.1 leaves quotes doubled in names, unlike those in fields
        plain = {name: name.replace('""', '"') for name in table.columns}
        return _placed(table.rename(plain), f"{path}, line ", 2, _lines_within(table))
    except (OSError, EOFError, zlib.error, pl.exceptions.PolarsError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(f"{path} cannot be read as a table: {reason}") from error


def _lines_within(table: pl.DataFrame) -> pl.Series:
    """How many line feeds stand within the fields of a table before each row, names included."""
    named = "".join(table.columns).count("\n")
    feeds = pl.concat_str(pl.all(), ignore_nulls=True).str.count_matches("\n", literal=True)
    return table.select(feeds.cum_sum().shift(1, fill_value=0) + named).to_series()


def _placed(table: pl.DataFrame, place: str, first: int, more: pl.Series | int = 0) -> pl.DataFrame:
    texts = pl.all().cast(pl.String).str.strip_chars().replace(list(MISSING), [None] * len(MISSING))
    places = pl.concat_str(pl.lit(place), pl.int_range(first, pl.len() + first) + more)
    return table.select(places.alias(PLACE), texts)
