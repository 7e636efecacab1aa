"""Windows of series: what a forecaster reads and what it should say, cut within one part.

A forecaster reads values relative to the last one it knows, and says how far the future lies from
a simple guess: the last value, or that of the last season. So it begins as good as that guess, and
a level that it never saw in training does not confuse it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sunhwan.data.series import Series, SeriesSet
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.forecasting_preparation import Cuts
from sunhwan.tasks.forecasting_scaling import Scaler, Values

Part = Literal["train", "validation", "test", "next"]


@dataclass(frozen=True, eq=False)
class Windows:
    """N windows: T steps read, `horizon` steps to forecast.

    Attributes
    ----------
    past
        ``float32[N, T, D]``: the target relative to its last value (and to its last season),
        its level, the calendar, covariates.
    future
        ``float32[N, horizon, F]``: the calendar, and the share of the horizon that has passed.
    target
        ``float32[N, horizon]``: the distance from `base` in spreads.
    base
        ``float64[N, horizon]``: the simple guess, on the scaler's side.
    truth
        ``float64[N, horizon]``: the values as they were read; NaN where `is_known` is not.
    is_known
        ``bool[N, horizon]``: False where a value was filled or lies ahead of all data. No figure
        counts these.
    series, origins
        ``int64[N]``: the number of the series, and of the last step that is read.
    data, scaler
        What the windows were cut from.
    """

    past: NDArray[np.float32]
    future: NDArray[np.float32]
    target: NDArray[np.float32]
    base: Values
    truth: Values
    is_known: NDArray[np.bool_]
    series: NDArray[np.int64]
    origins: NDArray[np.int64]
    data: SeriesSet
    scaler: Scaler

    def __len__(self) -> int:
        return len(self.origins)

    @property
    def horizon(self) -> int:
        """Steps to forecast."""
        return self.target.shape[1]

    @property
    def spread(self) -> Values:
        """``float64[N, 1]``: of the series of each window."""
        names = [one.name for one in self.data.series]
        return np.array([self.scaler.spreads[names[n]] for n in self.series])[:, None]

    def restore(self, distance: NDArray[Any]) -> Values:
        """What a network said, as values of the series: ``float64[N, horizon]``."""
        return self.scaler.inverse(self.base + distance * self.spread)

    def take(self, rows: NDArray[Any]) -> Windows:
        """Some of the windows, in the order of `rows`."""
        arrays = {f.name: getattr(self, f.name)[rows] for f in fields(self)[:-2]}
        return replace(self, **arrays)


def default_input_length(horizon: int, season: int) -> int:
    """Two horizons, or two seasons where these are longer and not very much longer.

    Examples
    --------
    >>> default_input_length(7, 365), default_input_length(12, 12), default_input_length(7, 24)
    (14, 24, 48)
    """
    return 2 * max(horizon, season if season <= 4 * horizon else 0)


def windows(
    data: SeriesSet,
    scaler: Scaler,
    cuts: Cuts,
    part: Part,
    *,
    input_length: int,
    horizon: int,
    stride: int = 1,
) -> Windows:
    """Cut windows whose forecast lies within one part; what is read may come from before it.

    No window holds a gap or begins to forecast from a filled value: a straight line to a value
    that comes later would tell it.

    Parameters
    ----------
    data
        Series whose short gaps are filled.
    part
        ``next`` is one window for each series, that ends where the data ends.
    input_length, horizon
        Steps to read and to forecast.
    stride
        Steps from one window to the next.

    Raises
    ------
    DataError
        The part is too short for one window.
    UsageError
        A length is below 1.
    """
    for name, value in (("input_length", input_length), ("horizon", horizon), ("stride", stride)):
        if value < 1:
            raise UsageError(f"`{name}` must be at least 1, received {value}")
    for one in data.series:
        if one.name not in scaler.spreads:
            raise DataError(
                f"the scaler must know every series, but series {one.name!r} was not in training",
                hint="`Scaler.extended` measures series that are new",
            )
    begin, end = {
        "train": (None, cuts.validation),
        "validation": (cuts.validation, cuts.test),
        "test": (cuts.test, None),
        "next": (None, None),
    }[part]
    pieces = []
    for number, one in enumerate(data.series):
        first = 0 if begin is None else int(np.searchsorted(one.times, begin))
        last = len(one.times) if end is None else int(np.searchsorted(one.times, end))
        if part == "next":
            one = _extended(one, data.frequency, horizon)
            first = last
        origins = np.arange(max(first - 1, 0), last if part == "next" else last - horizon, stride)
        origins = _usable(one, origins, _context(scaler, input_length), horizon, part == "next")
        if len(origins):
            pieces.append((number, _cut(one, scaler, origins, input_length, horizon)))
    if not pieces:
        raise _too_short(data, part, _context(scaler, input_length), horizon)
    numbers = np.concatenate([np.full(len(cut["origins"]), number) for number, cut in pieces])
    arrays: dict[str, Any] = {
        name: np.concatenate([cut[name] for _, cut in pieces]) for name in pieces[0][1]
    }
    return Windows(series=numbers, data=data, scaler=scaler, **arrays)


def _too_short(data: SeriesSet, part: Part, context: int, horizon: int) -> DataError:
    if part != "next":
        return DataError(
            f"the {part} part must hold {context} steps to read and {horizon} to forecast without "
            f"a gap, but none of {len(data)} series does",
            hint="a smaller `input_length` or `horizon`, a larger share for the part, or more data",
        )
    gaps = [np.flatnonzero(np.isnan(one.values)) for one in data.series]
    runs = [
        len(one.values) - (gap[-1] + 1 if len(gap) else 0)
        for one, gap in zip(data.series, gaps, strict=True)
    ]
    return DataError(
        f"the network reads the last {context} steps, without a gap and with the last one known, "
        f"but the longest of {len(data)} series has {max(runs)} after its last gap",
        hint="give more of what came before, or fill the gap; a short one is filled with `fill`",
    )


def _context(scaler: Scaler, input_length: int) -> int:
    return input_length + (scaler.season if scaler.anchor == "season" else 0)


def _usable(
    one: Series, origins: NDArray[np.int64], context: int, horizon: int, ahead: bool
) -> NDArray[np.int64]:
    """The origins around which nothing is missing."""
    origins = origins[origins >= context - 1]
    missing = np.concatenate([[0], np.cumsum(np.isnan(one.values))])
    end = origins + 1 if ahead else origins + 1 + horizon
    whole = (missing[end] == missing[origins + 1 - context]) & ~one.filled[origins]
    if ahead:
        return origins[whole]
    steps = origins[:, None] + np.arange(1, horizon + 1)
    return origins[whole & ~one.filled[steps].all(axis=1)]


def _cut(
    one: Series, scaler: Scaler, origins: NDArray[np.int64], input_length: int, horizon: int
) -> dict[str, NDArray[Any]]:
    """The arrays of `Windows` for one series."""
    values = scaler.transform(one.values)
    calendar = scaler.calendar(one.times)
    read = origins[:, None] + np.arange(1 - _context(scaler, input_length), 1)
    ahead = origins[:, None] + np.arange(1, horizon + 1)
    known = ~one.filled[ahead] & ~np.isnan(one.values[ahead])
    history = values[read]
    beside = np.concatenate([calendar, scaler.read_helpers(one)], axis=1)
    past = read_past(scaler, one.name, history, beside[read[:, -input_length:]])
    base = simple_guess(scaler, history, horizon)
    return {
        "past": past,
        "future": read_future(calendar[ahead]),
        "target": ((values[ahead] - base) / scaler.spreads[one.name]).astype(np.float32),
        "base": base,
        "truth": np.where(known, one.values[ahead], np.nan),
        "is_known": known,
        "origins": origins,
    }


def read_past(
    scaler: Scaler, name: str, history: Values, beside: NDArray[Any]
) -> NDArray[np.float32]:
    """``float32[N, T, D]`` of `history` ``[N, T + season]`` and of `beside` ``[N, T, C]``."""
    steps = beside.shape[1]
    recent = history[:, -steps:]
    spread, (mean, deviation) = scaler.spreads[name], scaler.levels[name]
    columns = [(recent - history[:, -1:]) / spread]
    if scaler.anchor == "season":
        columns.append((recent - history[:, :steps]) / spread)
    if scaler.keeps_level:
        columns.append((recent - mean) / deviation)
    return np.concatenate([np.stack(columns, axis=-1), beside], axis=-1).astype(np.float32)


def read_future(calendar: Values) -> NDArray[np.float32]:
    """``float32[N, horizon, F]``: the calendar, and how much of the horizon has passed."""
    count, horizon, _ = calendar.shape
    passed = np.arange(1, horizon + 1)[None, :, None] / horizon
    passed = np.broadcast_to(passed, (count, horizon, 1))
    return np.concatenate([calendar, passed], axis=-1).astype(np.float32)


def simple_guess(scaler: Scaler, history: Values, horizon: int) -> Values:
    """The anchor of each step, ``float64[N, horizon]``: the last value or the last season's."""
    steps = np.arange(horizon) % scaler.period - scaler.period
    return history[:, steps]


