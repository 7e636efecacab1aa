"""The time left that a display tells, also of a training that goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sunhwan.runs.progress import Progress
from test_resume import run


class Clock:
    """Time that passes when it is told to."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        patch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def pass_epochs(progress: Progress, clock: Clock, first: int, last: int, seconds: float) -> None:
    for number in range(first, last + 1):
        clock.now += seconds
        progress.epoch(number, {"loss": 1.0})


def test_the_time_left_counts_no_epochs_of_another_process(clock: Clock) -> None:
    progress = Progress()
    progress.plan("classify", 1, 10)
    progress.begin("training", 10)
    progress.go_on(6.0)
    assert progress.time_left() == ""
    pass_epochs(progress, clock, 7, 8, 30.0)
    # two epochs took a minute and two are left
    assert progress.time_left() == "60 s left"


def test_a_training_goes_on_within_an_epoch(clock: Clock) -> None:
    progress = Progress()
    progress.plan("classify", 1, 4)
    progress.begin("training", 4)
    progress.go_on(1.75)
    clock.now += 10.0
    progress.epoch(2, {"loss": 1.0})
    # a quarter took 10 s
    assert progress.time_left() == "80 s left"


def test_the_clock_starts_with_the_first_training(clock: Clock) -> None:
    progress = Progress()
    progress.plan("counting", 3, 4)
    clock.now += 500.0  # texts are encoded
    progress.skip("seed 1", 4)
    progress.begin("seed 2", 4)
    pass_epochs(progress, clock, 1, 4, 5.0)
    progress.end("done")
    assert progress.time_left() == "20 s left"
    progress.begin("seed 3", 4)
    pass_epochs(progress, clock, 1, 1, 10.0)
    assert progress.time_left() == "18 s left"


class Told(Progress):
    """Keeps what it is told of, and stops after a batch (of an epoch, both from 1)."""

    def __init__(self, at: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.at, self.before = at, -1.0

    def go_on(self, done: float) -> None:
        self.before = done

    def batch(self, number: int, batches: int) -> None:
        if (1 + int(self._done), number) == self.at:
            raise KeyboardInterrupt


def test_a_training_that_goes_on_says_what_was_done_before(tmp_path: Path) -> None:
    first = Told(at=(2, 5))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=first)
    assert first.before == 0
    again = Told()
    run(tmp_path, progress=again)
    # it was stopped within the fifth of 20 batches, before the state was written
    assert again.before == 1 + 4 / 20
