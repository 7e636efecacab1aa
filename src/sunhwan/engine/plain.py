"""The recurrences in plain JAX: for dtypes, devices and derivatives that have no kernel.

Slower than the kernels (one XLA loop iteration a step), but every JAX transformation works on it.
The equations are those of `sunhwan.engine.reference`, which is the text to read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from sunhwan.engine.cell import Cell
from sunhwan.engine.zoneout import chosen

Array = jax.Array
States = tuple[Array, ...]
#: (states, input product of a step) -> states and gates
Step = Callable[[States, Array], tuple[States, tuple[Array, ...]]]
_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "hard_sigmoid": jax.nn.hard_sigmoid,
}


@jax.custom_jvp
def _to_bfloat16(y: Array) -> Array:
    # not by a cast there and back, which XLA may leave out
    return jax.lax.reduce_precision(y, exponent_bits=8, mantissa_bits=7)


_to_bfloat16.defjvps(lambda tangent, _, __: tangent)


def _product(cell: Cell, y: Array, weight: Array) -> Array:
    if cell.products == "float32":
        return y @ weight
    return _to_bfloat16(y) @ _to_bfloat16(weight)


def _into_gates(cell: Cell, y: Array, weight: Array, scale: Array | None) -> Array:
    """Return ``y @ weight``, with ``y`` scaled for each gate: ``[..., G*H]``.

    ``y`` is ``[B, D]`` or ``[B, T, D]`` and ``scale`` ``[B, G, D]``, or None.
    """
    if scale is None:
        return _product(cell, y, weight)
    gates = scale.shape[1]
    by_gate = jnp.expand_dims(jnp.moveaxis(scale, 1, 0), tuple(range(2, y.ndim)))
    parts = jnp.split(weight, gates, axis=1)
    return jnp.concatenate(
        [_product(cell, y * by_gate[k], part) for k, part in enumerate(parts)], axis=-1
    )


def _normalized(cell: Cell, sums: Array, gains: Array) -> Array:
    """Return the sums of all gates normalised, those of a GRU's candidate apart, times gains."""
    cuts = [gains.shape[-1] * 2 // 3] if cell.kind == "gru" else []
    parts = []
    for part in jnp.split(sums, cuts, axis=-1):
        rest = part - part.mean(axis=-1, keepdims=True)
        variance = (rest * rest).mean(axis=-1, keepdims=True)
        parts.append(rest / jnp.sqrt(variance + cell.norm_epsilon))
    return gains * jnp.concatenate(parts, axis=-1)


def _step_function(cell: Cell, operands: Mapping[str, Array]) -> Step:
    """Return what takes a step; its gates are as `Cell.gates` has them.

    A gate stands behind its function: of an LSTM ``c`` is the candidate g, of a GRU ``h``.
    """
    act, gate = _FUNCTIONS[cell.activation], _FUNCTIONS[cell.recurrent_activation]
    recurrent, bias = operands["recurrent"], operands.get("bias")
    scale, peephole = operands.get("state_scale"), operands.get("peephole")
    norm, norm_cell = operands.get("norm"), operands.get("norm_cell")
    projection = operands.get("projection")
    units = recurrent.shape[0]

    def simple_rnn(states: States, wx: Array) -> Any:
        a = wx + _into_gates(cell, states[0], recurrent, scale)
        if norm is not None:
            a = _normalized(cell, a, norm[0]) + (0 if bias is None else bias)
        h = act(a)
        return (h,), (h,)

    def recurrent_sums(h: Array) -> Array:
        uh = _into_gates(cell, h, recurrent, scale)
        return uh if norm is None else _normalized(cell, uh, norm[1])

    def lstm(states: States, wx: Array) -> Any:
        h, c = states
        i, f, g, o = jnp.split(wx + recurrent_sums(h), 4, axis=-1)
        if peephole is not None:
            i, f = i + peephole[0] * c, f + peephole[1] * c
        i, f, g = gate(i), gate(f), act(g)
        c = f * c + i * g
        o = gate(o if peephole is None else o + peephole[2] * c)
        out = c if norm_cell is None else _normalized(cell, c, norm_cell[0]) + norm_cell[1]
        h = o * act(out)
        return (h if projection is None else _product(cell, h, projection), c), (i, f, g, o)

    def gru(states: States, wx: Array) -> Any:
        (h,) = states
        if cell.reset_after:
            uh = recurrent_sums(h) + (0 if bias is None else bias[1])
            z, r = jnp.split(gate(wx[:, : 2 * units] + uh[:, : 2 * units]), 2, axis=-1)
            candidate = act(wx[:, 2 * units :] + r * uh[:, 2 * units :])
        else:
            of_gates, of_candidate = (None, None) if scale is None else (scale[:, :2], scale[:, 2:])
            uh = _into_gates(cell, h, recurrent[:, : 2 * units], of_gates)
            z, r = jnp.split(gate(wx[:, : 2 * units] + uh), 2, axis=-1)
            uh = _into_gates(cell, r * h, recurrent[:, 2 * units :], of_candidate)
            candidate = act(wx[:, 2 * units :] + uh)
        return (z * h + (1 - z) * candidate,), (z, r, candidate)

    return {"simple_rnn": simple_rnn, "lstm": lstm, "gru": gru}[cell.kind]


def rnn(
    cell: Cell,
    operands: Mapping[str, Array],
    *,
    go_backwards: bool,
    zero_output: bool,
    sequences: bool = False,
) -> tuple[Array, States]:
    """Return every output ``[B, T, H]`` in order of processing and the last states ``[B, H]``.

    ``operands`` holds what `sunhwan.engine.operands` makes, with the input as ``x``: any
    floating dtype, shapes already checked. Other names in it are ignored. With ``sequences`` the
    states after every step follow the last ones, ``[B, T, H]`` each in order of processing.
    """
    # what is not asked for of the steps is never computed, once this is compiled
    after, _, last = steps(cell, operands, go_backwards=go_backwards)
    outputs = after[0]
    if zero_output and "mask" in operands:
        outputs = jnp.where(operands["mask"][..., None], outputs, 0)
    if go_backwards:
        outputs, after = jax.tree.map(lambda a: jnp.flip(a, axis=1), (outputs, after))
    return outputs, (*last, *after) if sequences else last


def steps(
    cell: Cell,
    operands: Mapping[str, Array],
    *,
    go_backwards: bool,
    nudges: States | None = None,
) -> tuple[States, tuple[Array, ...], States]:
    """Return the states after each step, the gates in it, and the last states.

    Arguments as of `rnn`; ``nudges``, one ``[B, T, H]`` for each state, are added to the states
    after a step. States and gates are ``[B, T, H]`` each, in the order of ``x`` in any direction.
    """
    x, mask, reset = operands["x"], operands.get("mask"), operands.get("reset")
    first = tuple(operands[name] for name in ("h0", "c0")[: cell.states])
    if mask is not None:
        # What a skipped step holds must not reach a product: 0 * NaN would poison the gradients.
        x = jnp.where(mask[..., None], x, 0)
    step = _step_function(cell, operands)

    def body(states: States, inputs: Any) -> Any:
        wx, live, begins, kept, nudge = inputs
        before = states
        if begins is not None:
            before = tuple(jnp.where(begins[:, None], 0, s) for s in states)
        new, gates = step(before, wx)
        new = _zoned_out(cell, before, new, kept)
        if live is not None:
            new = tuple(
                jnp.where(live[:, None], n, old) for n, old in zip(new, states, strict=True)
            )
        if nudge is not None:
            new = tuple(n + more for n, more in zip(new, nudge, strict=True))
        return new, (new, gates)

    wx, kept = _input_product(cell, x, operands), _kept(cell, operands, x.shape[1])
    by_time = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), (wx, mask, reset, kept, nudges))
    last, found = jax.lax.scan(body, first, by_time, reverse=go_backwards)
    after, gates = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), found)
    return after, gates, last


