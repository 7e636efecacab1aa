"""`sunhwan.stream`: a model that reads one step at a time and remembers the ones before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras

from sunhwan.engine import native
from sunhwan.engine.stream import Stream
from sunhwan.errors import UsageError
from sunhwan.layers.call_checks import check_is_layer
from sunhwan.layers.stages import EMBEDDINGS, IDENTITIES, RECURRENT, Builder, check_known, refuse


def stream(model: Any, batch_size: int = 1) -> Stream:
    """Return a model's chain of layers as a stream: `Stream.step` reads a step, in microseconds.

    After t steps it gives what ``model.predict`` gives of those t steps together, at the last of
    them: layer by layer the same recurrent kernels, to the same bits; what other layers sum may
    differ by its rounding. A step that is masked (id 0 behind ``mask_zero=True``) leaves the state
    as it is. The state begins with zeros, whatever the layers of the model hold.

    Parameters
    ----------
    model
        A built Keras model that is a chain, or one layer that has weights: of Embedding, Masking,
        SimpleRNN, LSTM, GRU (ours or Keras's own), Dense, TimeDistributed, Activation, Softmax,
        ReLU, BatchNormalization, LayerNormalization, and layers that only act in training. Its
        weights are copied: what happens to the model later does not change the stream.
    batch_size
        How many sequences are read side by side.

    Raises
    ------
    UsageError
        If the model is no such chain; names the layer and the reason.
    KernelError
        If the kernels are missing: there is no slower way that would be taken in silence.

    Examples
    --------
    >>> import numpy as np
    >>> from sunhwan.layers import GRU
    >>> model = keras.Sequential([keras.Input((None, 3)), GRU(4), keras.layers.Dense(2)])
    >>> x = np.random.default_rng(0).standard_normal((5, 3), "float32")
    >>> steps = stream(model)
    >>> y = [steps.step(row).copy() for row in x]
    >>> bool(np.allclose(y[-1], model.predict(x[None], verbose=0)[0], atol=1e-6))
    True
    """
    check_is_layer(model)
    native.module()
    layers = _in_order(model)
    for layer in layers:
        check_known(layer)
        if not layer.built:
            raise UsageError(
                f"layer `{layer.name}` ({type(layer).__name__}) has no weights yet",
                hint="call the model on a batch, or give it an input shape, before it is streamed",
            )
    builder = Builder(batch_size, _features(model, layers))
    for layer in layers:
        builder.add(layer)
    return Stream(builder.chain, builder.names)


def _features(model: Any, layers: list[Any]) -> int:
    """Return how many numbers a step has, or 0 where it is an id."""
    active = [layer for layer in layers if type(layer) not in IDENTITIES]
    if not active:
        raise UsageError(f"`{model.name}` has no layer that does something at each step")
    reads_ids = type(active[0]) in EMBEDDINGS
    if isinstance(model, keras.Model):
        shape = tuple(model.inputs[0].shape)
        if len(shape) != (2 if reads_ids else 3) or (shape[-1] is None and not reads_ids):
            expected = "ids (batch, time)" if reads_ids else "steps (batch, time, features)"
            raise UsageError(f"`{model.name}` must read {expected}, its input has shape {shape}")
        return 0 if reads_ids else int(shape[-1])
    if reads_ids:
        return 0
    weighted = active[0].cell if type(active[0]) in RECURRENT else active[0]
    if not hasattr(weighted, "kernel"):
        raise refuse(model, "on its own it does not tell how many numbers a step has")
    return int(weighted.kernel.shape[0])


def _in_order(model: Any) -> list[Any]:
    """Return the layers of a chain, those of models in it too, in the order of the computation."""
    if not isinstance(model, keras.Model):
        return [model]
    if type(model).__module__.partition(".")[0] != "keras":
        raise UsageError(
            f"model `{model.name}` ({type(model).__name__}) has a `call` of its own, "
            "and only a chain of layers can be streamed",
            hint="make it a keras.Sequential, or a keras.Model of inputs and outputs",
        )
    if not model.built:
        raise UsageError(
            f"model `{model.name}` has no weights yet",
            hint="call it on a batch, or give it a keras.Input, before it is streamed",
        )
    if not isinstance(model, keras.Sequential):
        return _Walk(model).layers
    found: list[Any] = []
    for layer in model.layers:
        found += _inner(layer, found) if isinstance(layer, keras.Model) else [layer]
    return found


def _inner(model: Any, before: list[Any]) -> list[Any]:
    """Return the layers of a model that comes after others in another one."""
    found = _in_order(model)
    if _is_masked(before) or _is_masked(found):
        raise refuse(model, "a mask would have to go into a model or out of it")
    return found


def _is_masked(layers: list[Any]) -> bool:
    """Return whether there is a mask behind a chain."""
    is_masked = False
    for layer in layers:
        if type(layer) is keras.layers.Masking or getattr(layer, "mask_zero", False):
            is_masked = True
        elif type(layer) in RECURRENT and not layer.return_sequences:
            is_masked = False
    return is_masked


@dataclass(frozen=True)
class _Mask:
    """``source != value``, of any feature or not: Keras makes its masks of such operations."""

    source: object
    value: float
    is_any: bool


class _Walk:
    """Goes Keras's own way through a functional model, with marks in place of tensors."""

    def __init__(self, model: Any) -> None:
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise UsageError(
                f"model `{model.name}` has {len(model.inputs)} inputs and {len(model.outputs)} "
                "outputs, and only a chain of layers with one of each can be streamed"
            )
        self.layers: list[Any] = []
        self._last = object()
        self._mask: _Mask | None = None
        end = keras.tree.flatten(model._run_through_graph([self._last], call_fn=self._call))
        if end[0] is not self._last:
            raise UsageError(
                f"model `{model.name}` does not give what its last layer gives, "
                "and only a chain of layers can be streamed"
            )

    def _call(self, operation: Any, *arguments: Any, **options: Any) -> Any:
        if (mask := _mask_made(operation, arguments)) is not None:
            return mask
        if not isinstance(operation, keras.Model):
            check_known(operation)
        if len(arguments) != 1 or arguments[0] is not self._last:
            raise refuse(operation, "only a chain of layers can be streamed")
        mask = options.pop("mask", None)
        if mask != self._mask and (mask is not None or type(operation) in RECURRENT):
            raise refuse(operation, "it is called with a mask that is not that of its input")
        for name, value in options.items():
            if value is not None and value is not False:
                raise refuse(operation, f"it is called with `{name}`")
        if isinstance(operation, keras.Model):
            self.layers += _inner(operation, self.layers)
        else:
            self.layers.append(operation)
        return self._marks(operation)

    def _marks(self, operation: Any) -> list[object]:
        """Move on behind an operation: the marks of its output, and of states that nobody reads."""
        if type(operation) is keras.layers.Masking:
            self._mask = _Mask(self._last, operation.mask_value, True)
        elif getattr(operation, "mask_zero", False):
            self._mask = _Mask(self._last, 0, False)
        elif not _is_masked(self.layers):
            self._mask = None
        self._last = object()
        flags = ("return_state", "return_state_sequences")
        times = sum(bool(getattr(operation, flag, False)) for flag in flags)
        states = times * len(operation.state_size) if times else 0
        return [self._last, *(object() for _ in range(states))]


def _mask_made(operation: Any, arguments: tuple[Any, ...]) -> _Mask | None:
    """Return the mask that an operation makes, if it is one of those that Keras makes them of."""
    home, _, kind = f"{type(operation).__module__}.{type(operation).__name__}".rpartition(".")
    if not home.startswith("keras.") or isinstance(operation, keras.layers.Layer):
        return None
    first, *more = arguments
    if kind == "NotEqual" and len(more) == 1 and isinstance(more[0], int | float):
        return _Mask(first, more[0], False)
    if kind == "Any" and isinstance(first, _Mask) and operation.axis in (-1, [-1], (-1,)):
        return replace(first, is_any=True)
    return None
