"""Searches for options over a stand-in for training, whose losses are a function of the options."""

from __future__ import annotations

import csv
import json
import math
import re
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from subprocesses import environment
from sunhwan.cli import app
from sunhwan.errors import DataError, TrainingError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks import tuning, tuning_progress
from sunhwan.tasks.config import make_options, read_options
from sunhwan.tasks.run_records import Data
from sunhwan.tasks.tuning_folder import SearchFolder, Trial, best_of

EPOCHS = 10
RATES = "learning-rate=1e-4..1e-1"
#: trials until something happens
HAPPENS = "SUNHWAN_TEST_TRIALS"


class Bench:
    """Trains nothing: the loss falls to what rate and units say, and large rates diverge."""

    kind = "text"
    rejected: list[Any] = []  # noqa: RUF012

    def __init__(self, config: Any, sha256: str = "a1", stop: Any = None, after: int = 0) -> None:
        self.settled = config.settled("text")
        self.files, self.rows = [{"name": "films.csv", "sha256": sha256}], [90, 10]
        self._stop, self._left = stop, after

    def learner(self, config: Any) -> Any:
        if config.units == 999:
            raise DataError("units are 999", hint="others")
        model = SimpleNamespace(count_params=lambda: config.units or 0)
        return SimpleNamespace(config=config.settled("text"), model=model)

    def fit(self, learner: Any, progress: Progress) -> None:
        config = learner.config
        progress.begin("training", config.epochs)
        lowest = abs(math.log10(config.learning_rate) + 2.5) + config.units / 1000
        for epoch in range(1, config.epochs + 1):
            progress.batch(1, 1)
            if config.learning_rate > 0.02 and epoch == 3:
                raise TrainingError("the loss must stay finite")
            if epoch == 2:  # which no trial is given up before
                self._left -= 1
                if self._stop is not None and self._left < 0:
                    self._stop()
            loss = lowest + 1 / epoch
            progress.epoch(epoch, {"loss": loss / 2, "val_loss": loss, "val_accuracy": 1 / loss})
        progress.end("done")


@pytest.fixture
def go(monkeypatch, tmp_path):
    """Search in a folder of the test; returns what `tuning.search` does."""

    def search(*texts: str, out: str = "found", bench: Any = None, **more: Any) -> Any:
        chosen = {"task": "classify", "epochs": EPOCHS, **more.pop("options", {})}
        config = make_options(chosen)
        made = Bench(config, **(bench or {}))
        if not more.pop("page", False):  # which takes a second to draw
            monkeypatch.setattr(tuning, "render_search", lambda outcome, task: "page")
        monkeypatch.setattr(tuning, "open_bench", lambda config, data, say: made)
        data = Data(("films.csv",), (), {"label": "mood"})
        return tuning.search(config, data, tmp_path / out, texts=texts, **more)

    return search


def plain(trials: list[Trial]) -> list[dict[str, Any]]:
    return [trial.model_dump(exclude={"seconds"}) for trial in trials]


def test_the_defaults_come_first_and_better_ones_are_found(go, tmp_path) -> None:
    outcome = go(trials=24, page=True)
    usual = make_options({"task": "classify"}).settled("text")
    first = outcome.trials[0].options
    assert first == {name: getattr(usual, name) for name in first}
    assert {"units", "learning_rate", "pooling", "embedding", "cell"} < set(first)
    assert outcome.defaults == outcome.trials[0]
    assert outcome.best.loss < outcome.defaults.loss
    finished = [one for one in outcome.trials if one.state == "finished"]
    assert outcome.best.loss == min(one.loss for one in finished)
    assert outcome.best.epochs == outcome.best.best_epoch == EPOCHS
    assert {"pruned", "finished"} <= {one.state for one in outcome.trials}
    assert next(iter(outcome.importances)) == "learning_rate"
    assert sum(outcome.importances.values()) == pytest.approx(1)
    page = (tmp_path / "found" / "report.html").read_text(encoding="utf-8")
    assert "24 trials" in page
    assert "<svg" in page
    assert outcome.command in page


