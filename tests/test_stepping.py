"""Reading rows of ids through a stepper, and the helpers of sampling and beam search."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steppers import Chain, Recurrent
from sunhwan.errors import ShapeError, UsageError
from sunhwan.tasks.stepping import (
    Stepper,
    allowed,
    check_count,
    hold,
    log_probabilities,
    padded_length,
    read,
    vocabulary_of,
)

IDS = np.random.default_rng(3).integers(0, 7, (5, 23)).astype(np.int32)


def one_by_one(stepper: Stepper, ids: np.ndarray) -> tuple:
    state, logits = stepper.start(1), None
    for step in ids:
        state, logits = stepper.step(state, jnp.asarray([step]))
    return state, logits


@pytest.mark.parametrize("lengths", [[23] * 5, [1, 23, 7, 2, 16]])
def test_reading_is_stepping_up_to_the_length_of_each_row(lengths):
    stepper = Recurrent(7)
    state, logits = read(stepper, stepper.start(5), IDS, lengths)
    for row, length in enumerate(lengths):
        state_one, logits_one = one_by_one(stepper, IDS[row, :length])
        for whole, one in zip(jax.tree.leaves(state), jax.tree.leaves(state_one), strict=True):
            np.testing.assert_array_equal(whole[row], one[0])
        np.testing.assert_array_equal(logits[row], logits_one[0])


def test_reading_goes_on_from_a_state_and_what_is_behind_the_end_has_no_part():
    stepper = Recurrent(7)
    state, _ = read(stepper, stepper.start(5), IDS[:, :9])
    _, parts = read(stepper, state, IDS[:, 9:])
    _, whole = read(stepper, stepper.start(5), IDS)
    np.testing.assert_array_equal(parts, whole)
    padded = np.pad(IDS, ((0, 0), (0, 30)), constant_values=-1)
    _, same = read(stepper, stepper.start(5), padded, [23] * 5)
    np.testing.assert_array_equal(same, whole)


@pytest.mark.parametrize(
    ("ids", "lengths", "error", "message"),
    [
        ([1, 2], None, ShapeError, r"`ids` .* received int64 of shape \(2,\)"),
        ([[1.0]], None, ShapeError, "`ids` must be integers"),
        (np.zeros((2, 0), int), None, ShapeError, "with a row and a step"),
        ([[1, 2], [3, 4]], [2, 0], ShapeError, r"2 numbers from 1 to 2, received \[2, 0\]"),
        ([[1, 2], [3, 4]], [3, 1], ShapeError, "from 1 to 2"),
        ([[1, 2], [3, 4]], [1], ShapeError, "`lengths` must be 2 numbers"),
        ([[1, 2], [3, 7]], None, UsageError, "`ids` must be from 0 to 6, received 7"),
        ([[1, -2], [3, 0]], None, UsageError, "received -2"),
    ],
)
def test_ids_that_do_not_fit_are_named(ids, lengths, error, message):
    with pytest.raises(error, match=message):
        read(Chain(), Chain().start(2), ids, lengths)


def test_a_stepper_that_breaks_its_word_is_named():
    class Wrong(Chain):
        def __init__(self, answer):
            self.answer = answer

        def step(self, state, ids):
            return self.answer(state, ids)

    state = {"h": jnp.zeros((3, 2))}
    with pytest.raises(ShapeError, match=r"the state\['h'\] must have 4 rows .* \(3, 2\)"):
        read(Recurrent(7), state, np.ones((4, 2), int))
    flat = Wrong(lambda state, ids: (state, jnp.zeros(len(ids))))
    with pytest.raises(ShapeError, match=r"logits of shape \[3, V\] .* received shape \(3,\)"):
        vocabulary_of(flat, state, 3)
    other = Wrong(lambda state, ids: (state["h"][:, :1], jnp.zeros((len(ids), 4))))
    with pytest.raises(ShapeError, match=r"\{'h': 'float32\[3, 2\]'\}, received float32\[3, 1\]"):
        vocabulary_of(other, state, 3)


def test_log_probabilities_are_right_and_their_bits_do_not_depend_on_other_rows():
    draw = np.random.default_rng(5)
    function = jax.jit(log_probabilities)
    for size in (2, 67, 300):
        logits = (9 * draw.normal(size=(21, size))).astype(np.float32)
        logits[:, 1] = -np.inf
        exact = logits.astype(np.float64)
        exact -= np.log(np.exp(exact).sum(axis=1, keepdims=True))
        whole = np.asarray(function(logits))
        np.testing.assert_allclose(whole, exact, rtol=1e-6, atol=2e-6)
        for rows in (slice(3, 4), slice(2, 19)):
            np.testing.assert_array_equal(function(logits[rows]), whole[rows])


def test_hold_keeps_whole_rows_of_any_rank():
    live = jnp.array([True, False, True])
    before = {"a": jnp.arange(3), "b": (jnp.zeros((3, 2, 4)),)}
    after = jax.tree.map(lambda leaf: leaf + 10, before)
    held = hold(live, after, before)
    np.testing.assert_array_equal(held["a"], [10, 1, 12])
    np.testing.assert_array_equal(held["b"][0][:, 1, 3], [10, 0, 10])


def test_lengths_and_ids_have_bounds():
    assert [padded_length(n) for n in (1, 16, 17, 64, 65)] == [16, 16, 32, 64, 128]
    with pytest.raises(UsageError, match="`forbidden` must be from 0 to 4, received 5"):
        allowed(5, [1, 5])
    with pytest.raises(UsageError, match="must leave one of the 2 ids"):
        allowed(2, [1, 0])
    for value in (0, 2.0, True, "3", None):
        with pytest.raises(UsageError, match="`width` must be a whole number from 1, received"):
            check_count("width", value)
    check_count("width", np.int32(1))
