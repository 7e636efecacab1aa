"""Files that are either complete or not there: written beside, flushed to disk, renamed."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from sunhwan.errors import DataError


@contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """A file to write that takes the place of `path` at the end, so that no reader sees a part.

    The bytes go to a temporary file in the same folder (made if missing). On any exception, Ctrl-C
    included, it is removed and what was at `path` before stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            # mkstemp makes files for the owner's eyes only; a result has the usual permissions
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, content: bytes) -> Path:
    """Write `content` to `path` so that no reader ever sees a part of it; see `replacing`.

    Returns
    -------
    Path
        `path`.
    """
    with replacing(path) as file:
        file.write(content)
    return Path(path)


def write_text(path: Path | str, content: str) -> Path:
    """Write `content` as UTF-8; see `write_bytes`."""
    return write_bytes(path, content.encode("utf-8"))


def write_json(path: Path | str, value: Any) -> Path:
    """Write `value` as JSON (UTF-8, two spaces a level, rows of plain values on one line).

    Raises
    ------
    DataError
        A number in `value` is not finite. JSON has no word for it, and a result that holds one
        is a mistake to be found now; write ``None`` where a figure is not defined.
    """
    _check_finite(value, "")
    return write_text(path, _dump(value, 0) + "\n")


def read_json(path: Path | str) -> Any:
    """The value in a JSON file.

    Raises
    ------
    DataError
        The file is missing, is not UTF-8 or is not JSON; names the file and line.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} was expected to be a JSON file, but there is none") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error


def _umask() -> int:
    # the mask can only be read by setting it
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _check_finite(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise DataError(f"`{where or 'value'}` must be a finite number, received {value}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_finite(item, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_finite(item, f"{where}[{index}]")


def _dump(value: Any, level: int) -> str:
    """JSON text in which a list of plain values, such as one curve, takes one line."""
    inner, outer = "  " * (level + 1), "  " * level
    if isinstance(value, Mapping) and value:
        lines = [
            f"{inner}{json.dumps(str(key))}: {_dump(v, level + 1)}" for key, v in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    if isinstance(value, list | tuple) and any(
        isinstance(v, Mapping | list | tuple) for v in value
    ):
        lines = [inner + _dump(item, level + 1) for item in value]
        return "[\n" + ",\n".join(lines) + f"\n{outer}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