def test_weak_trials_are_given_up(go) -> None:
    outcome = go(RATES, "units=16..256", trials=30)
    pruned = [one for one in outcome.trials if one.state == "pruned"]
    assert pruned
    for one in pruned:
        before = outcome.trials[: one.number - 1]
        others = sorted(
            other.losses[one.epochs - 1] for other in before if other.state == "finished"
        )
        assert 2 <= one.epochs < EPOCHS
        assert len(others) >= 5
        assert one.loss > others[(len(others) - 1) // 2]


def test_a_trial_that_diverges_is_kept_and_never_the_best(go) -> None:
    outcome = go(RATES, trials=20)
    diverged = [one for one in outcome.trials if one.state == "diverged"]
    assert diverged
    assert all(one.options["learning_rate"] > 0.02 and one.epochs == 2 for one in diverged)
    assert outcome.best.state == "finished"
    with pytest.raises(TrainingError, match="in none of 3 trials"):
        go("learning-rate=0.06..0.5", out="other", trials=3)


def test_the_same_seed_gives_the_same_trials(go, tmp_path) -> None:
    whole = plain(go(RATES, "units=16..256", trials=15).trials)
    for count in (1, 7, 15):
        parts = go(RATES, "units=16..256", out="parts", trials=count).trials
    assert plain(parts) == whole
    names = ("trials.csv", "best.yaml", "search.json")
    texts = [[(tmp_path / out / name).read_text() for name in names] for out in ("found", "parts")]
    assert texts[0][1:] == texts[1][1:]
    other = go(RATES, "units=16..256", out="other", options={"seed": 2}, trials=4).trials
    assert [one.options for one in other[1:]] != [one["options"] for one in whole[1:4]]


def test_ctrl_c_loses_the_trial_in_progress_alone(go) -> None:
    whole = plain(go(RATES, trials=9).trials)
    stop = {"stop": lambda: signal.raise_signal(signal.SIGINT), "after": 4}
    with pytest.raises(KeyboardInterrupt, match="4 of 9 trials are done; the same command goes on"):
        go(RATES, out="stopped", trials=9, bench=stop)
    said: list[str] = []
    again = go(RATES, out="stopped", trials=9, say=said.append)
    assert plain(again.trials) == whole
    assert "4 trials were done before" in said


CHILD = f"""
import os, signal, sys
import test_tune
from sunhwan.tasks import tuning
from sunhwan.tasks.config import make_options
from sunhwan.tasks.run_records import Data
config = make_options({{"task": "classify", "epochs": {EPOCHS}}})
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
bench = test_tune.Bench(config, stop=kill, after=int(os.environ["{HAPPENS}"]))
tuning.open_bench = lambda *ignored: bench
tuning.search(config, Data(("films.csv",), (), {{"label": "mood"}}), sys.argv[1],
              texts=["{RATES}"], trials=9)
"""


def test_killed_it_goes_on_to_the_same_trials(go, tmp_path) -> None:
    whole = plain(go(RATES, trials=9).trials)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "killed")],
        env=environment(**{HAPPENS: "5"}),
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()[-2000:]
    assert len(json.loads((tmp_path / "killed" / "trials.json").read_text())["trials"]) == 5
    left = tmp_path / "killed" / ".trials.json.abc"  # as of a kill while it was written
    left.write_text("{")
    assert plain(go(RATES, out="killed", trials=9).trials) == whole
    assert not left.exists()


def test_each_combination_is_tried_once(go) -> None:
    outcome = go("units=1..3", "cell=gru,lstm", trials=50)
    tried = [tuple(one.options.values()) for one in outcome.trials]
    assert sorted(tried) == [(n, cell) for n in (1, 2, 3) for cell in ("gru", "lstm")]
    assert outcome.why == "all 6 combinations are tried"
    assert outcome.best.options["units"] == 1


