"""SimpleRNN, LSTM and GRU: Keras's classes with their inner loop run by a kernel.

Everything around the loop (building, states, stateful, return_state, saving) is Keras's own code.
"""

from __future__ import annotations

from typing import Any

import keras

from sunhwan.errors import UsageError
from sunhwan.layers import paths, state_sequences, variants
from sunhwan.layers.call_checks import check_shapes, live_steps
from sunhwan.layers.loop import run_engine, watched
from sunhwan.layers.projected import CellChoice, without_cudnn
from sunhwan.layers.watching import WATCH


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
            last, outputs, states = watched(watch, self, sequences, initial_state, live)
            return last, outputs, state_sequences.last_states(self, states)
        if paths.is_strict():
            paths.require_fused(self.name, path)  # type: ignore[attr-defined]
        if path.is_in_engine:
            last, outputs, states = run_engine(self, sequences, initial_state, live, bool(training))
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
