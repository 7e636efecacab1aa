"""From examples to answers: networks, the learner, its folder, its sources."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from hostile import refused
from learner_examples import numbers, prepared, sentences, texts
from sunhwan.data.examples import Examples
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.weights import model_arrays
from sunhwan.tasks import running, sources
from sunhwan.tasks.learner import Learner
from sunhwan.tasks.networks import Network
from sunhwan.tasks.run_records import Data

# networks

NETWORK: dict[str, Any] = {
    "inputs": "ids", "vocabulary": (20,), "outputs": 3, "per_step": False, "cell": "gru",
    "units": 4, "num_layers": 1, "bidirectional": True, "embedding": 3, "pooling": "max",
    "dropout": 0.2, "recurrent_dropout": 0.0,
}  # fmt: skip
SHAPES = [
    {},
    {"pooling": "last", "cell": "lstm"},
    {"pooling": "mean", "cell": "simple", "bidirectional": False},
    {"pooling": "attention", "num_layers": 2},
    {"per_step": True, "pooling": "last"},
    {"inputs": "numbers", "vocabulary": (), "features": 2, "pooling": "last", "num_layers": 2},
    {"inputs": "numbers", "vocabulary": (), "features": 2, "per_step": True, "cell": "lstm"},
    {"inputs": "columns", "vocabulary": (20, 7), "per_step": True},
    {"inputs": "columns", "vocabulary": (20, 7), "pooling": "attention", "bidirectional": False},
]


def _padded(network: Network, lengths: list[int], steps: int, seed: int) -> Any:
    """Inputs of a network whose first row is always the same, padded to some steps."""
    draws = [np.random.default_rng([row, seed * row]) for row in range(len(lengths))]
    mask = np.arange(steps) < np.array(lengths)[:, None]
    if network.inputs == "numbers":
        rows = [draw.normal(size=(steps, network.features)) for draw in draws]
        return np.where(mask[..., None], np.array(rows, np.float32), 0), mask
    if network.inputs == "columns":
        ids = np.array([draw.integers(1, 7, (steps, 2), dtype=np.int32) for draw in draws])
        return np.where(mask[..., None], ids, 0), mask
    ids = np.array([draw.integers(1, 20, steps, dtype=np.int32) for draw in draws])
    return np.where(mask, ids, 0)


@pytest.mark.parametrize("changed", SHAPES, ids=str)
def test_padding_and_other_rows_change_nothing(changed):
    network = Network(**NETWORK | changed)
    model = network.build()
    first = 5
    wanted = np.asarray(model(_padded(network, [first, 3], 5, 1)))
    assert wanted.shape == ((2, 5, 3) if network.per_step else (2, 3))
    longer = np.asarray(model(_cut(network, _padded(network, [first, 3], 5, 1), 11)))
    others = np.asarray(model(_padded(network, [first, 2, 5, 1], 5, 2)))
    real = slice(0, first)
    for found in (longer, others):
        one = found[0, real] if network.per_step else found[0]
        np.testing.assert_allclose(
            one, wanted[0, real] if network.per_step else wanted[0], rtol=1e-5, atol=1e-6
        )
    # and it is no constant
    assert np.abs(others[1].ravel()[:3] - wanted[0].ravel()[:3]).max() > 1e-4


def _cut(network: Network, x: Any, steps: int) -> Any:
    """The same inputs, padded further."""

    def longer(array: Any) -> Any:
        more = [(0, 0), (0, steps - array.shape[1]), (0, 0)][: array.ndim]
        return np.pad(array, more)

    return tuple(map(longer, x)) if isinstance(x, tuple) else longer(x)


def test_networks_have_the_layers_that_were_asked_for():
    network = Network(**NETWORK | {"num_layers": 3, "pooling": "attention"})
    names = [layer.name for layer in network.build().layers]
    assert [name for name in names if name.startswith("gru")] == ["gru_1", "gru_2", "gru_3"]
    assert names[-3:] == ["attention_over_time", "drop_3", "answer"]
    plain = Network(**NETWORK | {"dropout": 0.0, "pooling": "last"})
    assert not [layer for layer in plain.build().layers if "drop" in layer.name]


@pytest.mark.parametrize("changed", SHAPES, ids=str)
def test_the_fewest_bytes_are_fewer_than_those_of_the_weights(changed):
    network = Network(**NETWORK | changed)
    assert 0 < network.fewest_bytes <= 4 * network.build().count_params()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"units": 0}, "m.json: `units`: .*greater than or equal to 1"),
        ({"cell": "tanh"}, "m.json: `cell`: "),
        ({"code": "import os"}, "m.json: `code`: extra inputs are not permitted"),
        ({"outputs": None}, "m.json: `outputs`: "),
        ({"dropout": "much"}, "m.json: `dropout`: "),
        ({"vocabulary": [1, "x"]}, "m.json: `vocabulary.1`: "),
        ({"units": 10**12}, "m.json: `units`: .*less than or equal to 8192"),
    ],
)
def test_a_network_of_a_damaged_file_is_refused(changed, message):
    refused(lambda: Network.from_json({**NETWORK, **changed}, "m.json"), message)


# learner


@pytest.mark.parametrize(
    ("task", "examples"),
    [("classify", texts()), ("regress", numbers()), ("tag", sentences())],
    ids=["classify", "regress", "tag"],
)
def test_answers_do_not_depend_on_the_company(task, examples):
    learner = prepared(task, examples)
    encoded = learner.encode(examples)
    together = learner.answer(encoded)
    some = learner.answer(encoded[3:5])
    for row, answer in zip(range(3, 5), some, strict=True):
        np.testing.assert_allclose(answer, together[row], rtol=1e-5, atol=1e-6)
        [alone] = learner.answer(encoded[row : row + 1])
        np.testing.assert_allclose(alone, together[row], rtol=1e-5, atol=1e-6)
    again = learner.answer(encoded)
    assert all(np.array_equal(one, other) for one, other in zip(together, again, strict=True))
    if learner.classes:
        flat = np.concatenate([np.atleast_2d(row) for row in together])
        np.testing.assert_allclose(flat.sum(-1), 1)


def test_numbers_are_learnt_in_their_own_units():
    examples = numbers()
    learner = prepared("regress", examples)
    assert learner.targets.mean == pytest.approx(np.mean(examples.targets))
    assert learner.targets.scale == pytest.approx(np.std(examples.targets))
    batches = learner.batches(examples, learner.encode(examples), seed=None)
    wanted = np.concatenate([batches[n][1].ravel()[batches[n][2] > 0] for n in range(len(batches))])
    assert abs(wanted.mean()) < 1e-6
    assert wanted.std() == pytest.approx(1, abs=1e-5)
    same = Examples("numbers", examples.inputs, [3.0] * 20, examples.places)
    assert prepared("regress", same).targets.scale == 1.0


def test_balanced_weights_let_each_class_count_alike():
    labels = ["a"] * 15 + ["b"] * 5
    learner = prepared("classify", texts(targets=labels), class_weights="balanced")
    batches = learner.batches(texts(targets=labels), learner.encode(texts()), seed=None)
    sums = {0: 0.0, 1: 0.0}
    for n in range(len(batches)):
        _, y, weights = batches[n]
        for code in sums:
            sums[code] += float(weights[y == code].sum())
    assert sums == pytest.approx({0: 10.0, 1: 10.0})


def test_what_cannot_be_learnt():
    with pytest.raises(DataError, match="needs examples with answers, received none"):
        prepared("classify", texts(targets=None))
    with pytest.raises(DataError, match=r"at least two labels .* received only 'x'") as caught:
        prepared("classify", texts(targets=["x"] * 20))
    assert "column" in caught.value.hint


def test_a_label_that_training_had_not_is_named_with_its_place():
    learner = prepared("classify", texts())
    other = texts(targets=["yes"] * 19 + ["maybe"])
    with pytest.raises(DataError, match=r"films\.csv, line 21: label 'maybe' did not occur"):
        learner.batches(other, learner.encode(other), seed=None)
    only = texts(targets=["maybe"] * 20)
    with pytest.raises(DataError, match="none of the 20 examples that training is stopped by"):
        learner.fit(texts(), only)


def test_an_input_that_cannot_be_encoded_is_named_with_its_place():
    learner = prepared("regress", numbers())
    other = numbers(2)
    other.inputs[1] = np.ones((3, 5), np.float32)
    with pytest.raises(DataError, match=r"^row 1: expected 2 numbers a step, received 5"):
        learner.encode(other)


def _rebuilt(learner: Learner, model: dict[str, Any] | None = None, **options: Any) -> Learner:
    config = learner.config.model_copy(update=options)
    encoder = json.loads(json.dumps(learner.encoder.config()))
    given = json.loads(json.dumps(learner.to_json() | (model or {})))
    return Learner.from_json(config, encoder, given, "model.json")


@pytest.mark.parametrize(
    ("task", "examples"),
    [("classify", texts()), ("regress", numbers()), ("tag", sentences())],
    ids=["classify", "regress", "tag"],
)
def test_a_learner_is_rebuilt_from_plain_values(task, examples):
    learner = prepared(task, examples)
    again = _rebuilt(learner)
    assert again.to_json() == learner.to_json()
    # the seed gives the weights, whatever was drawn before
    for one, other in zip(again.model.weights, learner.model.weights, strict=True):
        np.testing.assert_array_equal(one.value, other.value)
    again.model.set_weights(learner.model.get_weights())
    wanted = learner.answer(learner.encode(examples))
    found = again.answer(again.encode(examples))
    assert all(np.array_equal(one, other) for one, other in zip(wanted, found, strict=True))


@pytest.fixture(scope="module")
def classifier() -> Learner:
    return prepared("classify", texts())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "pictures"}, "there is no `kind` of data called 'pictures'"),
        ({"kind": None}, "`kind` is missing or of the wrong type"),
        ({"classes": ["yes"]}, "`classes` must be labels, at least two or none"),
        ({"classes": ["yes", 1]}, "`classes` must be labels"),
        ({"classes": ["yes", "yes"]}, "`classes` must differ"),
        ({"classes": ["a", "b", "c"]}, "does not belong to the configuration"),
        ({"mean": "0"}, "`mean` is missing or of the wrong type"),
        ({"network": []}, "`network` is missing or of the wrong type"),
        ({"network": {}}, "`inputs`: field required"),
        ({"kind": "numbers"}, "no encoder of numbers called 'words'"),
    ],
)
def test_a_model_that_was_tampered_with_is_refused(classifier, changed, message):
    refused(lambda: _rebuilt(classifier, changed), message)


@pytest.mark.parametrize(
    "changed",
    [
        {"units": 5},
        {"vocabulary": [99]},
        {"per_step": True},
        {"pooling": "mean"},
        {"inputs": "columns"},
    ],
    ids=str,
)
def test_a_network_of_another_configuration_is_refused(classifier, changed):
    network = classifier.to_json()["network"] | changed
    refused(lambda: _rebuilt(classifier, {"network": network}), "does not belong to the config")


def test_a_configuration_of_another_network_is_refused(classifier):
    refused(lambda: _rebuilt(classifier, cell="lstm"), "does not belong to the configuration")


def test_a_huge_network_is_refused_before_it_is_built(classifier, monkeypatch):
    monkeypatch.setattr(Network, "build", lambda self: pytest.fail("it was built"))
    huge = {"units": 8192, "num_layers": 16}
    model = classifier.to_json()
    model["network"] |= huge
    config = classifier.config.model_copy(update=huge)
    encoder = classifier.encoder.config()
    refused(
        lambda: Learner.from_json(config, encoder, model, "model.json", most_bytes=2**31),
        "larger than the file of its weights",
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was saved, which must not be changed."""
    learner = prepared("classify", texts())
    history = {"figures": {"loss": [1.0]}, "best_epoch": 1}
    return running.save(learner, tmp_path_factory.mktemp("learner") / "run", history).path


