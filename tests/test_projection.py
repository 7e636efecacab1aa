"""LSTMs whose output is projected: the definition, the layers, and where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import sunhwan
from layer_pairs import array, flat, gradients, randomize
from sunhwan import engine, insight, layers
from sunhwan.engine import Cell, native, reference
from sunhwan.errors import ShapeError, UsageError
from sunhwan.layers.projected import ProjectedLSTMCell

B, T, D, H, P = 3, 7, 4, 6, 2
MASK = np.random.default_rng(3).random((B, T)) < 0.6
needs_kernels = pytest.mark.skipif(
    not native.available(), reason=f"kernels: {native.why_missing()}"
)


def _layer(**options: Any) -> Any:
    layer = layers.LSTM(H, projection_units=P, **options)
    layer.build((B, T, D))
    randomize(layer)
    return layer


def _by_keras(layer: Any, **options: Any) -> Any:
    """Keras's own loop over a cell of the same weights."""
    cell = ProjectedLSTMCell.from_config(layer.cell.get_config())
    rnn = keras.layers.RNN(cell, **options)
    rnn.build((B, T, D))
    rnn.set_weights(layer.get_weights())
    return rnn


# ---------------------------------------------------------------- the definition


def _sigmoid(a: Any) -> Any:
    return 1 / (1 + np.exp(-a))