def test_no_trial_begins_after_the_time(go) -> None:
    outcome = go(RATES, minutes=1e-9)
    assert len(outcome.trials) == 1
    assert outcome.why == "1e-09 minutes are over"
    assert len(go(RATES, minutes=1e-9).trials) == 1
    assert len(go(RATES, trials=3, minutes=60).trials) == 3
    for wrong in ({"trials": 0}, {"minutes": 0.0}):
        with pytest.raises(UsageError, match="1 trial or more and some time"):
            go(RATES, **wrong)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bench": {"sha256": "b2"}}, "other data files: `films.csv` 'a1', received 'b2'"),
        ({"options": {"units": 8}}, "other options: `units` None, received 8"),
        ({"texts": ["learning-rate=1e-4..1"]}, "other search: `learning_rate`"),
        ({"texts": ["units=1,2"]}, "other search: `learning_rate`"),
    ],
)
def test_another_search_in_the_folder_is_refused(go, tmp_path, changed, message) -> None:
    go(RATES, trials=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "found").iterdir()}
    texts = changed.pop("texts", [RATES])
    with pytest.raises(UsageError) as caught:
        go(*texts, trials=3, **changed)
    assert message in str(caught.value)
    assert {path.name: path.read_bytes() for path in (tmp_path / "found").iterdir()} == before
    assert len(go(*texts, trials=1, overwrite=True, **changed).trials) == 1


def test_other_folders_are_left_alone(go, tmp_path) -> None:
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="not a search: it holds 'mine"):
        go(RATES, trials=1, overwrite=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be made into a search"):
        go(RATES, out="file", trials=1)
    with SearchFolder(tmp_path / "busy").alone(), pytest.raises(UsageError, match="is at work"):
        go(RATES, out="busy", trials=1)
    assert not (tmp_path / "busy").exists()


def test_values_that_the_data_does_not_take_are_named(go, tmp_path) -> None:
    with pytest.raises(DataError) as caught:
        go("units=999,1", trials=2, options={"units": 999})
    assert str(caught.value) == "trial 1/2 (units 999): units are 999\nhint: others"
    assert go("units=1,2", options={"units": 999}).defaults is None  # nothing was lost


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda kept: kept["trials"][1].pop("seconds"), "Field required"),
        (lambda kept: kept["trials"][1].update(state="lost"), "damaged: Input should be"),
        (lambda kept: kept["trials"][1].update(number=7), "trial 2 is none of this search"),
        (lambda kept: kept["trials"][1]["options"].update(learning_rate=7.0), "trial 2 is none"),
        (lambda kept: kept["trials"][1]["options"].update(units=7), "trial 2 is none"),
        (lambda kept: kept["trials"][1].update(figures={}), "trial 2 is none"),
        (lambda kept: kept.update(trials=3), "damaged"),
        (lambda kept: kept.update(format=9), "must be of format 1, received 9"),
    ],
    ids=["short", "state", "number", "outside", "foreign", "empty", "no list", "newer"],
)
def test_a_damaged_folder_is_refused(go, tmp_path, damage, message) -> None:
    go(RATES, trials=2)
    path = tmp_path / "found" / "trials.json"
    kept = json.loads(path.read_text())
    damage(kept)
    path.write_text(json.dumps(kept))
    with pytest.raises(DataError) as caught:
        go(RATES, trials=3)
    assert message in str(caught.value)
    assert "trials.json" in str(caught.value)


def test_a_link_is_not_followed(go, tmp_path) -> None:
    go(RATES, trials=2)
    path = tmp_path / "found" / "trials.json"
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(DataError, match="symbolic link"):
        go(RATES, trials=3)


