"""What all recurrences are made of: weights, scales, what a step gives, products with gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sunhwan.engine.cell import Cell

Array = NDArray[np.float64]
State = tuple[Array, ...]
#: what a step forward keeps for the same step backward
Memo = tuple[Array, ...]


@dataclass(frozen=True)
class Weights:
    """Weights in Keras's layout: [D, G*H], [H, G*H] and `Cell.bias_shape`, zero for no bias.

    ``peephole`` is [3, H] for the gates i, f and o, or None; so is ``projection``, [H, P], with
    which ``recurrent_kernel`` is [P, G*H]. ``norm`` and ``norm_cell`` are there where
    `Cell.norm_epsilon` is not 0 (`sunhwan.engine.recurrences_normalized`).
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    peephole: Array | None = None
    projection: Array | None = None
    norm: Array | None = None
    norm_cell: Array | None = None


@dataclass(frozen=True)
class Scales:
    """Factors of input and state on their way into each gate, [B, G, D] and [B, G, H].

    None stands for ones.
    """

    input: Array | None = None
    state: Array | None = None

    def of(self, rows: NDArray[np.bool_]) -> Scales:
        """Return those of some rows."""
        return Scales(*(None if s is None else s[rows] for s in (self.input, self.state)))


ONES = Scales()


@dataclass(frozen=True)
class StepGradients:
    """What one step adds to the gradients, and the derivative for the state before the step."""

    x: Array
    kernel: Array
    recurrent_kernel: Array
    bias: Array
    state: State
    peephole: Array | None = None
    projection: Array | None = None
    norm: Array | None = None
    norm_cell: Array | None = None


Forward = Callable[[Cell, Weights, Array, State, Scales], tuple[State, Memo]]
Backward = Callable[[Cell, Weights, Memo, State, Scales], StepGradients]


def into_product(cell: Cell, y: Array) -> Array:
    """Return ``y`` as it goes into a product: where that is of bfloat16, rounded to 8 bits (B1)."""
    if cell.products == "float32":
        return y
    significand, exponent = np.frexp(y)
    return np.ldexp(np.rint(significand * 256.0), exponent - 8)


def into_gates(cell: Cell, y: Array, weight: Array, scale: Array | None) -> Array:
    """Return ``(y * s_k) W_k`` for each gate k, side by side."""
    weight = into_product(cell, weight)
    if scale is None:
        return into_product(cell, y) @ weight
    parts = np.split(weight, scale.shape[1], axis=1)
    return np.concatenate(
        [into_product(cell, y * scale[:, k]) @ part for k, part in enumerate(parts)], axis=1
    )


def out_of_gates(
    cell: Cell, d_a: Array, y: Array, weight: Array, scale: Array | None
) -> tuple[Array, Array]:
    """Return the derivatives of `into_gates` for ``y`` and ``weight``."""
    d_a, weight = into_product(cell, d_a), into_product(cell, weight)
    if scale is None:
        return d_a @ weight.T, into_product(cell, y).T @ d_a
    d_y, d_weight = np.zeros_like(y), []
    parts = np.split(weight, scale.shape[1], axis=1)
    for k, (d_a_k, part) in enumerate(zip(np.split(d_a, len(parts), axis=1), parts, strict=True)):
        d_y += (d_a_k @ part.T) * scale[:, k]
        d_weight.append(into_product(cell, y * scale[:, k]).T @ d_a_k)
    return d_y, np.concatenate(d_weight, axis=1)
