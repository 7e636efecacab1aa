"""Layers under `mixed_bfloat16`: products of bfloat16, or of float32 where there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

import layer_pairs
import subprocesses
import sunhwan
from sunhwan import engine
from sunhwan.engine import native
from sunhwan.layers import paths
from sunhwan.layers.loop import engine_cell

needs_bfloat16 = pytest.mark.skipif(
    not native.has_bfloat16(), reason="this machine has no kernels for products of bfloat16"
)
POLICY = "mixed_bfloat16"


def outputs(layer: Any, values: Any, x: Any) -> Any:
    """What a layer or a model gives with these values of its trainable variables."""
    return layer.stateless_call(values, [v.value for v in layer.non_trainable_variables], x)[0]


def model_of_words(policy: str, kind: str = "LSTM", wrap: bool = False, D: int = 5) -> Any:
    """A small classifier of texts."""
    keras.utils.set_random_seed(3)
    layer = getattr(sunhwan.layers, kind)(9, dtype=policy, name="memory")
    if wrap:
        layer = sunhwan.layers.Bidirectional(layer, dtype=policy)
    parts = [
        keras.Input((12,), dtype="int32"),
        sunhwan.layers.Embedding(30, D, mask_zero=True, dtype=policy),
        layer,
        keras.layers.Dense(1, "sigmoid", dtype="float32"),
    ]
    return keras.Sequential(parts)


def texts(n: int = 96) -> tuple[Any, Any]:
    """Ids of words of varying length, and whether a word with an even id comes first."""
    rng = np.random.default_rng(4)
    ids = rng.integers(1, 30, (n, 12))
    ids[np.arange(12) >= rng.integers(4, 13, n)[:, None]] = 0
    return ids.astype("int32"), (ids[:, 0] % 2 == 0).astype("float32")


@needs_bfloat16
@pytest.mark.parametrize(("kind", "wrap"), [("SimpleRNN", False), ("LSTM", False), ("GRU", True)])
def test_fit_and_saving(kind: str, wrap: bool, tmp_path: Path) -> None:
    model = model_of_words(POLICY, kind, wrap)
    lines = [line for line in sunhwan.explain(model, strict=True) if line.kind == kind]
    assert [line.kernel for line in lines] == (
        ["fused avx512, products of bfloat16, sums in float32"] * (2 if wrap else 1)
    )
    x, y = texts()
    model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
    losses = model.fit(x, y, batch_size=32, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.8 * losses[0]
    assert all(v.dtype == "float32" for v in model.trainable_variables)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.layers[-2].compute_dtype == "bfloat16"
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_table_of_low_precision_is_looked_up_first(dtype: str) -> None:
    options = {"dtype": dtype, "recurrent_initializer": "glorot_uniform"}  # Keras's needs float32
    embedding, memory = (
        sunhwan.layers.Embedding(30, 5, dtype=dtype),
        sunhwan.layers.GRU(4, **options),
    )
    x = texts(8)[0]
    eager = memory(embedding(x))
    compiled = jax.jit(lambda x: memory(embedding(x)))(x)
    assert eager.dtype == dtype
    np.testing.assert_allclose(
        np.asarray(compiled, "float32"), np.asarray(eager, "float32"), atol=2.0**-8
    )


@needs_bfloat16
def test_the_same_seed_gives_the_same_bits() -> None:
    x, y = texts()

    def trained() -> list[Any]:
        model = model_of_words(POLICY)
        model.compile("adam", "binary_crossentropy")
        model.fit(x, y, batch_size=32, epochs=2, verbose=0)
        return model.get_weights()

    for one, other in zip(trained(), trained(), strict=True):
        np.testing.assert_array_equal(one, other)


@needs_bfloat16
def test_a_table_that_is_read_where_it_lies_changes_no_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forward; gradients of table and kernel are sums of other roundings."""
    model, (x, y) = model_of_words(POLICY, wrap=True), texts()
    values = [v.value for v in model.trainable_variables]

    def loss(values: Any) -> Any:
        out = outputs(model, values, x)
        return ((out[:, 0] - y) ** 2).sum(), out

    def run() -> Any:
        return jax.jit(jax.grad(loss, has_aux=True))(values)

    read: list[Any] = []
    true = paths.lookup_behind
    monkeypatch.setattr(paths, "lookup_behind", lambda s: read.append(true(s)) or read[-1])
    gradients, out = run()
    assert isinstance(read[-1], engine.Lookup)
    assert read[-1].table.dtype == "float32"
    monkeypatch.setattr(paths, "lookup_behind", lambda _: None)
    jax.clear_caches()
    expected, plain_out = run()
    np.testing.assert_array_equal(out, plain_out)
    for one, other in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2.0**-6 * float(np.abs(other).max()))


