"""Word dropout: while training, whole ids of a sequence are replaced by the unknown one."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="sunhwan")
class IdDropout(keras.layers.Layer):  # type: ignore[misc]
    """Replace each id but padding by ``unknown`` with probability ``rate``, while training only.

    The network cannot lean on single words, and the vector of the unknown id becomes that of a
    word that could be any (Iyyer et al. 2015, section 3, who leave the words out). Ids go on to the
    table as ids, so that `Embedding` and the recurrent layer behind it still run as one.

    Parameters
    ----------
    rate
        Share of the ids, from 0 up to, not including, 1.
    unknown
        The id that stands for them.
    seed
        Of the draws.

    Examples
    --------
    >>> import numpy as np
    >>> ids = np.array([[5, 6, 7, 8, 0, 0]], "int32")
    >>> IdDropout(0.5, seed=3)(ids, training=True).tolist()
    [[5, 1, 7, 8, 0, 0]]
    >>> IdDropout(0.5)(ids).tolist()
    [[5, 6, 7, 8, 0, 0]]
    """

    def __init__(
        self, rate: float, unknown: int = 1, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.rate = rate
        self.unknown = unknown
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return ids of the same shape and type."""
        if not training or not self.rate:
            return inputs
        ops = keras.ops
        draws = keras.random.uniform(ops.shape(inputs), seed=self.seed_generator)
        is_dropped = ops.logical_and(draws < self.rate, ops.not_equal(inputs, 0))
        return ops.where(is_dropped, ops.cast(self.unknown, inputs.dtype), inputs)

    def compute_output_shape(self, shape: Any) -> Any:
        """Return the same shape."""
        return shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"rate": self.rate, "unknown": self.unknown, "seed": self.seed}
        return {**super().get_config(), **own}
