"""The kernels as JAX primitives: what to compute, how to differentiate, batch, shard and lower it.

Three primitives, so that every transformation has the answer that fits it:

``forward``   outputs and last states, by the kernel; on request also the state checkpoints.
``tangent``   its directional derivative, in plain JAX; linear in the tangents, and its transpose is
``backward``  the gradients, by the kernel; its own derivative is again plain JAX.

Reverse mode (``jax.grad``) therefore runs kernels only, while forward mode and second derivatives
work too, at the speed of plain JAX. A custom_vjp could not offer those.

Operands travel in a fixed order under their names; a call lists the names it has, so that nothing
absent is ever passed. One call may hold several runs that share the input and ``mask``, the two
directions of a Bidirectional layer; what belongs to run 1 bears names such as ``kernel.1``.

The input is ``x``, or rows of ``table`` by ``ids``: then neither x nor its
gradient is ever written.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching

from sunhwan.engine import native, plain
from sunhwan.engine.cell import ACTIVATIONS, GATES, Cell
from sunhwan.engine.sharding import new_primitive, shard_over_batch

Array = jax.Array
Named = dict[str, Any]
#: what all runs of a call share
_SHARED = ("x", "table", "ids", "mask", "reset")
_WEIGHTS = ("kernel", "recurrent", "bias", "peephole", "projection", "norm", "norm_cell")
#: what one run has, and what of it has no derivative
_CHOICES = ("input_scale", "state_scale", "noise")
_DISCRETE = ("ids", "mask", "reset", *_CHOICES)
#: what `forward` and `backward` both begin with
_GIVEN = (*_SHARED, *_WEIGHTS, *_CHOICES)
_INPUTS = (*_GIVEN, "h0", "c0")
#: what all rows of the batch read alike
_ALIKE = (*_WEIGHTS, "table")
_RESULTS = ("y", "h", "c", "checkpoints", "record", "c_sequence")
#: results of `forward` that only `backward` reads: states to start again from, and a token for
#: gates that the engine may still hold (csrc/records.h)
_RESIDUALS = ("checkpoints", "record")
_GRADIENTS = ("x", "table", *_WEIGHTS, "h0", "c0")
#: derivatives that come back to results of `forward`
_UPSTREAM = ("dy", "dh", "dc", "dc_sequence")
_BACKWARD_INPUTS = (*_GIVEN, *_RESIDUALS, *_UPSTREAM)
#: all that a run has for itself
_OWN = (*_WEIGHTS, *_CHOICES, "h0", "c0", *_RESIDUALS, *_UPSTREAM)
#: which axis of each tensor is the batch
BATCH_AXIS = {
    **dict.fromkeys(("x", "ids", "mask", "reset", *_CHOICES, "h0", "c0", "y", "h", "c"), 0),
    **dict.fromkeys(("c_sequence", "record", *_UPSTREAM), 0),
    "checkpoints": 2,
}


@dataclass(frozen=True)
class Options:
    """What a call is, apart from its arrays: hashable, one compiled program each."""

    cell: Cell
    backwards: tuple[bool, ...]  # one for each run
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
            "zero_output": self.zero_output,
            "backwards": np.int64(sum(1 << run for run, back in enumerate(self.backwards) if back)),
            "zoneout_h": np.float64(self.cell.zoneout_h),
            "zoneout_c": np.float64(self.cell.zoneout_c),
            "norm_epsilon": np.float64(self.cell.norm_epsilon),
            "bfloat16": self.cell.products == "bfloat16",
        }


def run_name(name: str, run: int) -> str:
    """Return the name under which run ``run`` knows a tensor of its own."""
    return name if run == 0 else f"{name}.{run}"


def _base(name: str) -> str:
    return name.partition(".")[0]


def _of_run(named: Named, run: int) -> Named:
    """Return what a run is given, under the plain names."""
    own = {name: named[run_name(name, run)] for name in _OWN if run_name(name, run) in named}
    return {name: named[name] for name in _SHARED if name in named} | own


def forward_names(options: Options, wanted: Collection[str]) -> tuple[str, ...]:
    """Return the names of `forward`'s results: the last states, and of each run what is wanted."""
    all_wanted = {*wanted, *("h", "c")[: options.cell.states]}
    return tuple(
        run_name(name, run)
        for run in range(len(options.backwards))
        for name in _RESULTS
        if name in all_wanted
    )


