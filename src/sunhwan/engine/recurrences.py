"""One step of each recurrence, forward and backward, written from its equations.

Each cell has one function for a step and one for the same step backward. To learn a recurrence,
read its two functions: every line that computes an equation carries its number. How steps make
a sequence, with masks and directions, is in `sunhwan.engine.reference`.

Notation. ``x`` is the input of one step, float64[B, D]. A prime marks the step before: ``h'`` is
the last output, float64[B, H] (in the code ``h``, and the new one ``h_new``). ``W`` (``kernel``),
``U`` (``recurrent_kernel``) and ``b`` (``bias``) hold the gates side by side in Keras's column
order, ``i f c o`` for LSTM and ``z r h`` for GRU; an index picks one. ``*`` goes element by
element. ``a`` is the sum that goes into a gate, before its function: ``sigma`` is
`Cell.recurrent_activation` and ``phi`` `Cell.activation`. ``d_y`` is the derivative of the loss
with respect to ``y``.

SimpleRNN (Elman 1990, where h' is held by the context units)::

    (R1)  h = phi(x W + h' U + b)

LSTM (Hochreiter & Schmidhuber 1997, section 4, for the cell with input and output gate; Gers,
Schmidhuber & Cummins 2000, section 3, for the forget gate)::

    (L1)  i = sigma(x W_i + h' U_i + b_i)        input gate
    (L2)  f = sigma(x W_f + h' U_f + b_f)        forget gate (Gers et al.)
    (L3)  g = phi(x W_c + h' U_c + b_c)          candidate
    (L4)  o = sigma(x W_o + h' U_o + b_o)        output gate
    (L5)  c = f * c' + i * g                     cell (with f = 1: the paper of 1997)
    (L6)  h = o * phi(c)                         output

GRU (Cho et al. 2014, equations 5 to 8; the numbers of the paper stand behind)::

    (G1)  z = sigma(x W_z + h' U_z + b_z)        update gate        (6)
    (G2)  r = sigma(x W_r + h' U_r + b_r)        reset gate         (5)
    (G3)  g = phi(x W_h + (r * h') U_h + b_h)    candidate          (8), reset before the product
    (G3') g = phi(x W_h + b_h + r * (h' U_h + e_h))                 reset after the product
    (G4)  h = z * h' + (1 - z) * g               output             (7)

With the reset after the product (the paper's first version, arXiv 1406.1078v1, and cuDNN) the
recurrent product has a bias ``e`` of its own, also in G1 and G2: the second row of Keras's bias.

Backward is the chain rule applied to those lines from the last to the first; a derivative names
the equation that it goes back through.

References
----------
Elman, "Finding structure in time", Cognitive Science 14 (1990) 179-211.
Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997) 1735-1780.
Gers, Schmidhuber & Cummins, "Learning to forget", Neural Computation 12 (2000) 2451-2471.
Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sunhwan.engine.cell import Cell
from sunhwan.engine.gate_functions import FUNCTIONS

Array = NDArray[np.float64]
State = tuple[Array, ...]
#: what a step forward keeps for the same step backward
Memo = tuple[Array, ...]


@dataclass(frozen=True)
class Weights:
    """Weights in Keras's layout: [D, G*H], [H, G*H] and `Cell.bias_shape`, zero for no bias."""

    kernel: Array
    recurrent_kernel: Array
    bias: Array


@dataclass(frozen=True)
class StepGradients:
    """What one step adds to the gradients, and the derivative for the state before the step."""

    x: Array
    kernel: Array
    recurrent_kernel: Array
    bias: Array
    state: State


Forward = Callable[[Cell, Weights, Array, State], tuple[State, Memo]]
Backward = Callable[[Cell, Weights, Memo, State], StepGradients]


def _simple_rnn(cell: Cell, w: Weights, x: Array, state: State) -> tuple[State, Memo]:
    (h,) = state
    a = x @ w.kernel + h @ w.recurrent_kernel + w.bias
    h_new = FUNCTIONS[cell.activation].value(a)  # (R1) Elman 1990
    return (h_new,), (x, h, a)


