"""One call for every recurrence: checks the arguments, then runs the kernel or plain JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from sunhwan.engine import native, plain
from sunhwan.engine.cell import Cell
from sunhwan.errors import ShapeError

Array = jax.Array
#: steps between two state checkpoints; what lies between is recomputed on the way back
_SEGMENT = 16


def why_plain(dtype: Any) -> str:
    """Return why arrays of ``dtype`` have no kernel here, or an empty string if they have.

    Examples
    --------
    >>> why_plain("float64")
    'dtype float64 has no kernel'
    """
    if jnp.dtype(dtype) != jnp.float32:
        return f"dtype {jnp.dtype(dtype).name} has no kernel"
    if jax.default_backend() != "cpu":
        return f"the kernels run on CPUs, and JAX's default device is a {jax.default_backend()}"
    return native.why_missing()


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
        Input, ``float[B, T, D]``.
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
    operands = _checked(cell, x, kernel, recurrent_kernel, bias, initial_state, mask)
    if why_plain(operands["x"].dtype):
        outputs, states = plain.rnn(
            cell,
            operands["x"],
            operands["kernel"],
            operands["recurrent"],
            operands.get("bias"),
            tuple(operands[name] for name in ("h0", "c0") if name in operands),
            operands.get("mask"),
            go_backwards=go_backwards,
            zero_output=zero_output_for_mask,
        )
        return (outputs if return_sequences else None), states
    return _by_kernel(cell, operands, go_backwards, zero_output_for_mask, return_sequences)


def _by_kernel(
    cell: Cell,
    operands: dict[str, Array],
    go_backwards: bool,
    zero_output: bool,
    return_sequences: bool,
) -> tuple[Array | None, tuple[Array, ...]]:
    from sunhwan.engine import primitives

    steps = operands["x"].shape[1]
    options = primitives.Options(cell, go_backwards, zero_output, max(1, min(_SEGMENT, steps)))
    results = primitives.forward_names(options, return_sequences, False)
    operands = _same_variance(operands)
    out = primitives.forward_p.bind(
        *operands.values(), names=tuple(operands), options=options, results=results
    )
    found = dict(zip(results, out, strict=True))
    return found.get("y"), tuple(found[name] for name in ("h", "c") if name in found)


def _same_variance(operands: dict[str, Array]) -> dict[str, Array]:
    """Under shard_map, mark all operands as varying over the same mesh axes.

    What is the same on all devices (weights) becomes formally different on each; the transpose of
    that step is the sum over devices that their gradients need.
    """
    varying = {name: jax.typeof(value).mat.varying for name, value in operands.items()}
    union = frozenset().union(*varying.values())
    return {
        name: jax.lax.pcast(value, tuple(union - varying[name]), to="varying")
        if union - varying[name]
        else value
        for name, value in operands.items()
    }


def _checked(
    cell: Cell,
    x: Any,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any,
    initial_state: tuple[Any, ...] | None,
    mask: Any,
) -> dict[str, Array]:
    """Return the operands by name, in the primitives' order, each of the shape it must have."""
    x, recurrent = jnp.asarray(x), jnp.asarray(recurrent_kernel)
    if x.ndim != 3 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ShapeError(
            "`x` must be floating-point numbers of shape (B, T, D), received "
            f"{x.dtype.name} of shape {x.shape}",
            hint="add the missing axis: `x[None]` for one sequence, `x[..., None]` for one feature",
        )
    if recurrent.ndim != 2:
        raise ShapeError(
            f"`recurrent_kernel` must have shape (H, {len(cell.gates)} * H), "
            f"received {recurrent.shape}"
        )
    (batch, steps, features), units = x.shape, recurrent.shape[0]
    columns = len(cell.gates) * units
    if features < 1 or units < 1:
        raise ShapeError(f"`x` and `recurrent_kernel` must not be empty, received {x.shape}")
    operands = {"x": x}
    if mask is not None:
        operands["mask"] = _of_shape("mask", mask, (batch, steps), "(B, T)", jnp.bool_)
    operands["kernel"] = _of_shape("kernel", kernel, (features, columns), "(D, G * H)", x.dtype)
    operands["recurrent"] = _of_shape(
        "recurrent_kernel", recurrent, (units, columns), "(H, G * H)", x.dtype
    )
    if bias is not None:
        operands["bias"] = _of_shape("bias", bias, cell.bias_shape(units), "the bias", x.dtype)
    if initial_state is None:
        initial_state = (jnp.zeros((batch, units), x.dtype),) * cell.states
    if len(initial_state) != cell.states:
        raise ShapeError(
            f"`initial_state` must hold {cell.states} array(s) for a {cell.kind}, "
            f"received {len(initial_state)}"
        )
    for name, i in zip(("h0", "c0"), range(cell.states), strict=False):
        operands[name] = _of_shape(
            f"initial_state[{i}]", initial_state[i], (batch, units), "(B, H)", x.dtype
        )
    return operands


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
