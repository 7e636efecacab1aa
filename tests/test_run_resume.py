"""A run that is killed at any moment goes on to the bits of one that never was."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.tasks import running
from sunhwan.tasks.config import Config
from sunhwan.tasks.run_records import Data

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "kill_test.py"
KILLS = 4


@pytest.fixture(scope="module")
def kill_test() -> Any:
    """The script as a module that other processes can import too."""
    specification = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules[SCRIPT.stem] = module
    sys.path.insert(0, str(SCRIPT.parent))
    specification.loader.exec_module(module)
    yield module
    sys.path.remove(str(SCRIPT.parent))
    del sys.modules[SCRIPT.stem]


def test_killed_at_random_moments_it_ends_with_the_same_bits(kill_test: Any, tmp_path: Path):
    outcome = kill_test.kill_test(tmp_path, KILLS)
    assert outcome.differing == []
    assert len(outcome.kills) == KILLS
    assert outcome.summary().endswith("bit-identical")


def test_a_difference_would_be_seen(kill_test: Any, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    results = dict.fromkeys(
        ("metrics", "intervals", "confusion", "errors", "data", "best_epoch"), 0
    )
    for name in kill_test.SAME:
        (one / name).write_bytes(b"\0\1")
    (one / "history.json").write_text("{}")
    (one / "results.json").write_text(json.dumps(results))
    shutil.copytree(one, other)
    assert kill_test.differences(one, other) == []
    (other / "weights.safetensors").write_bytes(b"\0\2")
    (other / "results.json").write_text(json.dumps(results | {"metrics": 1}))
    (other / ".left").touch()
    assert kill_test.differences(one, other) == ["weights.safetensors", "metrics", "files"]
    outcome = kill_test.Outcome(["in training"] * 2, 1, ["run-0: metrics"])
    assert outcome.summary() == "2 kills (2 in training) in 1 runs: DIFFERENT: run-0: metrics"


class _StopAt(Progress):
    """Ctrl-C after an epoch."""

    def epoch(self, number: int, logs: Any) -> None:
        if number == 2:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def interrupted(kill_test: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted in training, in a folder with its data."""
    folder = tmp_path_factory.mktemp("interrupted")
    table = kill_test.write_table(folder / "films.csv", 60)
    config = Config(task="classify", units=2, embedding=2, bidirectional=False, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        running.start(config, Data((str(table),)), folder / "run", progress=_StopAt())
    return folder


@pytest.fixture
def run(interrupted: Path, tmp_path: Path) -> Path:
    """A copy of it that may be changed."""
    shutil.copytree(interrupted / "run", tmp_path / "run")
    return tmp_path / "run"


def test_data_that_changed_is_refused(interrupted: Path, run: Path) -> None:
    table = interrupted / "films.csv"
    before = table.read_text()
    table.write_text(before.replace("good", "Good", 1))
    try:
        with pytest.raises(UsageError, match="the data has changed since this run began"):
            running.resume(run)
    finally:
        table.write_text(before)


@pytest.mark.parametrize("missing", [("environment",), ("encoder", "model", "environment")])
def test_killed_before_training_it_begins(
    run: Path, missing: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    # which take most of the time
    monkeypatch.setattr("sunhwan.tasks.judging.judge_baselines", lambda *_: [])
    shutil.rmtree(run / "training")
    for name in missing:
        (run / f"{name}.json").unlink()
    assert running.resume(run).state == "finished"
    assert (run / "report.html").exists()
    assert not (run / "training").exists()
    assert running.load(run).classes == ["no", "yes"]
    with pytest.raises(UsageError, match="this run is finished"):
        running.resume(run)


def test_what_cannot_be_resumed(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no weights\.safetensors: training did not finish"):
        running.load(run)
    config = json.loads((run / "config.json").read_text())
    for changed in (None, {}, {"paths": 3}, "films.csv"):
        (run / "config.json").write_text(json.dumps(config | {"data": changed}))
        with pytest.raises(DataError, match="does not say what to train on"):
            running.resume(run)
    begun = RunFolder.create(tmp_path / "begun", "classify").path
    with pytest.raises(UsageError, match="was interrupted before it began") as caught:
        running.resume(begun)
    assert "sunhwan train" in caught.value.hint
