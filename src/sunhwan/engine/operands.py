"""The arrays of a recurrence by name: `Run`, and the checks of everything that is handed in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sunhwan.engine.cell import Cell
from sunhwan.engine.embedding import Lookup, check_table
from sunhwan.errors import ShapeError

Array = jax.Array
#: names that differ between the arguments of a run and its operands
_OPERANDS = {"recurrent_kernel": "recurrent", "initial_state[0]": "h0", "initial_state[1]": "c0"}


@dataclass(frozen=True)
class Run:
    """One of several recurrences over the same input: weights, start, direction, variants.

    Scales, noise and resets are constants: no derivative flows to them.

    Attributes
    ----------
    kernel, recurrent_kernel, bias, initial_state, go_backwards
        As for `sunhwan.engine.rnn`.
    peephole
        ``float[3, H]``, LSTM only: weights from the cell to the gates i, f and o (Gers &
        Schmidhuber 2000). It is differentiated.
    norm, norm_cell
        ``float[2, G*H]``, of a SimpleRNN ``float[1, H]``, gains of the normalised sums of the input
        and of the state, and for an LSTM ``float[2, H]``, gain and offset of its normalised cell:
        layer normalisation (Ba, Kiros & Hinton 2016), where `Cell.norm_epsilon` is not 0. They
        are differentiated.
    projection
        ``float[H, P]``, LSTM only, P at most H: what the cell gives is multiplied by it to become
        the output h (Sak, Senior & Beaufays 2014), which then has P units wherever H stands for it,
        and ``recurrent_kernel`` P rows. It is differentiated.
    input_scale, state_scale
        ``float[B, G, D]`` and ``float[B, G, H]``: what multiplies the input, and the state h
        before the step, on their way into each gate (`Cell.gates`), the same in all steps:
        variational dropout (Gal & Ghahramani 2016).
    noise
        ``uint32[B, 2]``, keys of zoneout's random choice (`sunhwan.engine.zoneout`); without them
        zoneout acts by its expectation, which is inference.
    """

    kernel: Any
    recurrent_kernel: Any
    bias: Any = None
    initial_state: tuple[Any, ...] | None = None
    go_backwards: bool = False
    peephole: Any = None
    norm: Any = None
    norm_cell: Any = None
    projection: Any = None
    input_scale: Any = None
    state_scale: Any = None
    noise: Any = None


@dataclass(frozen=True)
class Sizes:
    """Of an input."""

    B: int
    T: int
    D: int
    dtype: Any


def checked_input(x: Any, mask: Any, reset: Any) -> tuple[dict[str, Array], Sizes]:
    """Return the operands that all runs share, and the sizes of the input.

    Raises
    ------
    ShapeError
        If a rank, size or dtype does not fit; names the argument, and what was expected.
    """
    operands: dict[str, Array] = {}
    if isinstance(x, Lookup):
        operands["table"], operands["ids"] = table, ids = check_table(x.table, x.ids)
        if ids.ndim != 2:
            raise ShapeError(f"`ids` of the input must have shape (B, T), received {ids.shape}")
        sizes = Sizes(ids.shape[0], ids.shape[1], table.shape[1], table.dtype)
    else:
        operands["x"] = x = jnp.asarray(x)
        if x.ndim != 3 or not jnp.issubdtype(x.dtype, jnp.floating):
            raise ShapeError(
                "`x` must be floating-point numbers of shape (B, T, D), received "
                f"{x.dtype.name} of shape {x.shape}",
                hint="add the missing axis: `x[None]` for one sequence, `x[..., None]` for one "
                "feature",
            )
        sizes = Sizes(x.shape[0], x.shape[1], x.shape[2], x.dtype)
    for name, value in (("mask", mask), ("reset", reset)):
        if value is not None:
            operands[name] = of_shape(name, value, (sizes.B, sizes.T), "(B, T)", jnp.bool_)
    return operands, sizes


def run_operands(cell: Cell, sizes: Sizes, run: Run) -> dict[str, Array]:
    """Return a run's operands by name, in the primitives' order, each of the shape it must have.

    Raises
    ------
    ShapeError
        If a rank, size or dtype does not fit; names the argument, and what was expected.
    """
    _check_run(cell, sizes, run)
    batch, outputs, features = sizes.B, jnp.shape(run.recurrent_kernel)[0], sizes.D
    units = outputs if run.projection is None else jnp.shape(run.projection)[0]
    gates, columns = len(cell.gates), len(cell.gates) * units
    widths = (outputs, units)[: cell.states]
    first = run.initial_state or tuple(jnp.zeros((batch, w), sizes.dtype) for w in widths)
    wanted: dict[str, tuple[Any, tuple[int, ...], str]] = {
        "kernel": (run.kernel, (features, columns), "(D, G * H)"),
        "recurrent_kernel": (run.recurrent_kernel, (outputs, columns), "(H, G * H)"),
        "bias": (run.bias, cell.bias_shape(units), "of the bias"),
        "peephole": (run.peephole, (3, units), "(3, H)"),
        "projection": (run.projection, (units, outputs), "(H, P)"),
        "input_scale": (run.input_scale, (batch, gates, features), "(B, G, D)"),
        "state_scale": (run.state_scale, (batch, gates, outputs), "(B, G, H)"),
        "noise": (run.noise, (batch, 2), "(B, 2)"),
    }
    for name, shape in cell.norm_shapes(units).items():
        wanted[name] = (getattr(run, name), shape, "of the gains")
    for i, (state, width) in enumerate(zip(first, widths, strict=True)):
        wanted[f"initial_state[{i}]"] = (state, (batch, width), "(B, H)")
    own = {
        _OPERANDS.get(name, name): of_shape(
            name, value, shape, meaning, jnp.uint32 if name == "noise" else sizes.dtype
        )
        for name, (value, shape, meaning) in wanted.items()
        if value is not None
    }
    scales = {n: jax.lax.stop_gradient(own[n]) for n in ("input_scale", "state_scale") if n in own}
    return own | scales


def _check_run(cell: Cell, sizes: Sizes, run: Run) -> None:
    shape = jnp.shape(run.recurrent_kernel)
    if len(shape) != 2:
        raise ShapeError(
            f"`recurrent_kernel` must have shape (H, {len(cell.gates)} * H), received {shape}"
        )
    if sizes.D < 1 or shape[0] < 1:
        raise ShapeError(
            "`x` and `recurrent_kernel` must not be empty, received "
            f"{(sizes.B, sizes.T, sizes.D)} and {shape}"
        )
    if run.initial_state is not None and len(run.initial_state) != cell.states:
        raise ShapeError(
            f"`initial_state` must hold {cell.states} array(s) for a {cell.kind}, "
            f"received {len(run.initial_state)}"
        )
    for name in ("norm", "norm_cell"):
        cell.check_norm(name, getattr(run, name) is not None)
    if run.peephole is not None and cell.kind != "lstm":
        raise ShapeError(f"`peephole` must be None for a {cell.kind}, which has no cell c")
    if run.projection is not None:
        cell.check_projection()
        projection = jnp.shape(run.projection)
        if len(projection) != 2 or projection[0] < projection[1]:
            raise ShapeError(
                f"`projection` must have shape (H, P), P at most H, received {projection}"
            )


def of_shape(name: str, value: Any, shape: tuple[int, ...], meaning: str, dtype: Any) -> Array:
    """Return ``value`` as an array, which must have that shape and dtype."""
    array = jnp.asarray(value)
    if array.shape != shape:
        raise ShapeError(f"`{name}` must have shape {meaning} = {shape}, received {array.shape}")
    if array.dtype != dtype:
        rest = " like the rest" if jnp.issubdtype(dtype, jnp.floating) else ""
        raise ShapeError(
            f"`{name}` must have dtype {jnp.dtype(dtype).name}{rest}, received {array.dtype.name}"
        )
    return array