def test_the_best_options_are_those_of_a_run(go, tmp_path) -> None:
    given = {"dropout": 0.25, "bidirectional": False}
    outcome = go(RATES, "cell=gru,lstm", trials=5, options=given)
    path = tmp_path / "found" / "best.yaml"
    found = {"task": "classify", "epochs": EPOCHS, **given, **outcome.best.options}
    assert yaml.safe_load(path.read_text()) == found
    assert read_options(path) == found
    assert path.read_text().startswith(f"# `sunhwan tune`: trial {outcome.best.number} of 5, ")
    assert outcome.command == (
        f"sunhwan train classify films.csv --label mood --config {path} "
        f"--out {tmp_path / 'found' / 'best'}"
    )
    with (tmp_path / "found" / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == [one.state for one in outcome.trials]
    assert [float(row["val_loss"]) for row in rows] == [one.loss for one in outcome.trials]
    assert float(rows[2]["learning_rate"]) == outcome.trials[2].options["learning_rate"]
    assert float(rows[2]["val_accuracy"]) == pytest.approx(1 / outcome.trials[2].loss)


def test_a_trial_without_figures_has_none() -> None:
    none = Trial(number=1, options={}, state="diverged", figures={}, seconds=0, parameters=1)
    assert (none.loss, none.best_epoch, none.epochs) == (math.inf, 0, 0)
    assert none.at_best("loss") is None
    assert best_of([none]) is None


def test_the_time_left_is_that_of_trials(monkeypatch, capsys) -> None:
    clock = [100.0]
    monkeypatch.setattr(tuning_progress.time, "monotonic", lambda: clock[0])
    shown = tuning_progress.choose()
    shown.plan("tune", 4, 50)
    assert shown.time_left() == ""
    for _ in range(2):
        shown.begin("trial", 50)
        shown.epoch(3, {"loss": 1.0})
        clock[0] += 20
        shown.end("over")
    assert shown.time_left() == "40 s left"
    clock[0] += 5
    assert shown.time_left() == "35 s left"
    shown.ends = clock[0] + 7
    assert shown.time_left() == "7 s left"
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["tune, trial: over; 60 s left", "tune, trial: over; 40 s left"]


def test_without_optuna_it_says_what_to_install(monkeypatch, go) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError) as caught:
        go(RATES, trials=1)
    assert "pip install 'sunhwan[tune]'" in str(caught.value)


def test_the_command_line(monkeypatch, tmp_path) -> None:
    seen = []

    def open_bench(config: Any, data: Any, say: Any) -> Bench:
        seen.append((config, data))
        return Bench(config)

    monkeypatch.setattr(tuning, "open_bench", open_bench)
    (tmp_path / "options.yaml").write_text("units: 8\ndropout: 0.1\n")
    call = ["tune", "classify", "films.csv", "--label", "mood", "--epochs", str(EPOCHS),
            "--dropout", "0.2", "--config", str(tmp_path / "options.yaml"), "--search", RATES,
            "--trials", "12", "--out", str(tmp_path / "found")]  # fmt: skip
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0, result.stderr
    config, data = seen[0]
    assert config.given() == {"units": 8, "dropout": 0.2, "epochs": EPOCHS}
    assert data == Data(("films.csv",), (), {"label": "mood"})
    assert "search learning-rate: 0.0001 to 0.1 by factors" in result.stderr
    assert "tune, trial 12/12: " in result.stderr
    lines = result.stdout.splitlines()
    assert {"trial", "validation", "loss"} <= set(" ".join(lines[:2]).split())
    best = yaml.safe_load((tmp_path / "found" / "best.yaml").read_text())
    assert f"learning-rate {best['learning_rate']:g}" in lines[2]
    assert "all 12 trials are done; the best validation loss is" in result.stdout
    assert "what makes a trial one of the best: learning-rate (100%)" in result.stdout
    assert lines[-1].startswith("next:    sunhwan train classify films.csv --label mood --config ")
    assert len([line for line in lines if re.match(r"\d+: learning-rate ", line)]) == 10
    wrong = CliRunner().invoke(app, [*call[:-2], "--out", str(tmp_path / "o"), "--search", "u=1,2"])
    assert wrong.exit_code == 2
    assert "no option `u`" in wrong.stderr
    assert not (tmp_path / "o").exists()
