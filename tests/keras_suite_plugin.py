"""Pytest plugin for a process of its own: puts our layers in the place of Keras's."""

from __future__ import annotations

from typing import Any

import keras
from keras.src import layers as keras_layers

from sunhwan import layers

NAMES = ("SimpleRNN", "LSTM", "GRU", "Bidirectional", "Embedding")
#: printed at the end, and a promise that it is true
SENTENCE = "every layer under test was one of sunhwan's"


def pytest_configure() -> None:
    """Replace the classes before any test module looks for them."""
    for name in NAMES:
        for module in (keras.layers, keras_layers):
            setattr(module, name, getattr(layers, name))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say so if our classes are still where the tests reach for Keras's."""
    found = {getattr(module, name) for name in NAMES for module in (keras.layers, keras_layers)}
    if found == {getattr(layers, name) for name in NAMES}:
        terminalreporter.write_line(SENTENCE)
