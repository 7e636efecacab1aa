"""Series that a run is trained on or judged by: from files or tables, read in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sunhwan.data.series import SeriesSet, read_series
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks.forecast_config import ForecastConfig
from sunhwan.tasks.forecast_learner import ForecastLearner
from sunhwan.tasks.forecasting_preparation import Cuts, fill_gaps, split, split_before
from sunhwan.tasks.run_records import Data
from sunhwan.tasks.sources import checksums, find_data

#: what can be said of the columns, and which may be several
_ROLES = ("time", "series", "target", "covariates")
_LISTED = ("time", "target", "covariates")


@dataclass
class Material:
    """Series with their gaps filled, where they are cut, and the files that they came from."""

    data: SeriesSet
    cuts: Cuts
    files: list[dict[str, str]]


def read_material(config: ForecastConfig, data: Data) -> Material:
    """The series of a run; test data must go on after the end of the other."""
    paths = [find_data(path) for path in data.paths]
    later = [find_data(path) for path in data.test_paths]
    if not paths:
        raise UsageError("`train forecast` needs data: a file of one or many series")
    named = roles(data.named)
    files = checksums([*paths, *later])
    series = read_series(paths, **named)
    if not later:
        series = fill_gaps(series, config.fill)
        return Material(series, split(series, config.test, config.validation), files)
    end = max(one.times[-1] for one in series.series)
    begin = min(one.times[0] for one in read_series(later, **named).series)
    if begin <= end:
        raise DataError(
            f"test data must go on after the end of the other, {end}, but begins at {begin}",
            hint="`sunhwan evaluate` judges a run on other series",
        )
    series = fill_gaps(read_series([*paths, *later], **named), config.fill)
    return Material(series, split_before(series, begin, config.validation), files)


def like_training(learner: ForecastLearner, data: Any, reader: Mapping[str, Any]) -> SeriesSet:
    """Series of files or a table, read as those of the training, with their short gaps filled."""
    series = read_series(data, **reader)
    learner.encoder.check(series)
    return fill_gaps(series, learner.config.fill)


def reader_of(path: Path | str) -> dict[str, Any]:
    """The columns that the series of a run were read from, as `read_series` takes them.

    Raises
    ------
    DataError
        The run does not say.
    """
    kept = RunFolder.open(path).read("config.json")
    holder = kept if kept.get("data") is None else kept["data"]
    reader = holder.get("reader") if isinstance(holder, dict) else None
    if not isinstance(reader, dict) or not all(map(_is_names, reader.values())):
        raise DataError(f"{Path(path) / 'config.json'} does not say how series are read")
    return {role: reader[role] for role in _ROLES if role in reader}


def _is_names(value: Any) -> bool:
    listed = value if isinstance(value, list) else [value]
    return all(isinstance(name, str) for name in listed)


def reader_for(series: SeriesSet, named: Mapping[str, Any]) -> dict[str, Any]:
    """How to read more series of the same kind, from what was said and what was found."""
    target = named.get("target") or [series.target]
    return {**named, "target": target, "covariates": list(series.covariates)}


def roles(named: Mapping[str, Any] | None) -> dict[str, Any]:
    """What was said of the columns, as `read_series` takes it; ``""`` means none of them.

    Raises
    ------
    UsageError
        A role that series do not have.

    Examples
    --------
    >>> roles({"target": "a, b", "covariates": "", "series": None})
    {'target': ['a', 'b'], 'covariates': []}
    """
    found = {}
    for role, given in (named or {}).items():
        if given is None:
            continue
        if role not in _ROLES:
            raise UsageError(
                f"`{role}` has no meaning for `forecast`, whose columns are {', '.join(_ROLES)}"
            )
        if isinstance(given, str) and role in _LISTED:
            given = [name.strip() for name in given.split(",") if name.strip()]
        found[role] = given
    return found


def read_like_training(
    path: Path | str, learner: ForecastLearner, data: Sequence[Path | str]
) -> SeriesSet:
    """Series of other files, read as those of a run."""
    return like_training(learner, [find_data(one) for one in data], reader_of(path))
