"""Arrays in, arrays out: the recurrences, by kernel where there is one. Knows nothing of Keras."""

from __future__ import annotations

from sunhwan.engine.cell import ACTIVATIONS, Cell
from sunhwan.engine.embedding import Lookup, embedding_lookup
from sunhwan.engine.native import why_plain
from sunhwan.engine.operands import Run
from sunhwan.engine.recurrence import Trace, rnn, rnns, trace

__all__ = [
    "ACTIVATIONS",
    "Cell",
    "Lookup",
    "Run",
    "Trace",
    "embedding_lookup",
    "rnn",
    "rnns",
    "trace",
    "why_plain",
]
