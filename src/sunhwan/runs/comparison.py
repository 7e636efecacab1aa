"""Two or more runs judged on the same rows: is one better, or was it luck?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sunhwan.errors import DataError, UsageError
from sunhwan.runs.numbers import metric_text, probability_text
from sunhwan.runs.resampling import bootstrap_intervals

#: a difference with a smaller P is taken for real
LEVEL = 0.05

_PERMUTATIONS = 1_999
_AT_ONCE = 1 << 20

#: a row of ``predictions.jsonl``
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """What one run does differently from the first.

    Attributes
    ----------
    first, other
        Names of the two runs.
    rows
        How many rows both have.
    measure
        ``accuracy`` (share right, of steps where a row has many) or ``error`` (mean absolute).
    first_figure, other_figure
        The measure of each run.
    difference, low, high
        Of the other run minus the first, with the paired bootstrap 95 % interval.
    only_first_right, only_other_right
        Rows that one run alone got right; None where a row is not simply right or wrong.
    p, p_corrected
        Of no difference: McNemar's exact test (McNemar 1947) where a row is right or wrong,
        else the paired permutation test of the mean; and after Holm's correction (Holm 1979)
        for how many runs are compared.
    verdict, verdict_ko
        The result as a sentence, in English and in Korean.
    """

    first: str
    other: str
    rows: int
    measure: Literal["accuracy", "error"]
    first_figure: float
    other_figure: float
    difference: float
    low: float
    high: float
    only_first_right: int | None
    only_other_right: int | None
    p: float
    p_corrected: float
    verdict: str
    verdict_ko: str


@dataclass(frozen=True, eq=False)
class Scores:
    """What each row adds to a figure, which is the sum of points by the sum of steps.

    Attributes
    ----------
    measure
        ``accuracy`` (points are right answers) or ``error`` (points are absolute errors).
    points, steps
        ``float64[N]`` of rows that were judged independently of each other: examples, sentences,
        or pieces of a series; and for how many answers each of them counts.
    """

    measure: Literal["accuracy", "error"]
    points: NDArray[np.float64]
    steps: NDArray[np.float64]

    def figure(self, drawn: NDArray[np.float64]) -> float:
        """The figure where each row was drawn so often, ``float64[N]``."""
        return float(drawn @ self.points / (drawn @ self.steps))


def compare(runs: Mapping[str, Sequence[Row]], *, seed: int = 0) -> list[Comparison]:
    """Compare each run with the first, row by row.

    Parameters
    ----------
    runs
        Name of the run to its rows ``{"row", "true", "predicted"}``; the answers are a label
        (str), a number, or a list of one of these for each step. The order of the rows is free.
    seed
        Of the bootstrap and the permutations.

    Raises
    ------
    UsageError
        Fewer than two runs.
    DataError
        A run has other rows or other true answers than the first, or answers that cannot be
        compared; names the first such row.

    Examples
    --------
    >>> def run(right):
    ...     return [{"row": n, "true": "a", "predicted": "ab"[n >= right]} for n in range(100)]
    >>> result = compare({"gru": run(80), "lstm": run(92)})[0]
    >>> round(result.difference, 2), result.only_other_right, round(result.p, 6)
    (0.12, 12, 0.000488)
    >>> print(result.verdict)
    lstm is better than gru: accuracy 0.9200 against 0.8000, a difference of +0.1200 \
(95 % interval +0.0600 to +0.1900; P 4.9e-04).
    """
    if len(runs) < 2:
        raise UsageError(f"a comparison needs at least two runs, received {len(runs)}")
    names = list(runs)
    tables = {name: _by_row(name, rows) for name, rows in runs.items()}
    first = tables[names[0]]
    for name in names[1:]:
        _check_same(names[0], first, name, tables[name])
    order = list(first)
    scores = {name: _score(name, [table[key] for key in order]) for name, table in tables.items()}
    base = scores[names[0]]
    tests = [paired(base, scores[name], seed) for name in names[1:]]
    corrected = holm([test["p"] for test in tests])
    results = []
    for name, test, p in zip(names[1:], tests, corrected, strict=True):
        figures: dict[str, Any] = {
            "first": names[0],
            "other": name,
            "rows": len(order),
            **test,
            "p_corrected": p,
        }
        results.append(Comparison(**figures, **_verdict(figures, len(tests))))
    return results


def holm(p: Sequence[float]) -> list[float]:
    """P values after Holm's step-down correction (Holm 1979), in the order received.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    raised = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(raised), 1.0)
    return [float(value) for value in corrected]


def _by_row(run: str, rows: Sequence[Row]) -> dict[Any, Row]:
    """The rows by their number."""
    table: dict[Any, Row] = {}
    for place, row in enumerate(rows, 1):
        for key in ("row", "true", "predicted"):
            if row.get(key) is None:
                raise DataError(
                    f"{run}, prediction {place}: `{key}` is missing",
                    hint="only predictions for rows with a true answer can be compared",
                )
        if not isinstance(row["row"], int | str):
            raise DataError(
                f"{run}, prediction {place}: `row` must be a number or a name, "
                f"received {row['row']!r}"
            )
        if row["row"] in table:
            raise DataError(f"{run}, prediction {place}: row {row['row']} occurs a second time")
        table[row["row"]] = row
    if len(table) < 2:
        raise DataError(f"{run}: a comparison needs at least two rows, received {len(table)}")
    return table