def times_ahead(last: np.datetime64, frequency: str, count: int) -> NDArray[np.datetime64]:
    """The next times after one, ``datetime64[us][count]``.

    Examples
    --------
    >>> times_ahead(np.datetime64("2024-01-31", "us"), "1mo", 2).astype("datetime64[D]").tolist()
    [datetime.date(2024, 2, 29), datetime.date(2024, 3, 31)]
    """
    from_last = pl.Series(np.array([last], "datetime64[us]")).dt
    step = frequency.replace("1i", "1s")
    unit = step.lstrip("0123456789")
    size = int(step.removesuffix(unit))
    ahead = [
        from_last.add_business_days(k) if unit == "bd" else from_last.offset_by(f"{k * size}{unit}")
        for k in range(1, count + 1)
    ]
    return pl.concat(ahead).to_numpy()


def _extended(one: Series, frequency: str, horizon: int) -> Series:
    """The series with `horizon` empty steps after its end; covariates keep their last value."""

    def longer(array: NDArray[Any], value: Any) -> NDArray[Any]:
        return np.concatenate([array, np.full(horizon, value, array.dtype)])

    return Series(
        one.name,
        np.concatenate([one.times, times_ahead(one.times[-1], frequency, horizon)]),
        longer(one.values, np.nan),
        {name: longer(column, column[-1]) for name, column in one.covariates.items()},
        longer(one.filled, False),
    )
