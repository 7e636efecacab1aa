"""Memory that the kernels keep from call to call."""

from __future__ import annotations

import pytest

import subprocesses
from sunhwan.engine import native

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")

#: `held(B, T, H)`: bytes of the arena after the gradients of an LSTM with as many inputs as units.
_HELD = """
import jax
import numpy as np

from layer_pairs import array
from sunhwan.engine import Cell, native, rnn

def held(B, T, H):
    kernel, recurrent = array(H, 4 * H, seed=2) / 12, array(H, 4 * H, seed=3) / 12
    def loss(kernel, recurrent):
        outputs, _ = rnn(Cell("lstm"), array(B, T, H, seed=1), kernel, recurrent)
        return outputs.sum()
    jax.block_until_ready(jax.jit(jax.grad(loss, (0, 1)))(kernel, recurrent))
    return native.module().arena_bytes()
"""


def _printed(code: str) -> list[int]:
    return [int(word) for word in subprocesses.printed(_HELD + code).split()]


def test_what_is_not_in_use_is_given_back() -> None:
    held, left = _printed("""
print(held(4, 8, 64))
native.module().release_arena()
print(native.module().arena_bytes())
""")
    assert held > 0
    assert left == 0


def test_gradients_by_a_record_take_neither_forwards_weights_nor_its_scratch() -> None:
    """The record of T steps, packed weights for the way back alone, and the gradients' sums."""
    T, H = 64, 512
    (held,) = _printed(f"print(held(1, {T}, {H}))")
    weights, record = 4 * 2 * H * 4 * H, 4 * 7 * T * H
    # a block may be a quarter larger than what was asked for
    assert held <= 1.25 * (record + 2 * weights) + (1 << 20)
