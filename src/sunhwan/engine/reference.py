"""The recurrences over whole sequences in NumPy float64: what everything else is tested against.

Nothing here is fast: a plain Python loop over time calls the equations of
`sunhwan.engine.recurrences`, once forward and, from the last step to the first, once backward
(Werbos, "Backpropagation through time", Proceedings of the IEEE 78 (1990) 1550-1560).

A step that is masked for a row does not exist for that row. Neither direction looks at its input,
so no value there, NaN included, can change anything; its state is the one before, and a reset
there is none.

What a step begins from and what it leaves is here too, for it is alike in all cells::

    (S1)  h' = c' = 0 where an episode begins (reset), for this step and so for zoneout

and zoneout, whose equations are in `sunhwan.engine.zoneout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.engine.cell import Cell
from sunhwan.engine.recurrence_parts import Array, Memo, State, Weights
from sunhwan.engine.recurrences import equations
from sunhwan.engine.reference_inputs import Inputs, as_float64, check_inputs, check_states
from sunhwan.engine.zoneout import chosen


@dataclass(frozen=True)
class Gradients:
    """Derivatives of a loss, each shaped like the argument of `forward` it belongs to.

    ``bias``, ``peephole``, ``projection``, ``norm`` and ``norm_cell`` are None where `forward` had
    none; ``initial_state`` is there in any case.
    """

    x: Array
    kernel: Array
    recurrent_kernel: Array
    bias: Array | None
    initial_state: State
    peephole: Array | None
    norm: Array | None
    norm_cell: Array | None
    projection: Array | None


@dataclass(frozen=True)
class Step:
    """One step taken: time ``t`` went to output ``n`` for the rows where ``live`` is True.

    ``kept`` is d of zoneout for each state, of the live rows.
    """

    n: int
    t: int
    live: NDArray[np.bool_]
    memo: Memo
    kept: tuple[Array, ...]


@dataclass(frozen=True)
class Run:
    """Result of `forward`, with what `backward` needs.

    ``outputs`` is float64[B, T, H] in processing order; ``states`` holds the last state,
    ``(h,)`` or ``(h, c)``, each float64[B, H], and ``sequences`` the states after every step, each
    float64[B, T, H] in processing order.
    """

    cell: Cell
    outputs: Array
    states: State
    sequences: State
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
    reset: ArrayLike | None = None,
    peephole: ArrayLike | None = None,
    norm: ArrayLike | None = None,
    norm_cell: ArrayLike | None = None,
    projection: ArrayLike | None = None,
    input_scale: ArrayLike | None = None,
    state_scale: ArrayLike | None = None,
    noise: ArrayLike | None = None,
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
    reset
        bool[B, T]. At True the states are zero before that step.
    peephole
        Weights of an LSTM's gates i, f and o for the cell, [3, H]; none where None.
    norm, norm_cell
        Weights of layer normalisation, of the shapes `Cell.norm_shapes` gives; None without it.
    projection
        From what an LSTM's cell gives to its output h, [H, P]; h then has P units wherever H stands
        for it, and so ``recurrent_kernel`` P rows.
    input_scale, state_scale
        Factors of the input and of the state on their way into each gate, [B, G, D] and [B, G, H];
        ones where None.
    noise
        Keys of zoneout's choice, uint32[B, 2]; it acts by its expectation where None.

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
    inputs = check_inputs(
        cell, x, kernel, recurrent_kernel, bias, initial_state, mask, reset=reset,
        peephole=peephole, projection=projection, norm=norm, norm_cell=norm_cell,
        input_scale=input_scale,
        state_scale=state_scale, noise=noise,
    )  # fmt: skip
    step, _ = equations(cell)
    B, T, _ = inputs.x.shape
    outputs = np.zeros((B, T, len(inputs.weights.recurrent_kernel)))
    state = tuple(s.copy() for s in inputs.initial_state)
    sequences = tuple(np.zeros((B, T, s.shape[1])) for s in state)
    zoneout = _zoneout(cell, inputs, sequences)
    steps = []
    for n, t in enumerate(reversed(range(T)) if go_backwards else range(T)):
        live = inputs.mask[:, t]
        begins = inputs.reset[live, t, None]
        before = tuple(np.where(begins, 0.0, s[live]) for s in state)  # (S1)
        new, memo = step(cell, inputs.weights, inputs.x[live, t], before, inputs.scales.of(live))
        kept = tuple(d[live, t] for d in zoneout)
        for s, d, s_before, s_new in zip(state, kept, before, new, strict=True):
            s[live] = d * s_before + (1.0 - d) * s_new  # (Z1), (Z2) Krueger et al. 2017
        outputs[:, n] = np.where(live[:, None], state[0], 0.0) if zero_output_for_mask else state[0]
        for sequence, s in zip(sequences, state, strict=True):
            sequence[:, n] = s
        steps.append(Step(n, t, live, memo, kept))
    return Run(cell, outputs, state, sequences, inputs, tuple(steps), zero_output_for_mask)


def _zoneout(cell: Cell, inputs: Inputs, like: State) -> tuple[Array, ...]:
    """Return d of zoneout, [B, T, H] for each state: 0 or 1, or without noise the rate itself."""

    def of_state(state: int, rate: float) -> Array:
        _, steps, units = like[state].shape
        if inputs.noise is None:
            return np.full(like[state].shape, rate)
        return chosen(rate, inputs.noise, steps, units, state).astype(np.float64)

    return tuple(of_state(state, rate) for state, rate in enumerate(cell.zoneout))


def backward(
    run: Run,
    d_outputs: ArrayLike | None = None,
    d_states: Sequence[ArrayLike] | None = None,
    d_sequences: Sequence[ArrayLike] | None = None,
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
    d_sequences
        Derivatives with respect to ``run.sequences``, each [B, T, H]; zeros where None.

    Returns
    -------
    Gradients
        Derivatives with respect to x, the weights and the initial state. That of a masked
        input is 0. Scales, keys and resets are constants.

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
    B, T, P = run.outputs.shape
    H = run.states[-1].shape[1]
    d_y = np.zeros((B, T, P))
    if d_outputs is not None:
        d_y = as_float64("d_outputs", d_outputs, {"B": B, "T": T, "H": P})
    d_state = check_states("d_states", d_states, run.cell, B, H, P=P)
    d_all = check_states("d_sequences", d_sequences, run.cell, B, H, T, P)
    d_x = np.zeros_like(run.inputs.x)
    d_w = {name: np.zeros_like(value) for name, value in _weights(w)}
    for step in reversed(run.steps):
        for d_s, d_sequence in zip(d_state, d_all, strict=True):
            d_s += d_sequence[:, step.n]
        # the output is the state h itself, except where it was replaced by 0
        made = step.live if run.zero_output_for_mask else np.ones_like(step.live)
        d_state[0][made] += d_y[made, step.n]
        d_after = tuple(d[step.live] for d in d_state)
        d_new = tuple((1.0 - d) * da for d, da in zip(step.kept, d_after, strict=True))  # (Z1)
        back = step_back(run.cell, w, step.memo, d_new, run.inputs.scales.of(step.live))
        begins = run.inputs.reset[step.live, step.t, None]
        for d_s, d, da, d_before in zip(d_state, step.kept, d_after, back.state, strict=True):
            d_s[step.live] = np.where(begins, 0.0, d * da + d_before)  # (Z1), (S1)
        d_x[step.live, step.t] = back.x
        for name, total in d_w.items():
            total += getattr(back, name)
    if not run.inputs.has_bias:
        del d_w["bias"]
    return Gradients(
        d_x,
        d_w["kernel"],
        d_w["recurrent_kernel"],
        d_w.get("bias"),
        d_state,
        *(d_w.get(name) for name in ("peephole", "norm", "norm_cell", "projection")),
    )


def _weights(w: Weights) -> Iterator[tuple[str, Array]]:
    """Yield those that there are, by name."""
    for field in fields(w):
        if (value := getattr(w, field.name)) is not None:
            yield field.name, value
