"""The state of a training in one file that is always whole: arrays, and a record in JSON.

The file holds safetensors; the record is the text ``record`` of its metadata. It is written beside
and renamed, so whatever moment a process is killed at, the file is that of one moment.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sunhwan.errors import DataError, UsageError
from sunhwan.runs.files import write_bytes
from sunhwan.runs.guard import AGAIN, damaged, parse_object, shown
from sunhwan.runs.weights import opened

#: arrays by what they belong to: the state of a training as JAX carries it from step to step
Arrays = dict[str, list[Any]]

#: shape and dtype of each, by the same names
Shapes = dict[str, list[tuple[tuple[int, ...], str]]]

_NAME = "training.safetensors"
_FORMAT = "1"
#: bytes that the file, and its header with the record, have at most
_LIMIT, _HEADER = 2**35, 16 * 2**20
_ANEW = "this training cannot go on: `sunhwan train` it anew, with `--overwrite` or elsewhere"
#: arrays that are there once an epoch is done, and those that they are the best of
_BEST = {"best_trainable": "trainable", "best_non_trainable": "non_trainable"}


def write(folder: Path, arrays: Mapping[str, Sequence[Any]], record: Mapping[str, Any]) -> None:
    """Replace the state in `folder` by lists of arrays, under their names, and a plain record.

    Raises
    ------
    UsageError
        The record is so long that it could not be read again.
    """
    from safetensors.numpy import save

    flat = {
        f"{name}/{place}": np.asarray(array, order="C")
        for name, row in arrays.items()
        for place, array in enumerate(row)
    }
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    content = save(flat, {"format": _FORMAT, "record": text})
    if (size := int.from_bytes(content[:8], "little")) > _HEADER:
        raise UsageError(
            f"{folder / _NAME}: the figures of all epochs must fit into {_HEADER:,} bytes, "
            f"received {size:,}",
            hint="train fewer epochs",
        )
    write_bytes(folder / _NAME, content)


def read(
    folder: Path, check: Callable[[Shapes, dict[str, Any]], None] = lambda shapes, record: None
) -> tuple[dict[str, list[NDArray[Any]]], dict[str, Any]] | None:
    """What was written to `folder` last, or None if nothing was.

    Parameters
    ----------
    check
        Called with shapes and dtypes of the arrays, and with the record, before an array is read;
        it raises if they are not those wanted.

    Raises
    ------
    DataError
        The file is damaged, no regular one, or of another version.
    """
    path = folder / _NAME
    # what a process left that was killed while it wrote
    for left in folder.glob(f".{_NAME}.*"):
        if left.is_file():
            left.unlink()
    if not os.path.lexists(path):
        return None
    try:
        with opened(path, _LIMIT, header=_HEADER) as stored:
            record = _record(path, stored.table.pop("__metadata__", None))
            flat = stored.shapes()
            names = _names(path, flat)
            check({name: [flat[key] for key in keys] for name, keys in names.items()}, record)
            arrays = stored.load(flat)
    except DataError as error:
        raise DataError(error.message, hint=error.hint if error.hint != AGAIN else _ANEW) from error
    return {name: [arrays[key] for key in keys] for name, keys in names.items()}, record


def _record(path: Path, metadata: object) -> dict[str, Any]:
    """The record of a state of this version."""
    fields = metadata if isinstance(metadata, dict) else {}
    version, text = fields.get("format"), fields.get("record")
    if not isinstance(version, str) or not isinstance(text, str):
        raise damaged(path, "it must hold a format and a record")
    if version != _FORMAT:
        raise DataError(
            f"{path} must have format {_FORMAT}, received {shown(version)}",
            hint="go on with the version of sunhwan that wrote it",
        )
    return parse_object(text.encode(), path)


def _names(path: Path, keys: Iterable[str]) -> dict[str, list[str]]:
    """The keys of each list of arrays, in its order."""
    counts: Counter[str] = Counter()
    for key in keys:
        if not re.fullmatch(r"[a-z_]+/[0-9]+", key):
            raise damaged(path, f"no array can be called {shown(key)}")
        counts[key.partition("/")[0]] += 1
    names = {name: [f"{name}/{place}" for place in range(n)] for name, n in counts.items()}
    if missing := {key for row in names.values() for key in row} - set(keys):
        raise damaged(path, f"it lacks the array {shown(min(missing))}")
    return names


class Record(BaseModel):
    """What a training was at, beside its arrays.

    Attributes
    ----------
    settings
        What the state depends on.
    figures
        By name, one number an epoch that is done.
    batch
        How many batches of the next epoch are done.
    seconds
        In training so far.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    settings: dict[str, Any]
    figures: dict[str, list[float]]
    batch: int = Field(ge=0)
    seconds: float = Field(ge=0)

    @model_validator(mode="after")
    def _whole(self) -> Record:
        if self.figures and not {"loss", self.settings.get("monitor")} <= set(self.figures):
            raise ValueError("the figures lack the loss or what is monitored")
        if len({len(row) for row in self.figures.values()}) > 1:
            raise ValueError("each figure must have a number for each epoch")
        return self

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.figures.get("loss", []))


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

    def load(self, fresh: Arrays) -> tuple[Arrays, Record] | None:
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
        if self.folder is None:
            return None
        wanted = {
            name: [(tuple(array.shape), str(array.dtype)) for array in row]
            for name, row in fresh.items()
        }
        found = read(self.folder, lambda shapes, record: self._check(shapes, record, wanted))
        return None if found is None else (found[0], Record.model_validate(found[1]))

    def _check(self, shapes: Shapes, fields: dict[str, Any], wanted: Shapes) -> None:
        """Refuse a state of other settings or another model, or one that is none."""
        path = (self.folder or Path()) / _NAME
        try:
            record = Record.model_validate(fields)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "record"
            raise damaged(path, f"`{shown(place)[1:-1]}`: {first['msg']}") from error
        hint = "go on with what it was started with, or train into another folder"
        for name, value in self._settings.items():
            before = record.settings.get(name)
            if before != value:
                raise UsageError(
                    f"the training in {self.folder} was started with `{name}` {shown(before)}, "
                    f"received {value!r}",
                    hint=hint,
                )
        for name, row in wanted.items():
            if shapes.get(name, []) != row:
                raise UsageError(
                    f"the training in {self.folder} was started with another model: "
                    f"its `{name}` arrays have other shapes",
                    hint=hint,
                )
        for name, origin in _BEST.items():
            if shapes.get(name, []) != (wanted[origin] if record.epochs else []):
                raise damaged(path, f"the `{name}` arrays must be those of {record.epochs} epochs")
        if unknown := set(shapes) - set(wanted) - set(_BEST):
            raise damaged(path, f"arrays `{min(unknown)}` are not expected")
