"""The guard that every file of a run is read through.

A run may come from anybody. A file is therefore opened only if it is a regular one, its size is
known before it is read, and its JSON is strict. No name in a file is used as a path, and nothing in
it is executed.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sunhwan.errors import DataError

#: what can be done about a file of a run that cannot be used
AGAIN = "copy the run again from where it came from, or train it again into a new folder"

_DEPTH = 32
_VALUES = 2_000_000
_HOLDERS = 250_000
_DIGITS = 20


def open_member(path: Path, limit: int) -> io.BufferedReader:
    """A file of a run, opened for reading if it is a regular one of at most `limit` bytes.

    Links are not followed, and a pipe is not waited for.

    Raises
    ------
    DataError
        There is none, or no such one.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise DataError(f"{path} was expected, but there is none", hint=AGAIN) from error
    except OSError as error:
        link = error.errno == errno.ELOOP
        reason = "it is a symbolic link" if link else f"it cannot be read ({error.strerror})"
        raise damaged(path, reason) from error
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= limit:
        return os.fdopen(handle, "rb")
    os.close(handle)
    if not stat.S_ISREG(status.st_mode):
        raise damaged(path, "it must be a regular file")
    raise damaged(path, f"it must have 1 to {limit:,} bytes, received {status.st_size:,}")


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """An object in strict JSON: no key twice, no number that a computer cannot hold, little depth.

    Parameters
    ----------
    path
        The file, for messages.

    Raises
    ------
    DataError
        `content` is no such object; names the file, and the line where there is one.
    """
    # three bytes may become an object of two hundred
    if content.count(b",") > _VALUES or content.count(b"[") + content.count(b"{") > _HOLDERS:
        raise damaged(path, f"it holds above {_VALUES:,} values, or {_HOLDERS:,} lists and objects")
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_int=_whole_number,
            parse_float=_finite_number,
            parse_constant=_finite_number,
        )
        _check_depth(value)
        if re.search(rb"\\u[dD][89a-fA-F]", content):
            # half of a pair is no text: it could not be written again
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise damaged(path, f"it is nested deeper than {_DEPTH} levels") from error
    except ValueError as error:
        raise damaged(path, str(error)) from error
    if not isinstance(value, dict):
        raise damaged(path, f"it must hold a JSON object, received a {type(value).__name__}")
    return value


def damaged(path: Path, reason: str) -> DataError:
    """The error for a file of a run that cannot be used, with what can be done about it."""
    return DataError(f"{path} is damaged or no part of a run: {reason}", hint=AGAIN)


def changed(path: Path) -> DataError:
    """The error for a file that has another checksum than when the run was finished."""
    return damaged(path, "it is not as training wrote it (its SHA-256 differs)")


def shown(value: object) -> str:
    """What came, fit to be printed: escaped, and no longer than a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shown(twice)} stands twice in one object")
    return value


def _whole_number(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a whole number of {len(text):,} digits, at most {_DIGITS} are read")
    return int(text)


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{shown(text)} is no finite number")
    return number


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEPTH + 1):
        holders = [item for item in level if isinstance(item, dict | list)]
        if not holders:
            return
        level = [i for h in holders for i in (h.values() if isinstance(h, dict) else h)]
    raise ValueError(f"it is nested deeper than {_DEPTH} levels")
