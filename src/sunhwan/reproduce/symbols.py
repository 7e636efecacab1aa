"""Pairs of random symbols to copy or to reverse: as many as are wanted, none of them seen twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError
from sunhwan.reproduce.studies import Task

Ids = NDArray[np.int32]
#: which pairs: those that are learnt from, those that training is watched by, those of the judge
Part = Literal["train", "watch", "test"]

#: the first and the last length
Range = tuple[int, int]

#: what stands for each part among what decides the random numbers
PARTS: dict[Part, int] = {"train": 0, "watch": 1, "test": 2}


class SymbolPairs:
    """Batches of random sequences and what becomes of them, as `tasks.steps.EpochBatches` says.

    The lengths of a batch are spread evenly over one range; each range has as many batches as the
    others. Batch ``i`` of epoch ``n`` is a function of the arguments, ``i`` and ``n`` alone, and
    each epoch has other sequences.

    Parameters
    ----------
    task
        What becomes of a sequence: the same, or the same from its end.
    alphabet
        How many symbols there are; their ids are 1, 2, ... and that of the end comes behind them.
    ranges
        Of lengths, the last of which a batch is padded to.
    batches
        Of each range in an epoch.
    batch_size
        B.
    seed, part
        Of what is drawn; parts have nothing in common.
    shares
        From the number of an epoch, from 0, to two shares from 0 to 1 of the network's own words:
        those of `contenders.WithOwnWords` and those of a second reading, as of
        `tasks.decoder_network`. Without it both are 0.

    Raises
    ------
    UsageError
        A number that is too small.

    Examples
    --------
    >>> pairs = SymbolPairs("reverse", 5, ranges=[(2, 3)], batches=1, batch_size=2, seed=7)
    >>> (source, read, own, second), wanted, weights = pairs[0]
    >>> source.tolist(), read.tolist()
    ([[4, 1, 0], [4, 3, 4]], [[6, 1, 4, 0], [6, 4, 3, 4]])
    >>> wanted.tolist(), weights.tolist()
    ([[1, 4, 6, 0], [4, 3, 4, 6]], [[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    """

    def __init__(
        self,
        task: Task,
        alphabet: int,
        *,
        ranges: Sequence[Range],
        batches: int,
        batch_size: int,
        seed: int,
        part: Part = "train",
        shares: Callable[[int], tuple[float, float]] | None = None,
    ) -> None:
        numbers = {"alphabet": alphabet, "batches": batches, "batch_size": batch_size}
        for name, value in numbers.items():
            if value < 1:
                raise UsageError(f"`{name}` must be at least 1, received {value}")
        if not ranges or any(not 1 <= first <= last for first, last in ranges):
            raise UsageError(
                f"`ranges` must be pairs of a first and a last length from 1, received {ranges}"
            )
        self.seed: int | None = seed
        self.batch_size, self.epoch = batch_size, 0
        self._task, self._alphabet = task, alphabet
        self._drawn_from = [PARTS[part], seed]
        self._ranges, self._shares = list(ranges) * batches, shares
        self._order = list(range(len(self._ranges)))

    @property
    def end(self) -> int:
        """The id that stands before and behind targets."""
        return self._alphabet + 1

    @property
    def weight(self) -> float:
        """How many ids are foretold in an epoch, ends counted."""
        return float(sum((self._lengths(one) + 1).sum() for one in self._ranges))

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self._ranges)

    def start(self, epoch: int) -> None:
        """Turn to `epoch`, counted from 0: other sequences, in another order of ranges."""
        self.epoch = epoch
        self._order = self._random(len(self)).permutation(len(self)).tolist()

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return ``((source, read, own, second), wanted, weights)`` of batch `index`.

        Returns
        -------
        tuple
            ``int32[B, S]``, padded with 0; ``int32[B, S + 1]``, the end and the target;
            ``float32[B, 1]`` twice; ``int32[B, S + 1]``, the target and the end; and
            ``float32[B, S + 1]``, 0 for padding.
        """
        chosen = self._ranges[self._order[index]]
        lengths, steps = self._lengths(chosen), chosen[1]
        drawn = self._random(index).integers(1, self._alphabet + 1, (self.batch_size, steps))
        places = np.arange(steps)
        is_real = places < lengths[:, None]
        source = np.where(is_real, drawn, 0).astype(np.int32)
        target = source
        if self._task == "reverse":
            from_end = np.maximum(lengths[:, None] - 1 - places, 0)
            target = np.where(is_real, np.take_along_axis(source, from_end, axis=1), 0)
        ends = np.full((self.batch_size, 1), self.end, np.int32)
        read = np.concatenate([ends, target], axis=1).astype(np.int32)
        wanted = np.concatenate([target, np.zeros_like(ends)], axis=1).astype(np.int32)
        wanted[np.arange(self.batch_size), lengths] = self.end
        weights = (np.arange(steps + 1) <= lengths[:, None]).astype(np.float32)
        shares = self._shares(self.epoch) if self._shares else (0.0, 0.0)
        own, second = (np.full((self.batch_size, 1), share, np.float32) for share in shares)
        return (source, read, own, second), wanted, weights

    def _lengths(self, chosen: Range) -> NDArray[np.int64]:
        first, last = chosen
        return first + np.arange(self.batch_size) * (last - first + 1) // self.batch_size

    def _random(self, index: int) -> np.random.Generator:
        parts = [*self._drawn_from, self.epoch, index]
        return np.random.default_rng(np.random.SeedSequence(parts))
