"""Rows of a table by id: by kernel where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from sunhwan.engine import native
from sunhwan.errors import ShapeError

Array = jax.Array


@dataclass(frozen=True)
class Lookup:
    """``table[ids]``, not looked up yet: an input that `sunhwan.engine.rnn` reads where it lies.

    Parameters
    ----------
    table
        ``float[V, D]``.
    ids
        Integers ``[B, T]`` in ``0 .. V-1``.

    Examples
    --------
    >>> Lookup(jnp.zeros((10, 4)), jnp.zeros((2, 5), int)).shape
    (2, 5, 4)
    """

    table: Any
    ids: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the rows."""
        return (*jnp.shape(self.ids), jnp.shape(self.table)[-1])

    def rows(self) -> Array:
        """The rows themselves, ``float[B, T, D]``."""
        return embedding_lookup(self.table, self.ids)


def embedding_lookup(table: Any, ids: Any) -> Array:
    """Return ``table[ids]``.

    Parameters
    ----------
    table
        ``float[V, D]``.
    ids
        Integers of any shape ``[B, ...]`` in ``0 .. V-1``.

    Returns
    -------
    float[B, ..., D]
        Gradients flow to the table: a sum for each row, in order of appearance.

    Raises
    ------
    ShapeError
        If the table is not a matrix or the ids are not integers.
    jax.errors.JaxRuntimeError
        When it runs, if an id is outside the table; names the id, its row and its step.

    Examples
    --------
    >>> embedding_lookup(jnp.eye(3), jnp.array([[2, 0]])).tolist()
    [[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]]
    """
    table, ids = check_table(table, ids)
    flat = ids.reshape(-1)
    steps = ids.shape[-1] if ids.ndim > 1 else 1
    if native.why_plain(table.dtype):
        rows = _plain_lookup(table, flat, steps)
    else:
        from sunhwan.engine.embedding_primitives import lookup

        rows = lookup(table, flat, steps)
    return rows.reshape(*ids.shape, table.shape[1])


def check_table(table: Any, ids: Any) -> tuple[Array, Array]:
    """Return both as arrays, the ids int32.

    Raises
    ------
    ShapeError
        If the table is not a matrix or the ids are not integers.
    """
    table, ids = jnp.asarray(table), jnp.asarray(ids)
    if table.ndim != 2 or 0 in table.shape:
        raise ShapeError(f"`table` must have shape (V, D) with both >= 1, received {table.shape}")
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise ShapeError(f"`ids` must be integers, received {ids.dtype.name}")
    return table, ids.astype(jnp.int32)


def _plain_lookup(table: Array, ids: Array, steps: int) -> Array:
    size = table.shape[0]
    if ids.size:
        wrong = (ids < 0) | (ids >= size)
        jax.lax.cond(
            wrong.any(),
            lambda: jax.debug.callback(_report, ids, jnp.argmax(wrong), size, steps),
            lambda: None,
        )
    return jnp.take(table, ids, axis=0)


def _report(ids: Any, position: Any, size: int, steps: int) -> None:
    if 0 <= int(ids[position]) < int(size):
        return  # under vmap both branches run
    row, step = divmod(int(position), int(steps))
    raise ShapeError(
        f"embedding id {int(ids[position])} in row {row}, step {step} of the batch is outside the "
        f"table, whose ids are 0 to {int(size) - 1}"
    )
