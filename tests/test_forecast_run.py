"""Runs that forecast: from a table to a folder, and what the folder is good for."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

import sunhwan
from sunhwan.data.series import read_series
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.tasks import forecast_run, forecast_sources, running
from sunhwan.tasks.config import make_config, make_options, read_options
from sunhwan.tasks.forecast_batches import WindowBatches
from sunhwan.tasks.forecast_encoder import SeriesEncoder
from sunhwan.tasks.forecaster import Forecaster
from sunhwan.tasks.forecasting_preparation import fill_gaps

OPTIONS = {"units": 6, "horizon": 4, "input_length": 9, "season": 7, "epochs": 4}
DAY = np.datetime64("2020-01-01")
STEPS = 200
COLUMNS = {"target": "sold", "covariates": "rain, wind"}


def lines(count: int = STEPS, seed: int = 5, first: int = 0) -> list[str]:
    """A week's rhythm that rain lowers, with one gap, as rows of a CSV."""
    rng = np.random.default_rng(seed)
    t = np.arange(count)
    rain = rng.random(count)
    sold = 20 + 3 * np.sin(2 * np.pi * t / 7) - 2 * rain + 0.3 * rng.normal(size=count)
    wind = [("north", "south", "west")[n] for n in rng.integers(0, 3, count)]
    cells = [f"{y:.3f}" if n != 31 else "" for n, y in enumerate(sold)]
    rows = zip(DAY + t, cells, rain, wind, strict=True)
    return [f"{day},{cell},{wet:.3f},{name}" for day, cell, wet, name in rows][first:]


def write(path: Path, rows: list[str]) -> Path:
    path.write_text("\n".join(["day,sold,rain,wind", *rows, ""]), encoding="utf-8")
    return path


def begin(table: Path, out: Path, **more: Any) -> RunFolder:
    options = make_options({"task": "forecast", **OPTIONS, **more.pop("options", {})})
    data = running.Data((str(table),), more.pop("test", ()), more.pop("named", COLUMNS))
    return running.start(options, data, out, **more)


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory) -> Any:
    """Compile what all runs share once."""

    def keep(folder: Path | None) -> None:
        compilation_cache.reset_cache()
        jax.config.update("jax_compilation_cache_dir", folder and str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0 if folder else 1.0)

    keep(tmp_path_factory.mktemp("compiled"))
    yield
    keep(None)


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("data") / "shop.csv", lines())


@pytest.fixture(scope="module")
def run(table, tmp_path_factory) -> RunFolder:
    return begin(table, tmp_path_factory.mktemp("runs") / "run")


def weights(run: RunFolder) -> bytes:
    return run.file("weights.safetensors").read_bytes()


def test_a_run_leaves_everything(run) -> None:
    assert run.state == "finished"
    results = run.read("results.json")
    assert (results["task"], results["kind"], results["title"]) == (
        "forecast",
        "series",
        "forecast: shop.csv",
    )
    names = [one["name"] for one in results["baselines"]]
    assert names == ["naive", "seasonal-naive", "drift", "autoregression"]
    metrics = results["metrics"]
    best = min(one["metrics"]["mae"] for one in results["baselines"][:3])
    assert metrics["skill"] == pytest.approx(1 - metrics["mae"] / best)
    assert len(metrics["skill_by_step"]) == 4
    assert set(results["coverage"]) == {"0.8", "0.95"}
    shown = results["forecasts"][0]
    assert len(shown["past"]) == 9
    assert len(shown["median"]) == len(shown["low_80"]) == len(shown["naive"]) == 4
    assert results["data"]["train"] + results["data"]["validation"] + results["data"]["test"] > 100
    assert results["data"]["files"] == run.read("environment.json")["files"]
    assert "a season of 7 steps" in " ".join(results["data"]["notes"])
    rows = list(run.read_predictions())
    assert len(rows) == results["data"]["test"]
    found = np.mean([abs(np.subtract(row["true"], row["predicted"])).mean() for row in rows])
    assert metrics["mae"] == pytest.approx(found)
    page = run.file("report.html").read_text(encoding="utf-8")
    assert "sunhwan train forecast" in page
    assert "skill" in page


