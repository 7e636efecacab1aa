"""Many items one after the other: in memory while they are small, else in a file without a name.

The file is in the folder that `TMPDIR` names, without it in ``/var/tmp``, for ``/tmp`` is memory on
many systems. It has no name from the start, so whatever ends the process, it is gone. It is read
piece by piece instead of being mapped into memory: a disk that fails then raises an error instead
of ending the process, and the pages are those of the system's cache, which gives way.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import DataError, ShapeError, UsageError

Item = TypeVar("Item")

#: mebibytes of each kind of thing that stay in memory (texts, places, encoded sequences), and the
#: environment variable that says otherwise
MEMORY, MEMORY_VARIABLE = 128.0, "SUNHWAN_SPOOL_MB"
#: bytes that are written or read at once
_BLOCK = 1 << 18
#: items whose places are looked up at once
_ROWS = 4096
#: bytes of an array beside its numbers
_ARRAY = 112


class Spool(Generic[Item]):
    """Takes items and gives them back as a sequence, which lies on disk if it is large.

    Items are all texts, all lists of texts, or all arrays of one dtype ``[T, ...]`` that differ in
    T alone. They come back equal and in order; arrays from a file are read-only.

    Parameters
    ----------
    items
        The first ones.

    Raises
    ------
    UsageError
        `SUNHWAN_SPOOL_MB` is no number from 0 up.
    ShapeError
        An array that must go to the file is unlike those before.
    DataError
        The file cannot be written, as where the disk is full.

    Examples
    --------
    >>> spool = Spool(["one", "two"])
    >>> spool.add("three")
    >>> spool.items()
    ['one', 'two', 'three']
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._room = _memory()
        self._items: list[Item] = []
        self._file: _File | None = None
        for item in items:
            self.add(item)

    def add(self, item: Item) -> None:
        """Put an item behind the others."""
        if self._file is not None:
            self._file.add(item)
            return
        self._items.append(item)
        self._room -= _size(item)
        if self._room < 0:
            self._file = _File(_form_of(self._items[0]))
            for kept in self._items:
                self._file.add(kept)
            self._items = []

    def items(self) -> Sequence[Item]:
        """All items: a list, or `Spooled` if they are in a file. No more can be added then."""
        if self._file is None:
            return self._items
        self._file.finish()
        return Spooled(self._file)


class Spooled(Sequence[Item]):
    """The items of a `Spool` that are in a file, or some of them.

    Items are read anew each time; to go through all of them in order is quickest.
    """

    def __init__(self, file: _File, rows: NDArray[np.int64] | None = None) -> None:
        self._file = file
        self._rows = rows

    def __len__(self) -> int:
        return len(self._file.ends) - 1 if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        row = range(len(self))[index]
        row = row if self._rows is None else int(self._rows[row])
        low, high = self._file.ends[row : row + 2].tolist()
        item: Item = self._file.form.unpack(self._file.read(low, high - low))
        return item

    def __iter__(self) -> Iterator[Item]:
        read, ends, unpack = self._file.read, self._file.ends, self._file.form.unpack
        start, block = 0, b""
        for first in range(0, len(self), _ROWS):
            rows = np.arange(first, min(first + _ROWS, len(self)))
            rows = rows if self._rows is None else self._rows[rows]
            for low, high in zip(ends[rows].tolist(), ends[rows + 1].tolist(), strict=True):
                if low < start or high > start + len(block):
                    start, block = low, read(low, max(high - low, _BLOCK))
                yield unpack(block[low - start : high - start])

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Spooled[Item]:
        """Some of the items, in the order of `rows`; nothing is read or copied."""
        chosen = np.asarray(rows, np.int64)
        return Spooled(self._file, chosen if self._rows is None else self._rows[chosen])

    def lengths(self) -> NDArray[np.int64]:
        """``int64[N]``: the length of each item; that of arrays is known without reading them."""
        width = self._file.form.width
        if width is None:
            return np.fromiter((len(item) for item in self), np.int64, len(self))  # type: ignore[arg-type]
        sizes = np.diff(self._file.ends) // width
        return sizes if self._rows is None else sizes[self._rows]


