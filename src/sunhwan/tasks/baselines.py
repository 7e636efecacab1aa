"""Simple methods on the same examples: what a network must beat to be worth its cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Examples, Kind
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks import baselines_numbers, baselines_tags, baselines_text
from sunhwan.tasks.metrics import judge_classes, judge_numbers, judge_steps, judge_tags

Task = Literal["classify", "regress", "tag"]

#: float32[T, D] each
Sequences = Sequence[NDArray[Any]]

#: name, and what trains it and answers the test part: the answers and a line on how
_Recipe = tuple[str, Callable[[], tuple[Any, str]]]

_WORDS = ("text", "tokens")


@dataclass(frozen=True, eq=False)
class Baseline:
    """The answers of a simple method to the test part.

    Attributes
    ----------
    name
        Such as ``majority class``; the same in every run.
    classes
        The labels of the training part, sorted; empty where numbers are answered.
    probabilities
        ``float64[N, C]`` in the order of `classes`, when classifying; else None.
    predictions
        A label or a number for each example, or for each step a list of these.
    seconds
        To train and to answer.
    detail
        What it is, and what was chosen.
    """

    name: str
    classes: list[str]
    probabilities: NDArray[np.float64] | None
    predictions: list[Any]
    seconds: float
    detail: str


def baselines_for(
    task: Task,
    train: Examples,
    test: Examples,
    *,
    encoded_train: Sequences | None = None,
    encoded_test: Sequences | None = None,
    seed: int,
    on_start: Callable[[str], None] | None = None,
) -> list[Baseline]:
    """Train the baselines of a task on the training part and let them answer the test part.

    ======== =========================== ====================================================
    task     inputs                      baselines
    ======== =========================== ====================================================
    classify text, tokens                majority class, feed-forward net, n-gram logistic
                                         regression
    classify numbers, sound              majority class, logistic regression on summaries
    regress  text, tokens                training mean, training median, n-gram ridge regression
    regress  numbers, sound              training mean, training median, ridge regression on
                                         summaries
    tag      tokens, a label each        most frequent tag, Markov chain
    tag      numbers, sound; label each  most frequent tag, logistic regression on lags
    tag      numbers, sound; number each mean by step, ridge regression on lags
    ======== =========================== ====================================================

    Parameters
    ----------
    task
        ``classify``, ``regress`` or ``tag``.
    train, test
        The parts that the network has; answers in `test` are not looked at.
    encoded_train, encoded_test
        ``float32[T, D]`` of each example; for sounds needed, for numbers instead of the inputs.
    seed
        Of the feed-forward net and of the samples drawn from a very large training part.
    on_start
        Called with the name of each baseline as it begins.

    Raises
    ------
    UsageError
        There are no baselines for such a task on such inputs.
    DataError
        The training part has no answers or only one label, or a sequence does not fit the
        others; names its place.

    Examples
    --------
    >>> train = Examples("numbers", [np.full((3, 1), n) for n in range(4)], [0.0, 2.0, 4.0, 6.0],
    ...                  [f"line {n}" for n in range(4)])
    >>> mean, median, ridge = baselines_for("regress", train, train.take([3]), seed=1)
    >>> mean.predictions, round(ridge.predictions[0], 1)
    ([3.0], 6.0)
    """
    if task not in get_args(Task):
        raise UsageError(f"`task` must be one of {', '.join(get_args(Task))}, received {task!r}")
    if train.targets is None:
        raise DataError("baselines need a training part with answers, received none")
    if len(train) < 2 or not len(test):
        raise DataError(
            "baselines need at least two examples to learn from and one to answer, "
            f"received {len(train)} and {len(test)}"
        )
    inputs = _inputs(train, encoded_train), _inputs(test, encoded_test)
    classes = _classes(task, train, inputs[0])
    found = []
    for name, answer in _recipes(task, inputs, train, classes, seed):
        if on_start is not None:
            on_start(name)
        start = time.perf_counter()
        answers, detail = answer()
        seconds = time.perf_counter() - start
        probabilities, predictions = None, answers
        if task == "classify":
            probabilities = np.asarray(answers, np.float64)
            predictions = [classes[place] for place in probabilities.argmax(axis=1)]
        found.append(Baseline(name, classes, probabilities, predictions, seconds, detail))
    return found


def judge_baselines(
    task: Task, baselines: Sequence[Baseline], train: Examples, test: Examples, *, seed: int = 0
) -> list[dict[str, Any]]:
    """The ``baselines`` of ``results.json``: name, metrics, intervals, seconds and detail.

    Raises
    ------
    DataError
        The test part has no answers.
    """
    if test.targets is None or train.targets is None:
        raise DataError("baselines can only be judged on a test part with answers")
    entries = []
    for baseline in baselines:
        answers: Any = baseline.predictions
        if baseline.classes and task == "tag":
            judged = judge_tags(test.targets, answers, baseline.classes, seed=seed)
        elif baseline.classes:
            answers = baseline.probabilities
            judged = judge_classes(test.targets, answers, baseline.classes, seed=seed)
        elif task == "tag":
            mean = float(np.concatenate(train.targets).mean())
            judged = judge_steps(test.targets, answers, train_mean=mean, seed=seed)
        else:
            mean = float(np.mean(train.targets))
            judged = judge_numbers(test.targets, answers, train_mean=mean, seed=seed)
        entries.append(
            {
                "name": baseline.name,
                "metrics": judged["metrics"],
                "intervals": judged["intervals"],
                "seconds": round(baseline.seconds, 2),
                "detail": baseline.detail,
            }
        )
    return entries


def _inputs(part: Examples, encoded: Sequences | None) -> list[Any]:
    """What the baselines read: texts, tokens or checked ``float64[T, D]``."""
    if part.kind in _WORDS:
        return part.inputs
    if encoded is None and part.kind == "sound":
        raise UsageError(
            "baselines for sounds need their features, received none",
            hint="pass `encoded_train` and `encoded_test`",
        )
    sequences = part.inputs if encoded is None else list(encoded)
    if len(sequences) != len(part):
        raise DataError(f"expected {len(part)} encoded sequences, received {len(sequences)}")
    return baselines_numbers.checked(sequences, part.places)


def _classes(task: Task, train: Examples, inputs: Sequence[Any]) -> list[str]:
    """The labels of the training part, sorted; none where the answers are numbers."""
    answers: Any = train.targets
    if task == "regress":
        return []
    if task == "tag":
        for sequence, answer, place in zip(inputs, answers, train.places, strict=True):
            if len(sequence) != len(answer):
                raise DataError(
                    f"{place}: expected an answer for each of {len(sequence)} steps, "
                    f"received {len(answer)}"
                )
        answers = [step for answer in answers for step in answer]
        if not all(isinstance(step, str) for step in answers[:1]):
            return []
    classes = sorted(set(answers))
    if len(classes) < 2:
        raise DataError(
            f"the training part must have at least two labels, received only {classes}",
            hint="shuffle the rows before they are split, or look at the column of labels",
        )
    return classes


def _recipes(
    task: Task,
    inputs: tuple[list[Any], list[Any]],
    train: Examples,
    classes: list[str],
    seed: int,
) -> list[_Recipe]:
    """The baselines for such a task on such inputs, none of them trained yet."""
    number = {label: place for place, label in enumerate(classes)}
    answers: Any = train.targets
    if task == "classify":
        y = np.array([number[label] for label in answers], np.int64)
        return _classifiers(train.kind, inputs, y, classes, seed)
    if task == "regress":
        return _regressors(train.kind, inputs, np.array(answers, np.float64), seed)
    if classes:
        answers = [[number[label] for label in answer] for answer in answers]
        return _taggers(train.kind, inputs, answers, classes, seed)
    if train.kind in _WORDS:
        raise UsageError(
            f"there are no baselines for a number at each step of {train.kind}",
            hint="tag with labels, or pass the steps as numbers",
        )
    x_train, x_test = inputs
    lags = partial(baselines_numbers.lag_ridge, x_train, answers, x_test, seed)
    return [
        ("mean by step", partial(baselines_numbers.mean_by_step, answers, x_test)),
        ("ridge regression on lags", lags),
    ]


def _classifiers(
    kind: Kind,
    inputs: tuple[list[Any], list[Any]],
    y: NDArray[np.int64],
    classes: list[str],
    seed: int,
) -> list[_Recipe]:
    x_train, x_test = inputs
    majority: _Recipe = ("majority class", partial(_majority, y, classes, len(x_test)))
    if kind not in _WORDS:
        summaries = partial(baselines_numbers.logistic, x_train, y, x_test)
        return [majority, ("logistic regression on summaries", summaries)]
    return [
        majority,
        ("feed-forward net", partial(baselines_text.feed_forward, x_train, y, x_test, seed)),
        ("n-gram logistic regression", partial(baselines_text.logistic, x_train, y, x_test, seed)),
    ]


def _regressors(
    kind: Kind, inputs: tuple[list[Any], list[Any]], y: NDArray[np.float64], seed: int
) -> list[_Recipe]:
    x_train, x_test = inputs
    constants: list[_Recipe] = [
        ("training mean", partial(_constant, float(y.mean()), len(x_test))),
        ("training median", partial(_constant, float(np.median(y)), len(x_test))),
    ]
    if kind not in _WORDS:
        summaries = partial(baselines_numbers.ridge, x_train, y, x_test)
        return [*constants, ("ridge regression on summaries", summaries)]
    n_grams = partial(baselines_text.ridge, x_train, y, x_test, seed)
    return [*constants, ("n-gram ridge regression", n_grams)]


def _taggers(
    kind: Kind,
    inputs: tuple[list[Any], list[Any]],
    tags: list[list[int]],
    classes: list[str],
    seed: int,
) -> list[_Recipe]:
    x_train, x_test = inputs
    methods: dict[str, Callable[[], tuple[Any, str]]]
    if kind in _WORDS:
        parts = (x_train, tags, x_test, len(classes))
        methods = {
            "most frequent tag": partial(baselines_tags.most_frequent, *parts),
            "Markov chain": partial(baselines_tags.markov_chain, *parts),
        }
    else:
        lags = partial(baselines_numbers.lag_logistic, x_train, tags, x_test, seed)
        methods = {
            "most frequent tag": partial(_commonest, tags, classes, x_test),
            "logistic regression on lags": lags,
        }
    return [(name, partial(_named, method, classes)) for name, method in methods.items()]


def _majority(y: NDArray[np.int64], classes: list[str], rows: int) -> tuple[Any, str]:
    shares = np.bincount(y, minlength=len(classes)) / len(y)
    commonest = int(shares.argmax())
    detail = f"always {classes[commonest]}, the answer of {shares[commonest]:.1%} in training"
    return np.tile(shares, (rows, 1)), detail


def _constant(value: float, rows: int) -> tuple[Any, str]:
    return [value] * rows, f"always {value:.4g}"


def _commonest(tags: list[list[int]], classes: list[str], x_test: list[Any]) -> tuple[Any, str]:
    tag = int(np.bincount(np.concatenate(tags)).argmax())
    return [[tag] * len(steps) for steps in x_test], f"always {classes[tag]}"


def _named(method: Callable[[], tuple[Any, str]], classes: list[str]) -> tuple[Any, str]:
    """The answers of `method` as labels instead of numbers."""
    answers, detail = method()
    return [[classes[tag] for tag in sequence] for sequence in answers], detail
