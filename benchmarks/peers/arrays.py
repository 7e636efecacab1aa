"""Inputs, targets and weights of a case, the same for every peer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.peers.cases import Case
from numpy.typing import NDArray

_SEED = 20
_GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}
#: of film reviews in words, where texts are drawn: median, and spread of the logarithm
_MEDIAN, _SPREAD = 175, 0.65

Arrays = dict[str, NDArray[Any]]


def weights(case: Case) -> list[NDArray[np.float32]]:
    """Random weights of a case, in Keras's order; each answer is of the size of its inputs.

    Examples
    --------
    >>> from benchmarks.peers.cases import MODELS
    >>> [array.shape for array in weights(MODELS[0])]
    [(10000, 32), (32, 128), (32, 128), (128,), (32, 1), (1,)]
    """
    rng = np.random.default_rng(_SEED)
    found: list[NDArray[np.float32]] = []

    def add(*shape: int) -> None:
        scale = 0.1 if len(shape) == 1 else 1 / np.sqrt(shape[0])
        found.append((scale * rng.standard_normal(shape)).astype(np.float32))

    width = case.shape[-1]
    for layer in case.layers:
        kind, units = layer.get("cell", layer["kind"]), layer.get("units", 0)
        if kind == "flatten":
            width *= case.shape[0]
        elif kind == "embedding":
            found.append(rng.standard_normal((layer["size"], units)).astype(np.float32))
            width = units
        elif kind == "dense":
            add(width, units)
            add(units)
            width = units
        else:
            directions = 2 if layer["kind"] == "bidirectional" else 1
            for _ in range(directions):
                add(width, _GATES[kind] * units)
                add(units, _GATES[kind] * units)
                # a GRU that resets after the recurrent product has two
                bias = (2, 3 * units) if kind == "gru" else (_GATES[kind] * units,)
                found.append((0.1 * rng.standard_normal(bias)).astype(np.float32))
            width = directions * units
    return found


def for_fit(case: Case) -> tuple[Arrays, str | None]:
    """Rows for a turn and a step more, with targets; and where texts come from."""
    rows = (case.steps + 1) * case.batch
    found, said = _inputs(case, rows)
    rng = np.random.default_rng(_SEED + 1)
    if case.loss == "mse":
        found["y"] = rng.random((rows, 1)).astype(np.float32)
    elif case.loss == "binary_crossentropy":
        found["y"] = rng.integers(0, 2, (rows, 1)).astype(np.float32)
    else:
        found["y"] = rng.integers(0, case.layers[-1]["units"], rows).astype(np.int64)
    return found, said


def for_inference(case: Case, batch: int) -> Arrays:
    """Rows to be answered."""
    return _inputs(case, batch)[0]


def for_layer(case: Case) -> Arrays:
    """Inputs of a layer alone, and ``r``, which its output is multiplied by for a loss."""
    found, _ = _inputs(case, case.batch)
    rng = np.random.default_rng(_SEED + 1)
    shape = (case.batch, case.shape[0], case.layers[0]["units"])
    # the gradients of all weights are then of the size of one
    found["r"] = (rng.standard_normal(shape) / np.sqrt(case.batch)).astype(np.float32)
    return found


def _inputs(case: Case, rows: int) -> tuple[Arrays, str | None]:
    found = {f"w{place:02d}": array for place, array in enumerate(weights(case))}
    rng = np.random.default_rng(_SEED)
    if case.layers[0]["kind"] != "embedding":
        return {**found, "x": rng.standard_normal((rows, *case.shape)).astype(np.float32)}, None
    x, said = _texts(case, rows)
    found["x"] = x
    if case.is_masked:
        found["lengths"] = np.count_nonzero(x, axis=1)
    return found, said


def _texts(case: Case, rows: int) -> tuple[NDArray[np.int32], str]:
    """Word numbers, padded at the front with 0, and where they come from."""
    words, longest = case.layers[0]["size"], case.shape[0]
    home = os.environ.get("SUNHWAN_DATA")
    if home and (Path(home) / case.texts).is_dir():
        from sunhwan.data.datasets import load

        x = load(case.texts, num_words=words, maxlen=longest).train.x
        return np.resize(x, (rows, longest)), f"the first texts of {case.texts}"
    rng = np.random.default_rng(_SEED)
    drawn = np.exp(np.log(_MEDIAN) + _SPREAD * rng.standard_normal(rows))
    lengths = np.clip(drawn, 1, longest).astype(np.int64)
    # Zipf's law: the word of rank r as often as 1 / r
    x = np.exp(rng.random((rows, longest)) * np.log(words)).astype(np.int32)
    x[np.arange(longest) < longest - lengths[:, None]] = 0
    said = f"drawn: lengths lognormal, median {_MEDIAN}, spread {_SPREAD}; words by Zipf's law"
    return x, said
