"""`keras.preprocessing.sequence`, and what to use for the parts of it that are gone."""

from __future__ import annotations

from typing import NoReturn

from keras.preprocessing.sequence import *  # noqa: F403

from sunhwan.keras._gone import missing as _missing


def __getattr__(name: str) -> NoReturn:
    raise _missing(__name__, name)
