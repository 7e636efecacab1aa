"""`keras.layers` with our recurrent layers and our embedding in the place of Keras's."""

from __future__ import annotations

from typing import NoReturn

from keras.layers import *  # noqa: F403

from sunhwan.keras._gone import missing as _missing
from sunhwan.layers import GRU as GRU
from sunhwan.layers import LSTM as LSTM
from sunhwan.layers import Bidirectional as Bidirectional
from sunhwan.layers import Embedding as Embedding
from sunhwan.layers import SimpleRNN as SimpleRNN


def __getattr__(name: str) -> NoReturn:
    raise _missing(__name__, name)
