"""One step of each recurrence with layer normalisation, forward and backward.

Ba, Kiros & Hinton 2016. With the mean and the variance of a row (divided by the number of its
elements) over what is normalised together, and epsilon = `Cell.norm_epsilon`::

    (N1)  N(a; s) = s * (a - mean(a)) / sqrt(variance(a) + epsilon)

SimpleRNN, over all units (the paper's equation 4), in place of R1::

    (N2)  h = phi(N(x W + h' U; s) + b)

LSTM, over all units of all four gates (as in the paper's supplement), in place of the sums in L1
to L4, and of L6::

    (N3)  a = N(x W; s) + N(h' U; q) + b
    (N4)  h = o * phi(N(c; s_c) + b_c)

GRU, over the units of z and r together and over those of the candidate (as in the paper's
supplement, where the reset acts after the product), in place of the sums in G1, G2 and G3'::

    (N5)  a_zr = N(x W_zr; s_zr) + N(h' U_zr; q_zr) + b_zr + e_zr
    (N6)  g = phi(N(x W_h; s_h) + b_h + r * (N(h' U_h; q_h) + e_h))

The names of the other lines are those of `sunhwan.engine.recurrences`. Gains ``s`` and ``q`` are
the rows of `Weights.norm`, in Keras's order of gates; ``s_c`` and ``b_c`` those of
`Weights.norm_cell`. The cell is handed on as it is, and peepholes (P1 to P3) see it so.

References
----------
Ba, Kiros & Hinton, "Layer normalization", arXiv 1607.06450 (2016), section 3.1 and supplement.
"""

from __future__ import annotations

import numpy as np

from sunhwan.engine.cell import Cell
from sunhwan.engine.gate_functions import FUNCTIONS
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


def _normal(a: Array, epsilon: float) -> tuple[Array, Array]:
    """Return N of (N1) without its gain, and what it was divided by, [B, 1]."""
    centred = a - a.mean(axis=1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + epsilon)
    return centred / deviation, deviation


def _normal_back(d_n: Array, gain: Array, n: Array, deviation: Array) -> tuple[Array, Array]:
    """Return the derivatives of (N1) for what is normalised, and for the gain, [B, ...]."""
    d = d_n * gain
    along = (d * n).mean(axis=1, keepdims=True)
    return (d - d.mean(axis=1, keepdims=True) - n * along) / deviation, d_n * n


def _gains(w: Weights) -> tuple[Array, ...]:
    """Return the gains; a cell that is normalised has them, which `reference_inputs` checks."""
    return () if w.norm is None else tuple(w.norm)


def _simple_rnn(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = ONES
) -> tuple[State, Memo]:
    (h,) = state
    (s,) = _gains(w)
    xw = into_gates(cell, x, w.kernel, scales.input)  # (V1) Gal & Ghahramani 2016
    hu = into_gates(cell, h, w.recurrent_kernel, scales.state)  # (V2) Gal & Ghahramani 2016
    n, deviation = _normal(xw + hu, cell.norm_epsilon)  # (N1) Ba et al. 2016
    a = s * n + w.bias
    h_new = FUNCTIONS[cell.activation].value(a)  # (N2) Ba et al. 2016, equation 4
    return (h_new,), (x, h, a, n, deviation)


