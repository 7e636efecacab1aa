"""Statistics of a confusion matrix: overall, for one class of two, and by class of many.

The figures and their definitions are those of R's ``caret::confusionMatrix``. Everywhere here a
confusion matrix has one row for each predicted and one column for each true class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.metrics import confusion_matrix as _count

from sunhwan.errors import ShapeError, UsageError

#: below this R prints a probability as "< 2.2e-16"
SMALLEST_P = 2.2e-16


def confusion(true: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Count predictions: ``int64[classes, classes]``, rows predicted, columns true.

    Parameters
    ----------
    true, predicted
        ``int[N]``, class numbers from 0 to ``classes - 1``.

    Raises
    ------
    ShapeError
        The two differ in length, are empty or hold a number outside the classes.

    Examples
    --------
    >>> confusion([0, 0, 1, 1], [0, 1, 1, 1], classes=2).tolist()
    [[1, 0], [1, 2]]
    """
    truth, guess = np.asarray(true), np.asarray(predicted)
    if truth.ndim != 1 or truth.shape != guess.shape or truth.size == 0:
        raise ShapeError(
            "`true` and `predicted` must be one-dimensional and of one length above 0, "
            f"received shapes {truth.shape} and {guess.shape}"
        )
    for name, values in (("true", truth), ("predicted", guess)):
        if values.min() < 0 or values.max() >= classes:
            raise ShapeError(
                f"`{name}` must hold classes from 0 to {classes - 1}, "
                f"received {values.min()} to {values.max()}"
            )
    # scikit-learn counts with the true class in the rows
    return np.asarray(_count(truth, guess, labels=np.arange(classes)).T, dtype=np.int64)


def overall(matrix: ArrayLike, confidence: float = 0.95) -> dict[str, float | None]:
    """Figures of the whole matrix, of two classes or of many.

    Returns
    -------
    dict
        ``accuracy``; ``accuracy_low``, ``accuracy_high``, the exact binomial interval (Clopper
        and Pearson 1934); ``no_information_rate``, the share of the commonest true class;
        ``p_above_no_information``, the one-sided binomial P of the accuracy against it;
        ``kappa`` (Cohen 1960); ``mcnemar_p``, for two classes with the continuity correction,
        for many the test of symmetry (Bowker 1948), as R's ``mcnemar.test``. A figure that is
        not defined, such as McNemar's where no pair of classes is ever confused, is ``None``.

    Raises
    ------
    ShapeError
        `matrix` is not square with at least two classes, has negative counts or is all zero.

    Examples
    --------
    >>> figures = overall([[9498, 2936], [3002, 9564]])
    >>> round(figures["accuracy"], 4), round(figures["kappa"], 4), round(figures["mcnemar_p"], 4)
    (0.7625, 0.525, 0.3989)
    """
    counts = _checked(matrix)
    total, right = int(counts.sum()), int(np.trace(counts))
    accuracy = right / total
    interval = stats.binomtest(right, total).proportion_ci(confidence, method="exact")
    rate = float(counts.sum(axis=0).max() / total)
    chance = float((counts.sum(axis=0) * counts.sum(axis=1)).sum()) / total**2
    return {
        "accuracy": accuracy,
        "accuracy_low": float(interval.low),
        "accuracy_high": float(interval.high),
        "no_information_rate": rate,
        "p_above_no_information": float(stats.binom.sf(right - 1, total, rate)),
        "kappa": _ratio(accuracy - chance, 1.0 - chance),
        "mcnemar_p": _mcnemar(counts),
    }


def one_against_rest(matrix: ArrayLike, positive: int = 0) -> dict[str, float | None]:
    """Figures of one class, called positive, against all others.

    Returns
    -------
    dict
        ``sensitivity``, ``specificity``, ``positive_predictive_value``,
        ``negative_predictive_value``, ``prevalence``, ``detection_rate``,
        ``detection_prevalence``, ``balanced_accuracy``; ``None`` where the class, or its
        opposite, never occurs or is never predicted.

    Raises
    ------
    UsageError
        `positive` is not one of the matrix's classes.

    Examples
    --------
    >>> round(one_against_rest([[7717, 2808], [4783, 9692]])["sensitivity"], 4)
    0.6174
    """
    counts = _checked(matrix)
    if not 0 <= positive < len(counts):
        raise UsageError(
            f"`positive` must be a class from 0 to {len(counts) - 1}, received {positive}"
        )
    total = int(counts.sum())
    predicted, true = int(counts[positive].sum()), int(counts[:, positive].sum())
    hits = int(counts[positive, positive])
    rejections = total - predicted - true + hits
    sensitivity = _ratio(hits, true)
    specificity = _ratio(rejections, total - true)
    balanced = None
    if sensitivity is not None and specificity is not None:
        balanced = (sensitivity + specificity) / 2
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "positive_predictive_value": _ratio(hits, predicted),
        "negative_predictive_value": _ratio(rejections, total - predicted),
        "prevalence": true / total,
        "detection_rate": hits / total,
        "detection_prevalence": predicted / total,
        "balanced_accuracy": balanced,
    }


def by_class(matrix: ArrayLike) -> list[dict[str, Any]]:
    """`one_against_rest` for every class, each with its ``class`` and ``count`` of true cases."""
    counts = _checked(matrix)
    return [
        {"class": k, "count": int(counts[:, k].sum()), **one_against_rest(counts, k)}
        for k in range(len(counts))
    ]


def mean_and_spread(values: Sequence[float]) -> dict[str, float | None]:
    """Mean and sample standard deviation; the spread of a single value is ``None``.

    Examples
    --------
    >>> mean_and_spread([0.86, 0.88])
    {'mean': 0.87, 'spread': 0.014142135623730963}
    """
    mean = math.fsum(values) / len(values)
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": mean, "spread": spread}


def _checked(matrix: ArrayLike) -> NDArray[np.int64]:
    counts = np.asarray(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.shape[0] < 2:
        raise ShapeError(
            "a confusion matrix must be square with at least two classes, "
            f"received shape {counts.shape}"
        )
    if counts.min() < 0 or counts.sum() == 0:
        raise ShapeError(
            "a confusion matrix must hold counts from 0 up and at least one case, "
            f"received a smallest count of {counts.min()} and a sum of {counts.sum()}"
        )
    return counts.astype(np.int64)


def _ratio(above: float, below: float) -> float | None:
    return above / below if below else None


def _mcnemar(counts: NDArray[np.int64]) -> float | None:
    """P of McNemar's test; pairs of classes that are never confused carry no information."""
    upper = np.triu_indices(len(counts), 1)
    difference = np.abs(counts - counts.T)[upper].astype(np.float64)
    pairs = (counts + counts.T)[upper]
    if not (pairs > 0).all():
        # R's test is not defined either when a pair is empty
        return None
    if len(counts) == 2:
        difference = np.where(difference > 0, difference - 1, 0.0)
    return float(stats.chi2.sf((difference**2 / pairs).sum(), len(pairs)))
