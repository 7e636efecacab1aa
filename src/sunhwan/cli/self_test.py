"""The numeric self-test: every recurrence and the embedding against the reference, in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from sunhwan.engine import Cell, embedding_lookup, native, reference, rnn

_CELLS = {
    "SimpleRNN": Cell("simple_rnn"),
    "LSTM": Cell("lstm"),
    "GRU": Cell("gru"),
    "GRU, reset before": Cell("gru", reset_after=False),
}
#: no two alike, more than a vector of units and no multiple of one, more than one checkpoint
_B, _T, _D, _H = 5, 21, 3, 19
_EPS = float(np.finfo(np.float32).eps)

Named = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Found:
    """One test: what was tested, and its largest error in units of the tolerance."""

    name: str
    worst: float

    @property
    def is_right(self) -> bool:
        """True within the tolerance; NaN is never right."""
        return self.worst <= 1.0


def run() -> Iterator[Found]:
    """Test what runs here: the kernels in use, or plain JAX where there are none.

    Yields
    ------
    Found
        For each recurrence forward and backward, and for the embedding.
    """
    where = native.active_isa() if native.available() else "plain JAX"
    for name, cell in _CELLS.items():
        yield Found(f"{name}, {where}", _recurrence_error(cell))
    yield Found(f"Embedding, {where}", _embedding_error())


def _recurrence_error(cell: Cell) -> float:
    """Largest error of outputs, states and gradients, in units of the tolerance."""
    rng = np.random.default_rng(20)
    columns = len(cell.gates) * _H

    def draw(*shape: int, scale: float = 1.0) -> NDArray[np.float32]:
        return (scale * rng.standard_normal(shape)).astype(np.float32)

    operands: dict[str, Any] = {
        "x": draw(_B, _T, _D),
        "kernel": draw(_D, columns, scale=_D**-0.5),
        "recurrent_kernel": draw(_H, columns, scale=_H**-0.5),
        "bias": draw(*cell.bias_shape(_H), scale=0.5),
        "initial_state": tuple(draw(_B, _H) for _ in range(cell.states)),
    }
    mask = rng.random((_B, _T)) < 0.7
    d_outputs = draw(_B, _T, _H)
    d_states = tuple(draw(_B, _H) for _ in range(cell.states))

    def forward(operands: dict[str, Any]) -> Any:
        return rnn(cell, **operands, mask=mask)

    (outputs, states), back = jax.vjp(jax.jit(forward), operands)
    gradients = back((jax.numpy.asarray(d_outputs), tuple(map(jax.numpy.asarray, d_states))))[0]
    done = reference.forward(cell, **operands, mask=mask)
    wanted = reference.backward(done, d_outputs, d_states)
    forward_terms = 8 + _T + _D + _H
    pairs = [(outputs, done.outputs, forward_terms)]
    pairs += [(s, w, forward_terms) for s, w in zip(states, done.states, strict=True)]
    pairs += [
        (got, want, forward_terms + columns + (0 if name in ("x", "initial_state") else _B * _T))
        for name in operands
        for got, want in zip(
            jax.tree.leaves(gradients[name]),
            jax.tree.leaves(getattr(wanted, name)),
            strict=True,
        )
    ]
    # NumPy's maximum, unlike Python's, is NaN as soon as one error is
    return float(np.max([_error(*pair) for pair in pairs]))


def _error(got: Any, want: NDArray[np.float64], terms: int) -> float:
    """Largest error in units of ``eps * terms * max|want|``, the bound for sums of ``terms``.

    It is the bound that the project's tests derive (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002): rounding errors of a sum grow with the number of its terms, those of the
    steps add up, and a few go to the gate functions.
    """
    error = float(np.abs(np.asarray(got, dtype=np.float64) - want).max())
    return error / (_EPS * terms * float(np.abs(want).max()))


def _embedding_error() -> float:
    """Error of lookup (must be exact) and gradient, in units of the tolerance."""
    rng = np.random.default_rng(21)
    table = rng.standard_normal((11, _D)).astype(np.float32)
    ids = rng.integers(0, 11, (_B, _T)).astype(np.int32)
    d_rows = rng.standard_normal((_B, _T, _D)).astype(np.float32)
    rows, back = jax.vjp(lambda table: embedding_lookup(table, ids), table)
    if not np.array_equal(np.asarray(rows), table[ids]):
        return float("inf")
    wanted = np.zeros(table.shape)
    np.add.at(wanted, ids, d_rows.astype(np.float64))
    return _error(back(jax.numpy.asarray(d_rows))[0], wanted, _B * _T)
