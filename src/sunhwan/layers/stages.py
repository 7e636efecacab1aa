"""What each Keras layer does with one step, told to the chain that the kernels run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.engine.chain import Chain
from sunhwan.errors import UsageError
from sunhwan.layers import paths, variants
from sunhwan.layers.embedding import Embedding
from sunhwan.layers.id_dropout import IdDropout
from sunhwan.layers.loop import engine_cell
from sunhwan.layers.recurrent import GRU, LSTM, FusedLoop, SimpleRNN

#: layers that do nothing while predicting
IDENTITIES = frozenset(
    {
        IdDropout,
        keras.layers.Identity,
        keras.layers.Dropout,
        keras.layers.SpatialDropout1D,
        keras.layers.GaussianDropout,
        keras.layers.GaussianNoise,
        keras.layers.AlphaDropout,
        keras.layers.ActivityRegularization,
    }
)
EMBEDDINGS = frozenset({Embedding, keras.layers.Embedding})
RECURRENT = frozenset(
    {SimpleRNN, LSTM, GRU, keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU}
)
#: why a layer is refused that a model of sequences may well have, by the name of its class
_REASONS = {
    "Bidirectional": "it reads the sequence from its end, too",
    "Flatten": "it needs all steps at once",
    "Reshape": "it needs all steps at once",
    "Permute": "it needs all steps at once",
    "RepeatVector": "it makes a sequence of one vector",
    "RNN": "only SimpleRNN, LSTM and GRU have a kernel for one step",
    "Concatenate": "only a chain of layers can be streamed",
    "Add": "only a chain of layers can be streamed",
}


def refuse(layer: Any, reason: str, hint: str | None = None) -> UsageError:
    """Return the error that says why a layer cannot be run step by step."""
    return UsageError(
        f"layer `{layer.name}` ({type(layer).__name__}) cannot be run step by step: {reason}",
        hint=hint,
    )


def check_known(layer: Any) -> None:
    """Raise `UsageError` if a layer is none that can be run step by step, whatever its options."""
    if type(layer) in IDENTITIES or type(layer) in _STAGES:
        return
    kind = type(layer).__name__
    reason = _REASONS.get(kind, "")
    if "Pooling" in kind or "Conv" in kind:
        reason = "it reads several steps at once"
    elif "Attention" in kind:
        reason = "it looks at all steps at once"
    raise refuse(layer, reason or "nothing is known of what it does with one step")


class Builder:
    """Adds layers to a chain, and knows what reaches the next one.

    Parameters
    ----------
    batch_size, features
        As of `Chain`.
    """

    def __init__(self, batch_size: int, features: int) -> None:
        self.chain = Chain(batch_size, features)
        #: names of the layers that do something
        self.names: list[str] = []
        #: False behind a layer that returns its last output only
        self.is_sequence = True
        #: whether a mask reaches the next layer
        self.is_masked = False

    def add(self, layer: Any) -> None:
        """Add a built layer.

        Raises
        ------
        UsageError
            Naming the layer and why it cannot be run step by step.
        """
        check_known(layer)
        if type(layer) in IDENTITIES:
            return
        for kind in ("compute_dtype", "variable_dtype"):
            if (dtype := getattr(layer, kind)) != "float32":
                raise refuse(
                    layer,
                    f"its {kind.replace('_', ' ')} is {dtype}, not float32",
                    "make the model again under the policy float32, and give it the weights: "
                    "set_weights(model.get_weights())",
                )
        if getattr(layer, "quantization_mode", None) is not None:
            raise refuse(layer, f"its weights are quantized ({layer.quantization_mode})")
        _STAGES[type(layer)](self, layer)
        self.names.append(f"{layer.name} ({type(layer).__name__})")

    @property
    def last_axis(self) -> int:
        """The axis of the features, in the model's arrays."""
        return 2 if self.is_sequence else 1


def array(weight: Any) -> NDArray[np.float32]:
    """Return a weight as NumPy has it."""
    return np.asarray(keras.ops.convert_to_numpy(weight), np.float32)


def _embedding(to: Builder, layer: Any) -> None:
    if not to.chain.reads_ids or to.names:
        raise refuse(layer, "it does not come first")
    to.chain.lookup(array(layer.embeddings), bool(layer.mask_zero))
    to.is_masked = bool(layer.mask_zero)


