"""Real trainings of small experiments: records, resumption, errors, report, command line."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from sunhwan.cli.reproduce import reproduce
from sunhwan.errors import DataError, TrainingError, UsageError
from sunhwan.reproduce import EXPERIMENTS, Experiment, Variant, find, overview, report, runner
from sunhwan.reproduce.kept import Kept
from sunhwan.reproduce.material import Material
from sunhwan.reproduce.runner import run
from sunhwan.reproduce.training import build
from sunhwan.reproduce.wording import NOTHING
from sunhwan.runs.files import read_json, write_json, write_text
from sunhwan.runs.progress import PlainProgress, Progress


def small(classes: int = 0, epochs: int = 2, **changes) -> Experiment:
    """A SimpleRNN(3) on 40 sequences of 5 steps with 2 features; numbers where no classes."""
    random = np.random.default_rng(7)
    x = random.normal(size=(60, 5, 2)).astype(np.float32)
    y = x[:, 0, 0] * 0.5 if classes == 0 else random.integers(classes, size=60)
    labels = ("nay", "yea <b>", "so-so")[:classes]
    outputs = classes if classes > 2 else 1
    activation = {0: "linear", 2: "sigmoid"}.get(classes, "softmax")
    settings = {
        "name": "small",
        "title": "A small one",
        "task": {0: "numbers", 2: "binary"}.get(classes, "classes"),
        "data": "sixty short sequences",
        "load": lambda: Material(x[:40], y[:40], x[40:], y[40:], labels),
        "variants": (
            Variant(
                "rnn",
                "SimpleRNN(3)",
                lambda layers: [
                    layers.SimpleRNN(3),
                    keras.layers.Dense(outputs, activation=activation),
                ],
                (18, 4 * outputs),
                {"accuracy": 0.5, "test_loss": 0.7} if classes else {"test_loss": 0.1},
            ),
        ),
        "loss": {0: "mse", 2: "binary_crossentropy"}.get(
            classes, "sparse_categorical_crossentropy"
        ),
        "optimizer": "adam",
        "epochs": epochs,
        "batch": 10,
        "validation_split": 0.25,
        "headline": "accuracy" if classes else "share_right",
    }
    return Experiment(**{**settings, **changes})


def start(experiment, out, seeds=(1,), **options):
    return run(experiment, seeds, out=out, layers=keras.layers, **options)


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def without_times(value):
    """`value` without every figure that is a time."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k != "seconds"}
    return [without_times(v) for v in value] if isinstance(value, list) else value


