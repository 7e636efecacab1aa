"""States that go on from batch to batch, for texts too long to be read at once."""

from __future__ import annotations

from typing import Any

import keras

from sunhwan.errors import UsageError


@keras.saving.register_keras_serializable(package="sunhwan")
class Carried(keras.layers.Layer):  # type: ignore[misc]
    """A recurrent layer that begins where the batch before ended: truncated back-propagation.

    Row b of a batch goes on row b of the one before. Gradients end at the border (Williams and Peng
    1990). Unlike ``stateful=True`` it is told in the batch itself which rows begin anew, so that a
    compiled step is a function of its arguments.

    Parameters
    ----------
    layer
        A `SimpleRNN`, `LSTM` or `GRU` with ``return_sequences`` and ``return_state``.
    weight_dropout
        Share of the recurrent kernel's weights that are 0 while training, others in each batch; the
        rest is scaled up (DropConnect: Wan et al. 2013; on recurrent weights: Merity et al. 2018,
        section 2). Unlike ``recurrent_dropout`` it costs a kernel nothing.
    seed
        Of what is dropped.

    Raises
    ------
    UsageError
        If ``layer`` gives anything but its outputs and its last states.

    Examples
    --------
    >>> import numpy as np
    >>> from sunhwan.layers import GRU
    >>> carried = Carried(GRU(3, return_sequences=True, return_state=True))
    >>> x, anew, on = np.ones((2, 4, 5), "float32"), np.zeros((2, 1)), np.ones((2, 1))
    >>> first = carried([x, anew])
    >>> bool(np.allclose(carried([x, on]), first)), bool(np.allclose(carried([x, anew]), first))
    (False, True)
    """

    def __init__(
        self,
        layer: Any,
        weight_dropout: float = 0.0,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        _check_gives_last_states(layer)
        self.layer = layer
        self.weight_dropout = weight_dropout
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, shapes: Any) -> None:
        """Make the states of a batch, whose number of rows must be known."""
        (rows, *_), _ = shapes
        if not self.layer.built:
            self.layer.build(shapes[0])
        self.states = [
            self.add_weight(
                shape=(rows, size), initializer="zeros", trainable=False, name=f"state_{number}"
            )
            for number, size in enumerate(_sizes(self.layer))
        ]

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ``float[B, T, H]``.

        Parameters
        ----------
        inputs
            ``float[B, T, D]``; and ``float[B, 1]``: 1 where a row goes on, 0 where it begins anew.
        """
        x, goes_on = inputs
        goes_on = keras.ops.cast(goes_on, self.compute_dtype)
        begin = [state * goes_on for state in self.states]
        if training and self.weight_dropout:
            steps, *last = self._with_fewer_weights(x, begin)
        else:
            steps, *last = self.layer(x, initial_state=begin, training=training)
        for state, value in zip(self.states, last, strict=True):
            state.assign(keras.ops.stop_gradient(value))
        return steps

    def _with_fewer_weights(self, x: Any, begin: list[Any]) -> Any:
        """What the layer gives with some of its recurrent weights at 0."""
        kernel = self.layer.cell.recurrent_kernel
        kept = keras.random.dropout(kernel.value, self.weight_dropout, seed=self.seed_generator)
        values = [(variable, variable.value) for variable in self.layer.variables]
        replaced = [(one, kept if one is kernel else value) for one, value in values]
        with keras.StatelessScope(state_mapping=replaced):
            return self.layer(x, initial_state=begin, training=True)

    def compute_output_shape(self, shapes: Any) -> Any:
        """Return ``(B, T, H)``."""
        return (*shapes[0][:2], _sizes(self.layer)[0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        layer = keras.saving.serialize_keras_object(self.layer)
        own = {"layer": layer, "weight_dropout": self.weight_dropout, "seed": self.seed}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Carried:
        """Return the layer of a `get_config`."""
        layer = keras.saving.deserialize_keras_object(config.pop("layer"))
        return cls(layer, **config)


def _check_gives_last_states(layer: Any) -> None:
    wanted = {"return_sequences": True, "return_state": True, "return_state_sequences": False}
    if not isinstance(layer, keras.layers.RNN):
        raise UsageError(f"`Carried` takes a SimpleRNN, LSTM or GRU, received {layer!r}")
    options = [
        f"{name}={value}"
        for name, value in wanted.items()
        if bool(getattr(layer, name, False)) is not value
    ]
    if options:
        raise UsageError(
            f"layer `{layer.name}` cannot be carried from batch to batch: `Carried` reads its "
            "outputs and last states, no less and no more",
            hint=f"make the layer with {' and '.join(options)}",
        )


def _sizes(layer: Any) -> list[int]:
    size = layer.state_size
    return [size] if isinstance(size, int) else list(size)
