"""Figures, intervals and comparisons against scikit-learn, SciPy and answers known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.runs.comparison import compare, holm
from sunhwan.runs.files import write_json
from sunhwan.runs.resampling import bootstrap_intervals
from sunhwan.tasks.metrics import judge_classes, judge_numbers, judge_steps, judge_tags

CLASSES = ["ant", "bee", "cat", "dog"]


def _guesses(rows: int, seed: int = 3) -> tuple[list[str], np.ndarray]:
    """Labels of unequal frequency and probabilities that lean towards them."""
    random = np.random.default_rng(seed)
    true = random.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05])
    scores = random.normal(size=(rows, 4)) + 1.3 * np.eye(4)[true]
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return [CLASSES[k] for k in true], probabilities


def test_classes_agree_with_scikit_learn() -> None:
    true, probabilities = _guesses(400)
    given = [CLASSES[k] for k in probabilities.argmax(axis=1)]
    judged = judge_classes(true, probabilities, CLASSES)
    assert judged["metrics"] == pytest.approx(
        {
            "accuracy": sk.accuracy_score(true, given),
            "macro_f1": sk.f1_score(true, given, average="macro"),
            "log_loss": sk.log_loss(true, probabilities, labels=CLASSES),
        }
    )
    assert judged["confusion"] == sk.confusion_matrix(true, given, labels=CLASSES).tolist()
    exact = stats.binomtest(sum(map(str.__eq__, true, given)), 400).proportion_ci(0.95)
    assert judged["intervals"]["accuracy"] == pytest.approx([exact.low, exact.high])


def test_labels_alone_give_what_needs_no_probability() -> None:
    true, probabilities = _guesses(60)
    given = [CLASSES[k] for k in probabilities.argmax(axis=1)]
    whole, judged = judge_classes(true, probabilities, CLASSES), judge_classes(true, given, CLASSES)
    assert set(whole) - set(judged) == {"calibration", "errors"}
    assert set(judged["metrics"]) == {"accuracy", "macro_f1"}
    assert judged["confusion"] == whole["confusion"]


def test_calibration_adds_up() -> None:
    true, probabilities = _guesses(500)
    found = judge_classes(true, probabilities, CLASSES)["calibration"]
    right = probabilities.argmax(axis=1) == [CLASSES.index(label) for label in true]
    confidence, count = np.array(found["confidence"]), np.array(found["count"])
    assert count.sum() == 500
    assert confidence @ count == pytest.approx(probabilities.max(axis=1).sum())
    assert np.array(found["accuracy"]) @ count == pytest.approx(right.sum())
    assert found["ece"] == pytest.approx(
        (count * np.abs(confidence - found["accuracy"])).sum() / 500
    )


def test_answers_that_are_always_right_are_calibrated_and_without_errors() -> None:
    judged = judge_classes(["ant", "bee"] * 5, np.tile(np.eye(4)[:2], (5, 1)), CLASSES)
    assert judged["calibration"] == {
        "confidence": [1.0],
        "accuracy": [1.0],
        "count": [10],
        "ece": 0.0,
    }
    assert judged["errors"] == []
    assert judged["metrics"]["log_loss"] == 0.0


def test_worst_errors_are_the_most_confident_mistakes() -> None:
    true, probabilities = _guesses(300)
    errors = judge_classes(true, probabilities, CLASSES)["errors"]
    assert len(errors) == 20
    confidence = [error["probability"] for error in errors]
    assert confidence == sorted(confidence, reverse=True)
    wrong = [n for n in range(300) if CLASSES[probabilities[n].argmax()] != true[n]]
    assert errors[0]["index"] == max(wrong, key=lambda n: probabilities[n].max())
    for error in errors:
        assert error["true"] == true[error["index"]] != error["predicted"]


def test_a_label_never_seen_in_training_can_only_be_missed() -> None:
    judged = judge_classes(["ant", "eel"], [[0.5, 0.5], [1.0, 0.0]], ["ant", "bee"])
    assert judged["classes"] == ["ant", "bee", "eel"]
    assert judged["confusion"] == [[1, 0, 0], [0, 0, 0], [1, 0, 0]]
    assert judged["metrics"]["log_loss"] == pytest.approx((np.log(2) + 15.9424) / 2, rel=1e-5)


def test_by_length_counts_every_row_once() -> None:
    true, probabilities = _guesses(200)
    lengths = np.random.default_rng(1).integers(3, 90, 200)
    found = judge_classes(true, probabilities, CLASSES, lengths=lengths)["by_length"]
    assert found["edges"][0] == lengths.min()
    assert found["edges"][-1] == lengths.max()
    assert len(found["edges"]) == len(found["error"]) + 1 == len(found["count"]) + 1
    assert sum(found["count"]) == 200
    wrong = probabilities.argmax(axis=1) != [CLASSES.index(label) for label in true]
    assert np.dot(found["error"], found["count"]) == pytest.approx(wrong.sum())
    inside = (lengths >= found["edges"][2]) & (lengths < found["edges"][3])
    assert found["error"][2] == pytest.approx(wrong[inside].mean())


def test_by_length_is_left_out_where_all_are_equal() -> None:
    true, probabilities = _guesses(10)
    assert "by_length" not in judge_classes(true, probabilities, CLASSES, lengths=[7] * 10)


def test_macro_f1_interval_holds_its_figure_and_shrinks_with_rows() -> None:
    spans = []
    for rows in (100, 1600):
        judged = judge_classes(*_guesses(rows), CLASSES)
        low, high = judged["intervals"]["macro_f1"]
        assert low < judged["metrics"]["macro_f1"] < high
        spans.append(high - low)
    assert spans[1] < spans[0] / 2.5


def test_same_seed_same_intervals() -> None:
    true, probabilities = _guesses(80)
    first, again, other = (
        judge_classes(true, probabilities, CLASSES, seed=seed)["intervals"] for seed in (5, 5, 6)
    )
    assert first == again
    assert first["log_loss"] != other["log_loss"]


def test_bootstrap_of_a_mean_agrees_with_theory() -> None:
    values = np.random.default_rng(2).normal(5.0, 2.0, 900)
    ends = bootstrap_intervals(lambda w: {"mean": float(w @ values / w.sum())}, 900, seed=1)["mean"]
    error = values.std() / 30
    assert ends == pytest.approx([values.mean() - 1.96 * error, values.mean() + 1.96 * error], 0.01)


@pytest.mark.parametrize(
    ("answers", "error", "message"),
    [
        ([[0.5, 0.5]], ShapeError, "2 true labels and 1 answers"),
        ([[0.5, 0.5], [0.5, 0.6]], DataError, "answer 1"),
        ([[np.nan, 1.0], [0.5, 0.5]], DataError, "answer 0"),
        ([[1.5, -0.5], [0.5, 0.5]], DataError, "answer 0"),
        ([[1.0], [1.0]], ShapeError, r"\[N, 2\]"),
    ],
)
def test_answers_that_do_not_fit_are_refused(
    answers: list[list[float]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        judge_classes(["ant", "bee"], answers, ["ant", "bee"])


def test_numbers_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(4)
    true = random.gamma(2.0, 3.0, 250)
    predicted = true + random.normal(0.4, 1.5, 250)
    judged = judge_numbers(true, predicted, train_mean=5.0, lengths=random.integers(2, 9, 250))
    naive = sk.mean_absolute_error(true, np.full(250, 5.0))
    assert judged["metrics"] == pytest.approx(
        {
            "mae": sk.mean_absolute_error(true, predicted),
            "rmse": sk.root_mean_squared_error(true, predicted),
            "r2": sk.r2_score(true, predicted),
            "skill": 1 - sk.mean_absolute_error(true, predicted) / naive,
        }
    )
    for key, (low, high) in judged["intervals"].items():
        assert low < judged["metrics"][key] < high
    assert judged["points"]["wanted"] == true.tolist()
    worst = judged["errors"][0]["index"]
    assert worst == int(np.abs(true - predicted).argmax())
    found = judged["by_length"]
    assert np.dot(found["error"], found["count"]) == pytest.approx(np.abs(true - predicted).sum())


def test_figures_that_are_not_defined_are_left_out(tmp_path) -> None:
    judged = judge_numbers([2.0, 2.0, 2.0], [1.0, 2.0, 4.0], train_mean=2.0)
    assert set(judged["metrics"]) == {"mae", "rmse"}
    assert set(judged["intervals"]) == {"mae", "rmse"}
    write_json(tmp_path / "results.json", judged)  # refuses numbers that are not finite
    assert judge_numbers([2.0], [1.0], train_mean=0.0)["intervals"] == {}


def test_numbers_that_are_not_finite_are_refused_by_row() -> None:
    with pytest.raises(DataError, match=r"`predicted`, row 1: nan"):
        judge_numbers([1.0, 2.0], [1.0, np.nan], train_mean=0.0)
    with pytest.raises(ShapeError, match=r"\(2,\) and \(3,\)"):
        judge_numbers([1.0, 2.0], [1.0, 2.0, 3.0], train_mean=0.0)


def test_steps_are_judged_together_and_drawn_by_sequence() -> None:
    random = np.random.default_rng(8)
    true = [random.normal(size=length) for length in (4, 9, 1, 30, 12)]
    # the error belongs to the sequence: drawing steps would promise too much
    predicted = [steps + shift for steps, shift in zip(true, (0.1, 2, 0, 1, 0.2), strict=True)]
    judged = judge_steps(true, predicted, train_mean=0.0)
    flat = judge_numbers(np.concatenate(true), np.concatenate(predicted), train_mean=0.0)
    assert judged["metrics"] == pytest.approx(flat["metrics"])
    spans = [np.ptp(result["intervals"]["mae"]) for result in (judged, flat)]
    assert spans[0] > 2 * spans[1]
    with pytest.raises(ShapeError, match=r"sequence 2: .* 1 steps and 2"):
        judge_steps(true, [*predicted[:2], [0.0, 0.0], *predicted[3:]], train_mean=0.0)


def test_tags_agree_with_scikit_learn() -> None:
    labels, probabilities = _guesses(120)
    ends = [7, 8, 30, 31, 90]
    true = [list(part) for part in np.split(np.array(labels), ends)]
    answers = np.split(probabilities, ends)
    judged = judge_tags(true, answers, CLASSES)
    given = [CLASSES[k] for k in probabilities.argmax(axis=1)]
    assert judged["metrics"]["accuracy"] == pytest.approx(sk.accuracy_score(labels, given))
    assert judged["metrics"]["log_loss"] == pytest.approx(sk.log_loss(labels, probabilities))
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        labels, given, labels=CLASSES
    )
    for place, row in enumerate(judged["by_tag"]):
        assert row == pytest.approx(
            {
                "tag": CLASSES[place],
                "precision": precision[place],
                "recall": recall[place],
                "f1": f1[place],
                "support": support[place],
            }
        )
    faultless = [
        [CLASSES[k] for k in answer.argmax(axis=1)] == sentence
        for answer, sentence in zip(answers, true, strict=True)
    ]
    assert judged["metrics"]["sentence_accuracy"] == np.mean(faultless)
    worst = judged["errors"][0]
    assert worst["true"] == true[worst["index"]]
    assert sum(map(str.__ne__, worst["true"], worst["predicted"])) == max(
        sum(CLASSES[k] != tag for k, tag in zip(answer.argmax(axis=1), sentence, strict=True))
        for answer, sentence in zip(answers, true, strict=True)
    )


def test_tag_intervals_draw_sentences_not_words() -> None:
    # in half of the sentences all is wrong: 40 rows of information, not 800
    true = [["N"] * 20 for _ in range(40)]
    given = [["N" if n % 2 else "V"] * 20 for n in range(40)]
    low, high = judge_tags(true, given, ["N", "V"])["intervals"]["accuracy"]
    assert (low, high) == (pytest.approx(0.35, abs=0.03), pytest.approx(0.65, abs=0.03))


def _rows(true: list, predicted: list) -> list[dict]:
    pairs = zip(true, predicted, strict=True)
    return [{"row": n, "true": t, "predicted": p} for n, (t, p) in enumerate(pairs, 1)]


def test_comparison_is_mcnemars_exact_test() -> None:
    random = np.random.default_rng(6)
    right = {"gru": random.random(300) < 0.7, "lstm": random.random(300) < 0.8}
    runs = {name: _rows(["a"] * 300, ["ba"[int(r)] for r in ok]) for name, ok in right.items()}
    runs["lstm"].reverse()  # the order of the rows is free
    (found,) = compare(runs)
    b = int((right["gru"] & ~right["lstm"]).sum())
    c = int((right["lstm"] & ~right["gru"]).sum())
    assert (found.only_first_right, found.only_other_right) == (b, c)
    assert found.p == found.p_corrected == stats.binomtest(c, b + c).pvalue
    assert found.difference == pytest.approx((c - b) / 300)
    error = np.sqrt(b + c - (c - b) ** 2 / 300) / 300
    assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.012)
    assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.012)
    assert found.verdict.startswith("lstm is better than gru: accuracy ")
    assert found.verdict_ko.startswith("lstm 쪽이 gru 쪽보다 더 좋습니다: 정확도 ")


def test_comparison_of_numbers_is_of_absolute_errors() -> None:
    random = np.random.default_rng(7)
    true = random.normal(size=60)
    close, far = true + random.normal(0, 0.5, 60), true + random.normal(0, 1.0, 60)
    runs = {name: _rows(true.tolist(), p.tolist()) for name, p in (("a", close), ("b", far))}
    (found,) = compare(runs)
    assert found.measure == "error"
    assert found.difference == pytest.approx(
        np.abs(far - true).mean() - np.abs(close - true).mean()
    )
    assert found.only_first_right is None
    assert found.p < 0.01
    assert found.low < found.difference < found.high
    assert found.verdict.startswith("b is worse than a: mean absolute error ")
    assert "더 나쁩니다: 평균 절대 오차" in found.verdict_ko
    assert compare(runs) == [found]


def test_tags_are_compared_by_sentence() -> None:
    true = [["N", "V", "N", "D"]] * 30
    ours = [["N", "V", "N", "D"] if n % 3 else ["V"] * 4 for n in range(30)]
    theirs = [["N", "V", "D", "D"] if n % 3 else ["V"] * 4 for n in range(30)]
    (found,) = compare({"theirs": _rows(true, theirs), "ours": _rows(true, ours)})
    assert found.difference == pytest.approx(20 / 120)
    # 20 sentences differ, all one way: two tails of 2^-20, so none of the permutations
    assert found.p == pytest.approx(2 / 2000)
    assert found.rows == 30


def test_equal_runs_show_no_difference() -> None:
    rows = _rows(["a", "b", "b"], ["a", "a", "b"])
    (found,) = compare({"one": rows, "two": rows})
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert found.verdict.startswith("No difference between two and one can be shown")
    assert "차이가 확인되지 않았습니다" in found.verdict_ko


def test_several_runs_are_corrected() -> None:
    runs = {
        f"run {right}": _rows(["a"] * 50, ["ba"[n < right] for n in range(50)])
        for right in (30, 36, 37)
    }
    found = compare(runs)
    assert [comparison.other for comparison in found] == ["run 36", "run 37"]
    assert [comparison.p for comparison in found] == pytest.approx([2 / 64, 2 / 128])
    assert [comparison.p_corrected for comparison in found] == pytest.approx([2 / 64, 2 / 64])
    assert "corrected for 2 comparisons" in found[0].verdict


def test_holm_against_a_worked_example() -> None:
    # R: p.adjust(c(0.02, 0.011, 0.6, 0.5), "holm")
    assert holm([0.02, 0.011, 0.6, 0.5]) == pytest.approx([0.06, 0.044, 1.0, 1.0])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (_rows(["a", "b", "b"], ["a", "a", "b"])[:2], "row 3 is among those of one, but not of"),
        (_rows(["a", "a", "a"], ["a", "a", "b"]), "row 2: .* 'b' in one and 'a' in two"),
        (_rows(["a", "b", "b", "b"], ["a"] * 4), "row 4 is among those of two, but not of one"),
        (_rows(["a", "b", "b"], ["a", 1.0, "b"]), "two, row 2: expected as many labels"),
        (_rows(["a", "b", "b"], ["a", None, "b"]), "two, prediction 2: `predicted` is missing"),
        ([*_rows(["a", "b", "b"], ["a"] * 3), {"row": 1, "true": "a", "predicted": "a"}],
         "two, prediction 4: row 1 occurs a second time"),
    ],
)  # fmt: skip
def test_runs_that_do_not_match_are_refused(other: list[dict], message: str) -> None:
    with pytest.raises(DataError, match=message):
        compare({"one": _rows(["a", "b", "b"], ["a", "a", "b"]), "two": other})


def test_numbers_that_are_not_finite_cannot_be_compared() -> None:
    good, bad = _rows([1.0, 2.0], [1.0, 1.0]), _rows([1.0, 2.0], [1.0, float("nan")])
    with pytest.raises(DataError, match="two, row 2: expected as many numbers"):
        compare({"one": good, "two": bad})


def test_one_run_cannot_be_compared() -> None:
    with pytest.raises(UsageError, match="at least two runs, received 1"):
        compare({"one": _rows(["a", "b"], ["a", "b"])})
