"""How good forecasts of held-out values are, beside the baselines: the figures of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.series_times import time_text
from sunhwan.runs.comparison import Scores
from sunhwan.runs.resampling import bootstrap_intervals
from sunhwan.tasks.forecast_baselines import Baseline
from sunhwan.tasks.forecasting_figures import coverage, figures, records, repeats_last, scales
from sunhwan.tasks.forecasting_scaling import Values
from sunhwan.tasks.forecasting_windows import Windows
from sunhwan.tasks.pairing import difference

#: forecasts that the report can show
_SHOWN = 8
#: values forecast that are written down; of more, windows are chosen evenly
_WRITTEN = 2_000_000
#: with fewer independent pieces of the test part than this, no interval is told
_FEWEST_BLOCKS = 10

Ends = Mapping[str, tuple[Values, Values]]


def judge(
    part: Windows, median: Values, ends: Ends, baselines: Sequence[Baseline], *, seed: int
) -> dict[str, Any]:
    """The figures of forecasts, and those of the baselines.

    Parameters
    ----------
    median, ends
        As of `ForecastLearner.forecast`.
    baselines
        With those that learn nothing, against the best of which skill is measured.

    Returns
    -------
    dict
        ``metrics``, ``intervals``, ``baselines``, ``coverage`` and ``forecasts`` of
        ``results.json``, and ``notes``. What is not defined is left out.
    """
    naive = {one.name: one.predicted for one in baselines if one.is_naive}
    metrics, best = figures(part, median, naive)
    drawn, held = _intervals(part, seed, naive[best]), coverage(part, ends)
    compared = _differences(part, median, seed)
    rows = [
        {
            **one.record(part),
            "intervals": drawn(one.predicted, skill=False),
            "difference": compared(one.predicted),
        }
        for one in baselines
    ]
    notes = [
        f"skill is measured against the {best} forecast, the best of those that learn nothing",
        *(f"the {float(n):.0%} interval holds {share:.1%} of the test values"
          for n, share in held.items()),
    ]  # fmt: skip
    intervals = drawn(median, skill=True)
    if not intervals:
        notes.append(
            f"no 95 % intervals of the figures: the test part has fewer than {_FEWEST_BLOCKS} "
            "pieces as long as the horizon"
        )
    repeats = repeats_last(part, median)
    shown = evenly(len(part), _SHOWN)
    return {
        "metrics": {name: value for name, value in metrics.items() if value is not None},
        "intervals": intervals,
        "baselines": rows,
        "coverage": held,
        "forecasts": _records(part, shown, median, ends, naive[best]),
        "notes": notes if repeats is None else [*notes, repeats],
    }


def prediction_rows(part: Windows, median: Values) -> Iterator[dict[str, Any]]:
    """One record for each window: what came and what was said, where it is known what came."""
    for row in evenly(len(part), max(1, _WRITTEN // part.horizon)):
        one, known = part.data.series[part.series[row]], part.is_known[row]
        begin = one.times[part.origins[row] + 1]
        yield {
            "row": f"{one.name}, from {time_text(begin, part.data.frequency)}",
            "true": part.truth[row][known].tolist(),
            "predicted": median[row][known].tolist(),
        }


def evenly(count: int, most: int) -> NDArray[np.int64]:
    """All places up to `count`, or so many of them in even steps.

    Examples
    --------
    >>> evenly(3, 8).tolist(), evenly(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _records(
    part: Windows, rows: NDArray[np.int64], median: Values, ends: Ends, naive: Values
) -> list[dict[str, Any]]:
    """The forecasts that are shown: with the widest interval, and the narrower one in it."""
    (low, high), (low_80, high_80) = ends["0.95"], ends["0.8"]
    found = records(part.take(rows), median[rows], low[rows], high[rows], naive[rows])
    for record, row in zip(found, rows, strict=True):
        record |= {"low_80": low_80[row].tolist(), "high_80": high_80[row].tolist()}
    return found


def _blocks(part: Windows) -> tuple[Callable[[Values], Values], int]:
    """A function that sums values of windows by independent pieces, and how many these are.

    Windows that begin within one horizon forecast some of the same values, so a piece of a series
    is as long as that and has all its windows (Carlstein 1986).
    """
    pieces = np.stack([part.series, part.origins // part.horizon])
    block = np.unique(pieces, axis=1, return_inverse=True)[1].ravel()
    count = int(block.max()) + 1

    def by_block(values: Values) -> Values:
        return np.bincount(block, np.nansum(values, axis=1), count).astype(np.float64)

    return by_block, count


def _differences(part: Windows, median: Values, seed: int) -> Callable[[Values], dict[str, Any]]:
    """A function from other forecasts to the network's difference from them, by pieces."""
    by_block, count = _blocks(part)
    known = by_block(part.is_known.astype(np.float64))

    def scores(predicted: Values) -> Scores:
        return Scores("error", by_block(np.abs(predicted - part.truth)), known)

    own = scores(median)
    return lambda predicted: (
        difference("mae", scores(predicted), own, seed) if count >= _FEWEST_BLOCKS else {}
    )


def _intervals(part: Windows, seed: int, naive: Values) -> Callable[..., dict[str, list[float]]]:
    """A function from forecasts to the 95 % intervals of their figures, pieces drawn anew."""
    by_block, count = _blocks(part)
    known = by_block(part.is_known.astype(np.float64))
    simple = by_block(np.abs(naive - part.truth))
    scale = scales(part)[:, None]

    def intervals(predicted: Values, skill: bool) -> dict[str, list[float]]:
        distance = np.abs(predicted - part.truth)
        sums = [by_block(values) for values in (distance, distance**2, distance / scale)]

        def drawn_figures(drawn: NDArray[np.float64]) -> dict[str, float]:
            mae, square, mase = (float(drawn @ one / (drawn @ known)) for one in sums)
            found = {"mae": mae, "rmse": float(np.sqrt(square))}
            if not np.isnan(scale).any():
                found["mase"] = mase
            if skill and simple.all():
                found["skill"] = 1 - float(drawn @ sums[0] / (drawn @ simple))
            return found

        if count < _FEWEST_BLOCKS:
            return {}
        return bootstrap_intervals(drawn_figures, count, seed=seed)

    return intervals
