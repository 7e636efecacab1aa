"""One call for every recurrence: checks the arguments, then runs the kernel or plain JAX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sunhwan.engine import native, plain
from sunhwan.engine.cell import Cell
from sunhwan.engine.embedding import Lookup
from sunhwan.engine.operands import Run, checked_input, of_shape, run_operands
from sunhwan.engine.sharding import same_variance

Array = jax.Array
#: steps between two state checkpoints; what lies between is recomputed on the way back
_SEGMENT = 16


def rnn(
    cell: Cell,
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    *,
    initial_state: tuple[Any, ...] | None = None,
    mask: Any = None,
    reset: Any = None,
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
    return_sequences: bool = True,
    return_state_sequences: bool = False,
) -> tuple[Array | None, tuple[Array, ...]]:
    """Return the outputs ``[B, T, H]`` of a recurrence, and its last states ``[B, H]``.

    Parameters
    ----------
    cell
        Which recurrence, with which gate functions.
    x
        Input, ``float[B, T, D]``, or a `Lookup` of rows by id: they are then read from the table
        where it lies, and neither they nor their gradients are ever written. Outputs have the same
        bits; gradients of table and kernel are summed by id first where ids repeat.
    kernel, recurrent_kernel, bias
        Weights in Keras's layout: ``[D, G*H]``, ``[H, G*H]`` and `Cell.bias_shape` or None.
    initial_state
        ``(h,)``, or ``(h, c)`` for an LSTM, each ``[B, H]``; None means zeros.
    mask
        ``bool[B, T]``; at a step that is False the state is carried over.
    reset
        ``bool[B, T]``; at a step that is True an episode begins: all states are zero before it.
        A masked step does nothing, its reset included.
    go_backwards
        Run from the last step to the first; outputs are in order of processing, as in Keras.
    zero_output_for_mask
        The output of a masked step is 0 instead of the state carried over.
    return_sequences
        If False the outputs are None, and where nobody needs it no sequence is ever written.
    return_state_sequences
        Return behind the last states those after every step, ``[B, T, H]`` each: ``(h, h_all)``,
        of an LSTM ``(h, c, h_all, c_all)``. They are in order of processing, as outputs are; a
        masked step repeats the state carried over, whatever ``zero_output_for_mask`` says.

    Returns
    -------
    outputs, states
        In the dtype of ``x``. Gradients flow to ``x``, the weights and the initial state.

    Raises
    ------
    ShapeError
        If a rank, size or dtype does not fit; names the argument, and what was expected.

    Examples
    --------
    >>> import numpy as np
    >>> x, w, u = np.ones((2, 5, 3)), np.ones((3, 4)) / 8, np.eye(4) / 2
    >>> y, (h,) = rnn(Cell("simple_rnn", "linear"), x.astype("f"), w.astype("f"), u.astype("f"))
    >>> y.shape, bool((y[:, -1] == h).all()), float(h[0, 0])
    ((2, 5, 4), True, 0.7265625)
    """
    run = Run(kernel, recurrent_kernel, bias, initial_state, go_backwards)
    [result] = rnns(
        cell,
        x,
        [run],
        mask=mask,
        reset=reset,
        zero_output_for_mask=zero_output_for_mask,
        return_sequences=return_sequences,
        return_state_sequences=return_state_sequences,
    )
    return result


def rnns(
    cell: Cell,
    x: Any,
    runs: Sequence[Run],
    *,
    mask: Any = None,
    reset: Any = None,
    zero_output_for_mask: bool = False,
    return_sequences: bool = True,
    return_state_sequences: bool = False,
) -> list[tuple[Array | None, tuple[Array, ...]]]:
    """Return outputs and last states of several recurrences that read the same input side by side.

    What `rnn` says holds for each; the threads are shared among them, which is what the two
    directions of a bidirectional layer want when the batch is small.

    Raises
    ------
    ShapeError
        As `rnn`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> x, w, u = jnp.ones((2, 5, 3)), jnp.ones((3, 4)) / 8, jnp.eye(4) / 2
    >>> both = rnns(Cell("simple_rnn"), x, [Run(w, u), Run(w, u, go_backwards=True)])
    >>> [outputs.shape for outputs, states in both]
    [(2, 5, 4), (2, 5, 4)]
    """
    operands, sizes = checked_input(x, mask, reset)
    own = [run_operands(cell, sizes, run) for run in runs]
    backwards = tuple(run.go_backwards for run in runs)
    # the states h of all steps are outputs that are not yet 0
    zero_output = zero_output_for_mask and not return_state_sequences
    if not native.why_plain(sizes.dtype, cell.products):
        options = (backwards, zero_output, return_sequences, return_state_sequences)
        results = _by_kernel(cell, operands, own, sizes.T, *options)
    else:
        if isinstance(x, Lookup):
            operands["x"] = x.rows()
        results = [
            plain.rnn(
                cell,
                operands | mine,
                go_backwards=run.go_backwards,
                zero_output=zero_output,
                sequences=return_state_sequences,
            )
            for run, mine in zip(runs, own, strict=True)
        ]
    if zero_output_for_mask and return_state_sequences and "mask" in operands:
        results = [
            (_zeroed(outputs, operands["mask"], back), states)
            for (outputs, states), back in zip(results, backwards, strict=True)
        ]
    return [(outputs if return_sequences else None, states) for outputs, states in results]


def _zeroed(outputs: Any, mask: Array, go_backwards: bool) -> Array:
    """Return outputs that are 0 where a step was masked; both in their own order."""
    live = jnp.flip(mask, axis=1) if go_backwards else mask
    return jnp.where(live[..., None], outputs, 0)


@dataclass(frozen=True)
class Trace:
    """All that happens in a recurrence: ``[B, T, H]`` each, in the order of the input.

    Attributes
    ----------
    states
        After each step: ``(h,)``, or ``(h, c)`` of an LSTM. Where a step is masked, as before it.
    gates
        By name, as `Cell.gates` has them, behind their functions: ``c`` of an LSTM and ``h`` of a
        GRU are candidates. Of a masked step they are what they would be for an input of 0.
    last
        The states in the end, ``[B, H]`` each.
    """

    states: tuple[Array, ...]
    gates: dict[str, Array]
    last: tuple[Array, ...]


def trace(
    cell: Cell,
    x: Any,
    run: Run,
    *,
    mask: Any = None,
    reset: Any = None,
    nudges: tuple[Any, ...] | None = None,
) -> Trace:
    """Return states and gates of each step, in plain JAX: to look into a recurrence, not for speed.

    Parameters
    ----------
    cell, x, mask, reset
        As of `rnn`.
    run
        Weights, start, direction and variants.
    nudges
        One ``float[B, T, H]`` for each state, added to it after each step; the derivative for a
        nudge is that for the state there.

    Raises
    ------
    ShapeError
        As `rnn`.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> x, w, u = jnp.ones((2, 5, 3)), jnp.ones((3, 4)) / 8, jnp.eye(4) / 2
    >>> found = trace(Cell("simple_rnn", "linear"), x, Run(w, u))
    >>> found.states[0].shape, list(found.gates), float(found.states[0][0, 1, 0])
    ((2, 5, 4), ['h'], 0.5625)
    """
    operands, sizes = checked_input(x.rows() if isinstance(x, Lookup) else x, mask, reset)
    own = run_operands(cell, sizes, run)
    if nudges is not None:
        shapes = [(sizes.B, sizes.T, own[name].shape[1]) for name in ("h0", "c0")[: cell.states]]
        nudges = tuple(
            of_shape(f"nudges[{n}]", nudge, shape, "(B, T, H)", sizes.dtype)
            for n, (nudge, shape) in enumerate(zip(nudges, shapes, strict=True))
        )
    states, gates, last = plain.steps(
        cell,
        operands | own,
        go_backwards=run.go_backwards,
        nudges=nudges,
    )
    return Trace(states, dict(zip(cell.gates, gates, strict=True)), last)


def _by_kernel(
    cell: Cell,
    operands: dict[str, Array],
    own: list[dict[str, Array]],
    steps: int,
    backwards: tuple[bool, ...],
    zero_output: bool,
    return_sequences: bool,
    return_state_sequences: bool,
) -> list[tuple[Array | None, tuple[Array, ...]]]:
    from sunhwan.engine import kernel_calls, primitives

    segment = max(1, min(_SEGMENT, steps))
    options = kernel_calls.Options(cell, backwards, zero_output, segment)
    # the states h of all steps are the outputs
    all_states = ("y", "c_sequence")[: cell.states] if return_state_sequences else ()
    wanted = {*all_states, "y"} if return_sequences else set(all_states)
    results = kernel_calls.forward_names(options, wanted)
    for run, mine in enumerate(own):
        operands |= {kernel_calls.run_name(name, run): value for name, value in mine.items()}
    operands = same_variance(operands)
    out = primitives.forward_p.bind(
        *operands.values(), names=tuple(operands), options=options, results=results
    )
    found = dict(zip(results, out, strict=True))
    per_run = []
    for run in range(len(own)):
        names = (*("h", "c")[: cell.states], *all_states)
        states = tuple(found[kernel_calls.run_name(name, run)] for name in names)
        per_run.append((found.get(kernel_calls.run_name("y", run)), states))
    return per_run
