"""A forecaster together with what turns series into its numbers and its numbers into values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sunhwan.data.examples import Rejected
from sunhwan.data.series import SeriesSet
from sunhwan.data.series_doubts import calmed
from sunhwan.data.series_times import time_text
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks.forecast_batches import WindowBatches
from sunhwan.tasks.forecast_config import ForecastConfig, default_horizon
from sunhwan.tasks.forecast_encoder import SeriesEncoder
from sunhwan.tasks.forecasting import (
    build_forecaster,
    default_batch_size,
    distances,
    fewest_bytes,
)
from sunhwan.tasks.forecasting_figures import fit_intervals, intervals
from sunhwan.tasks.forecasting_preparation import Cuts, guess_season
from sunhwan.tasks.forecasting_scaling import CYCLES, Scaler, Values
from sunhwan.tasks.forecasting_windows import (
    Part,
    Windows,
    default_input_length,
    times_ahead,
    windows,
)
from sunhwan.tasks.options import drawn_from
from sunhwan.tasks.training import History, train

#: shares of the truth that the intervals are made to hold
LEVELS = (0.8, 0.95)


class ForecastLearner:
    """Learns to forecast series, and forecasts them.

    Parameters
    ----------
    config
        Options; those that are None are chosen by the series when it is prepared.

    Attributes
    ----------
    config
        Settled by `prepare`.
    encoder
        Learnt by `prepare` from the training part alone, but for the ends of the series.
    model
        What was built.
    widths
        Half the width of each interval at each step, measured by `fit`.
    """

    task: Literal["forecast"] = "forecast"
    kind: Literal["series"] = "series"

    def __init__(self, config: ForecastConfig) -> None:
        self.config = config
        self.encoder: Any = None
        self.model: Any = None
        self.widths: dict[str, list[float]] = {}

    @property
    def horizon(self) -> int:
        """Steps that are forecast."""
        return self.config.horizon or 1

    @property
    def steps(self) -> int:
        """Steps that the network says at once."""
        return 1 if self.config.mode == "fed-back" else self.horizon

    def prepare(self, data: SeriesSet, cuts: Cuts) -> None:
        """Choose the options that are open, learn the scales, and build the network.

        Parameters
        ----------
        data
            Series whose short gaps are filled.
        cuts
            Where validation and test begin.

        Raises
        ------
        DataError
            The training part is too short.
        """
        # one slip would decide season and scales
        calm = replace(data, series=calmed(data.series, cuts.validation))
        season, why = _season(self.config, calm, cuts)
        horizon = self.config.horizon or _fitting_horizon(data, cuts, season)
        length = self.config.input_length or default_input_length(horizon, season)
        scaler = Scaler.fit(calm, cuts, horizon=horizon, season=season)
        self.config = self.config.settled(horizon=horizon, input_length=length, season=season)
        self.encoder = SeriesEncoder.of(data, cuts, scaler, length, [why])
        count = len(self.windows(data, "train", horizon=self.steps))
        self.config = self.config.settled(batch_size=default_batch_size(count))
        self.model = self.untrained()

    def untrained(self) -> Any:
        """A network of the same shape, with the random weights that training began with."""
        with drawn_from(self.config.seed):
            return build_forecaster(**self._network())

    def _network(self) -> dict[str, Any]:
        """All that decides the network's shape."""
        scaler = self.encoder.scaler
        calendar = sum(2 * CYCLES[name][1] for name in scaler.cycles)
        helpers = sum(len(x) if isinstance(x[0], str) else 1 for x in scaler.helpers.values())
        own = 1 + (scaler.anchor == "season") + scaler.keeps_level
        options = ("input_length", "cell", "units", "num_layers", "dropout", "recurrent_dropout")
        return {
            "features": own + calendar + helpers,
            "future_features": calendar + 1,
            "horizon": self.steps,
            **{name: getattr(self.config, name) for name in options},
        }

    def windows(
        self,
        data: SeriesSet,
        part: Part,
        *,
        horizon: int | None = None,
        cuts: Cuts | None = None,
    ) -> Windows:
        """Windows of a part of series, which may be new ones: those get a scale of their own."""
        return windows(
            data,
            self.encoder.scaler.extended(data, self.horizon),
            cuts or self.encoder.cuts,
            part,
            input_length=self.config.input_length or 1,
            horizon=horizon or self.horizon,
        )

    def fit(
        self,
        data: SeriesSet,
        *,
        state: Path | None = None,
        fingerprint: str = "",
        progress: Progress | None = None,
    ) -> tuple[History, list[str]]:
        """Train the network, leave it with the weights of its best epoch, and measure intervals.

        Returns
        -------
        History
        list of str
            What is to be said of the intervals.
        """
        import keras

        config = self.config
        parts = [self.windows(data, part, horizon=self.steps) for part in ("train", "validation")]
        size = config.batch_size or 1
        history = train(
            self.model,
            WindowBatches(parts[0], batch_size=size, seed=config.seed),
            WindowBatches(parts[1], batch_size=size),
            loss=keras.losses.MeanAbsoluteError(),
            optimizer=config.new_optimizer(),
            epochs=config.epochs or 1,
            patience=config.patience,
            schedule=config.schedule or "constant",
            state=state,
            fingerprint=fingerprint,
            progress=progress,
        )
        whole = parts[1] if self.steps == self.horizon else self.windows(data, "validation")
        self.widths, notes = fit_intervals(whole, distances(self.model, whole), LEVELS)
        return history, notes

    def forecast(self, part: Windows) -> tuple[Values, dict[str, tuple[Values, Values]]]:
        """Medians ``float64[N, horizon]``, and of each level both ends of the interval."""
        said = distances(self.model, part)
        return part.restore(said), intervals(part, said, self.widths)

    def forecast_next(
        self,
        data: SeriesSet | None,
        reject: Callable[[Rejected], None],
        horizon: int | None = None,
    ) -> list[dict[str, Any]]:
        """The steps after the end of each series, a record each; see `forecast_run.predict`.

        Parameters
        ----------
        data
            Series whose short gaps are filled; None takes the ends of those of the training.
        reject
            Told of each series that is too short or has a gap where it is read.
        horizon
            How many steps, at most those that were learnt; None is all.

        Raises
        ------
        UsageError
            `horizon` is larger than what was learnt.
        DataError
            No series can be forecast.
        """
        count = self.horizon if horizon is None else horizon
        if not 1 <= count <= self.horizon:
            raise UsageError(
                f"`horizon` must be 1 to {self.horizon}, which was learnt, received {horizon}",
                hint="train with a larger `horizon`",
            )
        part = self.windows(data or self.encoder.last, "next")
        for number, one in enumerate(part.data.series):
            if number not in part.series:
                reject(Rejected(f"series {one.name!r}", "too short, or a gap is where it is read"))
        median, ends = self.forecast(part)
        columns = {"predicted": median}
        for level, (low, high) in ends.items():
            share = f"{float(level):.0%}".removesuffix("%")
            columns |= {f"low_{share}": low, f"high_{share}": high}
        found: list[dict[str, Any]] = []
        for row, number in enumerate(part.series):
            one = part.data.series[number]
            for step, time in enumerate(times_ahead(one.times[-1], part.data.frequency, count)):
                when = {"series": one.name, "time": time_text(time, part.data.frequency)}
                values = {name: float(column[row, step]) for name, column in columns.items()}
                found.append({**when, **values})
        return found

    def to_json(self) -> dict[str, Any]:
        """All but weights and encoder, as plain values."""
        return {"network": self._network(), "widths": self.widths}

    @classmethod
    def from_json(
        cls,
        config: ForecastConfig,
        encoder: dict[str, Any],
        model: dict[str, Any],
        where: str,
        *,
        most_bytes: float = float("inf"),
    ) -> ForecastLearner:
        """A learner with random weights, from what `to_json` and the encoder's ``config`` gave.

        Parameters
        ----------
        where
            The folder that they are from.
        most_bytes
            A network whose weights cannot be kept in so many bytes is refused before it is built.

        Raises
        ------
        DataError
            Something is missing or does not fit; names it and the folder.
        """
        learner = cls(config)
        learner.encoder = SeriesEncoder.from_config(encoder, f"{where}/encoder.json")
        is_settled = all(getattr(config, name) is not None for name in type(config).model_fields)
        if not is_settled or model.get("network") != learner._network():
            raise DataError(
                f"{where}/model.json: the network does not belong to the configuration and encoder"
            )
        if fewest_bytes(learner._network()) > most_bytes:
            raise DataError(f"{where}: the network is larger than the file of its weights")
        learner.widths = _widths(model.get("widths"), learner.horizon, where)
        learner.model = learner.untrained()
        return learner


