"""What one step costs: `sunhwan.stream` beside the ways that Keras has to read a step at a time.

    python benchmarks/streaming.py --rounds 15

Each model reads a sequence of a batch of one, a step a call. ``states-predict`` and
``states-compiled`` run a model of one step of Keras's own layers that takes its states and gives
them back, by `predict_on_batch` and as one function compiled by JAX; ``whole`` is `predict` for all
of 100 steps. Sides take turns round by round. All must give the same numbers, else there is an
error. The figures, in microseconds a step, are kept in results/streaming.json.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sunhwan  # first: it has Keras take JAX where nobody chose

# isort: split
import keras
import numpy as np
import step_times

RESULTS = Path(__file__).parent / "results" / "streaming.json"
#: steps of the sequence that is read whole, and that the sides are compared over
STEPS = 100
#: by name: what is read (words of a table, or numbers a step), recurrent layers, the answer
MODELS: dict[str, tuple[dict[str, int], list[tuple[str, int]], tuple[int, str]]] = {
    "imdb-lstm": ({"words": 10_000, "vector": 32}, [("LSTM", 32)], (1, "sigmoid")),
    "imdb-simple-rnn": ({"words": 10_000, "vector": 32}, [("SimpleRNN", 32)], (1, "sigmoid")),
    "reuters-gru": (
        {"words": 10_000, "vector": 256},
        [("GRU", 256), ("GRU", 256)],
        (46, "softmax"),
    ),
    "multiplication-lstm": ({"numbers": 2}, [("LSTM", 30), ("LSTM", 30)], (1, "linear")),
    "multiplication-simple-rnn": (
        {"numbers": 2},
        [("SimpleRNN", 30), ("SimpleRNN", 30)],
        (1, "linear"),
    ),
    "letters-lstm": ({"words": 96, "vector": 64}, [("LSTM", 512)], (96, "linear")),
    "deep-lstm": (
        {"numbers": 13},
        [("LSTM", 1024), ("LSTM", 512), ("LSTM", 256), ("LSTM", 128)],
        (1, "sigmoid"),
    ),
}
#: a function that reads the sequence a step at a time, or whole: its answers, and seconds a step
Side = Callable[[], tuple[np.ndarray, float]]


def build(name: str, layers: Any) -> Any:
    """The model that reads a whole sequence."""
    reads, memories, (outputs, activation) = MODELS[name]
    parts: list[Any] = [keras.Input((None,) if "words" in reads else (None, reads["numbers"]))]
    if "words" in reads:
        parts.append(layers.Embedding(reads["words"], reads["vector"]))
    parts += [getattr(layers, kind)(units, return_sequences=True) for kind, units in memories]
    return keras.Sequential([*parts, keras.layers.Dense(outputs, activation)])


def one_step(model: Any) -> Any:
    """The same layers over one step, with states as inputs and outputs."""
    given = keras.Input((1, *model.inputs[0].shape[2:]))
    x, before, after = given, [], []
    for layer in model.layers:
        if isinstance(layer, keras.layers.RNN):
            states = [keras.Input((layer.units,)) for _ in layer.state_size]
            copy = type(layer)(layer.units, return_state=True, return_sequences=True)
            x, *new = copy(x, initial_state=states)
            copy.set_weights(layer.get_weights())
            before, after = before + states, after + new
        else:
            x = layer(x)
    return keras.Model([given, *before], [x, *after])


def sides(name: str, x: np.ndarray) -> dict[str, Side]:
    """The sides of a model, warmed up."""
    model = build(name, keras.layers)
    stream, step = sunhwan.stream(model), one_step(model)
    values = (
        [v.value for v in step.trainable_variables],
        [v.value for v in step.non_trainable_variables],
    )
    import jax

    compiled = jax.jit(lambda given: step.stateless_call(*values, given, training=False)[0])
    zeros = [np.zeros((1, state.shape[-1]), "float32") for state in step.inputs[1:]]

    def timed(run: Callable[[], Any]) -> tuple[np.ndarray, float]:
        start = time.perf_counter()
        answers = run()
        seconds = (time.perf_counter() - start) / len(x)
        return np.asarray(answers, np.float32).reshape(len(x), -1), seconds

    def by(call: Callable[[list[Any]], Any]) -> Callable[[], Any]:
        def run() -> list[np.ndarray]:
            states, answers = zeros, []
            for row in x:
                y, *states = call([row[None, None], *states])
                answers.append(np.asarray(y))
            return answers

        return run

    def streamed() -> list[np.ndarray]:
        stream.reset()
        return [stream.step(row).copy() for row in x]

    runs = {
        "stream": streamed,
        "states-compiled": by(compiled),
        "states-predict": by(lambda given: step.predict_on_batch(given)),
        "whole": lambda: model.predict(x[None], verbose=0),
    }
    for run in runs.values():
        run()
    return {side: lambda run=run: timed(run) for side, run in runs.items()}


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Microseconds a step of each side."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    reads = MODELS[name][0]
    x: np.ndarray = (
        rng.integers(1, reads["words"], STEPS)
        if "words" in reads
        else rng.standard_normal((STEPS, reads["numbers"]), "float32")
    )
    all_sides = sides(name, x)
    found: dict[str, list[float]] = {side: [] for side in all_sides}
    for number in range(rounds):
        order = list(all_sides) if number % 2 == 0 else list(reversed(all_sides))
        answers = {}
        for side in order:
            answers[side], seconds = all_sides[side]()
            found[side].append(seconds * 1e6)
        for side in all_sides:
            np.testing.assert_allclose(answers[side], answers["stream"], rtol=0, atol=1e-4)
    return step_times.brief(found)


def main() -> None:
    """Measure all, print a line for each, and keep the figures."""
    unit = "microseconds a step, batch of one"
    step_times.run(__doc__, MODELS, measure, RESULTS, unit=unit, steps=STEPS)


if __name__ == "__main__":
    main()
