"""Our layers and Keras's own side by side: the same options, the same random weights."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np

import sunhwan

NAMES = ("SimpleRNN", "LSTM", "GRU")


def array(*shape: int, seed: int = 0, scale: float = 1.0) -> Any:
    """Return random float32 of a shape."""
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def randomize(layer: Any, seed: int = 1) -> None:
    """Give a layer random weights, biases included, so that nothing can be swapped unseen."""
    rng = np.random.default_rng(seed)
    layer.set_weights(
        [
            (rng.standard_normal(w.shape) * (0.5 / np.sqrt(w.shape[0]) if w.ndim > 1 else 0.3))
            for w in layer.get_weights()
        ]
    )


def pair(name: str, *args: Any, shape: tuple[int, ...], **options: Any) -> tuple[Any, Any]:
    """Return our layer ``name`` and Keras's, built for ``shape``, with equal random weights."""
    ours = getattr(sunhwan.layers, name)(*args, **options)
    stock = getattr(keras.layers, name)(*args, **options)
    return twins(ours, stock, shape)


def wrapped(name: str, shape: tuple[int, ...], inner: dict[str, Any], **outer: Any) -> Any:
    """Return `Bidirectional` around layer ``name``, ours and Keras's, with equal weights."""
    ours = sunhwan.layers.Bidirectional(getattr(sunhwan.layers, name)(**inner), **outer)
    stock = keras.layers.Bidirectional(getattr(keras.layers, name)(**inner), **outer)
    return twins(ours, stock, shape)


def twins(ours: Any, stock: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Build both layers and give them the same random weights."""
    ours.build(shape)
    stock.build(shape)
    randomize(ours)
    stock.set_weights(ours.get_weights())
    return ours, stock


def flat(value: Any) -> list[Any]:
    """Return all arrays in a nest as NumPy arrays."""
    return [np.asarray(v) for v in keras.tree.flatten(value)]


def assert_same(ours: Any, stock: Any, rtol: float = 1e-5, atol: float = 2e-6) -> None:
    """Compare what two layers returned, array by array."""
    left, right = flat(ours), flat(stock)
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def gradients(layer: Any, x: Any, **call: Any) -> list[Any]:
    """Return gradients of a weighted sum of all results, for the weights and ``x``, under jit."""
    fixed = [v.value for v in layer.non_trainable_variables]

    def loss(weights: Any, x: Any) -> Any:
        out = layer.stateless_call(weights, fixed, x, **call)[0]
        parts = keras.tree.flatten(out)
        return sum((p * array(*p.shape, seed=i)).sum() for i, p in enumerate(parts))

    weights = [v.value for v in layer.trainable_variables]
    return flat(jax.jit(jax.grad(loss, argnums=(0, 1)))(weights, x))
