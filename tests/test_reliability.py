"""Bugs that other recurrent layers had, by the number of `reliability.md`: masks, lengths, states.

B27 to B49 are in test_reliability_engine.py. Left out because they concern exports or conversions
that do not exist yet (they belong to the exporter): B28, B30, B31, B32, B33 (its gates one by one
are in test_mutations.py), B34. D7 needs a GPU.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

import cases
import isa_table
import layer_pairs
import sunhwan
from layer_pairs import NAMES, array, assert_same, pair, wrapped
from sunhwan.engine import native

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
KINDS = pytest.mark.parametrize("label", cases.CELLS)
B, T = 4, 6
RIGHT = np.arange(T) < np.array([[6], [4], [0], [1]])


def _given(label: str, mask: Any, **options: Any) -> tuple[cases.Case, cases.Arrays]:
    case = cases.Case(f"{label}-b", cases.CELLS[label], B, T, 5, 7, initial_state=True, **options)
    return case, replace(cases.arrays(case), mask=mask)


def _run(*given: tuple[cases.Case, cases.Arrays]) -> list[cases.Results]:
    return isa_table.results(given)


def _rows(given: cases.Arrays, rows: Any) -> cases.Arrays:
    """Return only some rows of a batch."""
    states = given.initial_state
    return replace(
        given,
        x=given.x[rows],
        mask=None if given.mask is None else given.mask[rows],
        initial_state=None if states is None else tuple(s[rows] for s in states),
        d_outputs=given.d_outputs[rows],
        d_states=None if given.d_states is None else tuple(d[rows] for d in given.d_states),
    )


def _equal(got: cases.Results, want: cases.Results, names: Any = None) -> None:
    for name in names or want:
        np.testing.assert_allclose(got[name], want[name], rtol=1e-5, atol=2e-6, err_msg=name)


PER_ROW = ("outputs", "states[0]", "d_x", "d_initial_state[0]")


@KINDS
def test_b01_a_row_masked_everywhere_leaves_the_others_alone(label: str) -> None:
    """Row 2 has no step; the others are as without it, whether or not they have padding."""
    for mask in (RIGHT, np.arange(T) < np.array([[T], [T], [0], [T]])):
        case, given = _given(label, mask)
        others = [0, 1, 3]
        whole, part = _run((case, given), (replace(case, B=3), _rows(given, others)))
        for name in PER_ROW:
            np.testing.assert_allclose(whole[name][others], part[name], rtol=1e-6, atol=1e-6)
        for name in ("d_kernel", "d_recurrent_kernel", "d_bias"):
            np.testing.assert_allclose(whole[name], part[name], rtol=1e-5, atol=2e-6)


@KINDS
def test_b02_kernel_and_plain_give_the_same_masked_result(label: str) -> None:
    """Plain JAX, Keras's loop and the kernels agree on a mask with holes."""
    mask = np.random.default_rng(0).random((B, T)) < 0.5
    case, given = _given(label, mask)
    assert cases.mismatches(case, _run((case, given))[0], cases.expected(case, given)) == {}
    name = {"lstm": "LSTM", "simple_rnn": "SimpleRNN"}.get(label, "GRU")
    ours, stock = pair(name, 7, shape=given.x.shape, return_sequences=True)
    loop, _ = pair(name, 7, shape=given.x.shape, return_sequences=True, recurrent_dropout=0.5)
    loop.cell.recurrent_dropout = 0.0
    loop.cell.activation = lambda a: keras.ops.tanh(a)
    for other in (stock, loop):
        assert_same(ours(given.x, mask=mask), other(given.x, mask=mask))


def test_b03_the_same_batch_gives_the_same_bits_after_any_other() -> None:
    """A hundred runs, with other shapes and masks in between."""
    case, given = _given("lstm", RIGHT)
    (first,) = _run((case, given))
    layers = [pair(name, h, shape=(2, 3, 4))[0] for name in NAMES for h in (3, 65)]
    ours, _ = pair("LSTM", 33, shape=given.x.shape, return_sequences=True)
    want = np.asarray(ours(given.x, mask=RIGHT))
    for n in range(100):
        layers[n % 6](array(2 + n % 3, 3, 4, seed=n))
        np.testing.assert_array_equal(ours(given.x, mask=RIGHT), want)
    (again,) = _run((case, given))
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])


