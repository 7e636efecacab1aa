"""Gates, states, how often they are shut, and units that follow something."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import cases
from sunhwan import layers
from sunhwan.errors import ShapeError
from sunhwan.insight.activity import Activity, activity, followers, signals_of


def _lstm(biases: list[float]) -> keras.Model:
    """An LSTM of 3 units whose gates are what their biases make them."""
    model = keras.Sequential([keras.Input((6, 2)), layers.LSTM(3, name="memory")])
    model.set_weights([np.zeros((2, 12)), np.zeros((3, 12)), np.repeat(biases, 3)])
    return model


def test_gates_and_states_follow_the_equations():
    [seen] = activity(_lstm([1.0, -2.0, 0.5, 3.0]), np.ones((2, 6, 2), np.float32))
    i, f, o = (1 / (1 + np.exp(-a)) for a in (1.0, -2.0, 3.0))
    g = np.tanh(0.5)
    for name, wanted in zip("ifco", (i, f, g, o), strict=True):
        np.testing.assert_allclose(seen.gates[name], wanted, rtol=8 * cases.EPS32)
    cell = 0.0
    for step in range(6):
        cell = f * cell + i * g
        np.testing.assert_allclose(seen.states["c"][:, step], cell, rtol=50 * cases.EPS32)
        np.testing.assert_allclose(
            seen.states["h"][:, step], o * np.tanh(cell), rtol=50 * cases.EPS32
        )


def test_saturation_counts_live_steps_alone():
    [seen] = activity(_lstm([-3.0, 0.0, 9.0, 3.0]), np.ones((1, 6, 2), np.float32))
    # sigmoid(-3) = 0.047, sigmoid(0) = 0.5, sigmoid(3) = 0.953
    assert {k: (s.shut, s.open) for k, s in seen.saturation.items()} == {
        "i": (1.0, 0.0),
        "f": (0.0, 0.0),
        "o": (0.0, 1.0),
    }
    assert seen.saturation["f"].mean == 0.5
    gates = {"z": np.array([[[0.0], [0.95]]]), "r": np.zeros((1, 2, 1)), "h": np.zeros((1, 2, 1))}
    masked = Activity("m", "GRU", 1, gates, {}, np.array([[False, True]]))
    assert (masked.saturation["z"].shut, masked.saturation["z"].open) == (0.0, 1.0)


def test_gates_that_are_not_between_0_and_1_have_no_saturation():
    layer = layers.GRU(3, recurrent_activation="relu", name="memory")
    model = keras.Sequential([keras.Input((4, 2)), layer, keras.layers.Dense(1)])
    [seen] = activity(model, np.ones((2, 4, 2), np.float32))
    assert seen.saturation == {}
    simple = keras.Sequential([keras.Input((4, 2)), layers.SimpleRNN(3)])
    [seen] = activity(simple, np.ones((2, 4, 2), np.float32))
    assert (seen.gates, list(seen.states), seen.saturation) == ({}, ["h"], {})


def test_a_unit_that_counts_is_found():
    # units 0 and 2 forget all at once; unit 1 adds 0.1 a step and keeps it
    rnn = layers.SimpleRNN(3, activation="linear", return_sequences=True, name="counter")
    model = keras.Sequential([keras.Input((9, 1)), rnn])
    u = np.zeros((3, 3))
    u[1, 1] = 1.0
    model.set_weights([np.array([[1.0, 0.0, -2.0]]), u, np.array([0.0, 0.1, 0.0])])
    x = np.random.default_rng(6).standard_normal((5, 9, 1)).astype(np.float32)
    [seen] = activity(model, x)
    found = {one.signal: one for one in followers(seen, signals_of(seen.live) | {"x": x[..., 0]})}
    assert set(found) == {"position", "steps left", "x"}  # all rows are of one length
    assert (found["position"].unit, found["steps left"].unit) == (1, 1)
    assert found["position"].correlation == pytest.approx(1.0, abs=1e-6)
    assert found["steps left"].correlation == pytest.approx(-1.0, abs=1e-6)
    assert found["x"].unit in (0, 2)
    assert abs(found["x"].correlation) == pytest.approx(1.0, abs=1e-6)
    two = followers(seen, {"x": x[..., 0]}, most=2)
    assert {one.unit for one in two} == {0, 2}


def test_masked_steps_and_units_that_never_move_count_for_nothing():
    h = np.zeros((1, 4, 2), np.float32)
    h[0, :, 0] = [1, 2, 3, -50]
    seen = Activity("m", "GRU", 2, {}, {"h": h}, np.array([[True, True, True, False]]))
    [one] = followers(seen, {"position": [[0, 1, 2, 3]]})
    assert (one.unit, round(one.correlation, 6)) == (0, 1.0)
    [both] = followers(Activity("m", "GRU", 2, {}, {"h": h * 0}, seen.live), {"p": [[0, 1, 2, 3]]})
    assert both.correlation == 0.0


def test_a_signal_of_another_shape_is_refused():
    [seen] = activity(_lstm([0.0] * 4), np.ones((2, 6, 2), np.float32))
    with pytest.raises(ShapeError, match=r"signal 'tag' must have shape \(B, T\) = \(2, 6\)"):
        followers(seen, {"tag": np.zeros((2, 5))})