def _simple_rnn_back(cell: Cell, w: Weights, memo: Memo, d_state: State) -> StepGradients:
    x, h, a = memo
    (d_h_new,) = d_state
    d_a = d_h_new * FUNCTIONS[cell.activation].slope(a)  # (R1)
    return StepGradients(
        x=d_a @ w.kernel.T,
        kernel=x.T @ d_a,
        recurrent_kernel=h.T @ d_a,
        bias=d_a.sum(axis=0),
        state=(d_a @ w.recurrent_kernel.T,),
    )


def _lstm(cell: Cell, w: Weights, x: Array, state: State) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    h, c = state
    a = x @ w.kernel + h @ w.recurrent_kernel + w.bias
    a_i, a_f, a_c, a_o = np.split(a, 4, axis=1)
    i = sigma(a_i)  # (L1) Hochreiter & Schmidhuber 1997
    f = sigma(a_f)  # (L2) Gers et al. 2000
    g = phi(a_c)  # (L3) Hochreiter & Schmidhuber 1997
    o = sigma(a_o)  # (L4) Hochreiter & Schmidhuber 1997
    c_new = f * c + i * g  # (L5) Gers et al. 2000
    h_new = o * phi(c_new)  # (L6) Hochreiter & Schmidhuber 1997
    return (h_new, c_new), (x, h, c, a, i, f, g, o, c_new)


def _lstm_back(cell: Cell, w: Weights, memo: Memo, d_state: State) -> StepGradients:
    sigma, phi = FUNCTIONS[cell.recurrent_activation], FUNCTIONS[cell.activation]
    x, h, c, a, i, f, g, o, c_new = memo
    a_i, a_f, a_c, a_o = np.split(a, 4, axis=1)
    d_h_new, d_c_new = d_state
    d_o = d_h_new * phi.value(c_new)  # (L6)
    # the cell reaches the loss by two ways: the next step's cell and this step's output
    d_c_new = d_c_new + d_h_new * o * phi.slope(c_new)  # (L6)
    d_i = d_c_new * g  # (L5)
    d_f = d_c_new * c  # (L5)
    d_g = d_c_new * i  # (L5)
    d_c = d_c_new * f  # (L5)
    d_a = np.concatenate(
        [
            d_i * sigma.slope(a_i),  # (L1)
            d_f * sigma.slope(a_f),  # (L2)
            d_g * phi.slope(a_c),  # (L3)
            d_o * sigma.slope(a_o),  # (L4)
        ],
        axis=1,
    )
    return StepGradients(
        x=d_a @ w.kernel.T,
        kernel=x.T @ d_a,
        recurrent_kernel=h.T @ d_a,
        bias=d_a.sum(axis=0),
        state=(d_a @ w.recurrent_kernel.T, d_c),
    )


def _gru_after(cell: Cell, w: Weights, x: Array, state: State) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    (h,) = state
    p = x @ w.kernel + w.bias[0]
    q = h @ w.recurrent_kernel + w.bias[1]
    p_z, p_r, p_h = np.split(p, 3, axis=1)
    q_z, q_r, q_h = np.split(q, 3, axis=1)
    z = sigma(p_z + q_z)  # (G1) Cho et al. 2014, equation 6
    r = sigma(p_r + q_r)  # (G2) Cho et al. 2014, equation 5
    g = phi(p_h + r * q_h)  # (G3') Cho et al. 2014, first version
    h_new = z * h + (1.0 - z) * g  # (G4) Cho et al. 2014, equation 7
    return (h_new,), (x, h, p, q, z, r, g)


