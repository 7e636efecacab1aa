"""Layer normalisation inside the recurrent layers, beside cells of Keras's LayerNormalization."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import layer_pairs
import sunhwan
from layer_pairs import NAMES, array
from sunhwan import layers
from sunhwan.engine import native
from sunhwan.errors import UsageError

MASK = np.array([[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]], dtype=bool)
RESET = np.array([[0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]], dtype=bool)
UNITS = 5
#: compiling costs far more than running such small layers, so XLA is told not to optimize
QUICK = {"xla_backend_optimization_level": 0}
each = pytest.mark.parametrize("name", NAMES)


def _layer(name: str, shape: tuple[int, ...], seed: int = 1, **options: Any) -> Any:
    options = {"return_sequences": True, "use_layer_norm": True, "norm_epsilon": 2e-3} | options
    layer = getattr(layers, name)(UNITS, **options)
    layer.build(shape)
    layer_pairs.randomize(layer, seed)
    return layer


# ---------------------------------------------------------------- the same from Keras's parts


class _Cell(keras.layers.Layer):
    """A normalised cell out of Keras's layers, with the weights of one of our layers."""

    def __init__(self, ours: Any) -> None:
        super().__init__()
        self.ours, self.kind = ours, type(ours).__name__
        self.state_size = [UNITS] * len(ours.state_size)
        gains = np.asarray(ours.norm_gain)
        self.parts = [self._parts(gain) for gain in gains]
        if self.kind == "LSTM":
            beta = np.asarray(ours.cell_offset)
            self.of_cell = self._norm(np.asarray(ours.cell_gain), beta)

    def _norm(self, gain: Any, beta: Any = None) -> Any:
        norm = keras.layers.LayerNormalization(epsilon=2e-3, center=beta is not None)
        norm.build((None, len(gain)))
        norm.set_weights([gain] if beta is None else [gain, beta])
        return norm

    def _parts(self, gain: Any) -> list[Any]:
        cuts = [2 * UNITS] if self.kind == "GRU" else []
        return [self._norm(part) for part in np.split(gain, cuts)]

    def _normal(self, row: int, sums: Any) -> Any:
        cuts = [2 * UNITS] if self.kind == "GRU" else []
        parts = keras.ops.split(sums, cuts, axis=-1) if cuts else [sums]
        done = [norm(part) for norm, part in zip(self.parts[row], parts, strict=True)]
        return keras.ops.concatenate(done, axis=-1)

    def call(self, x: Any, states: Any) -> Any:
        ops, cell = keras.ops, self.ours.cell
        xw, hu = ops.matmul(x, cell.kernel), ops.matmul(states[0], cell.recurrent_kernel)
        if self.kind == "SimpleRNN":
            h = ops.tanh(self._normal(0, xw + hu) + cell.bias)
            return h, [h]
        xw, hu = self._normal(0, xw), self._normal(1, hu)
        if self.kind == "LSTM":
            i, f, g, o = ops.split(xw + hu + cell.bias, 4, axis=-1)
            c = ops.sigmoid(f) * states[1] + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(self.of_cell(c))
            return h, [h, c]
        xz, xr, xh = ops.split(xw + cell.bias[0], 3, axis=-1)
        hz, hr, hh = ops.split(hu + cell.bias[1], 3, axis=-1)
        z = ops.sigmoid(xz + hz)
        h = z * states[0] + (1 - z) * ops.tanh(xh + ops.sigmoid(xr + hr) * hh)
        return h, [h]


@pytest.mark.parametrize(
    ("name", "go_backwards"), [("SimpleRNN", False), ("LSTM", True), ("GRU", False)]
)
def test_outputs_and_states_are_those_of_a_cell_of_keras_layers(
    name: str, go_backwards: bool
) -> None:
    x = array(3, 6, 4, scale=2.0)
    options = {"go_backwards": go_backwards, "return_state": True}
    layer = _layer(name, x.shape, **options)
    stock = keras.layers.RNN(_Cell(layer), return_sequences=True, **options)
    if native.available():
        assert sunhwan.explain(layer, strict=True)[0].is_fused
    layer_pairs.assert_same(layer(x, mask=MASK), stock(x, mask=MASK), rtol=0, atol=3e-6)
    assert len(layer.weights) == {"SimpleRNN": 4, "LSTM": 6, "GRU": 4}[name]


