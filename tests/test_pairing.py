"""A network beside its baselines on the same rows: what is stored of the difference."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sunhwan.data.examples import Examples
from sunhwan.runs.comparison import compare
from sunhwan.runs.results_comparison import verdict
from sunhwan.runs.wording import Words
from sunhwan.tasks import judging
from sunhwan.tasks.pairing import difference, scores

CLASSES = ["no", "yes"]


def _chances(labels: list[str]) -> np.ndarray:
    """Probabilities of which the largest is that of each label."""
    return 0.2 + 0.6 * np.eye(2)[[CLASSES.index(label) for label in labels]]


def test_labels_are_compared_by_mcnemars_test() -> None:
    random = np.random.default_rng(4)
    true = [CLASSES[k] for k in random.integers(2, size=400)]
    said = {
        name: [t if ok else CLASSES[t == "no"] for t, ok in zip(true, random.random(400) < share,
                                                               strict=True)]
        for name, share in (("baseline", 0.8), ("network", 0.86))
    }  # fmt: skip
    theirs = scores(true, said["baseline"], CLASSES)
    own = scores(true, _chances(said["network"]), CLASSES)
    found = difference("accuracy", theirs, own, seed=2)["accuracy"]
    right = {name: np.array(true) == np.array(labels) for name, labels in said.items()}
    b = int((right["baseline"] & ~right["network"]).sum())
    c = int((right["network"] & ~right["baseline"]).sum())
    assert found["value"] == pytest.approx((c - b) / 400)
    assert found["p"] == stats.binomtest(c, b + c).pvalue
    assert found["test"] == "McNemar"
    # what `sunhwan compare` says of the same answers
    runs = {
        name: [{"row": n, "true": true[n], "predicted": labels[n]} for n in range(400)]
        for name, labels in said.items()
    }
    (other,) = compare(runs, seed=2)
    assert [other.difference, [other.low, other.high], other.p] == [
        found["value"], found["interval"], found["p"]
    ]  # fmt: skip


def test_sentences_are_compared_step_by_step() -> None:
    true = [["no", "yes"], ["yes"], ["no", "no"]]
    network = [_chances(["no", "no"]), _chances(["yes"]), _chances(["no", "no"])]
    baseline = [["no", "yes"], ["no"], ["no", "yes"]]
    own = scores(true, network, CLASSES)
    theirs = scores(true, baseline, CLASSES)
    assert (own.points.tolist(), own.steps.tolist()) == ([1, 1, 2], [2, 1, 2])
    assert (theirs.points.tolist(), theirs.steps.tolist()) == ([2, 0, 1], [2, 1, 2])
    found = difference("accuracy", theirs, own, seed=0)["accuracy"]
    assert found["value"] == pytest.approx(1 / 5)
    assert found["test"] == "permutation"


def test_numbers_are_compared_by_their_absolute_errors() -> None:
    random = np.random.default_rng(8)
    true = random.normal(size=50)
    near, far = true + random.normal(0, 0.4, 50), true + random.normal(0, 0.9, 50)
    own, theirs = scores(true, near.tolist(), []), scores(true, far.tolist(), [])
    found = difference("mae", theirs, own, seed=0)["mae"]
    assert found["value"] == pytest.approx(np.abs(near - true).mean() - np.abs(far - true).mean())
    assert found["interval"][0] < found["value"] < found["interval"][1] < 0
    assert found["p"] < 0.01
    steps = [true[:20].astype(np.float32), true[20:].astype(np.float32)]
    by_row = scores(steps, [near[:20], near[20:]], [])
    assert by_row.steps.tolist() == [20, 30]
    assert by_row.points[1] == pytest.approx(np.abs(near - true)[20:].sum(), rel=1e-5)


def test_one_row_tells_nothing() -> None:
    one = scores(["yes"], ["no"], CLASSES)
    assert difference("accuracy", one, one, seed=0) == {}


class _Learner(SimpleNamespace):
    """As much of a learner as judging beside baselines needs."""

    def __init__(self, task: str, classes: list[str], per_step: bool = False) -> None:
        config = SimpleNamespace(seed=3)
        super().__init__(task=task, classes=classes, per_step=per_step, mean=0.0, config=config)


def _entries(learner: Any, examples: Examples, answers: Any, cut: int) -> list[dict[str, Any]]:
    rows = np.arange(len(examples))
    test = examples.take(rows[cut:])
    encoded = [np.asarray(x, np.float32) for x in examples.inputs]
    return judging.judge_baselines(
        learner, examples.take(rows[:cut]), test, (encoded[:cut], encoded[cut:]), answers, print
    )


def test_a_small_lead_on_the_same_rows_is_no_chance() -> None:
    """Intervals of 300 rows overlap; but where the two differ, the network is right."""
    random = np.random.default_rng(9)
    labels = [CLASSES[k] for k in random.integers(2, size=500)]
    numbers = [np.full((3, 1), float(label == "yes")) for label in labels]
    for row in range(200, 500, 10):
        numbers[row] = 1 - numbers[row]  # what a line through the mean cannot know
    examples = Examples("numbers", numbers, labels, [f"row {n}" for n in range(500)])
    said = labels[200:]
    for row in range(0, 300, 20):
        said[row] = CLASSES[said[row] == "no"]
    entries = _entries(_Learner("classify", CLASSES), examples, _chances(said), 200)
    summaries = entries[-1]
    assert summaries["metrics"]["accuracy"] == pytest.approx(0.9)
    found = summaries["difference"]["accuracy"]
    assert found["value"] == pytest.approx(0.05)
    # fifteen rows differ, all one way
    assert found["p"] == pytest.approx(2 / 2**15)
    results = {
        "metrics": {"accuracy": 0.95}, "intervals": {"accuracy": [0.919, 0.971]},
        "baselines": entries,
    }  # fmt: skip
    assert summaries["intervals"]["accuracy"][1] > 0.919
    assert verdict(results, Words("en")).startswith("The network beats every baseline")
