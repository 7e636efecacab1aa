"""One step of a GRU, forward and backward; the equations are in `sunhwan.engine.recurrences`."""

from __future__ import annotations

import numpy as np

from sunhwan.engine.cell import Cell
from sunhwan.engine.gate_functions import FUNCTIONS
from sunhwan.engine.recurrence_parts import (
    ONES,
    Array,
    Memo,
    Scales,
    State,
    StepGradients,
    Weights,
    into_gates,
    out_of_gates,
)


def gru_after(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = ONES
) -> tuple[State, Memo]:
    """Return the new state and what backward needs, the reset acting after the product."""
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    (h,) = state
    xw = into_gates(cell, x, w.kernel, scales.input)  # (V1) Gal & Ghahramani 2016
    hu = into_gates(cell, h, w.recurrent_kernel, scales.state)  # (V2) Gal & Ghahramani 2016
    p, q = xw + w.bias[0], hu + w.bias[1]
    p_z, p_r, p_h = np.split(p, 3, axis=1)
    q_z, q_r, q_h = np.split(q, 3, axis=1)
    z = sigma(p_z + q_z)  # (G1) Cho et al. 2014, equation 6
    r = sigma(p_r + q_r)  # (G2) Cho et al. 2014, equation 5
    g = phi(p_h + r * q_h)  # (G3') Cho et al. 2014, first version
    h_new = z * h + (1.0 - z) * g  # (G4) Cho et al. 2014, equation 7
    return (h_new,), (x, h, p, q, z, r, g)


def gru_after_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = ONES
) -> StepGradients:
    """Return the gradients of a step of `gru_after`."""
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
    d_x, d_kernel = out_of_gates(cell, d_p, x, w.kernel, scales.input)  # (V1)
    d_h, d_recurrent_kernel = out_of_gates(cell, d_q, h, w.recurrent_kernel, scales.state)  # (V2)
    return StepGradients(
        d_x,
        d_kernel,
        d_recurrent_kernel,
        bias=np.stack([d_p.sum(axis=0), d_q.sum(axis=0)]),
        state=(d_h_new * z + d_h,),  # (G4) and q
    )


def gru_before(
    cell: Cell, w: Weights, x: Array, state: State, scales: Scales = ONES
) -> tuple[State, Memo]:
    """Return the new state and what backward needs, the reset acting before the product."""
    sigma, phi = FUNCTIONS[cell.recurrent_activation].value, FUNCTIONS[cell.activation].value
    (h,) = state
    U_zr, U_h = _split_candidate(w.recurrent_kernel)
    q_zr, q_h = _split_scale(scales.state)
    p = into_gates(cell, x, w.kernel, scales.input) + w.bias  # (V1) Gal & Ghahramani 2016
    p_z, p_r, p_h = np.split(p, 3, axis=1)
    hu_z, hu_r = np.split(into_gates(cell, h, U_zr, q_zr), 2, axis=1)  # (V2) Gal & Ghahramani 2016
    z = sigma(p_z + hu_z)  # (G1) Cho et al. 2014, equation 6
    r = sigma(p_r + hu_r)  # (G2) Cho et al. 2014, equation 5
    a_h = p_h + into_gates(cell, r * h, U_h, q_h)  # (V2) Gal & Ghahramani 2016
    g = phi(a_h)  # (G3) Cho et al. 2014, equation 8
    h_new = z * h + (1.0 - z) * g  # (G4) Cho et al. 2014, equation 7
    return (h_new,), (x, h, p_z + hu_z, p_r + hu_r, a_h, z, r, g)


def gru_before_back(
    cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = ONES
) -> StepGradients:
    """Return the gradients of a step of `gru_before`."""
    sigma, phi = FUNCTIONS[cell.recurrent_activation], FUNCTIONS[cell.activation]
    U_zr, U_h = _split_candidate(w.recurrent_kernel)
    q_zr, q_h = _split_scale(scales.state)
    x, h, a_z, a_r, a_h, z, r, g = memo
    (d_h_new,) = d_state
    d_z = d_h_new * (h - g)  # (G4)
    d_g = d_h_new * (1.0 - z)  # (G4)
    d_a_h = d_g * phi.slope(a_h)  # (G3)
    d_rh, d_U_h = out_of_gates(cell, d_a_h, r * h, U_h, q_h)  # (G3), (V2)
    d_r = d_rh * h  # (G3)
    d_a_r = d_r * sigma.slope(a_r)  # (G2)
    d_a_z = d_z * sigma.slope(a_z)  # (G1)
    d_a_zr = np.concatenate([d_a_z, d_a_r], axis=1)
    d_h_zr, d_U_zr = out_of_gates(cell, d_a_zr, h, U_zr, q_zr)  # (G1), (G2), (V2)
    d_a = np.concatenate([d_a_zr, d_a_h], axis=1)
    d_x, d_kernel = out_of_gates(cell, d_a, x, w.kernel, scales.input)  # (V1)
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
