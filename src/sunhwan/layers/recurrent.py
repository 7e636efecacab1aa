"""SimpleRNN, LSTM and GRU: Keras's classes with their inner loop run by a kernel.

Everything around the loop (building, states, stateful, return_state, saving) is Keras's own code.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import keras

from sunhwan import engine
from sunhwan.errors import ShapeError, UsageError
from sunhwan.layers import paths
from sunhwan.layers.watching import WATCH, Watch, check_watchable

#: what `keras.layers.RNN.inner_loop` returns: last output, outputs, states
LoopResult = tuple[Any, Any, list[Any]]
#: the pair that a layer, by its id, is being called in: one map for each thread, so that threads
#: can call the same layer at the same time
PAIRS: ContextVar[Mapping[int, Pair]] = ContextVar("PAIRS", default=MappingProxyType({}))


class FusedLoop:
    """Overrides the one method of Keras's RNN layers that runs the recurrence."""

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """Return the layer's output; arguments as of the Keras layer."""
        if sequences.shape[1] == 0:
            raise UsageError(
                f"layer `{self.name}` received sequences without a step: shape {sequences.shape}",  # type: ignore[attr-defined]
                hint="drop empty sequences, or pad them to one masked step",
            )
        return super().call(  # type: ignore[misc]
            sequences, initial_state=initial_state, mask=mask, training=training
        )

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> Any:
        """Return last output, outputs and states, as `keras.layers.RNN.inner_loop` does."""
        path = paths.of_layer(self, bool(training))
        live = _live_steps(mask)
        _check_shapes(self, sequences, initial_state, live)
        if (watch := WATCH.get()) is not None:
            return _watched(watch, self, sequences, initial_state, live)
        if paths.is_strict():
            paths.require_fused(self.name, path)  # type: ignore[attr-defined]
        if path.is_in_engine:
            return _run_engine(self, sequences, initial_state, live, bool(training))
        if live is not None:
            # Keras computes skipped steps too, and 0 * NaN would poison every gradient.
            sequences = keras.ops.where(live[..., None], sequences, 0)
        last_output, outputs, states = super().inner_loop(  # type: ignore[misc]
            sequences, initial_state, mask=live, training=training
        )
        # Keras zeroes the one output too, against its documentation (zero_output_for_mask).
        keeps = live is None or self.return_sequences  # type: ignore[attr-defined]
        return last_output if keeps else states[0], outputs, states


def _run_engine(
    layer: Any, sequences: Any, initial_state: Any, live: Any, training: bool
) -> LoopResult:
    pair = PAIRS.get().get(id(layer))
    if pair is not None:
        return pair.result(layer, sequences, initial_state, live)
    if training and layer.cell.dropout:
        mask = layer.cell.get_dropout_mask(sequences[:, 0, :])
        sequences = sequences * mask[:, None, :]
    [result] = _run_together([(layer, initial_state)], sequences, live)
    return result


def _run_together(starts: list[tuple[Any, Any]], sequences: Any, live: Any) -> list[LoopResult]:
    """Run layers with equal cells over the same sequences, each from its own initial state."""
    runs = [_run_of(layer, initial_state, sequences) for layer, initial_state in starts]
    layer = starts[0][0]
    lookup = paths.lookup_behind(sequences)
    together = engine.rnns(
        engine_cell(layer.cell),
        _exact(sequences, sequences) if lookup is None else lookup,
        runs,
        mask=live,
        zero_output_for_mask=layer.zero_output_for_mask and layer.return_sequences,
        return_sequences=layer.return_sequences,
    )
    return [
        (last[0], last[0][:, None], list(last))
        if outputs is None
        else (outputs[:, -1], outputs, list(last))
        for outputs, last in together
    ]


def _run_of(layer: Any, initial_state: Any, sequences: Any) -> engine.Run:
    cell = layer.cell
    return engine.Run(
        _exact(cell.kernel, sequences),
        _exact(cell.recurrent_kernel, sequences),
        None if cell.bias is None else _exact(cell.bias, sequences),
        initial_state=tuple(_exact(s, sequences) for s in keras.tree.flatten(initial_state)),
        go_backwards=layer.go_backwards,
    )


def _exact(value: Any, sequences: Any) -> Any:
    # Sums and states are float32 even where the policy stores less.
    dtype = "float64" if str(sequences.dtype) == "float64" else "float32"
    return keras.ops.cast(keras.ops.convert_to_tensor(value), dtype)


def _watched(watch: Watch, layer: Any, sequences: Any, initial_state: Any, live: Any) -> LoopResult:
    check_watchable(layer)
    run = _run_of(layer, initial_state, sequences)
    cell = engine_cell(layer.cell)
    trace = watch.of_layer(layer, cell, _exact(sequences, sequences), run, live)
    outputs = trace.states[0]
    if live is not None and layer.zero_output_for_mask and layer.return_sequences:
        outputs = keras.ops.where(live[..., None], outputs, 0)
    if layer.go_backwards:
        outputs = keras.ops.flip(outputs, axis=1)
    last = list(trace.last)
    return (outputs[:, -1] if layer.return_sequences else last[0]), outputs, last


