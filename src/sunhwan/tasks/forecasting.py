"""The network of a forecaster, and what it says about windows: at once, or step by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import ShapeError, UsageError
from sunhwan.tasks.forecasting_scaling import Values
from sunhwan.tasks.forecasting_windows import Windows, read_future, read_past, simple_guess

#: numbers that the network hands to each step of the horizon
_STEP_FEATURES = 8


def default_batch_size(count: int) -> int:
    """128, or less so that `count` windows make 16 steps of an epoch, but at least 8.

    Examples
    --------
    >>> default_batch_size(60), default_batch_size(26_000)
    (8, 128)
    """
    return min(128, max(8, count // 16))


def fewest_bytes(network: Mapping[str, Any]) -> int:
    """Bytes that a network of these arguments of `build_forecaster` has at the very least.

    Examples
    --------
    >>> fewest_bytes({"units": 32, "num_layers": 1, "horizon": 12})
    16384
    """
    units, layers, horizon = (network[name] for name in ("units", "num_layers", "horizon"))
    return int(4 * units * (layers * units + horizon * _STEP_FEATURES))


def build_forecaster(
    *,
    input_length: int,
    features: int,
    future_features: int,
    horizon: int,
    cell: Literal["simple", "lstm", "gru"] = "gru",
    units: int = 32,
    num_layers: int = 1,
    dropout: float = 0.1,
    recurrent_dropout: float = 0.0,
) -> Any:
    """A `keras.Model` from ``past`` and ``future`` of `Windows` to their ``target``.

    A recurrent layer reads the past; what it says of each step is joined with what is known of
    that step beforehand, and a small network, the same for all steps, turns both into the distance
    from the simple guess (as in Wen et al. 2017, "A multi-horizon quantile recurrent forecaster").
    It begins at a distance of 0, which is the simple guess itself.

    Parameters
    ----------
    input_length, features, future_features
        T, D and F of ``float32[N, T, D]`` and ``float32[N, horizon, F]``.
    horizon
        Steps said at once: as many as will be forecast (direct), or 1, to be fed back.
    cell
        The recurrent layers, from `sunhwan.layers`.
    units, num_layers
        Their size and number.
    dropout
        Of the inputs of each layer but the first, and of what the last one says.
    recurrent_dropout
        Of their states.

    Returns
    -------
    keras.Model
        ``[past, future]`` to ``float32[N, horizon]``.

    Raises
    ------
    UsageError
        `cell` is none of the three, or a size is below 1.
    """
    import keras

    from sunhwan import layers

    cells: dict[str, Any] = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    if cell not in cells:
        raise UsageError(f"`cell` must be one of {', '.join(cells)}, received {cell!r}")
    for name, value in (("horizon", horizon), ("units", units), ("num_layers", num_layers)):
        if value < 1:
            raise UsageError(f"`{name}` must be at least 1, received {value}")
    past = keras.Input((input_length, features), name="past")
    future = keras.Input((horizon, future_features), name="future")
    x = past
    for number in range(num_layers):
        x = cells[cell](
            units,
            return_sequences=number < num_layers - 1,
            recurrent_dropout=recurrent_dropout,
            name=f"{cell}_{number + 1}",
        )(x)
        x = keras.layers.Dropout(dropout, name=f"dropout_{number + 1}")(x)
    x = keras.layers.Dense(horizon * _STEP_FEATURES, name="steps")(x)
    x = keras.layers.Reshape((horizon, _STEP_FEATURES), name="by_step")(x)
    x = keras.layers.Concatenate(name="with_future")([x, future])
    x = keras.layers.Dense(units, activation="relu", name="mix")(x)
    x = keras.layers.Dense(1, kernel_initializer="zeros", name="distance")(x)
    x = keras.layers.Reshape((horizon,), name="distances")(x)
    return keras.Model([past, future], x, name="forecaster")


def distances(model: Any, windows: Windows, *, batch_size: int = 256) -> NDArray[np.float64]:
    """What a model says of each window, ``float64[N, horizon]``; `Windows.restore` gives values.

    A model of one step is fed back: what it says is read as the next value, until the horizon of
    the windows is reached. Covariates keep their last value meanwhile.

    Raises
    ------
    ShapeError
        The model says neither one step nor as many as the windows have.
    """
    steps = model.output_shape[-1]
    if steps == windows.horizon:
        return _say(model, windows.past, windows.future, batch_size)
    if steps != 1:
        raise ShapeError(
            f"a model must say 1 step or the {windows.horizon} of the windows, but says {steps}"
        )
    return _feed_back(model, windows, batch_size)


def _say(
    model: Any, past: NDArray[np.float32], future: NDArray[np.float32], batch_size: int
) -> NDArray[np.float64]:
    return np.asarray(model.predict([past, future], batch_size=batch_size, verbose=0), np.float64)


def _feed_back(model: Any, windows: Windows, batch_size: int) -> NDArray[np.float64]:
    found = np.empty(windows.target.shape)
    for number in np.unique(windows.series):
        rows = np.flatnonzero(windows.series == number)
        found[rows] = _feed_back_one(model, windows.take(rows), batch_size)
    return found


def _feed_back_one(model: Any, windows: Windows, batch_size: int) -> NDArray[np.float64]:
    """The same for windows that are all of one series."""
    scaler, one = windows.scaler, windows.data.series[int(windows.series[0])]
    spread = scaler.spreads[one.name]
    # the calendar is all of `future` but its last feature; in `past` it stands before covariates
    calendar = windows.future[:, :, :-1].astype(np.float64)
    helpers = scaler.read_helpers(one)
    beside = windows.past[:, :, windows.past.shape[2] - helpers.shape[1] - calendar.shape[2] :]
    length = windows.past.shape[1] + (scaler.season if scaler.anchor == "season" else 0)
    history = scaler.transform(one.values)[windows.origins[:, None] + np.arange(1 - length, 1)]
    said: list[Values] = []
    for step in range(windows.horizon):
        now = calendar[:, step : step + 1]
        past = read_past(scaler, one.name, history, beside)
        distance = _say(model, past, read_future(now), batch_size)
        said.append(simple_guess(scaler, history, 1) + distance * spread)
        history = np.concatenate([history[:, 1:], said[-1]], axis=1)
        ahead = np.concatenate([now, beside[:, -1:, calendar.shape[2] :]], axis=2)
        beside = np.concatenate([beside[:, 1:], ahead], axis=1)
    return np.asarray((np.concatenate(said, axis=1) - windows.base) / spread)
