"""The engine against the reference, over the one table of cases, by kernel and in plain JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import cases
from sunhwan.engine import native, plain, rnn

needs_kernels = pytest.mark.skipif(
    not native.available(), reason=f"kernels: {native.why_missing()}"
)


def call(case: cases.Case, given: cases.Arrays, run=rnn) -> cases.Results:
    """Run the case and its gradients through ``run``; results under the names of the table."""
    weights = {"x": given.x, "kernel": given.kernel, "recurrent_kernel": given.recurrent_kernel}
    if given.bias is not None:
        weights["bias"] = given.bias
    if given.initial_state is not None:
        weights["initial_state"] = given.initial_state

    def forward(weights):
        outputs, states = run(
            case.cell,
            **weights,
            mask=given.mask,
            go_backwards=case.go_backwards,
            zero_output_for_mask=case.zero_output_for_mask,
            return_sequences=case.return_sequences,
        )
        out = {"outputs": outputs if case.return_sequences else states[0]}
        return out | ({"states": states} if case.return_state else {})

    @jax.jit
    def both(weights, d_outputs, d_states):
        out, back = jax.vjp(forward, weights)
        cotangents = {"outputs": d_outputs} | ({"states": d_states} if case.return_state else {})
        return out, back(cotangents)[0]

    out, gradients = both(weights, given.d_outputs, given.d_states)
    return named(out, "") | named(gradients, "d_")


def named(tree, prefix: str) -> cases.Results:
    """Flatten {"states": (a, b)} to {"states[0]": a, "states[1]": b}."""
    flat: cases.Results = {}
    for name, value in tree.items():
        if isinstance(value, tuple):
            flat |= {f"{prefix}{name}[{i}]": np.asarray(v) for i, v in enumerate(value)}
        else:
            flat[prefix + name] = np.asarray(value)
    return flat


@needs_kernels
@pytest.mark.parametrize("case", cases.CASES, ids=str)
def test_kernel_equals_the_reference(case: cases.Case) -> None:
    given = cases.arrays(case)
    got, want = call(case, given), cases.expected(case, given)
    assert set(got) <= set(want)
    assert cases.mismatches(case, got, {name: want[name] for name in got}) == {}


def plain_rnn(cell, x, kernel, recurrent_kernel, bias=None, *, initial_state=None, mask, **options):
    """`plain.rnn` in the manner of `engine.rnn`."""
    states = initial_state or (jnp.zeros((x.shape[0], recurrent_kernel.shape[0])),) * cell.states
    outputs, last = plain.rnn(
        cell,
        x,
        kernel,
        recurrent_kernel,
        bias,
        states,
        None if mask is None else jnp.asarray(mask),
        go_backwards=options["go_backwards"],
        zero_output=options["zero_output_for_mask"],
    )
    return outputs, last


@pytest.mark.parametrize("case", cases.CASES[::3], ids=str)
def test_plain_jax_equals_the_reference(case: cases.Case) -> None:
    given = cases.arrays(case)
    got, want = call(case, given, plain_rnn), cases.expected(case, given)
    assert cases.mismatches(case, got, {name: want[name] for name in got}) == {}
