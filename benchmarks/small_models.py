"""What a small model pays besides its arithmetic: steps of `fit`, and answers to one row.

    python benchmarks/small_models.py --rounds 15

The models are those of the multiplication task. A step of training by ``fit``, by ``fit-32``
(`compile` with ``steps_per_execution=32``), by ``compiled`` (Keras's own `train_step` as one
function compiled by JAX, on batches that lie ready) and by ``grouped`` (16 such steps in one call,
a loop that XLA runs). An answer to one row by `predict`, by `predict_on_batch` and by ``compiled``
(the model as one function compiled by JAX, weights included). ``arithmetic`` is a step of
``grouped`` again, in processor time on all cores. Sides take turns round by round. Sides of one
kind must give the same numbers, else there is an error. The figures, in microseconds a step or
answer, are kept in results/small_models.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sunhwan import layers  # first: it has Keras take JAX where nobody chose

# isort: split
import jax
import keras
import numpy as np
import step_times

RESULTS = Path(__file__).parent / "results" / "small_models.json"
MODELS = {"multiplication-lstm": layers.LSTM, "multiplication-simple-rnn": layers.SimpleRNN}
STEPS, GROUP, ROWS, ANSWERS = 128, 16, 32, 200


def build(name: str, steps_per_execution: int = 1) -> Any:
    """A model with weights that are always the same."""
    keras.utils.set_random_seed(1)
    layer = MODELS[name]
    given = keras.Input((100, 2))
    parts = [given, layer(30, return_sequences=True), layer(30), keras.layers.Dense(1)]
    model = keras.Sequential(parts)
    model.compile(optimizer="adam", loss="mse", steps_per_execution=steps_per_execution)
    model.optimizer.build(model.trainable_variables)
    return model


def by_fit(model: Any, x: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
    """Steps by Keras's loop."""

    def run() -> Any:
        model.fit(x, y, batch_size=ROWS, shuffle=False, verbose=0)
        return [variable.value for variable in model.trainable_variables]

    return run


def by_step(model: Any, x: np.ndarray, y: np.ndarray, group: int) -> Callable[[], Any]:
    """Steps by a function that takes `group` batches a call; 1 is a call for each."""
    variables = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([jax.numpy.array(v.value) for v in some] for some in variables)

    def many(state: Any, xs: Any, ys: Any) -> Any:
        def one(state: Any, batch: Any) -> Any:
            after = model.train_step(state, (*batch, None))[1]
            return tuple(list(some) for some in after), None

        return jax.lax.scan(one, state, (xs, ys))[0]

    single = jax.jit(lambda state, x, y: model.train_step(state, (x, y, None))[1], donate_argnums=0)
    step = single if group == 1 else jax.jit(many, donate_argnums=0)
    shape = (-1, ROWS) if group == 1 else (-1, group, ROWS)
    batches = jax.device_put(
        list(zip(x.reshape(*shape, *x.shape[1:]), y.reshape(*shape, 1), strict=True))
    )

    def run() -> Any:
        nonlocal state
        for xs, ys in batches:
            state = step(state, xs, ys)
        return jax.block_until_ready(state)[0]

    return run


def answering(model: Any, row: np.ndarray) -> dict[str, Callable[[], Any]]:
    """Ways to answer one row."""
    variables = (model.trainable_variables, model.non_trainable_variables)
    # copies, since `predict` uses up the arrays that the variables have now
    values = [[jax.numpy.array(v.value) for v in some] for some in variables]
    compiled = jax.jit(lambda x: model.stateless_call(*values, x, training=False)[0])
    calls = {
        "answer-compiled": lambda: np.asarray(compiled(row)),
        "answer-predict-on-batch": lambda: model.predict_on_batch(row),
        "answer-predict": lambda: model.predict(row, verbose=0),
    }

    def repeat(call: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: [call() for _ in range(ANSWERS)][-1]

    return {name: repeat(call) for name, call in calls.items()}


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Microseconds a step or answer of each side."""
    rng = np.random.default_rng(1)
    x, y = rng.random((STEPS * ROWS, 100, 2), "float32"), rng.random((STEPS * ROWS, 1), "float32")
    training = {
        "fit": by_fit(build(name), x, y),
        "fit-32": by_fit(build(name, 32), x, y),
        "compiled": by_step(build(name), x, y, 1),
        "grouped": by_step(build(name), x, y, GROUP),
    }
    sides = training | answering(build(name), x[:1])
    found: dict[str, list[float]] = {side: [] for side in (*sides, "arithmetic")}
    for number in range(-1, rounds):  # the first compiles
        results = {}
        for side in sides if number % 2 == 0 else reversed(sides):
            count = STEPS if side in training else ANSWERS
            start, used = time.perf_counter(), time.process_time()
            results[side] = sides[side]()
            if number < 0:
                continue
            found[side].append((time.perf_counter() - start) / count * 1e6)
            if side == "grouped":
                found["arithmetic"].append((time.process_time() - used) / count * 1e6)
        for side, result in results.items():
            first = "fit" if side in training else "answer-predict"
            for one, other in zip(result, results[first], strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-3)
    return step_times.brief(found)


def main() -> None:
    """Measure all, print a line for each, and keep the figures."""
    unit = "microseconds a step of 32 rows, or an answer to one row"
    step_times.run(__doc__, MODELS, measure, RESULTS, unit=unit)


if __name__ == "__main__":
    main()
