"""Baselines: what they learn from small examples, and what they reach on real data."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data.examples import Examples
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.files import write_json
from sunhwan.tasks import baselines_tags, baselines_text
from sunhwan.tasks.baselines import Baseline, baselines_for, judge_baselines
from sunhwan.tasks.baselines_numbers import sample


def _examples(kind, inputs, targets) -> Examples:
    return Examples(kind, inputs, targets, [f"rows.csv, line {n + 2}" for n in range(len(inputs))])


def _data(name: str) -> Path:
    folder = os.environ.get("SUNHWAN_DATA")
    if folder is None or not (Path(folder) / name).exists():
        pytest.skip(f"needs {name} in the folder that SUNHWAN_DATA names")
    return Path(folder) / name


def _table(name: str, text: str, label: str, part: str, rows: int) -> Examples:
    with gzip.open(_data(name) / f"{part}.tsv.gz", "rt", encoding="utf-8", newline="\n") as file:
        header, *lines = (
            line.rstrip("\n").split("\t") for line in itertools.islice(file, rows + 1)
        )
    columns = [[line[header.index(column)] for line in lines] for column in (text, label)]
    return _examples("text", *columns)


def _reviews(rows: int, seed: int) -> Examples:
    """Texts in which one word decides."""
    random = np.random.default_rng(seed)
    words = [f"word{n}" for n in range(40)]
    labels = random.choice(["bad", "good", "so-so"], rows, p=[0.5, 0.3, 0.2]).tolist()
    decides = {"bad": "awful", "good": "lovely", "so-so": "plain"}
    texts = [" ".join([*random.choice(words, 8), decides[label], "end"]) for label in labels]
    return _examples("text", texts, labels)


def _accuracy(baseline: Baseline, test: Examples) -> float:
    return float(np.mean([p == t for p, t in zip(baseline.predictions, test.targets, strict=True)]))


def test_texts_are_classified_without_a_look_at_the_answers(tmp_path) -> None:
    train, test = _reviews(900, 1), _reviews(200, 2)
    begun: list[str] = []
    found = baselines_for("classify", train, test, seed=3, on_start=begun.append)
    assert begun == [baseline.name for baseline in found]
    assert begun == ["majority class", "feed-forward net", "n-gram logistic regression"]
    majority, net, n_grams = found
    assert set(majority.predictions) == {"bad"}
    assert majority.probabilities[0] == pytest.approx(
        [train.targets.count(label) / 900 for label in ("bad", "good", "so-so")]
    )
    assert _accuracy(net, test) > _accuracy(majority, test) + 0.2
    assert _accuracy(n_grams, test) == 1.0
    assert "words and their pairs" in n_grams.detail
    for baseline in found:
        assert baseline.classes == ["bad", "good", "so-so"]
        assert baseline.probabilities.shape == (200, 3)
        assert baseline.probabilities.sum(axis=1) == pytest.approx(1.0)
        assert baseline.seconds >= 0
    test.targets = None
    for before, after in zip(found, baselines_for("classify", train, test, seed=3), strict=True):
        assert before.probabilities.tobytes() == after.probabilities.tobytes()
    with pytest.raises(DataError, match="with answers"):
        judge_baselines("classify", found, train, test)
    entries = judge_baselines("classify", found, train, _reviews(200, 2))
    assert entries[2]["metrics"]["accuracy"] == 1.0
    assert set(entries[0]["intervals"]) == {"accuracy", "macro_f1", "log_loss"}
    write_json(tmp_path / "results.json", entries)


def test_tokens_are_classified_as_they_are() -> None:
    # split again at the space or lower-cased, these tokens would all be alike
    tokens = {"up": ["a b", "X"], "down": ["a", "b", "x"]}
    labels = ["up", "down", "up", "up", "down"] * 6
    train = _examples("tokens", [tokens[label] for label in labels], labels)
    test = _examples("tokens", [["a b"], ["b", "x"]], ["up", "down"])
    y = np.array([label == "up" for label in train.targets]).astype(np.int64)
    probabilities, detail = baselines_text.logistic(train.inputs, y, test.inputs)
    assert probabilities.argmax(axis=1).tolist() == [1, 0]
    assert "tokens" in detail


def test_letters_stand_in_where_words_are_mostly_new() -> None:
    random = np.random.default_rng(5)
    syllables = [chr(0xAC00 + int(n)) for n in random.integers(0, 11172, 300)]
    labels = random.choice(["부정", "긍정"], 400)
    ends = {"부정": "별로다", "긍정": "좋구나"}
    texts = ["".join(random.choice(syllables, 3)) + ends[label] for label in labels]
    y = (labels == "긍정").astype(np.int64)
    probabilities, detail = baselines_text.logistic(texts[:300], y[:300], texts[300:])
    assert "letters" in detail
    assert (probabilities.argmax(axis=1) == y[300:]).all()


def test_a_sample_of_very_many_rows_has_every_label() -> None:
    labels = np.zeros(5000, np.int64)
    labels[4321] = 1
    rows = sample(labels, 100, seed=2)
    assert 100 <= len(rows) <= 102
    assert 4321 in rows
    assert (np.diff(rows) > 0).all()
    assert sample(labels, 5000, seed=2).tolist() == list(range(5000))


def test_imdb_and_nsmc_n_grams_go_far() -> None:
    for name, text, letters, least in (
        ("imdb", "text", False, 0.80),
        ("nsmc", "document", True, 0.72),
    ):
        train = _table(name, text, "label", "train", 2000)
        test = _table(name, text, "label", "test", 1000)
        y = np.array([int(label) for label in train.targets])
        probabilities, detail = baselines_text.logistic(train.inputs, y, test.inputs)
        right = probabilities.argmax(axis=1) == np.array([int(label) for label in test.targets])
        assert right.mean() > least
        assert ("letters" in detail) == letters


def test_pen_digits_by_their_summaries() -> None:
    parts = []
    for part in ("train", "test"):
        table = np.loadtxt(_data("pen-digits") / f"{part}.csv", delimiter=",", skiprows=1)
        strokes = [row.reshape(8, 2) for row in table[:1500, :16]]
        parts.append(_examples("numbers", strokes, [str(int(d)) for d in table[:1500, 16]]))
    majority, summaries = baselines_for("classify", *parts, seed=1)
    assert _accuracy(majority, parts[1]) < 0.15
    assert 0.75 < _accuracy(summaries, parts[1]) < 0.9


def test_a_number_for_each_sequence() -> None:
    random = np.random.default_rng(9)
    sequences = [random.normal(size=(int(n), 3)) for n in random.integers(2, 12, 80)]
    answers = [float(2 * s[-1, 1] - s[:, 0].max() + len(s)) for s in sequences]
    parts = [
        _examples("numbers", sequences, answers).take(range(*ends)) for ends in ((60,), (60, 80))
    ]
    mean, median, ridge = baselines_for("regress", *parts, seed=1)
    assert mean.predictions == pytest.approx([np.mean(answers[:60])] * 20)
    assert median.predictions == pytest.approx([np.median(answers[:60])] * 20)
    assert ridge.predictions == pytest.approx(answers[60:], abs=0.05)
    assert (ridge.classes, ridge.probabilities) == ([], None)
    entries = judge_baselines("regress", [mean, median, ridge], *parts)
    assert entries[0]["metrics"]["skill"] == 0.0
    assert entries[2]["metrics"]["r2"] > 0.99


def test_a_number_for_each_text() -> None:
    texts = _reviews(400, 4)
    stars = {"bad": 1.0, "so-so": 3.0, "good": 5.0}
    texts.targets = [stars[label] for label in texts.targets]
    train, test = texts.take(range(300)), texts.take(range(300, 400))
    found = baselines_for("regress", train, test, seed=1)
    mean, _, ridge = judge_baselines("regress", found, train, test)
    assert abs(mean["metrics"]["r2"]) < 0.05
    assert ridge["metrics"]["skill"] > 0.6


def test_sounds_are_judged_by_their_features() -> None:
    random = np.random.default_rng(2)
    labels = ["low", "high"] * 30
    features = [
        random.normal(label == "high", 0.2, (5 + n % 4, 2)) for n, label in enumerate(labels)
    ]
    train = _examples("sound", [object()] * 60, labels)
    with pytest.raises(UsageError, match="need their features"):
        baselines_for("classify", train, train, seed=1)
    found = baselines_for(
        "classify", train, train, encoded_train=features, encoded_test=features, seed=1
    )
    assert _accuracy(found[1], train) == 1.0


def test_tags_of_unknown_words_go_by_their_ending() -> None:
    words = [["dogs", "run"], ["cats", "jump"], ["cows", "run"], ["he", "runs"]]
    tags = [["N", "V"], ["N", "V"], ["N", "V"], ["P", "V"]]
    train = _examples("tokens", words, tags)
    test = _examples("tokens", [["hats", "gump", "he", "한국"], []], None)
    frequent, chain = baselines_for("tag", train, test, seed=1)
    assert frequent.predictions == [["N", "V", "P", "V"], []]
    assert chain.predictions[0][:3] == ["N", "V", "P"]
    assert "75.0%" in frequent.detail


def test_word_tags_are_a_distribution() -> None:
    known = baselines_tags.WordTags([["ab", "cb"], ["ab"]], [[0, 2], [1]], classes=4)
    for word in ("ab", "cb", "xb", "zz", ""):
        probabilities = known.probabilities(word)
        assert probabilities.sum() == pytest.approx(1.0)
        assert (probabilities > 0).all()
    assert known.probabilities("xb")[2] > known.shares[2] > known.shares[3]


def test_viterbi_finds_the_likeliest_of_all_paths() -> None:
    random = np.random.default_rng(3)
    for length in (1, 2, 5):
        emissions, follow = random.normal(size=(length, 3)), random.normal(size=(4, 4))

        def score(path, emissions=emissions, follow=follow):
            steps = itertools.pairwise([3, *path, 3])
            return sum(follow[a, b] for a, b in steps) + sum(
                emissions[n, tag] for n, tag in enumerate(path)
            )

        best = max(itertools.product(range(3), repeat=length), key=score)
        assert baselines_tags._likeliest(emissions, follow) == list(best)


def _treebank(part: str) -> Examples:
    words: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    path = _data("ud-korean-kaist") / f"{part}.conllu.gz"
    for line in gzip.decompress(path.read_bytes()).decode("utf-8").split("\n"):
        fields = line.split("\t")
        if not line and words[-1]:
            words.append([])
            tags.append([])
        elif fields[0].isdigit():
            words[-1].append(fields[1])
            tags[-1].append(fields[3])
    return _examples("tokens", words[:-1], tags[:-1])


def test_korean_tags_by_word_and_by_chain() -> None:
    train, test = _treebank("train"), _treebank("test")
    found = baselines_for("tag", train, test, seed=1)
    frequent, chain = judge_baselines("tag", found, train, test)
    assert frequent["metrics"]["accuracy"] == pytest.approx(0.8745, abs=5e-4)
    assert chain["metrics"]["accuracy"] == pytest.approx(0.8853, abs=5e-4)
    low, high = chain["intervals"]["accuracy"]
    assert frequent["metrics"]["accuracy"] < low < chain["metrics"]["accuracy"] < high


def test_a_number_for_each_step() -> None:
    random = np.random.default_rng(6)
    sequences = [random.normal(size=(int(n), 2)) for n in random.integers(6, 20, 30)]
    answers = [3 + 2 * s[:, 0] - np.concatenate([s[:1, 1], s[:1, 1], s[:-2, 1]]) for s in sequences]
    train = _examples("numbers", sequences[:25], answers[:25])
    test = _examples("numbers", sequences[25:], answers[25:])
    mean, ridge = baselines_for("tag", train, test, seed=1)
    for wanted, given in zip(answers[25:], ridge.predictions, strict=True):
        assert given == pytest.approx(wanted, abs=0.02)
    entries = judge_baselines("tag", [mean, ridge], train, test)
    assert entries[0]["metrics"]["skill"] < 0.2 < 0.99 < entries[1]["metrics"]["skill"]


def test_the_mean_of_a_step_leans_on_all_where_few_reach_it() -> None:
    short, long = np.full((2, 1), 7.0), np.full((3, 1), 7.0)
    train = _examples("numbers", [short] * 5 + [long], [[0.0, 6.0]] * 5 + [[0.0, 6.0, 10.0]])
    test = _examples("numbers", [np.zeros((5, 1))], None)
    mean = 46 / 13
    expected = [(0 + 5 * mean) / 11, (36 + 5 * mean) / 11, (10 + 5 * mean) / 6, mean, mean]
    assert baselines_for("tag", train, test, seed=1)[0].predictions[0] == pytest.approx(expected)


def test_a_label_for_each_step_of_numbers() -> None:
    random = np.random.default_rng(7)
    sequences = [random.normal(size=(int(n), 2)) for n in random.integers(5, 40, 60)]
    # the label tells of the step before, which one step alone cannot know
    labels = [
        ["on" if v > 0.5 else "off" for v in np.concatenate([s[:1, 0], s[:-1, 0]])]
        for s in sequences
    ]
    train = _examples("numbers", sequences[:50], labels[:50])
    test = _examples("numbers", sequences[50:], labels[50:])
    found = baselines_for("tag", train, test, seed=1)
    majority, lags = judge_baselines("tag", found, train, test)
    assert majority["metrics"]["accuracy"] < 0.8
    assert lags["metrics"]["accuracy"] > 0.95


def _numbers(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    return [np.ones(shape) for shape in shapes]


@pytest.mark.parametrize(
    ("task", "kind", "inputs", "targets", "error", "message"),
    [
        ("forecast", "text", ["a", "b"], ["x", "y"], UsageError, "`task` must be one of classify"),
        ("classify", "text", ["a", "b"], None, DataError, "training part with answers"),
        ("classify", "text", ["a"], ["x"], DataError, "received 1 and 1"),
        ("classify", "text", ["a", "b"], ["x", "x"], DataError, "only \\['x'\\]"),
        ("classify", "numbers", _numbers((3, 2), (4, 1)), ["x", "y"], DataError,
         r"rows.csv, line 3: expected numbers of shape \[T, 2\].*\(4, 1\)"),
        ("classify", "numbers", _numbers((3, 2), (0, 2)), ["x", "y"], DataError,
         r"rows.csv, line 3: .*\(0, 2\)"),
        ("regress", "numbers", [np.ones((2, 1)), np.array([[1.0], [np.nan]])], [1.0, 2.0],
         DataError, "rows.csv, line 3, step 1: expected finite"),
        ("tag", "tokens", [["a", "b"], ["c"]], [["N"], ["N"]], DataError,
         "rows.csv, line 2: expected an answer for each of 2 steps, received 1"),
        ("tag", "tokens", [["a"], ["c"]], [[1.0], [2.0]], UsageError, "a number at each step"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(task, kind, inputs, targets, error, message) -> None:
    train = _examples(kind, inputs, targets)
    with pytest.raises(error, match=message):
        baselines_for(task, train, train, seed=1)
