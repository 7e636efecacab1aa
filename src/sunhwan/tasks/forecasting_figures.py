"""How good forecasts are: figures against naive ones, intervals and what they cover, warnings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.series_times import time_text
from sunhwan.errors import UsageError
from sunhwan.tasks.forecasting_scaling import Values
from sunhwan.tasks.forecasting_windows import Windows

#: a forecast that is better than the last value by less than this may only be repeating it
_NO_BETTER = 0.02


def errors(windows: Windows, predicted: Values) -> dict[str, Any]:
    """``mae``, ``rmse``, ``mase`` and ``mae_by_step`` over every known value of the windows.

    ``mase`` divides each error by the mean distance of the series from its last season (from its
    last value if it has none) before the first value that the windows forecast (Hyndman and
    Koehler 2006); it is None if that distance is 0.

    Parameters
    ----------
    predicted
        ``float64[N, horizon]``, values of the series.
    """
    distance = np.abs(predicted - windows.truth)
    return {
        "mae": float(np.nanmean(distance)),
        "rmse": float(np.sqrt(np.nanmean(distance**2))),
        "mase": _mean((distance / scales(windows)[:, None]).ravel()),
        "mae_by_step": [_mean(column) for column in distance.T],
    }


def figures(
    windows: Windows, predicted: Values, naive: Mapping[str, Values]
) -> tuple[dict[str, Any], str]:
    """The ``metrics`` of a run, and which naive forecast was the best.

    ``skill`` is 1 - mae / mae of the naive forecast with the smallest mae on these same windows;
    0 is no better than that, 1 is perfect. ``skill_by_step`` is the same at each step.

    Parameters
    ----------
    naive
        Naive forecasts by name, each ``float64[N, horizon]``.
    """
    if not naive:
        raise UsageError("`naive` must hold one forecast or more, received none")
    own = errors(windows, predicted)
    others = {name: errors(windows, values) for name, values in naive.items()}
    best = min(others, key=lambda name: others[name]["mae"])
    by_step = zip(own["mae_by_step"], others[best]["mae_by_step"], strict=True)
    metrics = {name: own[name] for name in ("mae", "rmse", "mase")}
    metrics["skill"] = _skill(own["mae"], others[best]["mae"])
    metrics["skill_by_step"] = [_skill(mine, theirs) for mine, theirs in by_step]
    return metrics, best


def repeats_last(windows: Windows, predicted: Values) -> str | None:
    """A warning if forecasts one step ahead only repeat the last value, else None.

    They do if they follow the value before more closely than the one they forecast, and are no
    better than it.
    """
    last = last_values(windows)
    truth, said = windows.truth[:, 0], predicted[:, 0]
    known = ~np.isnan(truth)
    truth, said, last = truth[known], said[known], last[known]
    if len(truth) < 3 or not min(truth.std(), said.std(), last.std()):
        return None
    to_last, to_truth = (float(np.corrcoef(said, x)[0, 1]) for x in (last, truth))
    gain = _skill(float(np.abs(said - truth).mean()), float(np.abs(last - truth).mean()))
    if to_last <= to_truth or gain is None or gain >= _NO_BETTER:
        return None
    return (
        f"one step ahead the forecast repeats the last value: it agrees with that by {to_last:.3f} "
        f"and with what came by {to_truth:.3f} (correlation), and its error is "
        f"{1 - gain:.2f} times that of repeating"
    )


def last_values(windows: Windows) -> Values:
    """The last value that each window reads, ``float64[N]``."""
    values = [one.values for one in windows.data.series]
    return np.array([values[s][o] for s, o in zip(windows.series, windows.origins, strict=True)])


def fit_intervals(
    windows: Windows, distances: Values, levels: Sequence[float] = (0.8, 0.95)
) -> tuple[dict[str, list[float]], list[str]]:
    """Half the width of the prediction interval of each level at each step, in spreads; notes.

    Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): the ⌈(n + 1) level⌉-th smallest
    of the n absolute errors on windows that were not trained on. With too few windows the errors
    of all steps are put together; with still too few the largest is taken and the note says so.

    Parameters
    ----------
    windows
        Of the validation part.
    distances
        ``float64[N, horizon]``, what the model says of them.

    Returns
    -------
    widths : dict
        ``{"0.8": [one of each step], ...}``: plain JSON.
    notes : list of str
    """
    missed = np.abs(distances - windows.target)
    missed = np.where(windows.is_known, missed, np.nan)
    widths, notes = dict[str, list[float]](), list[str]()
    for level in levels:
        columns = [column[~np.isnan(column)] for column in missed.T]
        if min(map(len, columns)) < level / (1 - level):
            notes.append(
                f"the {level:.0%} interval is of one width at all steps, for the validation part "
                f"has few windows ({len(windows)})"
            )
            columns = [np.concatenate(columns)] * len(columns)
            if len(columns[0]) < level / (1 - level):
                notes[-1] += f" and too few errors for {level:.0%} ({len(columns[0])})"
        widths[str(level)] = [_quantile(column, level) for column in columns]
    for (low, narrow), (high, wide) in pairwise(widths.items()):
        if narrow == wide:
            notes.append(
                f"the intervals of {float(low):.0%} and {float(high):.0%} are the same: so few "
                "errors cannot tell them apart"
            )
    return widths, notes


def intervals(
    windows: Windows, distances: Values, widths: Mapping[str, Sequence[float]]
) -> dict[str, tuple[Values, Values]]:
    """The lower and upper ends of each level, each ``float64[N, horizon]``, as values."""
    return {
        level: (windows.restore(distances - half), windows.restore(distances + half))
        for level, half in ((name, np.asarray(width)[None]) for name, width in widths.items())
    }


def coverage(windows: Windows, ends: Mapping[str, tuple[Values, Values]]) -> dict[str, float]:
    """Of each level the share of known values that lie within its interval."""
    return {
        level: float(((low <= windows.truth) & (windows.truth <= high))[windows.is_known].mean())
        for level, (low, high) in ends.items()
    }


def records(
    windows: Windows, median: Values, low: Values, high: Values, naive: Values
) -> list[dict[str, Any]]:
    """The ``forecasts`` of a run: a window each, with what was read, what came and what was said.

    A truth that is not known is None.
    """
    found = []
    for n, (number, origin) in enumerate(zip(windows.series, windows.origins, strict=True)):
        one = windows.data.series[number]
        steps = range(int(origin) + 1 - windows.past.shape[1], int(origin) + 1)
        found.append(
            {
                "series": one.name,
                "past": [
                    [time_text(one.times[t], windows.data.frequency), float(one.values[t])]
                    for t in steps
                ],
                "truth": [None if np.isnan(y) else float(y) for y in windows.truth[n]],
                "median": median[n].tolist(),
                "low": low[n].tolist(),
                "high": high[n].tolist(),
                "naive": naive[n].tolist(),
            }
        )
    return found


def _quantile(missed: NDArray[np.float64], level: float) -> float:
    place = math.ceil((len(missed) + 1) * level)
    return float(np.sort(missed)[min(place, len(missed)) - 1])


def scales(windows: Windows) -> Values:
    """What ``mase`` divides by, for each window, ``float64[N]``; NaN where it is not defined."""
    found = {}
    for number in np.unique(windows.series):
        end = int(windows.origins[windows.series == number].min()) + 1
        values = windows.data.series[number].values[:end]
        lag = windows.scaler.season if end > windows.scaler.season else 1
        steps = np.abs(values[lag:] - values[:-lag])
        found[number] = float(np.nanmean(steps)) if (~np.isnan(steps)).any() else math.nan
    return np.array([found[number] or math.nan for number in windows.series])


def _skill(mine: float | None, theirs: float | None) -> float | None:
    return 1 - mine / theirs if mine is not None and theirs else None


def _mean(values: Values) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
