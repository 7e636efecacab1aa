"""The gate functions in NumPy float64: value and slope, both as functions of the gate's sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GateFunction:
    """A function applied to a gate's sum, element by element.

    Parameters
    ----------
    value
        ``a -> y``, float64 of any shape.
    slope
        ``a -> dy/da``. Where the function has a corner the slope is 0, as in JAX for ``relu``.

    Examples
    --------
    >>> FUNCTIONS["hard_sigmoid"].value(np.array([-4.0, 0.0, 1.5, 4.0]))
    array([0.  , 0.5 , 0.75, 1.  ])
    """

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def _sigmoid(a: Array) -> Array:
    """Logistic function 1 / (1 + exp(-a)), written so that exp never overflows."""
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, small) / (1.0 + small)


def _sigmoid_slope(a: Array) -> Array:
    # y(a) y(-a) and not y (1 - y), which loses every digit once y rounds to 1
    return _sigmoid(a) * _sigmoid(-a)


def _tanh_slope(a: Array) -> Array:
    # tanh(a) = 2 sigmoid(2a) - 1, so its slope keeps its digits where 1 - tanh(a)^2 loses them
    return 4.0 * _sigmoid_slope(2.0 * a)


def _relu(a: Array) -> Array:
    return np.maximum(a, 0.0)


def _relu_slope(a: Array) -> Array:
    return np.where(a > 0, 1.0, 0.0)


def _hard_sigmoid(a: Array) -> Array:
    """The logistic function as three straight lines, in Keras 3: relu6(a + 3) / 6."""
    return np.clip(a + 3.0, 0.0, 6.0) / 6.0


def _hard_sigmoid_slope(a: Array) -> Array:
    return np.where((a > -3) & (a < 3), 1.0 / 6.0, 0.0)


#: value and slope by the names of `sunhwan.engine.cell.ACTIVATIONS`
FUNCTIONS: dict[str, GateFunction] = {
    "linear": GateFunction(np.copy, np.ones_like),
    "tanh": GateFunction(np.tanh, _tanh_slope),
    "sigmoid": GateFunction(_sigmoid, _sigmoid_slope),
    "relu": GateFunction(_relu, _relu_slope),
    "hard_sigmoid": GateFunction(_hard_sigmoid, _hard_sigmoid_slope),
}
