"""Reads `.tsv.gz` tables: a header line, tab-separated fields, no quoting, strict UTF-8."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import DataError


@dataclass(frozen=True)
class Table:
    """The columns of a file, as text.

    Attributes
    ----------
    path
        The file, for messages.
    columns
        Column name to its fields, top to bottom; row ``n`` stands on line ``n + 2``.
    """

    path: Path
    columns: dict[str, list[str]]

    def __getitem__(self, column: str) -> list[str]:
        return self.columns[column]

    def integers(self, column: str, low: int, high: int) -> NDArray[np.int64]:
        """A column of whole numbers from `low` to `high`, ``int64[N]``.

        Raises
        ------
        DataError
            A field is no whole number or lies outside; names the file and line.
        """
        values = np.empty(len(self[column]), np.int64)
        for row, field in enumerate(self[column]):
            try:
                value = int(field)
            except ValueError:
                value = None
            if value is None or not low <= value <= high:
                raise self._wrong(column, row, f"a whole number from {low} to {high}")
            values[row] = value
        return values

    def codes(self, column: str, names: Sequence[str]) -> NDArray[np.int64]:
        """A column of names as their places in `names`, ``int64[N]``.

        Raises
        ------
        DataError
            A field is none of `names`; names the file and line.
        """
        place = {name: number for number, name in enumerate(names)}
        values = np.empty(len(self[column]), np.int64)
        for row, field in enumerate(self[column]):
            if field not in place:
                raise self._wrong(column, row, f"one of the {len(names)} known names")
            values[row] = place[field]
        return values

    def _wrong(self, column: str, row: int, expected: str) -> DataError:
        field = self[column][row]
        return DataError(
            f"{self.path}, line {row + 2}: `{column}` must be {expected}, received {field!r}"
        )


def read_table(path: Path | str, columns: Sequence[str]) -> Table:
    r"""Read a `.tsv.gz` file that has at least the named columns.

    Raises
    ------
    DataError
        The file is missing, empty, cut off or not gzip, is not UTF-8, lacks a column or has a
        line with too few or too many fields; names the file and line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "tiny.tsv.gz"
    ...     size = path.write_bytes(gzip.compress(b"label\ttext\n1\tfine film\n"))
    ...     read_table(path, ["text"])["text"]
    ['fine film']
    """
    path = Path(path)
    lines = _lines(path)
    header = next(lines, None)
    if header is None:
        raise DataError(f"{path}: expected a header line, but the file is empty")
    names = header.split("\t")
    for column in columns:
        if column not in names:
            raise DataError(
                f"{path}, line 1: expected a column `{column}`, received {', '.join(names)}"
            )
    rows = []
    for number, line in enumerate(lines, 2):
        fields = line.split("\t")
        if len(fields) != len(names):
            raise DataError(
                f"{path}, line {number}: expected {len(names)} fields between tabs "
                f"({', '.join(names)}), received {len(fields)}"
            )
        rows.append(fields)
    if not rows:
        raise DataError(f"{path}: expected rows after the header, but line 1 is the last")
    return Table(path, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


def _lines(path: Path) -> Iterator[str]:
    """The lines of a gzip file as text, without their ends.

    Split at line feeds alone: a text may hold any of the other marks that Unicode calls a line end.
    """
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            for raw in file:
                number += 1
                yield raw.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: expected UTF-8, received byte "
            f"0x{error.object[error.start]:02x} at place {error.start + 1} of the line"
        ) from error
    except EOFError as error:
        raise DataError(
            f"{path}, line {number + 1}: the gzip data is cut off", hint="copy the file again"
        ) from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: expected a file, but there is none") from error
    except (OSError, zlib.error) as error:
        raise DataError(
            f"{path}, line {number + 1}: the file cannot be read as gzip data ({error})"
        ) from error
