"""Labels or numbers to answer: as numbers to learn from, and from a network's outputs again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Examples
from sunhwan.data.spool import Spool
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.config import Task


@dataclass(frozen=True)
class Targets:
    """What a network answers with.

    Attributes
    ----------
    per_step
        True if there is an answer for each step.
    classes
        The labels in the order of the network's outputs; empty where it answers with numbers.
    mean, scale
        Of the numbers to answer in training; the network answers in their units.

    Examples
    --------
    >>> Targets(classes=["no", "yes"]).answers(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    >>> Targets(mean=10.0, scale=2.0).answers(np.array([[-1.0], [0.5]]))
    array([ 8., 11.])
    """

    per_step: bool = False
    classes: list[str] = field(default_factory=list)
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def of(cls, task: Task, examples: Examples) -> Targets:
        """Learn labels, or mean and scale, from training examples.

        Raises
        ------
        DataError
            There is no answer, or only one label.
        """
        if not examples.targets:
            raise DataError(f"`{task}` needs examples with answers, received none")
        per_step = task == "tag"
        if isinstance(next(_flat(examples.targets, per_step)), str):
            classes = sorted(set(_flat(examples.targets, per_step)))
            if len(classes) < 2:
                raise DataError(
                    f"there must be at least two labels to tell apart, received only "
                    f"{classes[0]!r}",
                    hint="check which column is the label",
                )
            return cls(per_step, classes)
        numbers = np.fromiter(_flat(examples.targets, per_step), np.float64)
        return cls(per_step, [], float(numbers.mean()), float(numbers.std()) or 1.0)

    @classmethod
    def from_json(cls, task: Task, model: Mapping[str, Any], where: str) -> Targets:
        """Read what `to_json` gave; the types are checked already.

        Raises
        ------
        DataError
            The labels cannot be such; names the file ``where`` they are from.
        """
        classes = model["classes"]
        if len(classes) == 1 or not all(isinstance(name, str) for name in classes):
            raise DataError(f"{where}: `classes` must be labels, at least two or none")
        if len(set(classes)) < len(classes):
            raise DataError(f"{where}: `classes` must differ from each other")
        return cls(task == "tag", classes, float(model["mean"]), float(model["scale"]))

    def to_json(self) -> dict[str, Any]:
        """Labels, mean and scale as plain values."""
        return {"classes": self.classes, "mean": self.mean, "scale": self.scale}

    @property
    def outputs(self) -> int:
        """How many numbers the network gives for an answer."""
        return len(self.classes) or 1

    def numbers(self, examples: Examples) -> Sequence[Any]:
        """Numbers of the labels, or numbers in the network's units, for each row or step."""
        codes = {name: code for code, name in enumerate(self.classes)}

        def code(label: Any, row: int) -> float:
            if not codes:
                return (float(label) - self.mean) / self.scale
            if label not in codes:
                raise DataError(
                    f"{examples.places[row]}: label {label!r} did not occur in training, "
                    f"whose labels are {', '.join(self.classes[:20])}"
                )
            return codes[label]

        targets = examples.targets or []
        if not self.per_step:
            return [code(target, row) for row, target in enumerate(targets)]
        dtype = np.int32 if codes else np.float32
        return Spool(
            np.array([code(t, row) for t in target], dtype) for row, target in enumerate(targets)
        ).items()

    def weights(self, numbers: Sequence[Any]) -> Sequence[Any]:
        """Weights under which each class counts alike (King and Zeng 2001)."""
        if not self.classes:
            raise UsageError("`class_weights` needs labels, but the answers are numbers")
        counts = np.zeros(len(self.classes), np.int64)
        for row in numbers if self.per_step else [numbers]:
            counts += np.bincount(row, minlength=len(counts))
        weight = counts.sum() / np.maximum(counts, 1) / len(counts)
        if not self.per_step:
            return list(weight[np.asarray(numbers, np.int64)])
        return Spool(weight[row].astype(np.float32) for row in numbers).items()

    def known(self, examples: Examples) -> Examples:
        """Validation examples whose labels all occur in training."""
        if not self.classes or examples.targets is None:
            return examples
        names = set(self.classes)
        targets = examples.targets
        known = (set(t) <= names if self.per_step else t in names for t in targets)
        rows = np.flatnonzero(np.fromiter(known, bool, len(targets)))
        if not len(rows):
            raise DataError(
                f"none of the {len(examples)} examples that training is stopped by has a label "
                "that training has",
                hint="give more data, or hold out more of it with `validation`",
            )
        return examples if len(rows) == len(examples) else examples.take(rows)

    def answers(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """Probabilities ``[..., C]``, or numbers ``[...]``, of a network's ``outputs``."""
        values = np.array(outputs, np.float64)
        if not self.classes:
            return values[..., 0] * self.scale + self.mean
        # in place, for there is one for each row and class
        values -= values.max(-1, keepdims=True)
        np.exp(values, out=values)
        values /= values.sum(-1, keepdims=True)
        return values


def _flat(targets: Sequence[Any], per_step: bool) -> Iterator[Any]:
    """All labels or numbers one by one."""
    return chain.from_iterable(targets) if per_step else iter(targets)