@pytest.mark.parametrize("unroll", [False, True])
def test_b04_an_output_that_is_not_the_first_state_is_masked_right(unroll: bool) -> None:
    """A cell of somebody else's, in Keras's loop around our layers, with their mask."""

    class Negated(keras.layers.SimpleRNNCell):
        def call(self, sequence: Any, states: Any, training: bool = False) -> Any:
            output, states = super().call(sequence, states, training=training)
            return -output, states

    x = array(B, T, 3)
    mask = np.arange(T) >= np.array([[0], [2], [3], [1]])  # every row ends with a live step
    first = sunhwan.layers.GRU(3, return_sequences=True)
    layer = keras.layers.RNN(Negated(5), unroll=unroll)
    got = layer(first(x, mask=mask), mask=mask)
    for b, row in enumerate(mask):
        alone = layer(first(x[b : b + 1, row]))
        np.testing.assert_allclose(got[b : b + 1], alone, rtol=1e-5, atol=1e-6)


@KINDS
@pytest.mark.parametrize("backwards", [False, True])
def test_b05_zero_output_acts_only_on_sequences(label: str, backwards: bool) -> None:
    """Also backwards; without sequences the last state comes out, by kernel and in the loop."""
    case, given = _given(label, RIGHT, zero_output_for_mask=True, go_backwards=backwards)
    got = _run((case, given))[0]["outputs"]
    order = RIGHT[:, ::-1] if backwards else RIGHT
    assert (got[~order] == 0).all()
    assert (np.abs(got[order]).max(axis=-1) > 0).all()
    name = {"lstm": "LSTM", "simple_rnn": "SimpleRNN"}.get(label, "GRU")
    for extra in ({}, {"activation": "gelu"}):
        options = {"go_backwards": backwards, "return_state": True, **extra}
        layer, _ = pair(name, 7, shape=given.x.shape, zero_output_for_mask=True, **options)
        output, state, *_ = layer(given.x, mask=RIGHT)
        np.testing.assert_array_equal(output, state)


@KINDS
def test_b06_backwards_reverses_the_mask_with_the_input(label: str) -> None:
    """Backwards is forwards on input and mask turned round; the outgoing mask stays in place."""
    case, given = _given(label, RIGHT, go_backwards=True)
    turned = replace(given, x=given.x[:, ::-1], mask=RIGHT[:, ::-1])
    back, there = _run((case, given), (replace(case, go_backwards=False), turned))
    np.testing.assert_array_equal(back["outputs"], there["outputs"])
    np.testing.assert_array_equal(back["d_x"], there["d_x"][:, ::-1])


@KINDS
@pytest.mark.parametrize("poison", [1e30, np.inf, np.nan])
def test_b07_values_in_padding_change_nothing(label: str, poison: float) -> None:
    """D3: no output, state or gradient sees what a skipped step holds."""
    mask = np.random.default_rng(1).random((B, T)) < 0.6
    case, given = _given(label, mask)
    dirty = replace(given, x=np.where(mask[..., None], given.x, np.float32(poison)))
    clean, got = _run((case, given), (case, dirty))
    for name in clean:
        np.testing.assert_array_equal(clean[name], got[name], err_msg=name)
    name = {"lstm": "LSTM", "simple_rnn": "SimpleRNN"}.get(label, "GRU")
    loop, _ = pair(name, 7, shape=given.x.shape, activation="selu")
    grads = layer_pairs.gradients(loop, dirty.x, mask=mask)
    assert_same(grads, layer_pairs.gradients(loop, given.x, mask=mask))


def test_b08_stacked_cells_accept_the_mask_of_our_layers() -> None:
    """Nested states in Keras's loop, after our embedding and layer."""
    ids = np.array([[1, 2, 0], [3, 0, 0]])
    model = keras.Sequential(
        [
            sunhwan.layers.Embedding(4, 3, mask_zero=True),
            sunhwan.layers.GRU(4, return_sequences=True),
            keras.layers.RNN([keras.layers.LSTMCell(2), keras.layers.LSTMCell(5)]),
        ]
    )
    longer = np.concatenate([ids, np.zeros((2, 4), int)], axis=1)
    np.testing.assert_allclose(model(ids), model(longer), rtol=1e-5, atol=1e-6)


def test_b09_a_mask_of_another_rank_than_the_loss_works() -> None:
    """The mask of the sequence does not reach the loss on its last output."""
    model = keras.Sequential(
        [sunhwan.layers.Embedding(5, 3, mask_zero=True), sunhwan.layers.LSTM(4)]
    )
    model.compile("sgd", "mse")
    ids = np.array([[1, 2, 0, 0], [3, 4, 1, 0]])
    assert np.isfinite(model.evaluate(ids, np.ones((2, 4)), verbose=0))


