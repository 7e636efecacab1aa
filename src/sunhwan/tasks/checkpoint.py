"""The state of a training in one file that is always whole: arrays, and a record in JSON.

The file holds safetensors; the record is the text ``record`` of its metadata. It is written beside
and renamed, so whatever moment a process is killed at, the file is that of one moment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sunhwan.errors import DataError, UsageError
from sunhwan.runs.files import write_bytes

#: arrays by what they belong to: the state of a training as JAX carries it from step to step
Arrays = dict[str, list[Any]]

_NAME = "training.safetensors"
_FORMAT = "1"


def write(folder: Path, arrays: Mapping[str, Sequence[Any]], record: Mapping[str, Any]) -> None:
    """Replace the state in `folder` by lists of arrays, under their names, and a plain record."""
    flat = {
        f"{name}/{place}": np.asarray(array, order="C")
        for name, row in arrays.items()
        for place, array in enumerate(row)
    }
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    write_bytes(folder / _NAME, save(flat, {"format": _FORMAT, "record": text}))


def read(folder: Path) -> tuple[dict[str, list[NDArray[Any]]], dict[str, Any]] | None:
    """What was written to `folder` last, or None if nothing was.

    Raises
    ------
    DataError
        The file is damaged, or of another version.
    """
    path = folder / _NAME
    # what a process left that was killed while it wrote
    for left in folder.glob(f".{_NAME}.*"):
        left.unlink()
    if not path.exists():
        return None
    arrays: dict[str, list[NDArray[Any]]] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            keys = sorted(file.keys(), key=lambda key: int(key.rpartition("/")[2]))
            for key in keys:
                arrays.setdefault(key.rpartition("/")[0], []).append(file.get_tensor(key))
        version, record = metadata["format"], dict(json.loads(metadata["record"]))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} must be the state of a training, but it is damaged: {error}",
            hint="remove the file to train from the start",
        ) from error
    if version != _FORMAT:
        raise DataError(
            f"{path} must have format {_FORMAT}, received {version}",
            hint="go on with the version of sunhwan that wrote it",
        )
    return arrays, record


class Keeper:
    """Writes the state of one training when it is due, and finds it again.

    Parameters
    ----------
    folder
        Where; None keeps nothing.
    settings
        What the state depends on, as plain JSON: a state with others is refused.
    save_every
        Seconds after which a state is due again.
    """

    def __init__(self, folder: Path | None, settings: Mapping[str, Any], save_every: float) -> None:
        self.folder = folder
        self._settings, self._save_every = settings, save_every
        self._saved = time.monotonic()

    def is_due(self) -> bool:
        """True if the last state is old."""
        return self.folder is not None and time.monotonic() - self._saved >= self._save_every

    def save(self, arrays: Arrays, record: Mapping[str, Any]) -> None:
        """Write lists of arrays, under their names, and a plain record."""
        if self.folder is not None:
            write(self.folder, arrays, {"settings": self._settings, **record})
            self._saved = time.monotonic()

    def load(self, fresh: Arrays) -> tuple[Arrays, dict[str, Any]] | None:
        """Arrays and record as written last, or None if nothing was.

        Parameters
        ----------
        fresh
            Arrays of the shapes and types that there must be.

        Raises
        ------
        UsageError
            The state is of other settings or of another model.
        DataError
            It is damaged.
        """
        found = None if self.folder is None else read(self.folder)
        if found is None:
            return None
        arrays, record = found
        settings = dict(record.get("settings", {}))
        for name, value in self._settings.items():
            before = settings.get(name)
            if before != value:
                raise UsageError(
                    f"the training in {self.folder} was started with `{name}` {before!r}, "
                    f"received {value!r}",
                    hint="go on with what it was started with, or train into another folder",
                )
        for name, row in fresh.items():
            shapes = [(array.shape, str(array.dtype)) for array in arrays.get(name, [])]
            if shapes != [(array.shape, str(array.dtype)) for array in row]:
                raise UsageError(
                    f"the training in {self.folder} was started with another model: "
                    f"its `{name}` arrays have other shapes",
                    hint="go on with what it was started with, or train into another folder",
                )
        return arrays, record
