"""Arrays in, arrays out: the recurrences, by kernel where there is one. Knows nothing of Keras."""

from __future__ import annotations

from sunhwan.engine.cell import ACTIVATIONS, Cell
from sunhwan.engine.embedding import embedding_lookup
from sunhwan.engine.recurrence import rnn, why_plain

__all__ = ["ACTIVATIONS", "Cell", "embedding_lookup", "rnn", "why_plain"]
