"""The benchmark beside other frameworks: arithmetic, turns, records, pages, and two real peers."""

from __future__ import annotations

import doctest
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # where `benchmarks` is, for pytest alone

from benchmarks.peers import arrays, cases, measuring, page, plots, record, tables
from benchmarks.peers import environments as env
from benchmarks.peers.__main__ import app
from benchmarks.peers.machine import Peak
from benchmarks.peers.measuring import Found, Settings

from sunhwan.data.datasets import load
from sunhwan.errors import DataError, UsageError

_PEERS = ("sunhwan", "keras-jax", "torch")


@pytest.mark.parametrize(
    "name",
    ["cases", "arrays", "environments", "measuring", "plots", "record", "tables", "worker"],
)
def test_examples_in_docstrings(name: str) -> None:
    tried = doctest.testmod(importlib.import_module(f"benchmarks.peers.{name}"))
    assert tried.attempted >= 1
    assert tried.failed == 0


def _case(name: str) -> cases.Case:
    return next(case for case in cases.MODELS if case.name == name)


def test_arithmetic_of_a_model_is_that_of_its_recurrent_layers() -> None:
    steps = 32 * 300
    both = 6 * steps * (256 * 256 + 256 * 256) * 2
    assert _case("reuters-gru").forward_flop == both
    assert _case("reuters-gru").step_flop == 3 * both
    two = 8 * 32 * 200 * (128 * 128 + 128 * 128) * 2
    assert _case("bidirectional").forward_flop == two
    deep = sum(8 * 32 * 60 * h * (h + d) for d, h in ((13, 1024), (1024, 512), (512, 256)))
    assert _case("deep-lstm").forward_flop == deep + 8 * 32 * 60 * 128 * (128 + 256)


def test_models_are_those_that_are_published() -> None:
    """Weights layer by layer as in `sunhwan.reproduce.experiments`, where they have a row."""
    from sunhwan.reproduce.experiments import find
    from sunhwan.reproduce.stopwatch import TIMED

    for timed in TIMED:
        variant = next(v for v in find(timed.experiment).variants if v.name == timed.variant)
        case = _case(timed.name)
        assert sum(map(np.size, arrays.weights(case))) == sum(variant.parameters)
        assert case.shape == timed.shape
        experiment = find(timed.experiment)
        assert (case.batch, case.optimizer) == (experiment.batch, experiment.optimizer)
        assert case.loss == experiment.loss


def test_each_sweep_changes_one_size() -> None:
    points = cases.sweep()
    assert len({case.name for case in points}) == len(points)
    for axis in plots.AXES:
        on_it = [case for case in points if axis in case.axes]
        sizes = {(c.batch, c.shape[0], c.layers[0]["units"]) for c in on_it}
        assert len(on_it) == len(sizes) >= 5


def test_everybody_begins_a_round_and_nobody_is_left_out() -> None:
    turns = [measuring.rotated(_PEERS, turn) for turn in range(6)]
    assert [turn[0] for turn in turns] == [*_PEERS, *_PEERS]
    assert all(sorted(turn) == sorted(_PEERS) for turn in turns)


@pytest.mark.skipif(
    not os.environ.get("SUNHWAN_DATA"), reason="SUNHWAN_DATA names no folder with the real data"
)
@pytest.mark.parametrize(("name", "texts"), [("imdb-lstm", "imdb"), ("reuters-gru", "reuters")])
def test_texts_are_the_real_ones_where_they_are(name: str, texts: str) -> None:
    case = replace(_case(name), steps=2)
    found, said = arrays.for_fit(case)
    assert said == f"the first texts of {texts}"
    assert found["x"].shape == (3 * case.batch, *case.shape)
    last_words = load(texts, num_words=10_000, maxlen=3).train.x
    np.testing.assert_array_equal(found["x"][:, -3:], last_words[: 3 * case.batch])


def test_texts_are_drawn_and_told_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUNHWAN_DATA", raising=False)
    found, said = arrays.for_fit(replace(_case("imdb-lstm-masked"), steps=2))
    assert said is not None
    assert said.startswith("drawn: ")
    x, lengths = found["x"], found["lengths"]
    assert x.shape == (3 * 128, 500)
    np.testing.assert_array_equal((x != 0).sum(1), lengths)
    first = (x != 0).argmax(1)
    np.testing.assert_array_equal(first, 500 - lengths)  # padding comes first, then no more of it
    assert len(set(lengths.tolist())) > 100


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--models", "imdb-lstn"], "there is no model called `imdb-lstn`\nhint: did you mean"),
        (["--peers", "pytorch"], "there is no peer called `pytorch`\nhint: did you mean `torch`"),
        (["--rounds", "-1"], "`--rounds` must be at least 1, received -1"),
        (["--threads", "4000"], "`--threads` must be from 1 to "),
    ],
)
def test_what_does_not_exist_is_refused(options: list[str], said: str) -> None:
    from typer.testing import CliRunner

    error = CliRunner().invoke(app, options).exception
    assert isinstance(error, UsageError)
    assert said in str(error)


