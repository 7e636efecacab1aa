"""Our layers against Keras's own: the table of cases, weights, files and configurations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import cases
import layer_pairs
import stock_keras
import sunhwan
from sunhwan.engine import Cell, native, reference

_STOCK_LAYER = stock_keras.layer
_PARTS = [cases.STOCK[n::6] for n in range(6)]
needs_kernels = pytest.mark.skipif(
    not native.available(), reason=f"kernels: {native.why_missing()}"
)


def _our_layer(case: cases.Case) -> Any:
    """Return our layer with the options of a case, made from the configuration of Keras's."""
    stock = _STOCK_LAYER(case)
    return getattr(sunhwan.layers, type(stock).__name__).from_config(stock.get_config())


@needs_kernels
@pytest.mark.parametrize("part", range(len(_PARTS)))
def test_layers_equal_the_reference(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs, states and every gradient of all cases, through the layers, under jit."""
    monkeypatch.setattr(stock_keras, "layer", _our_layer)
    batch = [(case, cases.arrays(case)) for case in _PARTS[part]]
    off = {
        case.name: cases.mismatches(case, got, cases.expected(case, given))
        for (case, given), got in zip(batch, stock_keras.results(batch), strict=True)
    }
    assert {name: wrong for name, wrong in off.items() if wrong} == {}


@needs_kernels
def test_layers_equal_stock_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, with Keras's own numbers as what is wanted: each may be off by its tolerance."""
    batch = [(case, cases.arrays(case, seed=1)) for case in cases.STOCK[3::11]]
    wanted = stock_keras.results(batch)
    monkeypatch.setattr(stock_keras, "layer", _our_layer)
    for (case, _), got, want in zip(batch, stock_keras.results(batch), wanted, strict=True):
        assert cases.mismatches(case, got, want, eps=2 * cases.EPS32) == {}, case.name


@needs_kernels
def test_every_case_of_the_table_runs_in_a_kernel() -> None:
    for case in cases.STOCK:
        (line,) = sunhwan.explain(_our_layer(case), strict=True)
        assert line.is_fused
        assert line.kernel == f"fused {native.active_isa()}"


@pytest.mark.parametrize("name", layer_pairs.NAMES)
def test_weights_move_both_ways(name: str) -> None:
    ours, stock = layer_pairs.pair(name, 5, shape=(2, 4, 3))
    layer_pairs.randomize(stock, seed=7)
    ours.set_weights(stock.get_weights())
    again = getattr(keras.layers, name)(5)
    again.build((2, 4, 3))
    again.set_weights(ours.get_weights())
    for a, b in zip(again.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [w.path.split("/", 1)[1] for w in ours.weights] == [
        w.path.split("/", 1)[1] for w in stock.weights
    ]
    x = layer_pairs.array(2, 4, 3)
    layer_pairs.assert_same(ours(x), stock(x))


@pytest.mark.parametrize("name", layer_pairs.NAMES)
def test_config_round_trip_keeps_every_option(name: str) -> None:
    options: dict[str, Any] = {
        "activation": "relu",
        "use_bias": False,
        "dropout": 0.25,
        "recurrent_dropout": 0.125,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": True,
        "stateful": True,
        "unroll": True,
        "zero_output_for_mask": True,
        "kernel_regularizer": "l2",
        "recurrent_constraint": "unit_norm",
        "seed": 3,
        "name": "memory",
    }
    if name == "GRU":
        options |= {"reset_after": False, "recurrent_activation": "hard_sigmoid"}
    layer = getattr(sunhwan.layers, name)(7, **options)
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    assert type(again) is getattr(sunhwan.layers, name)
    whole = keras.saving.serialize_keras_object(layer)
    assert whole["registered_name"] == f"sunhwan>{name}"
    assert type(keras.saving.deserialize_keras_object(whole)) is type(layer)


def test_activations_may_be_names_functions_or_none() -> None:
    x = layer_pairs.array(2, 4, 3)
    for given in ("tanh", keras.activations.tanh, keras.ops.tanh, None, "linear", "relu"):
        ours, stock = layer_pairs.pair("LSTM", 5, shape=x.shape, activation=given)
        layer_pairs.assert_same(ours(x), stock(x))
        assert sunhwan.explain(ours)[0].is_fused == native.available()
    for given in ("gelu", lambda a: a * a / 8):
        ours, stock = layer_pairs.pair("GRU", 5, shape=x.shape, activation=given)
        layer_pairs.assert_same(ours(x), stock(x))
        (line,) = sunhwan.explain(ours)
        assert not line.is_fused
        assert "activation=" in line.reason


def _sequential(module: Any) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            module.Embedding(11, 5, mask_zero=True, name="words"),
            module.Bidirectional(module.LSTM(3, return_sequences=True, name="first"), name="both"),
            module.Bidirectional(
                module.GRU(4, name="there"),
                backward_layer=module.GRU(4, go_backwards=True, activation="relu", name="back"),
                merge_mode="sum",
                name="custom",
            ),
            keras.layers.Dense(2, name="out"),
        ]
    )


