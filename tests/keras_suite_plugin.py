"""Pytest plugin for a process of its own: puts our layers in the place of Keras's."""

from __future__ import annotations

import keras
from keras.src import layers as keras_layers

from sunhwan import layers

NAMES = ("SimpleRNN", "LSTM", "GRU", "Bidirectional", "Embedding")


for _name in NAMES:
    for _module in (keras.layers, keras_layers):
        setattr(_module, _name, getattr(layers, _name))
