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
from sunhwan.errors import UsageError
from sunhwan.layers import paths, state_sequences, variants
from sunhwan.layers.call_checks import check_shapes, live_steps
from sunhwan.layers.projected import CellChoice, without_cudnn
from sunhwan.layers.watching import WATCH, Watch, check_watchable

#: what `keras.layers.RNN.inner_loop` returns: last output, outputs, states
LoopResult = tuple[Any, Any, list[Any]]
#: the pair that a layer, by its id, is being called in: one map for each thread, so that threads
#: can call the same layer at the same time
PAIRS: ContextVar[Mapping[int, Pair]] = ContextVar("PAIRS", default=MappingProxyType({}))


class FusedLoop:
    """Overrides the one method of Keras's RNN layers that runs the recurrence."""

    def __init__(
        self,
        *args: Any,
        zoneout: Any = 0.0,
        use_layer_norm: bool = False,
        norm_epsilon: float = 1e-3,
        return_state_sequences: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.zoneout = zoneout
        self.use_layer_norm = use_layer_norm
        self.norm_epsilon = (
            variants.checked_norm_epsilon(self, norm_epsilon) if use_layer_norm else 0.0
        )
        self.norm_gain: Any = None
        self.return_state_sequences = return_state_sequences
        states = len(self.state_size)  # type: ignore[attr-defined]
        self.zoneout_rates = variants.zoneout_rates(zoneout, states, f"layer `{self.name}`")  # type: ignore[attr-defined]

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Make the weights; the layer's own stand first in `weights`, those of its cell behind."""
        super().build(sequences_shape, initial_state_shape)  # type: ignore[misc]
        if self.use_layer_norm:
            variants.add_norm_weights(self)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        reset: Any = None,
        sequences_mask: Any = None,
    ) -> Any:
        """Return the layer's output; arguments as of the Keras layer, and `reset`.

        With ``return_state`` the last states follow it, and with ``return_state_sequences`` behind
        these the states after every step, ``[B, T, H]`` each, in order of processing: all of an
        LSTM is ``y, h, c, h_all, c_all``. A masked step repeats the state carried over.

        Parameters
        ----------
        reset
            ``bool[B, T]``: at a step that is True an episode begins, and the states are zeros
            before it, whatever came before and whatever ``initial_state`` is. At a masked step
            nothing happens.
        sequences_mask
            Filled in by Keras: the mask that ``sequences`` bears, where ``reset`` is a tensor too.
        """
        if sequences.shape[1] == 0:
            raise UsageError(
                f"layer `{self.name}` received sequences without a step: shape {sequences.shape}",  # type: ignore[attr-defined]
                hint="drop empty sequences, or pad them to one masked step",
            )
        if mask is None and reset is not None:
            mask = sequences_mask
        with variants.resetting(reset), state_sequences.laying_aside() as aside:
            output = super().call(  # type: ignore[misc]
                sequences, initial_state=initial_state, mask=mask, training=training
            )
        return state_sequences.behind(self, output, aside)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """Return the shape of what `call` returns, or of each part of it."""
        shapes = super().compute_output_shape(sequences_shape)  # type: ignore[misc]
        return state_sequences.shapes_behind(self, shapes, sequences_shape)

    def compute_mask(self, sequences: Any, mask: Any) -> Any:
        """Return the mask of what `call` returns, or of each part of it."""
        masks = super().compute_mask(sequences, mask)  # type: ignore[misc]
        return state_sequences.masks_behind(self, masks, mask)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; of our own those that are set, so that Keras's layer takes it."""
        rates = self.zoneout_rates
        own = {"zoneout": list(rates) if len(rates) > 1 else rates[0]} if any(rates) else {}
        if self.use_layer_norm:
            own |= {"use_layer_norm": True, "norm_epsilon": self.norm_epsilon}
        own |= {"return_state_sequences": True} if self.return_state_sequences else {}
        return {**super().get_config(), **own}  # type: ignore[misc]

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> Any:
        """Return last output, outputs and states, as `keras.layers.RNN.inner_loop` does."""
        path = paths.of_layer(self)
        live = live_steps(mask)
        check_shapes(self, sequences, initial_state, live, variants.reset_of_call())
        if (watch := WATCH.get()) is not None:
            last, outputs, states = _watched(watch, self, sequences, initial_state, live)
            return last, outputs, state_sequences.last_states(self, states)
        if paths.is_strict():
            paths.require_fused(self.name, path)  # type: ignore[attr-defined]
        if path.is_in_engine:
            last, outputs, states = _run_engine(
                self, sequences, initial_state, live, bool(training)
            )
            return last, outputs, state_sequences.last_states(self, states)
        variants.require_engine(self, path)
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