def test_a_saved_learner_answers_the_same(run):
    learner = prepared("classify", texts())
    again = running.load(run)
    assert again.to_json() == learner.to_json()
    encoded = again.encode(texts())
    np.testing.assert_array_equal(again.answer(encoded), learner.answer(learner.encode(texts())))


@pytest.mark.parametrize("is_resealed", [False, True])
def test_a_tampered_file_of_a_run_is_refused(run, tmp_path, is_resealed):
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / "model.json"
    model = json.loads(path.read_text())
    model["network"]["units"] = 5
    path.write_text(json.dumps(model))
    message = "its SHA-256 differs"
    if is_resealed:
        record = json.loads((tmp_path / "run" / "run.json").read_text())
        (tmp_path / "run" / "run.json").write_text(json.dumps(record | {"sha256": {}}))
        message = "does not belong to the configuration"
    refused(lambda: running.load(tmp_path / "run"), message)


def test_a_run_from_python_reads_no_files(run, tmp_path):
    with pytest.raises(UsageError, match="was trained in Python") as caught:
        running.evaluate(run, [tmp_path])
    assert "sunhwan.load(path).predict" in caught.value.hint


# sources


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = zip(texts().inputs, texts().targets, strict=True)
    path = tmp_path / "films.csv"
    path.write_text("text,label\n" + "".join(f"{x},{y}\n" for x, y in rows) + ",no\n")
    return path


