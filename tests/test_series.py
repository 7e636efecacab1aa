"""Series: files and tables of many shapes, what is guessed and said, and what is refused."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from sunhwan.data.series import read_series
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.forecasting_preparation import fill_gaps

NAN = float("nan")


def _file(folder: Path, text: str, name: str = "series.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _real(name: str) -> Path:
    root = os.environ.get("SUNHWAN_DATA")
    path = Path(root or "") / "series" / name
    if not root or not path.is_file():
        pytest.skip(f"needs series/{name} in the folder that SUNHWAN_DATA names")
    return path


def _values(data, **options) -> list[float]:
    return read_series(data, **options).series[0].values.tolist()


@pytest.mark.parametrize(
    ("name", "options", "frequency", "steps", "first"),
    [
        ("airline-passengers.csv", {}, "1mo", 144, 112.0),
        ("daily-min-temperatures.csv", {}, "1d", 3652, 20.7),
        ("monthly-sunspots.csv", {}, "1mo", 2820, 58.0),
        ("pollution.csv", {"target": "pm2.5"}, "1h", 43_800, 129.0),
        ("korea-macro-monthly.csv", {"target": "kospi"}, "1mo", 419, 896.16),
    ],
)
def test_real_files(name, options, frequency, steps, first) -> None:
    data = read_series(_real(name), **options)
    assert (data.frequency, len(data.series[0].values)) == (frequency, steps)
    assert data.series[0].values[0] == first


def test_pollution_says_what_it_found() -> None:
    data = read_series(_real("pollution.csv"), target="pm2.5")
    assert data.covariates == ("DEWP", "TEMP", "PRES", "cbwd", "Iws", "Is", "Ir")
    assert data.notes[0].startswith("time: year, month, day, hour (hourly); target: pm2.5")
    assert "`No` counts the rows and is left out" in data.notes
    assert "24 missing values at the ends of series 'pm2.5' are left out" in data.notes
    assert any(note.startswith("2043 of 43800 values are missing") for note in data.notes)
    assert set(data.series[0].covariates["cbwd"]) == {"NW", "NE", "SE", "cv"}


def test_leap_days_that_are_missing_are_gaps() -> None:
    series = read_series(_real("daily-min-temperatures.csv")).series[0]
    missing = series.times[np.isnan(series.values)].astype("datetime64[D]").astype(str).tolist()
    assert missing == ["1984-12-31", "1988-12-31"]


@pytest.mark.parametrize(
    ("texts", "frequency"),
    [
        (["2020-01", "2020-02", "2020-03"], "1mo"),
        (["2020/1/31", "2020/2/29", "2020/3/31"], "1mo"),
        (["2020. 1. 5.", "2020. 1. 6.", "2020. 1. 7."], "1d"),
        (["2020-01-01 00:30", "2020-01-01 01:00", "2020-01-01 01:30"], "30m"),
        (["2020-01-01T00:00:00.5", "2020-01-01T00:00:01", "2020-01-01T00:00:01.5"], "500000us"),
        (["2020-01-05", "2020-01-12", "2020-01-19"], "7d"),
        (["2020-01-01", "2020-04-01", "2020-07-01"], "3mo"),
    ],
)
def test_times_as_people_write_them(texts, frequency) -> None:
    data = read_series({"t": texts, "y": [3.5, 1.0, 2.5]})
    assert data.frequency == frequency
    assert data.series[0].values.tolist() == [3.5, 1.0, 2.5]


def test_years_and_compact_dates_are_read_when_named() -> None:
    assert read_series({"t": [1990, 1991, 1993], "y": [1, 5, 2]}, time="t").frequency == "12mo"
    times = read_series({"t": [20200131, 20200201], "y": [4, 2]}, time="t").series[0].times
    assert times.astype("datetime64[D]").astype(str).tolist() == ["2020-01-31", "2020-02-01"]


def test_weekdays_have_no_gap_at_the_weekend() -> None:
    days = pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 1, 26), eager=True)
    days = days.filter(days.dt.weekday() <= 5)
    data = read_series({"day": days, "price": np.arange(len(days)) ** 2})
    assert data.frequency == "1bd"
    assert not np.isnan(data.series[0].values).any()
    assert len(data.series[0].values) == 20


def test_without_times_the_order_of_the_rows_counts() -> None:
    data = read_series([{"y": 4.0}, {"y": 2.0}, {"y": 7.5}], target="y")
    assert data.frequency == "1i"
    assert data.series[0].values.tolist() == [4.0, 2.0, 7.5]


def test_unsorted_rows_are_sorted_and_said(tmp_path) -> None:
    path = _file(tmp_path, "day,y\n2020-01-03,3\n2020-01-01,1\n2020-01-02,2\n")
    data = read_series(path)
    assert data.series[0].values.tolist() == [1.0, 2.0, 3.0]
    assert any("were sorted" in note and "line 3" in note for note in data.notes)


def test_duplicate_times_name_both_lines(tmp_path) -> None:
    path = _file(tmp_path, "day,y\n2020-01-01,1\n2020-01-02,2\n2020-01-01,3\n")
    with pytest.raises(DataError, match=r"line 2 and .*line 4.*2020-01-01") as caught:
        read_series(path)
    assert "`series`" in str(caught.value)


def test_the_same_time_in_two_series_is_no_duplicate() -> None:
    rows = {
        "day": ["2020-01-01", "2020-01-02"] * 2,
        "shop": ["b", "b", "a", "a"],
        "y": [1, 2, 8, 9],
    }
    data = read_series(rows, series="shop")
    assert [(one.name, one.values.tolist()) for one in data.series] == [
        ("b", [1.0, 2.0]),
        ("a", [8.0, 9.0]),
    ]


def test_wide_tables_have_a_series_in_each_column() -> None:
    rows = {"m": ["2020-01", "2020-02"], "seoul": [1.5, 2.5], "busan": [7.0, 8.0], "rain": [3, 4]}
    data = read_series(rows, target=["seoul", "busan"])
    assert [one.name for one in data.series] == ["seoul", "busan"]
    assert data.series[1].values.tolist() == [7.0, 8.0]
    assert data.series[1].covariates["rain"].tolist() == [3.0, 4.0]


def test_a_time_between_two_steps_is_refused_with_its_line(tmp_path) -> None:
    lines = "".join(f"2020-01-01 0{h}:00,{h}\n" for h in range(5))
    path = _file(tmp_path, "t,y\n" + lines + "2020-01-01 05:20,5\n2020-01-01 06:00,6\n")
    with pytest.raises(DataError, match=r"line 7: times must be steps of 1h apart"):
        read_series(path)


def test_two_values_a_second_apart_do_not_make_a_grid_of_years() -> None:
    times = ["1990-01-01 00:00:00", "1990-01-01 00:00:01", "2020-01-01 00:00:00"]
    with pytest.raises(DataError, match="most times of a series must have a row"):
        read_series({"t": times, "y": [1, 2, 4]})


def test_rows_without_a_time_are_rejected_by_name(tmp_path) -> None:
    path = _file(tmp_path, "day,y\n2020-01-01,1\n,9\n2020-01-02,4\n")
    data = read_series(path)
    assert data.series[0].values.tolist() == [1.0, 4.0]
    assert [(str(path) + ", line 3", "it has no time")] == [
        (r.place, r.reason) for r in data.rejected
    ]


@pytest.mark.parametrize("bad", ["yesterday", "2020-13-01", "2020-02-30", "01/02/2020"])
def test_what_is_no_time_is_refused_with_its_line(tmp_path, bad) -> None:
    path = _file(tmp_path, f"day,y\n2020-01-01,1\n{bad},2\n")
    with pytest.raises(DataError, match="line 3: `day` must be a time") as caught:
        read_series(path, time="day")
    assert bad in str(caught.value)


@pytest.mark.parametrize("bad", ["12,5x", "inf", "abc"])
def test_what_is_no_number_is_refused_with_its_line(tmp_path, bad) -> None:
    path = _file(tmp_path, f"day;y\n2020-01-01;1\n2020-01-02;{bad}\n")
    with pytest.raises(DataError, match="line 3: `y` must be a number"):
        read_series(path, target="y")


@pytest.mark.parametrize("mark", ["NA", "NaN", "", "null"])
def test_missing_values_are_gaps(tmp_path, mark) -> None:
    path = _file(tmp_path, f"day,y\n2020-01-01,1\n2020-01-02,{mark}\n2020-01-03,3\n")
    np.testing.assert_array_equal(_values(path), [1.0, NAN, 3.0])


def test_the_target_must_be_named_if_several_columns_could_be_it() -> None:
    rows = {"m": ["2020-01", "2020-02"], "a": [1, 3], "b": [2, 5]}
    with pytest.raises(UsageError, match="2 were found: a, b"):
        read_series(rows)
    with pytest.raises(UsageError, match="did you mean 'kospi'"):
        read_series({"m": ["2020-01", "2020-02"], "kospi": [1, 2]}, target="kopsi")


def test_columns_of_many_names_or_none_are_left_out_and_said() -> None:
    rows = {
        "day": pl.date_range(pl.date(2024, 1, 1), pl.date(2024, 3, 10), eager=True),
        "y": np.arange(70) ** 2,
        "who": [f"name {n}" for n in range(70)],
        "empty": [None] * 70,
    }
    data = read_series(rows, target="y")
    assert data.covariates == ()
    assert "`who` has 70 different names and is left out" in data.notes
    assert "`empty` is empty and is left out" in data.notes


def test_names_with_quotes_and_commas_and_fields_of_several_lines(tmp_path) -> None:
    path = tmp_path / "sales.csv"
    rows = ["2024-01-01,1,5,a", '2024-01-02,2,6,"b\r\nb"', "2024-01-03,3,7,c", "2024-01-04,4,8,d"]
    head = 'day,"Sales, Seoul","the ""North""","no\nte"'
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([head, *rows]).encode())
    for given in ("Sales, Seoul", ["Sales", "Seoul"]):  # as it is, and parted by `--target`
        assert read_series(path, target=given).target == "Sales, Seoul"
    assert read_series(path, target='the "North"').target == 'the "North"'
    path.write_text("\n".join([head, *rows, "2024-01-05,5,many,e"]))
    with pytest.raises(DataError, match=r"sales.csv, line 8: `the \"North\"` must be a number"):
        read_series(path, target='the "North"')