def test_keras_file_round_trip(tmp_path: Path) -> None:
    model = _sequential(sunhwan.layers)
    layer_pairs.randomize(model)
    ids = np.array([[1, 2, 3, 0], [4, 0, 0, 0], [10, 9, 8, 7]])
    want = model.predict(ids, verbose=0)
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.saving.load_model(path)
    np.testing.assert_array_equal(again.predict(ids, verbose=0), want)
    kinds = [type(layer) for layer in again.layers[:3]]
    assert kinds == [
        sunhwan.layers.Embedding,
        sunhwan.layers.Bidirectional,
        sunhwan.layers.Bidirectional,
    ]
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    stock = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(_sequential(keras.layers))))
    )
    assert [w.path for w in again.weights] == [w.path for w in stock.weights]
    assert not any("forward_forward" in w.path for w in again.weights)
    custom = again.layers[2]
    assert custom.backward_layer.name == "back"
    assert custom.backward_layer.activation is keras.activations.relu
    again.save(tmp_path / "again.keras")
    third = keras.saving.load_model(tmp_path / "again.keras")
    assert third.layers[1].forward_layer.name == model.layers[1].forward_layer.name
    np.testing.assert_array_equal(third.predict(ids, verbose=0), want)


def test_weights_file_moves_to_a_stock_model(tmp_path: Path) -> None:
    ours, stock = _sequential(sunhwan.layers), _sequential(keras.layers)
    layer_pairs.randomize(ours)
    ours.save_weights(tmp_path / "x.weights.h5")
    stock.load_weights(tmp_path / "x.weights.h5")
    ids = np.array([[1, 2, 3, 0], [4, 5, 0, 0]])
    layer_pairs.assert_same(ours(ids), stock(ids))


def test_time_distributed_equals_stock(tmp_path: Path) -> None:
    x = layer_pairs.array(2, 3, 4, 5)
    ours = keras.layers.TimeDistributed(sunhwan.layers.LSTM(6, name="inner"))
    stock = keras.layers.TimeDistributed(keras.layers.LSTM(6))
    layer_pairs.twins(ours, stock, x.shape)
    layer_pairs.assert_same(ours(x), stock(x))
    assert [line.layer for line in sunhwan.explain(ours)] == ["inner"]
    model = keras.Sequential([keras.Input((3, 4, 5)), ours])
    model.save(tmp_path / "td.keras")
    again = keras.saving.load_model(tmp_path / "td.keras")
    assert type(again.layers[0].layer) is sunhwan.layers.LSTM
    np.testing.assert_array_equal(again(x), model(x))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("name", layer_pairs.NAMES)
