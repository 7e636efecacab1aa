"""A search for options: trains a network with each and judges it by its validation loss.

The data are read and split as `sunhwan train` does with the same options, so the test part that
will judge the best options has no part in choosing them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from sunhwan.data.examples import Rejected
from sunhwan.errors import DataError, TrainingError, UsageError
from sunhwan.runs.files import write_text
from sunhwan.runs.interrupt import heard
from sunhwan.tasks import run_records
from sunhwan.tasks.config import make_options
from sunhwan.tasks.learner import Say
from sunhwan.tasks.run_records import Data
from sunhwan.tasks.tuning_advisor import Advisor, load_optuna
from sunhwan.tasks.tuning_benches import Bench, open_bench
from sunhwan.tasks.tuning_folder import SearchFolder, Trial, best_of
from sunhwan.tasks.tuning_page import render_search
from sunhwan.tasks.tuning_progress import ByTrials, Watch
from sunhwan.tasks.tuning_space import (
    AnyConfig,
    Space,
    check_space,
    default_space,
    option_text,
    read_space,
)


@dataclass(frozen=True)
class Outcome:
    """What a search has found so far.

    Attributes
    ----------
    path
        The folder of the search.
    trials
        All that are done.
    best
        The finished one with the least validation loss.
    defaults
        The trial of the options as they would be without a search, if there is one.
    space
        What was searched.
    importances
        The share of each option in what makes a trial one of the best; empty where it cannot be
        told.
    why
        Why the search stopped, such as ``all 30 trials are done``.
    command
        What to type to train with the best options.
    rejected
        Rows and series that were dropped.
    """

    path: Path
    trials: list[Trial]
    best: Trial
    defaults: Trial | None
    space: Space
    importances: dict[str, float]
    why: str
    command: str
    rejected: Sequence[Rejected] = ()


class _GivenUp(Exception):  # noqa: N818 - ends a training, and is no error
    """A trial is weaker than others."""


def search(
    config: AnyConfig,
    data: Data,
    out: Path | str,
    *,
    texts: Sequence[str] = (),
    trials: int = 30,
    minutes: float | None = None,
    overwrite: bool = False,
    shown: ByTrials | None = None,
    say: Say = lambda line: None,
) -> Outcome:
    """Search for options, or go on with a search; leave everything in a folder.

    The same arguments give the same trials, whether or not the search was interrupted. The first
    one has the options as they are without a search, where those are among what is searched.

    Parameters
    ----------
    config
        The options of all trials; one that is searched begins with the value it has here.
    texts
        What is searched; see `sunhwan.tasks.tuning_space.read_space`. Nothing: what matters most
        for the kind of data and is not set by `config`.
    trials
        How many in all, counting those before an interruption.
    minutes
        No trial but the first begins after so many, counted from this call.
    overwrite
        Whether a search that the folder holds is removed first.

    Raises
    ------
    UsageError
        Optuna is missing; options that do not fit; the folder holds another search.
    DataError
        The data cannot be read, or the folder is damaged.
    TrainingError
        No trial had a loss that stayed finite.
    KeyboardInterrupt
        Ctrl-C; the same call goes on.
    """
    load_optuna()
    if trials < 1 or (minutes is not None and minutes <= 0):
        raise UsageError(f"a search needs 1 trial or more and some time, received {trials} trials "
                         f"and {minutes} minutes")  # fmt: skip
    asked = read_space(texts, config)
    folder = SearchFolder(out)
    with folder.alone():
        if overwrite:
            folder.clear()
        bench = open_bench(config, data, say)
        space = asked or default_space(bench.settled, bench.kind, list(config.given()))
        check_space(space, bench.kind, config.task)
        for name, values in space.items():
            say(f"search {name.replace('_', '-')}: {values}")
        folder.begin(_settings(config, data, bench, space))
        running = _Search(config, bench, space, folder, shown or ByTrials(), say)
        why = running.to_end(trials, minutes)
        outcome = running.outcome(why, data)
        write_text(folder.path / "report.html", render_search(outcome, config.task))
    return outcome


class _Search:
    """A search from its first or last trial to the end."""

    def __init__(
        self,
        config: AnyConfig,
        bench: Bench,
        space: Space,
        folder: SearchFolder,
        shown: ByTrials,
        say: Say,
    ) -> None:
        self._config, self._bench, self._space = config, bench, space
        self._folder, self._shown, self._say = folder, shown, say
        self._first = {name: getattr(bench.settled, name) for name in space}
        self._epochs = bench.settled.epochs or 1
        self._advisor = Advisor(space, self._first, config.seed, self._epochs)
        self._trials = folder.trials(space)

    def to_end(self, count: int, minutes: float | None) -> str:
        """Try until there are `count` trials, or the time is up; why it stopped."""
        if self._trials:
            self._say(f"{len(self._trials)} trials were done before")
        shown, task = self._shown, self._config.task
        left = max(0, count - len(self._trials))
        ends = time.monotonic() + (float("inf") if minutes is None else 60 * minutes)
        shown.ends = ends
        shown.plan("tune", left, self._epochs)
        try:
            while len(self._trials) < count:
                if self._trials and time.monotonic() >= ends:
                    return f"{minutes:g} minutes are over"
                attempt = self._advisor.next(self._trials)
                if attempt is None:
                    return f"all {len(self._trials)} combinations are tried"
                label = f"trial {len(self._trials) + 1}/{count}"
                with heard(at_once=True):
                    trial = self._try(attempt, label)
                self._trials.append(trial)
                self._folder.keep(self._trials, {"task": task, **self._config.given()})
                shown.end(self._line())
        except KeyboardInterrupt:
            done = f"{len(self._trials)} of {count} trials are done"
            raise KeyboardInterrupt(f"stopped: {done}; the same command goes on") from None
        finally:
            shown.close()
        return f"all {len(self._trials)} trials are done"

    def outcome(self, why: str, data: Data) -> Outcome:
        """What was found.

        Raises
        ------
        TrainingError
            Nothing was.
        """
        best = best_of(self._trials)
        if best is None:
            raise TrainingError(
                f"in none of {len(self._trials)} trials did the loss stay finite",
                hint="search smaller learning rates",
            )
        path = self._folder.path
        given = {"config": path / "best.yaml"}
        return Outcome(
            path=path,
            trials=self._trials,
            best=best,
            defaults=next((one for one in self._trials if one.options == self._first), None),
            space=self._space,
            importances=self._advisor.importances(self._trials),
            why=why,
            command=run_records.command(self._config.task, given, data, path / "best"),
            rejected=self._bench.rejected,
        )

    def _try(self, attempt: Any, label: str) -> Trial:
        """Train a network with the options of a trial."""

        def after_epoch(number: int, logs: Mapping[str, float]) -> None:
            if attempt.is_weak(number, logs["val_loss"]) and number < learner.config.epochs:
                raise _GivenUp

        jax.clear_caches()  # no trial runs what another one compiled, which is 30 MB or more each
        started, state = time.monotonic(), "finished"
        watch = Watch(self._shown, label, after_epoch)
        learner = self._learner(attempt.options, label)
        try:
            self._bench.fit(learner, watch)
        except _GivenUp:
            state = "pruned"
        except TrainingError:
            state = "diverged"
        return Trial.model_validate(
            {
                "number": len(self._trials) + 1,
                "options": attempt.options,
                "state": state,
                "figures": watch.figures,
                "seconds": time.monotonic() - started,
                "parameters": int(learner.model.count_params()),
            }
        )

    def _learner(self, options: Mapping[str, Any], label: str) -> Any:
        """A learner of the options of a trial.

        Raises
        ------
        UsageError, DataError
            They do not fit the data; names them.
        """
        config = self._config
        try:
            return self._bench.learner(
                make_options({"task": config.task, **config.given(), **options})
            )
        except (UsageError, DataError) as error:
            raise type(error)(
                f"{label} ({option_text(options)}): {error.message}", hint=error.hint
            ) from error

    def _line(self) -> str:
        """What the last trial came to."""
        last, best = self._trials[-1], best_of(self._trials)
        came = f"validation loss {last.loss:.4g} in epoch {last.best_epoch} of {last.epochs}"
        if last.state == "pruned":
            came = f"given up after epoch {last.epochs}, validation loss {last.loss:.4g}"
        elif last.state == "diverged":
            came = f"the loss did not stay finite in epoch {last.epochs + 1}"
        known = "" if best is None else f"; best {best.loss:.4g} (trial {best.number})"
        return f"{came}: {option_text(last.options)}{known}"


def _settings(config: AnyConfig, data: Data, bench: Bench, space: Space) -> dict[str, Any]:
    """What every trial depends on, as plain JSON."""
    names = [file["name"] for file in bench.files]
    files = {
        file["name"] if names.count(file["name"]) == 1 else f"{place}: {file['name']}":
        file["sha256"] for place, file in enumerate(bench.files, 1)
    }  # fmt: skip
    settings: dict[str, Any] = {
        "task": config.task,
        "files": files,
        "rows": bench.rows,
        "columns": dict(data.named or {}),
        "given": config.given(),
        "space": {name: vars(values) for name, values in space.items()},
    }
    # as it will be read again: with lists for tuples
    settings = json.loads(json.dumps(settings))
    return settings
