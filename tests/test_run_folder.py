"""The run folder: what is written comes back, what is finished stays, and kill -9 loses nothing."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import sunhwan
from subprocesses import environment
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import FORMAT, RunFolder
from sunhwan.runs.weights import load_weights, save_weights
from weight_arrays import ARRAYS, EXPECTED, same

GOLDEN = Path(__file__).parent / "golden"


def _filled(path: Path) -> RunFolder:
    """Make a run that has everything but is not finished."""
    run = RunFolder.create(path, "classify")
    run.write("config.json", {"task": "classify", "units": 32, "dropout": 0.1})
    run.write("encoder.json", {"name": "words", "words": ["아름다운", "영화", '"quoted"', "😀"]})
    run.write("model.json", {"layers": [{"type": "lstm", "units": 32}]})
    run.write("history.json", {"loss": [0.7, 0.31], "val_loss": [0.6, 0.4]})
    run.write("environment.json", {"python": "3.11.0"})
    run.write("results.json", {"format": 1, "metrics": {"accuracy": 0.875}})
    run.write_predictions([{"true": "좋음", "predicted": "나쁨"}, {"true": "a", "predicted": "a"}])
    save_weights(run.place("weights.safetensors"), ARRAYS)
    return run


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    run = _filled(tmp_path / "deep" / "run")
    run.training.mkdir()
    assert RunFolder.open(run.path) == run
    run.finish()
    again = RunFolder.open(str(run.path))
    assert (again.state, again.task, again.sunhwan) == ("finished", "classify", sunhwan.__version__)
    assert not again.training.exists()
    assert again.read("encoder.json")["words"] == ["아름다운", "영화", '"quoted"', "😀"]
    assert again.read("config.json") == {"task": "classify", "units": 32, "dropout": 0.1}
    assert next(again.read_predictions()) == {"true": "좋음", "predicted": "나쁨"}
    assert same(load_weights(again.file("weights.safetensors"), EXPECTED), ARRAYS)


def test_the_format_of_the_first_version_is_still_read() -> None:
    """A run that this version writes today can be read by every later one."""
    run = RunFolder.open(GOLDEN / f"run-{FORMAT}")
    assert (run.task, run.state, run.sunhwan) == ("classify", "finished", "0.1.0")
    assert run.created == "2026-11-21T12:00:00+00:00"
    assert run.read("history.json") == {"loss": [0.7, 0.31], "val_loss": [0.6, 0.4]}
    assert run.read("encoder.json")["words"][3] == "😀"
    assert len(list(run.read_predictions())) == 2
    assert same(load_weights(run.file("weights.safetensors"), EXPECTED), ARRAYS)


def test_a_newer_format_says_which_version_it_needs(tmp_path: Path) -> None:
    run = _filled(tmp_path / "run")
    record = {"format": 2, "sunhwan": "0.9.1", "written": {"anything": []}}
    (run.path / "run.json").write_text(json.dumps(record))
    # a later version may have larger files, or other kinds of them
    (run.path / "config.json").write_bytes(b" " * 2**21)
    with pytest.raises(DataError, match=r"format 2 and needs sunhwan 0\.9\.1; this is") as caught:
        RunFolder.open(run.path)
    assert caught.value.hint == "pip install --upgrade 'sunhwan>=0.9.1'"
    record["sunhwan"] = "1'; rm -rf /; '"
    (run.path / "run.json").write_text(json.dumps(record))
    with pytest.raises(DataError, match=r"\(newer\)") as caught:
        RunFolder.open(run.path)
    assert caught.value.hint == "pip install --upgrade 'sunhwan'"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 0}, "`format` must be a whole number from 1 up, received 0"),
        ({"format": True}, "received True"),
        ({"format": "1"}, "received '1'"),
        ({"task": "../../etc"}, r"`task` cannot be '../../etc'"),
        ({"state": "done"}, "`state` cannot be 'done'"),
        ({"state": ["finished"]}, "`state` cannot be"),
        ({"sunhwan": "\x1b[2J"}, r"`sunhwan` cannot be '\\x1b"),
        ({"plugin": "os.system"}, "must hold format"),
        ({"sha256": {"../x": ""}}, "must hold files of a run"),
        ({"sha256": []}, "must hold files of a run"),
    ],
)
def test_a_record_with_other_contents_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    run = _filled(tmp_path / "run")
    path = run.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=message) as caught:
        RunFolder.open(run.path)
    assert "run.json" in str(caught.value)


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "file.zip").write_bytes(b"PK")
    for name, message in (
        ("missing", "there is none"),
        ("file.zip", "it is a file"),
        (".", "it has no run.json"),
        ("nul\0name", "there is none"),
    ):
        with pytest.raises(DataError, match=message):
            RunFolder.open(tmp_path / name)


def test_a_missing_part_says_what_to_do(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", "tag")
    with pytest.raises(DataError, match=r"no weights\.safetensors: training did not") as caught:
        run.file("weights.safetensors")
    assert caught.value.hint == f"`sunhwan resume {run.path}` goes on"
    with pytest.raises(DataError, match=r"cannot be finished: it has no config\.json"):
        run.finish()
    assert RunFolder.open(run.path).state == "training"
    run = _filled(tmp_path / "other")
    run.finish()
    with pytest.raises(DataError, match="none was made yet") as caught:
        run.file("report.html")
    assert "sunhwan report" in str(caught.value.hint)
    (run.path / "encoder.json").unlink()
    with pytest.raises(DataError, match=r"has no encoder\.json: it is a finished run"):
        RunFolder.open(run.path).read("encoder.json")
    for name in ("weights", "../run.json", "run.json/../x"):
        with pytest.raises(UsageError, match=r"a run has run\.json, config\.json"):
            run.file(name)
    for name in ("weights.safetensors", "run.json"):
        with pytest.raises(UsageError, match=r"a JSON file other than run\.json"):
            run.read(name)


def test_a_finished_run_does_not_change(tmp_path: Path) -> None:
    run = _filled(tmp_path / "run")
    run.finish()
    for name in ("config.json", "history.json"):
        with pytest.raises(UsageError, match=f"finished run, whose {name} cannot change"):
            run.write(name, {})
    with pytest.raises(UsageError, match=r"whose weights\.safetensors cannot change"):
        run.place("weights.safetensors")
    run.write("results.json", {"format": 1})
    assert RunFolder.open(run.path).read("results.json") == {"format": 1}
    weights = run.path / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    # one flipped bit is a valid file with another number in it
    assert not same(load_weights(weights, EXPECTED), ARRAYS)
    with pytest.raises(DataError, match=r"weights\.safetensors .* not as training wrote it"):
        RunFolder.open(run.path).file("weights.safetensors")


def test_a_run_is_not_written_over_unasked(tmp_path: Path) -> None:
    run = _filled(tmp_path / "run")
    (run.path / "notes.txt").write_text("mine")
    # nothing to go on from is nothing to lose
    RunFolder.create(run.path, "classify")
    assert not run.has("config.json")

    run = _filled(tmp_path / "again")
    run.training.mkdir()
    (run.training / "state.json").write_text("{}")
    with pytest.raises(UsageError, match=r"already holds a run \(classify, training\)") as caught:
        RunFolder.create(run.path, "classify")
    assert "sunhwan resume" in str(caught.value.hint)
    run.finish()
    (run.path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"already holds a run \(classify, finished\)") as caught:
        RunFolder.create(run.path, "tag")
    assert "sunhwan resume" not in str(caught.value.hint)
    assert same(load_weights(run.file("weights.safetensors"), EXPECTED), ARRAYS)
    new = RunFolder.create(run.path, "tag", overwrite=True)
    assert sorted(os.listdir(new.path)) == ["notes.txt", "run.json"]
    assert RunFolder.open(new.path).task == "tag"


def test_whether_a_folder_is_free_is_seen_without_touching_it(tmp_path: Path) -> None:
    RunFolder.check_free(tmp_path / "new" / "deep")
    RunFolder.check_free(tmp_path)
    assert not os.listdir(tmp_path)
    run = _filled(tmp_path / "run")
    RunFolder.check_free(run.path)
    run.finish()
    before = sorted(os.listdir(run.path))
    with pytest.raises(UsageError, match=r"already holds a run \(classify, finished\)"):
        RunFolder.check_free(run.path)
    RunFolder.check_free(run.path, overwrite=True)
    assert sorted(os.listdir(run.path)) == before
    with pytest.raises(UsageError, match="not a run: it holds 'run'"):
        RunFolder.check_free(tmp_path, overwrite=True)
    for path in (run.path / "run.json", run.path / "run.json" / "deeper"):
        with pytest.raises(UsageError, match="cannot be made into a run"):
            RunFolder.check_free(path)


@pytest.mark.parametrize("task", ["classify", "forecast"])
def test_a_run_that_is_there_is_told_of_before_data_are_read(tmp_path: Path, task: str) -> None:
    from sunhwan.tasks import running
    from sunhwan.tasks.config import make_options

    run = _filled(tmp_path / "run")
    run.finish()
    data = running.Data((str(tmp_path / "none.csv"),))  # to be missed by whoever reads it
    with pytest.raises(UsageError, match="already holds a run"):
        running.start(make_options({"task": task}), data, run.path)


def test_a_folder_of_other_things_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_text("mine")
    with pytest.raises(UsageError, match=r"not a run: it holds 'weights\.safetensors'"):
        RunFolder.create(tmp_path, "classify", overwrite=True)
    assert (tmp_path / "weights.safetensors").read_text() == "mine"
    with pytest.raises(UsageError, match="cannot be made into a run"):
        RunFolder.create(tmp_path / "weights.safetensors" / "run", "classify")
    with pytest.raises(UsageError, match="`task` must be a lower-case word"):
        RunFolder.create(tmp_path / "new", "Classify!")


def test_leftovers_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    run_path = tmp_path / "run"
    run_path.mkdir()
    leftover, hidden = run_path / ".run.json.k3_9abcd", run_path / ".my.settings"
    leftover.write_text('{"form')
    run = RunFolder.create(run_path, "classify")
    assert os.listdir(run_path) == ["run.json"]
    run.training.mkdir()
    (run.training / ".state.safetensors.aaaaaaaa").write_text("half")
    (run.training / "state.json").write_text("{}")
    hidden.write_text("mine")
    run.sweep()
    assert os.listdir(run.training) == ["state.json"]
    assert hidden.exists()


def test_what_could_not_be_read_again_is_not_written(tmp_path: Path) -> None:
    run = _filled(tmp_path / "run")
    with pytest.raises(DataError, match=r"`loss\[1\]` must be a finite number"):
        run.write("history.json", {"loss": [0.1, float("nan")]})
    assert run.read("history.json")["loss"] == [0.7, 0.31]
    with pytest.raises(DataError, match="must have 1 to 1,048,576 bytes, received"):
        run.write("config.json", {"note": "x" * 2**20})
    assert RunFolder.open(run.path).has("config.json") is False
    with pytest.raises(DataError, match="prediction 2 cannot be written"):
        run.write_predictions([{"predicted": 1.0}, {"predicted": float("inf")}])
    with pytest.raises(DataError, match=r"prediction 1 has 5,242,8.. bytes"):
        run.write_predictions([{"predicted": "x" * 5 * 2**20}])
    assert len(list(run.read_predictions())) == 2
    with pytest.raises(DataError, match="must have 1 to"):
        run.write_predictions([])


_SAVE_FOREVER = """
import sys
import numpy as np
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.weights import save_weights

