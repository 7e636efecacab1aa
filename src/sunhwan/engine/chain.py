"""A chain of layers as the kernels run it step by step: weights in, a stream out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.engine import native
from sunhwan.engine.cell import ACTIVATIONS, GATES, Cell
from sunhwan.errors import ShapeError, UsageError

Floats = NDArray[np.float32]


class Chain:
    """Layers are added in order; each reads what the one before gives for a step.

    Weights are copied when a layer is added, in the order in which the kernels read them.

    Parameters
    ----------
    batch_size
        Rows that go through together.
    features
        Floats of a step's input, or 0 where it is an id: then `lookup` comes first.

    Raises
    ------
    UsageError
        If ``batch_size`` is not a whole number of at least 1.
    KernelError
        If the kernels are missing.

    Examples
    --------
    >>> chain = Chain(1, 3)
    >>> chain.dense(np.ones((3, 2)), None, "relu")
    >>> chain.features
    2
    """

    def __init__(self, batch_size: int, features: int) -> None:
        if not isinstance(batch_size, int | np.integer) or batch_size < 1:
            raise UsageError(
                f"`batch_size` must be a whole number of at least 1, received {batch_size!r}"
            )
        self.batch_size = int(batch_size)
        self.features = features
        self.reads_ids = features == 0
        #: rows of the table, where the input is an id
        self.ids = 0
        #: the shape of each state, in order of layers; an LSTM has h, then c
        self.states: list[tuple[int, int]] = []
        self.native: Any = native.module().Stream(self.batch_size, features)

    def lookup(self, table: Any, skips_zero: bool) -> None:
        """Add rows of ``table``, ``[V, D]``, by id; ``skips_zero``: id 0 is a step to skip."""
        table = _floats("table", table, (None, None))
        self.native.lookup(table, skips_zero)
        self.ids, self.features = table.shape

    def masking(self, value: float) -> None:
        """Make a step whose features are all ``value`` one that recurrent layers skip."""
        self.native.masking(value)

    def recurrent(
        self,
        cell: Cell,
        kernel: Any,
        recurrent_kernel: Any,
        bias: Any = None,
        peephole: Any = None,
        norm: Any = None,
        norm_cell: Any = None,
        zero_output_for_mask: bool = False,
    ) -> None:
        """Add a recurrence that starts from zeros; arguments as of `sunhwan.engine.rnn`.

        Zoneout acts by its expectation, as in inference.

        Raises
        ------
        ShapeError
            If a weight has another shape than the chain and the cell need.
        UsageError
            If the cell's products are not of float32.
        """
        if cell.products != "float32":
            raise UsageError(f"a chain has products of float32, received {cell.products!r}")
        recurrent_kernel = _floats("recurrent_kernel", recurrent_kernel, (None, None))
        units = recurrent_kernel.shape[0]
        columns = len(cell.gates) * units
        if bias is not None:
            bias = _floats("bias", bias, cell.bias_shape(units)).reshape(-1)
        gains = {"norm": norm, "norm_cell": norm_cell}
        shapes = cell.norm_shapes(units)
        for name, value in gains.items():
            cell.check_norm(name, value is not None)
            gains[name] = None if value is None else _floats(name, value, shapes[name])
        self.native.recurrent(
            list(GATES).index(cell.kind),
            ACTIVATIONS.index(cell.activation),
            ACTIVATIONS.index(cell.recurrent_activation),
            cell.reset_after,
            zero_output_for_mask,
            _floats("kernel", kernel, (self.features, columns)),
            _floats("recurrent_kernel", recurrent_kernel, (units, columns)),
            bias,
            None if peephole is None else _floats("peephole", peephole, (3, units)),
            *gains.values(),
            cell.zoneout_h,
            cell.zoneout_c,
            cell.norm_epsilon,
        )
        self.features = units
        self.states += [(self.batch_size, units)] * cell.states

    def dense(self, kernel: Any, bias: Any = None, activation: str = "linear") -> None:
        """Add ``activation(x W + b)``: ``[D, H]``, ``[H]`` or None, a name as of `activation`.

        Raises
        ------
        ShapeError
            If a weight has another shape than the chain needs.
        """
        kernel = _floats("kernel", kernel, (self.features, None))
        columns = kernel.shape[1]
        bias = None if bias is None else _floats("bias", bias, (columns,))
        gate = "linear" if activation == "softmax" else activation
        self.native.dense(kernel, bias, _number(gate))
        self.features = columns
        if activation == "softmax":
            self.native.softmax()

    def activation(self, name: str) -> None:
        """Add one of `ACTIVATIONS`, or ``softmax`` over the features."""
        if name == "softmax":
            self.native.softmax()
        else:
            self.native.gate(_number(name))

    def affine(self, scale: Any, shift: Any) -> None:
        """Add ``scale x + shift``, ``[D]`` each."""
        of_features = (self.features,)
        self.native.affine(
            _floats("scale", scale, of_features), _floats("shift", shift, of_features)
        )

    def normalization(self, scale: Any, shift: Any, epsilon: float) -> None:
        """Add ``scale (x - mean) / sqrt(variance + epsilon) + shift`` over the features."""
        of_features = (self.features,)
        self.native.normalization(
            _floats("scale", scale, of_features), _floats("shift", shift, of_features), epsilon
        )


def _number(activation: str) -> int:
    if activation not in ACTIVATIONS:
        known = sorted([*ACTIVATIONS, "softmax"])
        raise UsageError(f"`activation` must be one of {known}, received {activation!r}")
    return ACTIVATIONS.index(activation)


def _floats(name: str, value: Any, shape: tuple[int | None, ...]) -> Floats:
    """Return a weight as the kernels read it; None in ``shape`` stands for any size from 1."""
    array = np.ascontiguousarray(value, np.float32)
    fits = array.ndim == len(shape) and all(
        size >= 1 if wanted is None else size == wanted
        for size, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if size is None else size for size in shape)
        raise ShapeError(f"`{name}` must have shape {wanted}, received {array.shape}")
    return array
