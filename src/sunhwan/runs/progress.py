"""What the terminal shows while experiments run: bars, or one plain line an epoch."""

from __future__ import annotations

import statistics
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from sunhwan.runs.sentences import translated
from sunhwan.runs.wording import Words

#: steps that an estimate needs, and the last of them that it goes by
_FEWEST, _RECENT = 20, 500
#: of the first epoch so many steps may have been compilations, each of so many times the median
_COMPILED, _LONG = 9, 4.0
#: seconds from one estimate of the time left to the next, within an epoch
_BETWEEN = 1.0


class _Pace:
    """How long epochs take: by their steps, and by what each takes besides, such as validation.

    The first step of each shape waits for its compilation, and so does the first validation; an
    estimate that counted them would be several times too long.
    """

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=_RECENT)
        self._rests: deque[float] = deque(maxlen=_FEWEST)
        self._last: float | None = None
        self._is_first = True
        self._batches = 0

    def begin(self) -> None:
        """A training starts, and with it compilation."""
        self._last, self._is_first = None, True

    def step(self, batches: int) -> None:
        """One of the `batches` of an epoch is done."""
        now = time.monotonic()
        if self._last is not None:
            self._steps.append(now - self._last)
        self._last, self._batches = now, batches

    def epoch(self) -> None:
        """All of an epoch is done."""
        now = time.monotonic()
        if self._is_first:
            self._steps = deque(_plain(self._steps), maxlen=_RECENT)
        elif self._last is not None:
            self._rests.append(now - self._last)
        self._last, self._is_first = now, False

    def seconds(self, epochs: float) -> float | None:
        """The time for so many epochs; None as long as too little is known."""
        steps = list(_plain(self._steps) if self._is_first else self._steps)
        if len(steps) < _FEWEST and not self._rests:
            return None
        step = statistics.fmean(steps) if steps else 0.0
        rest = statistics.median(self._rests) if self._rests else 0.0
        return epochs * (self._batches * step + rest)


def _plain(steps: Iterable[float]) -> list[float]:
    """The steps without those that were probably compilations."""
    ordered = sorted(steps)
    if not ordered:
        return []
    most = _LONG * statistics.median(ordered)
    few, last = ordered[:-_COMPILED], ordered[-_COMPILED:]
    return few + [step for step in last if step <= most]


class Progress:
    """Keeps count of the epochs of all seeds and shows nothing; the base of the displays.

    The runner calls `plan` once for an experiment, then for every seed `begin` (and `go_on` if it
    was interrupted), `batch` and `epoch` as they pass, and `end`; `close` whatever happens.

    Parameters
    ----------
    language
        ``en`` or ``ko``.
    """

    def __init__(self, *, language: str = "en") -> None:
        self._words = Words(language)
        self._name = ""
        self._label = ""
        self._epochs = 0
        self._planned = 0.0
        self._done = self._part = 0.0
        self._base = 0.0
        self._pace = _Pace()

    def plan(self, name: str, runs: int, epochs: int) -> None:
        """`runs` trainings of `epochs` epochs each are ahead for the experiment `name`."""
        self._name, self._planned = name, float(runs * epochs)
        self._done = self._part = 0.0
        self._pace = _Pace()

    def begin(self, label: str, epochs: int) -> None:
        """A training called `label` starts."""
        self._label, self._epochs, self._base = label, epochs, self._done
        self._part = 0.0
        self._pace.begin()

    def go_on(self, done: float) -> None:
        """Of the training that starts, another process has done so many epochs and parts of one."""
        whole, self._part = divmod(done, 1.0)
        self._done += whole

    def batch(self, number: int, batches: int) -> None:
        """Batch `number` of `batches` is done."""
        self._part = number / batches
        self._pace.step(batches)

    def epoch(self, number: int, logs: Mapping[str, float]) -> None:
        """Epoch `number` is done, with Keras's figures for it."""
        self._done, self._part = self._base + number, 0.0
        self._pace.epoch()

    def end(self, summary: str) -> None:
        """The training is done; early stopping may have left some of its epochs out."""
        self._planned -= self._base + self._epochs - self._done

    def skip(self, label: str, epochs: int) -> None:
        """A training of `epochs` epochs was kept from before and is not run."""
        self._planned -= epochs

    def close(self) -> None:
        """Leave the terminal as it was."""

    def time_left(self) -> str:
        """Time for the rest of all seeds at the pace of this process: ``about 4 min left``.

        Nothing where less than a second is left, or too few steps have passed to tell.
        """
        left = self._planned - self._done - self._part
        seconds = self._pace.seconds(left)
        if seconds is None or seconds < 1:
            return ""
        said = translated(duration(seconds), self._words.language, "duration")
        return self._words("progress.left", time=said)

    def _line(self, text: str) -> str:
        """A line on the training that runs, with what it is called."""
        name, label = self._called(self._name), self._called(self._label)
        return self._words("progress.line", name=name, label=label, text=text)

    def _called(self, name: str) -> str:
        return self._words.name("progress.names", name)

    def _place(self, number: int) -> str:
        return self._words("progress.epoch", number=number, epochs=self._epochs)

    def _summary(self, summary: str) -> str:
        return self._line(translated(summary, self._words.language))


