"""Forecasts: no look ahead, windows that give back the truth, figures that mean what they say."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data.series import SeriesSet, read_series
from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.tasks import forecast_baselines as simple
from sunhwan.tasks import forecasting, forecasting_figures
from sunhwan.tasks.forecast_config import ForecastConfig
from sunhwan.tasks.forecast_learner import ForecastLearner
from sunhwan.tasks.forecasting_preparation import Cuts, fill_gaps, guess_season, split
from sunhwan.tasks.forecasting_scaling import Scaler
from sunhwan.tasks.forecasting_windows import Windows, windows

DAY = np.datetime64("2020-01-01")


def _days(values, **columns) -> SeriesSet:
    days = (DAY + np.arange(len(values))).astype(str).tolist()
    return read_series({"day": days, "y": list(values), **columns}, target="y")


def _waves(count: int = 200, seed: int = 5) -> SeriesSet:
    """A week's rhythm on a slow one, with noise and a covariate of each kind."""
    rng = np.random.default_rng(seed)
    t = np.arange(count)
    y = 20 + 3 * np.sin(2 * np.pi * t / 7) + 0.3 * rng.normal(size=count)
    wind = [("north", "south", "west")[n] for n in rng.integers(0, 3, count)]
    return fill_gaps(_days(y, rain=list(rng.random(count)), wind=wind))


def _ringing(count: int = 400) -> SeriesSet:
    """A value that its last two tell, but for a little noise."""
    rng = np.random.default_rng(11)
    y = np.zeros(count)
    for t in range(2, count):
        y[t] = 1.2 * y[t - 1] - 0.8 * y[t - 2] + 0.1 * rng.normal()
    return fill_gaps(_days(y))


def _parts(data: SeriesSet, *, input_length=10, horizon=4, season=7) -> tuple[Windows, ...]:
    cuts = split(data)
    scaler = Scaler.fit(data, cuts, horizon=horizon, season=season)
    train, validation, test = (
        windows(data, scaler, cuts, part, input_length=input_length, horizon=horizon)
        for part in ("train", "validation", "test")
    )
    return train, validation, test


def _model(part: Windows, horizon: int | None = None, **options):
    return forecasting.build_forecaster(
        input_length=part.past.shape[1],
        features=part.past.shape[2],
        future_features=part.future.shape[2],
        horizon=horizon or part.horizon,
        **options,
    )


@pytest.mark.parametrize(("test", "validation"), [(0.0, 0.1), (0.2, 0.0), (0.6, 0.4)])
def test_shares_that_leave_a_part_empty_are_refused(test, validation) -> None:
    with pytest.raises(UsageError, match="must be shares"):
        split(_waves(50), test, validation)


