"""Batches of pairs of unequal length: few shapes, and padding that never counts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.batch_parts import check_steps
from sunhwan.data.buckets import MOST, bucket_lengths
from sunhwan.errors import DataError, ShapeError, UsageError

Ids = NDArray[np.int32]
Ints = NDArray[np.int64]
#: source and target steps, S and T
Shape = tuple[int, int]

#: lengths of each side that are candidates for shapes
_CANDIDATES = 64


class _Batch(NamedTuple):
    """One batch before it is made: its shape, its B rows, and how many of them count."""

    shape: Shape
    rows: Ints
    live: int


class PairBatches:
    """Batches of N pairs to learn from, as `sunhwan.tasks.steps.EpochBatches` says.

    The target is read from the end id on and foretold up to the end id. Batch ``i`` of epoch ``n``
    is a function of the arguments, ``i`` and ``n`` alone.

    Parameters
    ----------
    sources
        N rows ``int32[S]`` of ids from 1 up, in memory or on disk; S at least 1.
    targets
        N rows ``int32[T - 1]`` of ids from 1 up, without the end; T at least 2.
    end
        The id that stands before and behind targets.
    batch_size
        B, also where there are fewer rows.
    seed
        Of the order, which is another one in each epoch. None keeps one order, that of length.
    own
        Share of the network's own guesses among what the decoder reads, in the end; 0 is teacher
        forcing alone.
    own_epochs
        Over so many epochs that share grows from 0, by as much each time.
    shapes
        The most shapes ``(S, T)`` to pad to, which are chosen for the fewest computed steps; or the
        shapes themselves, such as ``train.shapes``, to be doubled for pairs that are longer.

    Attributes
    ----------
    shapes
        What pairs are padded to, shortest first; no side is shorter than of the shape before.

    Raises
    ------
    UsageError, ShapeError, DataError
        Arguments that do not fit; a row that is no such row, counted from 0.

    Examples
    --------
    >>> sources = [np.array([5, 6, 7], np.int32), np.array([8], np.int32)]
    >>> targets = [np.array([2], np.int32), np.array([3, 4], np.int32)]
    >>> batches = PairBatches(sources, targets, end=9, batch_size=2, own=0.5, own_epochs=2)
    >>> batches.start(1)
    >>> (source, read, own), wanted, weights = batches[0]
    >>> source.tolist(), read.tolist(), own.tolist()
    ([[5, 6, 7], [8, 0, 0]], [[9, 2, 0], [9, 3, 4]], [[0.25], [0.25]])
    >>> wanted.tolist(), weights.tolist()
    ([[2, 9, 0], [3, 4, 9]], [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    """

    def __init__(
        self,
        sources: Sequence[Ids],
        targets: Sequence[Ids],
        *,
        end: int,
        batch_size: int,
        seed: int | None = None,
        own: float = 0.0,
        own_epochs: int = 1,
        shapes: int | Sequence[Shape] = MOST,
    ) -> None:
        for name, value in (("batch_size", batch_size), ("own_epochs", own_epochs)):
            if value < 1:
                raise UsageError(f"`{name}` must be at least 1, received {value}")
        if not 0 <= own <= 1:
            raise UsageError(f"`own` must be a share from 0 to 1, received {own}")
        if not len(sources):
            raise DataError("there must be at least one pair to make batches of, received none")
        if len(targets) != len(sources):
            raise ShapeError(
                f"`targets` must have one row for each of the {len(sources)} sources, received "
                f"{len(targets)}"
            )
        self.batch_size, self.seed, self.end = batch_size, seed, end
        self.own, self.own_epochs, self.epoch = own, own_epochs, 0
        self._sources, self._targets = sources, targets
        #: ``int64[N]``: steps of each row, the end counted
        self._counts = _steps("sources", sources), _steps("targets", targets) + 1
        self.shapes = _shapes(*self._counts, batch_size, shapes)
        ends = np.array(self.shapes)
        # no shape is smaller than the one before, so the first that holds a side is known alone
        bucket = np.maximum(
            *(np.searchsorted(ends[:, side], self._counts[side]) for side in (0, 1))
        )
        by_length = np.lexsort(self._counts)
        self._members = [by_length[bucket[by_length] == k] for k in range(len(self.shapes))]
        self._plan = self._plan_epoch()

    @property
    def weight(self) -> float:
        """How many tokens are foretold in an epoch, ends counted."""
        return float(self._counts[1].sum())

    def __len__(self) -> int:
        """Return the number of batches, the same in each epoch."""
        return len(self._plan)

    def start(self, epoch: int) -> None:
        """Turn to `epoch`, counted from 0: its order, and its share of own guesses."""
        self.epoch = epoch
        self._plan = self._plan_epoch()

    def share(self, epoch: int) -> float:
        """Share of own guesses in an epoch, counted from 0: `own` from `own_epochs` on."""
        return self.own * min(epoch / self.own_epochs, 1.0)

    def rows(self, index: int) -> Ints:
        """Which pairs a batch holds, ``int64[B]``; -1 for what only fills up."""
        batch = self._plan[index]
        return np.where(np.arange(self.batch_size) < batch.live, batch.rows, -1)

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return ``((source, read, own), wanted, weights)`` of batch `index`.

        Returns
        -------
        tuple
            ``int32[B, S]``; ``int32[B, T]``, the end and the target; ``float32[B, 1]``, the same
            share for all; ``int32[B, T]``, the target and the end; and ``float32[B, T]``, 0 for
            padding and for pairs that only fill up.
        """
        (source_steps, target_steps), rows, live = self._plan[index]
        source = np.zeros((self.batch_size, source_steps), np.int32)
        read = np.zeros((self.batch_size, target_steps), np.int32)
        wanted, weights = np.zeros_like(read), np.zeros(read.shape, np.float32)
        read[:, 0] = self.end
        for place, row in enumerate(rows.tolist()):
            ids = self._sources[row]
            source[place, : len(ids)] = ids
            ids = self._targets[row]
            read[place, 1 : len(ids) + 1] = wanted[place, : len(ids)] = ids
            wanted[place, len(ids)] = self.end
            weights[place, : len(ids) + 1] = place < live
        own = np.full((self.batch_size, 1), self.share(self.epoch), np.float32)
        return (source, read, own), wanted, weights

    def _plan_epoch(self) -> list[_Batch]:
        """The batches of an epoch: rows shuffled in their bucket, then batches among each other."""
        random = None
        if self.seed is not None:
            random = np.random.default_rng(np.random.SeedSequence([self.seed, self.epoch]))
        plan = []
        for shape, members in zip(self.shapes, self._members, strict=True):
            rows = members if random is None else random.permutation(members)
            for first in range(0, len(rows), self.batch_size):
                chosen = rows[first : first + self.batch_size]
                plan.append(_Batch(shape, np.resize(chosen, self.batch_size), len(chosen)))
        return plan if random is None else [plan[place] for place in random.permutation(len(plan))]


def _steps(name: str, rows: Sequence[Ids]) -> Ints:
    """``int64[N]``: the number of ids of each row."""
    counts = check_steps(rows)
    if rows[0].ndim != 1 or rows[0].dtype != np.int32:  # by now all others are alike
        raise ShapeError(
            f"`{name}` must all be int32[T], received {rows[0].dtype} of rank {rows[0].ndim}"
        )
    return counts


def _shapes(sources: Ints, targets: Ints, batch_size: int, shapes: Any) -> tuple[Shape, ...]:
    """The shapes to pad to, which grow in both sides.

    With candidates ``(a, b)`` at the same share of the lengths of sources and of targets, each pair
    belongs to the first that holds it; then lengths ``a + b`` are chosen as for single rows.
    """
    if not isinstance(shapes, int):
        return _given_shapes(sources, targets, shapes)
    shares = np.linspace(0, 1, _CANDIDATES)
    sides = sources, targets
    ends = [np.quantile(side, shares, method="higher").astype(np.int64) for side in sides]
    level = np.maximum(*(np.searchsorted(e, side) for e, side in zip(ends, sides, strict=True)))
    steps = (ends[0] + ends[1])[level]
    bucket = np.searchsorted(bucket_lengths(steps, batch_size, shapes), steps)
    tight = np.array([[side[bucket == k].max() for side in sides] for k in range(bucket.max() + 1)])
    return tuple((int(s), int(t)) for s, t in np.maximum.accumulate(tight))


def _given_shapes(sources: Ints, targets: Ints, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    given = [(int(s), int(t)) for s, t in shapes]
    if (
        not given
        or min(given[0]) < 1
        or any(s > later_s or t > later_t for (s, t), (later_s, later_t) in pairwise(given))
    ):
        raise UsageError(
            f"`shapes` must be pairs of lengths from 1 up, ascending, received {shapes!r}"
        )
    s, t = given[-1]
    while s < sources.max() or t < targets.max():
        s, t = (2 * s if s < sources.max() else s), (2 * t if t < targets.max() else t)
        given.append((s, t))
    return tuple(given)