def test_the_difference_from_each_baseline_agrees_with_the_skill(run) -> None:
    results = run.read("results.json")
    best = min(results["baselines"][:3], key=lambda one: one["metrics"]["mae"])
    for one in results["baselines"]:
        found = one["difference"]["mae"]
        own = results["metrics"]["mae"]
        assert found["value"] == pytest.approx(own - one["metrics"]["mae"])
        assert found["interval"][0] <= found["value"] <= found["interval"][1]
        assert 0 < found["p"] <= 1
        assert found["test"] == "permutation"
    # the same pieces of the series were drawn for both, so they are of one mind
    skill, difference = results["intervals"]["skill"], best["difference"]["mae"]["interval"]
    assert (skill[0] > 0, skill[1] < 0) == (difference[1] < 0, difference[0] > 0)


def test_all_options_are_kept(run) -> None:
    kept = run.read("config.json")
    assert all(value is not None for value in kept["options"].values())
    assert kept["options"]["batch_size"] == 8
    assert kept["given"] == OPTIONS
    options = read_options(run.path / "config.json", "forecast")
    assert make_options({"task": "forecast", **options}).horizon == 4


def test_no_window_crosses_a_split(run, table) -> None:
    learner = forecast_run.load(run.path)
    data = forecast_sources.like_training(learner, [table], forecast_sources.reader_of(run.path))
    times, cuts = data.series[0].times, learner.encoder.cuts
    seen = {"train": (times[0], cuts.validation), "validation": (cuts.validation, cuts.test)}
    for part, (low, high) in {**seen, "test": (cuts.test, times[-1] + 1)}.items():
        found = learner.windows(data, part)
        assert (times[found.origins + 1] >= low).all()
        assert (times[found.origins + found.horizon] < high).all()


def test_nothing_is_learnt_from_the_test_part(run, table, tmp_path) -> None:
    cut = forecast_run.load(run.path).encoder.cuts.test
    rows = [row.split(",") for row in lines()]
    for row in rows:
        if np.datetime64(row[0]) >= cut:
            row[1], row[2], row[3] = str(7 * float(row[1]) - 500), "90", "storm"
    changed = begin(write(tmp_path / "shop.csv", [",".join(row) for row in rows]), tmp_path / "run")
    assert weights(changed) == weights(run)
    assert changed.read("model.json") == run.read("model.json")
    scalers = [one.read("encoder.json")["scaler"] for one in (changed, run)]
    assert scalers[0] == scalers[1]
    assert changed.read("results.json")["metrics"] != run.read("results.json")["metrics"]


def test_the_end_that_is_kept_is_forecast_as_the_whole_file(run, table) -> None:
    ahead = forecast_run.predict(run.path)
    assert ahead == forecast_run.predict(run.path, [table])
    last = DAY + STEPS - 1
    assert [row["time"] for row in ahead.rows] == [str(last + n) for n in range(1, 5)]
    assert {row["series"] for row in ahead.rows} == {"sold"}
    for row in ahead.rows:
        ends = [row[n] for n in ("low_95", "low_80", "predicted", "high_80", "high_95")]
        assert ends == sorted(ends)


def test_later_data_is_forecast_from_its_own_end(run, tmp_path) -> None:
    later = write(tmp_path / "later.csv", lines(STEPS + 30, first=STEPS))
    found = forecast_run.predict(run.path, [later])
    assert found.rows[0]["time"] == str(DAY + STEPS + 30)
    assert found.rows[0]["predicted"] != forecast_run.predict(run.path).rows[0]["predicted"]


def test_a_series_that_is_too_short_is_named(run, tmp_path) -> None:
    short = write(tmp_path / "short.csv", lines(STEPS + 12, first=STEPS))
    with pytest.raises(DataError, match=r"reads the last 16 steps.*has 12 after"):
        forecast_run.predict(run.path, [short])


def test_the_same_file_is_judged_by_its_test_part(run, table) -> None:
    judged = running.evaluate(run.path, [table])
    results = run.read("results.json")
    assert judged["skill_by_step"] == results["metrics"].pop("skill_by_step")
    assert judged["metrics"] == results["metrics"]
    assert judged["rows"] == results["data"]["test"]
    assert judged["intervals"] == results["intervals"]
    assert all(type(value) is float for value in judged["metrics"].values())


