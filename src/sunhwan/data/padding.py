"""Rows of unequal length: kept end to end in one array, padded or cut to one length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sunhwan.errors import DataError, ShapeError, UsageError

_SIDES = ("pre", "post")


@dataclass(frozen=True, eq=False)
class Ragged:
    """N rows of unequal length.

    Attributes
    ----------
    flat
        ``[total, ...]``: the rows, end to end.
    offsets
        ``int64[N + 1]``: row ``n`` is ``flat[offsets[n]:offsets[n + 1]]``.

    Examples
    --------
    >>> rows = Ragged.from_rows([[5], [], [6, 7]])
    >>> rows.offsets.tolist(), rows[2].tolist()
    ([0, 1, 1, 3], [6, 7])
    """

    flat: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def from_rows(cls, rows: Iterable[Any]) -> Ragged:
        """Put rows of numbers, or of equally shaped vectors, end to end.

        Raises
        ------
        DataError
            A row is no sequence of numbers; names the row.
        ShapeError
            The steps of a row are shaped unlike those of the rows before; names the row.
        """
        arrays = [as_array(number, row) for number, row in enumerate(rows)]
        filled = [array for array in arrays if len(array)]
        for number, array in enumerate(arrays):
            if len(array) and array.shape[1:] != filled[0].shape[1:]:
                raise ShapeError(
                    f"row {number} must have steps of shape {filled[0].shape[1:]}, "
                    f"received {array.shape[1:]}"
                )
        flat = np.concatenate(filled) if filled else np.empty(0, np.int32)
        return cls(flat, _offsets(np.array([len(array) for array in arrays], np.int64)))

    @property
    def lengths(self) -> NDArray[np.int64]:
        """``int64[N]``: the number of steps of each row."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.flat[self.offsets[row] : self.offsets[row + 1]]

    def take(self, order: NDArray[np.int64]) -> Ragged:
        """The rows numbered in `order`, in that order."""
        offsets = _offsets(self.lengths[order])
        shift = np.repeat(self.offsets[order] - offsets[:-1], np.diff(offsets))
        return Ragged(self.flat[shift + np.arange(len(shift))], offsets)

    def keep(self, steps: NDArray[np.bool_]) -> Ragged:
        """The same rows without the steps where `steps`, ``bool[total]``, is false."""
        return Ragged(self.flat[steps], _offsets(steps)[self.offsets])

    def join(self, other: Ragged) -> Ragged:
        """These rows, then those of `other`."""
        return Ragged(
            np.concatenate([self.flat, other.flat]),
            np.concatenate([self.offsets, other.offsets[1:] + self.offsets[-1]]),
        )

    def lists(self) -> NDArray[np.object_]:
        """``object[N]`` of Python lists, also where all rows happen to have one length."""
        values, ends = self.flat.tolist(), self.offsets.tolist()
        rows = (values[start:end] for start, end in pairwise(ends))
        return np.fromiter(rows, dtype=object, count=len(self))


def pad_sequences(
    sequences: Ragged | Iterable[Any],
    maxlen: int | None = None,
    dtype: DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0,
) -> NDArray[Any]:
    """Pad and cut rows to one length T, as `keras.utils.pad_sequences` does.

    Unlike there, floats do not turn into whole numbers unnoticed.

    Parameters
    ----------
    sequences
        N rows of numbers, or of vectors that all have the shape ``[...]``.
    maxlen
        T; ``None`` takes the length of the longest row.
    dtype
        Of what comes out.
    padding, truncating
        Fill or cut in front (``"pre"``) or at the end (``"post"``).
    value
        What fills.

    Returns
    -------
    ndarray
        ``dtype[N, T, ...]``.

    Raises
    ------
    UsageError
        `maxlen`, `padding` or `truncating` is none of the above.
    DataError, ShapeError
        A row is no sequence of numbers, or unlike the others, or does not fit `dtype`.

    Examples
    --------
    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2)
    array([[0, 1],
           [3, 4]], dtype=int32)
    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2, padding="post", truncating="post")
    array([[1, 0],
           [2, 3]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in _SIDES:
            raise UsageError(f"`{name}` must be 'pre' or 'post', received {side!r}")
    if maxlen is not None and maxlen < 1:
        raise UsageError(f"`maxlen` must be at least 1, received {maxlen}")
    rows = sequences if isinstance(sequences, Ragged) else Ragged.from_rows(sequences)
    if not np.can_cast(rows.flat.dtype, dtype, casting="same_kind"):
        raise DataError(
            f"the rows hold {rows.flat.dtype} values, which `dtype` {np.dtype(dtype)} cannot hold",
            hint=f"pass dtype={rows.flat.dtype.name!r}",
        )
    steps = int(rows.lengths.max(initial=0)) if maxlen is None else maxlen
    used = np.minimum(rows.lengths, steps)

    place = np.arange(len(rows.flat)) - np.repeat(rows.offsets[:-1], rows.lengths)
    if truncating == "post":
        kept = place < steps
    else:
        kept = place >= np.repeat(rows.lengths - used, rows.lengths)
    columns = np.arange(steps)
    first = 0 if padding == "post" else steps - used[:, None]
    target = (columns >= first) & (columns < first + used[:, None])

    padded = np.full((len(rows), steps, *rows.flat.shape[1:]), value, dtype)
    padded[target] = rows.flat[kept]
    return padded


def as_array(number: int, row: Any) -> NDArray[Any]:
    """Row `number` as an array of numbers of rank 1 or more.

    Raises
    ------
    ShapeError, DataError
        It is none; names the row.
    """
    try:
        array = np.asarray(row)
    except ValueError as error:
        raise ShapeError(f"row {number} must have steps of one shape, received {error}") from error
    # an empty list comes out as float64, but has no values that could be floats
    if array.ndim == 0 or (array.size and array.dtype.kind not in "biuf"):
        raise DataError(f"row {number} must be a sequence of numbers, received {row!r}")
    return array


def _offsets(counts: NDArray[Any] | Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