@KINDS
def test_b10_any_mask_equals_removing_its_steps_by_hand(label: str) -> None:
    """Left, right and holes: each row alone, without the skipped steps, ends in the same state."""
    mask = np.random.default_rng(2).random((B, T)) < 0.5
    mask[:, 0] |= ~mask.any(axis=1)
    case, given = _given(label, mask)
    parts = []
    for b in range(B):
        row = _rows(given, [b])
        kept = replace(row, x=row.x[:, mask[b]], mask=None, d_outputs=row.d_outputs[:, mask[b]])
        parts.append((replace(case, B=1, T=int(mask[b].sum()), name=f"row{b}"), kept))
    whole, *alone = _run((case, given), *parts)
    for b, part in enumerate(alone):
        np.testing.assert_allclose(whole["states[0]"][b], part["states[0]"][0], atol=2e-6)
        np.testing.assert_allclose(
            whole["outputs"][b, mask[b]], part["outputs"][0], rtol=1e-5, atol=2e-6
        )


@KINDS
def test_b11_a_row_of_padding_gives_the_initial_state_not_f_of_bias(label: str) -> None:
    """D2: for every output too, however large the bias."""
    case, given = _given(label, np.zeros((B, T), bool))
    (got,) = _run((case, given))
    for n, state in enumerate(given.initial_state or ()):
        np.testing.assert_array_equal(got[f"states[{n}]"], state)
    first = np.repeat(given.initial_state[0][:, None], T, axis=1)  # type: ignore[index]
    np.testing.assert_array_equal(got["outputs"], first)
    for name in ("d_x", "d_kernel", "d_recurrent_kernel", "d_bias"):
        assert not got[name].any()


@KINDS
def test_b12_padded_outputs_carry_the_last_state(label: str) -> None:
    """The written rule: a skipped step repeats the output before it, or is 0 if that was asked."""
    case, given = _given(label, RIGHT)
    carried, zeroed = (
        out["outputs"]
        for out in _run((case, given), (replace(case, zero_output_for_mask=True), given))
    )
    np.testing.assert_array_equal(carried[1, 4:], np.repeat(carried[1, 3:4], 2, axis=0))
    assert (zeroed[1, 4:] == 0).all()
    np.testing.assert_array_equal(carried[1, :4], zeroed[1, :4])


@KINDS
def test_b13_a_sequence_of_length_0_has_a_forward_and_a_backward(label: str) -> None:
    """Its gradient for the initial state is what came from above, for its input 0."""
    case, given = _given(label, RIGHT)
    (got,) = _run((case, given))
    assert not got["d_x"][2].any()
    d_states = given.d_states or ()
    want = d_states[0][2] + given.d_outputs[2].sum(axis=0)
    np.testing.assert_allclose(got["d_initial_state[0]"][2], want, rtol=1e-5, atol=1e-6)
    assert all(np.isfinite(value).all() for value in got.values())


@KINDS
def test_b14_length_1_works_forward_and_backward(label: str) -> None:
    """One step, masked and not."""
    case = cases.Case(f"{label}-1", cases.CELLS[label], 2, 1, 3, 5, initial_state=True)
    given = cases.arrays(case)
    masked = replace(given, mask=np.array([[True], [False]]))
    for each, got in zip((given, masked), _run((case, given), (case, masked)), strict=True):
        assert cases.mismatches(case, got, cases.expected(case, each)) == {}


