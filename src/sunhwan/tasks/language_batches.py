"""A long text in batches that go on from each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import DataError


def joined(texts: Iterable[NDArray[np.int32]], end: int, *, closed: bool) -> NDArray[np.int32]:
    """Texts as one row of ids, ``int32[N + 1]``: the end before each, and behind the last one.

    Parameters
    ----------
    end
        The id that stands before and behind texts.
    closed
        Whether the last text is whole, so that its end is to be foretold too.

    Examples
    --------
    >>> joined([np.array([5, 6], np.int32), np.array([7], np.int32)], 9, closed=True).tolist()
    [9, 5, 6, 9, 7, 9]
    """
    mark = np.array([end], np.int32)
    parts = [part for text in texts for part in (mark, text)]
    return np.concatenate([*parts, mark] if closed else parts or [mark])


class StreamBatches:
    """Batches of a row of ids: row b of each goes on row b of the one before.

    The N ids behind the first are foretold, each from all before. They are dealt out to B rows, a
    stretch each, of which a batch reads T steps. With a seed an epoch begins at another place of
    the text each time, and goes on at its front when it is at the end, so that what stands at the
    borders is never the same.

    Parameters
    ----------
    ids
        ``int32[N + 1]``.
    batch_size, steps
        B and T.
    seed
        Of the places; None begins at the front.

    Examples
    --------
    >>> batches = StreamBatches(np.arange(8, dtype=np.int32), batch_size=2, steps=3)
    >>> (ids, goes_on), wanted, weights = batches[1]
    >>> ids.tolist(), wanted.tolist(), weights.tolist()
    ([[3, 0, 0], [0, 0, 0]], [[4, 0, 0], [0, 0, 0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    """

    def __init__(
        self, ids: NDArray[np.int32], *, batch_size: int, steps: int, seed: int | None = None
    ) -> None:
        if len(ids) < 2:
            raise DataError("there must be at least one token to foretell, received none")
        self.batch_size, self.steps, self.seed = batch_size, steps, seed
        self._ids = ids
        #: N
        self.count = len(ids) - 1
        #: steps of a row, in all batches together
        self.stretch = -(-self.count // batch_size)
        self._first = 0
        self.start(0)

    @property
    def weight(self) -> float:
        """N, for each token counts alike."""
        return float(self.count)

    def __len__(self) -> int:
        """Return the number of batches, the same in each epoch."""
        return -(-self.stretch // self.steps)

    def start(self, epoch: int) -> None:
        """Turn to `epoch`, counted from 0."""
        if self.seed is not None:
            random = np.random.default_rng(np.random.SeedSequence([self.seed, epoch]))
            self._first = int(random.integers(self.count))

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return ``((ids, goes_on), wanted, weights)`` of batch `index`.

        Returns
        -------
        tuple
            ``int32[B, T]``; ``float32[B, 1]``, 0 in the first batch; ``int32[B, T]``, the ids one
            step ahead; and ``float32[B, T]``, 0 for what only fills up.
        """
        places = self.places(index)
        is_live = places >= 0
        at = (self._first + np.maximum(places, 0)) % self.count
        ids = np.where(is_live, self._ids[at], 0)
        wanted = np.where(is_live, self._ids[at + 1], 0)
        goes_on = np.full((self.batch_size, 1), float(index > 0), np.float32)
        return (ids, goes_on), wanted, is_live.astype(np.float32)

    def places(self, index: int) -> NDArray[np.int64]:
        """Which of the N tokens a batch foretells where, ``int64[B, T]``; -1 for none.

        The first is the one that the epoch begins at.
        """
        step = index * self.steps + np.arange(self.steps)
        places = np.arange(self.batch_size)[:, None] * self.stretch + step
        is_live = (step < self.stretch) & (places < self.count)
        return np.where(is_live, places, -1)
