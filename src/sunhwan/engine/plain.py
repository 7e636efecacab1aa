"""The recurrences in plain JAX: for dtypes, devices and derivatives that have no kernel.

Slower than the kernels (one XLA loop iteration a step), but every JAX transformation works on it.
The equations are those of `sunhwan.engine.reference`, which is the text to read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from sunhwan.engine.cell import Cell

Array = jax.Array
_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "hard_sigmoid": jax.nn.hard_sigmoid,
}


def _step_function(
    cell: Cell, recurrent: Array, bias: Array | None
) -> Callable[[tuple[Array, ...], Array], tuple[tuple[Array, ...], tuple[Array, ...]]]:
    """Return (states, input product of a step) -> states and gates, these as `Cell.gates` has them.

    A gate stands behind its function: of an LSTM ``c`` is the candidate g, of a GRU ``h``.
    """
    act, gate = _FUNCTIONS[cell.activation], _FUNCTIONS[cell.recurrent_activation]
    units = recurrent.shape[0]

    def simple_rnn(states: tuple[Array, ...], wx: Array) -> Any:
        h = act(wx + states[0] @ recurrent)
        return (h,), (h,)

    def lstm(states: tuple[Array, ...], wx: Array) -> Any:
        h, c = states
        i, f, g, o = jnp.split(wx + h @ recurrent, 4, axis=-1)
        i, f, g, o = gate(i), gate(f), act(g), gate(o)
        c = f * c + i * g
        return (o * act(c), c), (i, f, g, o)

    def gru(states: tuple[Array, ...], wx: Array) -> Any:
        (h,) = states
        if cell.reset_after:
            uh = h @ recurrent + (0 if bias is None else bias[1])
            z, r = jnp.split(gate(wx[:, : 2 * units] + uh[:, : 2 * units]), 2, axis=-1)
            candidate = act(wx[:, 2 * units :] + r * uh[:, 2 * units :])
        else:
            both = gate(wx[:, : 2 * units] + h @ recurrent[:, : 2 * units])
            z, r = jnp.split(both, 2, axis=-1)
            candidate = act(wx[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :])
        return (z * h + (1 - z) * candidate,), (z, r, candidate)

    return {"simple_rnn": simple_rnn, "lstm": lstm, "gru": gru}[cell.kind]


def rnn(
    cell: Cell,
    x: Array,
    kernel: Array,
    recurrent: Array,
    bias: Array | None,
    states: tuple[Array, ...],
    mask: Array | None,
    *,
    go_backwards: bool,
    zero_output: bool,
) -> tuple[Array, tuple[Array, ...]]:
    """Return every output ``[B, T, H]`` in order of processing and the last states ``[B, H]``.

    Arguments as of `sunhwan.engine.rnn`, in any floating dtype, shapes already checked.
    """
    # what is not asked for of the steps is never computed, once this is compiled
    after, _, last = steps(
        cell, x, kernel, recurrent, bias, states, mask, go_backwards=go_backwards
    )
    outputs = after[0]
    if zero_output and mask is not None:
        outputs = jnp.where(mask[..., None], outputs, 0)
    return jnp.flip(outputs, axis=1) if go_backwards else outputs, last


def steps(
    cell: Cell,
    x: Array,
    kernel: Array,
    recurrent: Array,
    bias: Array | None,
    states: tuple[Array, ...],
    mask: Array | None,
    *,
    go_backwards: bool,
    nudges: tuple[Array, ...] | None = None,
) -> tuple[tuple[Array, ...], tuple[Array, ...], tuple[Array, ...]]:
    """Return the states after each step, the gates in it, and the last states.

    Arguments as of `rnn`; ``nudges``, one ``[B, T, H]`` for each state, are added to the states
    after a step. States and gates are ``[B, T, H]`` each, in the order of ``x`` in any direction.
    """
    if mask is not None:
        # What a skipped step holds must not reach a product: 0 * NaN would poison the gradients.
        x = jnp.where(mask[..., None], x, 0)
    input_bias = bias[0] if bias is not None and bias.ndim == 2 else bias
    wx = x @ kernel if input_bias is None else x @ kernel + input_bias
    step = _step_function(cell, recurrent, bias)

    def body(states: tuple[Array, ...], inputs: Any) -> Any:
        wx_t, live, nudge = inputs
        new, gates = step(states, wx_t)
        if live is not None:
            new = tuple(
                jnp.where(live[:, None], n, old) for n, old in zip(new, states, strict=True)
            )
        if nudge is not None:
            new = tuple(n + more for n, more in zip(new, nudge, strict=True))
        return new, (new, gates)

    by_time = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), (wx, mask, nudges))
    last, kept = jax.lax.scan(body, states, by_time, reverse=go_backwards)
    after, gates = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), kept)
    return after, gates, last
