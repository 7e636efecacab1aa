"""The time left that a display tells, also of a training that goes on, and in which words."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sunhwan.runs.progress import BarProgress, PlainProgress, Progress, choose
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


def pass_batches(
    progress: Progress, clock: Clock, seconds: Sequence[float], of: int, first: int = 1
) -> None:
    for number, each in enumerate(seconds, first):
        clock.now += each
        progress.batch(number, of)


def started(epochs: int, runs: int = 1, **options: Any) -> Progress:
    progress = PlainProgress(**options) if options else Progress()
    progress.plan("classify", runs, epochs)
    progress.begin("training", epochs)
    return progress


def test_compilation_is_no_part_of_the_time_left(clock: Clock) -> None:
    """8 shapes are compiled in the first epoch, and the validation at its end."""
    progress = started(5)
    steps = [6.0 if number % 5 == 0 else 0.1 for number in range(40)]  # the first is no step
    pass_batches(progress, clock, steps, of=200)
    # 160 steps of this epoch and 800 of four more, 0.1 s each
    assert progress.time_left() == "about 2 min left"
    pass_batches(progress, clock, [0.1] * 160, of=200, first=41)
    clock.now += 9.0
    progress.epoch(1, {"loss": 1.0})
    assert progress.time_left() == "about 80 s left"
    pass_batches(progress, clock, [0.1] * 200, of=200)
    clock.now += 2.0
    progress.epoch(2, {"loss": 1.0})
    # from now on it is known what the validation takes
    assert progress.time_left() == "about 66 s left"


def test_steps_that_are_always_long_count(clock: Clock) -> None:
    progress = started(3)
    pass_batches(progress, clock, [5.0, *[0.1, 0.1, 0.1, 1.7] * 25], of=101)
    clock.now += 1.0
    progress.epoch(1, {"loss": 1.0})
    pass_batches(progress, clock, [0.5] * 101, of=101)
    progress.epoch(2, {"loss": 1.0})
    # as many long ones as can be compilations are left out of the first epoch, the rest are not
    assert 45 <= seconds(progress.time_left()) <= 51


def seconds(text: str) -> float:
    found = re.fullmatch("about ([0-9]+) s left", text)
    assert found, text
    return float(found[1])


def test_nothing_is_told_before_enough_is_known(clock: Clock) -> None:
    progress = started(9)
    pass_batches(progress, clock, [5.0, *[0.5] * 19], of=30)
    assert progress.time_left() == ""
    pass_batches(progress, clock, [0.5], of=30, first=21)
    assert progress.time_left() == "about 2 min left"


def test_few_batches_tell_after_the_second_epoch(clock: Clock) -> None:
    progress = started(4)
    pass_batches(progress, clock, [8.0, 1.0], of=2)
    progress.epoch(1, {"loss": 1.0})
    assert progress.time_left() == ""
    pass_batches(progress, clock, [1.0, 1.0], of=2)
    clock.now += 0.5
    progress.epoch(2, {"loss": 1.0})
    assert progress.time_left() == "about 5 s left"


def test_at_the_end_no_time_is_left(clock: Clock) -> None:
    progress = started(2)
    pass_epochs(progress, clock, 1, 2, 30.0)
    assert progress.time_left() == ""


def test_less_than_a_second_is_not_worth_telling(clock: Clock) -> None:
    progress = started(2)
    pass_batches(progress, clock, [0.04] * 76, of=100)
    assert progress.time_left() == "about 5 s left"
    progress.epoch(1, {"loss": 1.0})
    pass_batches(progress, clock, [0.04] * 76, of=100)
    assert progress.time_left() == ""


def test_the_time_left_counts_no_epochs_of_another_process(clock: Clock) -> None:
    progress = started(10)
    progress.go_on(6.0)
    assert progress.time_left() == ""
    pass_epochs(progress, clock, 7, 8, 30.0)
    # the second of two took half a minute and two are left
    assert progress.time_left() == "about 60 s left"


def test_a_training_goes_on_within_an_epoch(clock: Clock) -> None:
    progress = started(4)
    progress.go_on(1.5)
    pass_batches(progress, clock, [1.0] * 21, of=50, first=26)
    # 4 steps of this epoch and 100 of two more, a second each
    assert progress.time_left() == "about 2 min left"
    pass_batches(progress, clock, [1.0] * 4, of=50, first=47)
    progress.epoch(2, {"loss": 1.0})
    pass_batches(progress, clock, [1.0] * 40, of=50)
    assert progress.time_left() == "about 60 s left"


def test_trainings_that_come_and_those_that_are_skipped_are_counted(clock: Clock) -> None:
    progress = Progress()
    progress.plan("counting", 3, 4)
    clock.now += 500.0  # texts are encoded
    progress.skip("seed 1", 4)
    progress.begin("seed 2", 4)
    pass_epochs(progress, clock, 1, 4, 5.0)
    progress.end("done")
    assert progress.time_left() == "about 20 s left"
    progress.begin("seed 3", 4)
    pass_batches(progress, clock, [70.0], of=1)
    assert progress.time_left() == "about 15 s left"


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("en", ["classify, training: epoch 1/3: loss 0.5 (validation 0.25), accuracy 0.75",
                "classify, training: epoch 2/3: loss 0.5, about 30 s left",
                "classify, training: val loss 0.25 in epoch 1; all epochs are done (4 min)",
                "classify, seed 2: kept from the interrupted run"]),
        ("ko", ["[분류 학습] 에포크 1/3: 손실 0.5(검증 0.25), 정확도 0.75",
                "[분류 학습] 에포크 2/3: 손실 0.5, 약 30초 남음",
                "[분류 학습] 모든 에포크를 마쳤습니다(4분). 최적: 에포크 1, 검증 손실 0.25",
                "[분류 seed 2] 중단된 실행의 결과를 그대로 씀"]),
    ],
)  # fmt: skip
def test_lines_are_in_the_language_of_the_reader(
    clock: Clock, language: str, lines: list[str]
) -> None:
    stream = io.StringIO()
    progress = started(3, stream=stream, language=language)
    clock.now += 30.0
    progress.epoch(1, {"accuracy": 0.75, "loss": 0.5, "val_loss": 0.25})
    clock.now += 30.0
    progress.epoch(2, {"loss": 0.5})
    progress.end("val loss 0.25 in epoch 1; all epochs are done (4 min)")
    progress.skip("seed 2", 3)
    assert stream.getvalue().splitlines() == lines


def test_bars_speak_korean_and_tell_the_time_within_an_epoch(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = choose("ko")
    assert isinstance(progress, BarProgress)
    progress.plan("tag", 1, 2)
    try:
        progress.begin("training", 2)
        assert details(progress) == ["", "컴파일 중"]
        pass_batches(progress, clock, [4.0, *[0.5] * 20], of=40)
        assert details(progress) == ["약 30초 남음", "에포크 1/2 "]
        pass_batches(progress, clock, [0.5] * 19, of=40, first=22)
        progress.epoch(1, {"loss": 0.5, "val_loss": 0.25, "accuracy": 0.75})
        assert details(progress) == ["약 20초 남음", "에포크 1/2 손실 0.5(검증 0.25)"]
        progress.end("val loss 0.25 in epoch 1; all epochs are done (8 s)")
    finally:
        progress.close()
    shown = capsys.readouterr().err
    assert "[태깅 학습] 모든 에포크를 마쳤습니다(8초). 최적: 에포크 1, 검증 손실 0.25" in shown


def details(progress: BarProgress) -> list[str]:
    return [task.fields["detail"] for task in progress._bars.tasks]


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
