"""Running a kernel on each device's own part of the batch.

Without this, XLA would gather the whole batch onto every device before a custom call. Gradients of
what all rows share (weights) are summed over the devices.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax._src.dispatch import prim_requires_devices_during_lowering
from jax.experimental.custom_partitioning import custom_partitioning
from jax.extend.core import Primitive
from jax.interpreters import mlir
from jax.sharding import NamedSharding, PartitionSpec

_STATIC = ("names", "options", "results")


def shard_over_batch(run: Callable[..., Any], batch_axis: Mapping[str, int]) -> Callable[..., Any]:
    """Return ``run`` made to keep a sharded batch where it is.

    Parameters
    ----------
    run
        ``run(*operands, names, options, results) -> list of results``.
    batch_axis
        Which axis of a tensor is the batch, by its name; a name that is missing has none.
    """

    @functools.cache
    def partitioned(names: tuple[str, ...], options: Any, results: tuple[str, ...]) -> Any:
        params = {"names": names, "options": options, "results": results}

        def call(*operands: Any) -> Any:
            return tuple(run(*operands, **params))

        # custom_partitioning reads the signature, and knows no *operands.
        fixed = _with_positions(call, len(names))
        wrapped = custom_partitioning(fixed)
        wrapped.def_partition(
            partition=functools.partial(_partition, call, names, results, batch_axis),
            infer_sharding_from_operands=functools.partial(
                _result_shardings, names, results, batch_axis
            ),
            sharding_rule=functools.partial(_rule, names, results, batch_axis),
        )
        return wrapped

    def sharded(*operands: Any, **params: Any) -> Any:
        return partitioned(*(params[key] for key in _STATIC))(*operands)

    return sharded


def new_primitive(
    name: str, run: Callable[..., Any], abstract: Callable[..., Any], multiple_results: bool
) -> Primitive:
    """Return a primitive that is lowered by tracing ``run``, in which a sharded kernel may stand.

    Outside of `jax.jit` it is compiled once for each set of parameters. ``abstract`` gives the
    shape of its result, or of each of them.
    """
    primitive = Primitive(f"sunhwan_{name}")
    primitive.multiple_results = multiple_results
    primitive.def_abstract_eval(abstract)

    @functools.cache
    def compiled(**params: Any) -> Any:
        return jax.jit(functools.partial(primitive.bind, **params))

    primitive.def_impl(lambda *operands, **params: compiled(**params)(*operands))
    mlir.register_lowering(primitive, mlir.lower_fun(run, primitive.multiple_results))
    # custom_partitioning looks for the devices, which JAX passes down only to primitives on this
    # list; it is on it itself, but stands inside ours. JAX offers no public way to say so.
    prim_requires_devices_during_lowering.add(primitive)
    return primitive


def same_variance(operands: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Return the operands all marked as varying over the same mesh axes, for shard_map.

    What is the same on all devices (weights) becomes formally different on each; the transpose of
    that step is the sum over devices that their gradients need.
    """
    varying = {name: jax.typeof(value).mat.varying for name, value in operands.items()}
    union = frozenset().union(*varying.values())
    return {
        name: jax.lax.pcast(value, tuple(union - varying[name]), to="varying")
        if union - varying[name]
        else value
        for name, value in operands.items()
    }


def _with_positions(call: Callable[..., Any], count: int) -> Callable[..., Any]:
    def fixed(*operands: Any) -> Any:
        return call(*operands)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(f"operand{i}", kind) for i in range(count)]
    fixed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return fixed


def _batch_axis_of(name: str, batch_axis: Mapping[str, int]) -> int | None:
    return batch_axis.get(name.partition(".")[0])  # `kernel.1` is the kernel of the second run


def _spec(name: str, rank: int, batch_axis: Mapping[str, int], axes: Any) -> PartitionSpec:
    axis = _batch_axis_of(name, batch_axis)
    return PartitionSpec(*(axes if i == axis else None for i in range(rank)))


def _batch_axes(names: tuple[str, ...], batch_axis: Mapping[str, int], operands: Any) -> Any:
    """Return the mesh axes over which the batch is spread, or None: as it is in the input."""
    first = next(i for i, name in enumerate(names) if _batch_axis_of(name, batch_axis) == 0)
    spec = operands[first].sharding.spec
    return spec[0] if len(spec) > 0 else None


def _result_shardings(
    names: tuple[str, ...],
    results: tuple[str, ...],
    batch_axis: Mapping[str, int],
    mesh: Any,
    operands: Any,
    shapes: Any,
) -> Any:
    axes = _batch_axes(names, batch_axis, operands)
    return tuple(
        NamedSharding(mesh, _spec(name, len(shape.shape), batch_axis, axes))
        for name, shape in zip(results, shapes, strict=True)
    )


def _partition(
    call: Callable[..., Any],
    names: tuple[str, ...],
    results: tuple[str, ...],
    batch_axis: Mapping[str, int],
    mesh: Any,
    operands: Any,
    shapes: Any,
) -> Any:
    axes = _batch_axes(names, batch_axis, operands)
    takes = tuple(
        NamedSharding(mesh, _spec(name, len(operand.shape), batch_axis, axes))
        for name, operand in zip(names, operands, strict=True)
    )
    gives = _result_shardings(names, results, batch_axis, mesh, operands, shapes)

    def lower(*parts: Any) -> Any:
        out = call(*parts)
        if axes is None:
            return out
        return tuple(
            jax.lax.psum(o, axes) if _batch_axis_of(name, batch_axis) is None else o
            for name, o in zip(results, out, strict=True)
        )

    return mesh, lower, gives, takes


def _rule(
    names: tuple[str, ...],
    results: tuple[str, ...],
    batch_axis: Mapping[str, int],
    mesh: Any,
    operand_types: Any,
    result_types: Any,
) -> Any:
    """Return Shardy's rule: the batch is one factor, every other axis is its own and whole."""
    whole: list[str] = []

    def axes_of(name: str, rank: int) -> str:
        letters = []
        for i in range(rank):
            if _batch_axis_of(name, batch_axis) == i:
                letters.append("b")
            else:
                whole.append(f"w{len(whole)}")
                letters.append(whole[-1])
        return " ".join(letters)

    def side(side_names: tuple[str, ...], types: Any) -> str:
        return ", ".join(axes_of(n, len(t.shape)) for n, t in zip(side_names, types, strict=True))

    rule = f"{side(names, operand_types)} -> {side(results, result_types)}"
    return rule, {"need_replication_factors": tuple(whole)}