def test_other_series_are_judged_whole(run, tmp_path) -> None:
    text = write(tmp_path / "b.csv", lines(60, seed=8)).read_text(encoding="utf-8")
    rows = [f"{line},{'shop' if n == 0 else 'other'}" for n, line in enumerate(text.splitlines())]
    (tmp_path / "b.csv").write_text("\n".join(rows), encoding="utf-8")
    learner = forecast_run.load(run.path)
    reader = {**forecast_sources.reader_of(run.path), "series": "shop"}
    data = forecast_sources.like_training(learner, tmp_path / "b.csv", reader)
    assert data.series[0].name == "other"
    judged = forecast_run.judge(learner, data)
    # 16 steps are read before the first, and no window begins at the filled value
    assert judged["rows"] == 60 - 16 - 3 - 1
    assert judged["notes"][-1] == "judged from 2020-01-01 on"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (lines(100), "nothing is left to judge by"),
        ([f"{DAY + 7 * n},{n % 5},0.1,west" for n in range(60)], "must be daily as in training"),
        ([f"{row.rsplit(',', 1)[0]},{n}" for n, row in enumerate(lines())], "numbers or names"),
    ],
)
def test_data_unlike_that_of_the_training_is_refused(run, tmp_path, rows, says) -> None:
    with pytest.raises(DataError, match=says):
        running.evaluate(run.path, [write(tmp_path / "other.csv", rows)])


def test_a_covariate_that_is_missing_is_named(run, tmp_path) -> None:
    (tmp_path / "bare.csv").write_text("day,sold\n2020-01-01,3\n2020-01-02,4\n", encoding="utf-8")
    with pytest.raises(UsageError, match="`covariates` must be one of the columns day, sold"):
        forecast_run.predict(run.path, [tmp_path / "bare.csv"])


class Pressing(Progress):
    """Ctrl-C in the second batch of the third epoch."""

    epochs = 0

    def batch(self, number: int, batches: int) -> None:
        if (self.epochs, number) == (2, 2):
            signal.raise_signal(signal.SIGINT)

    def epoch(self, number: int, logs: Any) -> None:
        self.epochs = number


def test_a_run_that_was_interrupted_ends_with_the_same_bits(run, table, tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt, match="batch 2 of"):
        begin(table, tmp_path / "run", progress=Pressing())
    with pytest.raises(DataError, match="training did not finish"):
        forecast_run.load(tmp_path / "run")
    resumed = running.resume(tmp_path / "run")
    assert weights(resumed) == weights(run)
    results = resumed.read("results.json"), run.read("results.json")
    for name in ("metrics", "intervals", "forecasts", "coverage", "history", "best_epoch", "data"):
        assert results[0][name] == results[1][name], name
    with pytest.raises(UsageError, match="this run is finished"):
        running.resume(tmp_path / "run")


def test_a_run_whose_data_changed_does_not_go_on(tmp_path) -> None:
    table = write(tmp_path / "shop.csv", lines())
    with pytest.raises(KeyboardInterrupt):
        begin(table, tmp_path / "run", progress=Pressing())
    write(table, lines(seed=6))
    with pytest.raises(UsageError, match="the data has changed"):
        running.resume(tmp_path / "run")


def test_test_data_begins_the_test_part(run, tmp_path) -> None:
    cut = (forecast_run.load(run.path).encoder.cuts.test - DAY).astype("timedelta64[D]").astype(int)
    rows = lines()
    first = write(tmp_path / "first.csv", rows[:cut])
    then = write(tmp_path / "then.csv", rows[cut:])
    parted = begin(first, tmp_path / "run", test=(str(then),), options={"validation": 0.125})
    assert weights(parted) == weights(run)
    assert parted.read("results.json")["metrics"] == run.read("results.json")["metrics"]
    with pytest.raises(DataError, match="must go on after the end"):
        begin(first, tmp_path / "again", test=(str(write(tmp_path / "b.csv", rows[cut - 1 :])),))


