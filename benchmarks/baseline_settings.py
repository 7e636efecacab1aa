"""Choose the settings of the baselines by parts that are held out of the training data.

    python benchmarks/baseline_settings.py imdb reuters nsmc kaist pen-digits indoor spoken

Needs SUNHWAN_DATA, the folder with the data. The files and groups that `sunhwan train` judges by
are never looked at. A fifth of what it learns from (of the treebank each fifth in turn) is answered
with one setting after the other, and all figures are kept in results/baseline-settings.json. Beside
each stands by how much it is better than the setting in the code on the same rows, and the standard
error of that. The code's setting is to be changed where another is better by more than twice it.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Examples
from sunhwan.environment import describe
from sunhwan.runs.files import read_json, write_json
from sunhwan.tasks import baselines_numbers, baselines_tags, baselines_text
from sunhwan.tasks.baselines_text import LETTERS, WORDS, Grams
from sunhwan.tasks.config import Config
from sunhwan.tasks.sources import read_source
from sunhwan.tasks.splits import hold_out

RESULTS = Path(__file__).parent / "results" / "baseline-settings.json"
HELD_OUT, FOLDS, SEED = 0.2, 5, 1
#: standard errors by which a setting must be better to be taken
NOISE = 2.0

# what is tried: each length of n-grams with each penalty, all else beside the settings in the code
LENGTHS = {False: [(1, 1), (1, 2), (1, 3)], True: [(1, 3), (1, 4), (2, 4), (2, 5), (1, 6)]}
PENALTIES = [3.0, 10.0, 30.0, 100.0, 300.0]
FEATURES = [10_000, 20_000, 100_000, baselines_text.HASHES]
STEPS = [1_000, 2_000, 4_000, 8_000]
SUMMARY_PENALTIES = [0.01, 0.1, 1.0, 10.0, 100.0]
ENDINGS = range(1, 9)


@dataclass(frozen=True)
class Corpus:
    """A set of data: its file, its columns, and how many of its rows are used."""

    task: Any
    path: str
    columns: dict[str, str]
    most: int | None = None
    #: whether `sunhwan train` holds the rows to judge by out of the same file
    holds_test: bool = False


CORPORA = {
    "imdb": Corpus("classify", "imdb/train.tsv.gz", {"text": "text", "label": "label"}, 20_000),
    "reuters": Corpus("classify", "reuters/train.tsv.gz", {"text": "text", "label": "topic"}),
    "nsmc": Corpus("classify", "nsmc/train.tsv.gz", {"text": "document", "label": "label"}, 60_000),
    "kaist": Corpus("tag", "ud-korean-kaist/train.conllu.gz", {}),
    "pen-digits": Corpus("classify", "pen-digits/train.csv", {"label": "digit"}),
    "indoor": Corpus("classify", "series/IndoorMovement.zip", {}, holds_test=True),
    "spoken": Corpus("classify", "spoken-digits/recordings.zip", {}, holds_test=True),
}


@dataclass(frozen=True)
class Trial:
    """What came of a setting: right answers and answers by row or sentence, and other figures."""

    settings: dict[str, Any]
    right: NDArray[np.float64]
    answers: NDArray[np.float64]
    figures: dict[str, float]


def read(corpus: Corpus) -> Examples:
    """What `sunhwan train` learns from, or of very many rows a random part."""
    path = Path(os.environ["SUNHWAN_DATA"]) / corpus.path
    examples = read_source(corpus.task, [path], corpus.columns).examples
    if corpus.holds_test:
        defaults = Config.model_fields
        examples, _ = hold_out(examples, defaults["test"].default, defaults["seed"].default)
    if corpus.most is not None:
        random = np.random.default_rng(SEED)
        drawn = random.choice(len(examples), corpus.most, replace=False)
        examples = examples.take(np.sort(drawn))
    return examples


@dataclass(frozen=True)
class Labelled:
    """Inputs and class numbers of a part to learn from and of one held out."""

    x: Sequence[Any]
    y: NDArray[np.int64]
    x_held: Sequence[Any]
    y_held: NDArray[np.int64]

    @classmethod
    def of(cls, examples: Examples) -> Labelled:
        """Hold a part out of the examples, by group where there are groups."""
        rest, held = hold_out(examples, HELD_OUT, SEED)
        labels = sorted(set(rest.targets or []))
        y, y_held = (
            np.array([labels.index(label) for label in part.targets or []]) for part in (rest, held)
        )
        if examples.kind != "sound":
            return cls(rest.inputs, y, held.inputs, y_held)
        from sunhwan.data.sounds import LogMel

        features = LogMel().fit(rest.inputs)
        x, x_held = ([features.encode(sound) for sound in p.inputs] for p in (rest, held))
        return cls(x, y, x_held, y_held)


def try_labels(method: Callable[..., Any], settings: dict[str, Any], data: Labelled) -> Trial:
    """Answer the held-out part with probabilities of labels."""
    begun = time.process_time()
    probabilities, detail = method(data.x, data.y, data.x_held)
    seconds = time.process_time() - begun
    print(f"  {settings}: {detail}, {seconds:.1f} s", file=sys.stderr)
    right = probabilities.argmax(axis=1) == data.y_held
    of_truth = probabilities[np.arange(len(data.y_held)), data.y_held]
    loss = -np.log(np.maximum(of_truth, 1e-15)).mean()
    return Trial(settings, right.astype(float), np.ones(len(right)), {"log_loss": float(loss)})


def grams_to_try(kept: Grams, classes: int) -> list[Grams]:
    """The settings of an n-gram logistic regression, those in the code among them."""
    affordable = baselines_text.affordable_features(baselines_text.HASHES, classes)
    grams = [
        replace(kept, low=low, high=high, C=c)
        for (low, high), c in itertools.product(LENGTHS[kept.letters], PENALTIES)
    ]
    grams += [replace(kept, features=count) for count in FEATURES if count <= affordable]
    # last, what the rule is worth that says when letters are read
    return [*grams, replace(kept, sublinear=False), WORDS if kept.letters else LETTERS]


def try_texts(examples: Examples) -> Iterator[tuple[str, Any, Trial]]:
    """The baseline, its setting in the code, and a trial with another one."""
    data = Labelled.of(examples)
    kept = baselines_text.grams_for(data.x)
    name = "n-grams of letters" if kept.letters else "n-grams of words"
    for grams in grams_to_try(kept, int(data.y.max()) + 1):
        method = partial(baselines_text.logistic, grams=grams)
        yield name, asdict(kept), try_labels(method, asdict(grams), data)
    for steps in STEPS:
        net = partial(baselines_text.feed_forward, seed=SEED, steps=steps)
        kept_steps = {"steps": baselines_text.STEPS}
        yield "feed-forward net", kept_steps, try_labels(net, {"steps": steps}, data)


def try_numbers(examples: Examples) -> Iterator[tuple[str, Any, Trial]]:
    """As `try_texts`, for sequences of numbers and sounds."""
    data = Labelled.of(examples)
    for c in SUMMARY_PENALTIES:
        method = partial(baselines_numbers.logistic, c=c)
        kept = {"C": baselines_numbers.C}
        yield "logistic regression on summaries", kept, try_labels(method, {"C": c}, data)


def try_tags(examples: Examples) -> Iterator[tuple[str, Any, Trial]]:
    """As `try_texts`, for words with a tag each; every sentence is held out once."""
    tags = sorted(set(itertools.chain.from_iterable(examples.targets or [])))
    answers = [[tags.index(tag) for tag in answer] for answer in examples.targets or []]
    lengths = np.array([len(answer) for answer in answers], float)
    kept = {"ending": baselines_tags.ENDING}
    for ending in ENDINGS:
        for name, method in (("Markov chain", baselines_tags.markov_chain),
                             ("most frequent tag", baselines_tags.most_frequent)):  # fmt: skip
            right = np.zeros(len(answers))
            for fold in range(FOLDS):
                rest = [row for row in range(len(answers)) if row % FOLDS != fold]
                held = range(fold, len(answers), FOLDS)
                given, _ = method(
                    [examples.inputs[row] for row in rest],
                    [answers[row] for row in rest],
                    [examples.inputs[row] for row in held],
                    len(tags),
                    ending,
                )
                for row, answer in zip(held, given, strict=True):
                    right[row] = np.equal(answer, answers[row]).sum()
            yield name, kept, Trial({"ending": ending}, right, lengths, {})


def table(trials: Sequence[Trial], kept: dict[str, Any]) -> list[dict[str, Any]]:
    """Figures of each setting, and by how much it is better than the kept one."""
    base = next(trial for trial in trials if trial.settings == kept)
    rows = []
    for trial in trials:
        better = trial.right - base.right
        total = trial.answers.sum()
        mean = better.sum() / total
        error = np.sqrt(((better - mean * trial.answers) ** 2).sum()) / total
        figures = {"accuracy": trial.right.sum() / total, **trial.figures,
                   "better_by": mean, "standard_error": error}  # fmt: skip
        rows.append(trial.settings | {name: round(float(n), 5) for name, n in figures.items()})
    return rows


def measure(name: str) -> dict[str, Any]:
    """All figures of one set of data."""
    corpus = CORPORA[name]
    examples = read(corpus)
    print(f"{name}: {len(examples):,} examples", file=sys.stderr)
    if corpus.task == "tag":
        found = try_tags(examples)
    else:
        found = try_texts(examples) if examples.kind == "text" else try_numbers(examples)
    trials: defaultdict[str, list[Trial]] = defaultdict(list)
    keeps: dict[str, Any] = {}
    for baseline, kept, trial in found:
        trials[baseline].append(trial)
        keeps[baseline] = kept
    return {
        "file": corpus.path,
        "examples": len(examples),
        "answers_held_out": int(next(iter(trials.values()))[0].answers.sum()),
        "baselines": {
            baseline: {"kept": keeps[baseline], "tried": table(some, keeps[baseline])}
            for baseline, some in trials.items()
        },
    }


def better_settings(document: dict[str, Any]) -> list[tuple[str, dict[str, Any], float]]:
    """The settings that beat those in the code by more than noise, over all sets they are for.

    Returns
    -------
    list
        Baseline, setting and the standard errors that it is ahead, on average over the sets of
        data; the furthest ahead first.
    """
    ahead: defaultdict[tuple[str, Any], list[tuple[float, float]]] = defaultdict(list)
    sets: defaultdict[str, int] = defaultdict(int)
    for corpus in document["sets"].values():
        for baseline, figures in corpus["baselines"].items():
            sets[baseline] += 1
            for row in figures["tried"]:
                settings = tuple((name, row[name]) for name in figures["kept"])
                ahead[baseline, settings].append((row["better_by"], row["standard_error"]))
    found = []
    for (baseline, settings), figures in ahead.items():
        by, error = (np.array(column) for column in zip(*figures, strict=True))
        if len(figures) == sets[baseline] and by.sum() > NOISE * np.sqrt((error**2).sum()):
            found.append((baseline, dict(settings), float(by.sum() / np.sqrt((error**2).sum()))))
    return sorted(found, key=lambda one: -one[2])


def main() -> None:
    """Measure the sets that are named and keep their figures beside those of the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="+", choices=CORPORA)
    given = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "jax")  # of the feed-forward net
    for name in given.sets:
        figures = measure(name)
        document = read_json(RESULTS) if RESULTS.exists() else {"sets": {}}
        sets = document["sets"] | {name: figures}
        document = {"environment": describe(), "sets": {key: sets[key] for key in sorted(sets)}}
        write_json(RESULTS, document)
    for baseline, settings, errors in better_settings(document):
        print(f"{baseline}: {settings} is {errors:.1f} standard errors better")


if __name__ == "__main__":
    main()
