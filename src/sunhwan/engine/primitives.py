"""The kernels as JAX primitives: what to compute, how to differentiate, batch, shard and lower it.

Three primitives, so that every transformation has the answer that fits it:

``forward``   outputs and last states, by the kernel; on request also the state checkpoints.
``tangent``   its directional derivative, in plain JAX; linear in the tangents, and its transpose is
``backward``  the gradients, by the kernel; its own derivative is again plain JAX.

Reverse mode (``jax.grad``) therefore runs kernels only, while forward mode and second derivatives
work too, at the speed of plain JAX. A custom_vjp could not offer those.

Operands travel in a fixed order under their names; a call lists the names it has, so that nothing
absent is ever passed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from sunhwan.engine import native, plain
from sunhwan.engine.cell import ACTIVATIONS, GATES, Cell
from sunhwan.engine.sharding import lower_sharded, shard_over_batch

Array = jax.Array
Named = dict[str, Any]
_INPUTS = ("x", "mask", "kernel", "recurrent", "bias", "h0", "c0")
_WEIGHTS = ("kernel", "recurrent", "bias")
_RESULTS = ("y", "h", "c", "checkpoints", "record")
#: results of `forward` that only `backward` reads: states to start again from, and a token for gates
#: that the engine may still hold (csrc/records.h)
_RESIDUALS = ("checkpoints", "record")
#: which axis of each tensor is the batch
BATCH_AXIS = {
    **dict.fromkeys(("x", "mask", "h0", "c0", "y", "h", "c", "record", "dy", "dh", "dc"), 0),
    "checkpoints": 2,
}


@dataclass(frozen=True)
class Options:
    """What a call is, apart from its arrays: hashable, one compiled program each."""

    cell: Cell
    go_backwards: bool
    zero_output: bool
    segment: int

    def attributes(self) -> dict[str, Any]:
        """Return the attributes that the handlers take."""
        return {
            "kind": np.int64(list(GATES).index(self.cell.kind)),
            "activation": np.int64(ACTIVATIONS.index(self.cell.activation)),
            "recurrent_activation": np.int64(ACTIVATIONS.index(self.cell.recurrent_activation)),
            "segment": np.int64(self.segment),
            "reset_after": self.cell.reset_after,
            "go_backwards": self.go_backwards,
            "zero_output": self.zero_output,
        }


def forward_names(options: Options, want_y: bool, want_checkpoints: bool) -> tuple[str, ...]:
    """Return the names of `forward`'s results."""
    wanted = (want_y, True, options.cell.states == 2, want_checkpoints, want_checkpoints)
    return tuple(name for name, is_wanted in zip(_RESULTS, wanted, strict=True) if is_wanted)