def _season(config: ForecastConfig, data: SeriesSet, cuts: Cuts) -> tuple[int, str]:
    if config.season is not None:
        return config.season, f"a season of {config.season} steps, as was asked for"
    longest = max(int((one.times < cuts.validation).sum()) for one in data.series)
    if longest < 3:
        raise DataError(
            f"the training part must have 3 values or more, but the longest series has {longest}",
            hint="give more data, or smaller shares for `validation` and `test`",
        )
    return guess_season(data, cuts)


def _fitting_horizon(data: SeriesSet, cuts: Cuts, season: int) -> int:
    """The usual horizon, or as much of it as validation and test have room for."""
    times = np.unique(np.concatenate([one.times for one in data.series]))
    test = int((times >= cuts.test).sum())
    validation = int((times >= cuts.validation).sum()) - test
    rooms = [room for room in (validation, test) if room]
    return min(default_horizon(data.frequency, season), *rooms)


def _widths(given: Any, horizon: int, where: str) -> dict[str, list[float]]:
    """The widths of the intervals, or none yet."""
    fits = (
        isinstance(given, dict)
        and list(given) in ([], [str(level) for level in LEVELS])
        and all(isinstance(row, list) and len(row) == horizon for row in given.values())
        and all(type(x) in (int, float) and x >= 0 for row in given.values() for x in row)
    )
    if not fits:
        raise DataError(f"{where}/model.json: `widths` are not as they were written")
    return dict(given)
