"""Tables of the statistics of confusion matrices, which every report of a classifier shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numpy.typing import ArrayLike

from sunhwan.runs.numbers import NOTHING, probability_text
from sunhwan.runs.statistics import by_class, one_against_rest, overall
from sunhwan.runs.wording import Words

_OVERALL = (
    "accuracy",
    "interval",
    "no_information_rate",
    "p_above_no_information",
    "kappa",
    "mcnemar_p",
)
_ONE_CLASS = (
    "sensitivity",
    "specificity",
    "positive_predictive_value",
    "negative_predictive_value",
    "prevalence",
    "detection_rate",
    "detection_prevalence",
    "balanced_accuracy",
)


def statistic_rows(
    matrices: Sequence[ArrayLike], words: Words, *, positive: int | None = None
) -> list[list[str]]:
    """A row for each figure of the whole matrix, its name first, then a column for each matrix.

    Parameters
    ----------
    matrices
        ``int[C, C]`` each, rows predicted, columns true.
    positive
        The class of two whose figures follow; None for none.

    Raises
    ------
    ShapeError
        A matrix is not square, has fewer than two classes or no cases.

    Examples
    --------
    >>> statistic_rows([[[9498, 2936], [3002, 9564]]], Words("en"))[0]
    ['Accuracy', '0.7625']
    """
    values = [
        {**overall(matrix), **({} if positive is None else one_against_rest(matrix, positive))}
        for matrix in matrices
    ]
    keys = _OVERALL if positive is None else (*_OVERALL, *_ONE_CLASS)
    return [[words(f"statistic.{key}"), *(_cell(key, value) for value in values)] for key in keys]


def symmetry_is_defined(matrices: Sequence[ArrayLike]) -> bool:
    """Whether McNemar's test says anything about one of the matrices."""
    return any(overall(matrix)["mcnemar_p"] is not None for matrix in matrices)


def class_head(words: Words) -> list[str]:
    """The head of the table whose rows are `class_rows`."""
    return [words(f"by_class.{key}") for key in ("class", "cases", *_ONE_CLASS)]


def class_rows(matrix: ArrayLike, names: Sequence[str]) -> list[list[str]]:
    """A row for each class against the rest: number and name, true cases, figures.

    Raises
    ------
    ShapeError
        The matrix is not square, has fewer than two classes or no cases.
    """
    return [
        [
            f"{entry['class']} {names[entry['class']]}" if names else str(entry["class"]),
            f"{entry['count']:,}",
            *(_cell(key, entry) for key in _ONE_CLASS),
        ]
        for entry in by_class(matrix)
    ]


def _cell(key: str, figures: Mapping[str, float | None]) -> str:
    if key == "interval":
        return f"{figures['accuracy_low']:.4f}, {figures['accuracy_high']:.4f}"
    value = figures[key]
    if key in ("p_above_no_information", "mcnemar_p"):
        return probability_text(value)
    return NOTHING if value is None else f"{value:.4f}"