def test_an_environment_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "import sys; sys.exit('looking\\nno such wheel')"
    run = env._run
    monkeypatch.setattr(env, "_run", lambda peer, _: run(peer, [sys.executable, "-S", "-c", said]))
    with pytest.raises(env.PeerError) as raised:
        env.python_of(env.chosen("torch")[0], tmp_path)
    assert str(raised.value) == "the environment of `torch` could not be made: no such wheel"
    assert not (tmp_path / "torch" / "made-of.txt").exists()


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(env, "_run", lambda peer, command: made.append(command[2]))
    [peer] = env.chosen("torch")
    first = env.python_of(peer, tmp_path)
    assert env.python_of(peer, tmp_path) == first == tmp_path / "torch" / "bin" / "python"
    assert made == ["venv", "pip"]
    (tmp_path / "torch" / "made-of.txt").write_text("an older list")
    env.python_of(peer, tmp_path)
    assert made == ["venv", "pip"] * 2


@pytest.fixture
def written() -> dict[str, Any]:
    """A small record of made-up figures."""
    peak = Peak(100.0, 20.0, 4, "c++ 1.0")
    settings = {"rounds": 3, "seconds_of_a_turn": 0.4, "threads": None}
    made = record.begin("python -m benchmarks.peers", peak, settings)
    for name, ours in (("imdb-lstm", 0.02), ("imdb-lstm-masked", 0.01)):
        case = _case(name)
        times = {"sunhwan": [ours, ours, 2 * ours], "keras-jax": [0.3] * 3, "torch": [0.25] * 3}
        found = Found(times, {"sunhwan": 1.5}, {"sunhwan": 10**7, "torch": 3 * 10**7})
        found.inference = {64: times, 1: {"sunhwan": [0.001], "onnxruntime": [0.0005]}}
        found.versions = {"sunhwan": {"keras": "3"}, "onnxruntime": {"onnx": "1"}}
        found.texts = "drawn" if case.is_masked else None
        record.add_model(made, case, found)
    for case in cases.sweep():
        gflop = case.step_flop / 1e9
        record.add_layer(made, case, Found({"sunhwan": [gflop / 50], "torch": [gflop / 20]}))
    return made


def test_record_says_who_is_fastest_and_what_is_reached(written: dict[str, Any]) -> None:
    plain, masked = written["models"]
    assert record.fastest(plain["milliseconds_per_step"]) == "torch"
    assert record.reached(written, plain) == pytest.approx(12.5)
    assert record.reached(written, masked) == pytest.approx(2.0)
    rows = {row[0]: row for row in tables.training(written).rows}
    assert rows["imdb-lstm"][-2:] == ["yes, 12.50", "10"]
    assert rows["imdb-lstm-masked"][-2:] == ["yes, 2.00", "1.6 over imdb-lstm"]
    assert tables.memory(written).rows[0] == ["imdb-lstm", "10", "30", "yes"]
    assert tables.inference(written, "1").rows[0][-2:] == ["onnxruntime", "0.50"]
    layer = written["layers"][0]
    assert layer["gflops"]["sunhwan"] == pytest.approx(50, abs=0.1)
    assert layer["share_of_peak"] == {"sunhwan": 0.5, "torch": 0.2}
    record.peak_again(written, Peak(200.0, 10.0, 4, "c++ 1.0"))
    assert layer["share_of_peak"] == {"sunhwan": 0.25, "torch": 0.1}
    assert written["peak"]["measured"] == [[100.0, 20.0], [200.0, 10.0]]
    assert (written["peak"]["gflops"], written["peak"]["copied"]) == (200.0, 20.0)
    record.peak_again(written, "no peak: there is no C++ compiler")
    assert len(written["peak"]["measured"]) == 2


