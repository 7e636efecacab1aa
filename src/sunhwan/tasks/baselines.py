"""Simple methods on the same examples: what a network must beat to be worth its cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.drawing import affordable
from sunhwan.data.examples import Examples, Kind
from sunhwan.data.spool import lengths, take
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks import baselines_numbers, baselines_tags, baselines_text
from sunhwan.tasks.metrics import judge_classes, judge_numbers, judge_steps, judge_tags

Task = Literal["classify", "regress", "tag"]

#: float32[T, D] each
Sequences = Sequence[NDArray[Any]]

#: name, and what trains it and answers the test part: the answers and a line on how
_Recipe = tuple[str, Callable[[], tuple[Any, str]]]

_WORDS = ("text", "tokens")

#: more training rows, or bytes of text or numbers in them, are not needed to see what simple
#: methods can do; of more, a random part is learnt from
MOST_ROWS, MOST_SIZE = 200_000, 1 << 25

#: what is learnt of each step takes so many times the memory of what is learnt of a whole row
_PER_STEP = 4


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
        ``float32[T, D]`` of each example; for sounds and clips needed, for numbers instead of the
        inputs.
    seed
        Of the feed-forward net, and of the rows that are drawn from a very large training part;
        `Baseline.detail` says how many.
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
    for name, answer in _recipes(task, train, inputs, classes, seed):
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


def _inputs(part: Examples, encoded: Sequences | None) -> Sequence[Any]:
    """What the baselines read: texts, tokens or checked ``float64[T, D]``."""
    if part.kind in _WORDS:
        return part.inputs
    if encoded is None and part.kind in ("sound", "clip"):
        raise UsageError(
            f"baselines for {part.kind}s need their features, received none",
            hint="pass `encoded_train` and `encoded_test`",
        )
    sequences = part.inputs if encoded is None else encoded
    if len(sequences) != len(part):
        raise DataError(f"expected {len(part)} encoded sequences, received {len(sequences)}")
    return baselines_numbers.Checked(sequences, part.places)


def _classes(task: Task, train: Examples, inputs: Sequence[Any]) -> list[str]:
    """The labels of the training part, sorted; none where the answers are numbers."""
    answers: Any = train.targets
    if task == "regress":
        return []
    if task == "tag":
        counts = zip(lengths(inputs).tolist(), lengths(answers).tolist(), strict=True)
        for row, (steps, given) in enumerate(counts):
            if steps != given:
                raise DataError(
                    f"{train.places[row]}: expected an answer for each of {steps} steps, "
                    f"received {given}"
                )
        answers = chain.from_iterable(answers)
        first = next(answers, "")
        if not isinstance(first, str):
            return []
        answers = chain([first], answers)
    classes = sorted(set(answers))
    if len(classes) < 2:
        raise DataError(
            f"the training part must have at least two labels, received only {classes}",
            hint="shuffle the rows before they are split, or look at the column of labels",
        )
    return classes


class _Part:
    """The training rows that methods learn from: all, or of very many a random part.

    Parameters
    ----------
    inputs, answers
        Of all training rows; each whole number in `answers` occurs in the part.
    cost
        How much more memory the methods take than those that `MOST_SIZE` is meant for.
    """

    def __init__(self, inputs: Sequence[Any], answers: Any, seed: int, cost: int = 1) -> None:
        is_whole = isinstance(answers, np.ndarray) and answers.dtype.kind == "i"
        labels = answers if is_whole else np.zeros(len(answers), np.int64)
        most = min(MOST_ROWS, affordable(inputs, MOST_SIZE // cost))
        rows = baselines_numbers.sample(labels, most, seed)
        self.x: list[Any] = list(take(inputs, rows))
        self.y: Any = answers[rows] if isinstance(answers, np.ndarray) else take(answers, rows)
        count = f"{len(rows):,} of {len(inputs):,}"
        self._note = f", from {count} training rows" if len(rows) < len(inputs) else ""

    def recipe(self, name: str, method: Callable[..., tuple[Any, str]], *arguments: Any) -> _Recipe:
        """A baseline that learns from this part: `method` is called with x, y and `arguments`."""

        def answer() -> tuple[Any, str]:
            answers, detail = method(self.x, self.y, *arguments)
            return answers, detail + self._note

        return name, answer


def _recipes(
    task: Task,
    train: Examples,
    inputs: tuple[Sequence[Any], Sequence[Any]],
    classes: list[str],
    seed: int,
) -> list[_Recipe]:
    """The baselines for such a task on such inputs, none of them trained yet."""
    number = {label: place for place, label in enumerate(classes)}
    answers: Any = train.targets
    x_train, x_test = inputs
    if task == "classify":
        y = np.fromiter(map(number.__getitem__, answers), np.int64, len(answers))
        majority: _Recipe = ("majority class", partial(_majority, y, classes, len(x_test)))
        return [majority, *_classifiers(train.kind, _Part(x_train, y, seed), x_test, seed)]
    if task == "regress":
        y = np.fromiter(answers, np.float64, len(answers))
        return [
            ("training mean", partial(_constant, float(y.mean()), len(x_test))),
            ("training median", partial(_constant, float(np.median(y)), len(x_test))),
            *_regressors(train.kind, _Part(x_train, y, seed), x_test, seed),
        ]
    part = _Part(x_train, answers, seed, _PER_STEP)
    if classes:
        part.y = [[number[label] for label in answer] for answer in part.y]
        return _taggers(train.kind, part, classes, x_test, seed)
    if train.kind in _WORDS:
        raise UsageError(
            f"there are no baselines for a number at each step of {train.kind}",
            hint="tag with labels, or pass the steps as numbers",
        )
    return [
        part.recipe("mean by step", baselines_numbers.mean_by_step, x_test),
        part.recipe("ridge regression on lags", baselines_numbers.lag_ridge, x_test, seed),
    ]


def _classifiers(kind: Kind, part: _Part, x_test: Sequence[Any], seed: int) -> list[_Recipe]:
    if kind not in _WORDS:
        summaries = baselines_numbers.logistic
        return [part.recipe("logistic regression on summaries", summaries, x_test)]
    return [
        part.recipe("feed-forward net", baselines_text.feed_forward, x_test, seed),
        part.recipe("n-gram logistic regression", baselines_text.logistic, x_test),
    ]


def _regressors(kind: Kind, part: _Part, x_test: Sequence[Any], seed: int) -> list[_Recipe]:
    if kind not in _WORDS:
        return [part.recipe("ridge regression on summaries", baselines_numbers.ridge, x_test)]
    return [part.recipe("n-gram ridge regression", baselines_text.ridge, x_test, seed)]


def _taggers(
    kind: Kind, part: _Part, classes: list[str], x_test: Sequence[Any], seed: int
) -> list[_Recipe]:
    methods: dict[str, tuple[Any, ...]]
    if kind in _WORDS:
        methods = {
            "most frequent tag": (baselines_tags.most_frequent, x_test, len(classes)),
            "Markov chain": (baselines_tags.markov_chain, x_test, len(classes)),
        }
    else:
        methods = {
            "most frequent tag": (_commonest, classes, x_test),
            "logistic regression on lags": (baselines_numbers.lag_logistic, x_test, seed),
        }
    return [part.recipe(name, _named, classes, *method) for name, method in methods.items()]


def _majority(y: NDArray[np.int64], classes: list[str], rows: int) -> tuple[Any, str]:
    shares = np.bincount(y, minlength=len(classes)) / len(y)
    commonest = int(shares.argmax())
    detail = f"always {classes[commonest]}, the answer of {shares[commonest]:.1%} in training"
    return np.broadcast_to(shares, (rows, len(shares))), detail


def _constant(value: float, rows: int) -> tuple[Any, str]:
    return [value] * rows, f"always {value:.4g}"


def _commonest(
    steps: Sequence[Any], tags: list[list[int]], classes: list[str], x_test: Sequence[Any]
) -> tuple[Any, str]:
    tag = int(np.bincount(np.concatenate(tags)).argmax())
    return [[tag] * count for count in lengths(x_test).tolist()], f"always {classes[tag]}"


def _named(
    x: Sequence[Any],
    tags: list[list[int]],
    classes: list[str],
    method: Callable[..., tuple[Any, str]],
    *arguments: Any,
) -> tuple[Any, str]:
    """The answers of `method` as labels instead of numbers."""
    answers, detail = method(x, tags, *arguments)
    return [[classes[tag] for tag in sequence] for sequence in answers], detail
