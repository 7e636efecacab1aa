"""The folder of a search: what is searched, each trial that is done, and what came of them.

=============== =================================================================================
``search.json``  what every trial depends on: task, data, options, what is searched
``trials.json``  each trial that is done; written after each of them
``trials.csv``   the same as a table
``best.yaml``    the options of the best trial, for ``sunhwan train --config``
``report.html``  figures and tables of it
=============== =================================================================================

All is plain text that is written beside and renamed, so a process that is killed loses the trial in
progress and nothing else. Nothing in the folder is ever executed.
"""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sunhwan.errors import DataError, UsageError
from sunhwan.runs.files import write_json, write_text
from sunhwan.runs.guard import open_member, parse_object, shown
from sunhwan.tasks.tuning_space import Space, Value, value_text

#: number of the layout above
_FORMAT = 1
_FILES = ("search.json", "trials.json", "trials.csv", "best.yaml", "report.html")
_LIMIT = 64 * 2**20
#: what the entries of ``search.json`` are called in messages
_CALLED = {
    "format": "format", "task": "task", "files": "data files", "rows": "number of examples",
    "columns": "columns", "given": "options", "space": "search",
}  # fmt: skip


class Trial(BaseModel):
    """What one trial was and what came of it.

    Attributes
    ----------
    number
        From 1.
    options
        That were searched, by name.
    state
        ``finished``; ``pruned``, since it was weaker than others after as many epochs; ``diverged``
        if its loss was no longer finite.
    figures
        By name, one number an epoch: ``loss``, ``val_loss``, the metrics.
    seconds
        That it took.
    parameters
        Of the network.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    number: int = Field(ge=1)
    options: dict[str, bool | int | float | str]
    state: Literal["finished", "pruned", "diverged"]
    figures: dict[str, list[float]]
    seconds: float = Field(ge=0)
    parameters: int = Field(ge=0)

    @property
    def epochs(self) -> int:
        """How many were trained."""
        return len(self.losses)

    @property
    def losses(self) -> list[float]:
        """What it is judged by, after each epoch: the smaller the better."""
        return self.figures.get("val_loss", [])

    @property
    def loss(self) -> float:
        """The least of them; infinite where there is none."""
        return min(self.losses, default=float("inf"))

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, of that loss; 0 where there is none."""
        return self.losses.index(self.loss) + 1 if self.losses else 0

    def at_best(self, name: str) -> float | None:
        """Another figure in that epoch, or None where there is none."""
        values = self.figures.get(name, [])
        return values[self.best_epoch - 1] if 0 < self.best_epoch <= len(values) else None


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The finished trial with the least loss, the first of several; None if none is finished."""
    done = [trial for trial in trials if trial.state == "finished"]
    return min(done, key=lambda trial: trial.loss, default=None)


class SearchFolder:
    """The folder of one search, in which one process works at a time.

    Parameters
    ----------
    path
        A folder that holds a search, is empty, or does not exist yet.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes out of the folder, which is made if it is missing and put to use.

        Raises
        ------
        UsageError
            It cannot be made, holds something else, or another process is at work in it.
        """
        is_new = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            found = os.listdir(self.path)
            handle = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            reason = f"{self.path} cannot be made into a search: {error.strerror}"
            raise UsageError(reason) from error
        try:
            others = [name for name in found if name not in _FILES and not _is_leftover(name)]
            if "search.json" not in found and others:
                raise UsageError(
                    f"{self.path} is not empty and not a search: it holds {shown(min(others))}",
                    hint="name a folder that is empty or does not exist yet",
                )
            self._lock(handle)
            for name in filter(_is_leftover, found):
                (self.path / name).unlink(missing_ok=True)
            yield
        finally:
            os.close(handle)
            if is_new and not os.listdir(self.path):
                self.path.rmdir()

    def clear(self) -> None:
        """Remove the search; never any other files."""
        for name in _FILES:
            (self.path / name).unlink(missing_ok=True)

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Keep what the trials depend on; once there is one, see that it is the same as before.

        Raises
        ------
        UsageError
            The search that is there depends on something else; names it.
        DataError
            It is damaged.
        """
        record = {"format": _FORMAT, **settings}
        if not os.path.lexists(self.path / "trials.json"):
            write_json(self.path / "search.json", record)
            return
        before = self._read("search.json")
        for name, value in record.items():
            if before.get(name) != value:
                raise UsageError(
                    f"{self.path} holds a search with other {_CALLED[name]}: "
                    f"{_difference(before.get(name), value)}",
                    hint="name another folder, or give `--overwrite` to remove that search",
                )

    def trials(self, space: Space) -> list[Trial]:
        """The trials that are done.

        Raises
        ------
        DataError
            Their file is damaged.
        """
        if not os.path.lexists(self.path / "trials.json"):
            return []
        path = self.path / "trials.json"
        try:
            found = [Trial.model_validate(one) for one in self._read(path.name).get("trials", [])]
        except (ValidationError, TypeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise DataError(f"{path} is damaged: {reason}") from error
        for place, trial in enumerate(found, 1):
            fits = trial.options.keys() == space.keys() and all(
                value in space[name] for name, value in trial.options.items()
            )
            lacks = trial.state != "diverged" and not trial.losses
            if trial.number != place or not fits or lacks:
                raise DataError(f"{path} is damaged: trial {place} is none of this search")
        return found

    def keep(self, trials: Sequence[Trial], options: Mapping[str, Value]) -> None:
        """Write the trials, the table of them, and the options of the best one.

        Parameters
        ----------
        options
            That all trials have.
        """
        plain = [trial.model_dump() for trial in trials]
        write_json(self.path / "trials.json", {"format": _FORMAT, "trials": plain})
        write_text(self.path / "trials.csv", _table(trials))
        best = best_of(trials)
        if best is not None:
            write_text(self.path / "best.yaml", _options_file(best, len(trials), options))

    def _read(self, name: str) -> dict[str, Any]:
        path = self.path / name
        with open_member(path, _LIMIT) as file:
            found = parse_object(file.read(_LIMIT), path)
        if found.get("format") != _FORMAT:
            raise DataError(
                f"{path} must be of format {_FORMAT}, received {shown(found.get('format'))}",
                hint="go on with the version of sunhwan that wrote it",
            )
        return found

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"another process is at work in {self.path}",
                hint="let it finish, or name another folder",
            ) from error


