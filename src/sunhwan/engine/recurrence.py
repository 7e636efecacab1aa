"""One call for every recurrence: checks the arguments, then runs the kernel or plain JAX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sunhwan.engine import native, plain
from sunhwan.engine.cell import Cell
from sunhwan.engine.embedding import Lookup, check_table
from sunhwan.engine.sharding import same_variance
from sunhwan.errors import ShapeError

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
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
    return_sequences: bool = True,
) -> tuple[Array | None, tuple[Array, ...]]:
    """Return the outputs ``[B, T, H]`` of a recurrence, and its last states ``[B, H]``.

    Parameters
    ----------
    cell
        Which recurrence, with which gate functions.
    x
        Input, ``float[B, T, D]``, or a `Lookup` of rows by id: they are then read from the table
        where it lies, to the same bits, and neither they nor their gradients are ever written.
    kernel, recurrent_kernel, bias
        Weights in Keras's layout: ``[D, G*H]``, ``[H, G*H]`` and `Cell.bias_shape` or None.
    initial_state
        ``(h,)``, or ``(h, c)`` for an LSTM, each ``[B, H]``; None means zeros.
    mask
        ``bool[B, T]``; at a step that is False the state is carried over.
    go_backwards
        Run from the last step to the first; outputs are in order of processing, as in Keras.
    zero_output_for_mask
        The output of a masked step is 0 instead of the state carried over.
    return_sequences
        If False the outputs are None, and no sequence is ever written.

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
        zero_output_for_mask=zero_output_for_mask,
        return_sequences=return_sequences,
    )
    return result


@dataclass(frozen=True)
class Run:
    """One of several recurrences over the same input: weights, start, direction as for `rnn`."""

    kernel: Any
    recurrent_kernel: Any
    bias: Any = None
    initial_state: tuple[Any, ...] | None = None
    go_backwards: bool = False


