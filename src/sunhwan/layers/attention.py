"""Attention of a decoder's steps over the steps of an encoder."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import keras

from sunhwan.errors import ShapeError, UsageError

#: how a step of the decoder is compared with one of the encoder
KINDS = ("multiplicative", "additive")
#: additive scores are made of B * T * S * H numbers, of which so many are made at a time: few, so
#: that they stay in cache
_AT_ONCE = 1 << 20


class Attended(NamedTuple):
    """What a `StepAttention` gives."""

    vector: Any  #: ``float[B, T, H]``: context and query in one
    context: Any  #: ``float[B, T, K]``: the weighted mean of the memory
    weights: Any  #: ``float[B, T, S]``: the share of each step; 0 where it is masked


@keras.saving.register_keras_serializable(package="sunhwan")
class StepAttention(keras.layers.Layer):  # type: ignore[misc]
    """Each step h of the queries sees the mean of the memory, weighted by how well it fits h.

    With s the steps of the memory, of K features, and h those of the queries, of H:

    - ``multiplicative``: ``score(h, s) = h . (W_k s)`` (Luong et al. 2015, equation 8, "general");
    - ``additive``: ``score(h, s) = v . tanh(W_q h + W_k s)`` (Bahdanau et al. 2015, appendix
      A.1.2, with the state of the same step and not of the one before);
    - ``weights = softmax(score)`` over the steps of the memory that the mask leaves (Luong et al.,
      equation 7), ``context = sum of weights * s``;
    - ``vector = tanh(W_c [context; h])`` (Luong et al., equation 5).

    All this comes after the recurrence of the queries, so no step waits for another. A row of the
    memory without a real step has the context 0, and all gradients are finite. Additive scores come
    from ``B * T * S * H`` numbers, which are never in memory together, nor on the way back: they
    are made for a few steps of the queries at a time, 1,048,576 numbers or those of one step.

    Parameters
    ----------
    kind
        How scores are made.

    Raises
    ------
    UsageError
        There is no such kind.

    Examples
    --------
    >>> import numpy as np
    >>> layer = StepAttention("additive")
    >>> queries, memory = np.ones((2, 3, 4)), np.ones((2, 5, 6))
    >>> mask = np.arange(5) < np.array([[5], [2]])
    >>> found = layer(queries, memory, memory_mask=mask)
    >>> found.vector.shape, found.context.shape, found.weights[1, 0].tolist()
    ((2, 3, 4), (2, 3, 6), [0.5, 0.5, 0.0, 0.0, 0.0])
    """

    def __init__(
        self, kind: Literal["multiplicative", "additive"] = "multiplicative", **options: Any
    ) -> None:
        super().__init__(**options)
        if kind not in KINDS:
            raise UsageError(f"`kind` must be one of {', '.join(KINDS)}, received {kind!r}")
        self.kind = kind
        self.supports_masking = True

    def build(self, queries_shape: Any, memory_shape: Any, keys_shape: Any = None) -> None:
        """Make the weights; those of W_k only where no keys are given."""
        (*_, width), (*_, features) = queries_shape, memory_shape
        if keys_shape is None:
            self.key = self.add_weight(shape=(features, width), name="key")
        self.combine = self.add_weight(shape=(features + width, width), name="combine")
        if self.kind == "additive":
            self.query = self.add_weight(shape=(width, width), name="query")
            self.score = self.add_weight(shape=(width, 1), name="score")

    def call(
        self, queries: Any, memory: Any, memory_mask: Any = None, keys: Any = None
    ) -> Attended:
        """Return vector, context and weights; what nobody uses is not computed once compiled.

        Parameters
        ----------
        queries
            ``float[B, T, H]``.
        memory
            ``float[B, S, K]``.
        memory_mask
            ``bool[B, S]``, the steps of the memory that are real; without it Keras's mask of the
            memory, and if it has none, all are.
        keys
            ``float[B, S, H]``, the memory times a W_k of another layer, such as a ``Dense`` without
            bias. Who attends to one memory in many calls makes them once, and gives them from the
            first call on: then this layer has no W_k.

        Raises
        ------
        ShapeError
            Memory, mask or keys do not belong to each other or to the queries.
        UsageError
            Keys are missing, although the layer was built for them.
        """
        ops = keras.ops
        if keys is None:
            keys = ops.matmul(memory, self._own_key())
        _check(queries, memory, memory_mask, keys)
        if self.kind == "multiplicative":
            scores = ops.matmul(queries, ops.swapaxes(keys, 1, 2))
        else:
            scores = self._additive(ops.matmul(queries, self.query), keys)
        weights = _shares(scores, memory_mask)
        context = ops.matmul(weights, memory)
        both = ops.concatenate([context, queries], axis=-1)
        return Attended(ops.tanh(ops.matmul(both, self.combine)), context, weights)

    def _own_key(self) -> Any:
        if hasattr(self, "key"):
            return self.key
        raise UsageError(f"layer `{self.name}` was built for `keys`, received none")

    def compute_output_spec(self, queries: Any, memory: Any, **others: Any) -> Attended:
        """Return shapes and type of what `call` gives."""
        (rows, steps, width), (_, length, features) = queries.shape, memory.shape
        shapes = (rows, steps, width), (rows, steps, features), (rows, steps, length)
        return Attended(*(keras.KerasTensor(shape, self.compute_dtype) for shape in shapes))

    def _additive(self, queries: Any, keys: Any) -> Any:
        """``float[B, T, S]`` of projected queries ``[B, T, H]`` and keys ``[B, S, H]``."""
        ops = keras.ops
        (rows, steps, width), length = queries.shape, keys.shape[1]
        at_once = max(1, _AT_ONCE // max(1, rows * length * width))
        weights = ops.cast(self.score, queries.dtype)[:, 0]

        def scores(some: Any) -> Any:
            return ops.sum(ops.tanh(some[:, :, None] + keys[:, None]) * weights, axis=-1)

        if steps <= at_once:
            return scores(queries)
        parts = -(-steps // at_once)
        padded = ops.pad(queries, ((0, 0), (0, parts * at_once - steps), (0, 0)))
        padded = ops.swapaxes(ops.reshape(padded, (rows, parts, at_once, width)), 0, 1)
        # on the way back the scores of a part are made again, so that no part is kept
        found = ops.map(keras.remat(scores), padded)
        return ops.reshape(ops.swapaxes(found, 0, 1), (rows, -1, length))[:, :steps]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "kind": self.kind}


def _shares(scores: Any, mask: Any) -> Any:
    """The softmax over the last axis of what a mask leaves; zeros where it leaves nothing."""
    ops = keras.ops
    if mask is None:
        return ops.softmax(scores, axis=-1)
    live = ops.cast(mask, "bool")[:, None, :]
    highest = ops.max(ops.where(live, scores, -float("inf")), axis=-1, keepdims=True)
    highest = ops.stop_gradient(ops.where(ops.isfinite(highest), highest, 0.0))
    # neither branch of a `where` may hold what is not finite: its gradient would be NaN
    terms = ops.where(live, ops.exp(ops.where(live, scores - highest, 0.0)), 0.0)
    total = ops.sum(terms, axis=-1, keepdims=True)
    return terms / ops.where(total > 0, total, 1.0)


def _check(queries: Any, memory: Any, mask: Any, keys: Any) -> None:
    wanted = {
        "memory": (memory, (queries.shape[0], memory.shape[1], memory.shape[2])),
        "keys": (keys, (*memory.shape[:2], queries.shape[2])),
    }
    if mask is not None:
        wanted["memory_mask"] = (mask, tuple(memory.shape[:2]))
    for name, (given, shape) in wanted.items():
        if tuple(given.shape) != tuple(shape):
            raise ShapeError(
                f"`{name}` must have shape {list(shape)} for queries of shape "
                f"{list(queries.shape)} and a memory of shape {list(memory.shape)}, received "
                f"{list(given.shape)}"
            )