def _is_leftover(name: str) -> bool:
    """Whether a killed process left it half written."""
    return any(name.startswith(f".{whole}.") for whole in _FILES)


def _difference(before: Any, now: Any) -> str:
    """The first thing that two settings do not share."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            if before.get(name) != now.get(name):
                return f"`{name}` {shown(before.get(name))}, received {shown(now.get(name))}"
    return f"{shown(before)}, received {shown(now)}"


def _table(trials: Sequence[Trial]) -> str:
    """The trials as CSV, a row each."""
    measured = sorted({name for trial in trials for name in trial.figures} - {"val_loss"})
    options = list(trials[0].options) if trials else []
    head = ["trial", "state", "val_loss", *measured, "best_epoch", "epochs", "seconds",
            "parameters", *options]  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for one in trials:
        figures = [one.at_best(name) for name in ("val_loss", *measured)]
        writer.writerow([
            one.number, one.state, *("" if x is None else x for x in figures), one.best_epoch,
            one.epochs, round(one.seconds, 3), one.parameters,
            *(value_text(one.options[name]) for name in options),
        ])  # fmt: skip
    return text.getvalue()


def _options_file(best: Trial, count: int, options: Mapping[str, Value]) -> str:
    import yaml

    head = (
        f"# `sunhwan tune`: trial {best.number} of {count}, "
        f"validation loss {best.loss:.6g} in epoch {best.best_epoch}\n"
    )
    return head + yaml.safe_dump({**options, **best.options}, sort_keys=False)
