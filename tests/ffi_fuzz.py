"""Calls of the compiled handlers with one thing wrong, to be run in a process of its own.

Prints how many calls were refused. A call that is not refused must be one without an optional part;
a crash ends the process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sunhwan.engine import Cell, Lookup, Run, embedding_lookup, rnn, rnns

_FFI_CALL = jax.ffi.ffi_call


@dataclass(frozen=True)
class Call:
    """One call of a handler: shapes and dtypes of operands and results, and its options."""

    target: str
    operands: tuple[jax.ShapeDtypeStruct, ...]
    results: tuple[jax.ShapeDtypeStruct, ...]
    options: tuple[tuple[str, Any], ...]

    def run(self) -> None:
        """Compile and run it on arrays of ones."""
        given = [jnp.ones(o.shape, o.dtype) for o in self.operands]
        call = _FFI_CALL(self.target, list(self.results))
        jax.block_until_ready(jax.jit(lambda *a: call(*a, **dict(self.options)))(*given))


def recorded() -> list[Call]:
    """Return every call that forward and backward of some good arguments make."""
    calls: list[Call] = []

    def record(target: str, results: Any) -> Any:
        listed = tuple(results) if isinstance(results, (list, tuple)) else (results,)

        def call(*operands: Any, **options: Any) -> Any:
            specs = tuple(jax.ShapeDtypeStruct(o.shape, o.dtype) for o in operands)
            calls.append(Call(target, specs, listed, tuple(options.items())))
            return _FFI_CALL(target, results)(*operands, **options)

        return call

    jax.ffi.ffi_call = record
    try:
        for cell in (Cell("lstm"), Cell("gru"), Cell("simple_rnn")):
            columns = len(cell.gates) * 5
            weights = [np.ones((4, columns)), np.ones((5, columns)), np.ones(cell.bias_shape(5))]
            operands = [w.astype("f") for w in (np.ones((2, 3, 4)), *weights)]
            mask = np.ones((2, 3), bool)

            def loss(operands: Any, cell: Cell = cell, mask: Any = mask) -> Any:
                y, states = rnn(cell, *operands, mask=mask, return_state_sequences=True)
                return y.sum() + sum(s.sum() for s in states)

            jax.jit(jax.grad(loss)).lower(operands)
        ids = np.zeros((2, 3), np.int32)
        table = np.ones((6, 4), "f")

        def looked_up(table: Any, *weights: Any) -> Any:
            return rnn(Cell("gru"), Lookup(table, ids), *weights)[1][0].sum()

        weights = [np.ones((4, 15), "f"), np.ones((5, 15), "f")]
        jax.jit(jax.grad(looked_up, (0, 1, 2))).lower(table, *weights)
        gains = {"norm": np.ones((2, 20), "f"), "norm_cell": np.ones((2, 5), "f")}

        def normalized(gains: Any) -> Any:
            weights = np.ones((4, 20), "f"), np.ones((5, 20), "f")
            cell = Cell("lstm", norm_epsilon=1e-3)
            return rnns(cell, np.ones((2, 3, 4), "f"), [Run(*weights, **gains)])[0][1][0].sum()

        jax.jit(jax.grad(normalized)).lower(gains)
        jax.jit(jax.grad(lambda t: embedding_lookup(t, ids).sum())).lower(table)
        weights = {"kernel": np.ones((4, 20), "f"), "recurrent_kernel": np.ones((3, 20), "f")}

        def projected(weights: Any) -> Any:
            [(y, states)] = rnns(Cell("lstm"), np.ones((2, 6, 4), "f"), [Run(**weights)])
            return y.sum() + sum(s.sum() for s in states)

        weights["projection"] = np.ones((5, 3), "f")
        jax.jit(jax.grad(projected)).lower(weights)
    finally:
        jax.ffi.ffi_call = _FFI_CALL
    return calls


def _wrong_shapes(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    yield (*shape, 1)
    yield (1, *shape)
    yield shape[1:]
    for axis, size in enumerate(shape):
        for other in (0, size - 1, size + 1, 1000):
            if other not in (size, -1):
                yield (*shape[:axis], other, *shape[axis + 1 :])
    if len(set(shape)) > 1:
        yield shape[::-1]


def _wrong_specs(spec: jax.ShapeDtypeStruct) -> Iterator[jax.ShapeDtypeStruct]:
    for shape in _wrong_shapes(spec.shape):
        yield jax.ShapeDtypeStruct(shape, spec.dtype)
    for dtype in ("int32", "float16", "int8", "bool", "float32", "uint32", "complex64"):
        if dtype != spec.dtype:
            yield jax.ShapeDtypeStruct(spec.shape, dtype)


def _only_another_table(call: Call, side: str, spec: Any, wrong: Any) -> bool:
    """Return True for a table with more or fewer rows, or its gradient, which is a good one."""
    alike = wrong.dtype == spec.dtype and wrong.shape[1:] == spec.shape[1:]
    if side == "results":
        return alike and call.target == "sunhwan_embedding_gradient"
    # the ids are ones, so two rows are enough
    is_table = spec.shape == (6, 4) and len(wrong.shape) == 2 and wrong.shape[0] > 1
    return alike and is_table and call.target == "sunhwan_forward"


def mutants(call: Call) -> Iterator[Call]:
    """Yield calls with one thing wrong."""
    for side in ("operands", "results"):
        specs = getattr(call, side)
        for n, spec in enumerate(specs):
            for wrong in _wrong_specs(spec):
                if _only_another_table(call, side, spec, wrong):
                    continue
                yield replace(call, **{side: (*specs[:n], wrong, *specs[n + 1 :])})
        if len(specs) > 1:  # XLA drops a call without results
            yield replace(call, **{side: specs[:-1]})
    for n, (name, value) in enumerate(call.options):
        # steps only words a message: any number is good
        if isinstance(value, np.int64) and name != "steps":
            for bad in (-1, 99, 2**40, 2**63 - 1, -(2**62)):
                if (name, bad) not in (("segment", 99), ("segment", 2**40)):
                    changed = (*call.options[:n], (name, np.int64(bad)), *call.options[n + 1 :])
                    yield replace(call, options=changed)


def is_valid(call: Call, mutant: Call) -> bool:
    """Return True if the mutant does without something, for which the shape (0,) stands."""
    if all(0 in result.shape for result in mutant.results):
        return True  # XLA drops a call that gives nothing
    return any(
        new.shape == (0,)
        for side in ("operands", "results")
        for old, new in zip(getattr(call, side), getattr(mutant, side), strict=False)
        if old != new
    )


def main(stride: int) -> None:
    """Run every ``stride``-th mutant of every call."""
    refused = accepted = 0
    for call in recorded():
        call.run()
        for mutant in list(mutants(call))[::stride]:
            try:
                mutant.run()
            except (jax.errors.JaxRuntimeError, ValueError, TypeError):
                refused += 1
                continue
            assert is_valid(call, mutant), f"accepted: {mutant}"
            accepted += 1
    print(refused, accepted)