def _shape(name: str, options: Options, operands: Named) -> tuple[int, ...]:
    b, t = (operands["ids"] if "ids" in operands else operands["x"]).shape[:2]
    outputs = operands["recurrent"].shape[0]
    units = operands["kernel"].shape[1] // len(options.cell.gates)
    return {
        "y": (b, t, outputs),
        "c_sequence": (b, t, units),
        "h": (b, outputs),
        "c": (b, units),
        "checkpoints": (-(-t // options.segment), options.cell.states, b, units),
        "record": (b, 2),
    }[_base(name)]


def _call(target: str, options: Options, operands: Sequence[Any], results: Sequence[Any]) -> Any:
    """Call a handler; None stands for an operand or result that this call does without."""
    nothing = jax.ShapeDtypeStruct((0,), jnp.float32)
    native.module()
    call = jax.ffi.ffi_call(target, [nothing if r is None else r for r in results])
    given = [jnp.zeros((0,), jnp.float32) if o is None else o for o in operands]
    got = call(*given, **options.attributes())
    return [None if r is None else g for g, r in zip(got, results, strict=True)]


def _dtype(name: str) -> Any:
    return jnp.dtype(jnp.uint32 if _base(name) == "record" else jnp.float32)


def _struct(shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def _forward_kernel(
    *operands: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    named = dict(zip(names, operands, strict=True))
    given, wanted, order = [], [], []
    for run in range(len(options.backwards)):
        mine = _of_run(named, run)
        given += [mine.get(name) for name in _INPUTS]
        order += [run_name(name, run) for name in _RESULTS]
    for name in order:
        struct = _struct(_shape(name, options, named), _dtype(name))
        wanted.append(struct if name in results else None)
    got = dict(zip(order, _call("sunhwan_forward", options, given, wanted), strict=True))
    return [got[name] for name in results]


def _backward_kernel(
    *operands: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    named = dict(zip(names, operands, strict=True))
    given, wanted, order = [], [], []
    for run in range(len(options.backwards)):
        mine = _of_run(named, run)
        given += [mine.get(name) for name in _BACKWARD_INPUTS]
        for name in _GRADIENTS:
            full = run_name(name, run)
            order.append(full)
            is_wanted = (name if name in _SHARED else full) in results
            wanted.append(_struct(mine[name].shape) if is_wanted else None)
    got = dict(zip(order, _call("sunhwan_backward", options, given, wanted), strict=True))
    for name in ("x", "table"):  # shared by the runs
        if name in results:
            got[name] = sum(got[run_name(name, run)] for run in range(len(options.backwards)))
    return [got[name] for name in results]


def _plain_forward(named: Named, options: Options) -> Named:
    out: Named = {}
    if "ids" in named:
        named = {**named, "x": jnp.take(named["table"], named["ids"], axis=0)}
    for run, back in enumerate(options.backwards):
        mine = _of_run(named, run)
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
    cotangents = {n[1:]: named[n] for n in names if _base(n) in _UPSTREAM}

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
        like.update(shape=_shape(name, options, named), dtype=_dtype(name), weak_type=False)
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
    "forward", shard_over_batch(_forward_kernel, BATCH_AXIS), _forward_abstract, True
)
tangent_p = new_primitive("tangent", _plain_tangent, _tangent_abstract, True)
# A gradient has the shape and the batch axis of what it belongs to, and bears its name.
backward_p = new_primitive(
    "backward", shard_over_batch(_backward_kernel, BATCH_AXIS), _backward_abstract, True
)


def _forward_jvp(
    primals: Any, tangents: Any, *, names: tuple[str, ...], options: Options, results: Any
) -> Any:
    with_checkpoints = forward_names(options, {*map(_base, results), *_RESIDUALS})
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
        if _base(name) not in _DISCRETE and not isinstance(tangent, ad.Zero)
    )
    given = dict(zip(names, tangents, strict=True))
    differentiable = tuple(name for name in results if _base(name) not in _RESIDUALS)
    residuals = tuple(name for name in with_checkpoints if _base(name) in _RESIDUALS)
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
    if any(dim is not None and _base(name) in _ALIKE for name, dim in by_name.items()):
        return _one_after_the_other(forward_p, args, dims, params)
    n = next(a.shape[d] for a, d in zip(args, dims, strict=True) if d is not None)

    def fold(name: str, value: Array, dim: int | None) -> Array:
        if _base(name) in _ALIKE:
            return value
        spread = (
            jnp.broadcast_to(value, (n, *value.shape))
            if dim is None
            else jnp.moveaxis(value, dim, 0)
        )
        return spread.reshape(n * spread.shape[1], *spread.shape[2:])

    out = forward_p.bind(*(fold(*item) for item in zip(names, args, dims, strict=True)), **params)
    axes = [BATCH_AXIS[_base(name)] for name in results]
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