def test_every_format_gives_the_same_series(tmp_path) -> None:
    table = pl.DataFrame({"day": ["2020-01-01", "2020-01-02"], "y": [1.25, -3.5]})
    table.write_csv(tmp_path / "a.csv")
    table.write_csv(tmp_path / "a.tsv", separator="\t")
    table.write_ndjson(tmp_path / "a.jsonl")
    table.with_columns(pl.col("day").str.to_date()).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    for path in (*tmp_path.iterdir(), table, table.to_dicts(), table.to_dict(as_series=False)):
        assert _values(path) == [1.25, -3.5], path


def test_several_files_are_put_together(tmp_path) -> None:
    first = _file(tmp_path, "day,y\n2020-01-01,1\n2020-01-02,5\n", "{1}.csv")
    second = _file(tmp_path, "day,y\n2020-01-03,2\n", "{2}.csv")
    assert _values([first, second]) == [1.0, 5.0, 2.0]
    other = _file(tmp_path, "day,z\n2020-01-03,2\n", "3.csv")
    with pytest.raises(DataError, match="cannot be read as one table"):
        read_series([first, other])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.csv", b""),
        ("header.csv", b"day,y\n"),
        ("ragged.csv", b"day,y\n2020-01-01,1,2,3\n"),
        ("bytes.csv", b"day,y\n2020-01-01,\xff\n"),
        ("cut.csv.gz", gzip.compress(b"day,y\n2020-01-01,1\n" * 99, mtime=0)[:-9]),
        ("no.parquet", b"PAR1"),
        ("no.jsonl", b"{"),
    ],
)
def test_damaged_files_are_refused(tmp_path, name, content) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        read_series(tmp_path / name)


