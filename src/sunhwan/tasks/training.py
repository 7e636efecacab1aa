"""Training that can be stopped at any moment and goes on to the same bits.

All that decides the next step is a few values: the arrays that a step takes and gives, how many
batches of the epoch are done, and the figures of the epochs before. They are written to disk after
each epoch and, in long ones, every minute. Learning rate and early stopping are functions of those
figures, and a batch is one of seed, epoch and place; so there is nothing else to bring back.
"""

from __future__ import annotations

import functools
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from sunhwan.errors import TrainingError, UsageError
from sunhwan.runs.interrupt import CtrlC, heard
from sunhwan.runs.progress import Progress, duration
from sunhwan.tasks.checkpoint import Keeper, Record
from sunhwan.tasks.pace import Mode, Pace, Schedule
from sunhwan.tasks.steps import EpochBatches, Scores, training_step, variables

# so many losses may wait to be read: to read each as it comes would make every step wait
_AHEAD = 4
_ADVICE = (
    "a smaller learning rate, or `clipnorm` of the optimizer, keeps the weights from running away"
)


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes
    ----------
    figures
        By name, one number an epoch: ``loss``, ``val_loss``, the metrics, ``learning_rate``.
    best_epoch
        The epoch, from 1, whose weights the model has.
    seconds
        In training, counting those before an interruption.
    stopped_why
        Such as ``all epochs are done``.
    """

    figures: dict[str, list[float]]
    best_epoch: int
    seconds: float
    stopped_why: str

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.figures["loss"])


def train(
    model: Any,
    batches: EpochBatches,
    validation: EpochBatches | None,
    *,
    loss: Any,
    optimizer: Any,
    metrics: Sequence[Any] = (),
    epochs: int,
    patience: int | None = None,
    monitor: str = "val_loss",
    mode: Mode = "min",
    schedule: Schedule = "constant",
    state: Path | None = None,
    fingerprint: str = "",
    save_every: float = 60.0,
    progress: Progress | None = None,
    label: str = "training",
) -> History:
    """Train a model, and leave it with the weights of its best epoch.

    The same arguments and initial weights give the same bits. That is also so if the process was
    killed at any moment and this is called again with the same `state`.

    Parameters
    ----------
    model
        A Keras model with one output; it need not be compiled.
    batches, validation
        With targets. Without validation `monitor` must be a figure of training.
    loss, metrics
        A Keras loss and Keras metrics; see `sunhwan.tasks.steps.Scores`.
    optimizer
        A Keras optimizer whose learning rate is a number. It clips, if it was told to.
    epochs
        The most epochs.
    patience
        Training stops after so many epochs without a better `monitor`; None never stops early.
    monitor, mode
        The figure by which an epoch is best, and whether its ``min`` or ``max`` is.
    schedule
        Of the learning rate: ``constant``; ``cosine``, falling to 0 over all `epochs`; ``plateau``,
        times `pace.PLATEAU_FACTOR` after each half of `patience` without a better `monitor`.
    state
        Folder for the state of this training, inside the folder of the run. If there is a state
        in it, training goes on from there.
    fingerprint
        Stands for what the state depends on besides these arguments: data, model, options.
    save_every
        Seconds from one state to the next within an epoch.
    progress
        Told of the epochs and batches; its ``plan`` and ``close`` are left to the caller.
    label
        What `progress` calls this training.

    Raises
    ------
    UsageError
        Arguments that do not fit each other, or not those of the training in `state`.
    DataError
        The `state` is damaged.
    TrainingError
        A loss or weight is no longer finite; names epoch and batch.
    KeyboardInterrupt
        Ctrl-C was pressed: the batch that was running is done and the state written. The model
        has the best weights so far, or its initial ones if no epoch was done.
    """
    scores = _scores(loss, *metrics)
    pace = Pace(_learning_rate(model, optimizer), epochs, patience, monitor, mode, schedule)
    _check(pace, scores, batches, validation)
    keeper = Keeper(state, _settings(pace, batches, fingerprint), save_every)
    run = _Run(model, optimizer, scores, pace, batches, validation, keeper, progress or Progress())
    return run.to_end(label)


class _Run:
    """One training from its first or its last state to the end."""

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        scores: Scores,
        pace: Pace,
        batches: EpochBatches,
        validation: EpochBatches | None,
        keeper: Keeper,
        progress: Progress,
    ) -> None:
        self._model, self._scores, self._pace = model, scores, pace
        self._batches, self._validation = batches, validation
        self._keeper, self._progress = keeper, progress
        self._step = training_step(model, optimizer, scores, batches.weight / len(batches))
        self._waiting: deque[tuple[int, Any]] = deque()
        self._ctrl_c = CtrlC()
        trainable, other = variables(model)
        fresh = {
            "trainable": trainable,
            "non_trainable": other,
            "optimizer": [v.value for v in optimizer.variables],
            "metrics": scores.zero(),
        }
        found = keeper.load(fresh)
        nothing = Record(settings={}, figures={}, batch=0, seconds=0.0)
        arrays, record = (fresh, nothing) if found is None else found
        self._figures, self._done = record.figures, record.batch
        self._best = {
            name: arrays.get(f"best_{name}", []) for name in ("trainable", "non_trainable")
        }
        # a step uses up what it is given, which must not be the model's own
        self._arrays = {
            name: [jax.numpy.array(array) for array in arrays.get(name, [])] for name in fresh
        }
        self._started = time.monotonic() - record.seconds

    def to_end(self, label: str) -> History:
        """Train the epochs that are left, and give the model its best weights."""
        self._progress.begin(label, self._pace.epochs)
        self._progress.go_on(len(self._monitored()) + self._done / len(self._batches))
        try:
            with heard(at_once=False) as self._ctrl_c:
                while (why := self._pace.why_stop(self._monitored())) is None:
                    self._train()
                    self._end_epoch()
                    self._pause()
        finally:
            self._give_best_weights()
        best = self._pace.best_epoch(self._monitored())
        history = History(self._figures, best, time.monotonic() - self._started, why)
        monitor = self._pace.monitor
        self._progress.end(
            f"{monitor.replace('_', ' ')} {self._monitored()[best - 1]:.4g} in epoch {best}; "
            f"{why} ({duration(history.seconds)})"
        )
        return history

    def _monitored(self) -> list[float]:
        return self._figures.get(self._pace.monitor, [])

    def _train(self) -> None:
        """The batches of the epoch that are left."""
        figures, count = self._monitored(), len(self._batches)
        self._batches.start(len(figures))
        for place in range(self._done, count):
            rate = np.float32(self._pace.rate(figures, place / count))
            self._arrays, loss = self._step(self._arrays, rate, self._batches[place])
            self._waiting.append((place, loss))
            self._check_losses(_AHEAD)
            self._done = place + 1
            self._progress.batch(self._done, count)
            self._pause()
        self._check_losses(0)

    def _check_losses(self, ahead: int) -> None:
        """Read the losses of all but the last `ahead` batches."""
        while len(self._waiting) > ahead:
            place, loss = self._waiting.popleft()
            if not math.isfinite(loss):
                raise TrainingError(
                    f"the loss must stay finite, received {float(loss)} in epoch "
                    f"{len(self._monitored()) + 1}, batch {place + 1}",
                    hint=_ADVICE,
                )

    def _pause(self) -> None:
        """Between two batches: write the state if it is due, and stop if Ctrl-C was pressed."""
        is_pressed = self._ctrl_c.is_pressed
        if is_pressed or self._keeper.is_due():
            self._check_losses(0)
            self._save()
        if is_pressed:
            epochs, folder = len(self._monitored()), self._keeper.folder
            rest = "nothing was kept"
            if folder is not None:
                rest = f"`sunhwan resume {folder.parent}` goes on"
            batch = f"batch {self._done} of {len(self._batches)} in epoch {epochs + 1}"
            done = batch if self._done else f"epoch {epochs}"
            raise KeyboardInterrupt(f"stopped after {done}; {rest}")

    def _end_epoch(self) -> None:
        """Judge the epoch, keep its weights if they are the best, write the state."""
        epoch = len(self._monitored()) + 1
        logs = self._scores.results(self._arrays["metrics"])
        if self._validation is not None:
            values = (self._arrays["trainable"], self._arrays["non_trainable"])
            judged = self._scores.over(self._model, values, self._validation, self._pause)
            logs |= {f"val_{name}": figure for name, figure in judged.items()}
        finite = {name: math.isfinite(figure) for name, figure in logs.items()}
        # the last step of the epoch may have spoilt them, and no loss has told yet
        finite["weights"] = all(np.isfinite(array).all() for array in self._arrays["trainable"])
        if not all(finite.values()):
            bad = " and ".join(f"`{name}`" for name, is_finite in finite.items() if not is_finite)
            raise TrainingError(
                f"{bad} must stay finite, but did not in epoch {epoch}", hint=_ADVICE
            )
        rate = self._pace.rate(self._monitored(), 1 - 1 / len(self._batches))
        for name, figure in [*logs.items(), ("learning_rate", rate)]:
            self._figures.setdefault(name, []).append(figure)
        if self._pace.best_epoch(self._monitored()) == epoch:
            self._best = {
                name: [np.array(array) for array in self._arrays[name]] for name in self._best
            }
        self._arrays["metrics"] = self._scores.zero()
        self._done = 0
        self._save()
        self._progress.epoch(epoch, logs)

    def _save(self) -> None:
        best = {f"best_{name}": row for name, row in self._best.items()}
        seconds = time.monotonic() - self._started
        record = {"figures": self._figures, "batch": self._done, "seconds": seconds}
        self._keeper.save(self._arrays | best, record)

    def _give_best_weights(self) -> None:
        if self._figures:
            model = self._model
            for own, best in (
                (model.trainable_variables, self._best["trainable"]),
                (model.non_trainable_variables, self._best["non_trainable"]),
            ):
                for variable, value in zip(own, best, strict=True):
                    variable.assign(value)


# the same for the same loss and metrics, as what is compiled with them is kept
@functools.lru_cache(maxsize=1)
def _scores(loss: Any, *metrics: Any) -> Scores:
    return Scores(loss, metrics)


def _learning_rate(model: Any, optimizer: Any) -> float:
    """The optimizer's learning rate; builds the optimizer for the model."""
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    for variable in optimizer.variables:
        if variable.name == "learning_rate":
            # the number that was given, which the variable has as the nearest float32
            return float(str(np.asarray(variable.value)))
    raise UsageError(
        f"the learning rate of {type(optimizer).__name__} must be a number, received a schedule",
        hint="choose with `schedule`",
    )


def _check(
    pace: Pace, scores: Scores, batches: EpochBatches, validation: EpochBatches | None
) -> None:
    if keras.backend.backend() != "jax":
        raise UsageError(
            f"training needs Keras on JAX, received {keras.backend.backend()}",
            hint="set KERAS_BACKEND=jax before Python starts",
        )
    for name, given in (("batches", batches), ("validation", validation)):
        if given is not None and len(given[0]) == 1:
            raise UsageError(f"`{name}` must have targets")
    names = list(scores.names)
    if validation is not None:
        names += [f"val_{name}" for name in names]
    if pace.monitor not in names:
        raise UsageError(f"`monitor` must be one of {', '.join(names)}, received {pace.monitor!r}")


def _settings(pace: Pace, batches: EpochBatches, fingerprint: str) -> dict[str, Any]:
    """What the state depends on, as plain JSON."""
    return {
        "fingerprint": fingerprint,
        **asdict(pace),
        "seed": batches.seed,
        "batch_size": batches.batch_size,
        "batches": len(batches),
    }
