"""Where data lies: the folder that `SUNHWAN_DATA` names, and the cache of what was made of it.

`SUNHWAN_CACHE` names the cache; without it, `sunhwan` in the user's cache folder is used.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import DataError

Arrays = dict[str, NDArray[Any]]


def find(name: str, files: Sequence[str]) -> list[Path] | None:
    """The files of the data set `name` in the folder that `SUNHWAN_DATA` names.

    Returns
    -------
    list of Path or None
        ``None`` where `SUNHWAN_DATA` is not set, or its folder has nothing of that name.

    Raises
    ------
    DataError
        `SUNHWAN_DATA` names no folder, or the data set lacks one of its files.
    """
    root = os.environ.get("SUNHWAN_DATA")
    if not root:
        return None
    if not Path(root).is_dir():
        raise DataError(f"`SUNHWAN_DATA` must name a folder, received {root!r}")
    folder = Path(root) / name
    if not folder.is_dir():
        return None
    paths = [folder / file for file in files]
    for path in paths:
        if not path.is_file():
            raise DataError(f"{folder} must hold {' and '.join(files)}, but lacks {path.name}")
    return paths


def cache_folder() -> Path:
    """The folder for what can be made again; it need not exist yet."""
    if named := os.environ.get("SUNHWAN_CACHE"):
        return Path(named)
    if users := os.environ.get("XDG_CACHE_HOME"):
        return Path(users) / "sunhwan"
    return Path.home() / ".cache" / "sunhwan"


def checksum(paths: Sequence[Path]) -> str:
    """SHA-256 over the contents of `paths`, in hexadecimal."""
    # one digest a file, so that bytes cannot move from one file to the next unnoticed
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def remember(key: str, names: Sequence[str], build: Callable[[], Arrays]) -> Arrays:
    """The arrays kept in the cache under `key`; where they are not, or are damaged, `build` them.

    Parameters
    ----------
    key
        Names the cache file; holds the checksum of whatever `build` reads.
    names
        The arrays that `build` returns.
    build
        Makes the arrays.

    Warns
    -----
    RuntimeWarning
        The cache cannot be written, so that the next call takes as long as this one.
    """
    path = cache_folder() / f"{key}.npz"
    arrays = _read(path, names)
    if arrays is None:
        arrays = build()
        try:
            _write(path, arrays)
        except OSError as error:
            warnings.warn(
                f"{path} cannot be written ({error.strerror}), so the data is prepared again "
                "each time; name a folder that can be written in `SUNHWAN_CACHE`",
                RuntimeWarning,
                stacklevel=2,
            )
    return arrays


def _read(path: Path, names: Sequence[str]) -> Arrays | None:
    if not path.is_file():
        return None
    try:
        # opened here, for numpy leaves a damaged file open; it checks each array's CRC as it reads
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        return None


def _write(path: Path, arrays: Arrays) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