def test_the_reference_is_what_pytorch_documents_for_proj_size() -> None:
    """``torch.nn.LSTM``: W_ih [4H, D], W_hh [4H, P], W_hr [P, H], gates in the order i f g o."""
    rng = np.random.default_rng(7)
    w_ih, w_hh = rng.standard_normal((4 * H, D)), rng.standard_normal((4 * H, P))
    w_hr, b_ih, b_hh = (rng.standard_normal(s) for s in ((P, H), (4 * H,), (4 * H,)))
    x, h, c = (rng.standard_normal(s) for s in ((T, D), (P,), (H,)))
    run = reference.forward(
        Cell("lstm"), x[None], w_ih.T, w_hh.T, b_ih + b_hh, initial_state=(h[None], c[None]),
        projection=w_hr.T,
    )  # fmt: skip
    for n, step in enumerate(x):
        a = w_ih @ step + b_ih + w_hh @ h + b_hh
        i, f, g, o = _sigmoid(a[:H]), _sigmoid(a[H : 2 * H]), np.tanh(a[2 * H : 3 * H]), a[3 * H :]
        c = f * c + i * g
        h = w_hr @ (_sigmoid(o) * np.tanh(c))
        np.testing.assert_allclose(run.outputs[0, n], h, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(run.sequences[1][0, n], c, rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------- the layer


@pytest.mark.parametrize(
    ("options", "mask"),
    [
        ({"return_sequences": True, "go_backwards": True}, None),
        ({"return_state": True, "use_bias": False}, MASK),
        ({"return_sequences": True, "zero_output_for_mask": True}, MASK),
    ],
)
def test_a_layer_gives_what_keras_loop_gives_over_the_cell(options: Any, mask: Any) -> None:
    x = array(B, T, D)
    ours = _layer(**options)
    stock = _by_keras(ours, **{n: v for n, v in options.items() if n != "use_bias"})
    assert sunhwan.explain(ours)[0].is_fused == native.available()
    for one, other in zip(flat(ours(x, mask=mask)), flat(stock(x, mask=mask)), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)
    assert ours.compute_output_shape(x.shape) == stock.compute_output_shape(x.shape)


def test_gradients_of_a_layer_are_those_of_keras_loop_over_the_cell() -> None:
    x, options = array(B, T, D), {"return_sequences": True, "return_state": True}
    ours = _layer(**options)
    found = (gradients(layer, x, mask=MASK) for layer in (ours, _by_keras(ours, **options)))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


def test_dropout_with_a_seed_is_that_of_keras_loop() -> None:
    x = array(B, T, D)
    ours = _layer(dropout=0.3, recurrent_dropout=0.4, seed=11)
    stock = _by_keras(ours)
    np.testing.assert_allclose(ours(x, training=True), stock(x, training=True), rtol=0, atol=2e-6)


def test_every_variant_together_is_the_reference() -> None:
    x = array(B, T, D)
    reset = np.random.default_rng(4).random((B, T)) < 0.3
    layer = _layer(
        use_peephole=True, zoneout=(0.2, 0.4), return_state_sequences=True, return_state=True
    )
    cell = layer.cell
    run = reference.forward(
        Cell("lstm", zoneout_h=0.2, zoneout_c=0.4),
        x,
        *(np.asarray(w) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)),
        mask=MASK,
        reset=reset,
        peephole=np.asarray(layer.peephole_kernel),
        projection=np.asarray(cell.projection_kernel),
    )
    got = flat(layer(x, mask=MASK, reset=reset))
    for one, other in zip(got, (run.states[0], *run.states, *run.sequences), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)
    traced = sunhwan.trace(layer, x, mask=MASK, reset=reset)[layer.name]
    for one, other in zip(traced.states, run.sequences, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)


def test_both_directions_an_embedding_and_fit() -> None:
    ids = np.random.default_rng(5).integers(0, 9, (8, T))
    model = keras.Sequential([
        keras.Input((T,), dtype="int32"),
        layers.Embedding(9, D, mask_zero=True),
        layers.Bidirectional(layers.LSTM(H, projection_units=P, return_sequences=True)),
        layers.LSTM(5, projection_units=5),
    ])  # fmt: skip
    randomize(model)
    both, last = model.layers[1:]
    x, mask = np.asarray(model.layers[0].embeddings)[ids], ids != 0
    ways = []
    for one in (both.forward_layer, both.backward_layer):
        rnn = _by_keras(one, return_sequences=True, go_backwards=one.go_backwards)
        ways.append(np.asarray(rnn(x, mask=mask)))
    want = np.concatenate([ways[0], ways[1][:, ::-1]], axis=-1) * mask[..., None]
    rnn = keras.layers.RNN(ProjectedLSTMCell.from_config(last.cell.get_config()))
    rnn.build(want.shape)
    rnn.set_weights(last.get_weights())
    np.testing.assert_allclose(
        model.predict(ids, verbose=0), rnn(want, mask=mask), rtol=0, atol=3e-6
    )
    before = model.get_weights()
    model.compile("sgd", "mse")
    model.fit(ids, array(8, 5), epochs=1, verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))


def test_a_stateful_layer_goes_on_and_all_is_saved(tmp_path: Path) -> None:
    x = array(B, 2 * T, D)
    layer = _layer(stateful=True)
    layer(x[:, :T])
    np.testing.assert_allclose(layer(x[:, T:]), _layer()(x), rtol=0, atol=2e-6)
    given = keras.Input((T, D))
    options = {"projection_units": P, "projection_initializer": "ones"}
    model = keras.Model(given, layers.LSTM(H, **options)(given))
    assert (np.asarray(model.layers[1].cell.projection_kernel) == 1).all()
    randomize(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x[:, :T]), model(x[:, :T]))
    assert isinstance(loaded.layers[1].cell.projection_initializer, keras.initializers.Ones)
    assert "projection_units" not in layers.LSTM(3).get_config()


def test_another_activation_runs_in_keras_loop() -> None:
    x = array(B, T, D)
    layer = _layer(activation="gelu")
    assert sunhwan.explain(layer)[0].kernel == "Keras's own loop"
    np.testing.assert_allclose(layer(x), _by_keras(layer)(x), rtol=0, atol=2e-6)


# ---------------------------------------------------------------- the engine


