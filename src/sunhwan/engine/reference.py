"""The recurrences over whole sequences in NumPy float64: what everything else is tested against.

Nothing here is fast: a plain Python loop over time calls the equations of
`sunhwan.engine.recurrences`, once forward and, from the last step to the first, once backward
(Werbos, "Backpropagation through time", Proceedings of the IEEE 78 (1990) 1550-1560).

A step that is masked for a row does not exist for that row. Neither direction looks at its input,
so no value there, NaN included, can change anything; its state is the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.engine.cell import Cell
from sunhwan.engine.recurrences import Array, Memo, State, equations
from sunhwan.engine.reference_inputs import Inputs, as_float64, check_inputs, check_states


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a loss, each shaped like the argument of `forward` it belongs to.

    ``bias`` is None where `forward` had none; ``initial_state`` is there in any case.
    """

    x: Array
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    initial_state: State


@dataclass(frozen=True)
class Step:
    """One step taken: time ``t`` went to output ``n`` for the rows where ``live`` is True."""

    n: int
    t: int
    live: NDArray[np.bool_]
    memo: Memo


@dataclass(frozen=True)
class Run:
    """Result of `forward`, with what `backward` needs.

    ``outputs`` is float64[B, T, H] in processing order; ``states`` holds the last state,
    ``(h,)`` or ``(h, c)``, each float64[B, H].
    """

    cell: Cell
    outputs: Array
    states: State
    inputs: Inputs
    steps: tuple[Step, ...]
    zero_output_for_mask: bool


def forward(
    cell: Cell,
    x: ArrayLike,
    kernel: ArrayLike,
    recurrent_kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    initial_state: Sequence[ArrayLike] | None = None,
    mask: ArrayLike | None = None,
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
) -> Run:
    """Run a recurrence over a batch of sequences.

    Parameters
    ----------
    cell
        Kind and gate functions.
    x
        Inputs, [B, T, D].
    kernel, recurrent_kernel, bias
        Weights as Keras lays them out: [D, G*H], [H, G*H] and `Cell.bias_shape`, with G gates.
    initial_state
        ``(h,)``, for an LSTM ``(h, c)``, each [B, H]; zeros where None.
    mask
        bool[B, T]. At False the state is copied and the output is the h before.
    go_backwards
        Take the steps (and their masks) from last to first. Outputs stay in the order in which
        they were made: ``outputs[:, 0]`` belongs to ``x[:, T - 1]``.
    zero_output_for_mask
        Make the output of a masked step 0; the state is copied as before.

    Returns
    -------
    Run
        Outputs and last state. With T = 0, or where a row is masked everywhere, that state is the
        initial one.

    Raises
    ------
    ShapeError
        If an array's rank, size or dtype does not fit.

    Examples
    --------
    >>> run = forward(Cell("simple_rnn", "linear"), [[[1.0], [2.0], [3.0]]], [[1.0]], [[0.5]])
    >>> run.outputs[0, :, 0]
    array([1.  , 2.5 , 4.25])
    """
    inputs = check_inputs(cell, x, kernel, recurrent_kernel, bias, initial_state, mask)
    step, _ = equations(cell)
    B, T, _ = inputs.x.shape
    outputs = np.zeros((B, T, len(inputs.weights.recurrent_kernel)))
    state = tuple(s.copy() for s in inputs.initial_state)
    steps = []
    for n, t in enumerate(reversed(range(T)) if go_backwards else range(T)):
        live = inputs.mask[:, t]
        new, memo = step(cell, inputs.weights, inputs.x[live, t], tuple(s[live] for s in state))
        for s, s_new in zip(state, new, strict=True):
            s[live] = s_new
        outputs[:, n] = np.where(live[:, None], state[0], 0.0) if zero_output_for_mask else state[0]
        steps.append(Step(n, t, live, memo))
    return Run(cell, outputs, state, inputs, tuple(steps), zero_output_for_mask)


def backward(
    run: Run,
    d_outputs: ArrayLike | None = None,
    d_states: Sequence[ArrayLike] | None = None,
) -> Gradients:
    """Go back through a run: derivatives of a loss with respect to every argument of `forward`.

    Parameters
    ----------
    run
        What `forward` returned.
    d_outputs
        Derivative with respect to ``run.outputs``, [B, T, H]; zeros where None.
    d_states
        Derivatives with respect to ``run.states``, each [B, H]; zeros where None.

    Returns
    -------
    Gradients
        Derivatives with respect to x, the weights and the initial state. That of a masked
        input is 0.

    Raises
    ------
    ShapeError
        If a derivative's rank, size or dtype does not fit.

    Examples
    --------
    >>> run = forward(Cell("simple_rnn", "linear"), [[[1.0], [2.0], [3.0]]], [[1.0]], [[0.5]])
    >>> backward(run, d_states=([[1.0]],)).x[0, :, 0]
    array([0.25, 0.5 , 1.  ])
    """
    w = run.inputs.weights
    _, step_back = equations(run.cell)
    B, T, H = run.outputs.shape
    d_y = np.zeros((B, T, H))
    if d_outputs is not None:
        d_y = as_float64("d_outputs", d_outputs, {"B": B, "T": T, "H": H})
    d_state = check_states("d_states", d_states, run.cell, B, H)
    d_x, d_bias = np.zeros_like(run.inputs.x), np.zeros_like(w.bias)
    d_kernel, d_recurrent_kernel = np.zeros_like(w.kernel), np.zeros_like(w.recurrent_kernel)
    for step in reversed(run.steps):
        # the output is the state h itself, except where it was replaced by 0
        made = step.live if run.zero_output_for_mask else np.ones_like(step.live)
        d_state[0][made] += d_y[made, step.n]
        back = step_back(run.cell, w, step.memo, tuple(d[step.live] for d in d_state))
        for d, d_before in zip(d_state, back.state, strict=True):
            d[step.live] = d_before
        d_x[step.live, step.t] = back.x
        d_kernel += back.kernel
        d_recurrent_kernel += back.recurrent_kernel
        d_bias += back.bias
    return Gradients(
        d_x, d_kernel, d_recurrent_kernel, d_bias if run.inputs.has_bias else None, d_state
    )
