"""What batches are made of, checked: the steps of each row, its answers and its weight.

Rows may be more than memory holds, so they are looked at some at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.drawing import in_blocks
from sunhwan.data.padding import Ragged, as_array
from sunhwan.data.spool import Spool, Spooled, lengths
from sunhwan.errors import DataError, ShapeError

Rows = Sequence[Any] | NDArray[Any]

#: numbers that are looked at together
_AT_ONCE = 1 << 20


def check_steps(inputs: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    """``int64[N]``: the number of steps of each row, all of which a network can read.

    Raises
    ------
    ShapeError, DataError
        A row is unlike the others, empty, not finite, or holds an id below 1; names it.
    """
    counts: list[NDArray[np.int64]] = []
    dtype = None
    for first, rows in _blocks(inputs):
        if not rows.lengths.all():
            row = first + int(rows.lengths.argmin())
            raise DataError(f"each row must have at least one step, received none in row {row}")
        flat = rows.flat
        dtype = dtype or flat.dtype
        if flat.dtype != dtype:
            raise ShapeError(f"`inputs` must all be {dtype}, received {flat.dtype} in row {first}")
        if flat.ndim == 1 and flat.dtype == np.int32:
            if flat.min() < 1:
                place = int(flat.argmin())
                raise DataError(
                    f"ids must be at least 1, as 0 is padding, received {flat[place]} "
                    f"in {_where(rows, first, place)}"
                )
        elif flat.ndim == 2 and flat.dtype in (np.float32, np.int32):
            _check_finite("inputs", rows, first)
        elif flat.ndim == 4 and flat.dtype == np.uint8:
            pass  # any values are frames
        else:
            raise ShapeError(
                "`inputs` must be all int32[T], all int32[T, K], all float32[T, D] or all "
                "uint8[T, H, W, C], received "
                f"{flat.dtype} with steps of shape {flat.shape[1:]}"
            )
        counts.append(rows.lengths)
    return np.concatenate(counts)


def row_answers(targets: Rows) -> NDArray[Any]:
    """``int32[N]`` or ``float32[N, K]``: one answer for each row.

    Raises
    ------
    ShapeError, DataError
        An answer is unlike the others, none that can be learnt, or not finite; names the row.
    """
    shapes = [np.shape(target) for target in targets]
    for row, shape in enumerate(shapes):
        if shape != shapes[0]:
            raise ShapeError(
                f"`targets` of row {row} must have shape {shapes[0]}, received {shape}"
            )
    stacked = np.asarray(targets)
    if stacked.ndim > 2 or stacked.dtype.kind not in "biuf":
        raise DataError(
            "`targets` must be numbers or arrays of rank 1, received "
            f"{stacked.dtype} of rank {stacked.ndim - 1}",
            hint="answers for each step need per_step=True",
        )
    if stacked.dtype.kind in "biu":
        return stacked.astype(np.int32)
    bad = ~np.isfinite(stacked)
    if bad.any():
        row = int(np.argwhere(bad)[0, 0])
        raise DataError(
            f"`targets` must be finite numbers, received {stacked[bad][0]} in row {row}"
        )
    stacked = stacked.astype(np.float32)
    # a column, so that nothing broadcasts [B] against [B, 1]
    return stacked[:, None] if stacked.ndim == 1 else stacked


def step_answers(targets: Rows, steps: NDArray[np.int64]) -> Sequence[NDArray[Any]]:
    """One answer for each step of each row: all ``int32[T]``, or all ``float32[T, ...]``.

    Parameters
    ----------
    steps
        ``int64[N]``, of each row.

    Raises
    ------
    ShapeError, DataError
        As `row_answers`, or a row has more or fewer answers than steps.
    """
    is_whole = True
    for first, rows in _blocks(targets):
        _check_lengths("targets", rows.lengths, steps[first : first + len(rows)], first)
        if rows.flat.dtype.kind == "f":
            is_whole = False
            _check_finite("targets", rows, first)
    dtype = np.int32 if is_whole else np.float32
    if isinstance(targets, Spooled) and targets[0].dtype == dtype:
        return targets
    return Spool(np.asarray(row, dtype) for row in targets).items()


def weights_of(
    given: Rows | None, steps: NDArray[np.int64], per_step: bool
) -> NDArray[np.float32] | Sequence[NDArray[np.float32]]:
    """``float32[N]``: what each row counts; or ``float32[T]`` of each where steps differ.

    Raises
    ------
    ShapeError, DataError
        A weight is negative or not finite, all are 0, or a row has not one for each step.
    """
    if given is None:
        return np.ones(len(steps), np.float32)
    if not per_step or not any(np.ndim(weight) for weight in given):
        flat = np.asarray(given)
        if flat.ndim != 1 or not (np.isfinite(flat) & (flat >= 0)).all() or not flat.any():
            raise _wrong_weights(flat)
        return flat.astype(np.float32)
    rows = Spool(
        np.full(count, row, np.float32) if np.ndim(row) == 0 else np.asarray(row, np.float32)
        for row, count in zip(given, steps.tolist(), strict=True)
    ).items()
    _check_lengths("sample_weights", lengths(rows), steps, 0)
    total = 0.0
    for _, block in _blocks(rows):
        if not (np.isfinite(block.flat) & (block.flat >= 0)).all():
            raise _wrong_weights(block.flat)
        total += float(block.flat.sum())
    if not total:
        raise _wrong_weights(rows[0])
    return rows


def _blocks(rows: Iterable[Any]) -> Iterator[tuple[int, Ragged]]:
    """Some rows at a time, end to end, with the number of the first."""
    first = 0
    for block in in_blocks(_alike(rows), _AT_ONCE):
        yield first, Ragged.from_rows(block)
        first += len(block)


def _alike(rows: Iterable[Any]) -> Iterator[NDArray[Any]]:
    shape = None
    for number, row in enumerate(rows):
        array = as_array(number, row)
        if len(array):
            shape = shape or array.shape[1:]
            if array.shape[1:] != shape:
                raise ShapeError(
                    f"row {number} must have steps of shape {shape}, received {array.shape[1:]}"
                )
        yield array


def _check_lengths(
    name: str, counts: NDArray[np.int64], steps: NDArray[np.int64], first: int
) -> None:
    wrong = np.flatnonzero(counts != steps)
    if len(wrong):
        place = int(wrong[0])
        raise ShapeError(
            f"`{name}` of row {first + place} must have one entry for each of its "
            f"{steps[place]} steps, received {counts[place]}"
        )


def _check_finite(name: str, rows: Ragged, first: int) -> None:
    bad = ~np.isfinite(rows.flat)
    if bad.any():
        where = _where(rows, first, int(np.argwhere(bad)[0, 0]))
        raise DataError(f"`{name}` must be finite numbers, received {rows.flat[bad][0]} in {where}")


def _where(rows: Ragged, first: int, place: int) -> str:
    row = int(np.searchsorted(rows.offsets, place, side="right")) - 1
    return f"row {first + row}, step {place - rows.offsets[row]}"


def _wrong_weights(received: NDArray[Any]) -> DataError:
    return DataError(
        "`sample_weights` must be finite numbers from 0 up, one for each row or step, "
        f"and not all 0, received {received!r}"
    )
