"""Networks as files for Keras alone and for ONNX Runtime: the same answers as the run's own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
from typer.testing import CliRunner

import sunhwan
from learner_examples import numbers, prepared, sentences, texts
from subprocesses import environment
from sunhwan.cli import app
from sunhwan.data.batches import Batches
from sunhwan.data.series import read_series
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks import exporting, running
from sunhwan.tasks.forecast_config import ForecastConfig
from sunhwan.tasks.forecast_learner import ForecastLearner
from sunhwan.tasks.forecasting import distances
from sunhwan.tasks.forecasting_preparation import split_before
from sunhwan.tasks.learner import Learner
from sunhwan.tasks.options import make

#: float32, through softmax or the scale of the answers
CLOSE = {"rtol": 2e-5, "atol": 2e-6}
HISTORY = {"figures": {"loss": [1.0]}, "best_epoch": 1}
LEARNERS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "classify": ("classify", texts, {"cell": "lstm", "pooling": "attention", "num_layers": 2}),
    "classify-last": ("classify", texts, {"cell": "gru", "pooling": "last", "dropout": 0.4}),
    "regress": ("regress", numbers, {"cell": "lstm", "pooling": "mean", "bidirectional": True}),
    "tag": ("tag", sentences, {"cell": "gru", "bidirectional": True}),
}


def learner_of(name: str) -> tuple[Learner, Any]:
    """A learner with random weights, biases too, and its examples."""
    task, make, options = LEARNERS[name]
    examples = make()
    learner = prepared(task, examples, **options)
    rng = np.random.default_rng(7)
    for weight in learner.model.weights:
        weight.assign(rng.normal(0, 0.6, weight.shape))
    return learner, examples


def padded(learner: Learner, encoded: list[Any]) -> dict[str, Any]:
    """Rows as the files want them, by the names that they go by in Keras."""
    x = Batches(encoded, batch_size=len(encoded), buckets=1)
    order = np.argsort(x.lengths, kind="stable")
    arrays = x[0][0] if isinstance(x[0][0], tuple) else (x[0][0],)
    back = np.argsort(order, kind="stable")
    return {t.name: a[back] for t, a in zip(learner.model.inputs, arrays, strict=True)}


def about_of(path: Path) -> dict[str, Any]:
    return json.loads(path.with_name(f"{path.name}.json").read_text("utf-8"))


def session(path: Path) -> Any:
    alone = onnxruntime.SessionOptions()
    alone.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), alone)


def answers(path: Path, feed: dict[str, Any]) -> Any:
    """What a file answers, told from its form alone."""
    if path.suffix == ".keras":
        return keras.saving.load_model(path).predict(feed, verbose=0)
    if "mask" in feed:
        mask = feed["mask"]
        feed = {k: v for k, v in feed.items() if k != "mask"}
        feed["lengths"] = mask.sum(axis=1).astype("int32")
    return session(path).run(None, feed)[0]


@pytest.mark.parametrize("name", ["classify", "regress", "tag"])
def test_files_answer_as_the_run_does(name: str, tmp_path: Path) -> None:
    learner, examples = learner_of(name)
    run = running.save(learner, tmp_path / "run", HISTORY).path
    encoded = learner.encode(examples)
    wanted = learner.answer(encoded)
    feed = padded(learner, encoded)
    for form in ("keras", "onnx"):
        path = sunhwan.export(run, tmp_path / f"net.{form}")
        found = answers(path, feed)
        assert found.dtype == np.float32
        for row, answer in enumerate(wanted):
            given = found[row] if learner.classes else found[row, 0]
            steps = slice(len(answer)) if learner.per_step else ...
            np.testing.assert_allclose(given[steps], answer, **CLOSE)
    about = about_of(path)
    example = {name: np.array(x["example"], x["dtype"]) for name, x in about["inputs"].items()}
    said, told = session(path).run(None, example)[0], np.array(about["output"]["example"])
    np.testing.assert_allclose(said[0], told[0], **CLOSE)  # the row without padding
    # the run's own network is as it was
    np.testing.assert_array_equal(learner.answer(encoded)[0], wanted[0])


def test_files_open_where_there_is_no_sunhwan(tmp_path: Path) -> None:
    run = running.save(learner_of("classify")[0], tmp_path / "run", HISTORY).path
    lines = ["import sys", "sys.modules['sunhwan'] = None"]
    for form in ("onnx", "keras"):
        lines.append(exporting.usage(sunhwan.export(run, tmp_path / f"net.{form}")))
        lines.append("wanted = about['output']['example']")
        lines.append("np.testing.assert_allclose(answer, wanted, rtol=2e-5, atol=2e-6)")
    shutil.rmtree(run)
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "the probability of each of `classes`"
    with zipfile.ZipFile(tmp_path / "net.keras") as file:
        assert "sunhwan" not in file.read("config.json").decode()


def test_layers_of_a_keras_file_have_their_names_and_weights(tmp_path: Path) -> None:
    learner = learner_of("classify-last")[0]
    running.save(learner, tmp_path / "run", HISTORY)
    model = keras.saving.load_model(sunhwan.export(tmp_path / "run", tmp_path / "net.keras"))
    for name in ("table", "gru_1", "drop_1", "answer"):
        ours, theirs = learner.model.get_layer(name), model.get_layer(name)
        assert type(theirs) is getattr(keras.layers, type(ours).__name__)
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    ids = np.array([[3, 2, 0]], "int32")
    assert model.predict(ids, verbose=0).shape == (1, 2)  # an array, where others take a dict


def test_what_is_beside_a_file_is_enough_to_feed_it(tmp_path: Path) -> None:
    learner, examples = learner_of("classify-last")
    fitted = sunhwan.Classifier()
    fitted.learner_ = learner
    about = about_of(sunhwan.export(fitted, tmp_path / "net.onnx", "onnx"))
    assert (about["task"], about["kind"], about["classes"]) == ("classify", "text", ["no", "yes"])
    ids = {token: n + 2 for n, token in enumerate(about["encoder"]["tokens"])}
    for text, row in zip(examples.inputs, learner.encode(examples), strict=True):
        assert [ids.get(word, 1) for word in text.split()] == row.tolist()
    assert "encoder.tokens[n] has the id n + 2, and all else the id 1" in about["reading"]
    assert about["inputs"]["ids"]["shape"] == ["batch", "time"]
    assert about["output"]["name"] == "probabilities"


def test_numbers_are_fed_by_length_or_by_mask(tmp_path: Path) -> None:
    running.save(learner_of("regress")[0], tmp_path / "run", HISTORY)
    shapes = {}
    for form in ("keras", "onnx"):
        inputs = about_of(sunhwan.export(tmp_path / "run", tmp_path / f"net.{form}"))["inputs"]
        shapes[form] = {name: (x["dtype"], x["shape"]) for name, x in inputs.items()}
    steps = {"numbers": ("float32", ["batch", "time", 2])}
    assert shapes["keras"] == {**steps, "mask": ("bool", ["batch", "time"])}
    assert shapes["onnx"] == {**steps, "lengths": ("int32", ["batch"])}
    feed = {"numbers": np.zeros((1, 2, 2), "f"), "lengths": np.array([3], "int32")}
    with pytest.raises(Exception, match="sequence_lens"):
        session(tmp_path / "net.onnx").run(None, feed)


def forecaster(mode: str) -> tuple[Any, Any]:
    """A forecaster with random weights, and the window behind the end of its series."""
    t, draw = np.arange(150), np.random.default_rng(1)
    values = np.exp(t / 50 + np.sin(2 * np.pi * t / 7) / 2 + draw.normal(0, 0.1, len(t)))
    data = read_series({"sold": values.tolist()}, time=[], target=["sold"])
    options = {"units": 4, "horizon": 3, "input_length": 8, "season": 7, "mode": mode}
    learner = ForecastLearner(make(ForecastConfig, {"task": "forecast", **options}))
    learner.prepare(data, split_before(data, data.series[0].times[-1], 0.2))
    for weight in learner.model.weights:
        weight.assign(draw.normal(0, 0.5, weight.shape))
    fitted = sunhwan.Forecaster()
    fitted.learner_ = learner
    return fitted, learner.windows(learner.encoder.last, "next", horizon=learner.steps)


@pytest.mark.parametrize("mode", ["direct", "fed-back"])
def test_a_forecast_can_be_made_from_the_file(mode: str, tmp_path: Path) -> None:
    fitted, part = forecaster(mode)
    wanted = distances(fitted.learner_.model, part)
    for form in ("keras", "onnx"):
        about = about_of(sunhwan.export(fitted, tmp_path / f"net.{form}"))
        said = answers(tmp_path / f"net.{form}", {"past": part.past, "future": part.future})
        np.testing.assert_allclose(said, wanted, **CLOSE)
    assert about["inputs"]["past"]["shape"] == ["batch", 8, part.past.shape[2]]
    assert about["output"]["name"] == "distances"
    is_told = any("one step is said at once" in line for line in about["reading"])
    assert is_told == (mode == "fed-back")
    scaler, [last] = about["encoder"]["scaler"], about["encoder"]["last"]
    assert (scaler["logarithm"], scaler["anchor"]) == (True, "season")
    anchor = np.log(last["values"][-7] + scaler["offset"])
    value = np.exp(anchor + scaler["spreads"][last["name"]] * said[0, 0]) - scaler["offset"]
    assert value == pytest.approx(part.restore(wanted)[0, 0], rel=1e-5)


def test_inputs_of_every_kind_are_told() -> None:
    """Each sentence that depends on an option is there when it is set, and only then."""
    from sunhwan.data.sequences import Numbers
    from sunhwan.data.sounds import LogMel
    from sunhwan.data.tokens import TEXT_ENCODERS
    from sunhwan.tasks.exporting_inputs import inputs_text

    class Told:
        task, per_step = "classify", False

        def __init__(self, kind: str, encoder: Any) -> None:
            self.kind, self.encoder = kind, encoder

    plain, full = Numbers(), Numbers(missing="carry", differences=True, max_length=9, keep="end")
    assert [len(inputs_text(Told("numbers", encoder))) for encoder in (plain, full)] == [2, 6]
    assert "of more than 9 steps the last are read" in inputs_text(Told("numbers", full))
    said = {name: inputs_text(Told("text", kind())) for name, kind in TEXT_ENCODERS.items()}
    assert len({tuple(lines) for lines in said.values()}) == len(said)
    unigram = inputs_text(Told("text", TEXT_ENCODERS["subwords"](algorithm="unigram")))
    assert "(unigram)" in unigram[1]
    assert "(BPE)" in said["subwords"][1]
    assert any("40 mel bands" in line for line in inputs_text(Told("sound", LogMel())))


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_says_how_to_go_on(tmp_path: Path) -> None:
    running.save(learner_of("tag")[0], tmp_path / "run", HISTORY)
    result = invoke("export", tmp_path / "run", "--out", tmp_path / "new" / "net.onnx")
    assert result.exit_code == 0, result.stderr
    path = tmp_path / "new" / "net.onnx"
    assert result.stdout == f"network: {path}\ninputs:  {path}.json\n"
    assert exporting.usage(path).rstrip() in result.stderr
    assert {file.name for file in path.parent.iterdir()} == {"net.onnx", "net.onnx.json"}


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--out", "net.h5"], 2, "must end in .keras or .onnx, received 'net.h5'"),
        (["--out", "net.keras", "--format", "onnx"], 2, "must end in .onnx, received 'net.keras'"),
        (["--out", "net.pt", "--format", "pt"], 2, "must be keras or onnx, received 'pt'"),
        (["--out", "net.onnx"], 1, "is not a run: it has no run.json"),
        ([], 2, "--out"),
    ],
)
def test_the_command_refuses(words: list[str], code: int, message: str, tmp_path: Path) -> None:
    names = {"net.h5", "net.keras", "net.pt", "net.onnx"}
    result = invoke("export", tmp_path, *[tmp_path / w if w in names else w for w in words])
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = invoke("export", tmp_path / "no run", "--out", tmp_path / "net.onnx")
    assert result.exit_code == 2
    assert "hint: pip install 'sunhwan[onnx]'" in result.stderr


def test_only_runs_and_fitted_estimators_are_exported(tmp_path: Path) -> None:
    for source in (sunhwan.Classifier(), learner_of("tag")[0].model, None):
        with pytest.raises(UsageError, match="the folder of a run or a fitted estimator"):
            sunhwan.export(source, tmp_path / "net.keras")
    running.save(learner_of("tag")[0], tmp_path / "run", HISTORY)
    (tmp_path / "run" / "weights.safetensors").unlink()
    with pytest.raises(DataError, match="weights"):
        sunhwan.export(tmp_path / "run", tmp_path / "net.keras")
    assert [file.name for file in tmp_path.iterdir()] == ["run"]


def test_a_layer_without_a_counterpart_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer of ours that nobody has thought of yet."""

    @keras.saving.register_keras_serializable(package="sunhwan")
    class Odd(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    fitted = sunhwan.Classifier()
    fitted.learner_ = learner = learner_of("classify-last")[0]
    learner.model = keras.Model(learner.model.inputs, Odd(name="odd")(learner.model.output))
    for form, message in (("keras", "has no counterpart in Keras"), ("onnx", "is not exported")):
        with pytest.raises(UsageError, match=rf"layer `odd` \(Odd\) {message}"):
            sunhwan.export(fitted, tmp_path / f"net.{form}")
    assert not list(tmp_path.iterdir())
