"""Pooling over time that knows which steps are real."""

from __future__ import annotations

from typing import Any, Literal

import keras

from sunhwan.errors import UsageError

#: how the steps of a sequence become one vector
MODES = ("mean", "max", "attention")


@keras.saving.register_keras_serializable(package="sunhwan")
class Pooling(keras.layers.Layer):  # type: ignore[misc]
    """Mean, maximum or weighted mean over the steps of each sequence that a mask leaves.

    Parameters
    ----------
    mode
        ``mean``; ``max``; or ``attention``: each step gets a score ``v . tanh(W x + b)``, and the
        mean is weighted by the softmax of the scores (Yang et al. 2016, equations 5 to 7).

    Examples
    --------
    >>> import numpy as np
    >>> x, mask = np.array([[[1.0], [5.0], [9.0]]]), np.array([[True, True, False]])
    >>> Pooling("mean")(x, mask=mask).tolist(), Pooling("max")(x, mask=mask).tolist()
    ([[3.0]], [[5.0]])
    """

    def __init__(self, mode: Literal["mean", "max", "attention"] = "mean", **options: Any) -> None:
        super().__init__(**options)
        if mode not in MODES:
            raise UsageError(f"`mode` must be one of {', '.join(MODES)}, received {mode!r}")
        self.mode = mode
        self.supports_masking = True

    def build(self, shape: Any) -> None:
        """Make the weights of the scores, where there are any."""
        if self.mode != "attention":
            return
        features = shape[-1]
        self.kernel = self.add_weight(shape=(features, features), name="kernel")
        self.bias = self.add_weight(shape=(features,), initializer="zeros", name="bias")
        self.context = self.add_weight(shape=(features, 1), name="context")

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Return ``float[B, D]`` for ``float[B, T, D]``; zeros for a row without a real step."""
        ops = keras.ops
        weights = ops.ones_like(inputs[..., :1])
        if mask is not None:
            weights = ops.cast(mask, inputs.dtype)[..., None]
        if self.mode == "max":
            lowest = ops.where(weights > 0, inputs, -1e9)
            return ops.where(ops.any(weights > 0, axis=1), ops.max(lowest, axis=1), 0.0)
        if self.mode == "attention":
            hidden = ops.tanh(ops.matmul(inputs, self.kernel) + self.bias)
            scores = ops.matmul(hidden, self.context)
            scores = scores - ops.max(ops.where(weights > 0, scores, -1e9), axis=1, keepdims=True)
            weights = weights * ops.exp(ops.minimum(scores, 0.0))
        total = ops.sum(weights, axis=1)
        return ops.sum(inputs * weights, axis=1) / ops.maximum(total, 1e-9)

    def compute_output_shape(self, shape: Any) -> tuple[Any, ...]:
        """Return ``(B, D)``."""
        return (shape[0], shape[-1])

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: there are no steps any more."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "mode": self.mode}