def _simple_rnn_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = ONES
) -> StepGradients:
    x, h, a, n, deviation = memo
    (s,) = _gains(w)
    (d_h_new,) = d_state
    d_a = d_h_new * FUNCTIONS[cell.activation].slope(a)  # (N2)
    d_sum, d_s = _normal_back(d_a, s, n, deviation)  # (N1)
    d_x, d_kernel = out_of_gates(cell, d_sum, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = out_of_gates(cell, d_sum, h, w.recurrent_kernel, scales.state)  # (V2)
    bias, norm = d_a.sum(axis=0), d_s.sum(axis=0)[None]
    return StepGradients(d_x, d_kernel, d_recurrent_kernel, bias, (d_h,), norm=norm)


def _lstm(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = ONES
) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    h, c = state
    s, q = _gains(w)
    s_c, b_c = np.zeros((2, 1)) if w.norm_cell is None else w.norm_cell
    p_i, p_f, p_o = np.zeros((3, 1)) if w.peephole is None else w.peephole
    xw = into_gates(cell, x, w.kernel, scales.input)  # (V1) Gal & Ghahramani 2016
    hu = into_gates(cell, h, w.recurrent_kernel, scales.state)  # (V2) Gal & Ghahramani 2016
    of_input = _normal(xw, cell.norm_epsilon)  # (N1) Ba et al. 2016
    of_state = _normal(hu, cell.norm_epsilon)  # (N1) Ba et al. 2016
    a = s * of_input[0] + q * of_state[0] + w.bias  # (N3) Ba et al. 2016
    a_i, a_f, a_c, a_o = np.split(a, 4, axis=1)
    a_i, a_f = a_i + p_i * c, a_f + p_f * c
    i = sigma(a_i)  # (L1), (P1)
    f = sigma(a_f)  # (L2), (P2)
    g = phi(a_c)  # (L3)
    c_new = f * c + i * g  # (L5)
    a_o = a_o + p_o * c_new
    o = sigma(a_o)  # (L4), (P3)
    of_cell = _normal(c_new, cell.norm_epsilon)  # (N1) Ba et al. 2016
    a_h = s_c * of_cell[0] + b_c
    h_new = o * phi(a_h)  # (N4) Ba et al. 2016
    gates = (np.concatenate([a_i, a_f, a_c, a_o, a_h], axis=1), i, f, g, o)
    return (h_new, c_new), (x, h, c, *gates, c_new, *of_input, *of_state, *of_cell)


def _lstm_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = ONES
) -> StepGradients:
    sigma, phi = FUNCTIONS[cell.recurrent_activation], FUNCTIONS[cell.activation]
    x, h, c, a, i, f, g, o, c_new, n_x, deviation_x, n_h, deviation_h, n_c, deviation_c = memo
    a_i, a_f, a_c, a_o, a_h = np.split(a, 5, axis=1)
    s, q = _gains(w)
    s_c, _ = np.zeros((2, 1)) if w.norm_cell is None else w.norm_cell
    p_i, p_f, p_o = np.zeros((3, 1)) if w.peephole is None else w.peephole
    d_h_new, d_c_new = d_state
    d_a_o = d_h_new * phi.value(a_h) * sigma.slope(a_o)  # (N4), then (L4), (P3)
    d_a_h = d_h_new * o * phi.slope(a_h)  # (N4)
    d_c_here, d_s_c = _normal_back(d_a_h, s_c, n_c, deviation_c)  # (N1)
    # the cell reaches the loss by the next step's cell, this step's output and its gate
    d_c_new = d_c_new + d_c_here + d_a_o * p_o  # (N4), (P3)
    d_a_i = d_c_new * g * sigma.slope(a_i)  # (L5), then (L1), (P1)
    d_a_f = d_c_new * c * sigma.slope(a_f)  # (L5), then (L2), (P2)
    d_a_c = d_c_new * i * phi.slope(a_c)  # (L5), then (L3)
    d_c = d_c_new * f + d_a_i * p_i + d_a_f * p_f  # (L5), (P1), (P2)
    d_a = np.concatenate([d_a_i, d_a_f, d_a_c, d_a_o], axis=1)
    d_xw, d_s = _normal_back(d_a, s, n_x, deviation_x)  # (N3), (N1)
    d_hu, d_q = _normal_back(d_a, q, n_h, deviation_h)  # (N3), (N1)
    d_x, d_kernel = out_of_gates(cell, d_xw, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = out_of_gates(cell, d_hu, h, w.recurrent_kernel, scales.state)  # (V2)
    into = (d_a_i * c, d_a_f * c, d_a_o * c_new)  # (P1), (P2), (P3)
    return StepGradients(
        d_x,
        d_kernel,
        d_recurrent_kernel,
        bias=d_a.sum(axis=0),
        state=(d_h, d_c),
        peephole=np.stack([d_p.sum(axis=0) for d_p in into]),
        norm=np.stack([d_s.sum(axis=0), d_q.sum(axis=0)]),
        norm_cell=np.stack([d_s_c.sum(axis=0), d_a_h.sum(axis=0)]),
    )


def _gru(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = ONES
) -> tuple[State, Memo]:
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    (h,) = state
    s, q = _gains(w)
    xw = into_gates(cell, x, w.kernel, scales.input)  # (V1) Gal & Ghahramani 2016
    hu = into_gates(cell, h, w.recurrent_kernel, scales.state)  # (V2) Gal & Ghahramani 2016
    both, units = slice(None, 2 * h.shape[1]), slice(2 * h.shape[1], None)
    normals = [_normal(a[:, at], cell.norm_epsilon) for a in (xw, hu) for at in (both, units)]
    (n_xzr, _), (n_xh, _), (n_hzr, _), (n_hh, _) = normals  # (N1) Ba et al. 2016
    p_zr, p_h = s[both] * n_xzr + w.bias[0, both], s[units] * n_xh + w.bias[0, units]
    q_zr, q_h = q[both] * n_hzr + w.bias[1, both], q[units] * n_hh + w.bias[1, units]
    a_zr = p_zr + q_zr  # (N5) Ba et al. 2016
    z, r = np.split(sigma(a_zr), 2, axis=1)  # (G1), (G2)
    a_h = p_h + r * q_h
    g = phi(a_h)  # (N6) Ba et al. 2016
    h_new = z * h + (1.0 - z) * g  # (G4)
    return (h_new,), (x, h, a_zr, a_h, q_h, z, r, g, *(part for pair in normals for part in pair))


def _gru_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = ONES
) -> StepGradients:
    sigma, phi = FUNCTIONS[cell.recurrent_activation], FUNCTIONS[cell.activation]
    x, h, a_zr, a_h, q_h, z, r, g, *normals = memo
    s, q = _gains(w)
    both, units = slice(None, 2 * h.shape[1]), slice(2 * h.shape[1], None)
    (d_h_new,) = d_state
    d_z = d_h_new * (h - g)  # (G4)
    d_p_h = d_h_new * (1.0 - z) * phi.slope(a_h)  # (G4), then (N6)
    d_q_h = d_p_h * r  # (N6)
    d_r = d_p_h * q_h  # (N6)
    d_zr = np.concatenate([d_z, d_r], axis=1) * sigma.slope(a_zr)  # (N5)
    d_xzr, d_s_zr = _normal_back(d_zr, s[both], *normals[0:2])  # (N5), (N1)
    d_xh, d_s_h = _normal_back(d_p_h, s[units], *normals[2:4])  # (N6), (N1)
    d_hzr, d_q_zr = _normal_back(d_zr, q[both], *normals[4:6])  # (N5), (N1)
    d_hh, d_q_gain = _normal_back(d_q_h, q[units], *normals[6:8])  # (N6), (N1)
    d_xw, d_hu = np.concatenate([d_xzr, d_xh], axis=1), np.concatenate([d_hzr, d_hh], axis=1)
    d_x, d_kernel = out_of_gates(cell, d_xw, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = out_of_gates(cell, d_hu, h, w.recurrent_kernel, scales.state)  # (V2)
    biases = [np.concatenate([d_zr, d_b], axis=1).sum(axis=0) for d_b in (d_p_h, d_q_h)]
    gains = [np.concatenate(d, axis=1) for d in ((d_s_zr, d_s_h), (d_q_zr, d_q_gain))]
    return StepGradients(
        d_x,
        d_kernel,
        d_recurrent_kernel,
        bias=np.stack(biases),
        state=(d_h_new * z + d_h,),  # (G4) and h' U
        norm=np.stack([d.sum(axis=0) for d in gains]),
    )


def normalized_equations(cell: Cell) -> tuple[Forward, Backward]:
    """Return the step forward and the step backward of a cell with `Cell.norm_epsilon`.

    They take and give what those of `sunhwan.engine.recurrences.equations` do.

    Examples
    --------
    >>> cell = Cell("simple_rnn", "linear", norm_epsilon=1.0)
    >>> w = Weights(np.eye(2), np.zeros((2, 2)), np.zeros(2), norm=np.array([[2.0, 4.0]]))
    >>> step, step_back = normalized_equations(cell)
    >>> (h,), memo = step(cell, w, np.array([[0.0, 2.0]]), (np.zeros((1, 2)),))
    >>> np.round(h, 4)
    array([[-1.4142,  2.8284]])
    """
    return {
        "simple_rnn": (_simple_rnn, _simple_rnn_back),
        "lstm": (_lstm, _lstm_back),
        "gru": (_gru, _gru_back),
    }[cell.kind]