@needs_bfloat16
@pytest.mark.parametrize("kind", layer_pairs.NAMES)
def test_gradients_are_near_those_of_float32(kind: str) -> None:
    """A sum of n rounded products is off by about ``sqrt(n) 2**-8`` of one, so 2**-5 of the sum."""
    x = layer_pairs.array(6, 20, 11)

    def gradients(policy: str) -> list[Any]:
        layer, _ = layer_pairs.pair(kind, 24, shape=x.shape, dtype=policy, return_sequences=True)

        def loss(values: Any, x: Any) -> Any:
            y = outputs(layer, values, x).astype("float32")
            return (y * layer_pairs.array(*y.shape, seed=5)).sum()

        return jax.tree.leaves(
            jax.grad(loss, (0, 1))([v.value for v in layer.trainable_variables], x)
        )

    for low, exact in zip(gradients(POLICY), gradients("float32"), strict=True):
        assert low.dtype == "float32"
        size = float(np.abs(exact).max())
        off = np.abs(np.asarray(low) - exact).max()
        assert 2.0**-14 * size < off < 2.0**-5 * size


@needs_bfloat16
def test_variants_have_the_same_products() -> None:
    options: dict[str, Any] = {"dtype": POLICY, "zoneout": 0.1, "use_peephole": True}
    layer = sunhwan.layers.LSTM(7, recurrent_dropout=0.2, seed=1, **options)
    x = layer_pairs.array(4, 6, 5)
    assert np.isfinite(np.asarray(layer(x, training=True), "float32")).all()
    assert engine_cell(layer).products == "bfloat16"
    found = sunhwan.trace(layer, x)[layer.name]
    np.testing.assert_allclose(np.asarray(layer(x), "float32"), found.last[0], atol=2.0**-8)


def test_what_float32_layers_compute_is_untouched() -> None:
    for dtype in ("float32", "mixed_float16", "float64"):
        layer = sunhwan.layers.GRU(3, dtype=dtype)
        assert engine_cell(layer).products == "float32"


def test_elsewhere_the_layers_multiply_in_float32_and_say_so() -> None:
    code = """
import numpy as np, keras, sunhwan
from sunhwan.engine import native
layer = sunhwan.layers.LSTM(3, dtype="mixed_bfloat16", name="memory")
exact = sunhwan.layers.LSTM(3)
x = np.random.default_rng(0).standard_normal((2, 4, 5)).astype("f")
layer.build(x.shape), exact.build(x.shape)
rounded = [keras.ops.cast(w, "bfloat16") for w in exact.get_weights()]
for one in (layer, exact):
    one.set_weights([np.asarray(w, "f") for w in rounded])
x = np.asarray(keras.ops.cast(x, "bfloat16"), "f")
np.testing.assert_array_equal(layer(x), keras.ops.cast(exact(x), "bfloat16"))
print(sunhwan.explain(layer)[0])
"""
    if not native.available():
        pytest.skip(f"kernels: {native.why_missing()}")
    worst = native.available_isas()[-1]
    assert subprocesses.printed(code, SUNHWAN_ISA=worst) == (
        f"memory (LSTM): fused {worst}, in float32 ({worst} has no products of bfloat16)"
    )
