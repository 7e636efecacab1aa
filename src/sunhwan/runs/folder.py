"""The folder that a run leaves, read as if a stranger had made it.

======================= ==========================================================================
``run.json``            format, version of sunhwan, task, state, time; once finished also the
                        SHA-256 of every file that then stays as it is
``config.json``         the full configuration
``encoder.json``        how inputs become numbers: vocabulary, scaling
``model.json``          what is needed to build the network
``weights.safetensors`` its weights (`sunhwan.runs.weights`)
``history.json``        figures by epoch
``environment.json``    versions, processor, names and SHA-256 of the data files
``predictions.jsonl``   true and predicted of the test rows
``results.json``        all figures of the report; may be made anew
``report.html``         the report; may be made anew
``training/``           while training: what `sunhwan resume` goes on from
======================= ==========================================================================

Nothing in a run is ever executed, and no name in it is used as a path.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sunhwan
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.files import write_bytes, write_json
from sunhwan.runs.guard import AGAIN, changed, damaged, open_member, parse_object, shown
from sunhwan.runs.layout import FIELDS, FORMAT, LIMITS, NEEDED, SEALED, checked_record
from sunhwan.runs.weights import Arrays, Expected, load_weights

_LINE = 4 * 2**20
# what a killed `runs.files.write_bytes` leaves
_LEFTOVER = re.compile(r"\.[\w-]+\.(json|jsonl|safetensors|html)\.[a-z0-9_]{8}")


@dataclass
class RunFolder:
    """A run on disk; made by `RunFolder.create` and `RunFolder.open`.

    Attributes
    ----------
    path
        The folder.
    task
        Such as ``classify``.
    state
        ``training``, or ``finished`` once everything is written.
    sunhwan
        Version that made the run.
    created
        When, in UTC, as ``2026-01-31T12:00:00+00:00``.
    sha256
        By file name, of a finished run: those files never change again.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = RunFolder.create(f"{folder}/run", "classify")
    ...     path = run.write("config.json", {"units": 32})
    ...     again = RunFolder.open(run.path)
    ...     again.task, again.state, again.read("config.json")
    ('classify', 'training', {'units': 32})
    """

    path: Path
    task: str
    state: str
    sunhwan: str
    created: str
    sha256: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(cls, path: Path | str, task: str, *, overwrite: bool = False) -> RunFolder:
        """Begin a run in a new or empty folder.

        A run that never got as far as something to resume is begun anew without a word.

        Parameters
        ----------
        overwrite
            Whether the files of a run that is there are removed; never any others.

        Raises
        ------
        UsageError, DataError
            As `check_free`; or the folder cannot be made.
        """
        path = Path(path)
        if not re.fullmatch(FIELDS["task"], task):
            raise UsageError(f"`task` must be a lower-case word, received {shown(task)}")
        cls.check_free(path, overwrite=overwrite)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _no_place(path, error) from error
        if os.path.lexists(path / "run.json"):
            _clear(cls.open(path))
        created = datetime.now(UTC).isoformat(timespec="seconds")
        run = cls(path, task, "training", sunhwan.__version__, created)
        run.sweep()
        run._save()
        return run

    @classmethod
    def check_free(cls, path: Path | str, *, overwrite: bool = False) -> None:
        """Refuse a folder that `create` would refuse, before there is work to lose.

        Raises
        ------
        UsageError
            The folder holds a run that is finished or can be resumed, and `overwrite` is False; it
            holds other files and no run; or it is no folder.
        DataError
            The run that is there is damaged or from a newer version.
        """
        path = Path(path)
        try:
            found = [name for name in os.listdir(path) if not _LEFTOVER.fullmatch(name)]
        except FileNotFoundError:
            return
        except OSError as error:
            raise _no_place(path, error) from error
        if "run.json" in found:
            _check_replaceable(cls.open(path), overwrite)
        elif found:
            raise UsageError(
                f"{path} is not empty and not a run: it holds {shown(min(found))}",
                hint="name a folder that is empty or does not exist yet",
            )

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """The run in a folder, after a look at each of its files.

        Raises
        ------
        DataError
            There is no run, it is of a newer format, or one of its files is damaged, larger than
            such a file can be, or no regular file.
        """
        path = Path(path)
        if not os.path.isdir(path):
            came = "it is a file" if os.path.lexists(path) else "there is none"
            raise DataError(f"{path} was expected to be the folder of a run, but {came}")
        if not os.path.lexists(path / "run.json"):
            raise DataError(
                f"{path} is not a run: it has no run.json",
                hint="a run is the folder that `sunhwan train TASK DATA --out RUN` leaves",
            )
        record = path / "run.json"
        run = cls(path, **checked_record(record, _read_object(record, LIMITS[record.name])))
        for name in filter(run.has, LIMITS):
            open_member(path / name, LIMITS[name]).close()
        _ = run.training  # refused if it is a link
        return run

    @property
    def training(self) -> Path:
        """The folder for what resuming needs, which may not exist yet.

        Raises
        ------
        DataError
            There is something of that name that is no folder, or a link to one.
        """
        path = self.path / "training"
        if os.path.lexists(path) and not stat.S_ISDIR(path.lstat().st_mode):
            raise damaged(path, "it must be a folder")
        return path

    def has(self, name: str) -> bool:
        """Whether the run has the file `name` of the list above."""
        _limit(name)
        return os.path.lexists(self.path / name)

    def file(self, name: str) -> Path:
        """The path of a file to be read, once it is sure that it is there and unchanged.

        Raises
        ------
        DataError
            The run has no such file, or not the one that training wrote.
        """
        if not self.has(name):
            raise self._missing(name)
        path = self.path / name
        if name in self.sha256 and _digest(path, _limit(name)) != self.sha256[name]:
            raise changed(path)
        return path

    def size(self, name: str) -> int:
        """Bytes of a file that is there; it is not read."""
        if not self.has(name):
            raise self._missing(name)
        return (self.path / name).lstat().st_size

    def load_weights(self, expected: Expected) -> Arrays:
        """The arrays of ``weights.safetensors``; see `sunhwan.runs.weights.load_weights`.

        What does not fit is refused by the header, before the rest is read.
        """
        name = "weights.safetensors"
        self.size(name)
        return load_weights(self.path / name, expected, sha256=self.sha256.get(name))

    def place(self, name: str) -> Path:
        """The path where a file is to be written.

        Raises
        ------
        UsageError
            The run is finished and the file one of those that then never change.
        """
        _limit(name)
        if self.state == "finished" and name in SEALED:
            raise UsageError(f"{self.path} is a finished run, whose {name} cannot change")
        return self.path / name

    def read(self, name: str) -> dict[str, Any]:
        """The object in one of the JSON files.

        Raises
        ------
        DataError
            The file is missing, or is damaged: names it and what is wrong.
        """
        _require_json(name)
        return _read_object(self.file(name), _limit(name))

    def write(self, name: str, value: Mapping[str, Any]) -> Path:
        """Write one of the JSON files, atomically.

        Raises
        ------
        DataError
            A number is not finite, or the file is larger than `read` takes, and then removed.
        """
        _require_json(name)
        return self._within_limit(write_json(self.place(name), value))

    def read_predictions(self) -> Iterator[dict[str, Any]]:
        """The test rows of ``predictions.jsonl`` one by one, in the order of their writing.

        Raises
        ------
        DataError
            The file is missing or damaged; names the line.
        """
        path = self.file("predictions.jsonl")
        with open_member(path, _limit(path.name)) as file:
            for number in itertools.count(1):
                line = file.readline(_LINE)
                if not line:
                    return
                if not line.endswith(b"\n"):
                    raise damaged(path, f"line {number} is cut off or too long")
                yield parse_object(line, path)

    def write_predictions(self, rows: Iterable[Mapping[str, Any]]) -> Path:
        """Write ``predictions.jsonl``: one object a row, such as ``{"true": 1, "predicted": 1}``.

        Raises
        ------
        DataError
            There is no row, a number is not finite, or a row is larger than is read again.
        """
        lines = []
        for number, row in enumerate(rows, 1):
            try:
                line = json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
            except ValueError as error:
                raise DataError(f"prediction {number} cannot be written: {error}") from error
            if len(line) > _LINE:
                raise DataError(f"prediction {number} has {len(line):,} bytes, above {_LINE:,}")
            lines.append(line)
        return self._within_limit(write_bytes(self.place("predictions.jsonl"), b"".join(lines)))

    def finish(self) -> None:
        """Declare the run complete: all its files but results and report are sealed by checksums.

        What resuming needed is removed.

        Raises
        ------
        DataError
            A file without which the model cannot be rebuilt is missing.
        """
        for name in NEEDED:
            if not self.has(name):
                raise DataError(f"{self.path} cannot be finished: it has no {name}")
        names = [name for name in LIMITS if name in SEALED and self.has(name)]
        self.sha256 = {name: _digest(self.path / name, _limit(name)) for name in names}
        self.state = "finished"
        self._save()
        if self.training.exists():
            shutil.rmtree(self.training)

    def sweep(self) -> None:
        """Remove what a killed process left half written; only for the one process that trains."""
        for folder in (self.path, self.training):
            if folder.is_dir():
                for path in folder.iterdir():
                    if _LEFTOVER.fullmatch(path.name) and path.is_file():
                        path.unlink()

    def _save(self) -> None:
        record = {"format": FORMAT, **vars(self)}
        del record["path"]
        write_json(self.path / "run.json", record)

    def _missing(self, name: str) -> DataError:
        reason, hint = "it is a finished run, so that one is lost", AGAIN
        if self.state == "training":
            reason, hint = "training did not finish", f"`sunhwan resume {self.path}` goes on"
        elif name == "report.html":
            reason, hint = "none was made yet", f"`sunhwan report {self.path}` makes it"
        return DataError(f"{self.path}: the run has no {name}: {reason}", hint=hint)

    def _within_limit(self, path: Path) -> Path:
        size, limit = path.stat().st_size, _limit(path.name)
        if not 0 < size <= limit:
            # it would keep the whole run from being opened
            path.unlink()
            raise DataError(f"{path} must have 1 to {limit:,} bytes, received {size:,}")
        return path


def _no_place(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be made into a run: {error.strerror}")


def _check_replaceable(run: RunFolder, overwrite: bool) -> None:
    """Refuse to lose what is finished or can be gone on from, unless told to."""
    training = run.training
    resumable = training.is_dir() and any(training.iterdir())
    if not overwrite and (run.state == "finished" or resumable):
        first = f"`sunhwan resume {run.path}` goes on; " if run.state == "training" else ""
        raise UsageError(
            f"{run.path} already holds a run ({run.task}, {run.state})",
            hint=f"{first}name another folder, or give `--overwrite` to remove this one",
        )


def _clear(run: RunFolder) -> None:
    """Remove the files of a run."""
    for name in LIMITS:
        if name != "run.json":
            (run.path / name).unlink(missing_ok=True)
    if run.training.exists():
        shutil.rmtree(run.training)


def _limit(name: str) -> int:
    if name not in LIMITS:
        raise UsageError(f"a run has {', '.join(LIMITS)}; received {shown(name)}")
    return LIMITS[name]


def _require_json(name: str) -> None:
    if not name.endswith(".json") or name == "run.json":
        raise UsageError(f"a JSON file other than run.json was expected, received {shown(name)}")


def _read_object(path: Path, limit: int) -> dict[str, Any]:
    with open_member(path, limit) as file:
        content = file.read(limit)
    return parse_object(content, path)


def _digest(path: Path, limit: int) -> str:
    with open_member(path, limit) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
