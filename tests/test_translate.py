"""Translation as a task of the workbench: from pairs in a file to answers on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from sunhwan.cli import app
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks import translate_run
from sunhwan.tasks.options import make
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_learner import TranslateLearner
from sunhwan.tasks.translate_parts import Pairs

SMALL: dict[str, Any] = {"units": 32, "embedding": 16, "dropout": 0.0, "batch_size": 16,
                         "learning_rate": 0.01, "epochs": 40, "width": 3}  # fmt: skip


def pairs(count: int, seed: int = 1) -> Pairs:
    """Letters, and the same from behind."""
    draw = np.random.default_rng(seed)
    sources = ["".join(draw.choice(list("가나다라"), draw.integers(1, 6))) for _ in range(count)]
    places = [f"a.tsv, line {n + 2}" for n in range(count)]
    return Pairs(sources, [text[::-1] for text in sources], places)


def learner_of(examples: Pairs, **options: Any) -> TranslateLearner:
    learner = TranslateLearner(make(TranslateConfig, {**SMALL, **options}))
    learner.prepare(examples)
    learner.short_enough(examples)
    return learner


def test_a_text_is_turned_round() -> None:
    learner = learner_of(pairs(400))
    learner.fit(pairs(400), pairs(60, seed=2))
    asked = pairs(70, seed=3)
    said = learner.answer(asked.sources)
    assert np.mean([one == two for one, two in zip(said, asked.targets, strict=True)]) > 0.9
    # more than one batch, in the order of the sources, and each as if it were alone
    assert [learner.answer([text])[0] for text in asked.sources[:3]] == said[:3]
    again = TranslateLearner.from_json(
        learner.config, json.loads(json.dumps(learner.encoder.config())), learner.to_json(), "run"
    )
    assert again.longest == learner.longest == 5
    for one, other in zip(again.model.weights, learner.model.weights, strict=True):
        one.assign(other)
    assert again.answer(asked.sources) == said


class _Stops(Progress):
    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def batch(self, done: int, count: int) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    options = {"epochs": 3, "dropout": 0.3, "own_words": 0.5, "attention": "additive"}
    whole, parts, again = (learner_of(pairs(60), **options) for _ in range(3))
    history = whole.fit(pairs(60), pairs(20, seed=2))
    fit: dict[str, Any] = {"state": tmp_path / "training", "fingerprint": "x"}
    with pytest.raises(KeyboardInterrupt):
        parts.fit(pairs(60), pairs(20, seed=2), progress=_Stops(6), **fit)
    assert again.fit(pairs(60), pairs(20, seed=2), **fit).figures == history.figures
    for one, other in zip(whole.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_shared_vocabulary_is_one() -> None:
    learner = learner_of(pairs(30), shared_vocabulary=True)
    assert learner.encoder.source is learner.encoder.target
    config = learner.encoder.config()
    assert config["target"] is None
    again = type(learner.encoder).from_config(json.loads(json.dumps(config)))
    assert again.source is again.target
    with pytest.raises(DataError, match="`source` and `target`"):
        type(learner.encoder).from_config({"source": config["source"]})


def test_what_does_not_fit_is_refused() -> None:
    learner = learner_of(pairs(30))
    encoder = json.loads(json.dumps(learner.encoder.config()))
    good = learner.to_json()
    for changed, said in (
        ({**good, "network": {}}, "`network"),
        ({**good, "longest": -1}, "`longest`"),
        ({**good, "network": {**good["network"], "units": 31}}, "does not belong"),
    ):
        with pytest.raises(DataError, match=said):
            TranslateLearner.from_json(learner.config, encoder, changed, "run")
    with pytest.raises(DataError, match="larger than the file"):
        TranslateLearner.from_json(learner.config, encoder, good, "run", most_bytes=9)


def test_from_a_file_to_answers_on_the_command_line(tmp_path: Path) -> None:
    both = pairs(300)
    table = tmp_path / "pairs.tsv"
    rows = [f"{a}\t{b}" for a, b in zip(both.sources, both.targets, strict=True)]
    rows += ["가나\t", "\t가", "가" * 90 + "\t" + "가" * 90]
    table.write_text("source\ttarget\n" + "\n".join(rows) + "\n", encoding="utf-8")
    run = tmp_path / "run"
    options = ["--units", 24, "--epochs", 15, "--batch-size", 16, "--learning-rate", 0.01,
               "--max-length", 20, "--dropout", 0]  # fmt: skip
    result = invoke("train", "translate", table, *options, "--out", run)
    assert result.exit_code == 0, result.stderr
    assert "chrF" in result.stdout
    assert f"sunhwan translate {run}" in result.stdout
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    reasons = [row["reason"] for row in results["data"]["rejected"]]
    assert {"`target` is empty", "`source` is empty"} <= set(reasons)
    assert any("more than `max_length` 20" in reason for reason in reasons) or any(
        len(pair["source"]) == 90 for pair in results["worst_translations"]
    )
    assert [row["name"] for row in results["baselines"]] == [
        "copy of the source", "nearest neighbour"
    ]  # fmt: skip
    drawn = results["attention"][0]
    assert np.shape(drawn["weights"]) == (len(drawn["written"]), len(drawn["source"]))
    page = (run / "report.html").read_text(encoding="utf-8")
    for heading in ("What it writes", "Where it looked", "Length and likeness"):
        assert heading in page
    lines = tmp_path / "lines.txt"
    lines.write_bytes("가나다\r\n\n라나\n".encode() + b"\xff\n")
    said = invoke("translate", run, lines)
    assert said.exit_code == 0, said.stderr
    answers = said.stdout.split("\n")
    assert len(answers) == 5
    assert answers[1] == answers[3] == ""
    assert answers[0]
    assert answers[2]
    assert "lines.txt, line 2" in said.stderr
    assert "lines.txt, line 4" in said.stderr
    judged = json.loads(invoke("evaluate", run, table, "--json").stdout)
    assert set(judged) >= {"bleu", "chrf", "exact_match"}
    assert 0 <= judged["exact_match"] <= 1
    for command, words in (
        (["predict", run, table], "answers lines of text"),
        (["generate", run], "cannot write"),
        (["export", run, "--out", tmp_path / "a.onnx"], "cannot be exported yet"),
        (["tune", "translate", table, "--out", tmp_path / "t"], "cannot search for `translate`"),
        (["train", "translate", table, "--text", "source", "--out", tmp_path / "x"], "no meaning"),
    ):
        refused = invoke(*command)  # type: ignore[misc]
        assert refused.exit_code == 2, refused.stderr
        assert words in refused.stderr
    with pytest.raises(UsageError, match="cannot translate"):
        translate_run.load(_run_of_another_task(tmp_path))


def _run_of_another_task(folder: Path) -> Path:
    from sunhwan import TextGenerator

    options = {"units": 4, "epochs": 1}
    return TextGenerator(**options).fit("가나다라" * 9).save(folder / "song")  # type: ignore[arg-type]


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
