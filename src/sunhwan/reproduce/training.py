"""One seed of one model: built, checked against the published sizes, trained and judged."""

from __future__ import annotations

import math
import time
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import TrainingError
from sunhwan.layers.recurrent import FusedLoop
from sunhwan.reproduce.experiments import PATIENCE, TOLERANCE, Experiment, Variant
from sunhwan.reproduce.material import Material
from sunhwan.runs.interrupt import CtrlC, heard
from sunhwan.runs.progress import Progress
from sunhwan.runs.statistics import confusion, one_against_rest, overall

#: test rows that the gradient is measured on
_FLOW_ROWS = 64


def build(experiment: Experiment, variant: Variant, layers: Any, material: Material) -> Any:
    """The compiled model, its sizes checked layer by layer.

    Raises
    ------
    TrainingError
        A layer has another number of weights than was published.
    """
    inputs = keras.Input(material.x_train.shape[1:], dtype=material.x_train.dtype.name)
    model = keras.Sequential([inputs, *variant.build(layers)], name=_identifier(variant.name))
    counts = tuple(layer.count_params() for layer in model.layers)
    if counts != variant.parameters:
        raise TrainingError(
            f"`{experiment.name}` ({variant.title}) must have {list(variant.parameters)} weights "
            f"layer by layer, as published, received {list(counts)}"
        )
    metric: Any = share_right if experiment.task == "numbers" else "accuracy"
    model.compile(optimizer=experiment.optimizer, loss=experiment.loss, metrics=[metric])
    return model


def share_right(wanted: Any, predicted: Any) -> Any:
    """Share of the answers that lie within `TOLERANCE`; both ``float32[B, 1]``."""
    near = keras.ops.abs(wanted - predicted) < TOLERANCE
    return keras.ops.mean(keras.ops.cast(near, "float32"), axis=-1)


def train(
    experiment: Experiment,
    variant: Variant,
    layers: Any,
    material: Material,
    *,
    seed: int,
    epochs: int,
    progress: Progress,
) -> dict[str, Any]:
    """The record of one seed.

    Initial weights and the order of the batches come from `seed` alone: the same seed on the
    same machine gives the same bits, but for ``seconds``, the time in Keras's ``fit``.

    Returns
    -------
    dict
        ``seed``, ``test_loss``, ``accuracy`` or ``share_right`` (on the test set), the last
        ``val_loss`` and ``val_accuracy`` or ``val_share_right`` where there is validation,
        ``flow`` ``before`` and ``after`` training where the experiment asks for it of our layers,
        ``epochs_run``, ``seconds``, ``history`` (by epoch), and ``confusion`` (rows predicted)
        with ``statistics``, or ``points`` (``wanted`` and ``predicted`` numbers).

    Raises
    ------
    TrainingError
        A loss is not finite; names the experiment, seed, epoch and batch.
    KeyboardInterrupt
        Ctrl-C was pressed.
    """
    with heard(at_once=True) as ctrl_c:
        keras.backend.clear_session()
        keras.utils.set_random_seed(seed)
        model = build(experiment, variant, layers, material)
        watch = _Watch(experiment.name, seed, progress, ctrl_c)
        flow = experiment.flow and isinstance(model.layers[0], FusedLoop)
        begun = _flow(model, material) if flow else None
        start = time.perf_counter()
        history = _fit(experiment, variant, model, material, epochs, watch)
        seconds = time.perf_counter() - start
        record: dict[str, Any] = {"seed": seed}
        if flow:
            record["flow"] = {"before": begun, "after": _flow(model, material)}
        record.update(_judge(experiment, model, material))
        record.update({k: v[-1] for k, v in history.items() if k.startswith("val_")})
        record.update(epochs_run=len(history["loss"]), seconds=round(seconds, 2), history=history)
        _check_record(experiment.name, record)
    return record


def _flow(model: Any, material: Material) -> dict[str, Any]:
    """The gradient of the answer for the states of the first layer, by all ways through the model:
    what that layer has to learn from."""
    from sunhwan.insight.flow import gradient_flow

    rows, first = material.x_test[:_FLOW_ROWS], model.layers[0].name
    [found] = gradient_flow(model, rows, layers=[first], through="model")
    share = found.norms / found.norms.max()
    return {"share": share.tolist(), "rate": found.rate, "verdict": found.verdict}


def _fit(
    experiment: Experiment,
    variant: Variant,
    model: Any,
    material: Material,
    epochs: int,
    watch: _Watch,
) -> dict[str, list[float]]:
    """The figures by epoch."""
    callbacks: list[Any] = [watch]
    if experiment.early_stopping:
        callbacks.append(keras.callbacks.EarlyStopping(monitor="val_loss", patience=PATIENCE))
    if experiment.flow:
        keep = {"restore_best_weights": True, "patience": epochs}
        callbacks.append(keras.callbacks.EarlyStopping(monitor="val_loss", **keep))
    if variant.calm:
        callbacks.append(_calm_down(epochs - variant.calm))
    figures: dict[str, list[float]] = model.fit(
        material.x_train,
        _targets(experiment, material.y_train),
        batch_size=experiment.batch,
        epochs=epochs,
        validation_split=experiment.validation_split,
        callbacks=callbacks,
        verbose=0,
    ).history
    return figures


