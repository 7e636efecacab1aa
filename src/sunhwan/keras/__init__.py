"""The `keras` namespace with our recurrent layers in it.

Replace `tensorflow.keras` or `keras` in an import by `sunhwan.keras`, and nothing else changes:

>>> from sunhwan.keras import Sequential
>>> from sunhwan.keras.callbacks import EarlyStopping

All is Keras's own but `layers.{Embedding, SimpleRNN, LSTM, GRU, Bidirectional}`, which are those of
`sunhwan.layers`, and `datasets.{imdb, reuters}`, which read the folder in `SUNHWAN_DATA` first.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import keras as _keras
from keras import *  # noqa: F403

from sunhwan.keras._gone import missing as _missing
from sunhwan.keras._mirror import install as _install

__version__ = _keras.__version__

_install()

# what the line with the star brought along, to be replaced by ours at first use
_OURS = ("datasets", "layers", "preprocessing")
for _name in _OURS:
    del globals()[_name]

__all__ = sorted(name for name in dir(_keras) if not name.startswith("_"))


def __getattr__(name: str) -> ModuleType:
    if name in _OURS:
        return importlib.import_module(f"{__name__}.{name}")
    raise _missing(__name__, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_OURS})