@pytest.mark.parametrize("label", ["lstm", "gru"])
def test_b15_more_than_65535_steps(label: str) -> None:
    """Forward and backward; the tail equals a run of the tail alone, as old inputs fade."""
    steps, tail = 65_600, 100
    case = cases.Case(label, cases.CELLS[label], 1, steps, 1, 2, return_sequences=False)
    given = cases.arrays(case)
    short = replace(given, x=given.x[:, -tail:])
    long, end = _run((case, given), (replace(case, T=tail), short))
    np.testing.assert_allclose(long["outputs"], end["outputs"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(long["d_x"][:, -tail:], end["d_x"], rtol=1e-4, atol=1e-6)
    assert np.isfinite(long["d_x"]).all()


@KINDS
def test_b17_backwards_with_unequal_lengths_starts_at_each_rows_own_end(label: str) -> None:
    """Each row of a right-padded batch equals the same row alone without padding."""
    case, given = _given(label, RIGHT, go_backwards=True)
    lengths = [6, 4, 1]
    parts = []
    for b, length in zip((0, 1, 3), lengths, strict=True):
        row = _rows(given, [b])
        cut = replace(row, x=row.x[:, :length], mask=None, d_outputs=row.d_outputs[:, :length])
        parts.append((replace(case, B=1, T=length, name=f"row{b}"), cut))
    whole, *alone = _run((case, given), *parts)
    for b, part in zip((0, 1, 3), alone, strict=True):
        np.testing.assert_allclose(
            whole["states[0]"][b], part["states[0]"][0], rtol=1e-5, atol=2e-6
        )


@KINDS
def test_b18_the_gradient_of_unequal_lengths_is_the_sum_over_rows(label: str) -> None:
    """Weights' gradients of a batch against those of its rows, one by one."""
    case, given = _given(label, RIGHT)
    whole, *rows = _run(
        (case, given), *((replace(case, B=1, name=str(b)), _rows(given, [b])) for b in range(B))
    )
    for name in ("d_kernel", "d_recurrent_kernel", "d_bias"):
        total = sum(row[name] for row in rows)
        np.testing.assert_allclose(whole[name], total, rtol=1e-5, atol=5e-6)


@KINDS
def test_b19_backwards_outputs_are_in_order_of_processing(label: str) -> None:
    """The first output belongs to the last step, as in Keras, tested against the loop."""
    case, given = _given(label, None, go_backwards=True)
    want = cases.expected(case, given)
    (got,) = _run((case, given))
    assert cases.mismatches(case, got, want) == {}
    name = {"lstm": "LSTM", "simple_rnn": "SimpleRNN"}.get(label, "GRU")
    ours, stock = pair(name, 7, shape=given.x.shape, go_backwards=True, return_sequences=True)
    assert_same(ours(given.x), stock(given.x))


def test_b20_bidirectional_states_come_forward_h_c_then_backward_h_c() -> None:
    """Each state is that of the layer it belongs to, for every merge mode."""
    x = array(B, T, 3)
    for merge_mode in ("concat", "sum", "mul", "ave", None):
        inner = {"units": 5, "return_state": True, "return_sequences": True}
        both, _ = wrapped("LSTM", x.shape, inner, merge_mode=merge_mode)
        *_, fh, fc, bh, bc = both(x, mask=RIGHT)
        parts = [both.forward_layer(x, mask=RIGHT), both.backward_layer(x, mask=RIGHT)]
        assert_same([fh, fc, bh, bc], [*parts[0][1:], *parts[1][1:]])
        assert np.abs(np.asarray(fh) - np.asarray(bh)).max() > 1e-2


def test_b21_bidirectional_uses_the_backward_half_of_the_states_backwards() -> None:
    """Changing the last two of four initial states changes only the backward direction."""
    x = array(B, T, 3)
    both, _ = wrapped("LSTM", x.shape, {"units": 5}, merge_mode=None)
    states = [array(B, 5, seed=n) for n in range(4)]
    there, back = both(x, initial_state=states)
    other_there, other_back = both(x, initial_state=[*states[:2], states[0], states[1]])
    np.testing.assert_array_equal(there, other_there)
    assert np.abs(np.asarray(back) - np.asarray(other_back)).max() > 1e-3


def test_b22_bidirectional_survives_its_configuration() -> None:
    """Saved files are in test_layers.py; here: names never grow, a custom backward layer stays."""
    layer = sunhwan.layers.Bidirectional(
        sunhwan.layers.GRU(3, name="memory"),
        backward_layer=sunhwan.layers.GRU(3, go_backwards=True, reset_after=False, name="back"),
    )
    for _ in range(3):
        layer = sunhwan.layers.Bidirectional.from_config(layer.get_config())
    assert (layer.forward_layer.name, layer.backward_layer.name) == ("forward_memory", "back")
    assert layer.backward_layer.cell.reset_after is False


def test_b23_reset_state_after_an_initial_state_was_given() -> None:
    """On Bidirectional: afterwards the layer starts from zero again."""
    x = array(B, T, 3)
    both, _ = wrapped("GRU", x.shape, {"units": 5, "stateful": True})
    fresh = np.asarray(both(x))
    both(x, initial_state=[array(B, 5, seed=n) for n in range(2)])
    both.reset_state()
    np.testing.assert_array_equal(both(x), fresh)


def test_b24_a_stateful_layer_names_both_batch_sizes() -> None:
    """And takes a symbolic batch of the size it was built for."""
    layer = sunhwan.layers.LSTM(3, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(4, None, 2)), layer])
    assert model(array(4, 5, 2)).shape == (4, 3)
    with pytest.raises(ValueError, match=r"(?s)Expected batch size: 4.*Received batch size: 3"):
        layer(array(3, 5, 2))


