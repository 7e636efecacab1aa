"""Watch the gradient that flows back while a model learns, and say so when it vanishes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras

from sunhwan.errors import UsageError
from sunhwan.insight.flow import Flow, gradient_flow


class GradientWarning(UserWarning):
    """A gradient vanishes or explodes on its way back through a layer."""


class GradientAlarm(keras.callbacks.Callback):  # type: ignore[misc]
    """A Keras callback that measures the gradient flow before training and after epochs.

    A layer whose gradient vanishes or explodes is told as a `GradientWarning`, once for each time
    that it begins to. A measurement takes a few seconds, most of them for compiling.

    Parameters
    ----------
    x
        Input of the batch that it is measured on, such as 32 rows that are not learnt from.
    y, loss, output, layers
        As of `sunhwan.insight.gradient_flow`.
    every
        After how many epochs it is measured again.
    stop
        Whether training stops at the first layer that explodes: its weights are about to be lost.

    Attributes
    ----------
    history
        ``(epoch, flows)`` of each measurement; epoch 0 is before training.

    Examples
    --------
    >>> import numpy as np
    >>> from sunhwan.layers import GRU
    >>> x, y = np.ones((4, 5, 2), "float32"), np.zeros((4, 3))
    >>> keras.utils.set_random_seed(1)
    >>> model = keras.Sequential([keras.Input((5, 2)), GRU(3)])
    >>> model.compile(loss="mse")
    >>> alarm = GradientAlarm(x)
    >>> _ = model.fit(x, y, epochs=2, verbose=0, callbacks=[alarm])
    >>> [(epoch, flows[0].kind, flows[0].steps) for epoch, flows in alarm.history]
    [(0, 'GRU', 4), (1, 'GRU', 4), (2, 'GRU', 4)]
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        loss: Callable[[Any, Any], Any] | None = None,
        output: int | None = None,
        layers: Sequence[str] | None = None,
        every: int = 1,
        stop: bool = False,
    ) -> None:
        super().__init__()
        if every < 1:
            raise UsageError(f"`every` must be at least 1 epoch, received {every}")
        self._batch = x, y
        self._options: dict[str, Any] = {"loss": loss, "output": output, "layers": layers}
        self._every, self._stop = every, stop
        self._verdicts: dict[str, str] = {}
        self.history: list[tuple[int, list[Flow]]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        """Measure what training begins with."""
        self.history.clear()
        self._verdicts.clear()
        self._measure(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measure again, if it is time."""
        if (epoch + 1) % self._every == 0:
            self._measure(epoch + 1)

    def _measure(self, epoch: int) -> None:
        flows = gradient_flow(self.model, *self._batch, **self._options)
        self.history.append((epoch, flows))
        for flow in flows:
            is_new = flow.verdict != self._verdicts.get(flow.name)
            if is_new and flow.verdict in ("vanishes", "explodes"):
                warnings.warn(f"after epoch {epoch}: {flow}", GradientWarning, stacklevel=2)
            self._verdicts[flow.name] = flow.verdict
        if self._stop and any(flow.verdict == "explodes" for flow in flows):
            self.model.stop_training = True