run = RunFolder.open(sys.argv[1])
for number in range(1, 10**9):
    arrays = {"w": np.full((512, 512), number, np.float32), "n": np.array(number, np.int64)}
    save_weights(run.place("weights.safetensors"), arrays)
    run.write("history.json", {"loss": [number] * 2000})
    print(number, flush=True)
"""


def test_kill_9_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """Whenever a process is killed while saving, each file is the old one or the new one."""
    run = RunFolder.create(tmp_path / "run", "classify")
    moments = random.Random(11)
    expected = {"w": ((512, 512), "float32"), "n": ((), "int64")}
    half_written = 0
    for _ in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", _SAVE_FOREVER, str(run.path)],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        saved = [1, *map(int, re.findall(r"^\d+$", process.stdout.read(), re.MULTILINE))][-1]
        process.wait()
        process.stdout.close()

        again = RunFolder.open(run.path)
        loaded = load_weights(again.file("weights.safetensors"), expected)
        number = int(loaded["n"])
        assert number in (saved, saved + 1)
        assert (loaded["w"] == number).all()
        assert again.read("history.json")["loss"][0] in (saved, number)
        half_written += len(os.listdir(run.path)) > 3
        again.sweep()
        assert sorted(os.listdir(run.path)) == ["history.json", "run.json", "weights.safetensors"]
    assert half_written, "no kill fell into a write, so this test tested nothing"


def test_a_copied_run_is_a_run(tmp_path: Path) -> None:
    run = _filled(tmp_path / "run")
    run.finish()
    (tmp_path / "latest").symlink_to(shutil.copytree(run.path, tmp_path / "copy"))
    again = RunFolder.open(tmp_path / "latest")
    assert same(load_weights(again.file("weights.safetensors"), EXPECTED), ARRAYS)