def test_page_is_drawn_from_the_record_alone(written: dict[str, Any], tmp_path: Path) -> None:
    source = record.write(tmp_path, written)
    assert source.name.endswith(f"{written['environment']['cores']}-cores-peers.json")
    assert record.read(source)["models"] == written["models"]
    files = page.write(source, tmp_path / "docs")
    assert [path.name for path in files[1:]] == ["models.svg", "time.svg", "batch.svg", "units.svg"]
    text = files[0].read_text("utf-8")
    assert (
        "| imdb-lstm | 20.0 (20.0-30.0) | 300 (300-300) | 250 (250-250) | torch | 12.50 |" in text
    )
    assert "100 GFLOP/s" in text
    assert "padded at the front to 500: drawn." in text
    for path in files[1:]:
        assert f"(performance/{path.name})" in text
        svg = path.read_text("utf-8")
        assert ">sunhwan</text>" in svg  # text is text
    assert page.write(source, tmp_path / "again")
    for path in files:
        again = tmp_path / "again" / path.relative_to(tmp_path / "docs")
        assert again.read_bytes() == path.read_bytes()


def test_other_files_are_no_record(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"date": "2026"}')
    with pytest.raises(env.PeerError, match="is not a record of this benchmark"):
        record.read(tmp_path / "a.json")


def test_sweep_that_changes_two_sizes_is_refused(written: dict[str, Any]) -> None:
    written["layers"][0]["batch"] = 7
    with pytest.raises(DataError, match="the sweep over time must keep"):
        plots.sweep_points(written, "time")


@pytest.fixture(scope="module")
def tiny() -> cases.Case:
    layers = (
        {"kind": "embedding", "size": 50, "units": 6, "mask": True},
        {"kind": "lstm", "units": 5, "sequences": False},
        {"kind": "dense", "units": 1, "activation": "sigmoid"},
    )
    return replace(
        _case("imdb-lstm-masked"), name="tiny", shape=(9,), layers=layers, batch=4, steps=3
    )


@pytest.fixture(scope="module")
def processes() -> Iterator[Any]:
    found = Found()
    peers = env.chosen("sunhwan,keras-jax")
    with measuring.opened(peers, Settings(2, 0.01), found) as opened:
        assert found.failed == {}
        assert "jax" in found.versions["keras-jax"]
        yield opened


def _prepared(
    plan: dict[str, Any], material: Any, processes: Any, folder: Path
) -> tuple[Found, dict[str, Any]]:
    found = Found()
    return found, measuring._prepared(plan, material, processes, found, folder, lambda said: None)


def test_two_peers_agree_take_turns_and_tell_their_memory(
    tiny: cases.Case, processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUNHWAN_DATA", raising=False)
    material, _ = arrays.for_fit(tiny)
    found, ready = _prepared(tiny.plan("fit"), material, processes, tmp_path)
    assert found.failed == {}
    assert set(found.first) == set(ready) == {"sunhwan", "keras-jax"}
    times = measuring._turns(tiny, ready, Settings(3, 0.01), 3, found, lambda said: None)
    assert all(len(rounds) == 3 and min(rounds) > 0 for rounds in times.values())
    if sys.platform == "linux":
        memory = ready["sunhwan"].memory(2)
        assert memory is None or memory > 0


def test_a_layer_alone_has_the_same_gradients(processes: Any) -> None:
    case = cases.lstm_layer(8, 3, 5)
    found = measuring.measure_layer(case, processes, Settings(2, 0.01), lambda said: None)
    assert found.failed == {}
    assert set(found.seconds) == {"sunhwan", "keras-jax"}


def test_a_peer_that_computes_something_else_has_no_figure(
    tiny: cases.Case, processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUNHWAN_DATA", raising=False)
    other = processes["keras-jax"]

    class WrongWeights:
        def prepare(self, plan: dict[str, Any], given: Path, answer: Path) -> float:
            with np.load(given) as file:
                changed = {**dict(file)}
            changed["w02"] = changed["w02"] * 1.5
            np.savez(tmp_path / "changed.npz", **changed)
            return other.prepare(plan, tmp_path / "changed.npz", answer)

    material = arrays.for_inference(tiny, 4)
    pair = {"sunhwan": processes["sunhwan"], "keras-jax": WrongWeights()}
    found, ready = _prepared(tiny.plan("infer", 4), material, pair, tmp_path)
    assert set(ready) == {"sunhwan"}
    assert found.failed["keras-jax"].startswith(
        "`keras-jax` does not compute what `sunhwan` does: its output differs by "
    )


def test_a_failure_in_a_peer_comes_back_as_a_sentence(processes: Any, tmp_path: Path) -> None:
    case = cases.lstm_layer(8, 3, 5)
    material = arrays.for_layer(case)
    del material["w02"]
    found, ready = _prepared(case.plan("layer"), material, processes, tmp_path)
    assert ready == {}
    assert found.failed["sunhwan"].startswith("`sunhwan` failed: ValueError: ")
