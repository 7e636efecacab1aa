"""Arrays in, arrays out: the recurrences, by kernel where there is one. Knows nothing of Keras."""

from __future__ import annotations

from sunhwan.engine.cell import ACTIVATIONS, Cell
from sunhwan.engine.embedding import embedding_lookup
from sunhwan.engine.recurrence import Run, rnn, rnns, why_plain

__all__ = ["ACTIVATIONS", "Cell", "Run", "embedding_lookup", "rnn", "rnns", "why_plain"]
