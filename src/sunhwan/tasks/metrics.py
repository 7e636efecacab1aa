"""How good answers are: figures with intervals, and what a report shows of the mistakes.

Each function gives the parts of ``results.json`` that follow from true and given answers. A figure
that is not defined, such as R² where all wanted numbers are equal, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sunhwan.errors import DataError, ShapeError
from sunhwan.runs.resampling import bootstrap_intervals
from sunhwan.runs.statistics import confusion
from sunhwan.tasks.metric_parts import (
    Floats,
    Ints,
    by_length,
    by_tag,
    calibration,
    exact_interval,
    log_losses,
    macro_f1,
    number_figures,
)

#: how many of the worst errors are kept
WORST = 20

#: how many wanted and predicted numbers are kept, evenly from all
POINTS = 5_000


@dataclass(frozen=True)
class _Answers:
    """Answers as class numbers, ``int64[N]``, with the row (example or sentence) of each."""

    classes: list[str]
    true: Ints
    given: Ints
    probabilities: Floats | None
    row: Ints
    rows: int

    @property
    def wrong(self) -> Floats:
        return (self.true != self.given).astype(np.float64)


def judge_classes(
    true: Sequence[str],
    answers: ArrayLike | Sequence[str],
    classes: Sequence[str],
    *,
    lengths: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge one label for each example.

    Parameters
    ----------
    true
        A label for each of N examples. One that is not in `classes` can only be missed; it is
        put behind them.
    answers
        Probabilities ``float[N, C]`` in the order of `classes`, or labels.
    lengths
        Steps of each example, for ``by_length``.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        ``metrics`` (``accuracy``, ``macro_f1``, ``log_loss``), ``intervals`` (95 %: exact for
        the accuracy, bootstrap for the others), ``classes``, ``confusion`` (rows true),
        ``by_length``, and with probabilities ``calibration`` and ``errors``: the most confident
        mistakes with their ``index``.

    Raises
    ------
    ShapeError, DataError
        The parts do not fit, or a row of probabilities is none; names the row.

    Examples
    --------
    >>> judged = judge_classes(["a", "b", "b"], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], ["a", "b"])
    >>> judged["confusion"], round(judged["metrics"]["log_loss"], 3)
    ([[1, 0], [1, 1]], 0.69)
    >>> judged["errors"]
    [{'index': 1, 'true': 'b', 'predicted': 'a', 'probability': 0.8}]
    """
    judged = _answers(true, answers, classes, np.arange(len(true)), len(true))
    results = _class_results(judged, seed)
    if judged.probabilities is not None:
        results["errors"] = _confident_mistakes(judged, judged.probabilities)
    return results | by_length(judged.wrong, lengths)


