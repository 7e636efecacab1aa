"""Projection of an LSTM's output, around the two functions of its step.

Projected LSTM (Sak, Senior & Beaufays 2014, with their recurrent projection and without the other):
the output, which the gates see in the next step, is smaller than the cell. In the terms of
`sunhwan.engine.recurrences`, where h is then float64[B, P] and U has P rows::

    (J1)  m = o * phi(c)    in place of L6, [B, H]
    (J2)  h = m W_r         with the projection W_r, [H, P]

References
----------
Sak, Senior & Beaufays, "Long short-term memory based recurrent neural network architectures for
large vocabulary speech recognition", arXiv:1402.1128, 2014.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sunhwan.engine.recurrence_parts import ONES, into_product

if TYPE_CHECKING:
    from sunhwan.engine.cell import Cell
    from sunhwan.engine.recurrence_parts import (
        Array,
        Backward,
        Forward,
        Memo,
        Scales,
        State,
        StepGradients,
        Weights,
    )


def projected(step: Forward) -> Forward:
    """Return a step of an LSTM whose output is projected, where the weights have a projection."""

    def forward(
        cell: Cell, w: Weights, x: Array, state: State, scales: Scales = ONES
    ) -> tuple[State, Memo]:
        (m, c_new), memo = step(cell, w, x, state, scales)  # (J1)
        if w.projection is None:
            return (m, c_new), memo
        r = into_product(cell, m) @ into_product(cell, w.projection)  # (J2) Sak et al. 2014
        return (r, c_new), (*memo, m)

    return forward


def projected_back(step_back: Backward) -> Backward:
    """Return the same step backward."""

    def backward(
        cell: Cell, w: Weights, memo: Memo, d_state: State, scales: Scales = ONES
    ) -> StepGradients:
        if w.projection is None:
            return step_back(cell, w, memo, d_state, scales)
        *inner, m = memo
        d_h_new, d_c_new = d_state
        d_r = into_product(cell, d_h_new)
        d_m = d_r @ into_product(cell, w.projection).T  # (J2)
        back = step_back(cell, w, tuple(inner), (d_m, d_c_new), scales)  # (J1)
        return replace(back, projection=into_product(cell, m).T @ d_r)  # (J2)

    return backward