@KINDS
def test_b25_two_halves_with_the_state_carried_are_the_whole(label: str) -> None:
    """Forward to the last digits, and gradients through the joint: sums of the two halves."""
    case, given = _given(label, None)
    (whole,) = _run((case, given))
    head = replace(given, x=given.x[:, :4], d_outputs=given.d_outputs[:, :4])
    (first,) = _run((replace(case, T=4), head))
    count = len(given.initial_state or ())
    carried = tuple(first[f"states[{n}]"] for n in range(count))
    tail = replace(given, x=given.x[:, 4:], d_outputs=given.d_outputs[:, 4:], initial_state=carried)
    (second,) = _run((replace(case, T=2), tail))
    back = tuple(second[f"d_initial_state[{n}]"] for n in range(count))
    (first,) = _run((replace(case, T=4), replace(head, d_states=back)))
    joined = np.concatenate([first["outputs"], second["outputs"]], axis=1)
    np.testing.assert_allclose(joined, whole["outputs"], rtol=1e-6, atol=1e-6)
    for name in ("d_kernel", "d_recurrent_kernel", "d_bias"):
        np.testing.assert_allclose(first[name] + second[name], whole[name], rtol=1e-5, atol=5e-6)
    _equal(first, whole, ["d_initial_state[0]"])


@pytest.mark.parametrize("name", NAMES)
def test_b26_return_state_alone_has_the_structure_of_keras(name: str) -> None:
    """By kernel and in Keras's loop, with and without sequences."""
    x = array(B, T, 3)
    for options in ({}, {"return_sequences": True}, {"activation": "selu"}):
        ours, stock = pair(name, 4, shape=x.shape, return_state=True, **options)
        left, right = ours(x), stock(x)
        assert type(left) is type(right)
        assert [v.shape for v in left] == [v.shape for v in right]


@pytest.mark.parametrize("name", NAMES)
def test_d1_zero_output_is_honoured_with_unroll_too(name: str) -> None:
    """Keras ignores it there; we follow its documentation."""
    x = array(B, T, 3)
    options = {"return_sequences": True, "zero_output_for_mask": True}
    rolled, stock = pair(name, 4, shape=x.shape, **options)
    unrolled, _ = pair(name, 4, shape=x.shape, unroll=True, **options)
    assert_same(unrolled(x, mask=RIGHT), stock(x, mask=RIGHT))
    assert_same(rolled(x, mask=RIGHT), unrolled(x, mask=RIGHT))


def test_d2_an_empty_row_gives_its_initial_state_with_unroll_too() -> None:
    """Keras's unrolled loop gives 0 there, its scan the state; we follow the scan."""
    x, state = array(B, T, 3), array(B, 4, seed=1)
    layer, _ = pair("GRU", 4, shape=x.shape, unroll=True)
    np.testing.assert_array_equal(layer(x, mask=RIGHT, initial_state=state)[2], state[2])


def test_d6_masks_reach_the_second_layer() -> None:
    """Embedding(mask_zero), LSTM, LSTM: padding changes nothing, whatever Keras passes on."""
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            sunhwan.layers.Embedding(5, 3, mask_zero=True),
            sunhwan.layers.LSTM(4, return_sequences=True),
            sunhwan.layers.Bidirectional(sunhwan.layers.GRU(3)),
        ]
    )
    ids = np.array([[1, 2, 3], [4, 1, 2]])
    padded = np.concatenate([ids, np.zeros((2, 5), int)], axis=1)
    np.testing.assert_allclose(model(ids), model(padded), rtol=1e-5, atol=1e-6)


def test_d8_huge_inputs_stay_finite() -> None:
    """1e30 saturates the gates; outputs and states are finite."""
    for name in NAMES:
        layer, _ = pair(name, 4, shape=(B, T, 3), return_state=True, return_sequences=True)
        for value in layer_pairs.flat(layer(array(B, T, 3) * np.float32(1e30))):
            assert np.isfinite(value).all()
