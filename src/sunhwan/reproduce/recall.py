"""Sequences that can only be answered by what was read long before: as many as are wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.synthetic import marked_numbers
from sunhwan.errors import UsageError
from sunhwan.reproduce.memory import Problem
from sunhwan.reproduce.symbols import PARTS, Part

Floats = NDArray[np.float32]


class RecallBatches:
    """Batches of random sequences with what is asked of them, as `tasks.steps.EpochBatches` says.

    ``multiplication``: the product of the two marked numbers among `steps`, as of
    `sunhwan.data.synthetic.multiplication`. ``copying``: `remembered` symbols are read, then
    `steps` blanks, then as many signals, and at each signal the next of the symbols is to be named
    (after Arjovsky, Shah and Bengio 2016, arXiv:1511.06464, section 4.1).

    Batch ``i`` of epoch ``n`` is a function of the arguments, ``i`` and ``n`` alone, and each epoch
    has other sequences.

    Parameters
    ----------
    problem
        What is asked.
    steps
        T: the length of a sequence, or of the gap; at least 2.
    symbols, remembered
        K and S: how many symbols there are, and how many are to be remembered.
    batches, batch_size
        In an epoch, and B.
    seed, part
        Of what is drawn; parts have nothing in common.

    Raises
    ------
    UsageError
        A number that is too small.

    Examples
    --------
    >>> asked = RecallBatches(
    ...     "copying", 2, symbols=3, remembered=2, batches=1, batch_size=1, seed=1
    ... )
    >>> x, wanted, weights = asked[0]
    >>> x[0].argmax(axis=-1).tolist(), wanted.tolist(), weights.tolist()
    ([1, 2, 3, 3, 4, 4], [[1, 2]], [[1.0, 1.0]])
    """

    def __init__(
        self,
        problem: Problem,
        steps: int,
        *,
        symbols: int,
        remembered: int,
        batches: int,
        batch_size: int,
        seed: int,
        part: Part = "train",
    ) -> None:
        least = {"steps": (steps, 2), "symbols": (symbols, 2), "remembered": (remembered, 1),
                 "batches": (batches, 1), "batch_size": (batch_size, 1)}  # fmt: skip
        for name, (value, at_least) in least.items():
            if value < at_least:
                raise UsageError(f"`{name}` must be at least {at_least}, received {value}")
        self.seed: int | None = seed
        self.batch_size, self.epoch = batch_size, 0
        self._problem, self._steps, self._batches = problem, steps, batches
        self._symbols, self._remembered = symbols, remembered
        self._drawn_from = [PARTS[part], seed]

    @property
    def answers(self) -> int:
        """How many answers a sequence asks for."""
        return 1 if self._problem == "multiplication" else self._remembered

    @property
    def weight(self) -> float:
        """How many answers an epoch asks for."""
        return float(len(self) * self.batch_size * self.answers)

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._batches

    def start(self, epoch: int) -> None:
        """Turn to `epoch`, counted from 0: other sequences."""
        self.epoch = epoch

    def __getitem__(self, index: int) -> tuple[Floats, NDArray[np.generic], Floats]:
        """Return ``(x, wanted, weights)`` of batch `index`.

        Returns
        -------
        tuple
            ``float32[B, T, 2]``, ``float32[B, 1]`` and ``float32[B]`` of multiplication;
            ``float32[B, T + 2 S, K + 2]``, one-hot, ``int32[B, S]`` and ``float32[B, S]`` of
            copying.
        """
        parts = [*self._drawn_from, self.epoch, index]
        random = np.random.default_rng(np.random.SeedSequence(parts))
        if self._problem == "multiplication":
            x, products = marked_numbers(random, self.batch_size, self._steps)
            return x, products[:, None], np.ones(self.batch_size, np.float32)
        shape = (self.batch_size, self._remembered)
        named = random.integers(self._symbols, size=shape, dtype=np.int32)
        read = np.full((self.batch_size, self._steps + 2 * self._remembered), self._symbols)
        read[:, : self._remembered] = named
        read[:, -self._remembered :] = self._symbols + 1
        x = np.eye(self._symbols + 2, dtype=np.float32)[read]
        return x, named, np.ones(shape, np.float32)
