"""`keras.preprocessing`, and what to use for the parts of it that are gone."""

from __future__ import annotations

from typing import NoReturn

from keras.preprocessing import *  # noqa: F403

# `from ... import sequence` would find the name that the star brought, and never import ours
import sunhwan.keras.preprocessing.sequence as sequence  # noqa: F401
from sunhwan.keras._gone import missing as _missing


def __getattr__(name: str) -> NoReturn:
    raise _missing(__name__, name)