@pytest.mark.parametrize("name", ["bomb.csv.gz", "bomb.csv", "bomb.parquet.gz", "bomb.jsonl.gz"])
def test_gzip_data_that_grows_out_of_all_proportion_is_refused(tmp_path, name) -> None:
    """As where rows are read; a gigabyte of zeros in a megabyte."""
    block = gzip.compress(bytes(2**24), mtime=0)
    (tmp_path / name).write_bytes(block * 64)
    start = time.process_time()
    with pytest.raises(DataError, match=r"bomb\..* grows more than 200 times") as caught:
        read_series(tmp_path / name)
    assert time.process_time() - start < 5
    assert "gzip -d" in str(caught.value.hint)


def test_a_long_file_in_gzip_is_read(tmp_path) -> None:
    days = np.datetime64("1000-01-01") + np.arange(9999)
    rows = "".join(f"{day},{n % 7}\n" for n, day in enumerate(days))
    (tmp_path / "long.csv.gz").write_bytes(gzip.compress(f"day,y\n{rows}".encode(), mtime=0))
    assert len(_values(tmp_path / "long.csv.gz")) == 9999


def test_a_pipe_is_not_waited_for(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="a pipe or device"):
        read_series(tmp_path / "pipe.csv")


def test_a_file_that_is_not_there_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match=r"nothing\.csv: expected a file, but there is none"):
        read_series(tmp_path / "nothing.csv")


