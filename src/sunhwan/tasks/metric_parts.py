"""The single figures that `sunhwan.tasks.metrics` puts together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sunhwan.errors import ShapeError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: of a class that got no probability at all, as float32 would round it
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)

_CALIBRATION_BINS = 10
_LENGTH_BINS = 8


def exact_interval(right: int, total: int) -> list[float]:
    """The exact binomial 95 % interval of a share (Clopper and Pearson 1934).

    Examples
    --------
    >>> [round(end, 4) for end in exact_interval(19062, 25000)]
    [0.7572, 0.7677]
    """
    interval = stats.binomtest(right, total).proportion_ci(0.95, method="exact")
    return [float(interval.low), float(interval.high)]


def log_losses(probabilities: Floats, true: Ints) -> Floats:
    """Minus the log of each true class's probability, ``float64[N]``.

    A class behind the columns of `probabilities`, and one of probability 0, counts as
    `SMALLEST_PROBABILITY`.

    Examples
    --------
    >>> log_losses(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 2])).round(2).tolist()
    [0.69, 15.94]
    """
    known = true < probabilities.shape[1]
    column = np.where(known, true, 0)
    found = np.where(known, probabilities[np.arange(len(true)), column], 0.0)
    return -np.log(np.maximum(found, SMALLEST_PROBABILITY))


def macro_f1(true: Ints, given: Ints, classes: int, weights: Floats) -> float:
    """Mean F1 of the classes that occur among true or given ones; each answer has a weight.

    Examples
    --------
    >>> macro_f1(np.array([0, 0, 1]), np.array([0, 1, 1]), 3, np.ones(3))
    0.6666666666666666
    """
    hits = np.bincount(true, weights * (true == given), minlength=classes)
    uses = np.bincount(true, weights, minlength=classes)
    uses += np.bincount(given, weights, minlength=classes)
    return float((2 * hits[uses > 0] / uses[uses > 0]).mean())


def calibration(confidence: Floats, right: NDArray[np.bool_]) -> dict[str, Any]:
    """Whether answers are right as often as their probability says.

    Returns
    -------
    dict
        Mean ``confidence``, ``accuracy`` and ``count`` of each of ten equal ranges of confidence
        that has answers, and ``ece``, the expected calibration error (Naeini et al. 2015): the
        mean distance of the first two, weighted by the third.

    Examples
    --------
    >>> found = calibration(np.array([0.95, 0.95, 0.55]), np.array([True, False, True]))
    >>> found["accuracy"], found["count"], round(found["ece"], 3)
    ([1.0, 0.5], [1, 2], 0.45)
    """
    inner = np.linspace(0, 1, _CALIBRATION_BINS + 1)[1:-1]
    place = np.searchsorted(inner, confidence, side="right")
    count = np.bincount(place, minlength=_CALIBRATION_BINS)
    used = count > 0
    mean = np.bincount(place, confidence, minlength=_CALIBRATION_BINS)[used] / count[used]
    accuracy = np.bincount(place, right, minlength=_CALIBRATION_BINS)[used] / count[used]
    return {
        "confidence": mean.tolist(),
        "accuracy": accuracy.tolist(),
        "count": count[used].tolist(),
        "ece": float(np.abs(mean - accuracy) @ count[used] / len(confidence)),
    }


def by_tag(matrix: Ints, tags: Sequence[str]) -> list[dict[str, Any]]:
    """``tag``, ``precision``, ``recall``, ``f1`` and ``support`` of each tag that occurs.

    A precision or recall of 0 of 0 is left out.

    Parameters
    ----------
    matrix
        Counts ``int64[C, C]``, true tags in the rows.

    Examples
    --------
    >>> by_tag(np.array([[3, 1], [0, 0]]), ["N", "V"])[1]
    {'tag': 'V', 'precision': 0.0, 'f1': 0.0, 'support': 0}
    """
    table = []
    for place, tag in enumerate(tags):
        hits = int(matrix[place, place])
        support, given = int(matrix[place].sum()), int(matrix[:, place].sum())
        figures = {
            "precision": (hits, given),
            "recall": (hits, support),
            "f1": (2 * hits, given + support),
        }
        defined = {key: above / below for key, (above, below) in figures.items() if below}
        if defined:
            table.append({"tag": tag, **defined, "support": support})
    return table


def number_figures(
    wanted: Floats, given: Floats, train_mean: float, weights: Floats
) -> dict[str, float]:
    """``mae``, ``rmse``, ``r2`` and ``skill``, each answer with a weight; NaN if not defined."""
    total = weights.sum()
    error = wanted - given
    mae, squares = weights @ np.abs(error) / total, weights @ error**2
    naive = weights @ np.abs(wanted - train_mean) / total
    spread = weights @ (wanted - weights @ wanted / total) ** 2
    return {
        "mae": float(mae),
        "rmse": float(np.sqrt(squares / total)),
        "r2": float(1 - squares / spread) if spread else float("nan"),
        "skill": float(1 - mae / naive) if naive else float("nan"),
    }


def by_length(errors: Floats, lengths: ArrayLike | None) -> dict[str, Any]:
    """Mean error of short and of long sequences, as ``{"by_length": {...}}``.

    Groups hold about as many sequences each: at least ``edges[k]`` and less than ``edges[k + 1]``
    steps, the last one both ends. Empty where there are no lengths or all are equal.

    Raises
    ------
    ShapeError
        There is not one length for each error.

    Examples
    --------
    >>> by_length(np.array([0.0, 0.0, 1.0, 0.0]), [2, 2, 9, 12])["by_length"]
    {'edges': [2, 9, 12], 'error': [0.0, 0.5], 'count': [2, 2]}
    """
    if lengths is None:
        return {}
    steps = np.asarray(lengths)
    if steps.shape != errors.shape:
        raise ShapeError(
            f"`lengths` must have one for each of {len(errors)} rows, received {steps.shape}"
        )
    shares = np.linspace(0, 1, _LENGTH_BINS + 1)
    edges = np.unique(np.quantile(steps, shares, method="inverted_cdf"))
    if len(edges) < 2:
        return {}
    count, _ = np.histogram(steps, edges)
    total, _ = np.histogram(steps, edges, weights=errors)
    return {
        "by_length": {
            "edges": edges.astype(np.int64).tolist(),
            "error": (total / count).tolist(),
            "count": count.tolist(),
        }
    }