def test_a_table_and_more_of_the_same(table, tmp_path):
    source = sources.read_source("classify", [table], {"text": None})
    assert source.examples.inputs == texts().inputs
    assert source.examples.targets == texts().targets
    assert [row.place for row in source.examples.rejected] == ["films.csv, line 22"]
    assert [row["name"] for row in source.files] == ["films.csv"]
    assert {"text": "text", "label": "label"}.items() <= source.columns.items()
    more = tmp_path / "more.csv"
    more.write_text("label,text\nno,so bad\n")
    reader = json.loads(json.dumps(source.reader))
    again = sources.read_again(reader, "classify", [more], labelled=True)
    assert (again.inputs, again.targets) == (["so bad"], ["no"])
    assert sources.read_again(reader, "classify", [more], labelled=False).targets is None
    assert sources.has_answers(reader, [more])
    more.write_text("text\nso bad\n")
    assert not sources.has_answers(reader, [more])
    [chunk] = sources.read_in_chunks(reader, "classify", [more])
    assert chunk.examples.inputs == ["so bad"]


def test_a_table_is_read_in_chunks(table, monkeypatch):
    monkeypatch.setattr(sources, "_CHUNK", 8)
    reader = sources.read_source("classify", [table], {}).reader
    chunks = list(sources.read_in_chunks(reader, "classify", [table]))
    assert [text for chunk in chunks for text in chunk.examples.inputs] == texts().inputs
    assert max(len(chunk.examples) for chunk in chunks) == 8
    assert sum(len(chunk.examples.rejected) for chunk in chunks) == 1