def test_policies(name: str, policy: str) -> None:
    """Low precision keeps float32 sums; float64 runs in plain JAX to the last digits."""
    x = layer_pairs.array(3, 6, 5)
    exact, _ = layer_pairs.pair(name, 7, shape=x.shape, return_state=True)
    options: dict[str, Any] = {"return_state": True, "dtype": policy}
    if policy == "float64":
        (line,) = sunhwan.explain(getattr(sunhwan.layers, name)(7, dtype=policy))
        reason = native.why_missing() or "dtype=float64 has no kernel"
        assert (line.is_fused, line.reason) == (False, reason)
        with jax.enable_x64(True):
            ours, stock = layer_pairs.pair(name, 7, shape=x.shape, **options)
            given = [x, *ours.get_weights()]
            cell = Cell(name.lower().replace("simplernn", "simple_rnn"))
            want = reference.forward(cell, *given).states
            for a, b in zip(ours(x)[1:], want, strict=True):
                assert a.dtype == "float64"
                np.testing.assert_allclose(a, b, rtol=1e-12)
        return
    ours, stock = layer_pairs.pair(name, 7, shape=x.shape, **options)
    eps = {"float32": 1e-6, "mixed_float16": 2.0**-10, "mixed_bfloat16": 2.0**-7}[policy]
    for a, b, c in zip(*map(layer_pairs.flat, (ours(x), stock(x), exact(x))), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.astype("f"), b.astype("f"), atol=12 * eps)
        np.testing.assert_allclose(a.astype("f"), c, atol=4 * eps)
    assert ours.cell.kernel.dtype == "float32"


def test_symbolic_model_with_unknown_length() -> None:
    inputs = keras.Input((None, 3))
    y, h, c = sunhwan.layers.LSTM(4, return_sequences=True, return_state=True)(inputs)
    outputs = sunhwan.layers.GRU(5)(y, initial_state=keras.layers.Dense(5)(h + c))
    model = keras.Model(inputs, [outputs, y])
    assert (y.shape, outputs.shape) == ((None, None, 4), (None, 5))
    for steps in (3, 7):
        last, sequence = model(layer_pairs.array(2, steps, 3))
        assert (last.shape, sequence.shape) == ((2, 5), (2, steps, 4))


@pytest.mark.parametrize("steps_per_execution", [1, 3])
def test_fit_trains_to_the_numbers_of_stock_keras(steps_per_execution: int) -> None:
    x = np.random.default_rng(0).integers(0, 11, (24, 6))
    y = layer_pairs.array(24, 2)
    trained = []
    ours = _sequential(sunhwan.layers)
    layer_pairs.randomize(ours)
    start = ours.get_weights()
    for model in (ours, _sequential(keras.layers)):
        model.set_weights(start)
        model.compile("sgd", "mse", steps_per_execution=steps_per_execution)
        history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        trained.append((model.get_weights(), history.history["loss"]))
    layer_pairs.assert_same(trained[0][0], trained[1][0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(trained[0][1], trained[1][1], rtol=1e-5)
    assert all(np.abs(a - b).max() > 1e-6 for a, b in zip(start, trained[0][0], strict=True))


def test_recurrent_batch_and_step_counts_of_zero() -> None:
    x = layer_pairs.array(0, 4, 3)
    for name in layer_pairs.NAMES:
        ours, stock = layer_pairs.pair(name, 5, shape=(None, 4, 3), return_sequences=True)
        assert ours(x).shape == stock(x).shape == (0, 4, 5)
        with pytest.raises(sunhwan.errors.UsageError, match=r"without a step: shape \(2, 0, 3\)"):
            ours(layer_pairs.array(2, 0, 3))


def test_subclasses_keep_the_kernel() -> None:
    class Renamed(sunhwan.layers.GRU):
        pass

    layer = Renamed(4)
    (line,) = sunhwan.explain(layer)
    assert (line.kind, line.is_fused) == ("Renamed", native.available())
    case = replace(cases.CASES[0], B=2)
    assert layer(layer_pairs.array(case.B, 3, 2)).shape == (2, 4)