def test_nothing_is_learnt_from_what_comes_after_training() -> None:
    data = _waves()
    cuts = split(data)
    one = data.series[0]
    later = one.times >= cuts.validation
    strange = replace(
        one,
        values=np.where(later, one.values * 1000 + 7, one.values),
        covariates={
            "rain": np.where(later, 1e6, one.covariates["rain"]),
            "wind": np.where(later, "storm", one.covariates["wind"]).astype(object),
        },
    )
    changed = replace(data, series=[strange])
    scalers = [Scaler.fit(x, cuts, horizon=4, season=7) for x in (data, changed)]
    assert scalers[0].config() == scalers[1].config()
    assert guess_season(data, cuts) == guess_season(changed, cuts)
    options = {"input_length": 10, "horizon": 4}
    first, second = (windows(x, scalers[0], cuts, "train", **options) for x in (data, changed))
    for name in ("past", "future", "target", "truth"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_what_is_forecast_lies_within_its_part() -> None:
    data = _waves()
    cuts = split(data)
    times = data.series[0].times
    train, validation, test = _parts(data)
    for part, low, high in (
        (train, times[0], cuts.validation),
        (validation, cuts.validation, cuts.test),
        (test, cuts.test, times[-1] + 1),
    ):
        assert (times[part.origins + 1] >= low).all()
        assert (times[part.origins + part.horizon] < high).all()
    # the first forecast of the test part begins with its first value
    assert times[test.origins[0] + 1] == cuts.test


def test_what_is_read_does_not_change_with_what_comes() -> None:
    data = _waves()
    _, _, test = _parts(data)
    one = data.series[0]
    n = 9
    after = np.arange(len(one.values)) > test.origins[n]
    strange = replace(one, values=np.where(after, 5.0, one.values))
    strange.covariates["rain"] = np.where(after, 9.0, one.covariates["rain"])
    again = windows(
        replace(data, series=[strange]),
        test.scaler,
        split(data),
        "test",
        input_length=10,
        horizon=4,
    )
    np.testing.assert_array_equal(test.past[n], again.past[n])
    np.testing.assert_array_equal(test.base[n], again.base[n])
    assert not np.array_equal(test.truth[n], again.truth[n])


@pytest.mark.parametrize("anchor", ["last", "season"])
@pytest.mark.parametrize("logarithm", [False, True])
def test_targets_give_back_the_truth(anchor, logarithm) -> None:
    data = _waves()
    cuts = split(data)
    scaler = Scaler.fit(data, cuts, horizon=9, season=7)
    scaler = replace(scaler, anchor=anchor, logarithm=logarithm).extended(data, 9)
    part = windows(data, scaler, cuts, "test", input_length=10, horizon=9)
    np.testing.assert_allclose(part.restore(part.target), part.truth, rtol=1e-5)
    values = data.series[0].values
    back = part.origins[:, None] + 1 + np.arange(9) % 7 - 7
    expected = values[part.origins][:, None].repeat(9, 1) if anchor == "last" else values[back]
    np.testing.assert_allclose(scaler.inverse(part.base), expected)


def test_no_window_holds_a_gap_or_begins_at_a_filled_value() -> None:
    y = np.random.default_rng(3).normal(size=120)
    y[[30, 50, 51, 52, 53, 54, 55, 56, 57]] = np.nan
    data = fill_gaps(_days(y))
    cuts = Cuts(*data.series[0].times[[90, 100]])
    scaler = Scaler.fit(data, cuts, horizon=3, season=1)
    part = windows(data, scaler, cuts, "train", input_length=5, horizon=3)
    assert 30 not in part.origins
    assert not (set(range(47, 62)) & set(part.origins.tolist()))
    assert {46, 62} <= set(part.origins.tolist())
    assert np.isfinite(part.past).all()
    # the filled value is no truth
    assert np.isnan(part.truth[part.origins == 29][0, 0])
    assert not part.is_known[part.origins == 29][0, 0]


def test_the_scaler_is_plain_json_and_chooses_by_the_values() -> None:
    t = np.arange(120)
    growing = np.exp(0.02 * t) * (10 + 3 * np.sin(2 * np.pi * t / 12))
    months = (np.datetime64("1990-01") + t).astype(str).tolist()
    data = fill_gaps(read_series({"m": months, "y": growing.tolist()}))
    cuts = split(data)
    assert guess_season(data, cuts)[0] == 12
    scaler = Scaler.fit(data, cuts, horizon=12, season=12)
    assert (scaler.logarithm, scaler.anchor, scaler.keeps_level) == (True, "season", False)
    assert Scaler.from_config(json.loads(json.dumps(scaler.config()))) == scaler
    waves = _waves()
    calm = Scaler.fit(waves, split(waves), horizon=4, season=1)
    assert (calm.logarithm, calm.anchor, calm.keeps_level) == (False, "last", True)


def test_a_name_that_training_never_saw_is_none_of_all() -> None:
    data = _waves()
    scaler = Scaler.fit(data, split(data), horizon=4, season=7)
    one = data.series[0]
    column = one.covariates["wind"].copy()
    column[:2] = ["east", "south"]
    read = scaler.read_helpers(replace(one, covariates={**one.covariates, "wind": column}))
    assert read[:2, -3:].tolist() == [[0, 0, 0], [0, 1, 0]]


def test_a_part_that_is_too_short_is_refused_with_advice() -> None:
    with pytest.raises(DataError, match=r"train part must hold 300 steps.*\n?.*input_length"):
        _parts(_waves(), input_length=300, season=1)


def test_next_windows_end_where_the_data_ends() -> None:
    data = _waves()
    cuts = split(data)
    scaler = Scaler.fit(data, cuts, horizon=4, season=7)
    ahead = windows(data, scaler, cuts, "next", input_length=10, horizon=4)
    assert ahead.origins.tolist() == [199]
    assert not ahead.is_known.any()
    days = (DAY + np.arange(200, 204)).astype("datetime64[us]")
    np.testing.assert_allclose(ahead.future[0, :, :-1], scaler.calendar(days), rtol=1e-5)
    assert np.isfinite(ahead.past).all()


def test_a_series_with_too_few_steps_after_its_last_gap_is_told_how_many_are_read() -> None:
    data = _waves()
    cuts = split(data)
    scaler = Scaler.fit(data, cuts, horizon=4, season=7)
    one = data.series[0]
    values = one.values.copy()
    values[-6] = np.nan
    short = replace(data, series=[replace(one, values=values)])
    wanted = "reads the last 1[07] steps.*the longest of 1 series has 5 after its last gap"
    with pytest.raises(DataError, match=wanted):
        windows(short, scaler, cuts, "next", input_length=10, horizon=4)


def test_a_new_forecaster_says_the_simple_guess() -> None:
    _, _, test = _parts(_waves())
    said = forecasting.distances(_model(test, cell="simple", units=5, num_layers=2), test)
    np.testing.assert_array_equal(said, np.zeros((len(test), 4)))


def test_feeding_back_agrees_with_windows_cut_one_step_later() -> None:
    data = _waves()
    cuts = split(data)
    scaler = Scaler.fit(data, cuts, horizon=1, season=7)
    long, short = (windows(data, scaler, cuts, "test", input_length=6, horizon=h) for h in (2, 1))
    model = _model(short, units=6)
    rng = np.random.default_rng(8)
    model.set_weights([rng.normal(0, 0.2, w.shape) for w in model.get_weights()])
    said = long.restore(forecasting.distances(model, long))
    np.testing.assert_allclose(
        said[:, 0], short.restore(forecasting.distances(model, short))[: len(long), 0], rtol=1e-5
    )
    # what was said first, written into the series, must lead to what was said second
    one = data.series[0]
    n = 6
    values = one.values.copy()
    values[long.origins[n] + 1] = said[n, 0]
    helpers = {k: v.copy() for k, v in one.covariates.items()}
    for column in helpers.values():
        column[long.origins[n] + 1] = column[long.origins[n]]
    changed = replace(data, series=[replace(one, values=values, covariates=helpers)])
    after = windows(changed, scaler, cuts, "test", input_length=6, horizon=1)
    row = np.flatnonzero(after.origins == long.origins[n] + 1)
    after = after.take(row)
    np.testing.assert_allclose(
        said[n, 1], after.restore(forecasting.distances(model, after))[0, 0], rtol=1e-5
    )


def test_a_model_of_another_horizon_is_refused() -> None:
    _, _, test = _parts(_waves())
    with pytest.raises(ShapeError, match="1 step or the 4"):
        forecasting.distances(_model(test, horizon=3), test)
    with pytest.raises(UsageError, match="'rnn'"):
        _model(test, cell="rnn")


def test_naive_forecasts_by_hand() -> None:
    data = fill_gaps(_days([1.0, 2.0, 4.0, 8.0, 3.0, 5.0, 9.0, 7.0, 6.0, 12.0, 11.0, 10.0]))
    cuts = Cuts(*data.series[0].times[[6, 8]])
    scaler = Scaler.fit(data, cuts, horizon=2, season=3)
    test = windows(data, scaler, cuts, "test", input_length=2, horizon=2)
    assert test.origins.tolist() == [7, 8, 9]
    assert simple.naive(test).tolist() == [[7, 7], [6, 6], [12, 12]]
    assert simple.seasonal_naive(test)[0].tolist() == [[5, 9], [9, 7], [7, 6]]
    slope = (7.0 - 1.0) / 7
    np.testing.assert_allclose(simple.drift(test)[0], [7 + slope, 7 + 2 * slope])
    metrics, best = forecasting_figures.figures(
        test, test.truth + 1.0, {"naive": simple.naive(test), "drift": simple.drift(test)}
    )
    # |6-7| |12-7| |12-6| |11-6| |11-12| |10-12| is 20 in all
    assert best == "naive"
    assert metrics["skill"] == pytest.approx(1 - 6 / 20)
    assert metrics["skill_by_step"] == pytest.approx([1 - 3 / 8, 1 - 3 / 12])
    # steps of three: 7 0 1 1 4 between the eight values before the test part
    assert metrics["mase"] == pytest.approx(1 / np.mean([7, 1, 1, 1, 4]))


def test_autoregression_finds_a_rule_that_is_there() -> None:
    parts = _parts(_ringing(), season=1)
    found = {one.name: one.record(parts[2])["metrics"] for one in simple.baselines(*parts)}
    # no season was found, and that of the calendar is tried all the same
    assert set(found) == {"naive", "seasonal-naive", "drift", "autoregression"}
    assert found["autoregression"]["mae"] < 0.5 * found["naive"]["mae"]


def test_intervals_cover_as_much_as_they_say() -> None:
    data = fill_gaps(_days(np.random.default_rng(4).normal(size=3000)))
    _, validation, test = _parts(data, season=1)
    level = test.scaler.levels["y"][0]

    def mean_of(part):
        return (level - part.base) / part.spread

    widths, notes = forecasting_figures.fit_intervals(validation, mean_of(validation))
    ends = forecasting_figures.intervals(test, mean_of(test), widths)
    covered = forecasting_figures.coverage(test, ends)
    assert notes == []
    assert covered["0.8"] == pytest.approx(0.8, abs=0.04)
    assert covered["0.95"] == pytest.approx(0.95, abs=0.02)


def test_too_few_windows_for_an_interval_are_said() -> None:
    _, validation, _ = _parts(_waves(120))
    few = validation.take(np.arange(3))
    missed = np.abs(few.target)
    widths, notes = forecasting_figures.fit_intervals(few, np.zeros_like(missed))
    assert len(notes) == 3
    assert "few windows (3) and too few errors for 95% (12)" in notes[1]
    assert widths["0.8"] == pytest.approx([np.sort(missed.ravel())[10]] * 4)
    assert widths["0.95"] == pytest.approx([missed.max()] * 4)
    # windows that overlap miss the same value by the same, here the two largest errors
    assert widths["0.8"] == widths["0.95"]
    assert notes[2].startswith("the intervals of 80% and 95% are the same")
    differing = np.random.default_rng(1).normal(size=missed.shape)
    assert len(forecasting_figures.fit_intervals(few, differing)[1]) == 2


def test_a_forecast_that_repeats_the_last_value_is_called_so() -> None:
    walk = np.cumsum(np.random.default_rng(6).normal(size=400))
    _, _, test = _parts(fill_gaps(_days(walk)), season=1)
    copied = simple.naive(test)
    assert "repeats the last value" in (forecasting_figures.repeats_last(test, copied) or "")
    assert forecasting_figures.repeats_last(test, test.truth + 0.01) is None


def test_records_are_plain_and_show_what_was_read() -> None:
    _, _, test = _parts(_waves())
    rows = test.take(np.array([0, 5]))
    guess = simple.naive(rows)
    found = forecasting_figures.records(rows, guess, guess - 1, guess + 1, guess)
    assert json.loads(json.dumps(found)) == found
    assert found[1]["past"][-1] == [str(DAY + rows.origins[1]), guess[1, 0]]
    assert found[1]["truth"] == rows.truth[1].tolist()


def test_a_trained_forecaster_beats_every_naive_one() -> None:
    import keras

    train, validation, test = _parts(_ringing(), season=1)
    model = _model(train, units=8)
    model.compile(keras.optimizers.Adam(1e-2), loss="mae")
    model.fit([train.past, train.future], train.target, batch_size=32, epochs=6, verbose=0)
    said = test.restore(forecasting.distances(model, test))
    naive = {x.name: x.predicted for x in simple.baselines(train, validation, test) if x.is_naive}
    metrics, _ = forecasting_figures.figures(test, said, naive)
    assert metrics["skill"] > 0.28


def test_a_slip_decides_neither_season_nor_scales() -> None:
    """As of visitors a day with a weekly rhythm, one of which was written as 9999."""
    draw = np.random.default_rng(6)
    values = 200 + 40 * np.sin(np.arange(420) * 2 * np.pi / 7) + draw.normal(0, 6, 420)
    slipped = values.copy()
    slipped[201] = 9999.0
    days = (DAY + np.arange(420)).astype(str).tolist()
    learners = []
    for series in (values, slipped):
        data = fill_gaps(read_series({"day": days, "visitors": series.tolist()}))
        learner = ForecastLearner(ForecastConfig(horizon=7, epochs=1))
        learner.prepare(data, split(data))
        learners.append(learner)
    clean, dirty = learners
    assert clean.config.season == dirty.config.season == 7
    ours, theirs = clean.encoder.scaler, dirty.encoder.scaler
    assert (ours.logarithm, ours.anchor) == (theirs.logarithm, theirs.anchor)
    assert theirs.spreads["visitors"] == pytest.approx(ours.spreads["visitors"], rel=0.02)


def test_each_series_has_its_own_scale() -> None:
    small = np.random.default_rng(2).normal(size=100)
    days = (DAY + np.arange(100)).astype(str).tolist()
    rows = {"day": days, "a": small.tolist(), "b": (5e4 + 1000 * small[::-1]).tolist()}
    data = fill_gaps(read_series(rows, target=["a", "b"]))
    train, _, test = _parts(data, season=1)
    assert np.bincount(test.series).tolist() == [17, 17]
    np.testing.assert_allclose(test.restore(test.target), test.truth, rtol=1e-4, atol=1e-5)
    for number in (0, 1):
        assert 0.5 < train.target[train.series == number].std() < 1.5
    stranger = replace(data, series=[replace(data.series[0], name="c")])
    known = test.scaler.extended(stranger, 4)
    assert set(known.spreads) == {"a", "b", "c"}
    cuts = split(stranger)
    assert len(windows(stranger, known, cuts, "test", input_length=10, horizon=4)) == 17
    with pytest.raises(DataError, match="series 'c'"):
        windows(stranger, test.scaler, cuts, "test", input_length=10, horizon=4)


@pytest.mark.parametrize(
    ("first", "step", "ahead"),
    [
        ("2024-01", 1, ["2024-06-01", "2024-07-01"]),
        ("2024-01-31T22:00", 15, ["2024-01-31T23:15:00", "2024-01-31T23:30:00"]),
    ],
)
def test_the_times_after_the_end_follow_the_frequency(first, step, ahead) -> None:
    times = (np.datetime64(first) + step * np.arange(5)).astype(str).tolist()
    data = read_series({"t": times, "y": [3, 1, 4, 2, 9]})
    cuts = Cuts(*data.series[0].times[[3, 4]])
    scaler = replace(Scaler.fit(data, cuts, horizon=1, season=1), cycles=["day", "year"])
    found = windows(data, scaler, cuts, "next", input_length=2, horizon=2)
    expected = scaler.calendar(np.array(ahead, "datetime64[us]"))
    np.testing.assert_allclose(found.future[0, :, :-1], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "season", "anchor", "logarithm"),
    [
        ("airline-passengers.csv", 12, "season", True),
        ("daily-min-temperatures.csv", 365, "last", False),
        ("monthly-sunspots.csv", 127, "last", True),
    ],
)
def test_what_is_chosen_for_real_series(name, season, anchor, logarithm) -> None:
    root = os.environ.get("SUNHWAN_DATA")
    if not root:
        pytest.skip("needs the folder that SUNHWAN_DATA names")
    data = fill_gaps(read_series(Path(root) / "series" / name))
    cuts = split(data)
    assert guess_season(data, cuts)[0] == season
    scaler = Scaler.fit(data, cuts, horizon=12, season=season)
    assert (scaler.anchor, scaler.logarithm) == (anchor, logarithm)