@each
def test_the_scale_of_the_input_does_not_matter(name: str) -> None:
    """With nothing but the input: what normalisation is for."""
    x = array(3, 6, 4)
    layer = _layer(name, x.shape, norm_epsilon=1e-12)
    layer.cell.recurrent_kernel.assign(np.zeros_like(layer.cell.recurrent_kernel))
    np.testing.assert_allclose(layer(1000 * x), layer(x), rtol=0, atol=1e-5)
    assert np.abs(np.asarray(layer(x[::-1])) - np.asarray(layer(x))).max() > 0.02


@each
def test_it_begins_with_gains_of_one_and_draws_no_seed(name: str) -> None:
    found = []
    for normalized in (True, False):
        keras.utils.set_random_seed(5)
        layer = getattr(layers, name)(UNITS, use_layer_norm=normalized)
        model = keras.Sequential([keras.Input((6, 4)), layer, keras.layers.Dense(2)])
        found.append(model.get_weights())
    own = len(found[0]) - len(found[1])
    kinds = {"SimpleRNN": ["norm_gain"], "GRU": ["norm_gain"]}
    names = kinds.get(name, ["norm_gain", "cell_gain", "cell_offset"])
    layer = _layer(name, (2, 6, 4))
    assert [w.name for w in layer.weights[:own]] == names
    for value, kind in zip(found[0], names, strict=False):
        np.testing.assert_array_equal(value, np.full_like(value, kind != "cell_offset"))
    for ours, bare in zip(found[0][own:], found[1], strict=True):
        np.testing.assert_array_equal(ours, bare)


# ---------------------------------------------------------------- with everything else


def _gradients(layer: Any, x: Any, **call: Any) -> list[Any]:
    """Of a weighted sum of the outputs, for the weights and ``x``."""
    fixed = [v.value for v in layer.non_trainable_variables]

    def loss(weights: Any, x: Any) -> Any:
        outputs = layer.stateless_call(weights, fixed, x, mask=MASK, **call)[0]
        return (outputs * array(*outputs.shape, seed=3)).sum()

    weights = [v.value for v in layer.trainable_variables]
    program = jax.jit(jax.grad(loss, (0, 1)), compiler_options=QUICK)
    return layer_pairs.flat(program(weights, x))


@each
@pytest.mark.skipif(not native.available(), reason="there are no kernels to compare with")
def test_gradients_by_kernel_are_those_of_plain_jax(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = array(3, 6, 4)
    layer = _layer(name, x.shape, zoneout=0.2, recurrent_dropout=0.3)
    kernel = _gradients(layer, x, reset=RESET)
    monkeypatch.setattr(native, "why_plain", lambda *_: "a test")
    jax.clear_caches()
    plain = _gradients(layer, x, reset=RESET)
    jax.clear_caches()
    for got, want in zip(kernel, plain, strict=True):
        assert want.any()
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * np.abs(want).max() + 1e-5)


def test_bidirectional_has_it_in_both_directions() -> None:
    x = array(3, 6, 4)
    inner = layers.LSTM(UNITS, return_sequences=True, use_layer_norm=True)
    both = layers.Bidirectional(inner)
    both.build(x.shape)
    layer_pairs.randomize(both)
    ahead = np.asarray(both.forward_layer(x, mask=MASK))
    back = np.asarray(both.backward_layer(x, mask=MASK))[:, ::-1]
    assert np.abs(ahead - back).max() > 0.1
    want = np.concatenate([ahead, back], axis=-1)
    np.testing.assert_allclose(both(x, mask=MASK), want, rtol=0, atol=1e-6)
    assert all(line.is_fused == native.available() for line in sunhwan.explain(both))
    assert both.backward_layer.norm_gain is not both.forward_layer.norm_gain


@each
def test_what_is_looked_up_gives_the_bits_of_two_layers_and_gradients_by_id(name: str) -> None:
    """Ids repeat, so that W x is multiplied, and its gradient summed, once for each id."""
    ids = np.random.default_rng(2).integers(0, 7, (24, 20))
    table = layers.Embedding(7, 4)
    layer = _layer(name, (24, 20, 4))
    model = keras.Sequential([table, layer])
    model.build((None, 20))
    layer_pairs.randomize(model)
    weights = [np.array(v) for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]
    upstream = array(24, 20, UNITS, seed=3)

    def apart(weights: Any) -> Any:
        rows = weights[0][ids] + 0  # no lookup any more
        return (layer.stateless_call(weights[1:], fixed, rows)[0] * upstream).sum()

    def joined(weights: Any) -> Any:
        return (model.stateless_call(weights, fixed, ids)[0] * upstream).sum()

    programs = [jax.jit(jax.value_and_grad(f), compiler_options=QUICK) for f in (joined, apart)]
    (value, *found), (other, *wanted) = (jax.tree.leaves(run(weights)) for run in programs)
    np.testing.assert_array_equal(value, other)
    for got, want in zip(found, wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-5 * np.abs(want).max())


