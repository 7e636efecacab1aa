"""What the terminal shows while a search runs, and how a trial tells of its epochs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping

from sunhwan.runs.progress import BarProgress, PlainProgress, Progress, duration


class ByTrials(Progress):
    """Shows nothing, and tells the time left by the trials so far: few use all of their epochs.

    Attributes
    ----------
    ends
        When the search stops at the latest, as `time.monotonic` tells it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ends = float("inf")
        self._trials = self._over = 0
        self._began = self._ended = 0.0

    def plan(self, name: str, runs: int, epochs: int) -> None:
        super().plan(name, runs, epochs)
        self._trials, self._over = runs, 0
        self._began = time.monotonic()

    def end(self, summary: str) -> None:
        """A trial is over; the time left is added to what is said of it."""
        self._over += 1
        self._ended = time.monotonic()
        super().end(f"{summary}; {self.time_left()}")

    def time_left(self) -> str:
        """Such as ``4 min left``; nothing before the first trial is over."""
        if not self._over:
            return ""
        now = time.monotonic()
        each = (self._ended - self._began) / self._over
        left = min(each * (self._trials - self._over) - (now - self._ended), self.ends - now)
        return f"{duration(max(left, 0.0))} left"


class _Lines(ByTrials, PlainProgress):
    """One line a trial, for logs and pipes."""

    def epoch(self, number: int, logs: Mapping[str, float]) -> None:
        Progress.epoch(self, number, logs)


class _Bars(ByTrials, BarProgress):
    """Bars in a terminal: all trials with the time left, and the one that is running."""


def choose() -> ByTrials:
    """Bars where stderr is a terminal, lines where it is not."""
    return _Bars() if sys.stderr.isatty() else _Lines()


class Watch(Progress):
    """Hands what a training tells on to a display, and keeps the figures of its epochs.

    Parameters
    ----------
    shown
        The display.
    label
        What it calls the trial.
    after_epoch
        Called with the number of each epoch, from 1, and its figures; it may raise to end the
        training.

    Attributes
    ----------
    figures
        By name, one number an epoch.
    """

    def __init__(
        self,
        shown: Progress,
        label: str,
        after_epoch: Callable[[int, Mapping[str, float]], None],
    ) -> None:
        super().__init__()
        self.figures: dict[str, list[float]] = {}
        self._shown, self._as, self._after_epoch = shown, label, after_epoch

    def begin(self, label: str, epochs: int) -> None:
        super().begin(label, epochs)
        self._shown.begin(self._as, epochs)

    def batch(self, number: int, batches: int) -> None:
        self._shown.batch(number, batches)

    def epoch(self, number: int, logs: Mapping[str, float]) -> None:
        super().epoch(number, logs)
        for name, figure in logs.items():
            self.figures.setdefault(name, []).append(float(figure))
        self._shown.epoch(number, logs)
        self._after_epoch(number, logs)
