"""Weights: every array comes back to the bit, and arrays of another model are refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np
import pytest

from sunhwan.errors import DataError, ShapeError
from sunhwan.runs.weights import (
    expected_arrays,
    load_weights,
    model_arrays,
    put_arrays,
    save_weights,
)
from weight_arrays import ARRAYS, EXPECTED, same


def test_weights_keep_values_of_every_layout(tmp_path: Path) -> None:
    """Views with gaps, Fortran order and big-endian arrays are stored by value."""
    base = np.random.default_rng(1).normal(size=(6, 10)).astype(np.float32)
    arrays = {"gaps": base[::2, 1::3], "turned": base.T, "big": base.astype(">f4")}
    expected = {name: (array.shape, "float32") for name, array in arrays.items()}
    loaded = load_weights(save_weights(tmp_path / "w", arrays), expected)
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)
    first = (tmp_path / "w").read_bytes()
    save_weights(tmp_path / "w", dict(reversed(arrays.items())))
    assert (tmp_path / "w").read_bytes() == first


def test_other_dtypes_are_refused_by_name(tmp_path: Path) -> None:
    import ml_dtypes

    for array in (
        np.zeros(2, ml_dtypes.bfloat16),
        np.zeros(2, complex),
        np.array([print], object),
        np.array(["a"]),
    ):
        with pytest.raises(ShapeError, match=r"the array 'k' must be one of bool.*received"):
            save_weights(tmp_path / "w", {"k": array})
    assert not os.listdir(tmp_path)
    with pytest.raises(ShapeError, match="received bfloat16"):
        load_weights(tmp_path / "w", {"k": ((2,), "bfloat16")})


def test_wrong_arrays_are_named(tmp_path: Path) -> None:
    path = save_weights(tmp_path / "w", ARRAYS)
    for change, message in (
        ({"009 more": ((1,), "float32")}, "lacks the array '009 more'"),
        ({"000 lstm/kernel": ((8, 3), "float32")}, r"'F32' \[8, 3\], received 'F32' \[3, 8\]"),
        ({"001 seed": ((2,), "int32")}, r"'001 seed' must be 'I32' \[2\], received 'U32'"),
    ):
        with pytest.raises(DataError, match=message):
            load_weights(path, EXPECTED | change)
    less = dict(EXPECTED)
    del less["002 count"]
    with pytest.raises(DataError, match="an array '002 count' that is not expected"):
        load_weights(path, less)
    with pytest.raises(DataError, match="was expected, but there is none"):
        load_weights(tmp_path / "missing", EXPECTED)


def _model(units: int = 4) -> keras.Model:
    inputs = keras.Input((5, 3))
    x = keras.layers.LSTM(units, dropout=0.2)(inputs)
    x = keras.layers.Dense(1)(keras.layers.BatchNormalization()(x))
    model = keras.Model(inputs, x)
    model.compile("adam", "mse")
    return model


def test_a_model_and_its_optimizer_go_on_from_what_was_saved(tmp_path: Path) -> None:
    """One more epoch after loading into a new model ends in the same bits as without it."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(16, 5, 3)).astype(np.float32)
    y = rng.normal(size=(16, 1)).astype(np.float32)

    def variables(model: keras.Model) -> list[keras.Variable]:
        return [*model.variables, *model.optimizer.variables]

    def fit(model: keras.Model) -> None:
        model.fit(x, y, batch_size=4, epochs=1, shuffle=False, verbose=0)

    model = _model()
    fit(model)
    arrays = model_arrays(variables(model))
    path = save_weights(tmp_path / "state.safetensors", arrays)
    fit(model)
    assert not same(model_arrays(variables(model)), arrays)
    # made later in the same process, so Keras counts its layers' names on
    other = _model()
    other.optimizer.build(other.trainable_variables)
    names = expected_arrays(variables(other))
    assert "000 lstm/lstm_cell/kernel" in names
    assert any(shape == (2,) and kind == "uint32" for shape, kind in names.values())
    loaded = load_weights(path, names)
    # copies, so that further training did not reach into them
    assert same(loaded, arrays)
    put_arrays(variables(other), loaded)
    fit(other)
    assert same(model_arrays(variables(model)), model_arrays(variables(other)))
    assert len(names) > len(model_arrays(other)) == len(other.weights)


def test_arrays_of_another_model_are_refused_before_any_is_assigned() -> None:
    model = _model()
    before = model_arrays(model)
    changed = {name: array + 1 for name, array in before.items()}
    last = list(before)[-1]
    for wrong, message in (
        (changed | {last: np.zeros(3, np.float32)}, r"must be float32\[1\], received float32\[3\]"),
        (changed | {last: np.zeros(1, np.float64)}, r"received float64\[1\]"),
        (changed | {"new": np.zeros(1)}, "'new' is in the arrays alone"),
        ({name: changed[name] for name in list(changed)[:-1]}, "is in the model alone"),
    ):
        with pytest.raises(ShapeError, match=message):
            put_arrays(model, wrong)
        assert same(model_arrays(model), before)
    put_arrays(model, changed)
    assert same(model_arrays(model), changed)
