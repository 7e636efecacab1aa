"""The layers with dropout in the engine, zoneout, peepholes and resets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import layer_pairs
import sunhwan
from layer_pairs import NAMES, array, assert_same, pair, wrapped
from sunhwan import layers
from sunhwan.engine import Cell, native, reference
from sunhwan.errors import ShapeError, UsageError
from sunhwan.layers.watching import watching

MASK = np.array([[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]], dtype=bool)
RESET = np.array([[0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]], dtype=bool)
#: compiling costs far more than running such small layers, so XLA is told not to optimize
QUICK = {"xla_backend_optimization_level": 0}
DROPS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("SimpleRNN", {"dropout": 0.4, "recurrent_dropout": 0.3}),
    "rnn-all": ("SimpleRNN", {"dropout": 1.0, "recurrent_dropout": 1.0}),
    "lstm": ("LSTM", {"dropout": 0.4, "recurrent_dropout": 0.3}),
    "lstm-input": ("LSTM", {"dropout": 0.4}),
    "lstm-by-gate": ("LSTM", {"dropout": 0.4, "implementation": 1, "use_cudnn": False}),
    "gru-before": ("GRU", {"dropout": 0.4, "recurrent_dropout": 0.5, "reset_after": False}),
    "gru-state": ("GRU", {"recurrent_dropout": 0.3, "use_bias": False, "go_backwards": True}),
}


# ---------------------------------------------------------------- dropout


def _learning(layer: Any, x: Any, mask: Any = None) -> tuple[list[Any], list[Any]]:
    """Outputs and state of the generators after a step of training; and its gradients."""
    weights = [v.value for v in layer.trainable_variables]
    fixed = [v.value for v in layer.non_trainable_variables]
    upstream = array(*layer.compute_output_shape(x.shape), seed=7)
    wrt = (0, 1) if x.dtype == np.float32 else (0,)

    def loss(weights: Any, x: Any) -> Any:
        call = {} if mask is None else {"mask": mask}
        outputs, later = layer.stateless_call(weights, fixed, x, training=True, **call)
        return (outputs * upstream).sum(), (outputs, later)

    program = jax.jit(jax.grad(loss, wrt, has_aux=True), compiler_options=QUICK)
    gradients, after = program(weights, x)
    return layer_pairs.flat(after), layer_pairs.flat(gradients)


def _assert_learn_alike(ours: Any, stock: Any, x: Any, mask: Any = None) -> None:
    left, right = _learning(ours, x, mask), _learning(stock, x, mask)
    assert_same(left[0], right[0])
    assert_same(left[1], right[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("drop", DROPS)
def test_dropout_with_a_seed_gives_the_numbers_of_stock(drop: str) -> None:
    name, options = DROPS[drop]
    x = array(3, 6, 4)
    ours, stock = pair(name, 5, shape=x.shape, seed=11, return_sequences=True, **options)
    assert sunhwan.explain(ours)[0].is_fused == native.available()
    _assert_learn_alike(ours, stock, x, MASK)
    bare, _ = pair(name, 5, shape=x.shape, return_sequences=True)
    if "go_backwards" not in options and "reset_after" not in options:
        np.testing.assert_array_equal(ours(x), bare(x))  # none in inference


@pytest.mark.parametrize("recurrent_dropout", [0, 0.3])
def test_dropout_of_both_directions_gives_the_numbers_of_stock(recurrent_dropout: float) -> None:
    """By gate they run side by side; where each drops its input before the gates, in turn."""
    x = array(3, 6, 4)
    drop = {"dropout": 0.4, "recurrent_dropout": recurrent_dropout, "seed": 5}
    both = wrapped("GRU", x.shape, {"units": 5, "return_sequences": True, **drop})
    _assert_learn_alike(*both, x, MASK)


def test_a_stateful_bidirectional_learns_with_recurrent_dropout_as_stock_does() -> None:
    x = array(3, 6, 4)
    drop = {"units": 5, "return_sequences": True, "recurrent_dropout": 0.3, "seed": 5}
    found = []
    for layer in wrapped("LSTM", x.shape, {**drop, "stateful": True}):
        outputs = [layer(x, training=True) for _ in range(2)]
        found.append(layer_pairs.flat([outputs, layer(x)]))
        assert np.abs(found[-1][0] - found[-1][1]).max() > 1e-4
    assert_same(*found)


def test_dropout_behind_an_embedding_gives_the_numbers_of_stock() -> None:
    ids = np.random.default_rng(2).integers(0, 9, (8, 5))
    found = []
    for module in (layers, keras.layers):
        rnn = module.GRU(6, recurrent_dropout=0.4, dropout=0.1, seed=4)
        model = keras.Sequential([module.Embedding(9, 4, mask_zero=True), rnn])
        model.build((None, 5))
        layer_pairs.randomize(model)
        found.append(model)
    _assert_learn_alike(*found, ids)


# ---------------------------------------------------------------- zoneout and peepholes


def _reference(layer: Any, x: Any, rates: tuple[float, ...], **call: Any) -> Any:
    kind = {"SimpleRNN": "simple_rnn"}.get(type(layer).__name__, type(layer).__name__.lower())
    cell = Cell(kind, **dict(zip(("zoneout_h", "zoneout_c"), rates, strict=False)))
    peephole = getattr(layer, "peephole_kernel", None)
    given = (layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias)
    if peephole is not None:
        call["peephole"] = np.asarray(peephole)
    return reference.forward(cell, x, *map(np.asarray, given), **call)


def _layer(name: str, shape: tuple[int, ...], **options: Any) -> Any:
    layer = getattr(layers, name)(5, return_sequences=True, **options)
    layer.build(shape)
    layer_pairs.randomize(layer)
    return layer


@pytest.mark.parametrize("name", NAMES)
def test_zoneout_in_inference_is_the_expectation_and_in_training_a_choice(name: str) -> None:
    x = array(3, 6, 4)
    layer = _layer(name, x.shape, zoneout=0.25, seed=1)
    rates = (0.25, 0.25)[: len(layer.state_size)]
    want = _reference(layer, x, rates, mask=MASK, reset=RESET)
    np.testing.assert_allclose(layer(x, mask=MASK, reset=RESET), want.outputs, rtol=0, atol=1e-6)
    (outputs, _), gradients = _learning(layer, x)
    assert 0.1 < (outputs[:, 1:] == outputs[:, :-1]).mean() < 0.45  # 75 choices, each 1/4
    assert all(np.isfinite(g).all() and g.any() for g in gradients)


def test_an_lstm_has_zoneout_of_h_and_of_c() -> None:
    x = array(3, 6, 4)
    layer = _layer("LSTM", x.shape, zoneout=(0.125, 0.5), use_peephole=True)
    want = _reference(layer, x, (0.125, 0.5), mask=MASK)
    np.testing.assert_allclose(layer(x, mask=MASK), want.outputs, rtol=0, atol=1e-6)
    only_c = _layer("LSTM", x.shape, zoneout=(0, 0.5), seed=3)
    outputs = np.asarray(only_c(x, training=True))
    assert (outputs[:, 1:] != outputs[:, :-1]).all()  # h follows the cell before zoneout


def test_peepholes_learn_and_are_the_first_weight() -> None:
    x, y = array(8, 6, 4), array(8, 1)
    layer = layers.LSTM(5, use_peephole=True)
    model = keras.Sequential([keras.Input((6, 4)), layer, keras.layers.Dense(1)])
    before = np.asarray(layer.peephole_kernel)
    assert next(w.name for w in layer.weights) == "peephole_kernel"
    assert len(layer.weights) == 4
    assert layer.count_params() == 4 * 5 * (4 + 5 + 1) + 3 * 5
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=1, verbose=0)
    assert (np.asarray(layer.peephole_kernel) != before).all()
    bare = layers.LSTM(5)
    bare.build(x.shape)
    assert bare.peephole_kernel is None
    assert "use_peephole" not in bare.get_config()


@pytest.mark.parametrize("wrong", [1, -0.1, "much", (0.1, 0.2, 0.3), (0.1, 1.0), None])
def test_a_zoneout_that_is_no_probability_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"`zoneout` of layer `m` must .* or a pair \(h, c\)"):
        layers.LSTM(3, zoneout=wrong, name="m")
    with pytest.raises(UsageError, match="`zoneout` of layer `m` must be a probability"):
        layers.GRU(3, zoneout=(0.1,) if wrong == 1 else wrong, name="m")
    assert layers.GRU(3, zoneout=np.float32(0.5)).get_config()["zoneout"] == 0.5  # a number as well


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_set_draws_no_seed_so_that_later_layers_begin_as_with_stock(name: str) -> None:
    found = []
    for module in (layers, keras.layers):
        keras.utils.set_random_seed(5)
        rnn = getattr(module, name)(4, recurrent_dropout=0.5)
        model = keras.Sequential([keras.Input((6, 2)), rnn, keras.layers.Dense(1)])
        found.append([*model.get_weights(), rnn.cell.seed_generator.state])
        rnn(array(2, 6, 2), training=True)
        found[-1].append(rnn.cell.seed_generator.state)
    for ours, stock in zip(*found, strict=True):
        np.testing.assert_array_equal(ours, stock)


# ---------------------------------------------------------------- resets


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_reset_begins_anew_whatever_the_state_was(name: str, go_backwards: bool) -> None:
    x = array(3, 6, 4)
    layer = _layer(name, x.shape, go_backwards=go_backwards)
    state = [array(3, 5, seed=n) for n in range(len(layer.state_size))]
    call = {"mask": MASK, "go_backwards": go_backwards, "initial_state": state, "reset": RESET}
    want = _reference(layer, x, (), **call)
    got = layer(x, mask=MASK, initial_state=state, reset=RESET)
    np.testing.assert_allclose(got, want.outputs, rtol=0, atol=1e-6)
    assert np.abs(got - layer(x, mask=MASK, initial_state=state)).max() > 0.01
    np.testing.assert_array_equal(layer(x, reset=RESET.astype("int32")), layer(x, reset=RESET))


def test_resets_in_a_functional_model_with_the_mask_of_an_embedding() -> None:
    ids = keras.Input((6,), dtype="int32")
    reset = keras.Input((6,), dtype="bool")
    rows = layers.Embedding(7, 4, mask_zero=True)(ids)
    first = layers.LSTM(5, return_sequences=True, name="first")(rows, reset=reset)
    model = keras.Model([ids, reset], layers.GRU(3, name="second")(first))
    layer_pairs.randomize(model)
    numbers = np.random.default_rng(4).integers(0, 3, (3, 6))
    numbers[:, 3] = 0
    got = model([numbers, RESET])
    table, one, two = (model.get_layer(index=n) for n in (1, 3, 4))
    assert [one.name, two.name] == ["first", "second"]
    mask = numbers != 0
    x = np.asarray(table.embeddings)[numbers]
    inner = _reference(one, x, (), mask=mask, reset=RESET).outputs
    want = _reference(two, inner, (), mask=mask).states[0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
    model.compile("sgd", "mse")
    model.fit([numbers, RESET], array(3, 3), epochs=1, verbose=0)
    np.testing.assert_allclose(
        model.predict([numbers, RESET], verbose=0), model([numbers, RESET]), atol=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_stateful_layer_forgets_at_a_reset(name: str) -> None:
    x = array(3, 6, 4)
    layer = _layer(name, x.shape, stateful=True, zoneout=0.2)
    layer(array(3, 6, 4, seed=1))
    carried = np.asarray(layer(x))
    begins = np.zeros((3, 6), bool)
    begins[0, 0] = True
    fresh = np.asarray(layer(x, reset=begins))
    layer.reset_state()
    anew = np.asarray(layer(x))
    np.testing.assert_allclose(fresh[0], anew[0], rtol=0, atol=1e-6)
    assert np.abs(fresh[1:] - anew[1:]).max() > 1e-4
    assert np.abs(carried[0] - anew[0]).max() > 1e-4


def test_resets_that_do_not_fit_are_named() -> None:
    layer = _layer("GRU", (2, 4, 3))
    for shape in ((2, 3), (4,), (2, 4, 1)):
        with pytest.raises(ShapeError, match=r"`reset` of layer `gru.*` must have shape \(2, 4\)"):
            layer(array(2, 4, 3), reset=np.zeros(shape, bool))


# ---------------------------------------------------------------- where they cannot be


@pytest.mark.parametrize(
    ("options", "call", "said"),
    [
        ({"zoneout": 0.1}, {}, "`zoneout`"),
        ({"use_peephole": True}, {}, "`use_peephole`"),
        ({}, {"reset": np.zeros((2, 4), bool)}, "`reset`"),
        ({"zoneout": 0.1, "use_peephole": True}, {}, "`zoneout` and `use_peephole`"),
    ],
)
def test_keras_own_loop_refuses_what_it_cannot_do(options: dict, call: dict, said: str) -> None:
    layer = layers.LSTM(3, activation="gelu", name="memory", **options)
    wanted = f"layer `memory` cannot have {said} in Keras's own loop.* activation=gelu has no"
    with pytest.raises(UsageError, match=wanted):
        layer(array(2, 4, 3), **call)


def test_bidirectional_has_zoneout_and_peepholes_but_no_resets() -> None:
    x = array(3, 6, 4)
    inner = layers.LSTM(5, zoneout=(0.1, 0.2), use_peephole=True, return_sequences=True)
    both = layers.Bidirectional(inner)
    both.build(x.shape)
    layer_pairs.randomize(both)
    call = {"mask": MASK, "zero_output_for_mask": True}  # as Keras has it for both directions
    ahead = _reference(both.forward_layer, x, (0.1, 0.2), **call)
    back = _reference(both.backward_layer, x, (0.1, 0.2), go_backwards=True, **call)
    want = np.concatenate([ahead.outputs, back.outputs[:, ::-1]], axis=-1)
    np.testing.assert_allclose(both(x, mask=MASK), want, rtol=0, atol=1e-6)
    assert (np.asarray(both(x, training=True)) != np.asarray(both(x, training=True))).any()
    with pytest.raises(UsageError, match="is Bidirectional, which takes no `reset`"):
        both(x, reset=RESET)
    gelu = layers.Bidirectional(layers.LSTM(5, activation="gelu", zoneout=0.1))
    with pytest.raises(UsageError, match="cannot have `zoneout` in Keras's own loop"):
        gelu(x)


# ---------------------------------------------------------------- saving, watching


def test_everything_is_saved_and_loaded(tmp_path: Path) -> None:
    x, reset = keras.Input((6, 4)), keras.Input((6,), dtype="bool")
    y = layers.LSTM(
        5, zoneout=(0.1, 0.4), use_peephole=True, peephole_initializer="ones", return_sequences=True
    )(x, reset=reset)
    y = layers.Bidirectional(layers.GRU(3, zoneout=0.2, recurrent_dropout=0.1))(y)
    model = keras.Model([x, reset], y)
    layer_pairs.randomize(model)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    lstm = next(one for one in loaded.layers if isinstance(one, layers.LSTM))
    config = lstm.get_config()
    assert (config["zoneout"], config["use_peephole"]) == ([0.1, 0.4], True)
    assert isinstance(lstm.peephole_initializer, keras.initializers.Ones)
    given = [array(3, 6, 4), RESET]
    np.testing.assert_array_equal(loaded(given), model(given))
    layer_pairs.randomize(loaded, seed=9)
    assert (np.asarray(loaded(given)) != np.asarray(model(given))).any()
    loaded.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(loaded(given), model(given))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_set_is_not_in_the_config_which_keras_layer_then_takes(name: str) -> None:
    config = getattr(layers, name)(5, recurrent_dropout=0.1).get_config()
    assert getattr(keras.layers, name).from_config(config).recurrent_dropout == 0.1
    assert getattr(layers, name)(5, zoneout=0.5).get_config()["zoneout"] in (0.5, [0.5, 0.5])


@pytest.mark.parametrize("name", NAMES)
def test_watched_layers_have_their_variants(name: str) -> None:
    x = array(3, 6, 4)
    options = {"use_peephole": True} if name == "LSTM" else {}
    layer = _layer(name, x.shape, zoneout=0.3, recurrent_dropout=0.2, **options)
    plain = layer(x, mask=MASK, reset=RESET)
    with watching() as watch:
        watched = layer(x, mask=MASK, reset=RESET)
    np.testing.assert_allclose(watched, plain, rtol=0, atol=1e-6)
    trace, _ = watch.traces[id(layer)]
    np.testing.assert_allclose(trace.states[0], plain, rtol=0, atol=1e-6)


def test_a_step_of_training_under_jit_draws_other_keys_each_time() -> None:
    x = array(3, 6, 4)
    layer = _layer("GRU", x.shape, zoneout=0.4, seed=2)
    weights = [v.value for v in layer.trainable_variables]

    @jax.jit
    def step(fixed: Any) -> Any:
        out, fixed = layer.stateless_call(weights, fixed, x, training=True)
        return out, fixed

    fixed = [v.value for v in layer.non_trainable_variables]
    first, fixed = step(fixed)
    second, _ = step(fixed)
    assert (np.asarray(first) != np.asarray(second)).any()
    np.testing.assert_allclose(layer(x, training=True), first, rtol=0, atol=1e-6)
