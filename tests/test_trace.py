"""What is seen while layers are watched: the same numbers, every state, every gate."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import cases
from sunhwan import engine, layers
from sunhwan.engine.recurrences import Weights, equations
from sunhwan.errors import ShapeError, UsageError
from sunhwan.layers.watching import watching

KINDS = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
#: each compiles a loop, so every second one
SOME = [case for case in cases.STOCK if case.H < 60 and case.T < 50][::2]


def _trace(case: cases.Case, given: cases.Arrays, **options: Any) -> engine.Trace:
    run = engine.Run(
        given.kernel, given.recurrent_kernel, given.bias, given.initial_state, case.go_backwards
    )
    return engine.trace(case.cell, given.x, run, mask=given.mask, **options)


def _wanted(case: cases.Case, given: cases.Arrays) -> tuple[Any, dict[str, Any]]:
    """States and gates of each step in float64, by the equations alone."""
    step, _ = equations(case.cell)
    columns = len(case.cell.gates) * case.H
    bias = np.zeros(case.cell.bias_shape(case.H)) if given.bias is None else given.bias
    assert bias.shape[-1] == columns
    w = Weights(*(np.asarray(a, np.float64) for a in (given.kernel, given.recurrent_kernel, bias)))
    state = tuple(np.zeros((case.B, case.H)) for _ in range(case.cell.states))
    if given.initial_state is not None:
        state = tuple(np.asarray(one, np.float64) for one in given.initial_state)
    live = np.ones((case.B, case.T), bool) if given.mask is None else given.mask
    states = [np.zeros((case.B, case.T, case.H)) for _ in state]
    gates = {name: np.zeros((case.B, case.T, case.H)) for name in case.cell.gates}
    order = range(case.T)
    for t in reversed(order) if case.go_backwards else order:
        x = np.where(live[:, t, None], given.x[:, t].astype(np.float64), 0)
        new, memo = step(case.cell, w, x, state)
        state = tuple(
            np.where(live[:, t, None], one, old) for one, old in zip(new, state, strict=True)
        )
        for kept, one in zip(states, state, strict=True):
            kept[:, t] = one
        found = {"simple_rnn": new, "lstm": memo[4:8], "gru": memo[-3:]}[case.cell.kind]
        for name, gate in zip(case.cell.gates, found, strict=True):
            gates[name][:, t] = gate
    return states, gates


@pytest.mark.parametrize("case", SOME, ids=str)
def test_states_and_gates_are_those_of_the_equations(case):
    given = cases.arrays(case)
    trace = _trace(case, given)
    states, gates = _wanted(case, given)
    got = {f"states[{n}]": np.asarray(one) for n, one in enumerate(trace.states)}
    want = {f"states[{n}]": one for n, one in enumerate(states)}
    assert list(trace.gates) == list(case.cell.gates)
    got |= {name: np.asarray(gate) for name, gate in trace.gates.items()}
    assert cases.mismatches(case, got, want | gates) == {}


def test_a_nudge_of_a_state_is_seen_from_there_on():
    case = next(case for case in cases.CASES if case.name == "lstm-mask-holes-backwards")
    given = cases.arrays(case)
    nudges = [np.zeros((case.B, case.T, case.H), np.float32) for _ in range(2)]
    nudges[1][2, 5] = 0.5
    plain, nudged = _trace(case, given), _trace(case, given, nudges=tuple(nudges))
    differs = np.asarray(plain.states[1] != nudged.states[1]).any(axis=2)
    assert differs[2, :6].all()
    assert not differs[2, 6:].any()
    assert not np.delete(differs, 2, axis=0).any()


def test_nudges_of_another_shape_are_refused():
    case = SOME[0]
    given = cases.arrays(case)
    with pytest.raises(ShapeError, match=r"`nudges\[0\]` must have shape \(B, T, H\)"):
        _trace(case, given, nudges=(np.zeros((case.B, case.H), np.float32),))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_a_layer_gives_the_same_while_it_is_watched(kind, go_backwards, return_sequences, zero):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((3, 7, 4)).astype(np.float32)
    mask = rng.random((3, 7)) < 0.7
    layer = KINDS[kind](
        5,
        go_backwards=go_backwards,
        return_sequences=return_sequences,
        return_state=True,
        zero_output_for_mask=zero,
        bias_initializer="random_normal",
    )
    plain = layer(x, mask=mask)
    with watching() as watch:
        watched = layer(x, mask=mask)
    for one, other in zip(plain, watched, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=20 * cases.EPS32)
    trace, live = watch.traces[id(layer)]
    np.testing.assert_array_equal(live, mask)
    assert trace.states[0].shape == (3, 7, 5)


def test_both_directions_are_watched_and_rows_of_a_table_can_be_changed():
    ids = np.array([[3, 1, 4, 1], [5, 2, 0, 0]])
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            layers.Embedding(6, 3, mask_zero=True, name="table"),
            layers.Bidirectional(layers.LSTM(2), name="both"),
        ]
    )
    plain = np.asarray(model(ids))
    with watching() as watch:
        watched = np.asarray(model(ids))
    np.testing.assert_allclose(watched, plain, rtol=0, atol=20 * cases.EPS32)
    both = model.get_layer("both")
    ahead, back = (
        np.asarray(watch.traces[id(one)][0].states[0])
        for one in (both.forward_layer, both.backward_layer)
    )
    np.testing.assert_allclose(ahead[:, -1], plain[:, :2], rtol=0, atol=20 * cases.EPS32)
    np.testing.assert_allclose(back[:, 0], plain[:, 2:], rtol=0, atol=20 * cases.EPS32)
    seen = []
    with watching(change_rows=lambda layer, rows: seen.append(layer.name) or rows * 0):
        other = np.asarray(model(ids))
    assert seen == ["table"]
    model.get_layer("table").set_weights([np.zeros((6, 3))])
    np.testing.assert_allclose(other, model(ids), rtol=0, atol=20 * cases.EPS32)
    assert (other != plain).any()


def test_a_layer_that_is_called_twice_is_refused():
    layer = layers.GRU(3)
    x = np.ones((2, 4, 3), np.float32)
    with watching():
        layer(x)
        with pytest.raises(UsageError, match="is called twice in the model"):
            layer(x)


def test_an_option_of_keras_alone_is_refused():
    layer = layers.GRU(3, activation="gelu", name="memory")
    with watching(), pytest.raises(UsageError, match="`memory` cannot be watched: activation=gelu"):
        layer(np.ones((2, 4, 3), np.float32))