class Pair:
    """Two layers that are called one after the other, and run together when the first is.

    Parameters
    ----------
    second
        The layer that is called second.
    initial_state
        What it will start from; None if that is its own state or zeros.
    """

    def __init__(self, second: Any, initial_state: Any) -> None:
        self._second = second
        self._initial_state = initial_state
        self._waiting: LoopResult | None = None

    def result(self, layer: Any, sequences: Any, initial_state: Any, live: Any) -> LoopResult:
        """Return what `FusedLoop.inner_loop` returns for ``layer``."""
        if layer is self._second:
            if self._waiting is None:
                raise RuntimeError("the second layer of a pair was called before the first")
            return self._waiting
        starts = [(layer, initial_state), (self._second, self._start(sequences))]
        first, self._waiting = _run_together(starts, sequences, live)
        return first

    def _start(self, sequences: Any) -> Any:
        if self._initial_state is not None:
            return self._initial_state
        if self._second.stateful:
            return self._second.states
        return self._second.get_initial_state(batch_size=keras.ops.shape(sequences)[0])


def _check_shapes(layer: Any, sequences: Any, initial_state: Any, live: Any) -> None:
    """Raise `ShapeError` for states or a mask that do not fit, before anything broadcasts them."""
    batch, steps, features = sequences.shape
    if features != layer.cell.kernel.shape[0]:
        raise ShapeError(
            f"layer `{layer.name}` was built for {layer.cell.kernel.shape[0]} features, "
            f"received {features}: shape {tuple(sequences.shape)}"
        )
    states = keras.tree.flatten(initial_state)
    if len(states) != len(layer.state_size):
        raise ShapeError(
            f"layer `{layer.name}` needs {len(layer.state_size)} initial state(s), "
            f"received {len(states)}"
        )
    wanted = {f"initial_state[{i}]": (s, (batch, layer.cell.units)) for i, s in enumerate(states)}
    if live is not None:
        wanted["mask"] = (live, (batch, steps))
    for name, (given, shape) in wanted.items():
        if tuple(given.shape) != shape:
            raise ShapeError(
                f"`{name}` of layer `{layer.name}` must have shape {shape}, "
                f"received {tuple(given.shape)}"
            )


def engine_cell(cell: Any) -> engine.Cell:
    """Return a Keras cell as the engine knows it.

    Examples
    --------
    >>> engine_cell(keras.layers.GRUCell(3, reset_after=False)).reset_after
    False
    """
    return engine.Cell(
        paths.kind_of(cell),
        activation=paths.activation_name(cell.activation) or "",
        recurrent_activation=paths.activation_name(
            getattr(cell, "recurrent_activation", keras.activations.sigmoid)
        )
        or "",
        reset_after=getattr(cell, "reset_after", True),
    )


def _live_steps(mask: Any) -> Any:
    """Return ``bool[B, T]`` from any mask that Keras takes, or None."""
    masks = [m for m in keras.tree.flatten(mask) if m is not None]
    if not masks:
        return None
    live = keras.ops.cast(keras.ops.convert_to_tensor(masks[0]), "bool")
    return keras.ops.any(live, axis=-1) if len(live.shape) == 3 else live


@keras.saving.register_keras_serializable(package="sunhwan")
class SimpleRNN(FusedLoop, keras.layers.SimpleRNN):  # type: ignore[misc]
    """`keras.layers.SimpleRNN`, faster on a CPU: ``h' = activation(x W + h U + b)``.

    All arguments are those of the Keras layer, and so are the weights. `sunhwan.explain` tells
    whether a kernel runs, and if not, which argument decided it.

    Examples
    --------
    >>> import numpy as np
    >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """


@keras.saving.register_keras_serializable(package="sunhwan")
class LSTM(FusedLoop, keras.layers.LSTM):  # type: ignore[misc]
    """`keras.layers.LSTM`, faster on a CPU. Arguments and weights are those of the Keras layer.

    Examples
    --------
    >>> import numpy as np
    >>> y, h, c = LSTM(4, return_sequences=True, return_state=True)(np.ones((2, 5, 3)))
    >>> y.shape, h.shape, c.shape
    ((2, 5, 4), (2, 4), (2, 4))
    """


@keras.saving.register_keras_serializable(package="sunhwan")
class GRU(FusedLoop, keras.layers.GRU):  # type: ignore[misc]
    """`keras.layers.GRU`, faster on a CPU. Arguments and weights are those of the Keras layer.

    Examples
    --------
    >>> import numpy as np
    >>> GRU(4, reset_after=False, go_backwards=True)(np.ones((2, 5, 3))).shape
    (2, 4)
    """
