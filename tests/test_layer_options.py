"""Options of the layers against Keras's: states, directions, masks, dropout, explain, errors."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest

import layer_pairs
import sunhwan
from layer_pairs import NAMES, array, assert_same, flat, pair, wrapped
from sunhwan.engine import native
from sunhwan.errors import KernelError, ShapeError, UsageError

needs_kernels = pytest.mark.skipif(
    not native.available(), reason=f"kernels: {native.why_missing()}"
)
MASK = np.array([[1, 1, 0, 1, 0, 0], [0, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], dtype=bool)


# ---------------------------------------------------------------- states


@pytest.mark.parametrize("name", NAMES)
def test_two_halves_of_a_stateful_layer_are_the_whole(name: str) -> None:
    x = array(3, 8, 4)
    layer, _ = pair(name, 5, shape=x.shape, stateful=True, return_sequences=True)
    whole, _ = pair(name, 5, shape=x.shape, return_sequences=True)
    halves = [layer(x[:, :5]), layer(x[:, 5:])]
    np.testing.assert_allclose(np.concatenate(halves, axis=1), whole(x), rtol=1e-6, atol=1e-7)
    layer.reset_state()
    np.testing.assert_allclose(layer(x), whole(x), rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match=r"(?s)Expected batch size: 3.*Received batch size: 2"):
        layer(x[:2])


@pytest.mark.parametrize("name", NAMES)
def test_stateful_training_and_predicting_equal_stock(name: str) -> None:
    x, y = array(3, 4, 2), array(3, 5, seed=1)
    found = []
    for layer in pair(name, 5, shape=x.shape, stateful=True):
        model = keras.Sequential([keras.Input(batch_shape=x.shape), layer])
        model.compile("sgd", "mse")
        model.fit(x, y, epochs=3, batch_size=3, shuffle=False, verbose=0)
        layer.reset_state()
        fresh, carried = model(x), model(x)
        predicted = model.predict(x, batch_size=3, verbose=0)
        found.append(flat([fresh, carried, predicted, *model.get_weights()]))
    assert_same(*found, rtol=1e-4, atol=1e-6)
    assert np.abs(found[0][0] - found[0][1]).max() > 1e-4  # the state did carry over


def test_stateful_bidirectional_equals_stock() -> None:
    x = array(3, 5, 4)
    ours, stock = wrapped("GRU", x.shape, {"units": 6, "stateful": True}, merge_mode="ave")
    for part in (x[:, :2], x[:, 2:]):
        assert_same(ours(part), stock(part))
    for layer in (ours, stock):
        layer.reset_state()
    assert_same(ours(x), stock(x))
    # reset_state also after an initial state was given
    state = [array(3, 6, seed=n) for n in (1, 2)]
    assert_same(ours(x, initial_state=state), stock(x, initial_state=state))
    for layer in (ours, stock):
        layer.reset_state()
    assert_same(ours(x), stock(x))


@pytest.mark.parametrize("name", NAMES)
def test_wrong_initial_states_name_what_was_expected(name: str) -> None:
    x = array(2, 4, 3)
    for options in ({}, {"activation": "gelu"}):  # by kernel, and in Keras's loop
        layer, _ = pair(name, 5, shape=x.shape, **options)
        states = 2 if name == "LSTM" else 1
        good = [array(2, 5)] * states
        assert layer(x, initial_state=good).shape == (2, 5)
        for wrong in ((1, 5), (2, 6), (5,), (2, 5, 1)):
            with pytest.raises(ShapeError, match=r"initial_state\[0\].* must have shape \(2, 5\)"):
                layer(x, initial_state=[array(*wrong), *good[1:]])
        with pytest.raises(ShapeError, match=f"needs {states} initial state"):
            layer(x, initial_state=[*good, array(2, 5)])
        if states == 2:
            with pytest.raises(ShapeError, match=r"initial_state\[1\]"):
                layer(x, initial_state=[good[0], array(2, 4)])
            with pytest.raises(ShapeError, match=r"needs 2 initial state.*received 1"):
                layer(x, initial_state=good[:1])


def test_wrong_masks_and_inputs_are_named() -> None:
    x = array(2, 4, 3)
    for options in ({}, {"activation": "gelu"}):
        layer, _ = pair("GRU", 5, shape=x.shape, **options)
        for shape in ((2, 5), (1, 4), (4, 2)):
            with pytest.raises(ShapeError, match=r"`mask` .* must have shape \(2, 4\)"):
                layer(x, mask=np.ones(shape, bool))
        with pytest.raises(ValueError, match="expected ndim=3"):
            layer(x[0])
        with pytest.raises(ShapeError, match="was built for 3 features, received 7"):
            layer(array(2, 4, 7))


# ---------------------------------------------------------------- Bidirectional


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("name", NAMES)
def test_bidirectional_equals_stock(name: str, merge_mode: str | None) -> None:
    x = array(3, 6, 4)
    states = [array(3, 5, seed=n) for n in range(4 if name == "LSTM" else 2)]
    every = [(True, True), (True, False), (False, True), (False, False)]
    for sequences, state in every if merge_mode == "concat" else every[:: len(every) - 1]:
        inner = {"units": 5, "return_sequences": sequences, "return_state": state}
        ours, stock = wrapped(name, x.shape, inner, merge_mode=merge_mode)
        for call in ({}, {"mask": MASK}, {"initial_state": states, "mask": MASK}):
            left, right = ours(x, **call), stock(x, **call)
            assert_same(left, right)
            if state:
                tail = flat(left)[-len(states) :]
                assert not any(
                    np.array_equal(a, b) for i, a in enumerate(tail) for b in tail[i + 1 :]
                )
    assert sunhwan.explain(ours)[0].is_fused == native.available()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_bidirectional_equal_stock(name: str) -> None:
    x = array(3, 6, 4)
    inner = {"units": 5, "return_sequences": True, "return_state": True}
    ours, stock = wrapped(name, x.shape, inner)
    left, right = (layer_pairs.gradients(layer, x, mask=MASK) for layer in (ours, stock))
    assert_same(left, right, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("name", NAMES)
def test_masks_of_every_make_equal_stock(name: str) -> None:
    ids = np.array([[3, 1, 0, 0], [0, 2, 0, 1], [0, 0, 0, 0]])
    found = []
    for module in (sunhwan.layers, keras.layers):
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                module.Embedding(5, 4, mask_zero=True),
                getattr(module, name)(3, return_sequences=True),
                keras.layers.Masking(),
                getattr(module, name)(6),
            ]
        )
        model.build((None, 4))
        layer_pairs.randomize(model)
        found.append([model(ids), layer_pairs.gradients(model, ids.astype("f"))[:-1]])
    assert_same(*found, rtol=1e-4, atol=2e-6)


def test_a_mask_of_rank_3_or_of_numbers_is_understood() -> None:
    x = array(3, 6, 4)
    wide = np.stack([MASK, np.zeros_like(MASK)], axis=-1)
    for activation in ("tanh", "gelu"):  # by kernel, and in Keras's loop
        ours, stock = pair("LSTM", 5, shape=x.shape, activation=activation, return_sequences=True)
        want = stock(x, mask=MASK)
        for given in (MASK, wide, MASK.astype("int32"), MASK.astype("f"), [MASK], MASK.tolist()):
            assert_same(ours(x, mask=given), want)


# ---------------------------------------------------------------- cells, dropout, unroll


class _Leaky(keras.layers.SimpleRNNCell):
    """A cell of somebody else's."""


