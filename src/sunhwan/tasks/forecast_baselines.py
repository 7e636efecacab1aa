"""Forecasts that need no network, on the same windows: what a network must beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sunhwan.tasks.forecasting_figures import errors, last_values
from sunhwan.tasks.forecasting_preparation import SEASONS
from sunhwan.tasks.forecasting_scaling import Values
from sunhwan.tasks.forecasting_windows import Windows

#: strengths of the ridge that are tried
_PENALTIES = (0.01, 1.0, 100.0, 10_000.0)


@dataclass(frozen=True, eq=False)
class Baseline:
    """Forecasts of one simple method.

    Attributes
    ----------
    name
        ``naive``, ``seasonal-naive``, ``drift`` or ``autoregression``.
    is_naive
        Whether it learns nothing; skill is measured against the best of these.
    predicted
        ``float64[N, horizon]``.
    note
        What was chosen, or empty.
    seconds
        Time it took.
    """

    name: str
    is_naive: bool
    predicted: Values
    note: str
    seconds: float

    def record(self, windows: Windows) -> dict[str, Any]:
        """Its entry among the ``baselines`` of a run."""
        found = errors(windows, self.predicted)
        metrics = {name: found[name] for name in ("mae", "rmse", "mase") if found[name] is not None}
        return {
            "name": self.name,
            "detail": self.note,
            "metrics": metrics,
            "seconds": round(self.seconds, 3),
        }


def naive(windows: Windows) -> Values:
    """The last value at every step, ``float64[N, horizon]``."""
    return np.repeat(last_values(windows)[:, None], windows.horizon, axis=1)


def seasonal_naive(windows: Windows, season: int | None = None) -> tuple[Values, str]:
    """The values of the last season, and how many were not there.

    Where the value a season ago is missing or before the beginning, the last value stands in.

    Parameters
    ----------
    season
        Steps of one; None is that of the scaler.
    """
    season = season or windows.scaler.season
    found = naive(windows)
    back = np.arange(windows.horizon) % season - season + 1
    absent = 0
    for number, one in enumerate(windows.data.series):
        rows = np.flatnonzero(windows.series == number)
        places = windows.origins[rows][:, None] + back
        values = np.where(places >= 0, one.values[np.maximum(places, 0)], np.nan)
        absent += int(np.isnan(values).sum())
        found[rows] = np.where(np.isnan(values), found[rows], values)
    note = f"{absent} values a season before are missing; the last one stands in" if absent else ""
    return found, note


def drift(windows: Windows) -> Values:
    """The straight line from the first value of each series through the last, prolonged."""
    first = np.array([one.values[0] for one in windows.data.series])[windows.series]
    last = last_values(windows)
    slope = (last - first) / np.maximum(windows.origins, 1)
    return last[:, None] + slope[:, None] * np.arange(1, windows.horizon + 1)


def autoregression(train: Windows, validation: Windows, test: Windows) -> tuple[Values, str]:
    """Ridge regression of all steps on the last values, which and how strong by validation.

    It reads the target's own features of the windows, and says the same distances as the network.

    Returns
    -------
    predicted : ndarray
        ``float64[N, horizon]`` for `test`.
    note : str
        How many lags, and the penalty.
    """
    from sklearn.linear_model import Ridge

    tried = []
    for lags in _lag_counts(train.past.shape[1]):
        for penalty in _PENALTIES:
            # singular values bear columns that say the same
            model = Ridge(alpha=penalty, solver="svd").fit(_lagged(train, lags), train.target)
            said = validation.restore(model.predict(_lagged(validation, lags)))
            tried.append((errors(validation, said)["mae"], lags, penalty, model))
    _, lags, penalty, model = min(tried, key=lambda one: one[0])
    note = f"{lags} lags, ridge penalty {penalty:g}"
    return test.restore(model.predict(_lagged(test, lags))), note


def naive_baselines(test: Windows) -> list[Baseline]:
    """Those that learn nothing.

    Where no season was found, that of the calendar is tried all the same: one that was missed would
    make the network look better than it is.
    """
    usual = SEASONS.get(test.data.frequency, (1,))[0]
    season = test.scaler.season if test.scaler.season > 1 else usual
    methods: dict[str, Callable[[Windows], tuple[Values, str]]] = {
        "naive": lambda windows: (naive(windows), ""),
        "seasonal-naive": lambda windows: seasonal_naive(windows, season),
        "drift": lambda windows: (drift(windows), ""),
    }
    if season == 1:
        del methods["seasonal-naive"]
    return [_timed(name, True, method, test) for name, method in methods.items()]


def baselines(train: Windows, validation: Windows, test: Windows) -> list[Baseline]:
    """All baselines on the test windows, the naive ones first."""
    learnt = _timed("autoregression", False, autoregression, train, validation, test)
    return [*naive_baselines(test), learnt]


def _timed(
    name: str, is_naive: bool, method: Callable[..., tuple[Values, str]], *parts: Windows
) -> Baseline:
    begin = time.perf_counter()
    predicted, note = method(*parts)
    return Baseline(name, is_naive, predicted, note, time.perf_counter() - begin)


def _lag_counts(longest: int) -> list[int]:
    """1, 2, 4, ... and the longest."""
    return [*(2**n for n in range(longest.bit_length()) if 2**n < longest), longest]


def _lagged(windows: Windows, lags: int) -> Values:
    """The target's own features at the last steps, ``float64[N, lags · features]``."""
    own = 2 if windows.scaler.anchor == "season" else 1
    own += windows.scaler.keeps_level
    return windows.past[:, -lags:, :own].reshape(len(windows), -1).astype(np.float64)
