"""One model in a process of its own, whose training steps are timed whenever the parent asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sunhwan.reproduce.experiments import Experiment, find
from sunhwan.reproduce.material import Material

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: the numbers of words and of topics of the experiments on texts
_WORDS, _TOPICS = 10_000, 46


@dataclass(frozen=True)
class Timed:
    """A model whose steps are timed.

    Parameters
    ----------
    name
        On the command line.
    experiment, variant
        Where the model is defined, in `sunhwan.reproduce.experiments`.
    shape
        Of one row of the input: ``(T,)`` word numbers or ``(T, D)`` values.
    steps
        Steps in a round, so that a round takes long enough to be timed.
    """

    name: str
    experiment: str
    variant: str
    shape: tuple[int, ...]
    steps: int


TIMED = (
    Timed("imdb-lstm", "imdb-lstm", "lstm", (500,), 10),
    Timed("imdb-simple-rnn", "imdb-simple-rnn", "simple-rnn", (500,), 20),
    Timed("reuters-gru", "reuters-gru", "gru", (300,), 5),
    Timed("multiplication-lstm", "multiplication", "lstm", (100, 2), 64),
    Timed("multiplication-simple-rnn", "multiplication", "simple-rnn", (100, 2), 128),
)


def prepare(timed: Timed, side: str) -> tuple[Callable[[int], float], list[str]]:
    """Build and warm up a model: a function from a number of steps to the seconds of each.

    Returns
    -------
    tuple
        That function, and what `sunhwan.explain` says of the model (nothing for ``"stock"``).
    """
    import keras

    from sunhwan.reproduce.training import build

    experiment = find(timed.experiment)
    variant = next(v for v in experiment.variants if v.name == timed.variant)
    material = noise(experiment, timed)
    explanations: list[str] = []
    keras.utils.set_random_seed(0)
    if side == "stock":
        model = build(experiment, variant, keras.layers, material)
    else:
        from sunhwan import layers

        model = build(experiment, variant, layers, material)
        explanations = [str(line) for line in layers.explain(model)]
    targets = material.y_train if experiment.task == "classes" else material.y_train[:, None]

    def fit(steps: int) -> float:
        rows = steps * experiment.batch
        start = time.perf_counter()
        model.fit(
            material.x_train[:rows],
            targets[:rows],
            batch_size=experiment.batch,
            verbose=0,
        )
        return (time.perf_counter() - start) / steps

    fit(2)  # compiles
    fit(timed.steps)
    return fit, explanations


def noise(experiment: Experiment, timed: Timed) -> Material:
    """Random rows of the model's shape, enough for a round.

    A step costs the same whatever it learns, so timing needs no data set.

    Examples
    --------
    >>> noise(find("imdb-lstm"), TIMED[0]).x_train.shape
    (1280, 500)
    """
    import numpy as np

    x: NDArray[Any]
    y: NDArray[Any]
    rng = np.random.default_rng(20)
    rows = timed.steps * experiment.batch
    if len(timed.shape) == 1:
        x = rng.integers(1, _WORDS, (rows, *timed.shape)).astype(np.int32)
    else:
        x = rng.random((rows, *timed.shape)).astype(np.float32)
    if experiment.task == "numbers":
        y = rng.random(rows).astype(np.float32)
    else:
        y = rng.integers(0, _TOPICS if experiment.task == "classes" else 2, rows)
    return Material(x, y, x[:1], y[:1])