class StopsAt(Progress):
    """A display on which Ctrl-C is pressed at the given epoch of the given run."""

    def __init__(self, run_number, epoch):
        super().__init__()
        self.runs, self.stop, self.closed = 0, (run_number, epoch), False
        self.skipped = []

    def begin(self, label, epochs):
        super().begin(label, epochs)
        self.runs += 1

    def epoch(self, number, logs):
        super().epoch(number, logs)
        if (self.runs, number) == self.stop:
            raise KeyboardInterrupt

    def skip(self, label, epochs):
        super().skip(label, epochs)
        self.skipped.append(label)

    def close(self):
        self.closed = True


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Results and progress of seed 2 of the small experiment, trained alone."""
    lines = io.StringIO()
    folder = tmp_path_factory.mktemp("alone")
    result = start(small(), folder, seeds=(2,), progress=PlainProgress(lines))
    return result.results, lines.getvalue().splitlines()


def test_counting_gives_complete_results_and_a_report(tmp_path):
    result = start("counting", tmp_path, seeds=(1, 2), epochs=3)
    assert files(tmp_path) == ["counting/report.html", "counting/results.json"]
    results = read_json(result.results_path)
    assert results == result.results
    assert results["name"] == "counting"
    assert results["as_published"] is False
    assert results["command"] == "sunhwan reproduce counting --seeds 2 --epochs 3"
    (variant,) = results["variants"]
    assert variant["published"]["answers"][6] == 0.914
    assert [layer["parameters"] for layer in variant["parameters"]] == [120, 11]
    assert variant["parameters"][0]["output"] == [None, 10]
    for record, seed in zip(variant["seeds"], (1, 2), strict=True):
        assert record["seed"] == seed
        assert record["epochs_run"] == len(record["history"]["loss"]) == 3
        wanted, predicted = record["points"]["wanted"], record["points"]["predicted"]
        np.testing.assert_allclose(wanted, [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.3], atol=1e-5)
        # the test is on the two windows beyond; five decimals are kept
        error = np.mean((np.array(wanted[6:]) - predicted[6:]) ** 2)
        assert record["test_loss"] == pytest.approx(error, abs=1e-4)
        assert record["share_right"] == np.mean(np.abs(np.subtract(wanted, predicted))[6:] < 0.04)
    losses = [record["test_loss"] for record in variant["seeds"]]
    assert losses[0] != losses[1]
    assert variant["summary"]["test_loss"]["mean"] == pytest.approx(np.mean(losses))
    assert variant["summary"]["test_loss"]["spread"] == pytest.approx(np.std(losses, ddof=1))
    assert {"keras", "jax", "numpy", "python", "cpu", "cores"} <= set(results["environment"])
    assert "cannot be compared" in result.report_path.read_text(encoding="utf-8")


def test_binary_record_agrees_with_its_matrix_and_the_report_shows_both_makes(tmp_path):
    result = start(small(classes=2, epochs=1), tmp_path, stock=True)
    (variant,) = result.results["variants"]
    for record in variant["seeds"] + variant["stock"]["seeds"]:
        matrix = np.array(record["confusion"])
        assert matrix.sum() == 20
        assert record["accuracy"] == np.trace(matrix) / 20 == record["statistics"]["accuracy"]
        assert record["statistics"]["sensitivity"] == matrix[0, 0] / matrix[:, 0].sum()
    # the layers given are the stock ones here, so the two makes agree to the bit
    assert without_times(variant["seeds"]) == without_times(variant["stock"]["seeds"])
    page = result.report_path.read_text(encoding="utf-8")
    for text in ("stock Keras", "published: 0.5", "McNemar", "Balanced accuracy", "one run, seed"):
        assert text in page, text
    assert "yea &lt;b&gt;" in page
    assert "yea <b>" not in page
    assert report.render(read_json(result.results_path)) == page
    row = overview.rows([result.results])[0]
    assert row[0] == "small"
    assert row[5] == "0.5"


def test_many_classes_get_a_table_by_class(tmp_path):
    page = start(small(classes=3, epochs=1), tmp_path).report_path.read_text(encoding="utf-8")
    assert "By class, each against the rest" in page
    assert re.search(r"<th scope=\"row\">2 so-so</th>", page)


def test_early_stopping_counts_the_epochs_that_ran(tmp_path):
    experiment = small(epochs=9, early_stopping=True)
    progress = Progress()
    worse = replace(experiment, load=lambda: flat(experiment.load()))
    results = start(worse, tmp_path, progress=progress).results
    record = results["variants"][0]["seeds"][0]
    # the first epoch is the best, and three more are waited for
    assert record["epochs_run"] == 4
    assert results["settings"]["early_stopping"] == {"monitor": "val_loss", "patience": 3}
    assert progress.time_left() == ""


def flat(material: Material) -> Material:
    """`material` whose validation answers get worse with every step of training."""
    y = material.y_train.copy()
    y[:30], y[30:] = 5.0, -5.0
    return replace(material, y_train=y)


def test_interrupted_at_the_first_seed_leaves_nothing(tmp_path):
    progress = StopsAt(run_number=1, epoch=2)
    with pytest.raises(KeyboardInterrupt):
        start(small(), tmp_path, seeds=(1, 2), progress=progress)
    assert files(tmp_path) == []
    assert progress.closed


def test_interrupted_later_goes_on_from_the_finished_seeds(tmp_path, alone):
    with pytest.raises(KeyboardInterrupt):
        start(small(), tmp_path / "a", seeds=(1, 2), progress=StopsAt(2, 1))
    assert files(tmp_path / "a") == ["small/seeds/rnn-sunhwan-1.json"]
    progress = StopsAt(9, 9)
    resumed = start(small(), tmp_path / "a", seeds=(1, 2), progress=progress).results
    assert progress.skipped == ["SimpleRNN(3), seed 1"]
    assert files(tmp_path / "a") == ["small/report.html", "small/results.json"]
    assert [record["seed"] for record in resumed["variants"][0]["seeds"]] == [1, 2]
    # same seed, same bits, whatever was trained before it
    first, second = resumed["variants"][0]["seeds"][1], alone[0]["variants"][0]["seeds"][0]
    assert without_times(first) == without_times(second)


def test_kept_seeds_serve_only_the_same_settings(tmp_path):
    Kept(tmp_path, {"epochs": 2}).put("rnn", 1, {"test_loss": 0.5})
    assert Kept(tmp_path, {"epochs": 2}).get("rnn", 1) == {"test_loss": 0.5}
    assert Kept(tmp_path, {"epochs": 3}).get("rnn", 1) is None
    assert Kept(tmp_path, {"epochs": 2}).get("rnn", 2) is None
    (tmp_path / "seeds" / "rnn-1.json").write_text("{", encoding="utf-8")
    assert Kept(tmp_path, {"epochs": 2}).get("rnn", 1) is None


def test_a_loss_that_is_not_finite_stops_and_says_where(tmp_path):
    def load():
        material = small().load()
        material.x_train[:] = np.nan
        return material

    expected = r"`small`, seed 6: the loss must stay finite, received nan in epoch 1, batch 1"
    with pytest.raises(TrainingError, match=expected):
        start(small(load=load), tmp_path, seeds=(6,))
    assert files(tmp_path) == []


def test_layers_of_another_size_than_published_are_refused(tmp_path):
    experiment = small()
    wrong = replace(experiment.variants[0], parameters=(18, 5))
    with pytest.raises(TrainingError, match=r"\[18, 5\] weights .* received \[18, 4\]"):
        start(replace(experiment, variants=(wrong,)), tmp_path)


def test_quick_is_marked_and_never_compared(tmp_path):
    result = start(small(classes=2), tmp_path, quick=True)
    assert result.results["quick"] is True
    assert result.results["as_published"] is False
    page = result.report_path.read_text(encoding="utf-8")
    assert "a quick look" in page
    assert "one run, seed unknown" not in page
    assert overview.rows([result.results])[0][5] == NOTHING
    assert "cannot be compared" in overview.render([result.results])


# random weights take seconds to draw, and only their number matters here
ZEROS = SimpleNamespace(
    Embedding=partial(keras.layers.Embedding, embeddings_initializer="zeros"),
    **{
        name: partial(
            getattr(keras.layers, name), kernel_initializer="zeros", recurrent_initializer="zeros"
        )
        for name in ("SimpleRNN", "LSTM", "GRU")
    },
)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.name)
def test_every_model_has_the_published_sizes(experiment):
    shapes = {
        "counting": (4, 1),
        "multiplication": (100, 2),
        "vanishing-gradient": (100, 2),
        "reuters-gru": (300,),
    }
    shape = shapes.get(experiment.name, (20,) if "imdb20" in experiment.name else (500,))
    dtype = np.int32 if len(shape) == 1 else np.float32
    x = np.zeros((1, *shape), dtype)
    for variant in experiment.variants:
        model = build(experiment, variant, ZEROS, Material(x, x, x, x))
        assert model.output_shape == (None, 46 if experiment.task == "classes" else 1)
        assert experiment.headline in variant.published or not variant.published


def test_a_calm_end_has_a_tenth_of_the_learning_rate(tmp_path):
    experiment = small(epochs=5)
    calm = replace(experiment.variants[0], calm=2, published={}, remark="Not published: calm.")
    result = start(replace(experiment, variants=(calm,)), tmp_path)
    rates = result.results["variants"][0]["seeds"][0]["history"]["learning_rate"]
    np.testing.assert_allclose(rates, [1e-3] * 3 + [1e-4] * 2, rtol=1e-6)
    page = result.report_path.read_text("utf-8")
    assert "Not published: calm." in page
    assert "As published: not published" not in page


@pytest.mark.parametrize(
    ("name", "hint"),
    [("imdb-lsmt", "did you mean `imdb-lstm`?"), ("zzz", "the names are counting, mult")],
)
def test_unknown_name_is_a_usage_error_with_the_nearest(name, hint):
    with pytest.raises(UsageError, match=f"no experiment called `{name}`") as caught:
        find(name)
    assert hint in str(caught.value)
    assert caught.value.exit_code == 2


def test_bad_settings_are_usage_errors(tmp_path):
    for options in ({"seeds": ()}, {"seeds": (1, 1)}, {"seeds": (-1,)}, {"epochs": 0}):
        with pytest.raises(UsageError, match=r"`(seeds|epochs)` must be"):
            start(small(), tmp_path, **options)


def test_plain_progress_writes_a_line_an_epoch(alone):
    lines = alone[1]
    assert len(lines) == 3
    assert re.fullmatch(
        r"small, SimpleRNN\(3\), seed 2: epoch 1/2: loss [\d.]+ \(validation [\d.]+\), "
        r"share right [\d.]+ \(validation [\d.]+\)(, about \d+ s left)?",
        lines[0],
    )
    assert "test loss" in lines[2]


@pytest.fixture
def command(monkeypatch):
    """The command line's verb, alone in an app, with stock layers in place of ours."""
    monkeypatch.setattr(runner, "_ours", lambda layers: (keras.layers, lambda model: ["a kernel"]))
    app = typer.Typer()
    app.command()(reproduce)
    return lambda *arguments: CliRunner().invoke(app, [str(a) for a in arguments])