def test_one_time_alone_is_no_series() -> None:
    with pytest.raises(DataError, match="two times or more"):
        read_series({"day": ["2020-01-01"], "y": [1]})


def test_a_series_without_a_value_is_named() -> None:
    rows = {"day": ["2020-01-01", "2020-01-02"] * 2, "shop": [*"aabb"], "y": [1, 2, None, None]}
    with pytest.raises(DataError, match="series 'b' must have values"):
        read_series(rows, series="shop", target="y")


def _days(values, **columns):
    days = (np.datetime64("2020-01-01") + np.arange(len(values))).astype(str).tolist()
    return read_series({"day": days, "y": list(values), **columns}, target="y")


def test_short_gaps_are_filled_and_long_ones_are_not() -> None:
    y = np.arange(40.0) ** 1.5
    y[[5, 20, 21, 22, 23]] = np.nan
    data = fill_gaps(_days(y, x=[1.0, None] * 20), longest=3)
    one = data.series[0]
    assert np.flatnonzero(one.filled).tolist() == [5]
    assert one.values[5] == pytest.approx((y[4] + y[6]) / 2)
    assert np.flatnonzero(np.isnan(one.values)).tolist() == [20, 21, 22, 23]
    assert one.covariates["x"].tolist() == [1.0] * 40
    assert data.notes[-3:] == [
        "values filled in gaps of up to 3 steps (linear): 1",
        "1 gaps of more than 3 steps (4 values) were not filled; no window reaches over them",
        "20 missing values of covariates were filled with the last one known",
    ]


def test_carry_keeps_the_last_value_and_refuse_names_the_gap() -> None:
    data = _days([1.0, 4.0, None, None, 2.0, 3.0])
    assert fill_gaps(data, "carry").series[0].values.tolist() == [1, 4, 4, 4, 2, 3]
    with pytest.raises(DataError, match="2 values from 2020-01-03"):
        fill_gaps(data, "refuse")
    with pytest.raises(UsageError, match="'zero'"):
        fill_gaps(data, "zero")  # type: ignore[arg-type]
