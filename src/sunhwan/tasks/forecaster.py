"""A recurrent network that forecasts series, in scikit-learn's manners: `Forecaster`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sunhwan.data.examples import Rejected
from sunhwan.data.series import read_series
from sunhwan.errors import DataError
from sunhwan.runs.progress import Progress, choose
from sunhwan.tasks import forecast_run, forecast_sources, run_records
from sunhwan.tasks.forecast_config import ForecastConfig
from sunhwan.tasks.forecast_learner import ForecastLearner
from sunhwan.tasks.forecasting_preparation import fill_gaps, split_before
from sunhwan.tasks.options import checked_names, make

if TYPE_CHECKING:
    import polars as pl


class Forecaster(BaseEstimator):  # type: ignore[misc]
    """Forecasts one or many series, with covariates, some steps ahead and with intervals.

    Parameters are the options of ``sunhwan train forecast``, and those that are None are chosen by
    the series; `sunhwan.tasks.forecast_config.ForecastConfig` says what each one is.

    Attributes
    ----------
    history_
        By name, a figure for each epoch: ``loss``, ``val_loss``, ….
    best_epoch_
        The epoch, from 1, whose weights the network has.
    model_
        The `keras.Model`.
    learner_
        What was chosen and learnt; ``learner_.config`` has all options.
    notes_
        What was guessed, filled and chosen, a sentence each.

    Examples
    --------
    >>> values = 10 + np.sin(np.arange(120) * np.pi / 4)
    >>> forecaster = Forecaster(units=8, horizon=3, season=8, epochs=2).fit(values)
    >>> forecaster.predict()["time"].to_list()
    ['120', '121', '122']
    """

    @checked_names
    def __init__(
        self,
        *,
        horizon: int | None = None,
        input_length: int | None = None,
        mode: str = "direct",
        season: int | None = None,
        fill: str = "linear",
        cell: str | None = None,
        units: int | None = None,
        num_layers: int | None = None,
        dropout: float | None = None,
        recurrent_dropout: float = 0.0,
        optimizer: str = "adam",
        learning_rate: float | None = None,
        schedule: str | None = None,
        clipnorm: float = 1.0,
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        validation: float = 0.1,
        seed: int = 1,
    ) -> None:
        self.horizon = horizon
        self.input_length = input_length
        self.mode = mode
        self.season = season
        self.fill = fill
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.clipnorm = clipnorm
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation = validation
        self.seed = seed

    def fit(
        self,
        data: Any,
        *,
        target: str | Sequence[str] | None = None,
        time: str | Sequence[str] | None = None,
        series: str | None = None,
        covariates: Sequence[str] | None = None,
        verbose: bool = False,
    ) -> Self:
        """Train a new network; the same data and parameters give the same bits.

        The last share `validation` of the times is not learnt from: it tells when to stop, and how
        wide the intervals must be.

        Parameters
        ----------
        data
            A pandas or polars frame, a mapping of columns, or paths of files; or numbers
            ``float[T]``, or ``float[T, N]`` for N series. NaN is a gap.
        target, time, series, covariates
            Names of columns, as of `sunhwan.data.series.read_series`; None guesses them.
        verbose
            Whether the progress is shown on stderr.

        Raises
        ------
        UsageError
            A parameter or a column does not fit.
        DataError
            Data that does not fit, or too little of it.
        TrainingError
            The loss is no longer finite.
        """
        given = self.get_params(deep=False)
        config = make(
            ForecastConfig,
            {k: v.item() if isinstance(v, np.generic) else v for k, v in given.items()},
        )
        table, found = _table(data)
        named = {"target": target, "time": time, "series": series, "covariates": covariates}
        found |= forecast_sources.roles(named)
        material = fill_gaps(read_series(table, **found), config.fill)
        after = max(one.times[-1] for one in material.series) + np.timedelta64(1, "us")
        learner = ForecastLearner(config)
        learner.prepare(material, split_before(material, after, config.validation))
        progress = choose() if verbose else Progress()
        progress.plan(type(self).__name__, 1, learner.config.epochs or 1)
        try:
            history, notes = learner.fit(material, progress=progress)
        finally:
            progress.close()
        reader = forecast_sources.reader_for(material, found)
        notes = [*material.notes, *learner.encoder.notes, *notes]
        self._adopt(learner, reader, history.figures, history.best_epoch, notes)
        return self

    def predict(self, horizon: int | None = None, *, data: Any = None) -> pl.DataFrame:
        """What comes after the end of each series.

        Parameters
        ----------
        horizon
            How many steps; None is all that were learnt.
        data
            Other or longer series, as those of `fit`; None goes on after the end of those.

        Returns
        -------
        polars.DataFrame
            A row for each step: ``series``, ``time`` (the number of the row, where there are no
            times), ``predicted`` (the median) and the ends of the intervals that hold 80 and 95 %:
            ``low_80``, ``high_80``, ``low_95``, ``high_95``. A series that cannot be forecast is
            left out with a warning.
        """
        import polars as pl

        learner = self._fitted()
        rejected: list[Rejected] = []
        later = None if data is None else self._read(data)
        rows = learner.forecast_next(later, rejected.append, horizon)
        for one in rejected:
            warnings.warn(f"{one.place} is not forecast: {one.reason}", stacklevel=2)
        return pl.DataFrame(rows)

    def evaluate(self, data: Any) -> dict[str, float]:
        """``mae``, ``rmse``, ``mase`` and ``skill`` on other series, or on longer ones.

        Parameters
        ----------
        data
            As of `fit`. Of series that were learnt from, only what came after is judged.
        """
        judged = forecast_run.judge(self._fitted(), self._read(data))
        return cast(dict[str, float], judged["metrics"])

    def save(self, path: Path | str, overwrite: bool = False) -> Path:
        """Leave the network and all that it needs in a folder, for `sunhwan.load`; its path.

        Raises
        ------
        UsageError
            The folder holds a run, and `overwrite` is False, or something else.
        """
        history = {"figures": self.history_, "best_epoch": self.best_epoch_}
        learner = self._fitted()
        return forecast_run.save(learner, path, history, self._reader, overwrite=overwrite).path

    @classmethod
    def load(cls, path: Path | str) -> Forecaster:
        """The forecaster in a folder that `save`, or ``sunhwan train forecast``, left.

        Raises
        ------
        DataError
            It is no run, is damaged, or its training did not finish.
        """
        learner = forecast_run.load(path)
        forecaster = cls()
        forecaster.set_params(
            **{name: getattr(learner.config, name) for name in forecaster.get_params(deep=False)}
        )
        figures, best_epoch = run_records.history_of(path)
        reader = forecast_sources.reader_of(path)
        forecaster._adopt(learner, reader, figures, best_epoch, learner.encoder.notes)
        return forecaster

    def _adopt(
        self,
        learner: ForecastLearner,
        reader: Mapping[str, Any],
        history: Mapping[str, list[float]],
        best_epoch: int,
        notes: list[str],
    ) -> None:
        """Set the fitted attributes."""
        self.learner_, self.model_ = learner, learner.model
        self.history_, self.best_epoch_ = dict(history), best_epoch
        self.notes_ = notes
        self._reader = dict(reader)

    def _fitted(self) -> ForecastLearner:
        check_is_fitted(self, "learner_")
        return cast(ForecastLearner, self.learner_)

    def _read(self, data: Any) -> Any:
        return forecast_sources.like_training(self._fitted(), _table(data)[0], self._reader)


def _table(data: Any) -> tuple[Any, dict[str, Any]]:
    """What `read_series` can read, and the roles of its columns where they have no names."""
    is_numbers = isinstance(data, list | tuple) and all(isinstance(x, int | float) for x in data)
    if not isinstance(data, np.ndarray) and not is_numbers:
        return data, {}
    array = np.asarray(data, np.float64)
    if array.ndim not in (1, 2) or not array.size:
        raise DataError(f"a series must be float[T], or N of them float[T, N], not {array.shape}")
    columns = {"value": array} if array.ndim == 1 else dict(enumerate(array.T))
    table = {str(name): column.tolist() for name, column in columns.items()}
    return table, {"time": [], "target": list(table)}
