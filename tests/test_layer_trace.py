"""States and gates of every step, on request."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

import sunhwan
from layer_pairs import array, randomize
from sunhwan import layers
from sunhwan.errors import UsageError

B, T, D, H = 3, 7, 4, 5


def test_states_and_gates_make_the_outputs() -> None:
    """Equations L5 and L6, from what is given, for a layer behind another, with a mask."""
    ids = np.random.default_rng(5).integers(0, 6, (B, T))
    model = keras.Sequential(
        [layers.Embedding(6, D, mask_zero=True), layers.LSTM(H, return_sequences=True, name="one")]
    )
    model.build((B, T))
    randomize(model)
    found = sunhwan.trace(model, ids)["one"]
    (h, c), gates = found.states, found.gates
    before = np.concatenate([np.zeros((B, 1, H)), c[:, :-1]], axis=1)
    live = (ids != 0)[..., None]
    cell = np.where(live, gates["f"] * before + gates["i"] * gates["c"], before)
    np.testing.assert_allclose(c, cell, rtol=0, atol=1e-6)
    shown = np.where(live, gates["o"] * np.tanh(c), h)
    np.testing.assert_allclose(h, shown, rtol=0, atol=1e-6)
    np.testing.assert_allclose(model(ids), h, rtol=0, atol=2e-6)
    for states, last in zip(found.states, found.last, strict=True):
        np.testing.assert_array_equal(states[:, -1], last)


def test_both_directions_and_variants() -> None:
    layer = layers.Bidirectional(
        layers.LSTM(H, return_sequences=True, use_peephole=True, zoneout=0.2, name="both")
    )
    x = array(B, T, D, seed=1)
    y = layer(x)
    found = sunhwan.trace(layer, x)
    assert sorted(found) == ["backward_both", "forward_both"]
    merged = np.concatenate([found[f"{way}_both"].states[0] for way in ("forward", "backward")], -1)
    np.testing.assert_allclose(merged, y, rtol=0, atol=2e-6)


def test_a_loss_may_use_cells() -> None:
    layer, x = layers.LSTM(H, name="one"), array(1, T, D, seed=2)
    layer.build(x.shape)
    randomize(layer)

    def loss(x: jax.Array) -> jax.Array:
        return (sunhwan.trace(layer, x)["one"].states[1] ** 2).sum()

    direction, step = array(1, T, D, seed=3), 1e-2
    measured = (loss(x + step * direction) - loss(x - step * direction)) / (2 * step)
    np.testing.assert_allclose((jax.grad(loss)(x) * direction).sum(), measured, rtol=5e-3)


def test_what_cannot_be_traced_is_told() -> None:
    with pytest.raises(UsageError, match="`stock` has no recurrent layer of sunhwan to trace"):
        sunhwan.trace(keras.layers.LSTM(H, name="stock"), array(1, T, D, seed=4))
    with pytest.raises(UsageError, match="cannot be watched: activation=gelu has no kernel"):
        sunhwan.trace(layers.LSTM(H, activation="gelu"), array(1, T, D, seed=4))