def judge_tags(
    true: Sequence[Sequence[str]],
    answers: Sequence[Any],
    classes: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge a label for each step of each sequence.

    Parameters
    ----------
    true
        Labels of each of N sequences.
    answers
        For each sequence probabilities ``float[T, C]``, or T labels.
    classes, seed
        As in `judge_classes`.

    Returns
    -------
    dict
        ``metrics`` (``accuracy`` and ``macro_f1`` of the steps, ``sentence_accuracy``: the share
        of sequences without a mistake; with probabilities ``log_loss``), ``intervals``
        (bootstrap over sequences, exact for the last), ``classes``, ``confusion``, ``by_tag``,
        ``by_length``, ``calibration``, and ``errors``: the sequences with most wrong steps.

    Raises
    ------
    ShapeError, DataError
        As `judge_classes`; names the sequence.

    Examples
    --------
    >>> judged = judge_tags([["N", "V"], ["N"]], [["N", "N"], ["N"]], ["N", "V"])
    >>> judged["metrics"]["sentence_accuracy"], judged["by_tag"][1]["recall"]
    (0.5, 0.0)
    """
    lengths = _matching_lengths(true, answers)
    labels = [label for sequence in true for label in sequence]
    has_labels = isinstance(answers[0][0], str)
    flat: Any = [a for sequence in answers for a in sequence] if has_labels else _joined(answers)
    row = np.repeat(np.arange(len(true)), lengths)
    judged = _answers(labels, flat, classes, row, len(true))
    results = _class_results(judged, seed)
    wrong = np.bincount(row, judged.wrong, minlength=len(true)).astype(np.float64)
    faultless = int((wrong == 0).sum())
    results["metrics"]["sentence_accuracy"] = faultless / len(true)
    results["intervals"]["sentence_accuracy"] = exact_interval(faultless, len(true))
    results["by_tag"] = by_tag(np.array(results["confusion"]), judged.classes)
    results["errors"] = _worst_sequences(judged, wrong)
    return results | by_length(wrong / lengths, lengths)


def judge_numbers(
    true: ArrayLike,
    predicted: ArrayLike,
    *,
    train_mean: float,
    lengths: ArrayLike | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge one number for each example, both ``float[N]``.

    Parameters
    ----------
    train_mean
        Mean of the training answers, which `skill` is measured against.
    lengths, seed
        As in `judge_classes`.

    Returns
    -------
    dict
        ``metrics``: ``mae``, ``rmse``, ``r2`` and ``skill`` (1 - mae / mae of always answering
        `train_mean`); ``intervals`` (bootstrap), ``points``, ``by_length`` (of the absolute
        error), and ``errors``: the answers that are furthest off, with their ``index``.

    Raises
    ------
    ShapeError, DataError
        The two differ in length, are empty or hold a number that is not finite.

    Examples
    --------
    >>> judge_numbers([1.0, 2.0, 6.0], [1.0, 3.0, 4.0], train_mean=3.0)["metrics"]
    {'mae': 1.0, 'rmse': 1.2909944487358056, 'r2': 0.6428571428571428, 'skill': 0.5}
    """
    wanted, given = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    if wanted.ndim != 1 or wanted.shape != given.shape or not len(wanted):
        raise ShapeError(
            "`true` and `predicted` must be one-dimensional and of one length above 0, "
            f"received shapes {wanted.shape} and {given.shape}"
        )
    results = _number_results(wanted, given, np.arange(len(wanted)), train_mean, seed)
    error = np.abs(wanted - given)
    results["errors"] = [
        {"index": int(n), "true": float(wanted[n]), "predicted": float(given[n])}
        for n in np.argsort(-error, kind="stable")[:WORST]
        if error[n]
    ]
    return results | by_length(error, lengths)


def judge_steps(
    true: Sequence[ArrayLike],
    predicted: Sequence[ArrayLike],
    *,
    train_mean: float,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge a number for each step of each sequence, both ``float[T]`` for each of N sequences.

    Returns
    -------
    dict
        As `judge_numbers`, over all steps, without ``errors``; the bootstrap draws sequences.

    Raises
    ------
    ShapeError, DataError
        As `judge_numbers`; names the sequence.
    """
    lengths = _matching_lengths(true, predicted)
    wanted, given = _joined(true), _joined(predicted)
    if wanted.ndim != 1 or given.ndim != 1:
        raise ShapeError(
            f"every step must have one number, received shapes {wanted.shape} and {given.shape}"
        )
    row = np.repeat(np.arange(len(true)), lengths)
    results = _number_results(wanted, given, row, train_mean, seed)
    error = np.bincount(row, np.abs(wanted - given)) / lengths
    return results | by_length(error, lengths)


def _answers(
    true: Sequence[str], answers: Any, classes: Sequence[str], row: Ints, rows: int
) -> _Answers:
    """Labels and probabilities as class numbers, all checked."""
    if len(true) == 0 or len(true) != len(answers):
        raise ShapeError(
            f"expected an answer for each of at least one true label, received {len(true)} true "
            f"labels and {len(answers)} answers"
        )
    has_labels = isinstance(answers[0], str)
    labels = [*true, *answers] if has_labels else list(true)
    known = set(classes)
    everything = [*classes, *sorted({label for label in labels if label not in known})]
    number = {name: place for place, name in enumerate(everything)}
    wanted = np.array([number[label] for label in true], np.int64)
    if has_labels:
        given = np.array([number[label] for label in answers], np.int64)
        return _Answers(everything, wanted, given, None, row, rows)
    probabilities = _checked_probabilities(answers, len(classes))
    return _Answers(everything, wanted, probabilities.argmax(axis=1), probabilities, row, rows)


def _checked_probabilities(answers: ArrayLike, classes: int) -> Floats:
    probabilities = np.asarray(answers, np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] != classes:
        raise ShapeError(
            f"probabilities must have shape [N, {classes}], received {probabilities.shape}"
        )
    good = (probabilities >= 0).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1) < 1e-3)
    if not good.all():
        row = int(np.argmin(good))
        raise DataError(
            f"answer {row}: probabilities must be from 0 up with the sum 1, "
            f"received {probabilities[row].tolist()}"
        )
    return probabilities


def _matching_lengths(true: Sequence[Any], answers: Sequence[Any]) -> Ints:
    if len(true) == 0 or len(true) != len(answers):
        raise ShapeError(
            f"expected answers for each of at least one sequence, received {len(true)} sequences "
            f"and answers for {len(answers)}"
        )
    for place, (wanted, given) in enumerate(zip(true, answers, strict=True)):
        if len(wanted) == 0 or len(wanted) != len(given):
            raise ShapeError(
                f"sequence {place}: expected an answer for each of at least one step, received "
                f"{len(wanted)} steps and {len(given)} answers"
            )
    return np.array([len(sequence) for sequence in true], np.int64)


def _joined(sequences: Sequence[ArrayLike]) -> Floats:
    return np.concatenate([np.asarray(sequence, np.float64) for sequence in sequences])


def _class_results(judged: _Answers, seed: int) -> dict[str, Any]:
    """``metrics``, ``intervals``, ``classes``, ``confusion`` and ``calibration``."""
    classes, wrong = len(judged.classes), judged.wrong
    probabilities = judged.probabilities
    losses = None if probabilities is None else log_losses(probabilities, judged.true)

    def figures(drawn: Floats) -> dict[str, float]:
        weights = drawn[judged.row]
        total = weights.sum()
        found = {
            "accuracy": float(weights @ (1.0 - wrong) / total),
            "macro_f1": macro_f1(judged.true, judged.given, classes, weights),
        }
        if losses is not None:
            found["log_loss"] = float(weights @ losses / total)
        return found

    intervals = bootstrap_intervals(figures, judged.rows, seed=seed)
    if judged.rows == len(wrong):
        intervals["accuracy"] = exact_interval(int((wrong == 0).sum()), len(wrong))
    results: dict[str, Any] = {
        "metrics": figures(np.ones(judged.rows)),
        "intervals": intervals,
        "classes": judged.classes,
        # true classes in the rows, unlike in `sunhwan.runs.statistics`
        "confusion": confusion(judged.true, judged.given, classes).T.tolist(),
    }
    if probabilities is not None:
        results["calibration"] = calibration(probabilities.max(axis=1), wrong == 0)
    return results


def _number_results(
    wanted: Floats, given: Floats, row: Ints, train_mean: float, seed: int
) -> dict[str, Any]:
    """``metrics``, ``intervals`` and ``points``; a figure that is not defined is left out."""
    for name, values in (("true", wanted), ("predicted", given)):
        if not np.isfinite(values).all():
            place = int(np.argmin(np.isfinite(values)))
            raise DataError(f"`{name}`, row {row[place]}: {values[place]} is no finite number")

    def figures(drawn: Floats) -> dict[str, float]:
        return number_figures(wanted, given, train_mean, drawn[row])

    rows = int(row[-1]) + 1
    metrics = figures(np.ones(rows))
    shown = np.unique(np.linspace(0, len(wanted) - 1, POINTS).astype(np.int64))
    return {
        "metrics": {key: value for key, value in metrics.items() if np.isfinite(value)},
        "intervals": bootstrap_intervals(figures, rows, seed=seed),
        "points": {"wanted": wanted[shown].tolist(), "predicted": given[shown].tolist()},
    }


def _confident_mistakes(judged: _Answers, probabilities: Floats) -> list[dict[str, Any]]:
    """Wrong answers, the most confident first."""
    confidence = np.where(judged.wrong == 1, probabilities.max(axis=1), -1.0)
    return [
        {
            "index": int(n),
            "true": judged.classes[judged.true[n]],
            "predicted": judged.classes[judged.given[n]],
            "probability": float(confidence[n]),
        }
        for n in np.argsort(-confidence, kind="stable")[:WORST]
        if confidence[n] >= 0
    ]


def _worst_sequences(judged: _Answers, wrong: Floats) -> list[dict[str, Any]]:
    """Sequences with wrong steps, those with most first."""
    starts = np.searchsorted(judged.row, np.arange(judged.rows + 1))
    return [
        {
            "index": int(n),
            "true": [judged.classes[k] for k in judged.true[starts[n] : starts[n + 1]]],
            "predicted": [judged.classes[k] for k in judged.given[starts[n] : starts[n + 1]]],
        }
        for n in np.argsort(-wrong, kind="stable")[:WORST]
        if wrong[n]
    ]
