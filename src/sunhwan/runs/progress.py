"""What the terminal shows while experiments run: bars, or one plain line an epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO


class Progress:
    """Keeps count of the epochs of all seeds and shows nothing; the base of the displays.

    The runner calls `plan` once for an experiment, then for every seed `begin` (and `go_on` if it
    was interrupted), `batch` and `epoch` as they pass, and `end`; `close` whatever happens.
    """

    def __init__(self) -> None:
        self._name = ""
        self._label = ""
        self._epochs = 0
        self._planned = 0.0
        self._done = 0.0
        self._before = 0.0
        self._started = 0.0
        self._base = 0.0

    def plan(self, name: str, runs: int, epochs: int) -> None:
        """`runs` trainings of `epochs` epochs each are ahead for the experiment `name`."""
        self._name, self._planned = name, float(runs * epochs)
        self._done = self._before = self._started = 0.0

    def begin(self, label: str, epochs: int) -> None:
        """A training called `label` starts."""
        # from the first that is trained: what came before says nothing of the pace
        self._started = self._started or time.monotonic()
        self._label, self._epochs, self._base = label, epochs, self._done

    def go_on(self, done: float) -> None:
        """Of the training that starts, another process has done so many epochs and parts of one."""
        self._done += done
        self._before += done

    def batch(self, number: int, batches: int) -> None:
        """Batch `number` of `batches` is done."""

    def epoch(self, number: int, logs: Mapping[str, float]) -> None:
        """Epoch `number` is done, with Keras's figures for it."""
        self._done = self._base + number

    def end(self, summary: str) -> None:
        """The training is done; early stopping may have left some of its epochs out."""
        self._planned -= self._base + self._epochs - self._done

    def skip(self, label: str, epochs: int) -> None:
        """A training of `epochs` epochs was kept from before and is not run."""
        self._planned -= epochs

    def close(self) -> None:
        """Leave the terminal as it was."""

    def time_left(self) -> str:
        """Time for the rest of all seeds, such as ``4 min left``, at the pace of this process."""
        if self._done <= self._before:
            return ""
        pace = (time.monotonic() - self._started) / (self._done - self._before)
        return f"{duration(pace * max(self._planned - self._done, 0.0))} left"


class PlainProgress(Progress):
    """One line an epoch, for logs and pipes."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream if stream is not None else sys.stderr

    def epoch(self, number: int, logs: Mapping[str, float]) -> None:
        super().epoch(number, logs)
        self._line(f"epoch {number}/{self._epochs}: {figures(logs)}, {self.time_left()}")

    def end(self, summary: str) -> None:
        super().end(summary)
        self._line(summary)

    def skip(self, label: str, epochs: int) -> None:
        super().skip(label, epochs)
        self._label = label
        self._line("kept from the interrupted run")

    def _line(self, text: str) -> None:
        print(f"{self._name}, {self._label}: {text}", file=self._stream, flush=True)


class BarProgress(Progress):
    """Two bars in a terminal: all seeds with the time left, and the epoch that is running."""

    def __init__(self) -> None:
        super().__init__()
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

    def plan(self, name: str, runs: int, epochs: int) -> None:
        super().plan(name, runs, epochs)
        self._all = self._bars.add_task(name, total=self._planned, detail="")
        self._bars.start()

    def begin(self, label: str, epochs: int) -> None:
        super().begin(label, epochs)
        self._figures = ""
        self._one = self._bars.add_task(label, total=epochs, detail="compiling")

    def go_on(self, done: float) -> None:
        super().go_on(done)
        self._bars.update(self._one, completed=done)
        self._bars.update(self._all, completed=self._done)

    def batch(self, number: int, batches: int) -> None:
        whole = int(self._done - self._base)
        part = whole + number / batches
        detail = f"epoch {min(whole + 1, self._epochs)}/{self._epochs} {self._figures}"
        self._bars.update(self._one, completed=part, detail=detail)
        self._bars.update(self._all, completed=self._base + part)

    def epoch(self, number: int, logs: Mapping[str, float]) -> None:
        super().epoch(number, logs)
        # a narrow terminal has room for no more than the loss
        self._figures = f"loss {logs['loss']:.4g}"
        if "val_loss" in logs:
            self._figures += f", validation {logs['val_loss']:.4g}"
        self._bars.update(
            self._one, completed=number, detail=f"epoch {number}/{self._epochs} {self._figures}"
        )
        self._bars.update(self._all, completed=self._done, detail=self.time_left())

    def end(self, summary: str) -> None:
        super().end(summary)
        self._bars.remove_task(self._one)
        self._bars.update(self._all, total=self._planned, detail=self.time_left())
        self._console.print(f"{self._name}, {self._label}: {summary}", highlight=False)

    def skip(self, label: str, epochs: int) -> None:
        super().skip(label, epochs)
        self._bars.update(self._all, total=self._planned)
        self._console.print(
            f"{self._name}, {label}: kept from the interrupted run", highlight=False
        )

    def close(self) -> None:
        self._bars.stop()
        for task in list(self._bars.task_ids):
            self._bars.remove_task(task)


def choose() -> Progress:
    """Bars where stderr is a terminal, lines where it is not."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()


def figures(logs: Mapping[str, float]) -> str:
    """Keras's figures of an epoch, the loss first.

    Examples
    --------
    >>> figures({"accuracy": 0.81, "loss": 0.412, "val_loss": 0.45, "val_accuracy": 0.79})
    'loss 0.412 (validation 0.45), accuracy 0.81 (validation 0.79)'
    """
    parts = []
    for key in sorted((k for k in logs if not k.startswith("val_")), key=lambda k: k != "loss"):
        value = logs[key]
        text = f"{key.replace('_', ' ')} {value:.4g}"
        if f"val_{key}" in logs:
            text += f" (validation {logs[f'val_{key}']:.4g})"
        parts.append(text)
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
