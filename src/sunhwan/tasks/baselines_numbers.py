"""Baselines that read numbers: summaries of whole sequences, and the steps with a few before."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.data.spool import lengths
from sunhwan.errors import DataError

Floats = NDArray[np.float64]

#: more training steps than this are not needed to see what a line through them can do
MOST_STEPS = 50_000

#: how many steps before each one are read with it
LAGS = 3

# a step number seen in fewer training sequences than this leans on the overall mean
_TRUST = 5

_PENALTIES = np.logspace(-3, 4, 15)

#: the inverse of the penalty of a logistic regression; chosen on parts held out of the training
#: data of three sets, see benchmarks/results/baseline-settings.json
C = 1.0


class Checked(Sequence[Floats]):
    """Sequences as ``float64[T, D]``, one feature a step where they are ``[T]``.

    Each is looked at when it is asked for, as there may be more of them than memory holds.

    Parameters
    ----------
    sequences, places
        Arrays or lists of numbers, and where each is from.

    Raises
    ------
    DataError
        A sequence has no steps, another D than the first or a number that is not finite; names
        its place.
    """

    def __init__(self, sequences: Sequence[ArrayLike], places: Sequence[str]) -> None:
        self._sequences, self._places = sequences, places
        self._features = 0
        self._features = self[0].shape[1]

    def __len__(self) -> int:
        return len(self._sequences)

    @overload
    def __getitem__(self, index: int) -> Floats: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Floats]: ...
    def __getitem__(self, index: int | slice) -> Floats | Sequence[Floats]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        return self._read(self._sequences[index], index)

    def __iter__(self) -> Iterator[Floats]:
        return (self._read(values, row) for row, values in enumerate(self._sequences))

    def _read(self, values: ArrayLike, row: int) -> Floats:
        array = np.asarray(values, np.float64)
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or not array.size or self._features not in (0, array.shape[1]):
            raise DataError(
                f"{self._places[row]}: expected numbers of shape [T, {self._features or 'D'}], "
                f"T at least 1, received {array.shape}"
            )
        if not np.isfinite(array).all():
            step = int(np.argmin(np.isfinite(array).all(axis=1)))
            raise DataError(
                f"{self._places[row]}, step {step}: expected finite numbers, received {array[step]}"
            )
        return array


def summaries(sequences: Sequence[Floats]) -> Floats:
    """What a sequence is like, order aside: ``float64[N, 6 * D + 1]``.

    By feature its mean, standard deviation, least, greatest, first and last value; and how many
    steps there are.

    Examples
    --------
    >>> summaries([np.array([[1.0], [4.0], [1.0]])]).round(2).tolist()
    [[2.0, 1.41, 1.0, 4.0, 1.0, 1.0, 3.0]]
    """
    rows = (
        np.concatenate([s.mean(0), s.std(0), s.min(0), s.max(0), s[0], s[-1], [len(s)]])
        for s in sequences
    )
    width = 6 * sequences[0].shape[1] + 1
    return np.fromiter(rows, np.dtype((np.float64, width)), len(sequences))


def logistic(
    train: Sequence[Floats], y: NDArray[np.int64], test: Sequence[Floats], c: float = C
) -> tuple[Floats, str]:
    """Logistic regression on `summaries`: probabilities ``float64[N, C]`` of the test part."""
    model = _logistic_model(c)
    detail = _summary_words(train) + fit(model, summaries(train), y)
    return np.asarray(model.predict_proba(summaries(test)), np.float64), detail


def ridge(train: Sequence[Floats], y: Floats, test: Sequence[Floats]) -> tuple[list[float], str]:
    """Ridge regression of a number on `summaries`."""
    model = _ridge_model().fit(summaries(train), y)
    detail = f"{_summary_words(train)}; penalty {model[-1].alpha_:.3g}"
    return model.predict(summaries(test)).tolist(), detail


def with_lags(steps: Floats) -> Floats:
    """Each step with the `LAGS` steps before it, ``float64[T, (LAGS + 1) * D]``.

    Before the first step stands the first step.

    Examples
    --------
    >>> with_lags(np.array([[1.0], [2.0]])).tolist()
    [[1.0, 1.0, 1.0, 1.0], [2.0, 1.0, 1.0, 1.0]]
    """
    now = np.arange(len(steps))
    return np.concatenate([steps[np.maximum(now - lag, 0)] for lag in range(LAGS + 1)], axis=1)


def mean_by_step(
    train: Sequence[Floats], answers: Sequence[ArrayLike], test: Sequence[Floats]
) -> tuple[list[list[float]], str]:
    """The mean training answer at each step number.

    The fewer training sequences reach a step, the more it leans on the mean of all steps.
    """
    arrays = [np.asarray(answer, np.float64) for answer in answers]
    values = np.concatenate(arrays)
    step = np.concatenate([np.arange(len(array)) for array in arrays])
    counts = lengths(test)
    longest = max(int(step.max()) + 1, int(counts.max()))
    sums = np.bincount(step, values - values.mean(), minlength=longest)
    means = values.mean() + sums / (np.bincount(step, minlength=longest) + _TRUST)
    detail = f"the mean of {len(train):,} training sequences"
    return [means[:count].tolist() for count in counts.tolist()], detail


def lag_ridge(
    train: Sequence[Floats], answers: Sequence[ArrayLike], test: Sequence[Floats], seed: int
) -> tuple[list[list[float]], str]:
    """Ridge regression of each step's number on that step and those before."""
    values = np.concatenate([np.asarray(answer, np.float64) for answer in answers])
    kept = sample(np.zeros(len(values), np.int64), MOST_STEPS, seed)
    model = _ridge_model().fit(_steps_with_lags(train, kept), values[kept])
    detail = f"{_lag_words(kept, values)}; penalty {model[-1].alpha_:.3g}"
    return [model.predict(with_lags(steps)).tolist() for steps in test], detail


