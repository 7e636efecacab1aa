"""Ctrl-C that falls where a library catches everything, or drops what a finaliser raises."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from sunhwan.reproduce.runner import run
from sunhwan.runs.interrupt import CtrlC, heard
from sunhwan.runs.progress import Progress
from test_reproduce import small


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def press_and_lose() -> None:
    try:
        press()
    except BaseException:
        return


def interrupted(steps: list[str], *actions: Callable[[], object], at_once: bool = True) -> None:
    """Do one thing after the other, which must end in an interruption, and count them."""

    def work() -> None:
        with heard(at_once=at_once) as ctrl_c:
            for number, action in enumerate(actions):
                action()
                steps.append(f"step {number}")
                if at_once:
                    ctrl_c.check()

    with pytest.raises(KeyboardInterrupt):
        work()


def test_a_press_that_is_lost_interrupts_at_the_next_check() -> None:
    before, steps = signal.getsignal(signal.SIGINT), []
    interrupted(steps, int, press_and_lose, int)
    assert steps == ["step 0", "step 1"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_press_that_is_never_looked_for_interrupts_at_the_end() -> None:
    def work() -> None:
        with heard(at_once=True):
            press_and_lose()

    with pytest.raises(KeyboardInterrupt):
        work()


def test_a_press_that_became_another_error_is_still_a_press() -> None:
    def fail(pressed: bool) -> None:
        with heard(at_once=True):
            if pressed:
                press_and_lose()
            raise ValueError("this is no shape")

    with pytest.raises(KeyboardInterrupt) as caught:
        fail(True)
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(ValueError, match="no shape"):
        fail(False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_press_in_a_finaliser_is_not_dropped() -> None:
    class Finalised:
        def __del__(self) -> None:
            press()

    steps: list[str] = []
    interrupted(steps, lambda: Finalised() and None, int)
    assert steps == ["step 0"]


def test_the_first_press_can_be_left_for_later() -> None:
    with heard(at_once=False) as ctrl_c:
        press()
    assert ctrl_c.is_pressed
    steps: list[str] = []
    interrupted(steps, press, press, int, at_once=False)
    assert steps == ["step 0"]


def test_one_within_another_hands_on_the_second_press() -> None:
    def later() -> None:
        with heard(at_once=False) as inner:
            press()
            assert inner.is_pressed
            assert not outer.is_pressed
            press_and_lose()

    def work() -> None:
        nonlocal outer
        with heard(at_once=True) as outer:
            later()
            outer.check()

    outer = CtrlC()
    with pytest.raises(KeyboardInterrupt):
        work()


def test_what_hears_no_signals_is_left_alone() -> None:
    found = []

    def work() -> None:
        with heard(at_once=True) as ctrl_c:
            found.append((signal.getsignal(signal.SIGINT), ctrl_c.is_pressed))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(before, False)]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with heard(at_once=True) as ctrl_c:
            press()
        assert not ctrl_c.is_pressed
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


class _Lost(Progress):
    """Presses where Keras reads the figures of the second batch, within a bare ``except``."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.batches, self.pressed, self._patch = 0, 0, patch

    def batch(self, number: int, batches: int) -> None:
        self.batches += 1
        if self.batches == 1:
            self._patch.setattr(keras.src.backend, "is_tensor", self._is_tensor)

    def _is_tensor(self, value: object) -> bool:
        self._patch.undo()
        self.pressed += 1
        press()
        return True


def test_a_training_hears_the_press_that_keras_swallows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = _Lost(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(small(), (1,), out=tmp_path, layers=keras.layers, progress=progress)
    assert (progress.pressed, progress.batches) == (1, 2)
    assert not list(tmp_path.rglob("*.json"))


def test_a_press_that_is_lost_between_two_seeds_is_heard(tmp_path: Path) -> None:
    class Between(Progress):
        def begin(self, label: str, epochs: int) -> None:
            super().begin(label, epochs)
            press_and_lose()

    with pytest.raises(KeyboardInterrupt):
        run(small(), (1,), out=tmp_path, layers=keras.layers, progress=Between())