def test_data_that_cannot_be_read(table, tmp_path, monkeypatch):
    monkeypatch.setenv("SUNHWAN_DATA", str(tmp_path))
    assert sources.find_data("films.csv") == table
    with pytest.raises(DataError, match=r"nothing\.csv: expected a file or folder, but there is"):
        sources.read_source("classify", ["nothing.csv"], {})
    with pytest.raises(UsageError, match="needs data"):
        sources.read_source("classify", [], {})
    with pytest.raises(UsageError, match="one folder or zip can be read at a time, received 2"):
        sources.read_source("classify", [tmp_path, tmp_path], {})
    conllu = tmp_path / "a.conllu"
    conllu.write_text("1\tGo\tgo\tVERB" + "\t_" * 6 + "\n")
    with pytest.raises(UsageError, match="which is `tag`, not `classify`"):
        sources.read_source("classify", [conllu], {})
    found = sources.read_source("tag", [conllu], {})
    assert (found.examples.inputs, found.examples.targets) == ([["Go"]], [["VERB"]])


def test_a_run_of_another_place_finds_its_data(table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = running.run_records.kept_data(Data(("films.csv",)), {}, "en")
    assert kept["paths"] == [str(table)]


def test_keras_names_do_not_matter(classifier):
    # a model that was made before moves the counters of Keras on
    keras.layers.Dense(3)
    again = prepared("classify", texts())
    wanted = model_arrays(classifier.model)
    found = model_arrays(again.model)
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)
