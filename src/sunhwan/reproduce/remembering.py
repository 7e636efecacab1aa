"""One cell on one problem at one length, with one seed: built, trained and judged."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

import sunhwan.layers
from sunhwan.reproduce.experiments import TOLERANCE
from sunhwan.reproduce.memory import Cell, MemorySize, Problem
from sunhwan.reproduce.recall import RecallBatches
from sunhwan.reproduce.starts import chrono
from sunhwan.runs.progress import Progress
from sunhwan.tasks.options import drawn_from
from sunhwan.tasks.steps import forward_pass, variables
from sunhwan.tasks.training import train

#: of what is judged by, which is the same for all seeds
_SEED = 0


@dataclass(frozen=True, eq=False)
class Network:
    """A network, and all that is compiled with it, which serves for every length and seed."""

    model: Any
    loss: Any
    optimizer: Any


def build(problem: Problem, cell: Cell, size: MemorySize) -> Network:
    """A new network with random weights: one recurrent layer and one dense one.

    Its answer is ``float32[B, 1]`` to multiplication, from the last state; and logits ``float32[B,
    S, K]`` to copying, from the states of the last S steps.
    """
    options: dict[str, Any] = {}
    if cell.carries:
        options = {"unit_forget_bias": False, "bias_initializer": chrono(cell.carries)}
    copies = problem == "copying"
    inputs = keras.Input((None, size.symbols + 2 if copies else 2))
    layer = getattr(sunhwan.layers, cell.kind)(size.units, return_sequences=copies, **options)
    states = layer(inputs)
    if copies:
        answers = keras.layers.Dense(size.symbols)(states[:, -size.remembered :])
        loss: Any = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    else:
        answers = keras.layers.Dense(1)(states)
        loss = keras.losses.MeanSquaredError()
    optimizer = keras.optimizers.Adam(size.learning_rate, clipnorm=1.0)
    return Network(keras.Model(inputs, answers), loss, optimizer)


_built = functools.lru_cache(maxsize=1)(build)


def _drawn(problem: Problem, cell: Cell, size: MemorySize, seed: int) -> Network:
    """A network with the initial weights of a seed."""
    network = _built(problem, cell, size)
    with drawn_from(seed):
        fresh = build(problem, cell, size).model
    for variable, value in zip(network.model.variables, fresh.variables, strict=True):
        variable.assign(value)
    return network


def record(
    problem: Problem,
    cell: Cell,
    length: int,
    size: MemorySize,
    *,
    seed: int,
    epochs: int,
    progress: Progress,
    label: str,
) -> dict[str, Any]:
    """The record of one seed.

    The same seed on the same machine gives the same bits, but for ``seconds``.

    Returns
    -------
    dict
        ``seed``; ``right`` of ``answers`` to sequences that were not learnt from, and
        ``share_right``; ``seconds``, ``epochs_run`` and ``history``.

    Raises
    ------
    TrainingError
        A loss is not finite.
    KeyboardInterrupt
        Ctrl-C was pressed.
    """
    network = _drawn(problem, cell, size, seed)
    asked: dict[str, Any] = {"symbols": size.symbols, "remembered": size.remembered}
    history = train(
        network.model,
        RecallBatches(
            problem, length, batches=size.batches, batch_size=size.batch_size, seed=seed, **asked
        ),
        None,
        loss=network.loss,
        optimizer=network.optimizer,
        epochs=epochs,
        # of sequences that are new in each epoch
        monitor="loss",
        schedule="cosine",
        progress=progress,
        label=label,
    )
    unseen = RecallBatches(
        problem, length, batches=1, batch_size=size.test_rows, seed=_SEED, part="test", **asked
    )
    right, answers = count_right(network.model, unseen)
    return {
        "seed": seed,
        "right": right,
        "answers": answers,
        "share_right": right / answers,
        "seconds": round(history.seconds, 2),
        "epochs_run": history.epochs,
        "history": history.figures,
    }


def count_right(model: Any, asked: RecallBatches) -> tuple[int, int]:
    """How many answers of a model to the first batch are right, and how many there are.

    A number is right within `experiments.TOLERANCE`, a symbol if it is the likeliest.
    """
    x, wanted, _ = asked[0]
    given = np.asarray(forward_pass(model)(*variables(model), x)[0])
    if given.ndim == wanted.ndim:
        right = np.abs(given - wanted) < np.float32(TOLERANCE)
    else:
        right = given.argmax(axis=-1) == wanted
    return int(right.sum()), right.size