def lag_logistic(
    train: Sequence[Floats], tags: Sequence[Sequence[int]], test: Sequence[Floats], seed: int
) -> tuple[list[list[int]], str]:
    """Logistic regression of each step's label on that step and those before."""
    values = np.concatenate([np.asarray(tag, np.int64) for tag in tags])
    kept = sample(values, MOST_STEPS, seed)
    model = _logistic_model(C)
    note = fit(model, _steps_with_lags(train, kept), values[kept])
    detail = _lag_words(kept, values) + note
    return [model.predict(with_lags(steps)).tolist() for steps in test], detail


def sample(labels: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """All rows, or of very many about `most`, in order; every label is among them.

    Examples
    --------
    >>> sample(np.array([0, 0, 0, 0, 7, 0]), 2, seed=1).tolist()
    [0, 2, 3, 4]
    """
    if len(labels) <= most:
        return np.arange(len(labels))
    drawn = np.random.default_rng(seed).choice(len(labels), most, replace=False)
    _, first = np.unique(labels, return_index=True)
    return np.union1d(drawn, first)


def fit(model: Any, x: Any, y: NDArray[Any]) -> str:
    """Fit a scikit-learn pipeline that ends in a logistic regression.

    Returns
    -------
    str
        Words for the case that it had not settled after all of its iterations, else empty.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # said in words instead, beside the result
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
    iterations = int(np.max(model[-1].n_iter_))
    return f", stopped after {iterations} iterations" * (iterations >= model[-1].max_iter)


def _steps_with_lags(train: Sequence[Floats], kept: NDArray[np.int64]) -> Floats:
    """`with_lags` of those steps of all sequences, end to end, that are kept."""
    starts = np.cumsum([0, *(len(steps) for steps in train)])
    bounds = np.searchsorted(kept, starts)
    return np.concatenate(
        [
            with_lags(steps)[kept[low:high] - start]
            for steps, start, (low, high) in zip(train, starts, pairwise(bounds), strict=False)
            if low < high
        ]
    )


def _logistic_model(c: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000))


def _ridge_model() -> Any:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(_PENALTIES))


def _summary_words(train: Sequence[Floats]) -> str:
    features = train[0].shape[1]
    return f"mean, spread, least, greatest, first and last of {features} features, and the length"


def _lag_words(kept: NDArray[np.int64], values: NDArray[Any]) -> str:
    words = f"each step with the {LAGS} before"
    if len(kept) < len(values):
        words += f", from {len(kept):,} of {len(values):,} training steps"
    return words
