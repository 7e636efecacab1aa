"""`return_state_sequences`: the states of every step, which a layer gives behind all else.

Keras's own code around the loop knows last states only. So what the loop finds beside them is laid
aside while a layer is called, and put behind what Keras makes of the rest.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras

from sunhwan.errors import UsageError

#: what the layer that is being called has laid aside
_ASIDE: ContextVar[list[Any] | None] = ContextVar("_ASIDE", default=None)


@contextlib.contextmanager
def laying_aside() -> Iterator[list[Any]]:
    """Within, `last_states` fills the list that this gives."""
    aside: list[Any] = []
    before = _ASIDE.set(aside)
    try:
        yield aside
    finally:
        _ASIDE.reset(before)


def last_states(layer: Any, states: list[Any]) -> list[Any]:
    """Return the last states, of those and the states of every step; lay the others aside."""
    count, aside = len(layer.state_size), _ASIDE.get()
    if aside is not None:
        aside[:] = states[count:]
    return states[:count]


def behind(layer: Any, output: Any, sequences: list[Any]) -> Any:
    """Return what a layer gives: ``y``, the last states if wanted, then those of every step."""
    if not layer.return_state_sequences:
        return output
    cast = (keras.ops.cast(sequence, layer.compute_dtype) for sequence in sequences)
    return (*(output if layer.return_state else (output,)), *cast)


def shapes_behind(layer: Any, shapes: Any, sequences_shape: Any) -> Any:
    """Return the shapes of what `behind` returns, of those of Keras's layer."""
    if not layer.return_state_sequences:
        return shapes
    batch, steps = sequences_shape[:2]
    own = ((batch, steps, size) for size in layer.state_size)
    return (*(shapes if layer.return_state else (shapes,)), *own)


def masks_behind(layer: Any, masks: Any, mask: Any) -> Any:
    """Return the masks of what `behind` returns: states of every step bear that of the input."""
    if not layer.return_state_sequences:
        return masks
    own = [keras.tree.flatten(mask)[0]] * len(layer.state_size)
    return [*(masks if layer.return_state else [masks]), *own]


def refuse_in_bidirectional(wrapper: Any, layers: tuple[Any, ...]) -> None:
    """Raise `UsageError` if one of the layers in a `Bidirectional` gives states of every step."""
    if any(getattr(layer, "return_state_sequences", False) for layer in layers):
        raise UsageError(
            f"layer `{wrapper.name}` is Bidirectional, which takes no layer with "
            "`return_state_sequences`: it would merge them with the outputs",
            hint="call two layers, one with go_backwards=True",
        )