@pytest.mark.parametrize(
    ("named", "options", "error", "says"),
    [
        ({"label": "wind"}, {}, UsageError, "`label` has no meaning for `forecast`"),
        ({"target": "sale"}, {}, UsageError, "`target` must be one of the columns"),
        ({}, {}, DataError, "`sold` must be named|must be named"),
        (COLUMNS, {"horizon": 30}, DataError, "the validation part must hold"),
        (COLUMNS, {"test": 0}, UsageError, "must be shares above 0"),
        (COLUMNS, {"fill": "refuse"}, DataError, "must have no gap"),
    ],
)
def test_what_cannot_be_a_run_leaves_no_folder(
    table, tmp_path, named, options, error, says
) -> None:
    with pytest.raises((UsageError, DataError), match=says):
        begin(table, tmp_path / "run", named=named, options=options)
    assert not (tmp_path / "run").exists()


def test_a_run_is_loaded_by_its_task_alone(run) -> None:
    with pytest.raises(DataError, match="must be classify or regress or tag here"):
        running.load(run.path)
    assert isinstance(sunhwan.load(run.path), Forecaster)
    assert sunhwan.load(run.path).predict().rows(named=True) == forecast_run.predict(run.path).rows


def test_a_network_larger_than_its_weights_is_not_built(run, tmp_path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    for name in ("run.json", "config.json", "model.json"):
        kept = json.loads((copy / name).read_text(encoding="utf-8"))
        kept.get("options", {}).update(units=8192)
        kept.get("network", {}).update(units=8192)
        if name == "run.json":
            kept["sha256"] = {}
        (copy / name).write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(DataError, match="larger than the file of its weights"):
        forecast_run.load(copy)


def test_options_are_those_of_the_task() -> None:
    with pytest.raises(UsageError, match="`embedding` has no meaning for `forecast`"):
        make_options({"task": "forecast", "embedding": 3})
    with pytest.raises(UsageError, match="`horizon` has no meaning for `classify`"):
        make_options({"task": "classify", "horizon": 3})
    with pytest.raises(UsageError, match="called `input_length` here"):
        make_options({"task": "forecast", "lookback": 3})
    with pytest.raises(UsageError, match="did you mean `horizon`"):
        make_options({"task": "forecast", "horizn": 3})
    with pytest.raises(UsageError, match="`mode`: input should be 'direct' or 'fed-back'"):
        make_options({"task": "forecast", "mode": "both"})
    assert make_options({"task": "tag"}) == make_config({"task": "tag"})


def test_batches_hold_the_past_and_future_of_the_same_windows(run, table) -> None:
    learner = forecast_run.load(run.path)
    data = forecast_sources.like_training(learner, [table], forecast_sources.reader_of(run.path))
    part = learner.windows(data, "test")
    batches = WindowBatches(part, batch_size=8, seed=3)
    batches.start(2)
    known = {one.tobytes(): row for row, one in enumerate(part.past)}
    seen = []
    for index in range(len(batches)):
        (past, future), target, counts = batches[index]
        rows = [known[one.tobytes()] for one in past]
        np.testing.assert_array_equal(future, part.future[rows])
        np.testing.assert_array_equal(target, part.target[rows])
        seen += [row for row, count in zip(rows, counts, strict=True) if count]
    assert sorted(seen) == list(range(len(part)))
    assert seen != sorted(seen)


def test_an_encoder_comes_back_as_it_was(run) -> None:
    kept = run.read("encoder.json")
    assert SeriesEncoder.from_config(kept, "here").config() == kept


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda kept: kept["scaler"]["spreads"].update(sold=0.0), "`scaler`"),
        (lambda kept: kept["scaler"]["cycles"].append("moon"), "`scaler`"),
        (lambda kept: kept["scaler"]["helpers"].pop("rain"), "`scaler`"),
        (lambda kept: kept["scaler"].pop("anchor"), "`anchor`"),
        (lambda kept: kept["last"][0]["times"].reverse(), "series 'sold'"),
        (lambda kept: kept["last"][0]["values"].pop(), "series 'sold'"),
        (lambda kept: kept["last"][0]["covariates"]["wind"].append(3.0), "series 'sold'"),
        (lambda kept: kept["last"].append(kept["last"][0]), "`scaler`"),
        (lambda kept: kept.update(frequency="1 day"), "`frequency`"),
        (lambda kept: kept.update(test=2**62), "`test`"),
        (lambda kept: kept.update(extra=1), "`extra`"),
    ],
)
def test_a_damaged_encoder_is_refused(run, change, says) -> None:
    kept = json.loads(json.dumps(run.read("encoder.json")))
    change(kept)
    with pytest.raises(DataError, match=f"here: .*{says}|here: {says}"):
        SeriesEncoder.from_config(kept, "here")


