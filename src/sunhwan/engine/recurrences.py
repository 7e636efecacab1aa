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

Products of bfloat16 (`Cell.products`), all cells: each ``y W`` or ``y U`` above, and each product
of the way back, is one of rounded operands; the derivative of rounding is taken for 1::

    (B1)  y W  becomes  b(y) b(W),  b rounding to 8 significant bits, ties to even

Layer normalisation (Ba, Kiros & Hinton 2016) is in `sunhwan.engine.recurrences_normalized`. An
LSTM whose output is projected is in `sunhwan.engine.projection`.

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

import numpy as np

from sunhwan.engine.cell import Cell
from sunhwan.engine.gate_functions import FUNCTIONS
from sunhwan.engine.projection import projected, projected_back
from sunhwan.engine.recurrence_parts import (
    ONES,
    Array,
    Backward,
    Forward,
    Memo,
    Scales,
    State,
    StepGradients,
    Weights,
    into_gates,
    out_of_gates,
)
from sunhwan.engine.recurrences_gru import gru_after, gru_after_back, gru_before, gru_before_back
from sunhwan.engine.recurrences_normalized import normalized_equations


def _simple_rnn(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = ONES
) -> tuple[State, Memo]:
    (h,) = state
    xw = into_gates(cell, x, w.kernel, scales.input)  # (V1) Gal & Ghahramani 2016
    hu = into_gates(cell, h, w.recurrent_kernel, scales.state)  # (V2) Gal & Ghahramani 2016
    a = xw + hu + w.bias
    h_new = FUNCTIONS[cell.activation].value(a)  # (R1) Elman 1990
    return (h_new,), (x, h, a)


def _simple_rnn_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = ONES
) -> StepGradients:
    x, h, a = memo
    (d_h_new,) = d_state
    d_a = d_h_new * FUNCTIONS[cell.activation].slope(a)  # (R1)
    d_x, d_kernel = out_of_gates(cell, d_a, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = out_of_gates(cell, d_a, h, w.recurrent_kernel, scales.state)  # (V2)
    return StepGradients(d_x, d_kernel, d_recurrent_kernel, d_a.sum(axis=0), (d_h,))


def _lstm(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = ONES
) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    h, c = state
    xw = into_gates(cell, x, w.kernel, scales.input)  # (V1) Gal & Ghahramani 2016
    hu = into_gates(cell, h, w.recurrent_kernel, scales.state)  # (V2) Gal & Ghahramani 2016
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
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = ONES
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
    d_x, d_kernel = out_of_gates(cell, d_a, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = out_of_gates(cell, d_a, h, w.recurrent_kernel, scales.state)  # (V2)
    d_peepholes = (d_a_i * c, d_a_f * c, d_a_o * c_new)  # (P1), (P2), (P3)
    return StepGradients(
        d_x,
        d_kernel,
        d_recurrent_kernel,
        bias=d_a.sum(axis=0),
        state=(d_h, d_c),
        peephole=np.stack([d_p.sum(axis=0) for d_p in d_peepholes]),
    )


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
    if cell.norm_epsilon:
        return normalized_equations(cell)
    if cell.kind == "simple_rnn":
        return _simple_rnn, _simple_rnn_back
    if cell.kind == "lstm":
        return projected(_lstm), projected_back(_lstm_back)
    return (gru_after, gru_after_back) if cell.reset_after else (gru_before, gru_before_back)
