"""What a recurrent layer is called with, checked before anything broadcasts it."""

from __future__ import annotations

import os
from typing import Any

import keras

from sunhwan.errors import ShapeError, UsageError


def check_is_layer(model: Any) -> None:
    """Raise `UsageError` for what is neither a Keras model nor a layer."""
    if not isinstance(model, keras.layers.Layer):
        is_path = isinstance(model, (str, os.PathLike))
        raise UsageError(
            f"`model` must be a Keras model or layer, received {type(model).__name__} {model!r}",
            hint="load it: keras.saving.load_model(path)" if is_path else None,
        )


def check_shapes(layer: Any, sequences: Any, initial_state: Any, live: Any, reset: Any) -> None:
    """Raise `ShapeError` for states, a mask or resets that do not fit."""
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
    wanted = {
        f"initial_state[{i}]": (state, (batch, size))
        for i, (state, size) in enumerate(zip(states, layer.state_size, strict=True))
    }
    for name, marks in (("mask", live), ("reset", reset)):
        if marks is not None:
            wanted[name] = (marks, (batch, steps))
    for name, (given, shape) in wanted.items():
        if tuple(given.shape) != shape:
            raise ShapeError(
                f"`{name}` of layer `{layer.name}` must have shape {shape}, "
                f"received {tuple(given.shape)}"
            )


def live_steps(mask: Any) -> Any:
    """Return ``bool[B, T]`` from any mask that Keras takes, or None."""
    masks = [m for m in keras.tree.flatten(mask) if m is not None]
    if not masks:
        return None
    # numbers in a list are the rows of one mask, tensors in a list are masks
    first = mask if isinstance(masks[0], (bool, int)) else masks[0]
    live = keras.ops.cast(keras.ops.convert_to_tensor(first), "bool")
    return keras.ops.any(live, axis=-1) if len(live.shape) == 3 else live