class PlainProgress(Progress):
    """One line an epoch, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, *, language: str = "en") -> None:
        super().__init__(language=language)
        self._stream = stream if stream is not None else sys.stderr

    def epoch(self, number: int, logs: Mapping[str, float]) -> None:
        super().epoch(number, logs)
        parts = [figures(logs, self._words), self.time_left()]
        said = ", ".join(part for part in parts if part)
        self._show(self._line(f"{self._place(number)}: {said}"))

    def end(self, summary: str) -> None:
        super().end(summary)
        self._show(self._summary(summary))

    def skip(self, label: str, epochs: int) -> None:
        super().skip(label, epochs)
        self._label = label
        self._show(self._line(self._words("progress.kept")))

    def _show(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


class BarProgress(Progress):
    """Two bars in a terminal: all seeds with the time left, and the epoch that is running."""

    def __init__(self, *, language: str = "en") -> None:
        super().__init__(language=language)
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        # the console honours NO_COLOR
        self._console = Console(stderr=True)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=10),
            TextColumn("{task.fields[detail]}"),
            console=self._console,
            transient=True,
        )
        self._all: Any = None
        self._one: Any = None
        self._figures = ""
        self._told = 0.0

    def plan(self, name: str, runs: int, epochs: int) -> None:
        super().plan(name, runs, epochs)
        self._all = self._bars.add_task(self._called(name), total=self._planned, detail="")
        self._bars.start()

    def begin(self, label: str, epochs: int) -> None:
        super().begin(label, epochs)
        self._figures = ""
        compiling = self._words("progress.compiling")
        self._one = self._bars.add_task(self._called(label), total=epochs, detail=compiling)

    def go_on(self, done: float) -> None:
        super().go_on(done)
        self._bars.update(self._one, completed=done)
        self._bars.update(self._all, completed=self._done + self._part)

    def batch(self, number: int, batches: int) -> None:
        super().batch(number, batches)
        whole = int(self._done - self._base)
        detail = f"{self._place(min(whole + 1, self._epochs))} {self._figures}"
        self._bars.update(self._one, completed=whole + self._part, detail=detail)
        self._bars.update(self._all, completed=self._done + self._part)
        if time.monotonic() >= self._told + _BETWEEN:
            self._told = time.monotonic()
            self._bars.update(self._all, detail=self.time_left())

    def epoch(self, number: int, logs: Mapping[str, float]) -> None:
        super().epoch(number, logs)
        # a narrow terminal has room for no more than the loss
        losses = {name: logs[name] for name in ("loss", "val_loss") if name in logs}
        self._figures = figures(losses, self._words)
        self._bars.update(
            self._one, completed=number, detail=f"{self._place(number)} {self._figures}"
        )
        self._bars.update(self._all, completed=self._done, detail=self.time_left())

    def end(self, summary: str) -> None:
        super().end(summary)
        self._bars.remove_task(self._one)
        self._bars.update(self._all, total=self._planned, detail=self.time_left())
        self._show(self._summary(summary))

    def skip(self, label: str, epochs: int) -> None:
        super().skip(label, epochs)
        self._label = label
        self._bars.update(self._all, total=self._planned)
        self._show(self._line(self._words("progress.kept")))

    def close(self) -> None:
        self._bars.stop()
        for task in list(self._bars.task_ids):
            self._bars.remove_task(task)

    def _show(self, line: str) -> None:
        # a name in brackets is no style
        self._console.print(line, highlight=False, markup=False)


def choose(language: str = "en") -> Progress:
    """Bars where stderr is a terminal, lines where it is not."""
    if sys.stderr.isatty():
        return BarProgress(language=language)
    return PlainProgress(language=language)


def figures(logs: Mapping[str, float], words: Words) -> str:
    """Keras's figures of an epoch, the loss first.

    Examples
    --------
    >>> logs = {"accuracy": 0.81, "loss": 0.412, "val_loss": 0.45, "val_accuracy": 0.79}
    >>> figures(logs, Words("en"))
    'loss 0.412 (validation 0.45), accuracy 0.81 (validation 0.79)'
    >>> figures(logs, Words("ko"))
    '손실 0.412(검증 0.45), 정확도 0.81(검증 0.79)'
    """
    parts = []
    for key in sorted((k for k in logs if not k.startswith("val_")), key=lambda k: k != "loss"):
        name = words.name("progress.figures", key).replace("_", " ")
        values = {"name": name, "value": f"{logs[key]:.4g}"}
        if f"val_{key}" in logs:
            validation = f"{logs[f'val_{key}']:.4g}"
            parts.append(words("progress.judged", **values, validation=validation))
        else:
            parts.append(words("progress.figure", **values))
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time to be read at a glance.

    Examples
    --------
    >>> duration(8.4), duration(252.0), duration(7_500.0)
    ('8 s', '4 min', '2 h 5 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
