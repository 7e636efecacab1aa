"""Step by step: a chain of layers that keeps its state between calls."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.engine import native
from sunhwan.engine.chain import Chain
from sunhwan.errors import ShapeError, UsageError

Floats = NDArray[np.float32]


class Stream:
    """A chain of layers that reads a sequence one step at a time.

    All memory is taken when the stream is made: no step allocates. A stream is for one thread at a
    time; different streams may be used from different threads at the same time.

    Parameters
    ----------
    chain
        The layers. No other one can be added to it from then on.
    layers
        What they are called, for `repr`.

    Raises
    ------
    UsageError
        If the chain has no layer.

    Examples
    --------
    >>> from sunhwan.engine import Cell
    >>> chain = Chain(1, 1)
    >>> chain.recurrent(Cell("simple_rnn", "linear"), [[1.0]], [[0.5]])
    >>> stream = Stream(chain, ["memory"])
    >>> [stream.step([x]).item() for x in (1.0, 1.0, 1.0)]
    [1.0, 1.5, 1.75]
    """

    def __init__(self, chain: Chain, layers: Sequence[str]) -> None:
        if chain.features == 0 or not layers:
            raise UsageError("a stream needs a layer that does something at each step")
        self._native = chain.native
        self._layers, self._shapes = tuple(layers), tuple(chain.states)
        self._ids = chain.ids
        self._free = threading.Lock()
        self._x = chain.native.ids()[:, 0] if chain.reads_ids else chain.native.input()
        self._y: Floats = chain.native.output()
        # the same memory as one row, for a batch of one
        self._one_x, self._one_y = self._x[:1].reshape(self._x.shape[1:]), self._y[0]
        # what a step asks for is looked up once: microseconds count
        self._step = chain.native.step
        self._dtype, self._shape = self._x.dtype, self._x.shape
        self._one_shape = self._one_x.shape if chain.batch_size == 1 else None
        self._takes_int = chain.reads_ids and chain.batch_size == 1

    @property
    def batch_size(self) -> int:
        """Rows that go through together."""
        return len(self._y)

    def step(self, x: ArrayLike, out: Floats | None = None) -> Floats:
        """Read one step, and return what comes out of the last layer.

        Parameters
        ----------
        x
            ``[D]`` numbers or one id where the batch is of one; ``[B, D]`` or ``[B]`` ids else,
            or if wanted.
        out
            Where to write the answer, ``float32``.

        Returns
        -------
        float32[F] or float32[B, F]
            As ``x`` came. Without ``out`` it is memory of the stream, which the next step
            overwrites: copy what you want to keep.

        Raises
        ------
        ShapeError
            If ``x`` or ``out`` have another shape or dtype, or an id is outside the table. The
            state is then as before.
        UsageError
            If another thread uses the stream at this moment.
        """
        self._enter()
        try:
            y = self._take(x)
            if out is not None:
                _check_out(out, y)
            if (wrong := self._step()) >= 0:
                raise ShapeError(
                    f"embedding id {self._x[wrong]} in row {wrong} of the step is outside the "
                    f"table, whose ids are 0 to {self._ids - 1}"
                )
            if out is None:
                return y
            out[...] = y
            return out
        finally:
            self._free.release()

    def run(self, xs: ArrayLike) -> Floats:
        """Read many steps, and return a new array of what each gave.

        Parameters
        ----------
        xs
            ``[T, D]`` or ``[T]`` ids where the batch is of one; ``[B, T, D]`` or ``[B, T]`` ids
            else, or if wanted.

        Returns
        -------
        float32[T, F] or float32[B, T, F]

        Raises
        ------
        ShapeError, UsageError
            As `step`, at the first step that is wrong; those before it have been read.
        """
        given = np.asarray(xs)
        is_one = given.ndim == self._x.ndim
        if given.ndim == 0 or not (is_one or given.ndim == self._x.ndim + 1):
            raise ShapeError(
                f"`xs` must be sequences of steps of shape {self._shape}, received shape "
                f"{given.shape}"
            )
        steps = given if is_one else given.swapaxes(0, 1)
        y = np.empty((len(steps), *(self._one_y if is_one else self._y).shape), np.float32)
        for x, to in zip(steps, y, strict=True):
            self.step(x, to)
        return y if is_one else y.swapaxes(0, 1)

    def reset(self) -> None:
        """Forget what was read: all states become 0."""
        self._enter()
        try:
            self._native.reset()
        finally:
            self._free.release()

    @property
    def state(self) -> tuple[Floats, ...]:
        """All that the stream remembers: copies of ``[B, H]``, one after the other.

        In the order of the layers; of an LSTM h, then c. What was read can be set again, so that
        another sequence can be read in between.
        """
        found = tuple(np.empty(shape, np.float32) for shape in self._shapes)
        self._enter()
        try:
            for n, state in enumerate(found):
                self._native.read_state(n, state.reshape(-1))
        finally:
            self._free.release()
        return found

    @state.setter
    def state(self, states: Sequence[ArrayLike]) -> None:
        expected = f"`state` must have the shapes {list(self._shapes)}"
        try:
            given = [np.ascontiguousarray(state, np.float32) for state in states]
        except (TypeError, ValueError) as error:
            raise ShapeError(f"{expected}, received {states!r}") from error
        shapes = [state.shape for state in given]
        if shapes != list(self._shapes):
            raise ShapeError(f"{expected}, received {shapes}")
        self._enter()
        try:
            for n, state in enumerate(given):
                self._native.write_state(n, state.reshape(-1))
        finally:
            self._free.release()

    def __repr__(self) -> str:
        chain = " → ".join(self._layers)
        return f"Stream(batch_size={self.batch_size}, fused {native.active_isa()}: {chain})"

    def _enter(self) -> None:
        if not self._free.acquire(False):
            raise UsageError(
                "the stream is in use by another thread",
                hint="give each thread a stream of its own",
            )

    def _take(self, x: ArrayLike) -> Floats:
        """Copy the input of a step to where the kernels read it; where its answer will be."""
        if type(x) is int and self._takes_int and 0 <= x < self._ids:  # the quickest way
            self._x[0] = x
            return self._one_y
        given: NDArray[Any] = np.asarray(x)
        if given.dtype != self._dtype and not np.can_cast(given.dtype, self._dtype, "same_kind"):
            wanted = "integers" if self._ids else "numbers"
            raise ShapeError(f"`x` must be {wanted}, received {given.dtype.name}")
        shape = given.shape
        if shape == self._one_shape:
            self._one_x[...] = given
            return self._one_y
        if shape != self._shape:
            also = "" if self._one_shape is None else f" or {self._one_shape}"
            raise ShapeError(f"`x` must have shape {self._shape}{also}, received {shape}")
        self._x[...] = given
        return self._y


def _check_out(out: Any, y: Floats) -> None:
    if not isinstance(out, np.ndarray) or out.shape != y.shape or out.dtype != y.dtype:
        found = f"{out.dtype.name} of shape {out.shape}" if hasattr(out, "dtype") else repr(out)
        raise ShapeError(f"`out` must be float32 of shape {y.shape}, received {found}")
    if not out.flags.writeable:
        raise ShapeError("`out` must be memory that can be written, received a read-only array")
