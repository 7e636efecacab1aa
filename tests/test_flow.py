"""The gradient that flows back: w^n, the product of Jacobians, verdicts."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import cases
from sunhwan import layers
from sunhwan.engine.recurrences import Weights, equations
from sunhwan.errors import UsageError
from sunhwan.insight.flow import Flow, by_steps_back, gradient_flow, rate_of
from sunhwan.insight.parts import parts_of

KINDS = {"simple_rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def _linear(w: float, steps: int) -> Any:
    rnn = layers.SimpleRNN(1, activation="linear", name="memory")
    model = keras.Sequential([keras.Input((steps, 1)), rnn])
    model.set_weights([np.ones((1, 1)), np.full((1, 1), w), np.zeros(1)])
    return model


@pytest.mark.parametrize("w", [0.9, 1.0, 1.1, -0.7, 0.5])
def test_of_a_linear_network_it_is_w_to_the_n(w):
    rng = np.random.default_rng(2)
    [flow] = gradient_flow(_linear(w, 60), rng.standard_normal((3, 60, 1)).astype(np.float32))
    n = np.arange(60)
    w32 = np.float64(np.float32(w))
    # n products, each off by half a unit in the last place at most
    assert (np.abs(flow.norms / abs(w32) ** n - 1) <= n * cases.EPS32 / 2 + 1e-15).all()
    assert flow.rate == pytest.approx(abs(w), rel=1e-6)
    assert flow.estimate == pytest.approx(abs(w), rel=1e-6)
    assert flow.steps == 59


@pytest.mark.parametrize(
    ("w", "verdict"),
    [(0.8, "vanishes"), (0.95, "fades"), (0.97, "carries"), (1.05, "carries"), (1.3, "explodes")],
)
def test_a_thousandth_and_a_thousandfold_decide(w, verdict):
    # 0.8^59 = 2e-6, 0.95^59 = 0.05, 0.97^59 = 0.17, 1.05^59 = 18, 1.3^59 = 5e6
    [flow] = gradient_flow(_linear(w, 60), np.ones((2, 60, 1), np.float32))
    assert flow.verdict == verdict
    assert str(flow).startswith(f"memory (SimpleRNN): {verdict}, a factor of {w:.3g} a step")
    assert flow.half_life == pytest.approx(np.log(0.5) / np.log(w), rel=1e-4)


def _by_jacobians(case: cases.Case, given: cases.Arrays, answer: Any) -> np.ndarray:
    """``[B, T]``: norms of the derivative for the state behind each step, by the equations."""
    step, step_back = equations(case.cell)
    bias = np.zeros(case.cell.bias_shape(case.H)) if given.bias is None else given.bias
    w = Weights(*(np.asarray(a, np.float64) for a in (given.kernel, given.recurrent_kernel, bias)))
    live = np.ones((case.B, case.T), bool) if given.mask is None else given.mask
    norms = np.zeros((case.B, case.T))
    for b in range(case.B):
        order = np.flatnonzero(live[b])
        order = order[::-1] if case.go_backwards else order
        state = tuple(np.zeros((1, case.H)) for _ in range(case.cell.states))
        memos = []
        for t in order:
            state, memo = step(case.cell, w, given.x[b : b + 1, t].astype(np.float64), state)
            memos.append(memo)
        # the answer reads h alone
        back = (answer[None], *(np.zeros((1, case.H)) for _ in state[1:]))
        for t, memo in zip(order[::-1], memos[::-1], strict=True):
            norms[b, t] = np.linalg.norm(np.concatenate(back))
            back = step_back(case.cell, w, memo, back).state
    return norms


@pytest.mark.parametrize("label", cases.CELLS)
@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("mask", [None, "holes"])
def test_of_random_networks_it_is_the_product_of_jacobians(label, go_backwards, mask):
    cell = cases.CELLS[label]
    case = cases.Case(label, cell, B=4, T=13, D=3, H=6, mask=mask, go_backwards=go_backwards)
    given = cases.arrays(case)
    options = {} if cell.kind != "gru" else {"reset_after": cell.reset_after}
    x = keras.Input((case.T, case.D))
    seen = keras.Input((case.T,), dtype="bool")
    rnn = KINDS[cell.kind](case.H, go_backwards=go_backwards, **options)
    model = keras.Model([x, seen], keras.layers.Dense(1, use_bias=False)(rnn(x, mask=seen)))
    answer = np.random.default_rng(8).standard_normal((case.H, 1)).astype(np.float32)
    model.set_weights([given.kernel, given.recurrent_kernel, given.bias, answer])
    live = np.ones((case.B, case.T), bool) if given.mask is None else given.mask
    [flow] = gradient_flow(model, [given.x, live])
    wanted, rows = by_steps_back(
        _by_jacobians(case, given, answer[:, 0].astype(np.float64)), live, go_backwards
    )
    assert flow.rows == rows
    # a step forward and a step back sum D + H and G*H products, and hand their errors on
    terms = (8 + case.D + case.H + 4 * case.H) * case.T
    np.testing.assert_allclose(flow.norms, wanted, rtol=terms * cases.EPS32)


def test_the_loss_and_a_chosen_output_are_told_apart():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((5, 8, 2)).astype(np.float32)
    model = keras.Sequential([keras.Input((8, 2)), layers.GRU(4), keras.layers.Dense(3)])
    model.compile(loss="mse")
    first, last = (gradient_flow(model, x, output=n)[0].norms for n in (0, 2))
    assert not np.allclose(first, last)
    # the mean square of three outputs: two thirds of what each is off
    off = np.zeros((5, 3), np.float32)
    off[:, 2] = 1.5
    for loss in (None, keras.losses.MeanSquaredError(), keras.losses.mean_squared_error):
        [flow] = gradient_flow(model, x, np.asarray(model(x)) - off, loss=loss)
        np.testing.assert_allclose(flow.norms, last, rtol=1e-4)
    with pytest.raises(UsageError, match="the model has 3 outputs, received number 3"):
        gradient_flow(model, x, output=3)


def test_answers_at_each_step_are_asked_at_the_last_one_that_is_live():
    rng = np.random.default_rng(4)
    ids = rng.integers(1, 9, (2, 6))
    ids[1, 4:] = 0
    table = layers.Embedding(9, 3, mask_zero=True)
    tagger = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            table,
            layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both"),
            keras.layers.Dense(2),
        ]
    )
    ahead, back = gradient_flow(tagger, ids)
    assert (ahead.name, back.name) == ("both →", "both ←")
    # half of the rows reach six steps
    assert (ahead.steps, ahead.rows) == (back.steps, back.rows) == (5, 1)
    assert (ahead.norms > 0).all()
    assert (back.norms > 0).all()


def test_deeper_layers_hear_of_the_answer_through_those_above():
    model = keras.Sequential(
        [
            keras.Input((9, 2)),
            layers.SimpleRNN(3, return_sequences=True, name="low"),
            layers.LSTM(4, name="high"),
            keras.layers.Dense(1),
        ]
    )
    x = np.random.default_rng(1).standard_normal((3, 9, 2)).astype(np.float32)
    low, high = gradient_flow(model, x)
    [alone] = gradient_flow(model, x, layers=["low"])
    np.testing.assert_allclose(alone.norms, low.norms, rtol=1e-6)
    assert [low.name, high.name] == ["low", "high"]
    with pytest.raises(UsageError, match=r"no recurrent part is named 'top'; there are \['low'"):
        gradient_flow(model, x, layers=["top"])


def test_the_textbook_factor_of_gates_is_their_mean():
    model = keras.Sequential([keras.Input((5, 2)), layers.LSTM(3, unit_forget_bias=False)])
    model.set_weights([np.zeros((2, 12)), np.zeros((3, 12)), np.repeat([0.0, 2.0, 0.0, 0.0], 3)])
    [flow] = gradient_flow(model, np.ones((2, 5, 2), np.float32))
    assert flow.estimate == pytest.approx(1 / (1 + np.exp(-2.0)), rel=1e-6)


def test_a_gradient_that_is_gone_at_once_vanishes():
    assert rate_of(np.array([1.0, 0.0, 0.0])) == 0.0
    flow = Flow("m", "LSTM", np.array([1.0, 0, 0]), 2, 0.0, 0.5)
    assert flow.verdict == "vanishes"
    assert rate_of(np.array([2.0])) == 1.0


def test_what_cannot_be_looked_into_is_refused():
    with pytest.raises(UsageError, match="expected a Keras model, received list"):
        parts_of([])
    with pytest.raises(UsageError, match="`plain` has no SimpleRNN, LSTM or GRU"):
        parts_of(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="plain"))
    with pytest.raises(UsageError, match="`young` is not built"):
        parts_of(keras.Sequential([layers.LSTM(2)], name="young"))
    stock = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(2, name="theirs")])
    with pytest.raises(UsageError, match=r"`theirs` is keras.layers.GRU, which cannot") as caught:
        parts_of(stock)
    assert "sunhwan.layers.GRU" in str(caught.value.hint)
    model = _linear(0.5, 4)
    with pytest.raises(UsageError, match="expected one loss to differentiate"):
        gradient_flow(model, np.ones((1, 4, 1), np.float32), np.ones((1, 1)))


def _pooled(pooling: Any) -> Any:
    model = keras.Sequential(
        [
            keras.Input((40, 2)),
            layers.SimpleRNN(3, return_sequences=True, activation="linear", name="memory"),
            pooling,
            keras.layers.Dense(2),
        ]
    )
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    model.get_layer("memory").set_weights([np.ones((2, 3)), 0.8 * turn, np.zeros(3)])
    return model


@pytest.mark.parametrize("kind", ["GlobalAveragePooling1D", "GlobalMaxPooling1D"])
def test_pooling_is_no_way_back_for_what_a_layer_carries(kind):
    model = _pooled(getattr(keras.layers, kind)())
    x = np.random.default_rng(3).standard_normal((4, 40, 2)).astype(np.float32)
    [flow] = gradient_flow(model, x)
    # the recurrent kernel turns and shrinks by 0.8
    assert flow.rate == pytest.approx(0.8, rel=1e-4)
    np.testing.assert_allclose(flow.norms / flow.norms[0], 0.8 ** np.arange(40), rtol=1e-4)
    assert flow.verdict == "vanishes"
    [whole] = gradient_flow(model, x, through="model")
    assert whole.verdict == "carries"
    with pytest.raises(UsageError, match="`through` must be 'layer' or 'model', received 'all'"):
        gradient_flow(model, x, through="all")  # type: ignore[arg-type]


def test_a_layer_below_is_measured_by_its_own_steps():
    model = keras.Sequential(
        [
            keras.Input((30, 1)),
            layers.SimpleRNN(1, activation="linear", return_sequences=True, name="low"),
            layers.SimpleRNN(1, activation="linear", name="high"),
        ]
    )
    for name, w in (("low", 0.5), ("high", 0.9)):
        model.get_layer(name).set_weights([np.ones((1, 1)), np.full((1, 1), w), np.zeros(1)])
    x = np.ones((2, 30, 1), np.float32)
    low, high = gradient_flow(model, x)
    assert (low.rate, high.rate) == (pytest.approx(0.5, rel=1e-5), pytest.approx(0.9, rel=1e-5))
    # by all ways: sum of 0.5^k 0.9^(n-k) over k from 0 to n
    whole, _ = gradient_flow(model, x, through="model")
    n = np.arange(30)
    wanted = [sum(0.5**k * 0.9 ** (m - k) for k in range(m + 1)) for m in n]
    np.testing.assert_allclose(whole.norms, wanted, rtol=1e-5)
