"""How the values of series become numbers for a network, learnt from the training part alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.series import Series, SeriesSet
from sunhwan.errors import DataError
from sunhwan.tasks.forecasting_preparation import Cuts

Values = NDArray[np.float64]
#: cycles of the calendar: seconds of one round, harmonics, and the longest step to tell its parts
CYCLES = {
    "day": (86400.0, 2, 6 * 3600.0),
    "week": (7 * 86400.0, 1, 86400.0),
    "year": (365.2425 * 86400.0, 2, 100 * 86400.0),
}
#: logarithms are taken where they make the spread this much steadier
_STEADIER = 0.75
#: a series comes back to its level if its halves differ by less than this many deviations
_NEAR = 0.5


@dataclass(frozen=True)
class Scaler:
    """How values become numbers for a network; plain JSON by `config`.

    Attributes
    ----------
    logarithm, offset
        Whether ``log(value + offset)`` is read, for a spread that grows with the level.
    season
        Steps of a season; 1 if there is none.
    anchor
        What a forecast is relative to: the ``last`` value, or that of the last ``season``.
    keeps_level
        Whether the network also reads how high values are, for series that come back to a level.
    cycles
        Those of `CYCLES` that the training part holds at least twice.
    levels
        Mean and standard deviation of each series.
    spreads
        Standard deviation of the distance between each series and its anchor.
    helpers
        Of each covariate its mean and standard deviation, or its names.
    notes
        What was chosen, and why.
    """

    logarithm: bool
    offset: float
    season: int
    anchor: Literal["last", "season"]
    keeps_level: bool
    cycles: list[str]
    levels: dict[str, list[float]]
    spreads: dict[str, float]
    helpers: dict[str, list[Any]]
    notes: list[str]

    @classmethod
    def fit(cls, data: SeriesSet, cuts: Cuts, *, horizon: int, season: int) -> Scaler:
        """Choose and measure everything on the training part.

        Parameters
        ----------
        horizon
            Steps that will be forecast.
        season
            Steps of a season; see `guess_season`.

        Raises
        ------
        DataError
            A series has no value before the validation part.
        """
        parts = [_before(one, cuts.validation) for one in data.series]
        logarithm, offset, why = _choose_logarithm(parts, season)
        scaler = cls(logarithm, offset, season, "last", False, [], {}, {}, {}, [why])
        changed = [scaler.transform(part) for part in parts]
        anchor, why_anchor = _choose_anchor(changed, horizon, season)
        keeps, why_level = _choose_level(changed)
        cycles = _choose_cycles(data, cuts)
        return replace(
            scaler,
            anchor=anchor,
            keeps_level=keeps,
            cycles=cycles,
            helpers={name: _measure(name, data, cuts) for name in data.covariates},
            notes=[why, why_anchor, why_level, f"cycles read: {', '.join(cycles) or 'none'}"],
        )._measured(data.series, changed, horizon)

    def extended(self, data: SeriesSet, horizon: int) -> Scaler:
        """With the scales of series that were not there in training, from all their values."""
        new = [one for one in data.series if one.name not in self.levels]
        return self._measured(new, [self.transform(one.values) for one in new], horizon)

    def _measured(self, series: list[Series], values: list[Values], horizon: int) -> Scaler:
        levels, spreads = dict(self.levels), dict(self.spreads)
        for one, known in zip(series, values, strict=True):
            levels[one.name] = [float(np.nanmean(known)), _deviation(known)]
            spreads[one.name] = _deviation(changes(known, horizon, self.period))
        return replace(self, levels=levels, spreads=spreads)

    @property
    def period(self) -> int:
        """Steps back to the anchor of the next step: a season or 1."""
        return self.season if self.anchor == "season" else 1

    def transform(self, values: Values) -> Values:
        """Values as the network's side sees them, before any scale.

        Raises
        ------
        DataError
            A logarithm cannot be taken, for a value is not above ``-offset``.
        """
        if not self.logarithm:
            return values
        if np.nanmin(values, initial=np.inf) <= -self.offset:
            raise DataError(
                f"values must be above {-self.offset:g}, for in training all were and their "
                f"logarithm is read, received {np.nanmin(values):g}"
            )
        return np.asarray(np.log(values + self.offset))

    def inverse(self, values: Values) -> Values:
        """The other way round; no float overflows."""
        return np.exp(np.minimum(values, 700.0)) - self.offset if self.logarithm else values

    def calendar(self, times: NDArray[np.datetime64]) -> Values:
        """Sine and cosine of each cycle at `times`, ``float64[T, K]``; known in the future."""
        seconds = times.astype("datetime64[us]").astype(np.float64) / 1e6
        waves = [
            wave(2 * np.pi * harmonic * seconds / CYCLES[name][0])
            for name in self.cycles
            for harmonic in range(1, CYCLES[name][1] + 1)
            for wave in (np.sin, np.cos)
        ]
        return np.stack(waves, axis=-1) if waves else np.zeros((len(times), 0))

    def read_helpers(self, one: Series) -> Values:
        """The covariates of a series as numbers, ``float64[T, C]``; a new name is none of all."""
        columns = []
        for name, learnt in self.helpers.items():
            column = one.covariates[name]
            if column.dtype == object:
                columns += [(column == text).astype(np.float64) for text in learnt]
            else:
                columns.append((column - learnt[0]) / learnt[1])
        return np.stack(columns, axis=-1) if columns else np.zeros((len(one.values), 0))

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Scaler:
        """The scaler of a `config`."""
        return cls(**config)


def changes(values: Values, horizon: int, period: int) -> Values:
    """How far values lie from the one some periods back, for 1 to `horizon` steps ahead.

    Examples
    --------
    >>> changes(np.array([1.0, 2.0, 4.0]), horizon=2, period=1).tolist()
    [1.0, 2.0, 3.0]
    """
    lags = [period * -(-step // period) for step in range(1, horizon + 1)]
    return np.concatenate([values[lag:] - values[:-lag] for lag in lags])


def _before(one: Series, end: np.datetime64) -> Values:
    values = one.values[one.times < end]
    if not np.isfinite(values).any():
        raise DataError(
            f"series {one.name!r} must have values before {end}, where validation begins, "
            "but has none",
            hint="leave the series out, or use smaller shares for validation and test",
        )
    return values


def _deviation(values: Values) -> float:
    known = values[~np.isnan(values)]
    # a constant is read as zeros
    return float(known.std()) or 1.0 if len(known) else 1.0


def _choose_logarithm(parts: list[Values], season: int) -> tuple[bool, float, str]:
    """Guerrero's criterion (1993), of logarithm or none: which makes the spread steadier.

    Blocks of a season each have a mean m and a deviation s. Without a change s should be steady,
    with logarithms s/m; the smaller coefficient of variation tells.
    """
    known = np.concatenate(parts)
    known = known[~np.isnan(known)]
    if known.min() < 0:
        return False, 0.0, "values are read as they are, for some are negative"
    means, deviations = [], []
    for part in parts:
        width = season if season > 1 and len(part) >= 4 * season else 12
        blocks = part[len(part) % width :].reshape(-1, width)
        blocks = blocks[~np.isnan(blocks).any(axis=1)]
        means.append(blocks.mean(axis=1))
        deviations.append(blocks.std(axis=1))
    mean, deviation = np.concatenate(means), np.concatenate(deviations)
    mean, deviation = mean[mean > 0], deviation[mean > 0]
    if len(mean) < 4 or not deviation.any():
        return False, 0.0, "values are read as they are"
    plain, relative = (x.std() / x.mean() for x in (deviation, deviation / mean))
    if relative >= _STEADIER * plain:
        return False, 0.0, "values are read as they are, for their spread does not follow the level"
    # zeros stay finite: as far below the smallest value as that is above zero
    offset = float(known[known > 0].min()) if known.min() == 0 else 0.0
    return True, offset, "logarithms are read, for the spread of the values grows with their level"


def _choose_anchor(
    parts: list[Values], horizon: int, season: int
) -> tuple[Literal["last", "season"], str]:
    if season > 1 and all(len(part) > 3 * season + horizon for part in parts):
        last, seasonal = (
            np.nanmean(np.abs(np.concatenate([changes(part, horizon, n) for part in parts])))
            for n in (1, season)
        )
        if seasonal < last:
            return "season", "forecasts are relative to the last season, the better simple guess"
    return "last", "forecasts are relative to the last value, the better simple guess"


def _choose_level(parts: list[Values]) -> tuple[bool, str]:
    shifts = []
    for part in parts:
        known = part[~np.isnan(part)]
        half = len(known) // 2
        shifts.append(abs(known[:half].mean() - known[half:].mean()) / _deviation(known))
    if np.median(shifts) < _NEAR:
        return True, "the level is read too, for the series come back to it"
    return False, "the level is not read, for the series do not come back to it"


def _choose_cycles(data: SeriesSet, cuts: Cuts) -> list[str]:
    if data.frequency == "1i":
        return []
    begin = min(one.times[0] for one in data.series)
    step = min(np.diff(one.times).min() for one in data.series if len(one.times) > 1)
    span, step = ((x / np.timedelta64(1, "s")) for x in (cuts.validation - begin, step))
    return [
        name
        for name, (seconds, _, longest) in CYCLES.items()
        if step <= longest and span >= 2 * seconds
    ]


def _measure(name: str, data: SeriesSet, cuts: Cuts) -> list[Any]:
    column = np.concatenate(
        [one.covariates[name][one.times < cuts.validation] for one in data.series]
    )
    if column.dtype == object:
        return sorted(set(column.tolist()))
    return [float(column.mean()), _deviation(column)]
