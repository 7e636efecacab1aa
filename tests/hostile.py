"""What tests of hostile files share: a pickle that acts, and what it is to be refused."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sunhwan.errors import DataError

_SECONDS, _BYTES = 1.0, 50 * 2**20


def refused(action: Callable[[], object], message: str) -> str:
    """Run `action`, which must fail with a DataError, soon and in little memory.

    The time is that of this thread alone and holds no collection of garbage: threads and objects
    that earlier tests of the same process left behind are not what is measured.
    """
    gc.disable()
    tracemalloc.start()
    start = time.thread_time()
    try:
        with pytest.raises(DataError, match=message) as caught:
            action()
        seconds, peak = time.thread_time() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        gc.enable()
    assert seconds < _SECONDS
    assert peak < _BYTES
    text = str(caught.value)
    assert len(text) < 1000
    assert text.replace("\n", "").isprintable()
    return text


class Payload:
    """Makes a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self._marker),)
