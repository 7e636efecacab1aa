"""What is compiled: one step of training, the forward pass, and figures that leave padding out.

Keras's own ``fit`` divides the loss of a batch by B or by the steps of its mask, then averages the
batches by B, and its metrics average the steps of a batch by T. With batches that are filled up,
and of several T, such figures are not those of the data. Here a figure is the sum over all rows
(or steps) of weight times value, divided by the sum of the weights; penalties that layers add to
the loss are followed in training and are in no figure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.data.batches import Batches
from sunhwan.errors import ShapeError, UsageError
from sunhwan.tasks.checkpoint import Arrays


class EpochBatches(Protocol):
    """What training takes: the batches of an epoch with targets, such as `Batches`.

    Attributes
    ----------
    seed
        Of the order; None where it is always the same.
    batch_size
        Rows of each.
    """

    seed: int | None
    batch_size: int

    @property
    def weight(self) -> float:
        """Sum of all weights of an epoch."""

    def __len__(self) -> int:
        """Return the number of batches, the same in each epoch."""

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return ``(x, wanted, weights)`` of batch `index`."""

    def start(self, epoch: int) -> None:
        """Turn to `epoch`, counted from 0."""


class Scores:
    """The loss and other figures of an epoch, gathered batch by batch.

    Parameters
    ----------
    loss
        A Keras loss, called for the loss of each row (or step); its ``reduction`` is not used.
    metrics
        Keras metrics that heed sample weights, as most do.

    Examples
    --------
    >>> scores = Scores(keras.losses.MeanSquaredError(), [])
    >>> wanted, given = np.array([[1.0], [2.0]]), np.array([[1.5], [9.0]])
    >>> weights = np.array([1.0, 0.0])
    >>> values = scores.values(wanted, given, weights)
    >>> scores.results(scores.update(scores.zero(), wanted, given, values, weights))
    {'loss': 0.25}
    """

    def __init__(self, loss: Any, metrics: Sequence[Any]) -> None:
        self._loss = loss
        self._metrics = [keras.metrics.Mean(name="loss"), *metrics]
        self._add = jax.jit(self._score)
        self.names = [metric.name for metric in self._metrics]
        if len(set(self.names)) < len(self.names):
            raise UsageError(f"each metric needs a name of its own, received {self.names}")

    def zero(self) -> list[Any]:
        """The variables of all metrics, before the first batch."""
        for metric in self._metrics:
            metric.reset_state()
        return [np.array(v.value) for metric in self._metrics for v in metric.variables]

    def values(self, wanted: Any, given: Any, weights: Any) -> Any:
        """The loss of each row (or step), in the shape of `weights`: ``[B]`` or ``[B, T]``.

        Raises
        ------
        ShapeError
            The network's answers do not belong to those weights.
        """
        values = self._loss.call(wanted, given)
        if values.shape[: len(weights.shape)] != tuple(weights.shape):
            raise ShapeError(
                f"the loss must have one value for each of the {tuple(weights.shape)} weights, "
                f"received shape {tuple(values.shape)} from answers of shape {tuple(given.shape)} "
                f"and targets of shape {tuple(wanted.shape)}",
                hint="an answer for each step needs return_sequences=True and per_step=True",
            )
        return keras.ops.mean(values, axis=tuple(range(len(weights.shape), len(values.shape))))

    def update(
        self, state: list[Any], wanted: Any, given: Any, values: Any, weights: Any
    ) -> list[Any]:
        """The variables after one more batch, where `values` are the losses."""
        # from [B, T] Keras would take the mean over T first, and steps of short rows count more
        rank = len(weights.shape)
        wanted, given, values, weights = (
            keras.ops.reshape(array, (-1, *array.shape[rank:]))
            for array in (wanted, given, values, weights)
        )
        after: list[Any] = []
        for metric in self._metrics:
            part = state[len(after) : len(after) + len(metric.variables)]
            answers = (values,) if not after else (wanted, given)
            after += metric.stateless_update_state(part, *answers, sample_weight=weights)
        return after

    def over(
        self,
        model: Any,
        values: tuple[list[Any], list[Any]],
        batches: EpochBatches,
        pause: Callable[[], None] = lambda: None,
    ) -> dict[str, float]:
        """The figures of a model over all batches.

        Parameters
        ----------
        model, values
            A model, and the values of its variables as of `variables`.
        pause
            Called after each batch.
        """
        forward, state = forward_pass(model), self.zero()
        trainable, other = values
        for index in range(len(batches)):
            x, wanted, weights = batches[index]
            given, other = forward(trainable, other, x)
            state = self._add(state, wanted, given, weights)
            pause()
        return self.results(state)

    def _score(self, state: list[Any], wanted: Any, given: Any, weights: Any) -> list[Any]:
        return self.update(state, wanted, given, self.values(wanted, given, weights), weights)

    def results(self, state: list[Any]) -> dict[str, float]:
        """The figures by name, ``loss`` first."""
        results, first = {}, 0
        for metric in self._metrics:
            part = [jax.numpy.asarray(v) for v in state[first : first + len(metric.variables)]]
            results[metric.name] = float(metric.stateless_result(part))
            first += len(part)
        return results


