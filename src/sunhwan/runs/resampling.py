"""Intervals by drawing the rows of a test set anew."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

#: how often the rows are drawn anew
RESAMPLES = 999

#: numbers drawn at a time, so that a large test set needs no more memory than a small one
_AT_ONCE = 1 << 20


def bootstrap_intervals(
    figures: Callable[[NDArray[np.float64]], Mapping[str, float]],
    rows: int,
    *,
    seed: int,
    confidence: float = 0.95,
) -> dict[str, list[float]]:
    """Percentile bootstrap intervals of figures of a test set (Efron 1979).

    Parameters
    ----------
    figures
        Takes how often each row was drawn, ``float64[rows]``, and gives the figures of such a
        test set, always under the same names.
    rows
        How many rows were judged independently of each other: examples, or for tagging whole
        sentences, as the words of one sentence go right or wrong together.
    seed
        The same seed gives the same intervals.

    Returns
    -------
    dict
        ``[low, high]`` by figure. Left out is a figure that is not finite in some of the drawn
        test sets, such as R² where all wanted numbers are equal; with fewer than two rows, all.

    Examples
    --------
    >>> wrong = np.array([0, 0, 1, 0, 0, 0, 1, 0, 0, 0])
    >>> bootstrap_intervals(lambda drawn: {"error": drawn @ wrong / drawn.sum()}, 10, seed=1)
    {'error': [0.0, 0.5]}
    """
    if rows < 2:
        return {}
    names = list(figures(np.ones(rows)))

    def statistic(drawn: NDArray[np.int64], axis: int) -> NDArray[np.float64]:
        del axis  # SciPy always passes the last
        sets = drawn.reshape(-1, rows)
        values = [_figures_of(one, figures, names) for one in sets]
        return np.array(values).T.reshape(len(names), *drawn.shape[:-1])

    with warnings.catch_warnings():
        # a figure that is not finite is left out below
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        result: Any = stats.bootstrap(
            (np.arange(rows),),
            statistic,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=max(1, _AT_ONCE // rows),
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
    ends = zip(names, *result.confidence_interval, strict=True)
    return {
        name: [float(low), float(high)]
        for name, low, high in ends
        if math.isfinite(low) and math.isfinite(high)
    }


def _figures_of(
    drawn: NDArray[np.int64],
    figures: Callable[[NDArray[np.float64]], Mapping[str, float]],
    names: list[str],
) -> list[float]:
    found = figures(np.bincount(drawn, minlength=len(drawn)).astype(np.float64))
    return [found[name] for name in names]
