"""Which season is taken: the shorter one, unless a longer one is clearly better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sunhwan.data.series import SeriesSet, read_series
from sunhwan.tasks.forecasting_preparation import fill_gaps, guess_season, split


def _hours(weeks: int, weekend: float, seed: int, noise: float = 1.5) -> SeriesSet:
    """A day's rhythm that falls by `weekend` on two days, with noise that lasts some hours."""
    random, count = np.random.default_rng(seed), 168 * weeks
    t, rest = np.arange(count), np.zeros(count)
    for step in range(1, count):
        rest[step] = 0.8 * rest[step - 1] + random.normal()
    y = 50 + 8 * np.sin(t * np.pi / 12) + 4 * np.cos(t * np.pi / 6) + noise * rest
    y -= weekend * (t // 24 % 7 >= 5)
    hours = (np.datetime64("2024-01-01T00", "m") + 60 * t).astype(str).tolist()
    return fill_gaps(read_series({"hour": hours, "load": y.tolist()}))


def _season(data: SeriesSet) -> tuple[int, str]:
    return guess_season(data, split(data))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("weekend", "noise"), [(0.0, 1.5), (1.0, 1.5), (0.0, 0.1)])
def test_a_weak_week_does_not_stand_in_for_a_day(weekend, noise, seed) -> None:
    season, why = _season(_hours(14, weekend, seed, noise))
    assert season == 24
    assert why.endswith("seen in these; one of 168 steps is not clearly better")


@pytest.mark.parametrize("seed", range(3))
def test_a_strong_week_is_taken(seed) -> None:
    season, why = _season(_hours(14, 12.0, seed))
    assert season == 168
    assert why.endswith("common for hourly values and seen in these")


def test_a_week_seen_but_twice_is_not_taken() -> None:
    # 4 weeks, of which 70 % are learnt from: fewer than three whole ones
    assert _season(_hours(4, 12.0, 0))[0] == 24


def test_the_choice_does_not_see_what_comes_after_training() -> None:
    data = _hours(14, 1.0, 0)
    cuts, one = split(data), data.series[0]
    later = one.times >= cuts.validation
    changed = replace(one, values=np.where(later, 12.0 * (one.values % 7), one.values))
    assert guess_season(replace(data, series=[changed]), cuts) == guess_season(data, cuts)


def test_gaps_do_not_count() -> None:
    data = _hours(14, 12.0, 1)
    one = data.series[0]
    values = np.where(np.random.default_rng(0).random(len(one.values)) < 0.3, np.nan, one.values)
    assert _season(replace(data, series=[replace(one, values=values)]))[0] == 168


@pytest.mark.parametrize("period", [8, 11, 20])
@pytest.mark.parametrize("count", [150, 600, 2000])
def test_an_uncommon_season_is_not_taken_for_its_double(period, count) -> None:
    t = np.arange(count)
    y = 3 * np.sin(2 * np.pi * t / period) + np.random.default_rng(9).normal(size=count)
    data = read_series({"y": y.tolist()}, time=(), target="y")
    assert abs(_season(data)[0] - period) <= 1