def test_vmap_forward_mode_and_second_derivatives() -> None:
    weights = {
        "kernel": array(D, 4 * H, seed=1, scale=0.5),
        "recurrent_kernel": array(P, 4 * H, seed=2, scale=0.5),
        "projection": array(H, P, seed=3, scale=0.5),
    }
    x = array(B, T, D)

    def loss(weights: Any, x: Any) -> Any:
        [(y, states)] = engine.rnns(Cell("lstm"), x, [engine.Run(**weights)])
        return (y**2).sum() + sum((s**3).sum() for s in states)

    many = np.stack([x, 0.5 * x[::-1]])
    mapped = jax.vmap(jax.grad(loss), (None, 0))(weights, many)
    gradient = jax.grad(loss)(weights, x)
    for name, value in gradient.items():
        np.testing.assert_allclose(mapped[name][0], value, rtol=1e-4, atol=1e-6)
    direction = {n: array(*w.shape, seed=9) for n, w in weights.items()}
    along = jax.jvp(lambda w: loss(w, x), (weights,), (direction,))[1]
    summed = sum((gradient[n] * direction[n]).sum() for n in weights)
    np.testing.assert_allclose(summed, along, rtol=2e-5)
    bent = jax.jvp(lambda w: jax.grad(loss)(w, x), (weights,), (direction,))[1]
    assert all(np.isfinite(value).all() and np.abs(value).max() > 0 for value in bent.values())


# ---------------------------------------------------------------- where they cannot be


@pytest.mark.parametrize("wrong", [0, -1, H + 1, 2.5, "2", True])
def test_units_that_do_not_fit_are_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="`projection_units` must be a whole number from 1 to"):
        layers.LSTM(H, projection_units=wrong)
    with pytest.raises(UsageError, match="has projection_units, which Keras cannot hand to cuDNN"):
        layers.LSTM(H, projection_units=P, use_cudnn=True)
    with pytest.raises(UsageError, match="which a layer with use_layer_norm cannot have"):
        layers.LSTM(H, projection_units=P, use_layer_norm=True)
    assert layers.LSTM(H, projection_units=np.int64(P)).get_config()["projection_units"] == P


def test_what_does_not_fit_the_engine_is_named() -> None:
    x, w, u = np.zeros((2, 3, D), "f"), np.zeros((D, 4 * H), "f"), np.zeros((P, 4 * H), "f")
    for wrong in (np.zeros((H,), "f"), np.zeros((P, H), "f")):
        with pytest.raises(ShapeError, match=r"`projection` must have shape \(H, P\)"):
            engine.rnns(Cell("lstm"), x, [engine.Run(w, u, projection=wrong)])
    with pytest.raises(ShapeError, match=r"`kernel` must have shape .* = \(4, 28\)"):
        engine.rnns(Cell("lstm"), x, [engine.Run(w, u, projection=np.zeros((H + 1, P), "f"))])
    message = "`projection` must be None for a gru, which has no cell c"
    with pytest.raises(ShapeError, match=message):
        engine.rnns(Cell("gru"), x, [engine.Run(w, u, projection=np.zeros((H, P), "f"))])
    with pytest.raises(ShapeError, match=message):
        reference.forward(Cell("gru"), x, w, u, projection=np.zeros((H, P)))
    layer = _layer()
    states = [np.zeros((B, H), "f"), np.zeros((B, H), "f")]
    with pytest.raises(ShapeError, match=r"`initial_state\[0\]` of layer .* shape \(3, 2\)"):
        layer(array(B, T, D), initial_state=states)


@needs_kernels
def test_streams_and_insight_refuse_by_name() -> None:
    model = keras.Sequential([keras.Input((T, D)), layers.LSTM(H, projection_units=P, name="m")])
    with pytest.raises(UsageError, match=r"layer `m` .* an output that is projected has no kernel"):
        sunhwan.stream(model)
    with pytest.raises(UsageError, match="layer `m` has projection_units"):
        insight.activity(model, array(B, T, D))
