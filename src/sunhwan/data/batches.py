"""Batches of sequences of unequal length: few shapes, and padding that never counts.

Each new shape ``(B, T)`` costs a compilation, so rows are put into a few buckets by their length
and B never changes: the last batch of a bucket is filled up with rows of its own at weight 0.
(Rows of padding alone would do as well, but for layers that divide by the number of steps.)

Ids are padded with 0, and ``Embedding(mask_zero=True)`` makes the mask from them. A real step of
numbers may well be all zero, so numbers, and several ids a step, come as the pair ``(x, mask)``:
the network has a second ``keras.Input((None,), dtype="bool")`` and hands it to its recurrent layers
as ``mask=``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.data.buckets import MOST, bucket_lengths
from sunhwan.data.padding import Ragged
from sunhwan.errors import DataError, ShapeError, UsageError


class _Batch(NamedTuple):
    """One batch before it is made: its length T, its B rows, and how many of them count."""

    steps: int
    rows: NDArray[np.int64]
    live: int


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """Right-padded batches of N sequences, as `sunhwan.tasks.training` and Keras's ``fit`` take.

    Batch ``i`` of epoch ``n`` is a function of the arguments, ``i`` and ``n`` alone.

    Parameters
    ----------
    inputs
        N sequences, all ``int32[T]`` (ids from 1 up), all ``int32[T, K]`` (several ids a step) or
        all ``float32[T, D]``; T at least 1.
    targets
        One answer each, or None to predict: whole numbers (classes), numbers, ``float32[K]``; with
        `per_step`, ``[T]`` whole numbers or numbers, or ``float32[T, K]``.
    batch_size
        B, also where there are fewer rows.
    seed
        Of the order, which is another one in each epoch. None keeps one order, that of length.
    sample_weights
        What each row counts (or each step, with `per_step`: ``float32[T]``); None is 1 for all.
    per_step
        True if there is an answer for each step.
    buckets
        The most lengths to pad to, which are chosen for the fewest computed steps; or the lengths
        themselves, such as ``train.buckets``, to be doubled for rows that are longer.

    Raises
    ------
    UsageError, ShapeError, DataError
        Arguments that do not fit; a sequence or answer that is unlike the others, empty, not
        finite, or an id below 1; names the row, counted from 0.

    Examples
    --------
    >>> inputs = [np.array([5], np.int32), np.array([6, 7, 8], np.int32)]
    >>> batches = Batches(inputs, [0, 1], batch_size=3)
    >>> x, y, weights = batches[0]
    >>> x
    array([[5, 0, 0],
           [6, 7, 8],
           [5, 0, 0]], dtype=int32)
    >>> y, weights
    (array([0, 1, 0], dtype=int32), array([1., 1., 0.], dtype=float32))
    """

    def __init__(
        self,
        inputs: Sequence[NDArray[Any]],
        targets: Sequence[Any] | NDArray[Any] | None = None,
        *,
        batch_size: int,
        seed: int | None = None,
        sample_weights: Sequence[Any] | NDArray[Any] | None = None,
        per_step: bool = False,
        buckets: int | Sequence[int] = MOST,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise UsageError(f"`batch_size` must be at least 1, received {batch_size}")
        if not len(inputs):
            raise DataError("there must be at least one row to make batches of, received none")
        self.batch_size, self.seed, self.per_step = batch_size, seed, per_step
        self.epoch = 0
        self._inputs = Ragged.from_rows(inputs)
        self._check_inputs()
        self._is_ids = self._inputs.flat.ndim == 1
        self._targets = None if targets is None else self._answers(targets)
        self._weights = self._answer_weights(sample_weights)
        #: ``int64[N]``: the number of steps of each row
        self.lengths = self._inputs.lengths
        #: the lengths that rows are padded to, shortest first
        self.buckets = bucket_lengths(self.lengths, batch_size, buckets)
        bucket = np.searchsorted(self.buckets, self.lengths)
        by_length = np.argsort(self.lengths, kind="stable")
        self._members = [by_length[bucket[by_length] == k] for k in range(len(self.buckets))]
        self._plan = self._plan_epoch()

    @classmethod
    def for_prediction(
        cls,
        inputs: Sequence[NDArray[Any]],
        *,
        batch_size: int,
        per_step: bool = False,
        buckets: int | Sequence[int] = MOST,
    ) -> Batches:
        """Batches without answers, in the order of length; `restore` undoes that order."""
        return cls(inputs, batch_size=batch_size, per_step=per_step, buckets=buckets)

    @property
    def weight(self) -> float:
        """Sum of all sample weights of an epoch; without any, the number of rows (or steps)."""
        return float(self._weights.sum(dtype=np.float64))

    def __len__(self) -> int:
        """Return the number of batches, the same in each epoch."""
        return len(self._plan)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return batch `index` of the epoch that was started.

        Returns
        -------
        tuple
            ``(x, y, weights)``, or ``(x,)`` without targets. ``x`` is ``int32[B, T]``, or the pair
            of ``float32[B, T, D]`` or ``int32[B, T, K]`` and the mask ``bool[B, T]``; ``y`` is
            ``int32[B]``, ``float32[B, K]`` (K is 1 for single numbers), ``int32[B, T]`` or
            ``float32[B, T, K]``; ``weights`` is ``float32[B]`` or ``float32[B, T]``, 0 for what
            only fills up.
        """
        batch = self._plan[index]
        mask = np.arange(batch.steps) < self.lengths[batch.rows, None]
        places = self._inputs.offsets[batch.rows, None] + np.arange(batch.steps)
        places = np.where(mask, places, 0)
        padded = _pick(self._inputs.flat, places, mask)
        x = padded if self._is_ids else (padded, mask)
        if self._targets is None:
            return (x,)
        if self.per_step:
            y, weights = _pick(self._targets, places, mask), _pick(self._weights, places, mask)
        else:
            y, weights = self._targets[batch.rows], self._weights[batch.rows]
        weights[batch.live :] = 0
        return x, y, weights

    def start(self, epoch: int) -> None:
        """Turn to the order of `epoch`, counted from 0."""
        self.epoch = epoch
        self._plan = self._plan_epoch()

    def on_epoch_end(self) -> None:
        """Turn to the next epoch; Keras calls this."""
        self.start(self.epoch + 1)

    def restore(self, outputs: Sequence[NDArray[Any]]) -> NDArray[Any] | list[NDArray[Any]]:
        """The network's answers in the order of the rows, without padding.

        Parameters
        ----------
        outputs
            One array for each batch: ``[B, ...]``, or with ``per_step`` ``[B, T, ...]``.

        Returns
        -------
        ndarray or list of ndarray
            ``[N, ...]``; with ``per_step`` a list of N arrays ``[T, ...]``, each with the T of its
            row.

        Raises
        ------
        UsageError
            The order was drawn from a seed, or there are more or fewer outputs than batches.
        """
        if self.seed is not None:
            raise UsageError("only batches without a `seed` keep an order that can be restored")
        if len(outputs) != len(self):
            raise UsageError(f"there must be {len(self)} outputs, received {len(outputs)}")
        answers: list[Any] = [None] * len(self.lengths)
        for batch, output in zip(self._plan, outputs, strict=True):
            for row, answer in zip(batch.rows[: batch.live], np.asarray(output), strict=False):
                answers[row] = answer[: self.lengths[row]] if self.per_step else answer
        return answers if self.per_step else np.stack(answers)

    def _plan_epoch(self) -> list[_Batch]:
        """The batches of an epoch: rows shuffled in their bucket, then batches among each other."""
        random = None
        if self.seed is not None:
            random = np.random.default_rng(np.random.SeedSequence([self.seed, self.epoch]))
        plan = []
        for steps, members in zip(self.buckets, self._members, strict=True):
            rows = members if random is None else random.permutation(members)
            for first in range(0, len(rows), self.batch_size):
                chosen = rows[first : first + self.batch_size]
                plan.append(_Batch(steps, np.resize(chosen, self.batch_size), len(chosen)))
        return plan if random is None else [plan[place] for place in random.permutation(len(plan))]

    def _answers(self, targets: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
        """One answer after the other: of each row, or with `per_step` of each step."""
        self._check_count("targets", targets)
        flat = self._each_step("targets", targets) if self.per_step else _stack(targets)
        if flat.dtype.kind in "biu":
            return flat.astype(np.int32)
        self._check_finite("targets", flat, self.per_step)
        flat = flat.astype(np.float32)
        # a column, so that nothing broadcasts [B] against [B, 1]
        return flat[:, None] if flat.ndim == 1 else flat

    def _answer_weights(self, weights: Sequence[Any] | NDArray[Any] | None) -> NDArray[Any]:
        given = np.ones(len(self._inputs)) if weights is None else weights
        self._check_count("sample_weights", given)
        if self.per_step:
            pairs = zip(given, self._inputs.lengths, strict=True)
            flat = self._each_step(
                "sample_weights", [np.full(n, w) if np.ndim(w) == 0 else w for w, n in pairs]
            )
        else:
            flat = np.asarray(given)
        if flat.ndim != 1 or not (np.isfinite(flat) & (flat >= 0)).all() or not flat.any():
            raise DataError(
                "`sample_weights` must be finite numbers from 0 up, one for each row or step, "
                f"and not all 0, received {given!r}"
            )
        return flat.astype(np.float32)

    def _check_count(self, name: str, values: Sequence[Any] | NDArray[Any]) -> None:
        if len(values) != len(self._inputs):
            raise ShapeError(
                f"`{name}` must have one entry for each of the {len(self._inputs)} rows, "
                f"received {len(values)}"
            )

    def _each_step(self, name: str, values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
        rows = Ragged.from_rows(values)
        wrong = np.flatnonzero(rows.lengths != self._inputs.lengths)
        if len(wrong):
            row = int(wrong[0])
            raise ShapeError(
                f"`{name}` of row {row} must have one entry for each of its "
                f"{self._inputs.lengths[row]} steps, received {rows.lengths[row]}"
            )
        return rows.flat

    def _check_inputs(self) -> None:
        rows = self._inputs
        empty = np.flatnonzero(rows.lengths == 0)
        if len(empty):
            more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
            raise DataError(
                f"each row must have at least one step, received none in row {empty[0]}{more}"
            )
        flat = rows.flat
        if flat.ndim == 1 and flat.dtype == np.int32:
            if flat.min() < 1:
                place = int(flat.argmin())
                raise DataError(
                    f"ids must be at least 1, as 0 is padding, received {flat[place]} "
                    f"in {self._where(place)}"
                )
        elif flat.ndim == 2 and flat.dtype in (np.float32, np.int32):
            self._check_finite("inputs", flat, True)
        else:
            raise ShapeError(
                "`inputs` must be all int32[T], all int32[T, K] or all float32[T, D], received "
                f"{flat.dtype} with steps of shape {flat.shape[1:]}"
            )

    def _check_finite(self, name: str, flat: NDArray[Any], is_steps: bool) -> None:
        bad = ~np.isfinite(flat)
        if bad.any():
            place = int(np.argwhere(bad)[0, 0])
            where = self._where(place) if is_steps else f"row {place}"
            raise DataError(f"`{name}` must be finite numbers, received {flat[bad][0]} in {where}")

    def _where(self, place: int) -> str:
        offsets = self._inputs.offsets
        row = int(np.searchsorted(offsets, place, side="right")) - 1
        return f"row {row}, step {place - offsets[row]}"


def _pick(flat: NDArray[Any], places: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[Any]:
    picked = flat[places]
    picked[~mask] = 0
    return picked


def _stack(targets: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    """``[N]`` or ``[N, K]``."""
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
    return stacked
