"""The engine against the reference, over the one table of cases, by kernel and in plain JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import pytest

import cases
from sunhwan import engine
from sunhwan.engine import native, plain
from sunhwan.engine.operands import checked_input, run_operands

needs_kernels = pytest.mark.skipif(
    not native.available(), reason=f"kernels: {native.why_missing()}"
)
#: of what also the kernels and Keras are compared with every third one, for each compiles a loop
PLAIN = [c for n, c in enumerate(cases.CASES) if n % 3 == 0 or cases.is_variant(c)]
#: so many of them are one program
CHUNK = 10
#: compiling costs far more than running such small cases, so XLA is told not to optimize
QUICK = {"xla_backend_optimization_level": 0}
#: runs a case: of case, input, run, mask and resets, the outputs and the last states
Way = Callable[[cases.Case, Any, engine.Run, Any, Any], Any]


def by_engine(case: cases.Case, x: Any, run: engine.Run, mask: Any, reset: Any) -> Any:
    """The case as the engine runs it: by kernel where there is one."""
    [result] = engine.rnns(
        case.cell,
        x,
        [run],
        mask=mask,
        reset=reset,
        zero_output_for_mask=case.zero_output_for_mask,
        return_sequences=case.return_sequences,
    )
    return result


def by_plain_jax(case: cases.Case, x: Any, run: engine.Run, mask: Any, reset: Any) -> Any:
    """The case in plain JAX."""
    operands, sizes = checked_input(x, mask, reset)
    return plain.rnn(
        case.cell,
        operands | run_operands(case.cell, sizes, run),
        go_backwards=run.go_backwards,
        zero_output=case.zero_output_for_mask,
    )


def differentiated(case: cases.Case, given: cases.Arrays, way: Way) -> Any:
    """Results and gradients of a case, by name, from inside a program."""
    names = ("x", "kernel", "recurrent_kernel", "bias", "initial_state", "peephole")
    weights = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    constants = {n: value for n, value in cases.variants(given).items() if n not in names}
    reset = constants.pop("reset", None)

    def forward(weights: dict[str, Any]) -> Any:
        own = {name: value for name, value in weights.items() if name != "x"}
        run = engine.Run(**own, **constants, go_backwards=case.go_backwards)
        outputs, states = way(case, weights["x"], run, given.mask, reset)
        out = {"outputs": outputs if case.return_sequences else states[0]}
        return out | ({"states": states} if case.return_state else {})

    out, back = jax.vjp(forward, weights)
    cotangents = {"outputs": given.d_outputs}
    cotangents |= {"states": given.d_states} if case.return_state else {}
    return out, back(cotangents)[0]


def calls(batch: Sequence[cases.Case], way: Way) -> list[cases.Results]:
    """Run cases and their gradients as one program; results under the names of the table."""

    def program(given: list[dict[str, Any]]) -> Any:
        pairs = zip(batch, given, strict=True)
        return [differentiated(case, cases.Arrays(**arrays), way) for case, arrays in pairs]

    given = [vars(cases.arrays(case)) for case in batch]
    found = jax.jit(program, compiler_options=QUICK)(given)
    return [named(out, "") | named(gradients, "d_") for out, gradients in found]


def named(tree: dict[str, Any], prefix: str) -> cases.Results:
    """Flatten {"states": (a, b)} to {"states[0]": a, "states[1]": b}."""
    flat: cases.Results = {}
    for name, value in tree.items():
        if isinstance(value, tuple):
            flat |= {f"{prefix}{name}[{i}]": np.asarray(v) for i, v in enumerate(value)}
        else:
            flat[prefix + name] = np.asarray(value)
    return flat


def compare(case: cases.Case, got: cases.Results) -> None:
    want = cases.expected(case, cases.arrays(case))
    assert set(got) <= set(want)
    assert cases.mismatches(case, got, {name: want[name] for name in got}) == {}


@needs_kernels
@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_kernel_equals_the_reference(case: cases.Case) -> None:
    compare(case, calls([case], by_engine)[0])


@functools.cache
def _by_plain_jax(chunk: int) -> dict[str, cases.Results]:
    batch = PLAIN[chunk * CHUNK : (chunk + 1) * CHUNK]
    return dict(zip(map(str, batch), calls(batch, by_plain_jax), strict=True))


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_plain_jax_equals_the_reference(case: cases.Case) -> None:
    compare(case, _by_plain_jax(PLAIN.index(case) // CHUNK)[case.name])
