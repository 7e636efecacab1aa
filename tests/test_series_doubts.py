"""Values that may be no measurements are told, and those of real series are not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data.series import read_series

#: the columns of numbers of each file of real series
REAL = {
    "airline-passengers": ["Passengers"],
    "daily-min-temperatures": ["Temp"],
    "monthly-sunspots": ["Sunspots"],
    "pollution": ["pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir"],
    "korea-macro-monthly": ["leading_index", "coincident_index", "usd_krw", "kospi"],
}


def _told(values, **columns) -> list[str]:
    hours = np.datetime64("2020-03-01T00", "m") + 60 * np.arange(len(values))
    rows = {"hour": hours.astype(str).tolist(), "load": list(values), **columns}
    notes = read_series(rows, target=["load", *columns]).notes[1:]
    return [note for note in notes if "leave these rows out or empty" in note]


def _rhythm(count: int = 600, seed: int = 2) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=count)
    return (50 + 9 * np.sin(np.arange(count) * np.pi / 12) + noise).round(1)


@pytest.mark.parametrize("name", REAL)
def test_nothing_is_told_of_real_series(name) -> None:
    root = os.environ.get("SUNHWAN_DATA")
    if not root:
        pytest.skip("needs the folder that SUNHWAN_DATA names")
    data = read_series(Path(root) / "series" / f"{name}.csv", target=REAL[name], covariates=())
    assert not [note for note in data.notes if "leave these rows" in note]


@pytest.mark.parametrize(
    ("place", "value", "shown"),
    [
        (77, 9999.0, "9,999 at 2020-03-04 05:00:00"),
        (0, 547.0, "547 at 2020-03-01"),  # a decimal point lost
        (599, -450.25, "-450.25 at 2020-03-25 23:00:00"),
    ],
)
def test_a_slip_is_named_with_its_time_value_and_series(place, value, shown) -> None:
    values = _rhythm()
    assert _told(values) == []
    values[place] = value
    assert _told(values) == [
        f"values far from their neighbours: 1 ({shown} in series 'load'); if they are no "
        "measurements, leave these rows out or empty"
    ]


def test_slips_of_several_sizes_and_series_stand_in_one_note() -> None:
    load, flow = _rhythm(), 1e-3 * _rhythm(seed=3)
    load[[50, 51, 400]] = 9000.0, 700.0, -999.0
    flow[[9, 300]] = 12.0, -0.5
    (note,) = _told(load, flow=flow)
    assert note.startswith("values far from their neighbours: 5 (12 at 2020-03-01 09:00:00 in ")
    assert "9,000 at 2020-03-03 02:00:00 in series 'load', -999 at 2020-03-17" in note


@pytest.mark.parametrize("mark", [-999, -9999, 9999, 65535])
@pytest.mark.parametrize("share", [0.01, 0.4])
def test_a_mark_that_stands_often_is_counted(mark, share) -> None:
    values = _rhythm()
    places = np.flatnonzero(np.random.default_rng(7).random(len(values)) < share)
    values[places] = mark
    (note,) = _told(values)
    assert note.startswith(f"{mark:,} stands {len(places):,} times, far from all other values")
    first = str(np.datetime64("2020-03-01T00", "s") + 3600 * places[0]).replace("T", " ")
    assert f"(series 'load', first at {first});" in note


def test_two_marks_and_a_slip_are_told_apart() -> None:
    values = _rhythm()
    values[100:140], values[200:203], values[333] = -999, 9999, 600
    told = _told(values)
    assert [note.split(",")[0] for note in told[:2]] == ["9", "-999 stands 40 times"]
    assert told[2].startswith("values far from their neighbours: 1 (600 at ")


def test_a_slip_does_not_hide_a_mark() -> None:
    values = _rhythm()
    values[20], values[100:106] = 99999, -999
    told = _told(values)
    assert told[0].startswith("-999 stands 6 times")
    assert told[1].startswith("values far from their neighbours: 1 (99,999 at 2020-03-01 20:00:00")


def _steps() -> np.ndarray:
    """Ten levels, the last of which has only just begun."""
    random = np.random.default_rng(1)
    levels = np.repeat(1000.0 * random.permutation(10), 40)[:362]
    return levels + random.normal(size=362)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(_steps(), id="levels"),
        pytest.param(np.where(np.arange(360) % 12 == 11, 900.0, 100.0) + _rhythm(360), id="peaks"),
        pytest.param(np.where(np.arange(400) // 50 % 2, _rhythm(400) + 900, 0.0), id="switched"),
        pytest.param(np.random.default_rng(3).normal(size=900).cumsum(), id="walk"),
        pytest.param(
            np.random.default_rng(4).negative_binomial(0.3, 0.05, 900).astype(float), id="counts"
        ),
        pytest.param(np.append(np.full(60, 5.0), 6.0), id="constant"),
        pytest.param(np.arange(4.0), id="short"),
    ],
)
def test_what_belongs_to_a_series_is_not_told(values) -> None:
    assert _told(values) == []


def test_a_slip_of_a_meter_that_only_counts_up_is_told() -> None:
    values = np.arange(1000.0, 1400.0)
    assert _told(values) == []
    values[120] = 11200
    assert "1 (11,200 at 2020-03-06 in series 'load')" in _told(values)[0]
