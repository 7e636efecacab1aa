"""Searches that train: each trial is the training that `sunhwan train` does with its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from learner_examples import texts
from sunhwan.data.examples import Examples
from sunhwan.errors import DataError
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks import forecast_sources, running, tuning, tuning_benches
from sunhwan.tasks.config import make_options, read_options
from sunhwan.tasks.forecast_learner import ForecastLearner
from sunhwan.tasks.learner import Learner
from sunhwan.tasks.run_records import Data

SMALL = {"task": "classify", "units": 2, "embedding": 3, "bidirectional": False, "epochs": 1,
         "batch_size": 16, "learning_rate": 0.03}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory) -> Any:
    """Compile what all trainings share once."""

    def keep(folder: Path | None) -> None:
        compilation_cache.reset_cache()
        jax.config.update("jax_compilation_cache_dir", folder and str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0 if folder else 1.0)

    keep(tmp_path_factory.mktemp("compiled"))
    yield
    keep(None)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Data:
    """Short texts with one of two labels; two rows cannot be used."""
    draw = np.random.default_rng(11)
    words = ["fine", "dull", "film", "plot", "long", "music"]
    rows = [" ".join(draw.choice(words, draw.integers(2, 6))) for _ in range(60)]
    lines = [f"{text},{'good' if 'fine' in text else 'bad'}" for text in rows]
    path = tmp_path_factory.mktemp("films") / "films.csv"
    path.write_text("\n".join(["review,mood", *lines, ",good", ",bad", ""]), encoding="utf-8")
    return Data((str(path),), (), {"text": "review", "label": "mood"})


def losses_of_a_run(config: Any, data: Data) -> list[float]:
    parts = running.read_parts(config, data, lambda line: None)
    learner = Learner(config)
    learner.prepare(parts.training)
    return learner.fit(parts.training, parts.validation).figures["val_loss"]


def test_a_trial_is_the_training_of_its_options(films, tmp_path, monkeypatch) -> None:
    encoded: list[Examples] = []
    read: list[Any] = []
    encode, read_parts = Learner.encode, running.read_parts

    def counted(self: Learner, examples: Examples) -> Any:
        encoded.append(examples)
        return encode(self, examples)

    def without_test(*given: Any) -> Any:
        parts = read_parts(*given)
        parts.test.inputs = None  # any use of it fails
        read.append(parts)
        return parts

    monkeypatch.setattr(Learner, "encode", counted)
    monkeypatch.setattr(running, "read_parts", without_test)
    said: list[str] = []
    config = make_options(SMALL)
    search = ["max-length=2,5", "units=2,3"]
    outcome = tuning.search(config, films, tmp_path / "s", texts=search, trials=2, say=said.append)
    assert len(read) == 1
    assert any(line.endswith("12 to judge by") for line in said)
    lengths = {trial.options["max_length"] for trial in outcome.trials}
    assert len(encoded) == 2 + 2 * len(lengths)  # two parts, also of the default length
    assert outcome.defaults is None
    assert [row.place.rpartition(" ")[2] for row in outcome.rejected] == ["62", "63"]
    assert "line 62" in (tmp_path / "s" / "report.html").read_text(encoding="utf-8")
    monkeypatch.undo()
    last = outcome.trials[1]
    assert losses_of_a_run(make_options({**SMALL, **last.options}), films) == last.losses


def test_train_takes_the_best_options(films, tmp_path) -> None:
    config = make_options({**SMALL, "seed": 5})
    search = ["learning-rate=1e-5..0.3"]
    outcome = tuning.search(config, films, tmp_path / "s", texts=search, trials=2)
    found = make_options(read_options(outcome.path / "best.yaml"))
    running.start(found, films, outcome.path / "best")
    history = RunFolder.open(outcome.path / "best").read("history.json")
    assert history["figures"]["val_loss"] == outcome.best.losses
    assert history["best_epoch"] == outcome.best.best_epoch
    # the run lies in the folder of the search, which goes on all the same
    again = tuning.search(config, films, tmp_path / "s", texts=search, trials=2)
    assert again.best == outcome.best


def test_a_label_that_training_lacks_is_left_out_once() -> None:
    training = texts(20)
    validation = texts(6, targets=["yes", "no", "odd", "yes", "odd", "no"])
    config = make_options(SMALL)
    first = tuning_benches._EncodedLearner(config, training, validation)
    assert first.validation.targets == ["yes", "no", "yes", "no"]
    other = first.with_options(make_options({**SMALL, "units": 3}))
    assert other.targets.known(other.validation) is first.validation
    assert other.encode(first.validation) is first.encode(first.validation)
    assert other.encode(training) is first.encode(training)
    assert len(other.encode(validation)) == 6
    assert (first.network.units, other.network.units) == (2, 3)
    assert other.encoder is first.encoder


def test_a_forecast_is_searched_too(tmp_path) -> None:
    draw = np.random.default_rng(8)
    days = np.datetime64("2021-03-01") + np.arange(150)
    values = 9 + np.sin(np.arange(150) * 2 * np.pi / 7) + 0.2 * draw.normal(size=150)
    rows = [f"{day},{value:.4f}" for day, value in zip(days, values, strict=True)]
    path = tmp_path / "shop.csv"
    path.write_text("\n".join(["day,sold", *rows, ""]), encoding="utf-8")
    data = Data((str(path),), (), {"target": "sold"})
    given = {"task": "forecast", "units": 3, "horizon": 2, "season": 7, "epochs": 1}
    search = ["input-length=5,9"]
    outcome = tuning.search(make_options(given), data, tmp_path / "s", texts=search, trials=2)
    material = forecast_sources.read_material(make_options(given), data)
    last = outcome.trials[1]
    learner = ForecastLearner(make_options({**given, **last.options}))
    learner.prepare(material.data, material.cuts)
    history, _ = learner.fit(material.data)
    assert history.figures["val_loss"] == last.losses
    with pytest.raises(DataError, match=r"trial \d/2 \(input-length \d+\): "):
        tuning.search(
            make_options(given), data, tmp_path / "t", texts=["input-length=400,300"], trials=2
        )