def take(items: Sequence[Item], rows: Sequence[int] | NDArray[Any]) -> Sequence[Item]:
    """Some of `items`, in the order of `rows`.

    Examples
    --------
    >>> take(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    return items.take(rows) if isinstance(items, Spooled) else [items[row] for row in rows]


def lengths(items: Sequence[Any]) -> NDArray[np.int64]:
    """``int64[N]``: the length of each item.

    Examples
    --------
    >>> lengths(["a", "bcd"]).tolist()
    [1, 3]
    """
    if isinstance(items, Spooled):
        return items.lengths()
    return np.fromiter(map(len, items), np.int64, len(items))


class _Form(NamedTuple):
    """How items become bytes and back, and the bytes of each step if they are arrays."""

    pack: Callable[[Any], bytes]
    unpack: Callable[[bytes], Any]
    width: int | None = None


def _form_of(item: Any) -> _Form:
    if isinstance(item, str):
        return _Form(_text_to_bytes, _text_from_bytes)
    if isinstance(item, list):
        return _Form(
            lambda tokens: _text_to_bytes(json.dumps(tokens, ensure_ascii=False)),
            lambda data: json.loads(_text_from_bytes(data)),
        )
    dtype, shape = item.dtype, item.shape[1:]

    def pack(steps: NDArray[Any]) -> bytes:
        if steps.dtype != dtype or steps.shape[1:] != shape:
            raise ShapeError(
                f"sequences must all be {dtype} with steps of shape {shape}, "
                f"received {steps.dtype} and {steps.shape[1:]}"
            )
        return steps.tobytes()

    return _Form(
        pack,
        lambda data: np.frombuffer(data, dtype).reshape(-1, *shape),
        dtype.itemsize * math.prod(shape),
    )


def _text_to_bytes(text: str) -> bytes:
    # halves of surrogate pairs, which JSON can spell, must not be lost on the way
    return text.encode("utf-8", "surrogatepass")


def _text_from_bytes(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


class _File:
    """A file that is written from its beginning to its end, then read anywhere.

    Attributes
    ----------
    form
        Of its items.
    ends
        ``int64[N + 1]``: item ``n`` lies from ``ends[n]`` to ``ends[n + 1]``; set by `finish`.
    """

    def __init__(self, form: _Form) -> None:
        self.form = form
        self.ends: NDArray[np.int64] = np.zeros(1, np.int64)
        self._folder = _folder()
        self._growing = array("q", [0])
        self._waiting: list[bytes] = []
        self._written = 0
        try:
            self._file: Any = tempfile.TemporaryFile(buffering=0, dir=self._folder)  # noqa: SIM115
        except OSError as error:
            raise self._failed(error) from error
        weakref.finalize(self, self._file.close)

    def add(self, item: Any) -> None:
        data = self.form.pack(item)
        self._waiting.append(data)
        self._growing.append(self._growing[-1] + len(data))
        if self._growing[-1] - self._written >= _BLOCK:
            self._write()

    def finish(self) -> None:
        self._write()
        self.ends = np.frombuffer(self._growing, np.int64)

    def read(self, start: int, size: int) -> bytes:
        """`size` bytes from `start` on; fewer if the file ends before."""
        try:
            return os.pread(self._file.fileno(), size, start)
        except OSError as error:
            raise DataError(
                f"the file that keeps the data beside memory cannot be read ({error.strerror})"
            ) from error

    def _write(self) -> None:
        rest = memoryview(b"".join(self._waiting))
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._failed(error) from error
        self._waiting, self._written = [], self._growing[-1]

    def _failed(self, error: OSError) -> DataError:
        return DataError(
            f"the data is too large for memory, and the file in {self._folder} that is to keep it "
            f"cannot be written after {self._written >> 20:,} MiB ({error.strerror})",
            hint="make room there, or let the environment variable TMPDIR name a folder with room",
        )


def _memory() -> int:
    """Bytes of a `Spool` that stay in memory."""
    given = os.environ.get(MEMORY_VARIABLE) or MEMORY
    try:
        size = float(given)
    except ValueError:
        size = -1.0
    if not 0 <= size < math.inf:
        raise UsageError(
            f"the environment variable {MEMORY_VARIABLE} must be a number of mebibytes from 0 up, "
            f"received {given!r}"
        )
    return int(size * 2**20)


def _folder() -> str:
    is_named = any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    usual = "/var/tmp"
    return usual if not is_named and os.access(usual, os.W_OK) else tempfile.gettempdir()


def _size(item: Any) -> int:
    """About how many bytes of memory an item takes."""
    if isinstance(item, np.ndarray):
        return _ARRAY + item.nbytes
    if isinstance(item, list):
        return sys.getsizeof(item) + sum(map(sys.getsizeof, item))
    return sys.getsizeof(item)
