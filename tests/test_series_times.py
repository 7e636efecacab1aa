"""Times as people write them, and columns that were meant to hold times."""

from __future__ import annotations

import numpy as np
import pytest

from sunhwan.data.series import read_series
from sunhwan.data.values import to_time
from sunhwan.errors import DataError, UsageError

VALUES = [3.0, 8.0, 1.0, 6.0]
MONTHS = np.array(["2023-11", "2023-12", "2024-01", "2024-02"], "datetime64[us]")


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("날짜", ["2024년 1월", "2023년 12월", "2023년 11월", "2024년 2월"]),
        ("달", ["2024년 01월 01일", "2023년 12월 1일", "2023년 11월 1일", "2024년 2월 01일"]),
        ("연월", ["2024.01", "2023.12", "2023.11", "2024.02"]),
        ("month", ["202401", "202312", "202311", "202402"]),
        ("when", ["2024-01", "2023-12", "2023-11", "2024-02"]),
    ],
)
def test_unsorted_months_are_put_in_order(name, times) -> None:
    found = read_series({name: times, "매출": VALUES})
    np.testing.assert_array_equal(found.series[0].times, MONTHS)
    assert found.series[0].values.tolist() == [1.0, 8.0, 3.0, 6.0]


def test_hours_and_minutes_in_korean() -> None:
    times = [f"2024년 3월 {day}일 {hour}시 5분" for day in (9, 10) for hour in (0, 12)]
    found = read_series({"일시": times, "y": VALUES})
    assert str(found.series[0].times[1]) == "2024-03-09T12:05:00.000000"


def test_a_number_is_a_time_only_where_its_name_says_so() -> None:
    table = {"price": ["2024.01", "2023.12", "2023.11", "2024.02"], "y": VALUES}
    with pytest.raises(UsageError, match="2 were found: price, y") as caught:
        read_series(table)
    assert "name it with `time`" in str(caught.value.hint)


def test_times_that_cannot_be_read_are_not_passed_over() -> None:
    table = {"날짜": ["1월 첫째", "2월 첫째", "3월 첫째", "4월 첫째"], "y": VALUES}
    with pytest.raises(UsageError, match="'날짜' is named like a time, but '1월 첫째' cannot"):
        read_series(table)
    weekdays = {"day": ["Mon", "Tue"] * 10, "y": list(range(20, 0, -1))}
    assert read_series(weekdays).frequency == "1i"


def test_a_slip_in_a_column_does_not_take_it_out_of_the_choice() -> None:
    days = [f"2024-01-{day:02d}" for day in range(1, 29)]
    heat = [str(day * 7 % 11) for day in range(28)]
    heat[9] = "n/a?"
    with pytest.raises(UsageError, match="2 were found: heat, damp"):
        read_series({"day": days, "heat": heat, "damp": VALUES * 7})
    with pytest.raises(DataError, match=r"'n/a\?'"):
        read_series({"day": days, "heat": heat, "damp": VALUES * 7}, target="heat")


def test_dates_in_korean_order_rows_too() -> None:
    assert to_time("2024년 1월 31일", "날짜") == to_time("2024-01-31", "날짜")
    assert to_time("2024년 2월", "날짜") == to_time("2024-02-01", "날짜")
