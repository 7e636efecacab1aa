"""Attention over the steps of an encoder: against NumPy in float64, masked, in parts, saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest

from sunhwan.errors import ShapeError, UsageError
from sunhwan.layers import attention
from sunhwan.layers.attention import KINDS, StepAttention

B, T, S, H, K = 3, 5, 4, 2, 6
MASK = np.arange(S) < np.array([[4], [0], [2]])  # the second row has no real step


def reference(kind: str, mask: Any, values: dict[str, Any]) -> tuple[Any, Any, Any]:
    """The equations step by step in NumPy: vector, context and weights."""
    queries, memory = values["queries"], values["memory"]
    vector, context = np.zeros((B, T, H)), np.zeros((B, T, K))
    weights = np.zeros((B, T, S))
    for b in range(B):
        live = np.flatnonzero(mask[b])
        for t in range(T):
            h = queries[b, t]
            for s in live:
                key = memory[b, s] @ values["key"]
                if kind == "multiplicative":
                    weights[b, t, s] = np.exp(h @ key)
                else:
                    inner = np.tanh(h @ values["query"] + key)
                    weights[b, t, s] = np.exp(inner @ values["score"][:, 0])
            if len(live):
                weights[b, t] /= weights[b, t].sum()
            context[b, t] = weights[b, t] @ memory[b]
            vector[b, t] = np.tanh(np.concatenate([context[b, t], h]) @ values["combine"])
    return vector, context, weights


def slopes(kind: str, mask: Any, values: dict[str, Any], upstream: Any) -> dict[str, Any]:
    """Central differences of ``sum(upstream * vector)`` in float64."""

    def total(name: str, changed: Any) -> float:
        vector = reference(kind, mask, {**values, name: changed})[0]
        return float((upstream * vector).sum())

    found = {}
    for name, value in values.items():
        found[name] = np.zeros(value.shape)
        for place in np.ndindex(value.shape):
            step = np.zeros(value.shape)
            step[place] = 1e-5
            rise = total(name, value + step) - total(name, value - step)
            found[name][place] = rise / 2e-5
    return found


def layer_and_values(kind: Any) -> tuple[StepAttention, dict[str, Any]]:
    """A layer with random weights, and these with random inputs by name, in float64."""
    rng = np.random.default_rng(7)
    layer = StepAttention(kind)
    layer.build((B, T, H), (B, S, K))
    values = {v.name: rng.normal(size=v.shape) for v in layer.weights}
    for variable in layer.weights:
        variable.assign(values[variable.name])
    given = {"queries": rng.normal(size=(B, T, H)), "memory": rng.normal(size=(B, S, K))}
    return layer, {**given, **values}


@pytest.mark.parametrize(
    ("kind", "at_once"),
    [
        ("multiplicative", 1 << 20),
        # parts of 1, 2 and all 5 steps
        ("additive", 1),
        ("additive", 2 * B * S * H),
        ("additive", 1 << 20),
    ],
)
def test_answers_and_gradients_are_those_of_the_equations(
    kind: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "_AT_ONCE", at_once)
    layer, values = layer_and_values(kind)
    names = [v.name for v in layer.trainable_variables]
    upstream = np.random.default_rng(8).normal(size=(B, T, H))

    def answers(values: dict[str, Any]) -> Any:
        weights = [values[name] for name in names]
        given = values["queries"], values["memory"]
        return layer.stateless_call(weights, [], *given, memory_mask=MASK)[0]

    small = {name: value.astype("float32") for name, value in values.items()}
    found = jax.jit(answers)(small)
    expected = reference(kind, MASK, values)
    for name, one, other in zip(found._fields, found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, err_msg=name)
    assert np.asarray(found.weights)[1].tolist() == np.zeros((T, S)).tolist()
    gradients = jax.jit(jax.grad(lambda v: (upstream * answers(v).vector).sum()))(small)
    wanted = slopes(kind, MASK, values, upstream)
    assert set(gradients) == set(wanted)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-4, atol=1e-5, err_msg=name)
    assert not np.asarray(gradients["memory"])[~MASK].any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_masked_changes_nothing(kind: str) -> None:
    layer, values = layer_and_values(kind)
    queries, memory = (values[name].astype("float32") for name in ("queries", "memory"))
    found = layer(queries, memory, memory_mask=MASK)
    other = np.where(MASK[..., None], memory, 300.0).astype("float32")
    for one, two in zip(found, layer(queries, other, memory_mask=MASK), strict=True):
        np.testing.assert_array_equal(one, two)
    longer = np.concatenate([memory, np.full((B, 3, K), -50.0, "float32")], axis=1)
    mask = np.concatenate([MASK, np.zeros((B, 3), bool)], axis=1)
    padded = layer(queries, longer, memory_mask=mask)
    np.testing.assert_allclose(padded.vector, found.vector, rtol=1e-6, atol=1e-7)
    assert not np.asarray(padded.weights)[..., S:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_any_size_give_finite_numbers(kind: str) -> None:
    layer, values = layer_and_values(kind)
    queries, memory = (1e4 * values[name].astype("float32") for name in ("queries", "memory"))
    weights = [v.value for v in layer.trainable_variables]

    def total(queries: Any, memory: Any) -> Any:
        found, _ = layer.stateless_call(weights, [], queries, memory, memory_mask=MASK)
        return found.vector.sum() + found.weights.max()

    for gradient in jax.jit(jax.grad(total, (0, 1)))(queries, memory):
        assert np.isfinite(gradient).all()


def test_keys_may_be_given_and_are_then_not_made_again() -> None:
    layer, values = layer_and_values("additive")
    queries, memory = (values[name].astype("float32") for name in ("queries", "memory"))
    other = StepAttention("additive", name="of_keys")
    keys = memory @ values["key"].astype("float32")
    other(queries, memory, keys=keys)
    assert sorted(v.name for v in other.weights) == ["combine", "query", "score"]
    for variable in other.weights:
        variable.assign(values[variable.name])
    found = other(queries, memory, memory_mask=MASK, keys=keys)
    wanted = layer(queries, memory, memory_mask=MASK)
    np.testing.assert_allclose(found.vector, wanted.vector, rtol=1e-5, atol=1e-6)
    with pytest.raises(UsageError, match="layer `of_keys` was built for `keys`, received none"):
        other(queries, memory)


def test_the_mask_of_keras_is_heeded_and_that_of_the_queries_goes_on() -> None:
    table = keras.layers.Embedding(7, K, mask_zero=True)
    ids = np.array([[3, 6, 2, 0], [5, 0, 0, 0]])
    memory = table(ids)
    steps = keras.layers.Embedding(7, H, mask_zero=True)(np.array([[4, 1], [2, 0]]))
    layer = StepAttention("multiplicative")
    found = layer(steps, memory)
    wanted = layer(np.asarray(steps), np.asarray(memory), memory_mask=ids != 0)
    np.testing.assert_array_equal(found.weights, wanted.weights)
    assert found.vector._keras_mask.tolist() == [[True, True], [True, False]]


def test_long_sequences_need_little_memory_on_the_way_back_too() -> None:
    steps, width = 512, 32
    layer = StepAttention("additive")
    layer.build((1, steps, width), (1, steps, width))
    weights = [v.value for v in layer.trainable_variables]
    given = jax.ShapeDtypeStruct((1, steps, width), "float32")

    def total(weights: Any, queries: Any, memory: Any) -> Any:
        return layer.stateless_call(weights, [], queries, memory)[0].vector.sum()

    compiled = jax.jit(jax.grad(total, (0, 1, 2))).lower(weights, given, given).compile()
    needed = compiled.memory_analysis().temp_size_in_bytes
    assert needed < 4 * steps * steps * width, f"{needed:,} bytes"  # one copy of all scores


def test_a_model_with_it_is_saved_and_opened(tmp_path: Path) -> None:
    given = keras.Input((None, H)), keras.Input((None, K)), keras.Input((None,), dtype="bool")
    found = StepAttention("additive", name="looks")(given[0], given[1], memory_mask=given[2])
    assert [one.shape for one in found] == [(None, None, H), (None, None, K), (None, None, None)]
    model = keras.Model(given, list(found))
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert again.get_layer("looks").kind == "additive"
    _, values = layer_and_values("additive")
    x = [values["queries"].astype("float32"), values["memory"].astype("float32"), MASK]
    for one, other in zip(model(x), again(x), strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_precision_keeps_its_type_and_its_mask() -> None:
    layer, values = layer_and_values("additive")
    half = StepAttention("additive", dtype="mixed_float16")
    half.build((B, T, H), (B, S, K))
    half.set_weights(layer.get_weights())
    queries, memory = (values[name].astype("float32") for name in ("queries", "memory"))
    found, wanted = (one(queries, memory, memory_mask=MASK) for one in (half, layer))
    assert {str(one.dtype) for one in found} == {"float16"}
    np.testing.assert_allclose(found.vector, wanted.vector, atol=2e-2)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(UsageError, match="`kind` must be one of multiplicative, additive"):
        StepAttention("dot")
    queries, memory = np.zeros((2, 3, 4), "float32"), np.zeros((2, 5, 6), "float32")
    layer = StepAttention()
    with pytest.raises(ShapeError, match=r"`memory_mask` must have shape \[2, 5\] for queries of"):
        layer(queries, memory, memory_mask=np.ones((2, 3), bool))
    with pytest.raises(ShapeError, match=r"`memory` must have shape \[2, 5, 6\] .* \[1, 5, 6\]"):
        layer(queries, memory[:1])