@pytest.fixture(scope="module")
def arrays() -> np.ndarray:
    rng = np.random.default_rng(9)
    t = np.arange(160)
    first = 5 + np.sin(2 * np.pi * t / 8) + 0.1 * rng.normal(size=160)
    return np.stack([first, 1000 * first[::-1]], axis=1)


@pytest.fixture(scope="module")
def forecaster(arrays) -> Forecaster:
    options = {"units": 6, "horizon": 5, "input_length": 8, "season": 8, "epochs": 3}
    return Forecaster(**options, mode="fed-back").fit(arrays)


def test_a_forecaster_keeps_scikit_learns_manners(forecaster, arrays) -> None:
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError

    fresh = clone(forecaster)
    assert fresh.get_params() == forecaster.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict()
    again = fresh.fit(arrays)
    assert again.history_ == forecaster.history_
    assert again.predict().equals(forecaster.predict())


def test_a_saved_forecaster_says_the_same(forecaster, arrays, tmp_path) -> None:
    loaded = sunhwan.load(forecaster.save(tmp_path / "run"))
    assert loaded.predict().equals(forecaster.predict())
    longer = np.concatenate([arrays, arrays[:40]])
    assert loaded.predict(data=longer).equals(forecaster.predict(data=longer))
    assert loaded.evaluate(longer) == forecaster.evaluate(longer)
    assert (loaded.history_, loaded.best_epoch_) == (forecaster.history_, forecaster.best_epoch_)
    with pytest.raises(UsageError, match="already holds a run"):
        forecaster.save(tmp_path / "run")


def test_a_forecaster_forecasts_each_series_at_its_scale(forecaster, arrays) -> None:
    found = forecaster.predict(2)
    assert found["series"].to_list() == ["0", "0", "1", "1"]
    assert found["time"].to_list() == ["160", "161"] * 2
    assert 3 < found["predicted"][0] < 7
    assert 3000 < found["predicted"][2] < 7000
    assert found.equals(forecaster.predict().filter(found_step_below(2)))
    with pytest.raises(UsageError, match="`horizon` must be 1 to 5"):
        forecaster.predict(6)


def found_step_below(count: int) -> Any:
    import polars as pl

    return pl.int_range(pl.len()).over("series") < count


def test_only_what_came_after_is_judged(forecaster, arrays) -> None:
    with pytest.raises(DataError, match="learnt from up to 159, and the data ends at 159"):
        forecaster.evaluate(arrays)
    figures = forecaster.evaluate(np.concatenate([arrays, arrays[:40]]))
    assert set(figures) == {"mae", "rmse", "mase", "skill"}


def test_a_series_with_a_gap_at_its_end_is_left_out_with_a_warning(forecaster, arrays) -> None:
    gap = arrays.copy()
    gap[-12:-4, 1] = np.nan
    with pytest.warns(UserWarning, match="series '1' is not forecast: too short, or a gap"):
        found = forecaster.predict(data=gap)
    assert set(found["series"]) == {"0"}


def test_frames_and_shapes_are_read(arrays) -> None:
    import polars as pl

    days = (DAY + np.arange(160)).astype("datetime64[us]")
    frame = pl.DataFrame({"day": days, "y": arrays[:, 0]})
    options = {"units": 2, "horizon": 3, "input_length": 4, "season": 1, "epochs": 1}
    found = Forecaster(**options).fit(frame, target="y").predict()
    assert found["time"][0] == str(DAY + 160)
    with pytest.raises(DataError, match=r"float\[T\], or N of them"):
        Forecaster().fit(arrays[None])
    with pytest.raises(UsageError, match="`mode`"):
        Forecaster(mode="twice").fit(arrays)
    assert fill_gaps(read_series(frame, target="y")).series[0].times[0] == days[0]