def test_other_cells_run_in_keras_loop_and_explain_names_them() -> None:
    x = array(3, 6, 4)
    for make in (
        lambda: [keras.layers.LSTMCell(5), keras.layers.LSTMCell(2)],
        lambda: _Leaky(5),
        lambda: keras.layers.GRUCell(5),
    ):
        cell = make()
        layer = keras.layers.RNN(cell)
        assert layer(x, mask=MASK).shape == (3, 2 if isinstance(cell, list) else 5)
        (line,) = sunhwan.explain(layer)
        assert (line.kind, line.is_fused) == ("RNN", False)
        assert line.reason == f"cell={type(layer.cell).__name__} has no kernel"
        with pytest.raises(KernelError, match=rf"layer `{layer.name}` .* has no kernel"):
            sunhwan.explain(layer, strict=True)
    stock = keras.layers.LSTM(3, name="theirs")
    assert "it is keras.layers.LSTM, not sunhwan.layers.LSTM" in str(sunhwan.explain(stock)[0])


def test_unroll_and_implementation_equal_stock() -> None:
    x = array(3, 6, 4)
    for options in (
        {"unroll": True},
        {"unroll": True, "activation": "gelu"},
        {"implementation": 1},
        {"implementation": 1, "dropout": 0.5, "seed": 2, "use_cudnn": False},
    ):
        ours, stock = pair("GRU", 5, shape=x.shape, return_sequences=True, **options)
        assert_same(ours(x, training=True), stock(x, training=True))


