"""What products of bfloat16 cost and what they do to accuracy, beside those of float32.

    python benchmarks/bfloat16.py --rounds 15

``layers`` times LSTM and GRU layers of H units over 32 sequences of H features, forward and with
all gradients: compiled steps of both dtypes by turns, milliseconds. ``imdb`` trains the network of
the film reviews (Embedding 32, LSTM 32) with float32 and under ``mixed_bfloat16``, the same seeds,
weights and batches for both, and judges the reviews of the test part. ``--reviews`` takes so many
reviews of each part in place of all, ``--only`` one of the two halves. The figures are kept in
results/bfloat16.json.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sunhwan  # first: it has Keras take JAX where nobody chose

# isort: split
import jax
import keras
import numpy as np

from sunhwan.engine import native
from sunhwan.environment import describe
from sunhwan.errors import KernelError
from sunhwan.reproduce.experiments import find
from sunhwan.runs.files import write_json

RESULTS = Path(__file__).parent / "results" / "bfloat16.json"
POLICIES = ("float32", "mixed_bfloat16")
#: steps of a sequence by units: so many that a round takes its time, and not too long
STEPS = {128: 100, 256: 100, 512: 25, 1024: 25}
BATCH = 32
#: the network that is judged, and how it is trained
EXPERIMENT = find("imdb-lstm")
SEEDS = (1, 2, 3)


def sides(kind: str, units: int) -> dict[str, dict[str, Callable[[], Any]]]:
    """By what is computed and by policy, a function that computes it."""
    rng = np.random.default_rng(units)
    x = rng.standard_normal((BATCH, STEPS[units], units)).astype(np.float32)
    upstream = rng.standard_normal(x.shape).astype(np.float32)
    found: dict[str, dict[str, Callable[[], Any]]] = {"forward": {}, "training": {}}
    for policy in POLICIES:
        layer = getattr(sunhwan.layers, kind)(units, return_sequences=True, dtype=policy)
        layer.build(x.shape)
        states = [v.value for v in layer.non_trainable_variables]
        dtype = layer.compute_dtype

        def forward(values: Any, x: Any, layer: Any = layer, states: Any = states) -> Any:
            return layer.stateless_call(values, states, x)[0]

        def loss(values: Any, x: Any, y: Any, forward: Any = forward) -> Any:
            return (forward(values, x) * y).sum()

        # the arrays as the layers around would give them
        given = [v.value for v in layer.trainable_variables], jax.numpy.asarray(x, dtype)
        runs = {
            "forward": (jax.jit(forward), given),
            "training": (
                jax.jit(jax.grad(loss, (0, 1))),
                (*given, jax.numpy.asarray(upstream, dtype)),
            ),
        }
        for name, (run, arguments) in runs.items():
            found[name][policy] = lambda run=run, a=arguments: jax.block_until_ready(run(*a))
    return found


def measure(kind: str, units: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of both dtypes, by turns, and the ratio of the medians."""
    figures: dict[str, Any] = {}
    for name, by_policy in sides(kind, units).items():
        taken: dict[str, list[float]] = {policy: [] for policy in POLICIES}
        for run in by_policy.values():
            run()
        for number in range(rounds):
            for policy in POLICIES if number % 2 == 0 else reversed(POLICIES):
                start = time.perf_counter()
                by_policy[policy]()
                taken[policy].append((time.perf_counter() - start) * 1e3)
        medians = {policy: statistics.median(rows) for policy, rows in taken.items()}
        figures[name] = {
            policy: {
                "median": round(medians[policy], 3),
                "lowest": round(min(rows), 3),
                "rounds": rounds,
            }
            for policy, rows in taken.items()
        } | {"times as fast": round(medians[POLICIES[0]] / medians[POLICIES[1]], 2)}
    return figures


def accuracy(policy: str, seed: int, data: Any, epochs: int) -> tuple[float, float]:
    """Part of the test reviews that a network is right about after training, and its seconds."""
    keras.utils.set_random_seed(seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        ids = keras.Input(data.x_train.shape[1:], dtype="int32")
        [variant] = EXPERIMENT.variants
        network = keras.Sequential([ids, *variant.build(sunhwan.layers)])
    finally:
        keras.config.set_dtype_policy(before)
    network.compile(EXPERIMENT.optimizer, EXPERIMENT.loss, metrics=["accuracy"])
    start = time.perf_counter()
    network.fit(
        data.x_train,
        data.y_train,
        batch_size=EXPERIMENT.batch,
        epochs=epochs,
        validation_split=EXPERIMENT.validation_split,
        verbose=0,
    )
    seconds = time.perf_counter() - start
    _, right = network.evaluate(data.x_test, data.y_test, batch_size=500, verbose=0)
    return float(right), seconds


def judged(count: int | None, epochs: int) -> dict[str, Any]:
    """Accuracies of both dtypes for all seeds, by turns."""
    data = EXPERIMENT.load()
    if count is not None:
        data = data.cut(count, count)
    found: dict[str, list[tuple[float, float]]] = {policy: [] for policy in POLICIES}
    for seed in SEEDS:
        for policy in POLICIES:
            found[policy].append(accuracy(policy, seed, data, epochs))
            right, seconds = found[policy][-1]
            print(f"imdb, seed {seed}, {policy}: {right:.2%} in {seconds:.0f} s", flush=True)
    figures = {policy: summary(*zip(*rows, strict=True)) for policy, rows in found.items()}
    return {"reviews": len(data.x_train), "tested": len(data.x_test), "epochs": epochs} | figures


def summary(right: tuple[float, ...], seconds: tuple[float, ...]) -> dict[str, Any]:
    """Accuracies with mean and spread, and how long training took."""
    return {
        "accuracy": [round(v, 5) for v in right],
        "mean": round(statistics.fmean(right), 5),
        "sd": round(statistics.stdev(right), 5),
        "seconds": [round(v, 2) for v in seconds],
    }


def main() -> None:
    """Measure, print a line for each figure, and keep them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--units", type=int, nargs="+", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--reviews", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=EXPERIMENT.epochs)
    parser.add_argument("--only", choices=("layers", "imdb"), default=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    if not native.has_bfloat16():
        raise KernelError("this machine has no kernels for products of bfloat16")
    document: dict[str, Any] = {"environment": describe() | {"kernels": native.active_isa()}}
    if given.only != "imdb":
        document |= {"unit": f"milliseconds, batch of {BATCH}", "layers": {}}
        for kind in ("LSTM", "GRU"):
            for units in given.units:
                name = f"{kind.lower()}-h{units}-t{STEPS[units]}"
                document["layers"][name] = figures = measure(kind, units, given.rounds)
                for part, row in figures.items():
                    print(f"{name}, {part}: {row['times as fast']} times as fast", flush=True)
    if given.only != "layers":
        document["imdb"] = judged(given.reviews, given.epochs)
    write_json(given.out, document)


if __name__ == "__main__":
    main()
