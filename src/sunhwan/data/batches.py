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

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.data.batch_parts import check_steps, row_answers, step_answers, weights_of
from sunhwan.data.buckets import MOST, bucket_lengths
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
        N sequences, in memory or on disk: all ``int32[T]`` (ids from 1 up), all ``int32[T, K]``
        (several ids a step), all ``float32[T, D]`` or all ``uint8[T, H, W, C]``; T at least 1.
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
        self._inputs = inputs
        #: ``int64[N]``: the number of steps of each row
        self.lengths = check_steps(inputs)
        self._targets: Any = None
        if targets is not None:
            self._check_count("targets", targets)
            self._targets = (
                step_answers(targets, self.lengths) if per_step else row_answers(targets)
            )
        if sample_weights is not None:
            self._check_count("sample_weights", sample_weights)
        self._weights = weights_of(sample_weights, self.lengths, per_step)
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
        if not isinstance(self._weights, np.ndarray):
            return math.fsum(float(row.sum(dtype=np.float64)) for row in self._weights)
        weights = self._weights.astype(np.float64)
        return float((weights * self.lengths if self.per_step else weights).sum())

    def __len__(self) -> int:
        """Return the number of batches, the same in each epoch."""
        return len(self._plan)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return batch `index` of the epoch that was started.

        Returns
        -------
        tuple
            ``(x, y, weights)``, or ``(x,)`` without targets. ``x`` is ``int32[B, T]``, or the pair
            of ``float32[B, T, D]``, ``int32[B, T, K]`` or ``uint8[B, T, H, W, C]`` and the mask
            ``bool[B, T]``; ``y`` is ``int32[B]``, ``float32[B, K]`` (K is 1 for single numbers),
            ``int32[B, T]`` or ``float32[B, T, K]``; ``weights`` is ``float32[B]`` or
            ``float32[B, T]``, 0 for what only fills up.
        """
        batch = self._plan[index]
        mask = np.arange(batch.steps) < self.lengths[batch.rows, None]
        padded = _padded(self._inputs, batch)
        x = padded if padded.ndim == 2 else (padded, mask)
        if self._targets is None:
            return (x,)
        weights: Any = self._weights
        if isinstance(weights, np.ndarray):
            weights = weights[batch.rows]
            weights = np.where(mask, weights[:, None], np.float32(0)) if self.per_step else weights
        else:
            weights = _padded(weights, batch)
        y = _padded(self._targets, batch) if self.per_step else self._targets[batch.rows]
        # a column, so that nothing broadcasts [B, T] against [B, T, 1]
        y = y[..., None] if y.shape == mask.shape and y.dtype == np.float32 else y
        weights[batch.live :] = 0
        return x, y, weights

    def start(self, epoch: int) -> None:
        """Turn to the order of `epoch`, counted from 0."""
        self.epoch = epoch
        self._plan = self._plan_epoch()

    def on_epoch_end(self) -> None:
        """Turn to the next epoch; Keras calls this."""
        self.start(self.epoch + 1)

    def restore(self, outputs: Iterable[NDArray[Any]]) -> NDArray[Any] | list[NDArray[Any]]:
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
        answers: Any = [None] * len(self.lengths) if self.per_step else None
        count = 0
        for count, output in enumerate(outputs, 1):
            if count > len(self):
                continue
            batch, values = self._plan[count - 1], np.asarray(output)
            rows = batch.rows[: batch.live]
            if self.per_step:
                for row, answer in zip(rows.tolist(), values, strict=False):
                    # a copy, so that the padding does not stay in memory
                    answers[row] = answer[: self.lengths[row]].copy()
                continue
            if answers is None:
                answers = np.empty((len(self.lengths), *values.shape[1:]), values.dtype)
            answers[rows] = values[: batch.live]
        if count != len(self):
            raise UsageError(f"there must be {len(self)} outputs, received {count}")
        found: NDArray[Any] | list[NDArray[Any]] = answers
        return found

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

    def _check_count(self, name: str, values: Sequence[Any] | NDArray[Any]) -> None:
        if len(values) != len(self._inputs):
            raise ShapeError(
                f"`{name}` must have one entry for each of the {len(self._inputs)} rows, "
                f"received {len(values)}"
            )


def _padded(rows: Sequence[NDArray[Any]], batch: _Batch) -> NDArray[Any]:
    """The rows of a batch, ``[B, T, ...]``, with zeros behind each."""
    first, *others = (rows[row] for row in batch.rows.tolist())
    padded = np.zeros((len(batch.rows), batch.steps, *first.shape[1:]), first.dtype)
    for place, steps in enumerate((first, *others)):
        padded[place, : len(steps)] = steps
    return padded