def _calm_down(epoch: int) -> Any:
    """A callback that divides the learning rate by ten when `epoch` (from 0) begins."""
    return keras.callbacks.LearningRateScheduler(
        lambda now, rate: rate / 10 if now == epoch else rate
    )


class _Watch(keras.callbacks.Callback):
    """Reports each epoch, and stops at a loss that is not finite or where Ctrl-C was pressed.

    The losses of the batches are only collected, and read when the epoch ends: to read one as
    it comes would make every step wait for the device.
    """

    def __init__(self, name: str, seed: int, progress: Progress, ctrl_c: CtrlC) -> None:
        super().__init__()
        self._name, self._seed, self._progress = name, seed, progress
        self._ctrl_c = ctrl_c
        self._losses: list[Any] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._losses.clear()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._losses.append(logs["loss"])
        self._progress.batch(batch + 1, self.params["steps"])
        self._ctrl_c.check()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._ctrl_c.check()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        # Keras gives the running mean, which stays NaN from the first bad batch on
        losses = np.asarray([float(loss) for loss in self._losses])
        if not np.isfinite(losses).all():
            batch = int(np.argmin(np.isfinite(losses))) + 1
            raise TrainingError(
                f"`{self._name}`, seed {self._seed}: the loss must stay finite, received "
                f"{losses[batch - 1]} in epoch {epoch + 1}, batch {batch}",
                hint="a smaller learning rate or `clipnorm` keeps the weights from running away",
            )
        validation = float(logs.get("val_loss", 0.0))
        if not math.isfinite(validation):
            raise TrainingError(
                f"`{self._name}`, seed {self._seed}: the validation loss must stay finite, "
                f"received {validation} after epoch {epoch + 1}"
            )
        self._progress.epoch(epoch + 1, logs)


def _judge(experiment: Experiment, model: Any, material: Material) -> dict[str, Any]:
    """Loss and answers on the test set."""
    targets = _targets(experiment, material.y_test)
    figures = model.evaluate(
        material.x_test, targets, batch_size=experiment.batch, verbose=0, return_dict=True
    )
    record: dict[str, Any] = {"test_loss": float(figures["loss"])}
    predicted = _predict(experiment, model, material.x_test)
    if not np.isfinite(predicted).all():
        raise TrainingError(
            f"`{experiment.name}`: every answer must be finite, received {predicted.min()} for "
            f"test row {int(np.argmin(np.isfinite(predicted).all(axis=-1)))}"
        )
    if experiment.task == "numbers":
        # in float32, as the metric of the curves computes it
        near = np.abs(targets - predicted) < np.float32(TOLERANCE)
        record["share_right"] = float(near.mean())
        record["points"] = _points(material.y_test, predicted)
        if material.show_training:
            seen = _predict(experiment, model, material.x_train)
            trained = _points(material.y_train, seen)
            record["points"] = {key: trained[key] + record["points"][key] for key in trained}
        return record
    matrix = _confusion(predicted, material.y_test)
    record["accuracy"] = float(np.trace(matrix) / matrix.sum())
    record["confusion"] = matrix.tolist()
    record["statistics"] = overall(matrix)
    if experiment.task == "binary":
        record["statistics"].update(one_against_rest(matrix, positive=0))
    return record


def _confusion(predicted: NDArray[Any], true: NDArray[Any]) -> NDArray[np.int64]:
    """Counts from one probability (class 1 above a half) or from one for each class."""
    if predicted.shape[-1] == 1:
        return confusion(true, (predicted[:, 0] > 0.5).astype(np.int64), classes=2)
    return confusion(true, predicted.argmax(axis=-1), classes=predicted.shape[-1])


def _predict(experiment: Experiment, model: Any, x: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(model.predict(x, batch_size=experiment.batch, verbose=0))


def _points(wanted: NDArray[Any], predicted: NDArray[Any]) -> dict[str, list[float]]:
    """Wanted and predicted numbers, to five decimals: enough for any plot."""
    return {
        "wanted": [round(float(value), 5) for value in wanted.reshape(-1)],
        "predicted": [round(float(value), 5) for value in predicted.reshape(-1)],
    }


def _targets(experiment: Experiment, y: NDArray[Any]) -> NDArray[Any]:
    # a column, so that no metric broadcasts [B] against [B, 1]
    return y if experiment.task == "classes" else y.reshape(-1, 1).astype(np.float32)


def _check_record(name: str, record: dict[str, Any]) -> None:
    if not math.isfinite(record["test_loss"]):
        raise TrainingError(
            f"`{name}`, seed {record['seed']}: the test loss must be finite, "
            f"received {record['test_loss']}"
        )


def _identifier(name: str) -> str:
    return name.replace("-", "_")
