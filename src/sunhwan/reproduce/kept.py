"""Finished seeds of an experiment that is still running, so that Ctrl-C costs only the last one."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from sunhwan.errors import DataError
from sunhwan.runs.files import read_json, write_json


class Kept:
    """Records of finished seeds in ``FOLDER/seeds``, each under a key of all that decides it.

    A record is taken only by a call that would compute the same: same settings, data, versions,
    machine and code of this package. The folder goes when the experiment's results are written.

    Parameters
    ----------
    folder
        The experiment's folder.
    settings
        What decides a result beside the seed; anything JSON can say.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self._folder = folder / "seeds"
        self._settings = json.dumps({**settings, "code": _code()}, sort_keys=True)

    def get(self, label: str, seed: int) -> dict[str, Any] | None:
        """The record of a seed that an interrupted call left, or ``None``."""
        path = self._path(label, seed)
        if not path.is_file():
            return None
        try:
            kept = read_json(path)
        except DataError:
            # not ours to keep a damaged file alive: the seed is simply run
            return None
        matches = isinstance(kept, dict) and kept.get("key") == self._key(label, seed)
        return kept["record"] if matches else None

    def put(self, label: str, seed: int, record: Mapping[str, Any]) -> None:
        """Keep a finished record."""
        write_json(self._path(label, seed), {"key": self._key(label, seed), "record": record})

    def clear(self) -> None:
        """Remove every kept record."""
        if self._folder.is_dir():
            for path in self._folder.glob("*.json"):
                path.unlink()
            self._folder.rmdir()

    def _path(self, label: str, seed: int) -> Path:
        return self._folder / f"{label}-{seed}.json"

    def _key(self, label: str, seed: int) -> str:
        return hashlib.sha256(f"{self._settings}|{label}|{seed}".encode()).hexdigest()


@functools.cache
def _code() -> str:
    """A fingerprint of this package's own Python and compiled files, as this process found them."""
    digest = hashlib.sha256()
    root = Path(str(package_files("sunhwan")))
    for path in sorted(root.rglob("*")):
        if path.suffix in {".py", ".so"} and path.is_file():
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