def _watched(watch: Watch, layer: Any, sequences: Any, initial_state: Any, live: Any) -> LoopResult:
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
        """Return what `FusedLoop.inner_loop` returns for ``layer``."""
        if layer is self._second:
            if self._waiting is None:
                raise RuntimeError("the second layer of a pair was called before the first")
            return self._waiting
        starts = [(layer, initial_state), (self._second, self._start(sequences))]
        first, self._waiting = _run_together(starts, sequences, live, training)
        return first

    def _start(self, sequences: Any) -> Any:
        if self._initial_state is not None:
            return self._initial_state
        if self._second.stateful:
            return self._second.states
        return self._second.get_initial_state(batch_size=keras.ops.shape(sequences)[0])


def engine_cell(layer: Any) -> engine.Cell:
    """Return the cell of a layer, ours or Keras's own, as the engine knows it.

    Examples
    --------
    >>> engine_cell(GRU(3, reset_after=False)).reset_after
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


@keras.saving.register_keras_serializable(package="sunhwan")
class SimpleRNN(FusedLoop, keras.layers.SimpleRNN):  # type: ignore[misc]
    """`keras.layers.SimpleRNN`, faster on a CPU: ``h' = activation(x W + h U + b)``.

    All arguments are those of the Keras layer, and so are the weights. `sunhwan.explain` tells
    whether a kernel runs, and if not, which argument decided it.

    Parameters
    ----------
    zoneout
        Probability that a unit keeps its state in a step (Krueger et al. 2017): in training at
        random, in inference by the expectation. Our own argument, as ``reset`` is in `call`.
    use_layer_norm, norm_epsilon
        Normalise ``x W + h U`` over the units (Ba, Kiros & Hinton 2016), ``norm_epsilon`` being
        added to the variance; a weight ``norm_gain``, ``(1, units)``, multiplies it, and the bias
        is added behind.
    return_state_sequences
        Return the states after every step too, behind all else (`call`).

    Examples
    --------
    >>> import numpy as np
    >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """


@keras.saving.register_keras_serializable(package="sunhwan")
class LSTM(FusedLoop, keras.layers.LSTM, CellChoice):  # type: ignore[misc]
    """`keras.layers.LSTM`, faster on a CPU. Arguments and weights are those of the Keras layer.

    Beside those it has the arguments below, and ``reset`` in `call`.

    Parameters
    ----------
    zoneout
        Probability that a unit keeps its state in a step (Krueger et al. 2017), or a pair of
        probabilities for h and c: in training at random, in inference by the expectation.
    return_state_sequences
        Return the states after every step too, behind all else: ``y, h_all, c_all``, or with
        ``return_state`` ``y, h, c, h_all, c_all``, in order of processing.
    use_peephole
        Let the gates i and f see the cell before the step, and o the one after it (Gers &
        Schmidhuber 2000), through weights ``peephole_kernel`` of shape ``(3, units)``.
    peephole_initializer
        How these begin.
    use_layer_norm, norm_epsilon
        Normalise ``x W`` and ``h U``, each over all gates, and the cell on its way out (Ba, Kiros &
        Hinton 2016), ``norm_epsilon`` being added to the variances. Weights ``norm_gain``,
        ``(2, 4 * units)``, multiply the first two, and ``cell_gain`` and ``cell_offset``,
        ``(units,)`` each, follow upon the third. The bias is added behind.
    projection_units
        Let the output h have so many units, of which there may be fewer than of the cell: what the
        cell gives is multiplied by ``projection_kernel``, ``(units, projection_units)`` (Sak et al.
        2014; PyTorch's ``proj_size``).
    projection_initializer
        How that begins, ``"glorot_uniform"`` if not given.

    Examples
    --------
    >>> import numpy as np
    >>> y, h, c = LSTM(4, return_sequences=True, return_state=True)(np.ones((2, 5, 3)))
    >>> y.shape, h.shape, c.shape
    ((2, 5, 4), (2, 4), (2, 4))
    >>> layer = LSTM(4, zoneout=(0.05, 0.5), use_peephole=True)
    >>> layer(np.ones((1, 5, 3)), reset=np.array([[False, False, True, False, False]])).shape
    (1, 4)
    >>> layer.peephole_kernel.shape
    (3, 4)
    >>> layer = LSTM(4, use_layer_norm=True)
    >>> layer(np.ones((1, 5, 3))).shape, layer.norm_gain.shape
    ((1, 4), (2, 16))
    >>> y, h, c = LSTM(4, projection_units=2, return_state=True)(np.ones((2, 5, 3)))
    >>> y.shape, h.shape, c.shape
    ((2, 2), (2, 2), (2, 4))
    >>> y, h_all, c_all = LSTM(4, return_state_sequences=True)(np.ones((2, 5, 3)))
    >>> y.shape, c_all.shape, bool((y == h_all[:, -1]).all())
    ((2, 4), (2, 5, 4), True)
    """

    def __init__(
        self,
        *args: Any,
        use_peephole: bool = False,
        peephole_initializer: Any = "glorot_uniform",
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        if self.projection_units is not None:
            self.use_cudnn: Any = without_cudnn(self)
        self.use_peephole = use_peephole
        # only for peepholes: an initializer draws a seed, and all layers after would have others
        self.peephole_initializer = (
            keras.initializers.get(peephole_initializer) if use_peephole else None
        )
        self.peephole_kernel = None

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        """Make the weights; the layer's own stand first in `weights`, those of its cell behind."""
        super().build(sequences_shape, initial_state_shape)
        if self.use_peephole:
            self.peephole_kernel = self.add_weight(
                shape=(3, self.units), name="peephole_kernel", initializer=self.peephole_initializer
            )

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; of our own those that are set, so that Keras's layer takes it."""
        if not self.use_peephole:
            return super().get_config()
        initializer = keras.initializers.serialize(self.peephole_initializer)
        own = {"use_peephole": True, "peephole_initializer": initializer}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="sunhwan")
class GRU(FusedLoop, keras.layers.GRU):  # type: ignore[misc]
    """`keras.layers.GRU`, faster on a CPU. Arguments and weights are those of the Keras layer.

    Parameters
    ----------
    zoneout
        Probability that a unit keeps its state in a step (Krueger et al. 2017): in training at
        random, in inference by the expectation. Our own argument, as ``reset`` is in `call`.
    use_layer_norm, norm_epsilon
        Normalise ``x W`` and ``h U`` (Ba, Kiros & Hinton 2016), each over both gates and over the
        candidate by itself, ``norm_epsilon`` being added to the variances; weights ``norm_gain``,
        ``(2, 3 * units)``, multiply them, and the biases are added behind. ``reset_after`` must be
        True.
    return_state_sequences
        Return the states after every step too, behind all else (`call`).

    Examples
    --------
    >>> import numpy as np
    >>> GRU(4, reset_after=False, go_backwards=True)(np.ones((2, 5, 3))).shape
    (2, 4)
    """
