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

Variational dropout (Gal & Ghahramani 2016), all cells: in the sum of gate k, with scales ``s_k``
of the input and ``q_k`` of the state that are the same in all steps of a row (in the dropout of
the paper the same for all gates too; Keras draws them for each)::

    (V1)  x W_k  becomes  (x * s_k) W_k
    (V2)  h' U_k  becomes  (h' * q_k) U_k,  in G3  (r * (h' * q_h)) U_h;  in G4 h' stays

Peephole LSTM (Gers & Schmidhuber 2000; Gers, Schraudolph & Schmidhuber 2002), with weights ``p``
from each unit's cell to its own gates::

    (P1)  i = sigma(x W_i + h' U_i + b_i + p_i * c')    in place of L1
    (P2)  f = sigma(x W_f + h' U_f + b_f + p_f * c')    in place of L2
    (P3)  o = sigma(x W_o + h' U_o + b_o + p_o * c)     in place of L4; c is that of L5

Backward is the chain rule applied to those lines from the last to the first; a derivative names
the equation that it goes back through.

References
----------
Elman, "Finding structure in time", Cognitive Science 14 (1990) 179-211.
Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9 (1997) 1735-1780.
Gers, Schmidhuber & Cummins, "Learning to forget", Neural Computation 12 (2000) 2451-2471.
Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014.
Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks",
NIPS 2016.
Gers & Schmidhuber, "Recurrent nets that time and count", IJCNN 2000.
Gers, Schraudolph & Schmidhuber, "Learning precise timing with LSTM recurrent networks", JMLR 3
(2002) 115-143.
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
    """Weights in Keras's layout: [D, G*H], [H, G*H] and `Cell.bias_shape`, zero for no bias.

    ``peephole`` is [3, H] for the gates i, f and o, or None.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    peephole: Array | None = None


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


_ONES = Scales()


@dataclass(frozen=True)
class StepGradients:
    """What one step adds to the gradients, and the derivative for the state before the step."""

    x: Array
    kernel: Array
    recurrent_kernel: Array
    bias: Array
    state: State
    peephole: Array | None = None


Forward = Callable[[Cell, Weights, Array, State, Scales], tuple[State, Memo]]
Backward = Callable[[Cell, Weights, Memo, State, Scales], StepGradients]


def _into_gates(y: Array, weight: Array, scale: Array | None) -> Array:
    """Return ``(y * s_k) W_k`` for each gate k, side by side."""
    if scale is None:
        return y @ weight
    parts = np.split(weight, scale.shape[1], axis=1)
    return np.concatenate([(y * scale[:, k]) @ part for k, part in enumerate(parts)], axis=1)


def _out_of_gates(d_a: Array, y: Array, weight: Array, scale: Array | None) -> tuple[Array, Array]:
    """Return the derivatives of `_into_gates` for ``y`` and ``weight``."""
    if scale is None:
        return d_a @ weight.T, y.T @ d_a
    d_y, d_weight = np.zeros_like(y), []
    parts = np.split(weight, scale.shape[1], axis=1)
    for k, (d_a_k, part) in enumerate(zip(np.split(d_a, len(parts), axis=1), parts, strict=True)):
        d_y += (d_a_k @ part.T) * scale[:, k]
        d_weight.append((y * scale[:, k]).T @ d_a_k)
    return d_y, np.concatenate(d_weight, axis=1)


def _simple_rnn(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = _ONES
) -> tuple[State, Memo]:
    (h,) = state
    xw = _into_gates(x, w.kernel, scales.input)  # (V1) Gal & Ghahramani 2016
    hu = _into_gates(h, w.recurrent_kernel, scales.state)  # (V2) Gal & Ghahramani 2016
    a = xw + hu + w.bias
    h_new = FUNCTIONS[cell.activation].value(a)  # (R1) Elman 1990
    return (h_new,), (x, h, a)


def _simple_rnn_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = _ONES
) -> StepGradients:
    x, h, a = memo
    (d_h_new,) = d_state
    d_a = d_h_new * FUNCTIONS[cell.activation].slope(a)  # (R1)
    d_x, d_kernel = _out_of_gates(d_a, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = _out_of_gates(d_a, h, w.recurrent_kernel, scales.state)  # (V2)
    return StepGradients(d_x, d_kernel, d_recurrent_kernel, d_a.sum(axis=0), (d_h,))


def _lstm(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = _ONES
) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    h, c = state
    xw = _into_gates(x, w.kernel, scales.input)  # (V1) Gal & Ghahramani 2016
    hu = _into_gates(h, w.recurrent_kernel, scales.state)  # (V2) Gal & Ghahramani 2016
    a_i, a_f, a_c, a_o = np.split(xw + hu + w.bias, 4, axis=1)
    if w.peephole is not None:
        a_i, a_f = a_i + w.peephole[0] * c, a_f + w.peephole[1] * c
    i = sigma(a_i)  # (L1) Hochreiter & Schmidhuber 1997, (P1) Gers & Schmidhuber 2000
    f = sigma(a_f)  # (L2) Gers et al. 2000, (P2) Gers & Schmidhuber 2000
    g = phi(a_c)  # (L3) Hochreiter & Schmidhuber 1997
    c_new = f * c + i * g  # (L5) Gers et al. 2000
    if w.peephole is not None:
        a_o = a_o + w.peephole[2] * c_new
    o = sigma(a_o)  # (L4) Hochreiter & Schmidhuber 1997, (P3) Gers & Schmidhuber 2000
    h_new = o * phi(c_new)  # (L6) Hochreiter & Schmidhuber 1997
    a = np.concatenate([a_i, a_f, a_c, a_o], axis=1)
    return (h_new, c_new), (x, h, c, a, i, f, g, o, c_new)


def _lstm_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = _ONES
) -> StepGradients:
    sigma, phi = FUNCTIONS[cell.recurrent_activation], FUNCTIONS[cell.activation]
    x, h, c, a, i, f, g, o, c_new = memo
    a_i, a_f, a_c, a_o = np.split(a, 4, axis=1)
    p_i, p_f, p_o = np.zeros((3, 1)) if w.peephole is None else w.peephole
    d_h_new, d_c_new = d_state
    d_o = d_h_new * phi.value(c_new)  # (L6)
    d_a_o = d_o * sigma.slope(a_o)  # (L4), (P3)
    # the cell reaches the loss by the next step's cell, this step's output and its gate
    d_c_new = d_c_new + d_h_new * o * phi.slope(c_new) + d_a_o * p_o  # (L6), (P3)
    d_a_i = d_c_new * g * sigma.slope(a_i)  # (L5), then (L1), (P1)
    d_a_f = d_c_new * c * sigma.slope(a_f)  # (L5), then (L2), (P2)
    d_a_c = d_c_new * i * phi.slope(a_c)  # (L5), then (L3)
    d_c = d_c_new * f + d_a_i * p_i + d_a_f * p_f  # (L5), (P1), (P2)
    d_a = np.concatenate([d_a_i, d_a_f, d_a_c, d_a_o], axis=1)
    d_x, d_kernel = _out_of_gates(d_a, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = _out_of_gates(d_a, h, w.recurrent_kernel, scales.state)  # (V2)
    into_gates = (d_a_i * c, d_a_f * c, d_a_o * c_new)  # (P1), (P2), (P3)
    return StepGradients(
        d_x,
        d_kernel,
        d_recurrent_kernel,
        bias=d_a.sum(axis=0),
        state=(d_h, d_c),
        peephole=np.stack([d_p.sum(axis=0) for d_p in into_gates]),
    )


def _gru_after(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = _ONES
) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    (h,) = state
    p = _into_gates(x, w.kernel, scales.input) + w.bias[0]  # (V1) Gal & Ghahramani 2016
    q = _into_gates(h, w.recurrent_kernel, scales.state) + w.bias[1]  # (V2) Gal & Ghahramani 2016
    p_z, p_r, p_h = np.split(p, 3, axis=1)
    q_z, q_r, q_h = np.split(q, 3, axis=1)
    z = sigma(p_z + q_z)  # (G1) Cho et al. 2014, equation 6
    r = sigma(p_r + q_r)  # (G2) Cho et al. 2014, equation 5
    g = phi(p_h + r * q_h)  # (G3') Cho et al. 2014, first version
    h_new = z * h + (1.0 - z) * g  # (G4) Cho et al. 2014, equation 7
    return (h_new,), (x, h, p, q, z, r, g)


def _gru_after_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = _ONES
) -> StepGradients:
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
    d_x, d_kernel = _out_of_gates(d_p, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = _out_of_gates(d_q, h, w.recurrent_kernel, scales.state)  # (V2)
    return StepGradients(
        d_x,
        d_kernel,
        d_recurrent_kernel,
        bias=np.stack([d_p.sum(axis=0), d_q.sum(axis=0)]),
        state=(d_h_new * z + d_h,),  # (G4) and q
    )


def _gru_before(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = _ONES
) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    (h,) = state
    U_zr, U_h = _split_candidate(w.recurrent_kernel)
    q_zr, q_h = _split_scale(scales.state)
    p = _into_gates(x, w.kernel, scales.input) + w.bias  # (V1) Gal & Ghahramani 2016
    p_z, p_r, p_h = np.split(p, 3, axis=1)
    hu_z, hu_r = np.split(_into_gates(h, U_zr, q_zr), 2, axis=1)  # (V2) Gal & Ghahramani 2016
    z = sigma(p_z + hu_z)  # (G1) Cho et al. 2014, equation 6
    r = sigma(p_r + hu_r)  # (G2) Cho et al. 2014, equation 5
    a_h = p_h + _into_gates(r * h, U_h, q_h)  # (V2) Gal & Ghahramani 2016
    g = phi(a_h)  # (G3) Cho et al. 2014, equation 8
    h_new = z * h + (1.0 - z) * g  # (G4) Cho et al. 2014, equation 7
    return (h_new,), (x, h, p_z + hu_z, p_r + hu_r, a_h, z, r, g)


def _gru_before_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = _ONES
) -> StepGradients:
    sigma, phi = FUNCTIONS[cell.recurrent_activation], FUNCTIONS[cell.activation]
    U_zr, U_h = _split_candidate(w.recurrent_kernel)
    q_zr, q_h = _split_scale(scales.state)
    x, h, a_z, a_r, a_h, z, r, g = memo
    (d_h_new,) = d_state
    d_z = d_h_new * (h - g)  # (G4)
    d_g = d_h_new * (1.0 - z)  # (G4)
    d_a_h = d_g * phi.slope(a_h)  # (G3)
    d_rh, d_U_h = _out_of_gates(d_a_h, r * h, U_h, q_h)  # (G3), (V2)
    d_r = d_rh * h  # (G3)
    d_a_r = d_r * sigma.slope(a_r)  # (G2)
    d_a_z = d_z * sigma.slope(a_z)  # (G1)
    d_a_zr = np.concatenate([d_a_z, d_a_r], axis=1)
    d_h_zr, d_U_zr = _out_of_gates(d_a_zr, h, U_zr, q_zr)  # (G1), (G2), (V2)
    d_a = np.concatenate([d_a_zr, d_a_h], axis=1)
    d_x, d_kernel = _out_of_gates(d_a, x, w.kernel, scales.input)  # (V1)
    return StepGradients(
        d_x,
        d_kernel,
        recurrent_kernel=np.concatenate([d_U_zr, d_U_h], axis=1),
        bias=d_a.sum(axis=0),
        state=(d_h_new * z + d_rh * r + d_h_zr,),  # (G4), (G3) by r * h, (G2) and (G1)
    )


def _split_candidate(recurrent_kernel: Array) -> tuple[Array, Array]:
    """Return the columns of the gates z and r, and those of the candidate."""
    units = len(recurrent_kernel)
    return recurrent_kernel[:, : 2 * units], recurrent_kernel[:, 2 * units :]


def _split_scale(scale: Array | None) -> tuple[Array | None, Array | None]:
    """Return the scales of the gates z and r, and that of the candidate."""
    return (None, None) if scale is None else (scale[:, :2], scale[:, 2:])


def equations(cell: Cell) -> tuple[Forward, Backward]:
    """Return the step forward and the step backward of a cell.

    Both take the rows of one step, [B, D] and [B, H]; forward gives the new state and a memo,
    backward takes that memo and the derivative of the loss with respect to the new state. Last,
    both take the `Scales` of the rows, if there are any.

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