def rnns(
    cell: Cell,
    x: Any,
    runs: Sequence[Run],
    *,
    mask: Any = None,
    zero_output_for_mask: bool = False,
    return_sequences: bool = True,
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
    >>> x, w, u = jnp.ones((2, 5, 3)), jnp.ones((3, 4)) / 8, jnp.eye(4) / 2
    >>> both = rnns(Cell("simple_rnn"), x, [Run(w, u), Run(w, u, go_backwards=True)])
    >>> [outputs.shape for outputs, states in both]
    [(2, 5, 4), (2, 5, 4)]
    """
    if isinstance(x, Lookup) and native.why_plain(jnp.asarray(x.table).dtype):
        x = x.rows()
    operands, sizes = _checked_input(x, mask)
    for run in runs:
        _check_run(cell, sizes, run)
    own = [_run_operands(cell, sizes, run) for run in runs]
    if not native.why_plain(sizes.dtype):
        options = (tuple(run.go_backwards for run in runs), zero_output_for_mask, return_sequences)
        return _by_kernel(cell, operands, own, sizes.T, *options)
    results: list[tuple[Array | None, tuple[Array, ...]]] = []
    for run, mine in zip(runs, own, strict=True):
        outputs, states = plain.rnn(
            cell,
            operands["x"],
            mine["kernel"],
            mine["recurrent"],
            mine.get("bias"),
            tuple(mine[name] for name in ("h0", "c0") if name in mine),
            operands.get("mask"),
            go_backwards=run.go_backwards,
            zero_output=zero_output_for_mask,
        )
        results.append((outputs if return_sequences else None, states))
    return results


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
    cell: Cell, x: Any, run: Run, *, mask: Any = None, nudges: tuple[Any, ...] | None = None
) -> Trace:
    """Return states and gates of each step, in plain JAX: to look into a recurrence, not for speed.

    Parameters
    ----------
    cell, x, mask
        As of `rnn`.
    run
        Weights, start and direction.
    nudges
        One ``float[B, T, H]`` for each state, added to it after each step; the derivative for a
        nudge is that for the state there.

    Raises
    ------
    ShapeError
        As `rnn`.

    Examples
    --------
    >>> x, w, u = jnp.ones((2, 5, 3)), jnp.ones((3, 4)) / 8, jnp.eye(4) / 2
    >>> found = trace(Cell("simple_rnn", "linear"), x, Run(w, u))
    >>> found.states[0].shape, list(found.gates), float(found.states[0][0, 1, 0])
    ((2, 5, 4), ['h'], 0.5625)
    """
    operands, sizes = _checked_input(x.rows() if isinstance(x, Lookup) else x, mask)
    _check_run(cell, sizes, run)
    own = _run_operands(cell, sizes, run)
    shape = (sizes.B, sizes.T, own["recurrent"].shape[0])
    if nudges is not None:
        nudges = tuple(
            _of_shape(f"nudges[{n}]", nudge, shape, "(B, T, H)", sizes.dtype)
            for n, nudge in enumerate(nudges)
        )
    states, gates, last = plain.steps(
        cell,
        operands["x"],
        own["kernel"],
        own["recurrent"],
        own.get("bias"),
        tuple(own[name] for name in ("h0", "c0") if name in own),
        operands.get("mask"),
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
) -> list[tuple[Array | None, tuple[Array, ...]]]:
    from sunhwan.engine import primitives

    segment = max(1, min(_SEGMENT, steps))
    options = primitives.Options(cell, backwards, zero_output, segment)
    results = primitives.forward_names(options, return_sequences, False)
    for run, mine in enumerate(own):
        operands |= {primitives.run_name(name, run): value for name, value in mine.items()}
    operands = same_variance(operands)
    out = primitives.forward_p.bind(
        *operands.values(), names=tuple(operands), options=options, results=results
    )
    found = dict(zip(results, out, strict=True))
    per_run = []
    for run in range(len(own)):
        names = [primitives.run_name(name, run) for name in ("y", "h", "c")]
        y, *states = [found.get(name) for name in names]
        per_run.append((y, tuple(state for state in states if state is not None)))
    return per_run


@dataclass(frozen=True)
class _Sizes:
    """Of an input."""

    B: int
    T: int
    D: int
    dtype: Any


def _checked_input(x: Any, mask: Any) -> tuple[dict[str, Array], _Sizes]:
    """Return the operands that all runs share, and the sizes of the input."""
    if isinstance(x, Lookup):
        table, ids = check_table(x.table, x.ids)
        if ids.ndim != 2:
            raise ShapeError(f"`ids` of the input must have shape (B, T), received {ids.shape}")
        sizes = _Sizes(ids.shape[0], ids.shape[1], table.shape[1], table.dtype)
        return {"table": table, "ids": ids, **_checked_mask(mask, sizes)}, sizes
    x = jnp.asarray(x)
    if x.ndim != 3 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ShapeError(
            "`x` must be floating-point numbers of shape (B, T, D), received "
            f"{x.dtype.name} of shape {x.shape}",
            hint="add the missing axis: `x[None]` for one sequence, `x[..., None]` for one feature",
        )
    sizes = _Sizes(x.shape[0], x.shape[1], x.shape[2], x.dtype)
    return {"x": x, **_checked_mask(mask, sizes)}, sizes


def _checked_mask(mask: Any, sizes: _Sizes) -> dict[str, Array]:
    if mask is None:
        return {}
    return {"mask": _of_shape("mask", mask, (sizes.B, sizes.T), "(B, T)", jnp.bool_)}


def _check_run(cell: Cell, sizes: _Sizes, run: Run) -> None:
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


def _run_operands(cell: Cell, sizes: _Sizes, run: Run) -> dict[str, Array]:
    """Return a run's operands by name, in the primitives' order, each of the shape it must have."""
    batch, units, features = sizes.B, jnp.shape(run.recurrent_kernel)[0], sizes.D
    columns = len(cell.gates) * units

    def of_shape(name: str, value: Any, shape: tuple[int, ...], meaning: str) -> Array:
        return _of_shape(name, value, shape, meaning, sizes.dtype)

    own = {
        "kernel": of_shape("kernel", run.kernel, (features, columns), "(D, G * H)"),
        "recurrent": of_shape(
            "recurrent_kernel", run.recurrent_kernel, (units, columns), "(H, G * H)"
        ),
    }
    if run.bias is not None:
        own["bias"] = of_shape("bias", run.bias, cell.bias_shape(units), "of the bias")
    for i, name in enumerate(("h0", "c0")[: cell.states]):
        given = jnp.zeros((batch, units), sizes.dtype)
        if run.initial_state is not None:
            given = run.initial_state[i]
        own[name] = of_shape(f"initial_state[{i}]", given, (batch, units), "(B, H)")
    return own


def _of_shape(name: str, value: Any, shape: tuple[int, ...], meaning: str, dtype: Any) -> Array:
    array = jnp.asarray(value)
    if array.shape != shape:
        raise ShapeError(f"`{name}` must have shape {meaning} = {shape}, received {array.shape}")
    if array.dtype != dtype:
        raise ShapeError(
            f"`{name}` must have dtype {jnp.dtype(dtype).name} like the rest, "
            f"received {array.dtype.name}"
        )
    return array
