"""Looking into the layers of a model while it is called: states, gates, what an embedding gives."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

import keras

from sunhwan import engine
from sunhwan.errors import UsageError
from sunhwan.layers import paths

#: of a layer and a tensor: the tensor that takes its place
Change = Callable[[Any, Any], Any]


@dataclass(eq=False)
class Watch:
    """What is done to recurrent layers and embeddings as they are called, and what they did.

    Attributes
    ----------
    nudges
        By the id of a recurrent layer, what is added to its states after each step, as of
        `sunhwan.engine.trace`.
    change_input
        Called with a recurrent layer and its input; gives the input that is used.
    change_rows
        Called with an embedding and its rows; gives the rows that are used.
    change_state
        Called with a recurrent layer and each state that it begins with; gives that which is used.
    traces
        By the id of a recurrent layer, what happened in it, and the mask, ``bool[B, T]`` or None.
    """

    nudges: dict[int, tuple[Any, ...]]
    change_input: Change
    change_rows: Change
    change_state: Change
    traces: dict[int, tuple[engine.Trace, Any]]

    def of_layer(
        self, layer: Any, cell: engine.Cell, x: Any, run: engine.Run, live: Any, reset: Any
    ) -> Any:
        """Run a layer in plain JAX, and keep its trace.

        Raises
        ------
        UsageError
            The layer was called before, so that there are two of all its steps.
        """
        if id(layer) in self.traces:
            raise UsageError(
                f"layer `{layer.name}` is called twice in the model, which cannot be watched",
                hint="give each place a layer of its own",
            )
        if run.initial_state is not None:
            begin = tuple(self.change_state(layer, state) for state in run.initial_state)
            run = replace(run, initial_state=begin)
        trace = engine.trace(
            cell,
            self.change_input(layer, x),
            run,
            mask=live,
            reset=reset,
            nudges=self.nudges.get(id(layer)),
        )
        self.traces[id(layer)] = (trace, live)
        return trace


WATCH: ContextVar[Watch | None] = ContextVar("WATCH", default=None)


@contextlib.contextmanager
def watching(
    nudges: dict[int, tuple[Any, ...]] | None = None,
    change_input: Change | None = None,
    change_rows: Change | None = None,
    change_state: Change | None = None,
) -> Iterator[Watch]:
    """Within, `SimpleRNN`, `LSTM`, `GRU` and `Embedding` are watched instead of run by kernels.

    Examples
    --------
    >>> import numpy as np
    >>> from sunhwan.layers import GRU
    >>> layer = GRU(3)
    >>> with watching() as watch:
    ...     y = layer(np.ones((2, 5, 4), "float32"))
    >>> trace, mask = watch.traces[id(layer)]
    >>> list(trace.gates), trace.states[0].shape, bool((trace.states[0][:, -1] == y).all())
    (['z', 'r', 'h'], (2, 5, 3), True)
    """
    watch = Watch(
        nudges or {},
        change_input or _as_it_is,
        change_rows or _as_it_is,
        change_state or _as_it_is,
        traces={},
    )
    before = WATCH.set(watch)
    try:
        yield watch
    finally:
        WATCH.reset(before)


def _as_it_is(_: Any, x: Any) -> Any:
    return x


def check_watchable(layer: Any) -> None:
    """Raise `UsageError` if a recurrent layer has an option that only Keras's own loop knows."""
    if keras.backend.backend() != "jax":
        raise UsageError(
            f"layers are watched on the JAX backend, Keras's is {keras.backend.backend()}",
            hint="set KERAS_BACKEND=jax before Keras is imported",
        )
    reason = paths.option_without_kernel(layer)
    if reason:
        raise UsageError(f"layer `{layer.name}` cannot be watched: {reason}")
