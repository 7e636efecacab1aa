"""What a run is made of: its files, and what ``run.json`` says of it, checked field by field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import sunhwan
from sunhwan.errors import DataError
from sunhwan.runs.guard import damaged, shown

#: number of the layout of a run; a run of a later one is refused with the version that it needs
FORMAT = 1

_MB = 2**20
#: the files of a run, with the most bytes that each may have
LIMITS = {
    "run.json": _MB // 16,
    "config.json": _MB,
    "encoder.json": 32 * _MB,
    "model.json": _MB,
    "weights.safetensors": 2048 * _MB,
    "history.json": 16 * _MB,
    "environment.json": 16 * _MB,
    "predictions.jsonl": 128 * _MB,
    "results.json": 32 * _MB,
    "report.html": 128 * _MB,
    "insight.html": 128 * _MB,
}
#: those that may be made anew in a finished run
CHANGING = {"run.json", "results.json", "report.html", "insight.html"}
#: those that have a checksum in a finished run
SEALED = set(LIMITS) - CHANGING
#: those without which there is no network
NEEDED = ("config.json", "model.json", "weights.safetensors")

#: what a field of text is made of
FIELDS = {
    "sunhwan": r"[0-9][0-9A-Za-z.+!]{0,31}",
    "task": r"[a-z][a-z_]{0,31}",
    "state": r"training|finished",
    "created": r"[0-9T:+-]{10,32}",
}


def checked_record(path: Path, record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record but its format.

    Parameters
    ----------
    path
        Of the record, for messages.

    Raises
    ------
    DataError
        The format is not one that this version reads, or a field is missing, unknown or cannot be.
    """
    number = record.pop("format", None)
    if type(number) is not int or number < 1:
        raise damaged(path, f"`format` must be a whole number from 1 up, received {shown(number)}")
    if number > FORMAT:
        raise _newer(path, number, record.get("sunhwan"))
    if set(record) != {*FIELDS, "sha256"}:
        raise damaged(path, f"it must hold format, sha256, {', '.join(FIELDS)}")
    for key, pattern in FIELDS.items():
        if not isinstance(record[key], str) or not re.fullmatch(pattern, record[key]):
            raise damaged(path, f"`{key}` cannot be {shown(record[key])}")
    sums = record["sha256"]
    if not isinstance(sums, dict) or not set(sums) <= SEALED:
        raise damaged(path, "`sha256` must hold files of a run")
    return record


def _newer(path: Path, number: int, version: object) -> DataError:
    known = isinstance(version, str) and re.fullmatch(FIELDS["sunhwan"], version)
    return DataError(
        f"{path} is of run format {number} and needs sunhwan {version if known else '(newer)'}; "
        f"this is sunhwan {sunhwan.__version__}, which reads formats up to {FORMAT}",
        hint=f"pip install --upgrade 'sunhwan{f'>={version}' if known else ''}'",
    )
