"""How fast and how long to train: learning rate, best epoch and early stopping.

All are functions of the figures of the epochs so far, so a training that goes on after an
interruption decides as one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sunhwan.errors import UsageError

Schedule = Literal["constant", "cosine", "plateau"]
Mode = Literal["min", "max"]

#: what ``plateau`` multiplies the learning rate by
PLATEAU_FACTOR = 0.3
#: epochs without a better figure before it does so, where there is no early stopping
PLATEAU_PATIENCE = 3


@dataclass(frozen=True)
class Pace:
    """The rules; arguments as of `sunhwan.tasks.training.train`.

    Raises
    ------
    UsageError
        An argument is none of those that there are.

    Examples
    --------
    >>> pace = Pace(0.1, epochs=9, patience=2)
    >>> pace.best_epoch([0.5, 0.4, 0.45]), pace.why_stop([0.5, 0.4, 0.45])
    (2, None)
    >>> pace.why_stop([0.5, 0.4, 0.45, 0.4])
    'no better val_loss than that of epoch 2 for 2 epochs'
    """

    learning_rate: float
    epochs: int
    patience: int | None = None
    monitor: str = "val_loss"
    mode: Mode = "min"
    schedule: Schedule = "constant"

    def __post_init__(self) -> None:
        for name, choices in (("mode", get_args(Mode)), ("schedule", get_args(Schedule))):
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"`{name}` must be one of {', '.join(choices)}, "
                    f"received {getattr(self, name)!r}"
                )
        if self.epochs < 1:
            raise UsageError(f"`epochs` must be at least 1, received {self.epochs}")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"`patience` must be at least 1 or None, received {self.patience}")

    def best_epoch(self, figures: Sequence[float]) -> int:
        """The first epoch, from 1, with the best of the monitored `figures`."""
        return 1 + figures.index(min(figures) if self.mode == "min" else max(figures))

    def why_stop(self, figures: Sequence[float]) -> str | None:
        """Why training stops after epochs with these `figures`, or None if it goes on."""
        if not figures:
            return None
        best = self.best_epoch(figures)
        if self.patience is not None and len(figures) - best >= self.patience:
            epochs = f"{self.patience} epoch" + ("s" if self.patience > 1 else "")
            return f"no better {self.monitor} than that of epoch {best} for {epochs}"
        if len(figures) >= self.epochs:
            return "all epochs are done"
        return None

    def rate(self, figures: Sequence[float], share: float) -> float:
        """The learning rate after epochs with these `figures` and `share` of the next one.

        Examples
        --------
        >>> pace = Pace(0.1, epochs=2, schedule="cosine")
        >>> [round(pace.rate(done, 0.5), 4) for done in ([], [0.3])]
        [0.0854, 0.0146]
        """
        if self.schedule == "cosine":
            done = (len(figures) + share) / self.epochs
            return self.learning_rate * (1 + math.cos(math.pi * done)) / 2
        if self.schedule == "plateau":
            return float(self.learning_rate * PLATEAU_FACTOR ** self._plateaus(figures))
        return self.learning_rate

    def _plateaus(self, figures: Sequence[float]) -> int:
        """How often there was no better figure for half of `patience`."""
        wait = PLATEAU_PATIENCE if self.patience is None else max(1, self.patience // 2)
        count = since = 0
        for place in range(1, len(figures)):
            is_better = self.best_epoch(figures[: place + 1]) == place + 1
            since = 0 if is_better else since + 1
            if since == wait:
                count, since = count + 1, 0
        return count
