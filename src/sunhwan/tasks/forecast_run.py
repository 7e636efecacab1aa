"""A run that forecasts, from series to report: start it, go on with it, use it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sunhwan.data.examples import Rejected
from sunhwan.data.series import SeriesSet
from sunhwan.data.series_times import time_text
from sunhwan.errors import DataError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.runs.weights import model_arrays, save_weights
from sunhwan.tasks import forecast_judging, run_records
from sunhwan.tasks.forecast_baselines import baselines, naive_baselines
from sunhwan.tasks.forecast_config import ForecastConfig
from sunhwan.tasks.forecast_learner import ForecastLearner
from sunhwan.tasks.forecast_sources import (
    Material,
    read_like_training,
    read_material,
    reader_for,
    roles,
)
from sunhwan.tasks.forecasting_preparation import Cuts
from sunhwan.tasks.forecasting_windows import Windows
from sunhwan.tasks.learner import Say
from sunhwan.tasks.run_records import Data, rejected_rows


@dataclass
class Prediction:
    """What comes after the end of each series.

    Attributes
    ----------
    rows
        A record for each step: ``series``, ``time``, ``predicted`` (the median), and the ends of
        the intervals, ``low_80``, ``high_80``, ``low_95`` and ``high_95``.
    rejected
        Series that cannot be forecast.
    """

    rows: list[dict[str, Any]]
    rejected: list[Rejected] = field(default_factory=list)


def start(
    config: ForecastConfig,
    data: Data,
    out: Path | str,
    *,
    overwrite: bool = False,
    lang: str = "en",
    progress: Progress | None = None,
    say: Say = lambda line: None,
) -> RunFolder:
    """Train a forecaster, judge it, and leave everything in a folder.

    Parameters
    ----------
    data
        Files of series; ``named`` may have ``time``, ``series``, ``target`` and ``covariates``, the
        names of columns as a list or with commas between. Test data must go on after the end of
        the other; without any, the last share of the time is held out.

    Raises
    ------
    UsageError, DataError
        Options or data that do not fit.
    TrainingError
        The loss is no longer finite.
    KeyboardInterrupt
        Ctrl-C; `resume` goes on.
    """
    RunFolder.check_free(out, overwrite=overwrite)  # before data are read for nothing
    material = read_material(config, data)
    for line in material.data.notes:
        say(line)
    learner = ForecastLearner(config)
    learner.prepare(material.data, material.cuts)
    for line in learner.encoder.notes:
        say(line)
    _cut(learner, material, say)  # before there is a folder, see that no part is too short
    reader = {"kind": "series", **reader_for(material.data, roles(data.named))}
    given = config.given()
    run = run_records.begin(
        learner, given, data, reader, material.files, out, overwrite=overwrite, lang=lang
    )
    command = run_records.command(config.task, given, data, out)
    _finish(run, learner, material, command, progress, say)
    return run


def resume(
    path: Path | str, *, progress: Progress | None = None, say: Say = lambda line: None
) -> RunFolder:
    """Go on with a run that was interrupted, to the bits of one that never was.

    Raises
    ------
    UsageError
        The run is finished, or its data has changed.
    DataError
        The run is damaged, or its data cannot be read.
    """
    run = run_records.open_unfinished(path)
    config = run_records.options_of(run, ForecastConfig)
    data, _ = run_records.data_of(run)
    material = read_material(config, data)
    if run.has("environment.json"):  # the last to be written before training
        run_records.check_files(run, material.files)
        learner = _learner_of(run)
    else:
        learner = ForecastLearner(config)
        learner.prepare(material.data, material.cuts)
        run_records.write_learner(run, learner, material.files)
    given = run.read("config.json").get("given", {})
    command = run_records.command(config.task, given, data, path)
    _finish(run, learner, material, command, progress, say)
    return run


def load(path: Path | str) -> ForecastLearner:
    """The forecaster of a run, with its weights.

    Raises
    ------
    DataError
        It is not a run, is damaged, or its training did not finish.
    """
    run = RunFolder.open(path)
    learner = _learner_of(run, run.size("weights.safetensors"))
    run_records.put_weights(run, learner.model)
    if not learner.widths:
        raise DataError(
            f"{path}: the run has no intervals: training did not finish",
            hint=f"`sunhwan resume {path}` goes on",
        )
    return learner


def save(
    learner: ForecastLearner,
    path: Path | str,
    history: Mapping[str, Any],
    reader: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> RunFolder:
    """Leave a trained forecaster in a folder, without data or report.

    Parameters
    ----------
    history
        As of ``history.json``: ``figures`` by epoch and ``best_epoch``.
    reader
        As of `forecast_sources.reader_of`.
    """
    run = RunFolder.create(path, learner.task, overwrite=overwrite)
    options = learner.config.model_dump(mode="json")
    run.write("config.json", {"options": options, "data": None, "reader": dict(reader)})
    run_records.write_learner(run, learner, [])
    run.write("history.json", history)
    save_weights(run.place("weights.safetensors"), model_arrays(learner.model))
    run.finish()
    return run


def evaluate(path: Path | str, data: Sequence[Path | str]) -> dict[str, Any]:
    """Figures of a run on other data, or on what came after.

    Returns
    -------
    dict
        As of `judge`.
    """
    learner = load(path)
    return judge(learner, read_like_training(path, learner, data))


def judge(learner: ForecastLearner, data: SeriesSet) -> dict[str, Any]:
    """Figures on series whose gaps are filled.

    Where one of them was learnt from, only what came after the times that were learnt from is
    judged, else everything.

    Returns
    -------
    dict
        ``metrics``, ``intervals``, ``baselines``, ``coverage``, ``notes``; ``skill_by_step``;
        ``rows``, the number of windows; ``rejected``.

    Raises
    ------
    DataError
        The series are unlike those of the training, or there is nothing to judge by.
    """
    first = min(one.times[0] for one in data.series)
    last = max(one.times[-1] for one in data.series)
    known = {one.name for one in learner.encoder.last.series}
    learnt = known & {one.name for one in data.series}
    begin = max(first, learner.encoder.cuts.test) if learnt else first
    if begin > last:
        until, end = (time_text(time, data.frequency) for time in (begin, last))
        raise DataError(
            f"series {min(learnt)!r} was learnt from up to {until}, and the data ends at {end}: "
            "nothing is left to judge by",
            hint="give data that goes on after that",
        )
    part = learner.windows(data, "test", cuts=Cuts(begin, begin))
    median, ends = learner.forecast(part)
    judged = forecast_judging.judge(
        part, median, ends, naive_baselines(part), seed=learner.config.seed
    )
    judged["skill_by_step"] = judged["metrics"].pop("skill_by_step")
    del judged["forecasts"]
    judged["notes"].append(f"judged from {time_text(begin, data.frequency)} on")
    return {**judged, "rows": len(part), "rejected": rejected_rows(data.rejected)}


def predict(path: Path | str, data: Sequence[Path | str] | None = None) -> Prediction:
    """The next steps after the end of data like that of the training; None: after that one's end.

    Raises
    ------
    DataError
        The data is unlike that of the training, or no series can be forecast.
    """
    learner = load(path)
    found = Prediction([])
    series = None
    if data:
        series = read_like_training(path, learner, data)
        found.rejected += series.rejected
    found.rows += learner.forecast_next(series, found.rejected.append)
    return found


def _cut(
    learner: ForecastLearner, material: Material, say: Say = lambda line: None
) -> dict[str, Windows]:
    """The windows of all parts, as many steps ahead as are forecast."""
    parts = {name: learner.windows(material.data, name) for name in ("train", "validation", "test")}
    counts = ", ".join(f"{len(part):,} {name}" for name, part in parts.items())
    read = learner.config.input_length
    say(f"windows that read {read} steps and forecast {learner.horizon}: {counts}")
    return parts


def _finish(
    run: RunFolder,
    learner: ForecastLearner,
    material: Material,
    command: str,
    progress: Progress | None,
    say: Say,
) -> None:
    """Train, judge and report."""
    doubts: list[str] = []

    def fit(shown: Progress) -> Any:
        history, notes = learner.fit(
            material.data,
            state=run.training,
            fingerprint=_fingerprint(learner, material),
            progress=shown,
        )
        doubts.extend(notes)
        return history

    history = run_records.trained(run, learner, fit, progress)
    run.write("model.json", learner.to_json())
    parts = _cut(learner, material)
    median, ends = learner.forecast(parts["test"])
    written = list(forecast_judging.prediction_rows(parts["test"], median))
    run.write_predictions(written)
    if len(written) < len(median):
        doubts.append(f"predictions.jsonl has {len(written):,} of {len(median):,} windows")
    say("baselines")
    compared = baselines(*parts.values())
    judged = forecast_judging.judge(parts["test"], median, ends, compared, seed=learner.config.seed)
    rejected = material.data.rejected
    notes = [
        *material.data.notes,
        *run_records.rejected_notes(rejected),
        *learner.encoder.notes,
        *doubts,
        *judged["notes"],
    ]
    summary = {
        **{name: len(part) for name, part in parts.items()},
        **run_records.rejected_summary(rejected),
        "columns": {"target": material.data.target, "covariates": list(material.data.covariates)},
        "files": material.files,
        "notes": notes,
    }
    name = material.files[0]["name"]
    common = run_records.common_results(learner, history, name, command)
    run.write("results.json", {**common, "data": summary, **judged})
    run_records.report(run, run_records.data_of(run)[1])
    run.finish()


def _learner_of(run: RunFolder, most_bytes: float = float("inf")) -> ForecastLearner:
    config = run_records.options_of(run, ForecastConfig)
    encoder, model = run.read("encoder.json"), run.read("model.json")
    return ForecastLearner.from_json(config, encoder, model, str(run.path), most_bytes=most_bytes)


def _fingerprint(learner: ForecastLearner, material: Material) -> str:
    built = {"network": learner.to_json()["network"], "encoder": learner.encoder.config()}
    options = learner.config.model_dump(mode="json")
    text = json.dumps([built, options, material.files], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