def test_use_cudnn() -> None:
    x = array(2, 4, 3)
    for value in ("auto", False):
        ours, stock = pair("LSTM", 5, shape=x.shape, use_cudnn=value)
        assert_same(ours(x), stock(x))
    ours, _ = pair("LSTM", 5, shape=x.shape, use_cudnn=True)
    assert "use_cudnn=True" in sunhwan.explain(ours)[0].reason
    with pytest.raises(ValueError, match="use_cudnn=True"):
        ours(x)
    with pytest.raises(ValueError, match="use_cudnn=maybe"):
        sunhwan.layers.GRU(5, use_cudnn="maybe")


# ---------------------------------------------------------------- strict


@needs_kernels
def test_strict_makes_a_lost_kernel_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    x = array(2, 4, 3)
    layer = sunhwan.layers.GRU(5, activation="gelu", name="memory")
    model = keras.Sequential([layer])
    with pytest.raises(KernelError, match=r"`memory` .* activation=gelu has no kernel"):
        sunhwan.explain(model, strict=True)
    monkeypatch.setenv("SUNHWAN_STRICT", "1")
    with pytest.raises(KernelError, match=r"`memory` .*\nhint: "):
        layer(x)
    assert sunhwan.layers.GRU(5)(x).shape == (2, 5)
    monkeypatch.setenv("SUNHWAN_STRICT", "perhaps")
    with pytest.raises(UsageError, match="SUNHWAN_STRICT must be 0 or 1, received 'perhaps'"):
        sunhwan.layers.GRU(5)(x)


def test_explain_of_what_is_no_layer_tells_what_it_takes() -> None:
    with pytest.raises(UsageError, match=r"`model` must be .* received str 'm.keras'\nhint: load"):
        sunhwan.explain("m.keras")
    with pytest.raises(UsageError, match=r"Keras model or layer, received NoneType None$"):
        sunhwan.trace(None, array(1, 2, 3))


def test_explain_lists_nested_layers_once_in_order() -> None:
    inner = keras.Sequential([sunhwan.layers.GRU(3, return_sequences=True, name="a")])
    model = keras.Sequential(
        [
            sunhwan.layers.Embedding(5, 4, name="ids"),
            inner,
            sunhwan.layers.Bidirectional(sunhwan.layers.LSTM(2, name="b")),
        ]
    )
    names = [line.layer for line in sunhwan.explain(model)]
    assert sorted(names) == ["a", "backward_b", "forward_b", "ids"]
    assert names[:2] == ["ids", "a"]


# ---------------------------------------------------------------- Embedding


def test_embedding_equals_stock_in_every_dtype_of_ids() -> None:
    ours, stock = pair("Embedding", 7, 3, shape=(None,))
    for dtype in ("int8", "uint8", "int16", "int32", "float32"):
        for shape in ((4,), (2, 3), (2, 3, 2), (0, 3)):
            ids = np.random.default_rng(1).integers(0, 7, shape).astype(dtype)
            assert_same(ours(ids), stock(ids))
    half, theirs = pair("Embedding", 7, 3, shape=(None,), dtype="mixed_bfloat16")
    assert_same(half(ids + 1), theirs(ids + 1))
    ids = np.array([[1, 1, 6], [0, 1, 6]])
    left, right = (
        jax.grad(lambda w, layer=layer: (layer.stateless_call([w], [], ids)[0] ** 3).sum())(
            layer.trainable_variables[0].value
        )
        for layer in (ours, stock)
    )
    assert_same(left, right)


def test_explain_of_embeddings() -> None:
    lines = [
        sunhwan.explain(sunhwan.layers.Embedding(5, 4, dtype=dtype))[0]
        for dtype in ("float32", "mixed_bfloat16", "bfloat16", "float64")
    ]
    fused = native.available()
    assert [line.is_fused for line in lines] == [fused, fused, False, False]
    layer = sunhwan.layers.Embedding(5, 4)
    layer.build()
    layer.quantize("int8")
    assert "quantization_mode=int8" in sunhwan.explain(layer)[0].reason
    mine = type("Mine", (sunhwan.layers.Embedding,), {})(5, 4)
    mine.build()
    with pytest.raises(NotImplementedError):
        mine.quantize("int8")


def test_explain_tells_how_each_layer_is_differentiated() -> None:
    lines = [
        *sunhwan.explain(sunhwan.layers.GRU(3)),
        *sunhwan.explain(sunhwan.layers.GRU(3, "selu")),
    ]
    if native.available():
        assert "second derivatives in plain JAX" in lines[0].derivatives
        assert "linear" in sunhwan.explain(sunhwan.layers.Embedding(5, 3))[0].derivatives
    assert lines[1].derivatives == "all by JAX, as the layer itself"