def _input_product(cell: Cell, x: Array, operands: Mapping[str, Array]) -> Array:
    bias = operands.get("bias")
    wx = _into_gates(cell, x, operands["kernel"], operands.get("input_scale"))
    if "norm" in operands:
        if cell.kind == "simple_rnn":  # its two sums are normalised as one
            return wx
        wx = _normalized(cell, wx, operands["norm"][0])
    if bias is None:
        return wx
    return wx + (bias[0] if bias.ndim == 2 else bias)


def _kept(cell: Cell, operands: Mapping[str, Array], steps: int) -> tuple[Array | None, ...]:
    """Return for each state what zoneout keeps, ``bool[B, T, H]``; None without a choice."""
    noise, first = operands.get("noise"), (operands[n] for n in ("h0", "c0")[: cell.states])
    return tuple(
        chosen(rate, noise, steps, begin.shape[1], state) if rate and noise is not None else None
        for state, (rate, begin) in enumerate(zip(cell.zoneout, first, strict=True))
    )


def _zoned_out(cell: Cell, before: States, new: States, kept: tuple[Array | None, ...]) -> States:
    """Return the states that zoneout leaves: chosen ones exactly as before, or the expectation."""

    def of_state(rate: float, old: Array, fresh: Array, is_kept: Array | None) -> Array:
        if is_kept is not None:
            return jnp.where(is_kept, old, fresh)
        return rate * old + (1 - rate) * fresh if rate else fresh

    return tuple(map(of_state, cell.zoneout, before, new, kept))
