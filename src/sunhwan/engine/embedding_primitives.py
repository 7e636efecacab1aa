"""The embedding kernels as JAX primitives: two linear maps, each the transpose of the other.

``lookup``  (table, ids) -> rows         ``scatter``  (rows, ids) -> table, summed over equal ids
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from sunhwan.engine import native
from sunhwan.engine.sharding import new_primitive, same_variance, shard_over_batch

Array = jax.Array
_BATCH_AXIS = {"ids": 0, "rows": 0}


def lookup(table: Array, ids: Array, steps: int) -> Array:
    """Return ``table[ids]``, ``float32[N, D]``; ``steps`` ids make a row in messages."""
    alike = same_variance({"table": table, "ids": ids})
    rows: Array = lookup_p.bind(*alike.values(), size=table.shape[0], steps=steps)
    return rows


def _lookup_kernel(ids: Array, table: Array, *, names: Any, options: Any, results: Any) -> Any:
    native.module()
    out = jax.ShapeDtypeStruct((ids.shape[0], table.shape[1]), jnp.float32)
    call = jax.ffi.ffi_call("sunhwan_embedding_lookup", out)
    return [call(table, ids, steps=np.int64(options[1]))]


def _scatter_kernel(ids: Array, rows: Array, *, names: Any, options: Any, results: Any) -> Any:
    native.module()
    out = jax.ShapeDtypeStruct((options[0], rows.shape[1]), jnp.float32)
    return [jax.ffi.ffi_call("sunhwan_embedding_gradient", out)(ids, rows)]


_lookup_sharded = shard_over_batch(_lookup_kernel, _BATCH_AXIS)
_scatter_sharded = shard_over_batch(_scatter_kernel, _BATCH_AXIS)


def _run_lookup(table: Array, ids: Array, *, size: int, steps: int) -> Any:
    names, options = ("ids", "table"), (size, steps)
    return _lookup_sharded(ids, table, names=names, options=options, results=("rows",))[0]


def _run_scatter(rows: Array, ids: Array, *, size: int, steps: int) -> Any:
    names, options = ("ids", "rows"), (size, steps)
    return _scatter_sharded(ids, rows, names=names, options=options, results=("table",))[0]


def _abstract(shape: Any) -> Any:
    return lambda a, ids, **params: a.update(shape=shape(a, ids, **params), weak_type=False)


lookup_p = new_primitive(
    "embedding_lookup",
    _run_lookup,
    _abstract(lambda a, ids, size, steps: (ids.shape[0], a.shape[1])),
    False,
)
scatter_p = new_primitive(
    "embedding_scatter",
    _run_scatter,
    _abstract(lambda a, ids, size, steps: (size, a.shape[1])),
    False,
)


def _linear_jvp(primitive: Primitive) -> Any:
    def rule(primals: Any, tangents: Any, **params: Any) -> Any:
        (a, ids), (moved, _) = primals, tangents
        out = primitive.bind(a, ids, **params)
        if isinstance(moved, ad.Zero):
            return out, ad.Zero(jax.typeof(out).to_tangent_aval())
        return out, primitive.bind(moved, ids, **params)

    return rule


def _transposed_to(other: Any) -> Any:
    def rule(cotangent: Any, a: Any, ids: Any, **params: Any) -> Any:
        if isinstance(cotangent, ad.Zero):
            return [ad.Zero(a.aval), None]
        return [other().bind(cotangent, ids, **params), None]

    return rule


def _lookup_batch(args: Any, dims: Any, **params: Any) -> Any:
    (table, ids), (table_dim, ids_dim) = args, dims
    if table_dim is not None:
        return _batch_by_map(lookup_p, args, dims, params)
    many = jnp.moveaxis(ids, ids_dim, 0)
    rows = lookup_p.bind(table, many.reshape(-1), **params)
    return rows.reshape(*many.shape, table.shape[1]), 0


def _batch_by_map(primitive: Primitive, args: Any, dims: Any, params: Any) -> Any:
    size = next(a.shape[d] for a, d in zip(args, dims, strict=True) if d is not None)
    moved = [
        jnp.broadcast_to(a, (size, *a.shape)) if d is None else jnp.moveaxis(a, d, 0)
        for a, d in zip(args, dims, strict=True)
    ]
    return jax.lax.map(lambda pair: primitive.bind(*pair, **params), tuple(moved)), 0


ad.primitive_jvps[lookup_p] = _linear_jvp(lookup_p)
ad.primitive_jvps[scatter_p] = _linear_jvp(scatter_p)
ad.primitive_transposes[lookup_p] = _transposed_to(lambda: scatter_p)
ad.primitive_transposes[scatter_p] = _transposed_to(lambda: lookup_p)
batching.primitive_batchers[lookup_p] = _lookup_batch
batching.primitive_batchers[scatter_p] = lambda args, dims, **params: _batch_by_map(
    scatter_p, args, dims, params
)
