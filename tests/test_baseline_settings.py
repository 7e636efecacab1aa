"""The baselines' settings are those that parts held out of the training data speak for."""

from __future__ import annotations

import importlib.util
import math
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sunhwan.data.examples import Examples
from sunhwan.runs.files import read_json
from sunhwan.tasks import baselines_numbers, baselines_tags, baselines_text

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "baseline_settings.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("baseline_settings", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their annotations
    spec.loader.exec_module(module)
    return module


def test_the_settings_are_the_best_of_the_kept_figures_or_within_noise(script) -> None:
    document = read_json(script.RESULTS)
    assert set(document["sets"]) == set(script.CORPORA)
    in_code = {
        "n-grams of words": asdict(baselines_text.WORDS),
        "n-grams of letters": asdict(baselines_text.LETTERS),
        "feed-forward net": {"steps": baselines_text.STEPS},
        "Markov chain": {"ending": baselines_tags.ENDING},
        "most frequent tag": {"ending": baselines_tags.ENDING},
        "logistic regression on summaries": {"C": baselines_numbers.C},
    }
    found = {}
    for corpus in document["sets"].values():
        for name, figures in corpus["baselines"].items():
            found[name] = figures["kept"]
            assert figures["kept"] == in_code[name]
            tried = [{key: row[key] for key in in_code[name]} for row in figures["tried"]]
            assert tried.count(in_code[name]) == 1
            assert len(tried) > 3
    assert found == in_code
    assert script.better_settings(document) == []


def test_no_file_to_judge_by_is_read(script) -> None:
    for name, corpus in script.CORPORA.items():
        assert "test" not in corpus.path
        assert corpus.holds_test == ("train" not in corpus.path), name


def test_a_setting_is_weighed_on_the_rows_of_the_kept_one(script) -> None:
    random = np.random.default_rng(4)
    answers = random.integers(1, 9, 60).astype(float)
    kept, other = (np.floor(answers * random.uniform(0.4, 1, 60)) for _ in range(2))
    trials = [
        script.Trial({"ending": 2}, other, answers, {"log_loss": 0.25}),
        script.Trial({"ending": 5}, kept, answers, {"log_loss": 0.5}),
    ]
    row, same = script.table(trials, {"ending": 5})
    by = (other.sum() - kept.sum()) / answers.sum()
    assert row["better_by"] == pytest.approx(by, abs=1e-5)
    assert (same["better_by"], same["standard_error"]) == (0.0, 0.0)
    assert row["log_loss"] == 0.25
    draws = random.integers(0, 60, (4000, 60))
    resampled = (other - kept)[draws].sum(1) / answers[draws].sum(1)
    assert row["standard_error"] == pytest.approx(resampled.std(), rel=0.1)


def test_a_setting_is_better_only_over_all_sets_together(script) -> None:
    def corpus(*ahead: float) -> dict:
        rows = [
            {"C": float(n), "better_by": by, "standard_error": 0.01 * bool(n)}
            for n, by in enumerate(ahead)
        ]
        return {"baselines": {"ridge": {"kept": {"C": 0.0}, "tried": rows}}}

    one, two = corpus(0.0, 0.025, 0.03, 0.019), corpus(0.0, 0.0, -0.01, 0.019)
    [(name, settings, errors)] = script.better_settings({"sets": {"a": one, "b": two}})
    assert (name, settings) == ("ridge", {"C": 3.0})
    assert errors == pytest.approx(0.038 / math.hypot(0.01, 0.01))
    # a setting that was tried on one set alone says nothing of the other
    two["baselines"]["ridge"]["tried"].pop()
    assert script.better_settings({"sets": {"a": one, "b": two}}) == []


def test_every_sentence_is_held_out_once(script) -> None:
    words = [[f"w{n % 3}", "x"] for n in range(20)]
    tags = [["N" if n % 3 else "V", "P"] for n in range(20)]
    examples = Examples("tokens", words, tags, [f"line {n}" for n in range(20)])
    found = list(script.try_tags(examples))
    assert {name for name, _, _ in found} == {"Markov chain", "most frequent tag"}
    assert len(found) == 2 * len(script.ENDINGS)
    for _, _, trial in found:
        assert trial.answers.tolist() == [2.0] * 20
        assert trial.right.tolist() == [2.0] * 20