@each
def test_layers_of_another_precision_have_it_in_float32(name: str) -> None:
    x = array(3, 6, 4)
    rounded = np.asarray(keras.ops.cast(keras.ops.cast(x, "bfloat16"), "float32"))
    other = _layer(name, x.shape, dtype="mixed_bfloat16")
    want = _layer(name, x.shape)(rounded)
    np.testing.assert_allclose(np.asarray(other(x), "float32"), want, rtol=0, atol=4e-3)


# ---------------------------------------------------------------- saved, streamed, traced


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    x = keras.Input((6, 4))
    y = layers.LSTM(UNITS, return_sequences=True, use_layer_norm=True, norm_epsilon=0.02)(x)
    y = layers.SimpleRNN(4, return_sequences=True, use_layer_norm=True)(y)
    y = layers.Bidirectional(layers.GRU(3, use_layer_norm=True, zoneout=0.1))(y)
    model = keras.Model(x, y)
    layer_pairs.randomize(model)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    lstm = next(one for one in loaded.layers if isinstance(one, layers.LSTM))
    config = lstm.get_config()
    assert (config["use_layer_norm"], config["norm_epsilon"]) == (True, 0.02)
    given = array(3, 6, 4)
    np.testing.assert_array_equal(loaded(given), model(given))
    layer_pairs.randomize(loaded, seed=9)
    assert (np.asarray(loaded(given)) != np.asarray(model(given))).any()
    loaded.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(loaded(given), model(given))
    assert "use_layer_norm" not in layers.GRU(3).get_config()


@pytest.mark.skipif(not native.available(), reason="a stream needs kernels")
def test_a_stream_has_the_bits_of_a_call() -> None:
    model = keras.Sequential(
        [
            keras.Input((6, 4)),
            layers.SimpleRNN(7, return_sequences=True, use_layer_norm=True),
            layers.LSTM(UNITS, return_sequences=True, use_layer_norm=True, use_peephole=True),
            layers.GRU(19, return_sequences=True, use_layer_norm=True, norm_epsilon=0.1),
        ]
    )
    layer_pairs.randomize(model)
    x = array(2, 6, 4)
    stream = sunhwan.stream(model, batch_size=2)
    steps = [np.array(stream.step(x[:, t])) for t in range(6)]
    np.testing.assert_array_equal(np.stack(steps, axis=1), model(x))


@each
def test_a_trace_has_it(name: str) -> None:
    x = array(3, 6, 4)
    layer = _layer(name, x.shape, zoneout=0.3)
    found = sunhwan.trace(layer, x, mask=MASK)[layer.name]
    np.testing.assert_allclose(found.states[0], layer(x, mask=MASK), rtol=0, atol=2e-6)
    if name == "GRU":
        z, h = found.gates["z"][0, 0], found.gates["h"][0, 0]
        want = 0.3 * 0 + 0.7 * (1 - z) * h
        np.testing.assert_allclose(found.states[0][0, 0], want, rtol=0, atol=2e-6)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("wrong", [0, -1e-3, float("nan"), float("inf"), "small", None, True])
def test_an_epsilon_that_is_no_number_above_0_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"`norm_epsilon` of layer `m` must be a number above 0"):
        layers.LSTM(3, use_layer_norm=True, norm_epsilon=wrong, name="m")
    layer = layers.LSTM(3, use_layer_norm=True, norm_epsilon=np.float32(0.5))  # a number as well
    assert type(layer.get_config()["norm_epsilon"]) is float


def test_a_gru_that_resets_before_is_refused() -> None:
    with pytest.raises(UsageError, match="layer `m` cannot have `use_layer_norm` with reset_after"):
        layers.GRU(3, use_layer_norm=True, reset_after=False, name="m")


def test_keras_own_loop_refuses_it() -> None:
    layer = layers.LSTM(3, activation="gelu", use_layer_norm=True, name="memory")
    with pytest.raises(UsageError, match="layer `memory` cannot have `use_layer_norm` in Keras's"):
        layer(array(2, 4, 3))
