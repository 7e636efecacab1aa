"""The engine against the reference, over the one table of cases, by kernel and in plain JAX."""

from __future__ import annotations

import functools
from typing import Any

import pytest

import cases
import isa_table
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


def by_plain_jax(case: cases.Case, x: Any, run: engine.Run, mask: Any, reset: Any) -> Any:
    """The case in plain JAX."""
    operands, sizes = checked_input(x, mask, reset)
    return plain.rnn(
        case.cell,
        operands | run_operands(case.cell, sizes, run),
        go_backwards=run.go_backwards,
        zero_output=case.zero_output_for_mask,
        sequences=case.return_state_sequences,
    )


def compare(case: cases.Case, got: cases.Results) -> None:
    want = cases.expected(case, cases.arrays(case))
    assert set(got) <= set(want)
    assert cases.mismatches(case, got, {name: want[name] for name in got}) == {}


@needs_kernels
@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_kernel_equals_the_reference(case: cases.Case) -> None:
    compare(case, isa_table.results([(case, cases.arrays(case))])[0])


@functools.cache
def _by_plain_jax(chunk: int) -> dict[str, cases.Results]:
    batch = PLAIN[chunk * CHUNK : (chunk + 1) * CHUNK]
    found = isa_table.results([(case, cases.arrays(case)) for case in batch], by_plain_jax)
    return dict(zip(map(str, batch), found, strict=True))


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_plain_jax_equals_the_reference(case: cases.Case) -> None:
    compare(case, _by_plain_jax(PLAIN.index(case) // CHUNK)[case.name])