def test_command_runs_and_says_where_to_look(command, tmp_path):
    done = command("counting", "--seeds", 1, "--quick", "--out", tmp_path)
    assert done.exit_code == 0, done.exception
    assert f"report: {tmp_path / 'counting' / 'report.html'}" in done.stdout
    assert "not comparable" in done.stdout
    assert "next:   sunhwan reproduce counting" in done.stdout
    assert "epoch 2/2" in done.stderr
    results = read_json(tmp_path / "counting" / "results.json")
    assert results["variants"][0]["kernels"] == ["a kernel"]


def test_command_lists_every_name(command):
    done = command("--list")
    assert done.exit_code == 0
    assert all(experiment.name in done.stdout for experiment in EXPERIMENTS)


@pytest.mark.parametrize("arguments", [(), ("countign",), ("counting", "--seeds", "0")])
def test_command_refuses_bad_arguments(command, arguments):
    assert isinstance(command(*arguments).exception, UsageError)


def test_files_are_whole_or_not_there(tmp_path, monkeypatch):
    path = write_text(tmp_path / "deep" / "a.txt", "순환")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "순환"
    assert files(tmp_path) == ["deep/a.txt"]


def test_json_refuses_what_is_not_finite_and_names_it(tmp_path):
    with pytest.raises(DataError, match=r"`a\[1\]\.b` must be a finite number, received nan"):
        write_json(tmp_path / "a.json", {"a": [1, {"b": float("nan")}]})
    assert files(tmp_path) == []
    value = {"한": [1, 2.5, None], "rows": [[1, 2], [3, 4]], "empty": {}, "none": []}
    path = write_json(tmp_path / "a.json", value)
    assert json.loads(path.read_text(encoding="utf-8")) == read_json(path) == value
    path.write_text('{"a": 1,\n "b": }', encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.json, line 2: not JSON"):
        read_json(path)


def test_gradients_are_measured_before_training_and_with_the_best_weights(tmp_path):
    # labels are random, so that the second epoch is already worse on others than the first
    experiment = small(classes=2, flow=True, optimizer="rmsprop")
    result = run(experiment, (1,), out=tmp_path / "two")
    [record] = result.results["variants"][0]["seeds"]
    assert np.argmin(record["history"]["val_loss"]) == 0
    shorter = run(experiment, (1,), epochs=1, out=tmp_path / "one")
    best = shorter.results["variants"][0]["seeds"][0]["flow"]
    assert record["flow"] == best
    for when in ("before", "after"):
        share = record["flow"][when]["share"]
        assert len(share) == 5
        assert max(share) == 1.0
    assert record["flow"]["before"]["rate"] != record["flow"]["after"]["rate"]
    page = result.report_path.read_text("utf-8")
    assert "How far gradients reach back" in page
    assert "Pascanu" in page


def test_gradients_of_layers_that_cannot_be_watched_are_left_out(tmp_path):
    result = start(small(flow=True), tmp_path)
    assert "flow" not in result.results["variants"][0]["seeds"][0]
    assert "How far gradients" not in result.report_path.read_text("utf-8")


def test_an_open_forget_gate_begins_with_memories_of_1_to_99_steps():
    [carrying] = [v for v in find("vanishing-gradient").variants if v.name == "lstm-chrono"]
    keras.utils.set_random_seed(4)
    layer = carrying.build(keras.layers)[0]
    layer.build((None, 100, 2))
    i, f, c, o = np.split(np.asarray(layer.cell.bias), 4)
    np.testing.assert_array_equal(i, -f)
    assert (c == 0).all()
    assert (o == 0).all()
    assert (f >= 0).all()
    assert (np.exp(f) <= 99).all()
    assert np.ptp(np.exp(f)) > 40  # 30 draws from 1 to 99
