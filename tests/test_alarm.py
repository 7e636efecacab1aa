"""The callback that watches gradients while a model learns."""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np
import pytest

from sunhwan import layers
from sunhwan.errors import UsageError
from sunhwan.insight.alarm import GradientAlarm, GradientWarning

X = np.random.default_rng(0).standard_normal((4, 40, 1)).astype(np.float32)
Y = np.zeros((4, 1), np.float32)


def _linear(w: float, rate: float) -> Any:
    rnn = layers.SimpleRNN(1, activation="linear", use_bias=False, name="memory")
    model = keras.Sequential([keras.Input((40, 1)), rnn])
    model.set_weights([np.ones((1, 1)), np.full((1, 1), w)])
    model.compile(keras.optimizers.SGD(rate), loss="mse")
    return model


def _fit(model: Any, alarm: GradientAlarm, epochs: int = 3) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, Y, epochs=epochs, verbose=0, callbacks=[alarm])
    return [str(one.message) for one in caught if issubclass(one.category, GradientWarning)]


def test_a_gradient_that_vanishes_is_told_once():
    alarm = GradientAlarm(X)
    told = _fit(_linear(0.5, 0.0), alarm)
    assert told == [
        "after epoch 0: memory (SimpleRNN): vanishes, a factor of 0.5 a step, "
        "half is gone after 1 steps, over 39 steps"
    ]
    assert [epoch for epoch, _ in alarm.history] == [0, 1, 2, 3]


def test_it_sees_the_weights_that_an_epoch_ended_with():
    model = _linear(0.9, 0.01)
    alarm = GradientAlarm(X)
    _fit(model, alarm, 1)
    w = float(model.get_weights()[1][0, 0])
    assert w != pytest.approx(0.9, abs=1e-4)
    assert [flows[0].rate for _, flows in alarm.history] == [
        pytest.approx(0.9, rel=1e-4),
        pytest.approx(abs(w), rel=1e-4),
    ]


def test_training_stops_where_it_explodes():
    alarm = GradientAlarm(X, stop=True, every=2)
    model = _linear(1.3, 0.0)
    told = _fit(model, alarm, 6)
    assert len(told) == 1
    assert "explodes" in told[0]
    assert model.history.epoch == [0]
    quiet = GradientAlarm(X, every=2)
    assert _fit(_linear(1.0, 0.0), quiet, 5) == []
    assert [epoch for epoch, _ in quiet.history] == [0, 2, 4]


def test_the_loss_of_compile_is_taken_for_answers():
    alarm = GradientAlarm(X, Y + 5)
    _fit(_linear(0.9, 0.0), alarm, 1)
    first = alarm.history[0][1][0].norms
    assert first[0] > 1.5  # 2 (y - 5), and not the derivative 1 of the answer itself
    with pytest.raises(UsageError, match="`every` must be at least 1 epoch, received 0"):
        GradientAlarm(X, every=0)
