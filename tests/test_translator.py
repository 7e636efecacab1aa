"""`Translator`: pairs of texts in scikit-learn's manners, kept, loaded, and looked into."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.base import clone
from typer.testing import CliRunner

from sunhwan import Translator, load
from sunhwan.cli import app
from sunhwan.errors import DataError, ShapeError, UnknownOptionError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks import training
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.text_generator import TextGenerator
from sunhwan.tasks.translate_config import TranslateConfig

SMALL: dict[str, Any] = {"units": 24, "embedding": 8, "dropout": 0.0, "token_dropout": 0.0,
                         "batch_size": 8, "learning_rate": 0.02, "epochs": 40,
                         "width": 2}  # fmt: skip
TEXTS = [a + b + c for a in "가나다" for b in "가나다" for c in "가나다라"]
TARGETS = [text[::-1] for text in TEXTS]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator(**SMALL).fit(TEXTS, np.array(TARGETS))


def test_texts_are_translated_one_or_several(translator: Translator) -> None:
    assert translator.translate("가나라") == "라나가"
    assert translator.translate([" 가나라 ", "다다라"]) == ["라나가", "라다다"]
    found = translator.translate(["가나라", "다다라"], width=3, with_scores=True)
    assert [one.text for one in found] == ["라나가", "라다다"]
    assert all(one.log_probability <= one.score < 0 for one in found)
    single = translator.translate("가나다", length_penalty=0, with_scores=True)
    assert single.score == pytest.approx(single.log_probability)
    figures = translator.evaluate(TEXTS, TARGETS)
    assert figures["exact_match"] > 0.8
    assert set(figures) == {"chrf", "bleu", "exact_match"}
    assert translator.best_epoch_ >= 1
    assert len(translator.history_["val_loss"]) == len(translator.history_["loss"])


def test_attention_has_a_row_for_each_token_that_was_written(translator: Translator) -> None:
    read, written, weights = translator.attention_of("가나다라")
    assert read == list("가나다라")
    assert written == [*translator.translate("가나다라"), ""]
    assert weights.shape == (len(written), 4)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    forced = translator.attention_of("가나", "다라다")
    assert forced[1] == ["다", "라", "다", ""]
    assert forced[2].shape == (4, 2)
    plain = Translator(**{**SMALL, "attention": "none", "epochs": 1}).fit(TEXTS, TARGETS)
    with pytest.raises(UsageError, match="no attention"):
        plain.attention_of("가나")


def test_it_is_saved_and_loaded_with_all_that_it_needs(
    translator: Translator, tmp_path: Path
) -> None:
    path = translator.save(tmp_path / "run")
    again = load(path)
    assert isinstance(again, Translator)
    assert again.translate(TEXTS) == translator.translate(TEXTS)
    assert again.get_params() == {
        **translator.get_params(),
        **{name: getattr(translator.learner_.config, name) for name in again.get_params()},
    }
    assert again.history_ == translator.history_
    with pytest.raises(UsageError, match="already holds a run"):
        translator.save(path)
    other = TextGenerator(units=3, epochs=1).fit("가나다").save(tmp_path / "other")
    with pytest.raises(UsageError, match="cannot translate"):
        Translator.load(other)


def test_keras_saves_the_model_and_its_weights(translator: Translator, tmp_path: Path) -> None:
    model, end = translator.model_, translator.learner_.end
    inputs = [np.array([[2, 3, 4, 0]]), np.array([[end, 3, 2]])]
    wanted = model.predict(inputs, verbose=0)
    assert wanted.shape == (1, 3, end + 1)
    model.save(tmp_path / "whole.keras")
    opened = keras.models.load_model(tmp_path / "whole.keras")
    np.testing.assert_array_equal(opened.predict(inputs, verbose=0), wanted)
    learning = translator.learner_.model
    learning.save_weights(tmp_path / "all.weights.h5")
    before = [np.array(weight) for weight in learning.weights]
    for weight in learning.trainable_variables:
        weight.assign(weight * 0)
    assert not np.allclose(model.predict(inputs, verbose=0), wanted)
    learning.load_weights(tmp_path / "all.weights.h5")
    for weight, value in zip(learning.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_parameters_are_the_options_of_the_task() -> None:
    for kind, config in ((Translator, TranslateConfig), (TextGenerator, GenerateConfig)):
        options = set(config.model_fields) - {"task", "test"}
        lacking = options - set(kind._get_param_names())
        assert lacking <= {"recurrent_dropout"}
        defaults = {name: getattr(config(), name) for name in kind._get_param_names()}
        assert kind().get_params() == defaults
    assert clone(Translator(units=5)).get_params()["units"] == 5
    with pytest.raises(UnknownOptionError, match="`unit` is no option of Translator"):
        Translator(unit=3)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="`width`"):
        Translator(width=0).fit(TEXTS, TARGETS)


def test_pairs_that_do_not_fit_are_named(translator: Translator) -> None:
    for sources, targets, kind, said in (
        (["가", "나"], ["a"], ShapeError, "a target for each of the 2 sources, received 1"),
        (["가", " "], ["a", "b"], DataError, "source 1 is empty"),
        (["가", "나"], ["a", None], UsageError, "target 1 must be a str"),
        (["가"] * 9, ["a"] * 9, DataError, "9 pairs are too few"),
        ([], [], DataError, "at least one source"),
    ):
        with pytest.raises(kind, match=said):
            Translator(**SMALL).fit(sources, targets)
    with pytest.raises(DataError, match="`validation_data`: source 0 is empty"):
        Translator(**SMALL).fit(TEXTS, TARGETS, validation_data=([""], ["a"]))
    with pytest.raises(UsageError, match=r"must be \(sources, targets\)"):
        Translator(**SMALL).fit(TEXTS, TARGETS, validation_data=[TEXTS])  # type: ignore[arg-type]
    with pytest.warns(UserWarning, match="pair 36 is left out: the source has 9 tokens"):
        short = Translator(**{**SMALL, "max_length": 5, "epochs": 1}).fit(
            [*TEXTS, "가" * 9], [*TARGETS, "라"], validation_data=(TEXTS[:4], TARGETS[:4])
        )
    assert [one.place for one in short.rejected_] == ["pair 36"]
    with pytest.raises(DataError, match="text 1: the source has 11 tokens, more than twice"):
        short.translate(["가", "가" * 11])
    assert len(short.translate(["가" * 10])) == 1


def test_writing_again_compiles_nothing() -> None:
    translator = Translator(**{**SMALL, "epochs": 1}).fit(TEXTS, TARGETS)
    translator.translate("가나다")
    stepper = translator.learner_.stepper()
    assert translator.learner_.stepper() is stepper
    weight = translator.learner_.model.get_layer("answer").bias
    weight.assign(weight + 1)
    assert translator.learner_.stepper() is not stepper
    # where the weights are others, so is what is written with them
    weight.assign(np.eye(1, weight.shape[0], 3)[0] * 99)
    letter = translator.learner_.encoder.target.decode([3])
    assert set(translator.translate("가나다")) == {letter}


def test_what_was_noted_at_the_start_is_in_the_report_of_a_run_that_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, text = tmp_path / "pairs.tsv", tmp_path / "song.txt"
    rows = "\n".join(map("\t".join, zip(TEXTS, TARGETS, strict=True)))
    table.write_text(f"source\ttarget\n{rows}\n", encoding="utf-8")
    text.write_text("가나다라 " * 60, encoding="utf-8")
    for task, path, count in (("translate", table, 2), ("generate", text, 1)):
        words = ["train", task, str(path), "--units", "3", "--embedding", "2", "--epochs", "1",
                 "--batch-size", "8", "--out", str(tmp_path / task)]  # fmt: skip
        with monkeypatch.context() as patch:
            pressed = SimpleNamespace(is_pressed=True)
            patch.setattr(training, "heard", lambda at_once: nullcontext(pressed))  # noqa: B023
            assert CliRunner().invoke(app, words).exit_code == 130
        again = CliRunner().invoke(app, ["resume", str(tmp_path / task)])
        assert again.exit_code == 0, again.stderr
        notes = RunFolder.open(tmp_path / task).read("results.json")["data"]["notes"]
        assert len([line for line in notes if line.startswith("tokens: characters")]) == count
        config = json.loads((tmp_path / task / "config.json").read_text("utf-8"))
        assert len(config["data"]["notes"]) == count
    assert isinstance(load(tmp_path / "translate"), Translator)