def _shape(name: str, options: Options, operands: Named) -> tuple[int, ...]:
    b, t, _ = operands["x"].shape
    units = operands["recurrent"].shape[0]
    if name == "y":
        return (b, t, units)
    if name == "checkpoints":
        return (-(-t // options.segment), options.cell.states, b, units)
    return (b, 2) if name == "record" else (b, units)


def _call(target: str, options: Options, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Call a handler; None stands for an operand or result that this call does without."""
    nothing = jax.ShapeDtypeStruct((0,), jnp.float32)
    native.module()
    call = jax.ffi.ffi_call(target, [nothing if r is None else r for r in results])
    given = [jnp.zeros((0,), jnp.float32) if o is None else o for o in operands]
    got = call(*given, **options.attributes())
    return [g for g, r in zip(got, results, strict=True) if r is not None]


def _dtype(name: str) -> Any:
    return jnp.dtype(jnp.uint32 if name == "record" else jnp.float32)


def _struct(shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def _forward_kernel(
    *operands: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    named = dict(zip(names, operands, strict=True))
    wanted = [
        _struct(_shape(name, options, named), _dtype(name)) if name in results else None
        for name in _RESULTS
    ]
    return _call("sunhwan_forward", options, [named.get(n) for n in _INPUTS], wanted)


def _backward_kernel(
    *operands: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    named = dict(zip(names, operands, strict=True))
    given = ("x", "mask", "kernel", "recurrent", "bias", *_RESIDUALS, "dy", "dh", "dc")
    wanted = [
        _struct(named[name].shape) if name in results else None
        for name in ("x", "kernel", "recurrent", "bias", "h0", "c0")
    ]
    return _call("sunhwan_backward", options, [named.get(n) for n in given], wanted)


def _plain_forward(named: Named, options: Options) -> Named:
    states = tuple(named[n] for n in ("h0", "c0") if n in named)
    y, last = plain.rnn(
        options.cell,
        named["x"],
        named["kernel"],
        named["recurrent"],
        named.get("bias"),
        states,
        named.get("mask"),
        go_backwards=options.go_backwards,
        zero_output=options.zero_output,
    )
    return {"y": y, **dict(zip(("h", "c"), last, strict=False))}


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
    cotangents = {n[1:]: named[n] for n in ("dy", "dh", "dc") if n in named}

    def run(part: Named) -> Named:
        out = _plain_forward({**named, **part}, options)
        return {name: out[name] for name in cotangents}

    gradients = jax.vjp(run, {n: named[n] for n in results})[1](cotangents)[0]
    return [gradients[name] for name in results]


def _primitive(name: str, run: Any, abstract: Any) -> Primitive:
    """Return a primitive with several results that is lowered by tracing ``run``."""
    primitive = Primitive(f"sunhwan_{name}")
    primitive.multiple_results = True
    primitive.def_abstract_eval(abstract)

    @functools.cache
    def compiled(**params: Any) -> Any:
        return jax.jit(functools.partial(primitive.bind, **params))

    primitive.def_impl(lambda *operands, **params: compiled(**params)(*operands))
    lower_sharded(primitive, run)
    return primitive


def _forward_abstract(
    *avals: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    named = dict(zip(names, avals, strict=True))
    x = named["x"]
    return [
        x.update(shape=_shape(name, options, named), dtype=_dtype(name), weak_type=False)
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


forward_p = _primitive("forward", shard_over_batch(_forward_kernel, BATCH_AXIS), _forward_abstract)
tangent_p = _primitive("tangent", _plain_tangent, _tangent_abstract)
# A gradient has the shape and the batch axis of what it belongs to, and bears its name.
backward_p = _primitive(
    "backward", shard_over_batch(_backward_kernel, BATCH_AXIS), _backward_abstract
)


def _forward_jvp(
    primals: Any, tangents: Any, *, names: tuple[str, ...], options: Options, results: Any
) -> Any:
    with_checkpoints = forward_names(options, "y" in results, True)
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
        if name != "mask" and not isinstance(tangent, ad.Zero)
    )
    given = dict(zip(names, tangents, strict=True))
    differentiable = tuple(name for name in results if name not in _RESIDUALS)
    moved = tangent_p.bind(
        *primals,
        *(found[name] for name in _RESIDUALS),
        *(given[name] for name in wrt),
        names=(*names, *_RESIDUALS),
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
    if any(by_name.get(name) is not None for name in _WEIGHTS):
        return _one_after_the_other(forward_p, args, dims, params)
    n = next(a.shape[d] for a, d in zip(args, dims, strict=True) if d is not None)

    def fold(name: str, value: Array, dim: int | None) -> Array:
        if name in _WEIGHTS:
            return value
        spread = (
            jnp.broadcast_to(value, (n, *value.shape))
            if dim is None
            else jnp.moveaxis(value, dim, 0)
        )
        return spread.reshape(n * spread.shape[1], *spread.shape[2:])

    out = forward_p.bind(*(fold(*item) for item in zip(names, args, dims, strict=True)), **params)
    axes = [BATCH_AXIS[name] for name in results]
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
