"""A peer on Keras: ours, or Keras's own layers on the backend that ``KERAS_BACKEND`` names.

Run as ``python -m benchmarks.peers.keras_worker sunhwan`` or ``… keras``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import keras
import numpy as np
from benchmarks.peers.worker import Arrays, serve, weights

_PACKAGES = {
    "jax": ("jax", "jaxlib"),
    "tensorflow": ("tensorflow-cpu",),
    "torch": ("torch",),
}
_CLASSES = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}


class KerasWorker:
    """Layers of `namespace`, which is sunhwan's or Keras's own."""

    def __init__(self, namespace: Any) -> None:
        self._layers = namespace
        self._run: Callable[[int], None] = lambda steps: None

    def versions(self) -> dict[str, str]:
        """Of Keras, its backend and NumPy; and ours, with the kernels that run."""
        packages = ("keras", *_PACKAGES[keras.backend.backend()], "numpy")
        found = {name: version(name) for name in packages}
        if self._layers is not keras.layers:
            import sunhwan
            from sunhwan.engine import native

            found["sunhwan"] = sunhwan.__version__
            found["kernels"] = "yes" if native.available() else f"no: {native.why_missing()}"
        return found

    def wake(self) -> None:
        """As `benchmarks.peers.worker.Worker.wake`."""
        ones = np.ones((64, 64), np.float32)
        model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64)])
        model.compile(optimizer="adam", loss="mse")
        model.fit(ones, ones, batch_size=32, verbose=0)
        model.predict_on_batch(ones)

    def prepare(self, plan: dict[str, Any], arrays: Arrays) -> Arrays:
        """As `benchmarks.peers.worker.Worker.prepare`."""
        keras.backend.clear_session()
        if plan["task"] == "layer":
            return self._prepare_layer(plan, arrays)
        model = self._build(plan)
        model.set_weights(weights(arrays))
        x, batch = arrays["x"], plan["batch"]
        if plan["task"] == "infer":
            self._run = lambda steps: _repeat(steps, lambda: model.predict_on_batch(x))
            return {"output": model.predict_on_batch(x)}
        model.compile(optimizer=plan["optimizer"], loss=plan["loss"])
        y = arrays["y"]

        def fit(steps: int) -> None:
            rows = steps * batch
            model.fit(x[:rows], y[:rows], batch_size=batch, verbose=0)

        self._run = fit
        first = model.fit(x[:batch], y[:batch], batch_size=batch, verbose=0)
        return {"loss": np.asarray(first.history["loss"][0])}

    def run(self, steps: int) -> None:
        """As `benchmarks.peers.worker.Worker.run`."""
        self._run(steps)

    def _build(self, plan: dict[str, Any]) -> Any:
        dtype = "int32" if plan["layers"][0]["kind"] == "embedding" else "float32"
        given = keras.Input(tuple(plan["shape"]), dtype=dtype)
        return keras.Sequential([given, *map(self._layer, plan["layers"])])

    def _layer(self, layer: dict[str, Any]) -> Any:
        match layer["kind"]:
            case "embedding":
                return self._layers.Embedding(
                    layer["size"], layer["units"], mask_zero=layer.get("mask", False)
                )
            case "flatten":
                return keras.layers.Flatten()
            case "dense":
                return keras.layers.Dense(layer["units"], activation=layer["activation"])
            case "bidirectional":
                return self._layers.Bidirectional(self._layer({**layer, "kind": layer["cell"]}))
            case kind:
                kind_class = getattr(self._layers, _CLASSES[kind])
                return kind_class(layer["units"], return_sequences=layer["sequences"])

    def _prepare_layer(self, plan: dict[str, Any], arrays: Arrays) -> Arrays:
        layer = self._layer(plan["layers"][0])
        layer.build((plan["batch"], *plan["shape"]))
        layer.set_weights(weights(arrays))
        make = {"jax": _jax_step, "tensorflow": _tensorflow_step, "torch": _torch_step}
        step = make[keras.backend.backend()](layer, arrays["x"], arrays["r"])
        self._run = lambda steps: _repeat(steps, step)
        loss, gradients = step()
        # of the inputs, the weights of the inputs and those of the states
        names = ("dx", "dkernel", "drecurrent")
        found = zip(names, gradients, strict=False)
        return {"loss": _numpy(loss), **{name: _numpy(value) for name, value in found}}


def _repeat(steps: int, step: Callable[[], Any]) -> None:
    for _ in range(steps):
        step()


def _numpy(value: Any) -> Any:
    return keras.ops.convert_to_numpy(value)


#: a step forward and back: the loss, and its gradients of the inputs and of every weight
_Step = Callable[[], tuple[Any, tuple[Any, ...]]]


def _jax_step(layer: Any, x: Any, r: Any) -> _Step:
    import jax

    def loss(values: list[Any], x: Any, r: Any) -> Any:
        y, _ = layer.stateless_call(values, others, x)
        return (y * r).sum()

    compiled = jax.jit(jax.value_and_grad(loss, argnums=(1, 0)))
    values = [variable.value for variable in layer.trainable_variables]
    others = [variable.value for variable in layer.non_trainable_variables]
    x, r = jax.device_put(x), jax.device_put(r)

    def step() -> tuple[Any, tuple[Any, ...]]:
        found, (dx, dweights) = jax.block_until_ready(compiled(values, x, r))
        return found, (dx, *dweights)

    return step


def _tensorflow_step(layer: Any, x: Any, r: Any) -> _Step:
    import tensorflow as tf

    values = [variable.value for variable in layer.trainable_variables]
    x, r = tf.constant(x), tf.constant(r)

    @tf.function
    def compiled(x: Any, r: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) * r)
        return loss, tape.gradient(loss, [x, *values])

    def step() -> tuple[Any, tuple[Any, ...]]:
        loss, gradients = compiled(x, r)
        return loss.numpy(), tuple(gradients)

    return step


def _torch_step(layer: Any, x: Any, r: Any) -> _Step:
    import torch

    values = [variable.value for variable in layer.trainable_variables]
    x, r = torch.from_numpy(x).requires_grad_(), torch.from_numpy(r)

    def step() -> tuple[Any, tuple[Any, ...]]:
        loss = (layer(x, training=True) * r).sum()
        return loss, torch.autograd.grad(loss, [x, *values])

    return step


if __name__ == "__main__":
    if sys.argv[1:] == ["sunhwan"]:
        from sunhwan import layers

        serve(KerasWorker(layers))
    elif sys.argv[1:] == ["keras"]:
        serve(KerasWorker(keras.layers))
    else:
        raise SystemExit(f"{os.path.basename(__file__)} takes `sunhwan` or `keras`")
