"""Keras's recurrent layers, run by kernels: same constructors, same weights, same numbers."""

from __future__ import annotations

from sunhwan.layers.bidirectional import Bidirectional
from sunhwan.layers.embedding import Embedding
from sunhwan.layers.explain import Explanation, explain
from sunhwan.layers.recurrent import GRU, LSTM, SimpleRNN
from sunhwan.layers.stream import stream
from sunhwan.layers.trace import trace

__all__ = [
    "GRU",
    "LSTM",
    "Bidirectional",
    "Embedding",
    "Explanation",
    "SimpleRNN",
    "explain",
    "stream",
    "trace",
]
