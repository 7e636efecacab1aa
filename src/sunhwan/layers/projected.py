"""The cell of an LSTM whose output is projected, as Keras knows cells."""

from __future__ import annotations

import numbers
from typing import Any

import keras

from sunhwan.errors import UsageError


@keras.saving.register_keras_serializable(package="sunhwan")
class ProjectedLSTMCell(keras.layers.LSTMCell):  # type: ignore[misc]
    """`keras.layers.LSTMCell` with an output of fewer units than its cell (Sak et al. 2014).

    Parameters
    ----------
    units
        Of the cell c and the gates.
    projection_units
        Of the output h.
    projection_initializer
        How ``projection_kernel``, ``(units, projection_units)``, begins.
    options
        Of the Keras cell.

    Examples
    --------
    >>> import numpy as np
    >>> cell = ProjectedLSTMCell(4, 2)
    >>> y, (h, c) = cell(np.ones((3, 5)), [np.zeros((3, 2)), np.zeros((3, 4))])
    >>> y.shape, c.shape, cell.recurrent_kernel.shape
    ((3, 2), (3, 4), (2, 16))
    """

    def __init__(
        self,
        units: int,
        projection_units: int,
        projection_initializer: Any = "glorot_uniform",
        **options: Any,
    ) -> None:
        super().__init__(units, **options)
        is_whole = isinstance(projection_units, numbers.Integral)
        if not is_whole or isinstance(projection_units, bool) or not 1 <= projection_units <= units:
            raise UsageError(
                f"`projection_units` must be a whole number from 1 to units = {units}, "
                f"received {projection_units!r}"
            )
        self.projection_units = int(projection_units)
        self.projection_initializer = keras.initializers.get(projection_initializer)
        self.state_size = [self.projection_units, units]
        self.output_size = self.projection_units

    def build(self, input_shape: Any) -> None:
        """Make the weights, that of the projection last."""
        super().build(input_shape)
        self.projection_kernel = self.add_weight(
            shape=(self.units, self.projection_units),
            name="projection_kernel",
            initializer=self.projection_initializer,
        )

    def add_weight(
        self, shape: Any = None, *args: Any, name: str | None = None, **rest: Any
    ) -> Any:
        """Make a weight; the recurrent kernel, of Keras's shape, gets the rows of the output."""
        if name == "recurrent_kernel":
            shape = (self.projection_units, *shape[1:])
        return super().add_weight(shape, *args, name=name, **rest)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """Return the output and the states ``[h, c]`` after a step."""
        m, (_, c) = super().call(inputs, states, training=training)
        h = keras.ops.matmul(m, self.projection_kernel)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        initializer = keras.initializers.serialize(self.projection_initializer)
        own = {"projection_units": self.projection_units, "projection_initializer": initializer}
        return {**super().get_config(), **own}


class CellChoice(keras.layers.RNN):  # type: ignore[misc]
    """Stands between Keras's LSTM and RNN, where the cell that the one made goes to the other."""

    def __init__(
        self,
        cell: Any,
        *args: Any,
        projection_units: int | None = None,
        projection_initializer: Any = "glorot_uniform",
        **options: Any,
    ) -> None:
        if projection_units is not None:
            cell = ProjectedLSTMCell(
                projection_units=projection_units,
                projection_initializer=projection_initializer,
                implementation=cell.implementation,
                **cell.get_config(),
            )
        super().__init__(cell, *args, **options)
        self.projection_units = projection_units

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; those of a projection where there is one."""
        if self.projection_units is None:
            return super().get_config()
        own = self.cell.get_config()
        names = ("projection_units", "projection_initializer")
        return {**super().get_config(), **{name: own[name] for name in names}}


def without_cudnn(layer: Any) -> bool:
    """Return what ``use_cudnn`` must be of an LSTM that projects: Keras would mistake its weights.

    Raises
    ------
    UsageError
        If the layer was told to use cuDNN, or to normalise.
    """
    if layer.use_layer_norm:
        raise UsageError(
            f"layer `{layer.name}` has projection_units, which a layer with use_layer_norm cannot "
            "have",
            hint="leave out one of them",
        )
    if layer.use_cudnn is True:
        raise UsageError(
            f"layer `{layer.name}` has projection_units, which Keras cannot hand to cuDNN",
            hint="leave out use_cudnn=True",
        )
    return False