def variables(model: Any) -> tuple[list[Any], list[Any]]:
    """The values of a model's trainable and other variables."""
    return (
        [v.value for v in model.trainable_variables],
        [v.value for v in model.non_trainable_variables],
    )


# kept for one model, so that who trains it again from other weights compiles each shape once
@functools.lru_cache(maxsize=1)
def training_step(
    model: Any, optimizer: Any, scores: Scores, batch_weight: float
) -> Callable[[Arrays, Any, tuple[Any, ...]], tuple[Arrays, Any]]:
    """A compiled function of state, learning rate and batch, that gives the state after and a loss.

    That loss is the weighted sum over the batch divided by `batch_weight`, which is the mean over
    all batches: so a row counts as much in a batch that is half filled up as in a full one. The
    state that goes in is used up.
    """
    rate_place = [v.name for v in optimizer.variables].index("learning_rate")

    def objective(trainable: Any, non_trainable: Any, batch: Any) -> Any:
        x, wanted, weights = batch
        given, non_trainable, penalties = model.stateless_call(
            trainable, non_trainable, x, training=True, return_losses=True
        )
        values = scores.values(wanted, given, weights)
        total = keras.ops.sum(values * weights) / batch_weight + sum(penalties)
        return total, (given, values, non_trainable)

    gradient = jax.value_and_grad(objective, has_aux=True)

    def step(state: Arrays, rate: Any, batch: tuple[Any, ...]) -> tuple[Arrays, Any]:
        (total, (given, values, non_trainable)), slopes = gradient(
            state["trainable"], state["non_trainable"], batch
        )
        settings = list(state["optimizer"])
        settings[rate_place] = rate
        trainable, settings = optimizer.stateless_apply(settings, slopes, state["trainable"])
        after = {
            "trainable": trainable,
            "non_trainable": non_trainable,
            "optimizer": settings,
            "metrics": scores.update(state["metrics"], batch[1], given, values, batch[2]),
        }
        return after, total

    return jax.jit(step, donate_argnums=0)


# kept for one model, so that validation, test and prediction compile each shape once
@functools.lru_cache(maxsize=1)
def forward_pass(model: Any) -> Callable[[list[Any], list[Any], Any], tuple[Any, list[Any]]]:
    """A compiled function of trainable variables, other variables and input.

    It gives the answers, and the other variables after: states may go on from batch to batch.
    """

    def forward(trainable: list[Any], non_trainable: list[Any], x: Any) -> Any:
        return model.stateless_call(trainable, non_trainable, x, training=False)

    return jax.jit(forward)


def evaluate(
    model: Any, batches: Batches, *, loss: Any, metrics: Sequence[Any] = ()
) -> dict[str, float]:
    """Loss and metrics by name, each weighted by the rows (or steps) of the data.

    Parameters
    ----------
    model
        A Keras model with one output.
    batches
        With targets.
    loss, metrics
        As of `Scores`.
    """
    return Scores(loss, metrics).over(model, variables(model), batches)


def predict(model: Any, batches: Batches) -> NDArray[Any] | list[NDArray[Any]]:
    """The model's answers in the order of the rows; see `Batches.restore`.

    Parameters
    ----------
    model
        A Keras model with one output.
    batches
        From `Batches.for_prediction`, or any without a seed.
    """
    forward, values = forward_pass(model), variables(model)
    return batches.restore(
        np.asarray(forward(*values, batches[index][0])[0]) for index in range(len(batches))
    )
