"""Statistics of confusion matrices against the published tables and figures known otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sunhwan.errors import ShapeError, UsageError
from sunhwan.runs.numbers import probability_text
from sunhwan.runs.statistics import (
    by_class,
    confusion,
    mean_and_spread,
    one_against_rest,
    overall,
)

FEEDFORWARD = [[9498, 2936], [3002, 9564]]
LSTM1 = [[7717, 2808], [4783, 9692]]

# every figure with as many digits as were published
PUBLISHED = [
    (
        FEEDFORWARD,
        {
            "accuracy": "0.7625",
            "accuracy_low": "0.7572",
            "accuracy_high": "0.7677",
            "no_information_rate": "0.5",
            "kappa": "0.525",
            "mcnemar_p": "0.3989",
            "sensitivity": "0.7598",
            "specificity": "0.7651",
            "positive_predictive_value": "0.7639",
            "negative_predictive_value": "0.7611",
            "prevalence": "0.5",
            "detection_rate": "0.3799",
            "detection_prevalence": "0.4974",
            "balanced_accuracy": "0.7625",
        },
    ),
    (
        LSTM1,
        {
            "accuracy": "0.6964",
            "accuracy_low": "0.6906",
            "accuracy_high": "0.7021",
            "no_information_rate": "0.5",
            "kappa": "0.3927",
            "sensitivity": "0.6174",
            "specificity": "0.7754",
            "positive_predictive_value": "0.7332",
            "negative_predictive_value": "0.6696",
            "prevalence": "0.5",
            "detection_rate": "0.3087",
            "detection_prevalence": "0.4210",
            "balanced_accuracy": "0.6964",
        },
    ),
]


@pytest.mark.parametrize(("matrix", "published"), PUBLISHED)
def test_published_figures_to_the_printed_digits(matrix, published):
    figures = {**overall(matrix), **one_against_rest(matrix, positive=0)}
    for name, text in published.items():
        digits = len(text.partition(".")[2])
        assert f"{figures[name]:.{digits}f}" == text, name


def test_published_probabilities_too_small_to_print():
    for matrix in (FEEDFORWARD, LSTM1):
        assert probability_text(overall(matrix)["p_above_no_information"]) == "< 2.2e-16"
    assert probability_text(overall(LSTM1)["mcnemar_p"]) == "< 2.2e-16"


def test_counting_has_predictions_in_rows():
    matrix = confusion(true=[0, 0, 0, 1, 2, 2], predicted=[0, 2, 2, 1, 2, 0], classes=4)
    expected = [[1, 0, 1, 0], [0, 1, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]]
    assert matrix.tolist() == expected


def test_positive_class_can_be_the_other():
    zero, one = one_against_rest(LSTM1, 0), one_against_rest(LSTM1, 1)
    assert one["sensitivity"] == zero["specificity"] == 9692 / 12500
    assert one["positive_predictive_value"] == zero["negative_predictive_value"]
    assert one["detection_rate"] == 9692 / 25000


def test_small_matrix_against_figures_worked_by_hand():
    figures = overall([[3, 1], [2, 4]])
    # P[X >= 7] of a binomial of 10 and a half: (120 + 45 + 10 + 1) / 1024
    assert figures["p_above_no_information"] == pytest.approx(176 / 1024, rel=1e-12)
    # (|1 - 2| - 1)^2 / 3 = 0
    assert figures["mcnemar_p"] == 1.0
    # observed 0.7, by chance (4 * 5 + 6 * 5) / 100
    assert figures["kappa"] == pytest.approx(0.4, rel=1e-12)


def test_exact_interval_of_all_right():
    # all of n right: the lower end solves p^n = 0.025
    figures = overall([[6, 0], [0, 2]])
    assert figures["accuracy_low"] == pytest.approx(0.025 ** (1 / 8), rel=1e-9)
    assert figures["accuracy_high"] == 1.0


def test_many_classes():
    matrix = np.array([[5, 2, 0], [1, 7, 3], [4, 1, 9]])
    figures = overall(matrix)
    assert figures["accuracy"] == 21 / 32
    assert figures["no_information_rate"] == 12 / 32
    # Bowker's test: 1/3 + 16/4 + 4/4 on 3 degrees of freedom
    square = 1 / 3 + 4 + 1
    tail = math.erfc(math.sqrt(square / 2)) + math.sqrt(2 * square / math.pi) * math.exp(
        -square / 2
    )
    assert figures["mcnemar_p"] == pytest.approx(tail, rel=1e-9)
    table = by_class(matrix)
    assert [row["count"] for row in table] == [10, 10, 12]
    assert table[1]["sensitivity"] == 7 / 10
    assert table[1]["specificity"] == 18 / 22
    assert table[2]["positive_predictive_value"] == 9 / 14
    assert table[0]["detection_prevalence"] == 7 / 32


def test_what_is_not_defined_is_none():
    figures = one_against_rest([[4, 3, 0], [1, 2, 0], [0, 0, 0]], positive=2)
    assert figures["sensitivity"] is None
    assert figures["positive_predictive_value"] is None
    assert figures["balanced_accuracy"] is None
    assert figures["specificity"] == 1.0
    assert overall([[5, 0], [0, 4]])["mcnemar_p"] is None
    assert overall([[5, 0], [0, 0]])["kappa"] is None


def test_mean_and_spread_over_seeds():
    figures = mean_and_spread([2.0, 4.0, 9.0])
    assert figures == {"mean": 5.0, "spread": pytest.approx(math.sqrt(13), rel=1e-12)}
    assert mean_and_spread([0.5]) == {"mean": 0.5, "spread": None}


@pytest.mark.parametrize("matrix", [[[1, 2, 3], [4, 5, 6]], [[7]], [[1, -1], [2, 3]], [[0, 0]] * 2])
def test_what_is_no_confusion_matrix_is_refused(matrix):
    with pytest.raises(ShapeError, match="confusion matrix must"):
        overall(matrix)


def test_bad_classes_are_refused():
    with pytest.raises(ShapeError, match="`predicted` must hold classes from 0 to 1"):
        confusion([0, 1], [0, 2], classes=2)
    with pytest.raises(ShapeError, match="one length"):
        confusion([0, 1], [0], classes=2)
    with pytest.raises(UsageError, match="`positive` must be a class from 0 to 1, received 2"):
        one_against_rest(LSTM1, 2)
