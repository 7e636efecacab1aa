"""What the batches that `insight` looks at have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: rows that are looked at
ROWS = 32
#: tokens of a text that is written on, which are looked at
STRETCH = 96
#: the mark before, between and behind texts
MARK = "¶"


@dataclass(frozen=True, eq=False)
class Material:
    """A network and a batch for it.

    Attributes
    ----------
    model, untrained
        With the weights that were learnt, and with those that training began with.
    inputs
        Of the model: an array or a list of them, B rows.
    rows, count
        B, and of how many rows they were chosen.
    tokens
        For each row its steps as texts; nothing for numbers.
    between
        What stands between tokens in a text.
    predicted, wanted
        The answer of each row as text, and the true one where it is known.
    asked
        Of a network that answers at each step: whose answer that is, for each row.
    written, after
        Of a network that reads what it has written so far along a time axis of its own: its steps
        as texts, and what stands before the answer that is asked about.
    signals
        What a unit may follow, ``float[B, T]``, by kind and name, such as ``("label", "NOUN")``.
    """

    model: Any
    untrained: Any
    inputs: Any
    rows: int
    count: int
    tokens: list[list[str]] = field(default_factory=list)
    between: str = " "
    predicted: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)
    asked: list[int] | None = None
    written: list[list[str]] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    signals: dict[tuple[str, str], NDArray[np.float64]] = field(default_factory=dict)
