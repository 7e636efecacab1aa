"""Small examples of every kind, and learners that were prepared for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sunhwan.data.examples import Examples
from sunhwan.tasks.config import make_config
from sunhwan.tasks.learner import Learner

SMALL: dict[str, Any] = {"units": 4, "embedding": 3, "num_layers": 1, "batch_size": 8, "epochs": 1}


def texts(count: int = 20, **changed: Any) -> Examples:
    """Texts of unequal length with a label of which "good" decides."""
    draw = np.random.default_rng(3)
    words = ["good", "bad", "film", "long", "short", "music"]
    inputs = [" ".join(draw.choice(words, draw.integers(1, 9))) for _ in range(count)]
    targets: list[Any] = ["yes" if "good" in text else "no" for text in inputs]
    places = [f"films.csv, line {n + 2}" for n in range(count)]
    return Examples("text", **{"inputs": inputs, "targets": targets, "places": places, **changed})


def numbers(count: int = 20) -> Examples:
    """Sequences of two features and unequal length, with their mean as the answer."""
    draw = np.random.default_rng(4)
    inputs = [draw.normal(5, 2, (draw.integers(1, 9), 2)).astype(np.float32) for _ in range(count)]
    targets = [float(row.mean()) * 100 for row in inputs]
    return Examples("numbers", inputs, targets, [f"row {n}" for n in range(count)])


def sentences(count: int = 20) -> Examples:
    """Lists of tokens of unequal length with a label for each token."""
    draw = np.random.default_rng(5)
    inputs = [[str(w) for w in draw.choice(["Go", "runs", "9.5", "집에"], n)]
              for n in draw.integers(1, 9, count)]  # fmt: skip
    targets = [["X" if word == "9.5" else "Y" for word in row] for row in inputs]
    return Examples("tokens", inputs, targets, [f"line {n}" for n in range(count)])


def prepared(task: str, examples: Examples, **options: Any) -> Learner:
    learner = Learner(make_config({"task": task, **SMALL, **options}))
    learner.prepare(examples)
    return learner
