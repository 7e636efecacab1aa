"""From a layer's call to the engine's: what takes the place of Keras's loop."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import keras

from sunhwan import engine
from sunhwan.layers import paths, variants
from sunhwan.layers.watching import Watch, check_watchable

#: what `keras.layers.RNN.inner_loop` returns: last output, outputs, states
LoopResult = tuple[Any, Any, list[Any]]
#: the pair that a layer, by its id, is being called in: one map for each thread, so that threads
#: can call the same layer at the same time
PAIRS: ContextVar[Mapping[int, Pair]] = ContextVar("PAIRS", default=MappingProxyType({}))


def run_engine(
    layer: Any, sequences: Any, initial_state: Any, live: Any, training: bool
) -> LoopResult:
    """Return what `keras.layers.RNN.inner_loop` does, of a layer that the engine runs."""
    pair = PAIRS.get().get(id(layer))
    if pair is not None:
        return pair.result(layer, sequences, initial_state, live, training)
    if training and variants.drops_outside(layer.cell):
        mask = layer.cell.get_dropout_mask(sequences[:, 0, :])
        sequences = sequences * mask[:, None, :]
    [result] = _run_together([(layer, initial_state)], sequences, live, training)
    return result


def _run_together(
    starts: list[tuple[Any, Any]], sequences: Any, live: Any, training: bool
) -> list[LoopResult]:
    """Run layers with equal cells over the same sequences, each from its own initial state."""
    runs = [_run_of(layer, initial_state, sequences, training) for layer, initial_state in starts]
    layer = starts[0][0]
    lookup = paths.lookup_behind(sequences)
    together = engine.rnns(
        engine_cell(layer),
        _exact(sequences, sequences) if lookup is None else lookup,
        runs,
        mask=live,
        reset=variants.reset_of_call(),
        zero_output_for_mask=layer.zero_output_for_mask and layer.return_sequences,
        return_sequences=layer.return_sequences,
        return_state_sequences=layer.return_state_sequences,
    )
    return [
        (last[0], last[0][:, None], list(last))
        if outputs is None
        else (outputs[:, -1], outputs, list(last))
        for outputs, last in together
    ]


def _run_of(layer: Any, initial_state: Any, sequences: Any, training: bool) -> engine.Run:
    cell = layer.cell
    drawn: dict[str, Any] = {}
    if training:
        zones_out = any(layer.zoneout_rates)
        drawn = variants.in_training(cell, sequences, initial_state, zones_out)
    noise = drawn.pop("noise", None)
    optional = {"bias": cell.bias, "peephole": getattr(layer, "peephole_kernel", None)}
    optional["projection"] = getattr(cell, "projection_kernel", None)
    optional |= variants.norm_weights(layer) | drawn
    return engine.Run(
        _exact(cell.kernel, sequences),
        _exact(cell.recurrent_kernel, sequences),
        initial_state=tuple(_exact(s, sequences) for s in keras.tree.flatten(initial_state)),
        go_backwards=layer.go_backwards,
        noise=noise,
        **{n: _exact(value, sequences) for n, value in optional.items() if value is not None},
    )


def _exact(value: Any, sequences: Any) -> Any:
    # Sums and states are float32 even where the policy stores less.
    dtype = "float64" if str(sequences.dtype) == "float64" else "float32"
    return keras.ops.cast(keras.ops.convert_to_tensor(value), dtype)


def watched(watch: Watch, layer: Any, sequences: Any, initial_state: Any, live: Any) -> LoopResult:
    """Return the same of a layer whose states and gates are watched, in plain JAX."""
    check_watchable(layer)
    run = _run_of(layer, initial_state, sequences, training=False)
    cell, reset = engine_cell(layer), variants.reset_of_call()
    trace = watch.of_layer(layer, cell, _exact(sequences, sequences), run, live, reset)
    outputs, states = trace.states[0], list(trace.states)
    if live is not None and layer.zero_output_for_mask and layer.return_sequences:
        outputs = keras.ops.where(live[..., None], outputs, 0)
    if layer.go_backwards:
        outputs, states = (keras.ops.flip(outputs, 1), [keras.ops.flip(s, 1) for s in states])
    last = list(trace.last)
    everything = [*last, *states] if layer.return_state_sequences else last
    return (outputs[:, -1] if layer.return_sequences else last[0]), outputs, everything


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

    def result(
        self, layer: Any, sequences: Any, initial_state: Any, live: Any, training: bool
    ) -> LoopResult:
        """Return what `keras.layers.RNN.inner_loop` returns for ``layer``."""
        if layer is self._second:
            if self._waiting is None:
                raise RuntimeError("the second layer of a pair was called before the first")
            return self._waiting
        starts = [(layer, initial_state), (self._second, self._start(sequences))]
        first, self._waiting = _run_together(starts, sequences, live, training)
        return first

    def _start(self, sequences: Any) -> Any:
        start = self._initial_state
        if start is None and self._second.stateful:
            start = self._second.states
        if start is not None:
            # tensors, as Keras makes them where it calls the layer: a variable has no `ones_like`
            dtype = self._second.cell.compute_dtype
            return [keras.ops.convert_to_tensor(state, dtype) for state in start]
        return self._second.get_initial_state(batch_size=keras.ops.shape(sequences)[0])


def engine_cell(layer: Any) -> engine.Cell:
    """Return the cell of a layer, ours or Keras's own, as the engine knows it.

    Examples
    --------
    >>> engine_cell(keras.layers.GRU(3, reset_after=False)).reset_after
    False
    """
    cell, rates = layer.cell, getattr(layer, "zoneout_rates", ())
    return engine.Cell(
        paths.kind_of(cell),
        activation=paths.activation_name(cell.activation) or "",
        recurrent_activation=paths.activation_name(
            getattr(cell, "recurrent_activation", keras.activations.sigmoid)
        )
        or "",
        reset_after=getattr(cell, "reset_after", True),
        norm_epsilon=getattr(layer, "norm_epsilon", 0.0),
        products=paths.products_in(layer.compute_dtype),
        **dict(zip(("zoneout_h", "zoneout_c"), rates, strict=False)),
    )
