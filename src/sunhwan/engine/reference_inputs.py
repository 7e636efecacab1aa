"""Checks of everything handed to the reference: each array's rank, size and dtype by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.engine.cell import Cell
from sunhwan.engine.recurrence_parts import Array, Scales, Weights
from sunhwan.errors import ShapeError

#: an axis per entry: its name, and its length where that is already known
Shape = dict[str, int | None]


@dataclass(frozen=True)
class Inputs:
    """Checked arrays of one call; the bias is zero and ``has_bias`` False where none was given.

    ``reset`` is all False where none was given, and ``noise`` None.
    """

    x: Array
    weights: Weights
    has_bias: bool
    initial_state: tuple[Array, ...]
    mask: NDArray[np.bool_]
    reset: NDArray[np.bool_]
    scales: Scales
    noise: NDArray[np.uint32] | None


def check_inputs(
    cell: Cell,
    x: ArrayLike,
    kernel: ArrayLike,
    recurrent_kernel: ArrayLike,
    bias: ArrayLike | None,
    initial_state: Sequence[ArrayLike] | None,
    mask: ArrayLike | None,
    *,
    reset: ArrayLike | None = None,
    peephole: ArrayLike | None = None,
    norm: ArrayLike | None = None,
    norm_cell: ArrayLike | None = None,
    projection: ArrayLike | None = None,
    input_scale: ArrayLike | None = None,
    state_scale: ArrayLike | None = None,
    noise: ArrayLike | None = None,
) -> Inputs:
    """Return the arguments of `sunhwan.engine.reference.forward` as float64 arrays that fit.

    Raises
    ------
    ShapeError
        Naming the first argument that does not fit, what was expected and what came.
    """
    x = as_float64("x", x, {"B": None, "T": None, "D": None})
    B, T, D = x.shape
    recurrent_kernel = as_float64("recurrent_kernel", recurrent_kernel, {"H": None, "G*H": None})
    P = H = len(recurrent_kernel)
    if projection is not None:
        projection = _check_projection(cell, projection, P)
        H = len(projection)
    G, columns = len(cell.gates), len(cell.gates) * H
    has_rows = len(cell.bias_shape(H)) == 2
    bias_shape: Shape = {"rows": 2, "G*H": columns} if has_rows else {"G*H": columns}
    weights = Weights(
        kernel=as_float64("kernel", kernel, {"D": D, "G*H": columns}),
        recurrent_kernel=as_float64("recurrent_kernel", recurrent_kernel, {"P": P, "G*H": columns}),
        bias=np.zeros(cell.bias_shape(H)) if bias is None else as_float64("bias", bias, bias_shape),
        peephole=None if peephole is None else _check_peephole(cell, peephole, H),
        norm=_check_norm(cell, "norm", norm, H),
        norm_cell=_check_norm(cell, "norm_cell", norm_cell, H),
        projection=projection,
    )

    def scale(name: str, value: ArrayLike | None, axis: str, length: int) -> Array | None:
        return None if value is None else as_float64(name, value, {"B": B, "G": G, axis: length})

    return Inputs(
        x=x,
        weights=weights,
        has_bias=bias is not None,
        initial_state=check_states("initial_state", initial_state, cell, B, H, P=P),
        mask=_check_steps("mask", mask, B, T, missing=True),
        reset=_check_steps("reset", reset, B, T, missing=False),
        scales=Scales(
            scale("input_scale", input_scale, "D", D), scale("state_scale", state_scale, "P", P)
        ),
        noise=_check_noise(noise, B),
    )


def check_states(
    name: str,
    states: Sequence[ArrayLike] | None,
    cell: Cell,
    B: int,
    H: int,
    T: int | None = None,
    P: int | None = None,
) -> tuple[Array, ...]:
    """Return one float64[B, H] per state of ``cell``: zeros where ``states`` is None.

    With ``T``, one float64[B, T, H]; with ``P``, that of h has so many units.

    Raises
    ------
    ShapeError
        If there are too few or too many, or one has another shape.
    """
    rows = {"B": B} if T is None else {"B": B, "T": T}
    sizes = [{**rows, "H": H if P is None else P}, {**rows, "H": H}][: cell.states]
    if states is None:
        return tuple(np.zeros(tuple(size.values())) for size in sizes)
    if not isinstance(states, (tuple, list)) or len(states) != cell.states:
        kind = type(states).__name__
        came = f"{kind} of {len(states)}" if isinstance(states, (tuple, list)) else kind
        raise ShapeError(
            f"`{name}` of a {cell.kind} must be a tuple of {cell.states} array(s), received {came}",
            hint=f"pass {'(h, c)' if cell.states == 2 else '(h,)'}",
        )
    return tuple(
        as_float64(f"{name}[{n}]", state, {**size})
        for n, (state, size) in enumerate(zip(states, sizes, strict=True))
    )


def as_float64(name: str, value: ArrayLike, shape: Shape) -> Array:
    """Return ``value`` as a new float64 array with the axes of ``shape``; None takes any length.

    Raises
    ------
    ShapeError
        If rank, size or dtype differ.

    Examples
    --------
    >>> as_float64("x", [[1, 2]], {"B": None, "D": 2})
    array([[1., 2.]])
    """
    array = np.asarray(value)
    if array.dtype.kind in "OSUMmc":
        raise ShapeError(f"`{name}` must hold real numbers, received dtype {array.dtype}")
    lengths = list(shape.values())
    if array.ndim != len(lengths) or any(
        wanted not in (None, came) for wanted, came in zip(lengths, array.shape, strict=True)
    ):
        known = ", ".join(f"{axis} = {size}" for axis, size in shape.items() if size is not None)
        form = f"[{', '.join(shape)}]" + (f" with {known}" if known else "")
        raise ShapeError(f"`{name}` must have shape {form}, received {array.shape}")
    return array.astype(np.float64)


def _check_peephole(cell: Cell, peephole: ArrayLike, H: int) -> Array:
    if cell.kind != "lstm":
        raise ShapeError(f"`peephole` must be None for a {cell.kind}, which has no cell c")
    return as_float64("peephole", peephole, {"gates i f o": 3, "H": H})


def _check_norm(cell: Cell, name: str, value: ArrayLike | None, H: int) -> Array | None:
    wanted = cell.norm_shapes(H).get(name)
    cell.check_norm(name, value is not None)
    if value is None or wanted is None:
        return None
    return as_float64(name, value, {"rows": wanted[0], "columns": wanted[1]})


def _check_projection(cell: Cell, projection: ArrayLike, P: int) -> Array:
    cell.check_projection()
    return as_float64("projection", projection, {"H": None, "P": P})


def _check_steps(
    name: str, value: ArrayLike | None, B: int, T: int, missing: bool
) -> NDArray[np.bool_]:
    """Return a mark of each step as bool[B, T], all ``missing`` where there is none."""
    if value is None:
        return np.full((B, T), missing)
    array = np.asarray(value)
    if array.dtype != np.bool_ or array.shape != (B, T):
        meant = {
            "mask": "True keeps a step, False skips it; `ids != 0` makes such a mask",
            "reset": "True sets the states to zero before the step",
        }
        raise ShapeError(
            f"`{name}` must be bool[B, T] with B = {B}, T = {T}, "
            f"received {array.dtype} of shape {array.shape}",
            hint=meant[name],
        )
    return array.copy()


def _check_noise(noise: ArrayLike | None, B: int) -> NDArray[np.uint32] | None:
    if noise is None:
        return None
    array = np.asarray(noise)
    if array.dtype != np.uint32 or array.shape != (B, 2):
        raise ShapeError(
            f"`noise` must be uint32[B, 2] with B = {B}, "
            f"received {array.dtype} of shape {array.shape}",
            hint="two random keys for each row; None makes zoneout act by its expectation",
        )
    return array.copy()
