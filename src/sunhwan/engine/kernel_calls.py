"""A call of a kernel: the names of what it is given and gives back, and the call itself.

Operands travel in a fixed order under their names; a call lists the names it has, so that nothing
absent is ever passed. One call may hold several runs that share the input and ``mask``, the two
directions of a Bidirectional layer; what belongs to run 1 bears names such as ``kernel.1``.

The input is ``x``, or rows of ``table`` by ``ids``: then neither x nor its gradient is ever
written.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sunhwan.engine import native
from sunhwan.engine.cell import ACTIVATIONS, GATES, Cell

Named = dict[str, Any]
#: what all runs of a call share
_SHARED = ("x", "table", "ids", "mask", "reset")
_WEIGHTS = ("kernel", "recurrent", "bias", "peephole", "projection", "norm", "norm_cell")
#: what one run has, and what of it has no derivative
_CHOICES = ("input_scale", "state_scale", "noise")
DISCRETE = ("ids", "mask", "reset", *_CHOICES)
#: what `forward` and `backward` both begin with
_GIVEN = (*_SHARED, *_WEIGHTS, *_CHOICES)
_INPUTS = (*_GIVEN, "h0", "c0")
#: what all rows of the batch read alike
ALIKE = (*_WEIGHTS, "table")
_RESULTS = ("y", "h", "c", "checkpoints", "record", "c_sequence")
#: results of `forward` that only `backward` reads: states to start again from, and a token for
#: gates that the engine may still hold (csrc/records.h)
RESIDUALS = ("checkpoints", "record")
_GRADIENTS = ("x", "table", *_WEIGHTS, "h0", "c0")
#: derivatives that come back to results of `forward`
UPSTREAM = ("dy", "dh", "dc", "dc_sequence")
BACKWARD_INPUTS = (*_GIVEN, *RESIDUALS, *UPSTREAM)
#: all that a run has for itself
_OWN = (*_WEIGHTS, *_CHOICES, "h0", "c0", *RESIDUALS, *UPSTREAM)
#: which axis of each tensor is the batch
BATCH_AXIS = {
    **dict.fromkeys(("x", "ids", "mask", "reset", *_CHOICES, "h0", "c0", "y", "h", "c"), 0),
    **dict.fromkeys(("c_sequence", "record", *UPSTREAM), 0),
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


def base_name(name: str) -> str:
    """Return the name without its run."""
    return name.partition(".")[0]


def of_run(named: Named, run: int) -> Named:
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


def result_shape(name: str, options: Options, operands: Named) -> tuple[int, ...]:
    """Return the shape of one of `forward`'s results."""
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
    }[base_name(name)]


def call_handler(
    target: str, options: Options, operands: Sequence[Any], results: Sequence[Any]
) -> Any:
    """Call a handler; None stands for an operand or result that this call does without."""
    nothing = jax.ShapeDtypeStruct((0,), jnp.float32)
    native.module()
    call = jax.ffi.ffi_call(target, [nothing if r is None else r for r in results])
    given = [jnp.zeros((0,), jnp.float32) if o is None else o for o in operands]
    got = call(*given, **options.attributes())
    return [None if r is None else g for g, r in zip(got, results, strict=True)]


def result_dtype(name: str) -> Any:
    """Return the dtype of one of `forward`'s results."""
    return jnp.dtype(jnp.uint32 if base_name(name) == "record" else jnp.float32)


def _struct(shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


def forward_kernel(
    *operands: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    """Return the named results of all runs; ``names`` are those of the operands."""
    named = dict(zip(names, operands, strict=True))
    given, wanted, order = [], [], []
    for run in range(len(options.backwards)):
        mine = of_run(named, run)
        given += [mine.get(name) for name in _INPUTS]
        order += [run_name(name, run) for name in _RESULTS]
    for name in order:
        struct = _struct(result_shape(name, options, named), result_dtype(name))
        wanted.append(struct if name in results else None)
    got = dict(zip(order, call_handler("sunhwan_forward", options, given, wanted), strict=True))
    return [got[name] for name in results]


def backward_kernel(
    *operands: Any, names: tuple[str, ...], options: Options, results: tuple[str, ...]
) -> Any:
    """Return the gradients of the operands that ``results`` names; that of the input is a sum."""
    named = dict(zip(names, operands, strict=True))
    given, wanted, order = [], [], []
    for run in range(len(options.backwards)):
        mine = of_run(named, run)
        given += [mine.get(name) for name in BACKWARD_INPUTS]
        for name in _GRADIENTS:
            full = run_name(name, run)
            order.append(full)
            is_wanted = (name if name in _SHARED else full) in results
            wanted.append(_struct(mine[name].shape) if is_wanted else None)
    got = dict(zip(order, call_handler("sunhwan_backward", options, given, wanted), strict=True))
    for name in ("x", "table"):  # shared by the runs
        if name in results:
            got[name] = sum(got[run_name(name, run)] for run in range(len(options.backwards)))
    return [got[name] for name in results]
