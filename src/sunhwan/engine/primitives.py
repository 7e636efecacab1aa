"""The kernels as JAX primitives: what to compute, how to differentiate, batch, shard and lower it.

Three primitives, so that every transformation has the answer that fits it:

``forward``   outputs and last states, by the kernel; on request also the state checkpoints.
``tangent``   its directional derivative, in plain JAX; linear in the tangents, and its transpose is
``backward``  the gradients, by the kernel; its own derivative is again plain JAX.

Reverse mode (``jax.grad``) therefore runs kernels only, while forward mode and second derivatives
work too, at the speed of plain JAX. A custom_vjp could not offer those.

Operands bear the names of `sunhwan.engine.kernel_calls`.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from sunhwan.engine import plain
from sunhwan.engine.kernel_calls import (
    ALIKE,
    BATCH_AXIS,
    DISCRETE,
    RESIDUALS,
    UPSTREAM,
    Named,
    Options,
    backward_kernel,
    base_name,
    forward_kernel,
    forward_names,
    of_run,
    result_dtype,
    result_shape,
    run_name,
)
from sunhwan.engine.sharding import new_primitive, shard_over_batch

Array = jax.Array


def _plain_forward(named: Named, options: Options) -> Named:
    out: Named = {}
    if "ids" in named:
        named = {**named, "x": jnp.take(named["table"], named["ids"], axis=0)}
    for run, back in enumerate(options.backwards):
        mine = of_run(named, run)
        y, states = plain.rnn(
            options.cell, mine, go_backwards=back, zero_output=options.zero_output, sequences=True
        )
        # that of c, and its sequence, are asked for of an LSTM alone
        results = {"y": y, "h": states[0], "c": states[1], "c_sequence": states[-1]}
        out |= {run_name(name, run): value for name, value in results.items()}
    return out


def _plain_tangent(
    *operands: Any,
    names: tuple[str, ...],
    options: Options,
    wrt: tuple[str, ...],
    results: tuple[str, ...],
) -> Any:
    """Tangents of ``results``; the operands end with one tangent for each name of ``wrt``."""
    named = dict(zip(names, operands, strict=False))
    tangents = dict(zip(wrt, operands[len(names) :], strict=True))

    def run(part: Named) -> list[Array]:
        out = _plain_forward({**named, **part}, options)
        return [out[name] for name in results]

    return jax.jvp(run, ({n: named[n] for n in wrt},), (tangents,))[1]


def _plain_backward(
    *operands: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    named = dict(zip(names, operands, strict=True))
    cotangents = {n[1:]: named[n] for n in names if base_name(n) in UPSTREAM}

    def run(part: Named) -> Named:
        out = _plain_forward({**named, **part}, options)
        return {name: out[name] for name in cotangents}

    gradients = jax.vjp(run, {n: named[n] for n in results})[1](cotangents)[0]
    return [gradients[name] for name in results]


def _forward_abstract(
    *avals: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    named = dict(zip(names, avals, strict=True))
    like = named["kernel"]
    return [
        like.update(
            shape=result_shape(name, options, named), dtype=result_dtype(name), weak_type=False
        )
        for name in results
    ]


def _tangent_abstract(
    *avals: Any,
    names: tuple[str, ...],
    options: Options,
    wrt: tuple[str, ...],
    results: tuple[str, ...],
) -> Any:
    return _forward_abstract(*avals[: len(names)], names=names, options=options, results=results)


def _backward_abstract(
    *avals: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    named = dict(zip(names, avals, strict=True))
    return [named[name].update(weak_type=False) for name in results]


forward_p = new_primitive(
    "forward", shard_over_batch(forward_kernel, BATCH_AXIS), _forward_abstract, True
)
tangent_p = new_primitive("tangent", _plain_tangent, _tangent_abstract, True)
# A gradient has the shape and the batch axis of what it belongs to, and bears its name.
backward_p = new_primitive(
    "backward", shard_over_batch(backward_kernel, BATCH_AXIS), _backward_abstract, True
)


def _forward_jvp(
    primals: Any, tangents: Any, *, names: tuple[str, ...], options: Options, results: Any
) -> Any:
    with_checkpoints = forward_names(options, {*map(base_name, results), *RESIDUALS})
    found = dict(
        zip(
            with_checkpoints,
            forward_p.bind(*primals, names=names, options=options, results=with_checkpoints),
            strict=True,
        )
    )
    wrt = tuple(
        name
        for name, tangent in zip(names, tangents, strict=True)
        if base_name(name) not in DISCRETE and not isinstance(tangent, ad.Zero)
    )
    given = dict(zip(names, tangents, strict=True))
    differentiable = tuple(name for name in results if base_name(name) not in RESIDUALS)
    residuals = tuple(name for name in with_checkpoints if base_name(name) in RESIDUALS)
    moved = tangent_p.bind(
        *primals,
        *(found[name] for name in residuals),
        *(given[name] for name in wrt),
        names=(*names, *residuals),
        options=options,
        wrt=wrt,
        results=differentiable,
    )
    by_name = dict(zip(differentiable, moved, strict=True))
    out = [found[name] for name in results]
    # Residuals only help `backward` along; its derivative goes by the operands themselves.
    zeros = [ad.Zero(jax.typeof(o).to_tangent_aval()) for o in out]
    return out, [by_name.get(name, zero) for name, zero in zip(results, zeros, strict=True)]


def _tangent_transpose(
    cotangents: Any,
    *operands: Any,
    names: tuple[str, ...],
    options: Options,
    wrt: tuple[str, ...],
    results: tuple[str, ...],
) -> Any:
    given = {
        f"d{name}": ct
        for name, ct in zip(results, cotangents, strict=True)
        if not isinstance(ct, ad.Zero)
    }
    gradients = backward_p.bind(
        *operands[: len(names)],
        *given.values(),
        names=(*names, *given),
        options=options,
        results=wrt,
    )
    return [None] * len(names) + list(gradients)


def _plain_jvp(run: Any) -> Any:
    """Return the rule for a primitive whose derivative is that of ``run``."""

    def rule(primals: Any, tangents: Any, **params: Any) -> Any:
        moving = [i for i, t in enumerate(tangents) if not isinstance(t, ad.Zero)]

        def part(*some: Any) -> Any:
            operands = list(primals)
            for i, value in zip(moving, some, strict=True):
                operands[i] = value
            return run(*operands, **params)

        return jax.jvp(part, [primals[i] for i in moving], [tangents[i] for i in moving])

    return rule


def _one_after_the_other(primitive: Primitive, args: Any, dims: Any, params: Any) -> Any:
    """Map over the leading axis with a loop: each member runs on all threads."""
    moved = [a if d is None else jnp.moveaxis(a, d, 0) for a, d in zip(args, dims, strict=True)]
    batched = [i for i, d in enumerate(dims) if d is not None]

    def one(some: list[Array]) -> Any:
        operands = list(moved)
        for i, value in zip(batched, some, strict=True):
            operands[i] = value
        return primitive.bind(*operands, **params)

    out = jax.lax.map(one, [moved[i] for i in batched])
    return out, [0] * len(out)


def _forward_batch(args: Any, dims: Any, **params: Any) -> Any:
    """Fold the new axis into the batch where all its members share their weights."""
    names, results = params["names"], params["results"]
    by_name = dict(zip(names, dims, strict=True))
    if any(dim is not None and base_name(name) in ALIKE for name, dim in by_name.items()):
        return _one_after_the_other(forward_p, args, dims, params)
    n = next(a.shape[d] for a, d in zip(args, dims, strict=True) if d is not None)

    def fold(name: str, value: Array, dim: int | None) -> Array:
        if base_name(name) in ALIKE:
            return value
        spread = (
            jnp.broadcast_to(value, (n, *value.shape))
            if dim is None
            else jnp.moveaxis(value, dim, 0)
        )
        return spread.reshape(n * spread.shape[1], *spread.shape[2:])

    out = forward_p.bind(*(fold(*item) for item in zip(names, args, dims, strict=True)), **params)
    axes = [BATCH_AXIS[base_name(name)] for name in results]
    return [
        o.reshape(*o.shape[:axis], n, o.shape[axis] // n, *o.shape[axis + 1 :])
        for o, axis in zip(out, axes, strict=True)
    ], axes


def _plain_batch(args: Any, dims: Any, **params: Any) -> Any:
    out = jax.vmap(functools.partial(_plain_tangent, **params), in_axes=dims)(*args)
    return out, [0] * len(out)


ad.primitive_jvps[forward_p] = _forward_jvp
ad.primitive_jvps[tangent_p] = _plain_jvp(_plain_tangent)
ad.primitive_jvps[backward_p] = _plain_jvp(_plain_backward)
ad.primitive_transposes[tangent_p] = _tangent_transpose
batching.primitive_batchers[forward_p] = _forward_batch
batching.primitive_batchers[tangent_p] = _plain_batch
batching.primitive_batchers[backward_p] = lambda args, dims, **params: _one_after_the_other(
    backward_p, args, dims, params
)
