"""Embedding: Keras's layer with lookup and gradient by kernel, and ids that are checked."""

from __future__ import annotations

from typing import Any

import keras

from sunhwan import engine
from sunhwan.layers import paths
from sunhwan.layers.watching import WATCH


@keras.saving.register_keras_serializable(package="sunhwan")
class Embedding(keras.layers.Embedding):
    """`keras.layers.Embedding`; an id outside the table is an error that names id, row and step.

    Arguments and weights are those of the Keras layer, where such an id gives NaN, or on the
    negative side wraps around.

    Raises
    ------
    jax.errors.JaxRuntimeError
        When the batch is computed, if an id is not in ``0 .. input_dim - 1``. JAX computes in the
        background, so with ``fit(verbose=0)`` the error may come only at the first look at a
        result: the history, a weight, the next call. No result is ever given.

    Examples
    --------
    >>> import numpy as np
    >>> layer = Embedding(10, 4, mask_zero=True)
    >>> layer(np.array([[1, 2, 0]])).shape, layer.compute_mask(np.array([[1, 2, 0]])).tolist()
    ((1, 3, 4), [[True, True, False]])
    """

    def call(self, inputs: Any) -> Any:
        """Return the rows of the table, ``[B, ..., output_dim]``."""
        if keras.backend.backend() != "jax" or self.quantization_mode is not None:
            return super().call(inputs)
        if paths.is_strict():
            paths.require_fused(self.name, paths.of_table(self))
        ids = keras.ops.convert_to_tensor(inputs, sparse=False)
        if "int" not in str(ids.dtype):
            ids = keras.ops.cast(ids, "int32")
        # within a layer of low precision Keras gives the variable's value in that
        table = keras.ops.cast(keras.ops.convert_to_tensor(self.embeddings), self.variable_dtype)
        lookup = engine.Lookup(table, ids)
        rows = keras.ops.cast(lookup.rows(), self.compute_dtype)
        if (watch := WATCH.get()) is not None:
            return watch.change_rows(self, rows)
        if paths.is_read_alike(self.variable_dtype, self.compute_dtype):
            paths.mark_lookup(rows, lookup)
        return rows

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> Any:
        """Store the table in few bits, as the Keras layer does; lookups then run in Keras's way.

        Raises
        ------
        NotImplementedError
            For a subclass, unless ``type_check`` is False.
        """
        if type_check and type(self) is not Embedding:
            raise self._not_implemented_error(self.quantize)
        # Keras asks for its own class by identity, which ours can stand in for.
        return super().quantize(mode, type_check=False, config=config)
