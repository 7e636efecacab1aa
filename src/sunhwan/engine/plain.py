"""The recurrences in plain JAX: for dtypes, devices and derivatives that have no kernel.

Slower than the kernels (one XLA loop iteration a step), but every JAX transformation works on it.
The equations are those of `sunhwan.engine.reference`, which is the text to read.
"""

from __future__ import annotations

from collections.abc import Callable

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
) -> Callable[[tuple[Array, ...], Array], tuple[Array, ...]]:
    """Return (states, input product of a step) -> states."""
    act, gate = _FUNCTIONS[cell.activation], _FUNCTIONS[cell.recurrent_activation]
    units = recurrent.shape[0]

    def simple_rnn(states: tuple[Array, ...], wx: Array) -> tuple[Array, ...]:
        return (act(wx + states[0] @ recurrent),)

    def lstm(states: tuple[Array, ...], wx: Array) -> tuple[Array, ...]:
        h, c = states
        i, f, g, o = jnp.split(wx + h @ recurrent, 4, axis=-1)
        c = gate(f) * c + gate(i) * act(g)
        return gate(o) * act(c), c

    def gru(states: tuple[Array, ...], wx: Array) -> tuple[Array, ...]:
        (h,) = states
        if cell.reset_after:
            uh = h @ recurrent + (0 if bias is None else bias[1])
            z, r = jnp.split(gate(wx[:, : 2 * units] + uh[:, : 2 * units]), 2, axis=-1)
            candidate = act(wx[:, 2 * units :] + r * uh[:, 2 * units :])
        else:
            both = gate(wx[:, : 2 * units] + h @ recurrent[:, : 2 * units])
            z, r = jnp.split(both, 2, axis=-1)
            candidate = act(wx[:, 2 * units :] + (r * h) @ recurrent[:, 2 * units :])
        return (z * h + (1 - z) * candidate,)

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
    if mask is not None:
        # What a skipped step holds must not reach a product: 0 * NaN would poison the gradients.
        x = jnp.where(mask[..., None], x, 0)
    input_bias = bias[0] if bias is not None and bias.ndim == 2 else bias
    wx = x @ kernel if input_bias is None else x @ kernel + input_bias
    step = _step_function(cell, recurrent, bias)

    def body(
        states: tuple[Array, ...], inputs: tuple[Array, Array | None]
    ) -> tuple[tuple[Array, ...], Array]:
        wx_t, live = inputs
        new = step(states, wx_t)
        if live is None:
            return new, new[0]
        new = tuple(jnp.where(live[:, None], n, old) for n, old in zip(new, states, strict=True))
        return new, jnp.where(live[:, None], new[0], 0) if zero_output else new[0]

    by_time = jnp.swapaxes(wx, 0, 1), None if mask is None else jnp.swapaxes(mask, 0, 1)
    last, outputs = jax.lax.scan(body, states, by_time, reverse=go_backwards)
    if go_backwards:
        outputs = jnp.flip(outputs, axis=0)
    return jnp.swapaxes(outputs, 0, 1), last
