"""Recurrent layers as ONNX's operators: order of gates, two biases, directions, activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.engine.cell import GATES
from sunhwan.errors import UsageError
from sunhwan.layers import paths

#: ONNX's operator for each kind, and the order of gates in its weights; Keras's is `GATES`
_OPERATORS = {"simple_rnn": ("RNN", "h"), "lstm": ("LSTM", "iofc"), "gru": ("GRU", "zrh")}
#: ONNX's name of an activation, with alpha and beta where it takes them; Keras's hard sigmoid is
#: max(0, min(1, x / 6 + 1 / 2))
_ACTIVATIONS: dict[str, tuple[Any, ...]] = {
    "tanh": ("Tanh",),
    "sigmoid": ("Sigmoid",),
    "relu": ("Relu",),
    "linear": ("Affine", 1.0, 0.0),
    "hard_sigmoid": ("HardSigmoid", 1 / 6, 0.5),
}
#: the activations of each operator, in ONNX's order: of the gates, the candidate, the output
_SLOTS = {
    "simple_rnn": ("activation",),
    "lstm": ("recurrent_activation", "activation", "activation"),
    "gru": ("recurrent_activation", "activation"),
}
_CELLS = (keras.layers.SimpleRNNCell, keras.layers.LSTMCell, keras.layers.GRUCell)


@dataclass(frozen=True)
class Operator:
    """A node of ONNX for a recurrent layer.

    Attributes
    ----------
    name
        ``RNN``, ``LSTM`` or ``GRU``.
    weights
        ``float32``: W ``[directions, gates * H, D]``, R ``[directions, gates * H, H]`` and
        B ``[directions, 2 * gates * H]``, those of the inputs before those of the states.
    attributes
        Its direction, activations and so on.
    """

    name: str
    weights: tuple[NDArray[np.float32], ...]
    attributes: dict[str, Any]


def operator(layers: Sequence[Any]) -> Operator:
    """The operator for one built layer, or for the two of a `Bidirectional`.

    Equations: https://onnx.ai/onnx/operators/onnx__GRU.html, and likewise LSTM and RNN. They are
    Keras's; gates stand in another order, and there are always two biases, of which Keras has the
    second only in a GRU that resets after the recurrent product.

    Raises
    ------
    UsageError
        An option or an activation that ONNX has no word for; names the layer.

    Examples
    --------
    >>> from sunhwan.layers import GRU
    >>> layer = GRU(4, reset_after=False)
    >>> layer.build((None, None, 3))
    >>> found = operator([layer])
    >>> found.name, [array.shape for array in found.weights]
    ('GRU', [(1, 12, 3), (1, 12, 4), (1, 24)])
    >>> found.attributes["linear_before_reset"]
    0
    """
    for layer in layers:
        _check(layer, is_pair=len(layers) > 1)
    kinds = [_facts(layer.cell) for layer in layers]
    if kinds[0] != kinds[-1]:
        raise UsageError(
            f"layers `{layers[0].name}` and `{layers[1].name}` of one Bidirectional have "
            "different cells, and ONNX has one operator for both directions"
        )
    kind, units, reset_after = kinds[0]
    activations = [name for layer in layers for name in _activations(layer)]
    attributes = {
        "hidden_size": units,
        "direction": _direction(layers),
        "activations": [_ACTIVATIONS[name][0] for name in activations],
    }
    # an operator takes these from one list, each activation as many as it has
    for place, name in enumerate(("activation_alpha", "activation_beta"), 1):
        values = [_ACTIVATIONS[a][place] for a in activations if len(_ACTIVATIONS[a]) > 1]
        attributes |= {name: values} if values else {}
    if kind == "gru":
        attributes["linear_before_reset"] = int(reset_after)
    weights = [_weights(kind, layer.cell) for layer in layers]
    stacked = tuple(np.stack(arrays) for arrays in zip(*weights, strict=True))
    return Operator(_OPERATORS[kind][0], stacked, attributes)


def _check(layer: Any, is_pair: bool) -> None:
    own = (
        "zoneout",
        "use_peephole",
        "use_layer_norm",
        "return_state_sequences",
        "projection_units",
    )
    for option in own:
        if value := getattr(layer, option, None):
            raise UsageError(
                f"layer `{layer.name}` has {option}={value}, which is not exported to ONNX"
            )
    if type(getattr(layer, "cell", None)) not in _CELLS:
        raise UsageError(f"layer `{layer.name}` ({type(layer).__name__}) has no operator in ONNX")
    for option in ("stateful", "return_state"):
        if getattr(layer, option):
            raise UsageError(f"layer `{layer.name}` has {option}=True, which cannot be exported")
    if layer.go_backwards and layer.return_sequences and not is_pair:
        raise UsageError(
            f"layer `{layer.name}` gives its steps from last to first (go_backwards=True, "
            "return_sequences=True), and ONNX's operators from first to last"
        )


def _facts(cell: Any) -> tuple[str, int, bool]:
    return paths.kind_of(cell), cell.units, getattr(cell, "reset_after", False)


def _direction(layers: Sequence[Any]) -> str:
    if len(layers) > 1:
        return "bidirectional"
    return "reverse" if layers[0].go_backwards else "forward"


def _activations(layer: Any) -> list[str]:
    found = []
    for slot in _SLOTS[paths.kind_of(layer.cell)]:
        function = getattr(layer.cell, slot)
        name = paths.activation_name(function)
        if name is None:
            raise UsageError(
                f"layer `{layer.name}` has {slot}={getattr(function, '__name__', function)}, and "
                f"only {', '.join(_ACTIVATIONS)} are exported to ONNX's operators"
            )
        found.append(name)
    return found


def _weights(kind: str, cell: Any) -> tuple[NDArray[np.float32], ...]:
    """W, R and B of one direction."""
    gates, wanted = GATES[kind], _OPERATORS[kind][1]

    def reordered(weights: Any) -> NDArray[np.float32]:
        parts = np.split(np.asarray(weights, np.float32), len(gates), axis=-1)
        return np.concatenate([parts[gates.index(gate)] for gate in wanted], axis=-1)

    biases = np.zeros((2, cell.kernel.shape[-1]), np.float32)
    if cell.bias is not None:
        given = np.atleast_2d(reordered(cell.bias))
        biases[: len(given)] = given
    kernel, recurrent = reordered(cell.kernel), reordered(cell.recurrent_kernel)
    return kernel.T.copy(), recurrent.T.copy(), biases.reshape(-1)
