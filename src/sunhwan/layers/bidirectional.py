"""Bidirectional: Keras's wrapper, with both directions in one call of the engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras

from sunhwan.errors import UsageError
from sunhwan.layers import paths, state_sequences, variants
from sunhwan.layers.loop import PAIRS, Pair, engine_cell
from sunhwan.layers.recurrent import FusedLoop


@keras.saving.register_keras_serializable(package="sunhwan")
class Bidirectional(keras.layers.Bidirectional):
    """`keras.layers.Bidirectional` around a layer of ours.

    Both directions read the input where it lies, nothing is reversed or copied for the backward
    one, and where both have the same cell and size they run side by side, sharing the threads.
    Arguments and weights are those of the Keras layer.

    Examples
    --------
    >>> import numpy as np
    >>> from sunhwan.layers import GRU
    >>> Bidirectional(GRU(4))(np.ones((2, 5, 3))).shape
    (2, 8)
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        both = (self.forward_layer, self.backward_layer)
        state_sequences.refuse_in_bidirectional(self, both)

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = None,
        reset: Any = None,
    ) -> Any:
        """Return the merged outputs; arguments as of the Keras layer.

        Raises
        ------
        UsageError
            For a ``reset``: where an episode begins for one direction it ends for the other.
        """
        if reset is not None:
            raise UsageError(
                f"layer `{self.name}` is Bidirectional, which takes no `reset`: where an episode "
                "begins for one direction it ends for the other",
                hint="call two layers, one with go_backwards=True, each with resets of its own",
            )
        for layer in (self.forward_layer, self.backward_layer):
            if isinstance(layer, FusedLoop) and not paths.of_layer(layer).is_in_engine:
                # Keras may take cuDNN here without asking the layers
                variants.require_engine(layer, paths.of_layer(layer))
        with self._side_by_side(initial_state, bool(training)):
            return super().call(
                sequences, initial_state=initial_state, mask=mask, training=training
            )

    def _can_attempt_fused_lstm(self, mask: Any, initial_state: Any = None) -> bool:
        # Keras 3.15 asks here whether cuDNN may run both; of our layers' variants it knows nothing
        ours = [x for x in (self.forward_layer, self.backward_layer) if isinstance(x, FusedLoop)]
        if any(paths.of_layer(layer).kernel == paths.PLAIN_JAX for layer in ours):
            return False
        return bool(super()._can_attempt_fused_lstm(mask, initial_state))

    @contextlib.contextmanager
    def _side_by_side(self, initial_state: Any, training: bool) -> Iterator[None]:
        both = (self.forward_layer, self.backward_layer)
        if not _are_alike(both, training):
            yield
            return
        start = None if initial_state is None else initial_state[len(initial_state) // 2 :]
        pair = Pair(self.backward_layer, start)
        before = PAIRS.set({**PAIRS.get(), **dict.fromkeys(map(id, both), pair)})
        try:
            yield
        finally:
            PAIRS.reset(before)


def _are_alike(both: tuple[Any, Any], training: bool) -> bool:
    """Return True if one call of the engine can hold both layers."""
    if not all(isinstance(layer, FusedLoop) for layer in both):
        return False
    if not all(paths.of_layer(layer).is_fused for layer in both):
        return False
    if training and any(variants.drops_outside(layer.cell) for layer in both):
        return False  # each drops inputs of its own
    one, other = (
        (
            engine_cell(layer),
            list(layer.state_size),
            layer.compute_dtype,
            layer.zero_output_for_mask,
        )
        for layer in both
    )
    return one == other
