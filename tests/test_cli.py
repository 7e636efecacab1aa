"""The command line: exit codes, messages, and what the verbs print."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from subprocesses import environment, printed, python
from sunhwan.cli import app, self_test
from sunhwan.engine import native
from sunhwan.errors import SunhwanError
from sunhwan.reproduce import speed, stopwatch

MAIN = "import sys; from sunhwan.cli import main; sys.argv[0] = 'sunhwan'; main()"


def invoke(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_version_goes_to_standard_output() -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "sunhwan 0.1.0\n", "")


def test_help_lists_every_verb() -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert all(verb in result.stdout for verb in ("check", "reproduce", "bench"))
    assert "completion" not in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chek"], "Did you mean 'check'?"),
        (["reproduce", "--seds", "3"], "--seeds"),
        (["reproduce", "imdb-lsm"], "did you mean `imdb-lstm`?"),
        (["reproduce", "counting", "--seeds", "0"], "`--seeds` must be at least 1, received 0"),
        (["bench", "--models", "reuters-gro"], "did you mean `reuters-gru`?"),
        (["bench", "--rounds", "0"], "`--rounds` must be at least 1, received 0"),
        (["bench", "--steps", "-1"], "`--steps` must be at least 1, received -1"),
        (["bench", "--rounds", "many"], "--rounds"),
        (["check", "now"], "now"),
    ],
)
def test_a_mistake_in_the_call_is_told_with_exit_code_2(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_failure_is_one_sentence_and_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SunhwanError("the thing must be so, received otherwise", hint="make it so")

    monkeypatch.setattr(import_module("sunhwan.cli.bench"), "_choose", fail)
    result = invoke("bench")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == (
        "error: the thing must be so, received otherwise\n\nhint: make it so\n"
    )


def test_help_needs_no_keras_and_is_quick() -> None:
    code = (
        "import sys, sunhwan.cli\n"
        "try: sunhwan.cli.app(['--help'], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "heavy = ('jax', 'keras', 'numpy', 'rich', 'scipy')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert printed(code).splitlines()[-1] == "[]"
    before = _seconds_of_children()
    assert python(MAIN, "--help").returncode == 0
    # of the processor, not of the clock: other tests run at the same time; 0.15 s when idle
    assert _seconds_of_children() - before < 1.5


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_ctrl_c_ends_with_130_and_one_word(tmp_path: Path) -> None:
    # a test run in the background of a shell inherits an ignored SIGINT
    code = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {MAIN}"
    arguments = ["reproduce", "multiplication", "--seeds", "1", "--out", str(tmp_path / "out")]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert "multiplication" in process.stdout.readline()  # now it trains
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=120)[0]
        finally:
            process.kill()
    assert process.returncode == 130
    assert rest.splitlines()[-1] == "stopped"
    assert "Traceback" not in rest
    assert list(tmp_path.rglob("results.json")) == []


def test_check_is_well_and_says_what_runs() -> None:
    result = invoke("check")
    assert result.exit_code == 0, result.stderr
    assert "self-test LSTM" in result.stdout
    assert "WRONG" not in result.stdout
    if native.available():
        assert native.active_isa() in result.stdout
    else:
        assert native.how_to_get() in result.stdout


def test_check_without_kernels_is_well_and_says_so() -> None:
    done = python(MAIN, "check", SUNHWAN_ISA="none")
    assert done.returncode == 0, done.stderr
    assert "kernels   none: SUNHWAN_ISA=none switches the kernels off" in done.stdout
    assert "unset SUNHWAN_ISA" in done.stdout
    assert "plain JAX: ok" in done.stdout


@pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
def test_check_refuses_an_instruction_set_that_cannot_run() -> None:
    done = python(MAIN, "check", SUNHWAN_ISA="avx9")
    assert done.returncode == 1
    assert "received 'avx9'" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_tells_of_a_backend_that_is_missing() -> None:
    done = python(MAIN, "check", KERAS_BACKEND="tensorflow")
    if "backend   tensorflow: " in done.stdout:
        pytest.skip("TensorFlow is installed")
    assert done.returncode == 1
    assert "Keras cannot start with the backend tensorflow" in done.stderr


def test_check_finds_a_wrong_number(monkeypatch: pytest.MonkeyPatch) -> None:
    right = self_test.rnn

    def wrong(cell, **operands):
        outputs, states = right(cell, **operands)
        return outputs * (1 + 3e-4 * (cell.kind == "lstm")), states

    monkeypatch.setattr(self_test, "rnn", wrong)
    result = invoke("check")
    assert result.exit_code == 1
    assert "self-test LSTM" in result.stdout
    assert result.stdout.count("WRONG") == 1
    assert "LSTM" in result.stderr


def test_an_error_that_is_not_a_number_is_never_right() -> None:
    assert not self_test.Found("x", float("nan")).is_right
    assert self_test._error(np.array([np.nan, 0.0]), np.ones(2), 8) != 0
    assert self_test.Found("x", 1.0).is_right


def test_bench_writes_what_it_measured(tmp_path: Path) -> None:
    options = ("--models", "multiplication-simple-rnn", "--rounds", "3", "--steps", "2")
    result = invoke("bench", *options, "--json", str(tmp_path / "figures"))
    assert result.exit_code == 0, result.stderr
    [path] = (tmp_path / "figures").glob("*.json")
    record = json.loads(path.read_text("utf-8"))
    assert record["command"] == "sunhwan bench " + " ".join(options)
    assert record["environment"]["cores"] >= 1
    [model] = record["models"]
    assert model["steps_per_round"] == 2
    assert len(model["paths"]) == 2
    sides = model["milliseconds_per_step"]
    for side in speed.SIDES:
        assert len(sides[side]["rounds"]) == 3
        assert sides[side]["median"] == sorted(sides[side]["rounds"])[1]
    ratio = sides["stock"]["median"] / sides["sunhwan"]["median"]
    assert model["ratio"] == pytest.approx(ratio, rel=1e-2)
    shown = next(line for line in result.stdout.splitlines() if line.startswith(model["model"]))
    assert float(shown.split()[-1]) == pytest.approx(model["ratio"], abs=0.006)


def test_a_side_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = stopwatch.Timed("x", "multiplication", "lstm", (100,), 1)  # one feature too few
    with pytest.raises(SunhwanError, match=r"`x` \(sunhwan\) failed"):
        speed.measure(unknown, 1, on_round=lambda done: None)
    assert os.environ["KERAS_BACKEND"] == "jax"


def test_every_timed_model_is_one_of_the_experiments() -> None:
    for timed in stopwatch.TIMED:
        experiment = stopwatch.find(timed.experiment)
        assert timed.variant in [variant.name for variant in experiment.variants]
        material = stopwatch.noise(experiment, timed)
        assert material.x_train.shape == (timed.steps * experiment.batch, *timed.shape)