def _gru_after_back(cell: Cell, w: Weights, memo: Memo, d_state: State) -> StepGradients:
    sigma, phi = FUNCTIONS[cell.recurrent_activation], FUNCTIONS[cell.activation]
    x, h, p, q, z, r, g = memo
    p_z, p_r, p_h = np.split(p, 3, axis=1)
    q_z, q_r, q_h = np.split(q, 3, axis=1)
    (d_h_new,) = d_state
    d_z = d_h_new * (h - g)  # (G4)
    d_g = d_h_new * (1.0 - z)  # (G4)
    d_p_h = d_g * phi.slope(p_h + r * q_h)  # (G3')
    d_q_h = d_p_h * r  # (G3')
    d_r = d_p_h * q_h  # (G3')
    d_p_r = d_r * sigma.slope(p_r + q_r)  # (G2)
    d_p_z = d_z * sigma.slope(p_z + q_z)  # (G1)
    # the gates z and r see the plain sum p + q, so there d_q is d_p
    d_p = np.concatenate([d_p_z, d_p_r, d_p_h], axis=1)
    d_q = np.concatenate([d_p_z, d_p_r, d_q_h], axis=1)
    return StepGradients(
        x=d_p @ w.kernel.T,
        kernel=x.T @ d_p,
        recurrent_kernel=h.T @ d_q,
        bias=np.stack([d_p.sum(axis=0), d_q.sum(axis=0)]),
        state=(d_h_new * z + d_q @ w.recurrent_kernel.T,),  # (G4) and q
    )


def _gru_before(cell: Cell, w: Weights, x: Array, state: State) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    (h,) = state
    U_z, U_r, U_h = np.split(w.recurrent_kernel, 3, axis=1)
    p_z, p_r, p_h = np.split(x @ w.kernel + w.bias, 3, axis=1)
    a_z = p_z + h @ U_z
    a_r = p_r + h @ U_r
    z = sigma(a_z)  # (G1) Cho et al. 2014, equation 6
    r = sigma(a_r)  # (G2) Cho et al. 2014, equation 5
    a_h = p_h + (r * h) @ U_h
    g = phi(a_h)  # (G3) Cho et al. 2014, equation 8
    h_new = z * h + (1.0 - z) * g  # (G4) Cho et al. 2014, equation 7
    return (h_new,), (x, h, a_z, a_r, a_h, z, r, g)


def _gru_before_back(cell: Cell, w: Weights, memo: Memo, d_state: State) -> StepGradients:
    sigma, phi = FUNCTIONS[cell.recurrent_activation], FUNCTIONS[cell.activation]
    U_z, U_r, U_h = np.split(w.recurrent_kernel, 3, axis=1)
    x, h, a_z, a_r, a_h, z, r, g = memo
    (d_h_new,) = d_state
    d_z = d_h_new * (h - g)  # (G4)
    d_g = d_h_new * (1.0 - z)  # (G4)
    d_a_h = d_g * phi.slope(a_h)  # (G3)
    d_rh = d_a_h @ U_h.T  # (G3)
    d_r = d_rh * h  # (G3)
    d_a_r = d_r * sigma.slope(a_r)  # (G2)
    d_a_z = d_z * sigma.slope(a_z)  # (G1)
    d_a = np.concatenate([d_a_z, d_a_r, d_a_h], axis=1)
    # h goes into (G4), (G3) by r * h, (G2) and (G1)
    d_h = d_h_new * z + d_rh * r + d_a_r @ U_r.T + d_a_z @ U_z.T
    return StepGradients(
        x=d_a @ w.kernel.T,
        kernel=x.T @ d_a,
        recurrent_kernel=np.concatenate([h.T @ d_a_z, h.T @ d_a_r, (r * h).T @ d_a_h], axis=1),
        bias=d_a.sum(axis=0),
        state=(d_h,),
    )


def equations(cell: Cell) -> tuple[Forward, Backward]:
    """Return the step forward and the step backward of a cell.

    Both take the rows of one step, [B, D] and [B, H]; forward gives the new state and a memo,
    backward takes that memo and the derivative of the loss with respect to the new state.

    Examples
    --------
    >>> step, step_back = equations(Cell("simple_rnn", "linear"))
    >>> w = Weights(kernel=np.eye(1), recurrent_kernel=0.5 * np.eye(1), bias=np.zeros(1))
    >>> (h,), memo = step(Cell("simple_rnn", "linear"), w, 3.0 * np.eye(1), (4.0 * np.eye(1),))
    >>> h, step_back(Cell("simple_rnn", "linear"), w, memo, (np.eye(1),)).kernel
    (array([[5.]]), array([[3.]]))
    """
    if cell.kind == "simple_rnn":
        return _simple_rnn, _simple_rnn_back
    if cell.kind == "lstm":
        return _lstm, _lstm_back
    return (_gru_after, _gru_after_back) if cell.reset_after else (_gru_before, _gru_before_back)
