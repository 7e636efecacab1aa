"""Ctrl-C that is heard wherever it falls.

Python raises it in the middle of whatever runs, and much of that catches everything: Keras reads
the figures of a batch, which is where a training mostly waits, within a bare ``except``, and what
a finaliser raises is printed and dropped. So each press is also remembered.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class CtrlC:
    """Whether Ctrl-C was pressed within `heard`.

    Attributes
    ----------
    is_pressed
        True from the first press on.
    """

    def __init__(self) -> None:
        self.is_pressed = False

    def check(self) -> None:
        """Interrupt if Ctrl-C was pressed, to be called between two steps.

        Raises
        ------
        KeyboardInterrupt
            It was.
        """
        if self.is_pressed:
            raise KeyboardInterrupt


@contextmanager
def heard(*, at_once: bool) -> Iterator[CtrlC]:
    """Remember Ctrl-C while what is within runs.

    Only the main thread hears signals, and a process in the background may ignore this one: then
    nothing changes.

    Parameters
    ----------
    at_once
        True: a press interrupts as usual, and whatever came of that, what is within ends in a
        KeyboardInterrupt. False: the first press is only remembered, so that what is within stops
        where it can be gone on from; a second one interrupts as usual.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C was pressed and what is within went on all the same, or failed of it.

    Examples
    --------
    >>> with heard(at_once=False) as ctrl_c:
    ...     signal.raise_signal(signal.SIGINT)
    ...     ctrl_c.is_pressed
    True
    """
    ctrl_c, before = CtrlC(), signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or before in (signal.SIG_IGN, None):
        yield ctrl_c
        return
    usual: Callable[[int, Any], Any] = before if callable(before) else signal.default_int_handler

    def note(number: int, frame: Any) -> None:
        is_second, ctrl_c.is_pressed = ctrl_c.is_pressed, True
        if at_once or is_second:
            usual(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield ctrl_c
        if at_once:
            ctrl_c.check()
    except Exception as error:
        if at_once and ctrl_c.is_pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