def _check_same(first: str, rows: Mapping[Any, Row], other: str, found: Mapping[Any, Row]) -> None:
    hint = "runs can be compared when they were judged on the same test rows"
    for key, row in rows.items():
        if key not in found:
            raise DataError(f"row {key} is among those of {first}, but not of {other}", hint=hint)
        if row["true"] != found[key]["true"]:
            raise DataError(
                f"row {key}: the true answer must be the same in both runs, received "
                f"{row['true']!r} in {first} and {found[key]['true']!r} in {other}",
                hint=hint,
            )
    for key in found:
        if key not in rows:
            raise DataError(f"row {key} is among those of {other}, but not of {first}", hint=hint)


def _score(run: str, rows: Sequence[Row]) -> Scores:
    labels = any(isinstance(step, str) for step in _steps(rows[0]["true"]))
    points, steps = [], []
    for row in rows:
        true, predicted = _steps(row["true"]), _steps(row["predicted"])
        alike = all(_is_answer(step, labels) for step in (*true, *predicted))
        if not true or len(true) != len(predicted) or not alike:
            kind = "labels" if labels else "numbers"
            raise DataError(
                f"{run}, row {row['row']}: expected as many {kind} predicted as true, received "
                f"true {row['true']!r} and predicted {row['predicted']!r}"
            )
        pairs = zip(true, predicted, strict=True)
        points.append(sum(t == p if labels else abs(t - p) for t, p in pairs))
        steps.append(len(true))
    return Scores(
        "accuracy" if labels else "error",
        np.array(points, np.float64),
        np.array(steps, np.float64),
    )


def _is_answer(step: Any, labels: bool) -> bool:
    if labels:
        return isinstance(step, str)
    return isinstance(step, int | float) and math.isfinite(step)


def _steps(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]


def paired(first: Scores, other: Scores, seed: int = 0) -> dict[str, Any]:
    """The figures of `Comparison` for two that were judged on the same rows, in the same order.

    Parameters
    ----------
    first, other
        Of two rows or more.
    seed
        Of the bootstrap and the permutations.

    Examples
    --------
    >>> right = np.repeat([1.0, 0.0], [80, 20]), np.repeat([1.0, 0.0], [92, 8])
    >>> found = paired(*(Scores("accuracy", points, np.ones(100)) for points in right))
    >>> round(found["difference"], 2), round(found["p"], 6)
    (0.12, 0.000488)
    """
    rows = len(first.points)
    interval = bootstrap_intervals(
        lambda drawn: {"difference": other.figure(drawn) - first.figure(drawn)}, rows, seed=seed
    )["difference"]
    only_first = only_other = None
    if first.measure == "accuracy" and (first.steps == 1).all():
        only_first = int((first.points > other.points).sum())
        only_other = int((other.points > first.points).sum())
        discordant = only_first + only_other
        p = float(stats.binomtest(only_other, discordant).pvalue) if discordant else 1.0
    else:
        p = _permutation(first.points, other.points, seed)
    once = np.ones(rows)
    return {
        "measure": first.measure,
        "first_figure": first.figure(once),
        "other_figure": other.figure(once),
        "difference": other.figure(once) - first.figure(once),
        "low": interval[0],
        "high": interval[1],
        "only_first_right": only_first,
        "only_other_right": only_other,
        "p": p,
    }


def _permutation(first: NDArray[np.float64], other: NDArray[np.float64], seed: int) -> float:
    """P of the sum of the rows' differences, were the two runs' answers exchangeable."""
    result = stats.permutation_test(
        (first, other),
        lambda x, y, axis: (y - x).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        batch=max(1, _AT_ONCE // len(first)),
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def _verdict(figures: Mapping[str, Any], comparisons: int) -> dict[str, Any]:
    """``verdict`` and ``verdict_ko``."""
    first, other, measure = figures["first"], figures["other"], figures["measure"]
    better = (figures["difference"] > 0) == (measure == "accuracy")
    if figures["p_corrected"] >= LEVEL:
        english = f"No difference between {other} and {first} can be shown"
        korean = f"두 실행({other}, {first}) 사이에 유의한 차이가 확인되지 않았습니다"
    else:
        # words that follow a run's name have one form in Korean, whatever the name ends in
        english = f"{other} is {'better' if better else 'worse'} than {first}"
        korean = f"{other} 쪽이 {first} 쪽보다 {'더 좋습니다' if better else '더 나쁩니다'}"
    ours, theirs = (metric_text(measure, figures[f"{run}_figure"]) for run in ("other", "first"))
    difference, low, high = (
        f"{'+' if figures[key] > 0 else ''}{metric_text(measure, figures[key])}"
        for key in ("difference", "low", "high")
    )
    p = probability_text(figures["p_corrected"])
    names = {"accuracy": ("accuracy", "정확도"), "error": ("mean absolute error", "평균 절대 오차")}
    corrected = (
        (f", corrected for {comparisons} comparisons", f", {comparisons}개 비교에 대해 보정")
        if comparisons > 1
        else ("", "")
    )
    return {
        "verdict": f"{english}: {names[measure][0]} {ours} against {theirs}, a difference of "
        f"{difference} (95 % interval {low} to {high}; P {p}{corrected[0]}).",
        "verdict_ko": f"{korean}: {names[measure][1]} {ours} 대 {theirs}, 차이 "
        f"{difference}(95% 신뢰구간 {low} ~ {high}; P값 {p}{corrected[1]}).",
    }
