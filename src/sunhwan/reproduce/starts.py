"""Weights that recurrent networks begin with, other than those that Keras gives them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def chrono(longest: int) -> Callable[..., Any]:
    """Biases of an LSTM whose cells begin with memories of 1 to `longest` steps.

    The bias of a forget gate is the logarithm of a number drawn from 1 to ``longest - 1``, that of
    its input gate the negative of it (Tallec and Ollivier 2018, arXiv:1804.11188, section 3). The
    layer needs ``unit_forget_bias=False``, as Keras would add its own.

    Returns
    -------
    callable
        An initializer for ``bias_initializer``: of a shape ``(4 H,)``.

    Examples
    --------
    >>> import numpy as np
    >>> bias = np.asarray(chrono(20)((12,)))
    >>> bool((bias[:3] == -bias[3:6]).all()), bias[6:].tolist()
    (True, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    """

    def biases(shape: tuple[int, ...], dtype: Any = None) -> Any:
        import keras

        units = shape[0] // 4
        steps = keras.ops.log(keras.random.uniform((units,), 1.0, float(longest - 1)))
        rest = keras.ops.zeros((2 * units,))
        return keras.ops.cast(keras.ops.concatenate([-steps, steps, rest]), dtype or "float32")

    return biases