def _masking(to: Builder, layer: Any) -> None:
    to.chain.masking(float(layer.mask_value))
    to.is_masked = True


def _recurrent(to: Builder, layer: Any) -> None:
    if reason := paths.option_without_kernel(layer):
        raise refuse(layer, reason)
    if layer.go_backwards:
        raise refuse(layer, "go_backwards=True reads the sequence from its end")
    if getattr(layer, "projection_units", None) is not None:
        raise refuse(layer, "an output that is projected has no kernel for one step")
    cell, peephole = layer.cell, getattr(layer, "peephole_kernel", None)
    gains = {name: array(value) for name, value in variants.norm_weights(layer).items()}
    # Keras zeroes the one output of a stock layer too, ours does as Keras's documentation says.
    zeroes = layer.return_sequences or not isinstance(layer, FusedLoop)
    to.chain.recurrent(
        engine_cell(layer),
        array(cell.kernel),
        array(cell.recurrent_kernel),
        array(cell.bias) if cell.use_bias else None,
        None if peephole is None else array(peephole),
        **gains,
        zero_output_for_mask=bool(layer.zero_output_for_mask and zeroes),
    )
    to.is_sequence = layer.return_sequences
    to.is_masked = to.is_masked and layer.return_sequences


def _dense(to: Builder, layer: Any) -> None:
    bias = array(layer.bias) if layer.use_bias else None
    to.chain.dense(array(layer.kernel), bias, _activation_of(layer))


def _activation(to: Builder, layer: Any) -> None:
    to.chain.activation(_activation_of(layer))


def _activation_of(layer: Any) -> str:
    function = layer.activation
    if function in (keras.activations.softmax, keras.ops.softmax):
        return "softmax"
    name = paths.activation_name(function)
    if name is None:
        raise refuse(layer, f"activation={getattr(function, '__name__', function)} has no kernel")
    return name


def _softmax(to: Builder, layer: Any) -> None:
    _check_axis(to, layer)
    if to.is_masked:
        raise refuse(layer, "a mask reaches it")
    to.chain.activation("softmax")


def _relu(to: Builder, layer: Any) -> None:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise refuse(layer, "max_value, negative_slope and threshold have no kernel")
    to.chain.activation("relu")


def _batch_normalization(to: Builder, layer: Any) -> None:
    _check_axis(to, layer)
    scale = 1 / np.sqrt(array(layer.moving_variance) + np.float32(layer.epsilon))
    if layer.scale:
        scale = scale * array(layer.gamma)
    shift = -array(layer.moving_mean) * scale
    if layer.center:
        shift = shift + array(layer.beta)
    to.chain.affine(scale, shift)


def _layer_normalization(to: Builder, layer: Any) -> None:
    _check_axis(to, layer)
    features = to.chain.features
    scale = array(layer.gamma) if layer.scale else np.ones(features, np.float32)
    shift = array(layer.beta) if layer.center else np.zeros(features, np.float32)
    to.chain.normalization(scale, shift, float(layer.epsilon))


def _check_axis(to: Builder, layer: Any) -> None:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if axes not in ([-1], [to.last_axis]):
        raise refuse(layer, f"its axis is {layer.axis}, not that of the features")


def _time_distributed(to: Builder, layer: Any) -> None:
    inner = layer.layer
    if type(inner) in IDENTITIES:
        return
    if type(inner) not in (keras.layers.Dense, keras.layers.Activation):
        raise refuse(layer, f"the {type(inner).__name__} in it is neither Dense nor Activation")
    _STAGES[type(inner)](to, inner)


_Stage = Callable[[Builder, Any], None]
_STAGES: dict[type, _Stage] = {
    **dict.fromkeys(EMBEDDINGS, _embedding),
    **dict.fromkeys(RECURRENT, _recurrent),
    keras.layers.Masking: _masking,
    keras.layers.Dense: _dense,
    keras.layers.Activation: _activation,
    keras.layers.Softmax: _softmax,
    keras.layers.ReLU: _relu,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.LayerNormalization: _layer_normalization,
    keras.layers.TimeDistributed: _time_distributed,
}
