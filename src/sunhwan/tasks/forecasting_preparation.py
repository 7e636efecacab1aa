"""Before windows are cut: gaps filled, parts cut in time, the season, scales of the training part.

Nothing here looks at values of the validation or test part, but for filling their own gaps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.series import FREQUENCIES, SeriesSet
from sunhwan.errors import DataError, UsageError

#: lengths that a season commonly has, in steps
SEASONS = {"1h": (24, 168), "1d": (7, 365), "1bd": (5, 260), "7d": (52,), "1mo": (12,)}
SEASONS |= {"3mo": (4,), "30m": (48, 336), "15m": (96, 672)}
#: autocorrelations below these show no season: at a length that is common, and at any other
_FAINT, _FAINT_ELSEWHERE = 0.1, 0.2
#: a longer season is taken where repeating it saves this share of the error of a shorter one; where
#: there is only the shorter one, chance alone saves as much in a tenth of short series at most
_CLEARLY = 0.15
#: so many times must the training part hold a season that is longer than another one seen
_ROUNDS = 3
#: peaks of at least this share of the highest one are as good: each season also peaks at its double
_AS_HIGH = 0.8


def fill_gaps(
    data: SeriesSet, fill: Literal["linear", "carry", "refuse"] = "linear", longest: int = 6
) -> SeriesSet:
    """The series with their short gaps filled; longer gaps stay and split the series.

    Covariates keep their last value, so that none is known before its time.

    Parameters
    ----------
    fill
        ``linear`` draws a straight line, ``carry`` keeps the last value, ``refuse`` raises.
    longest
        Gaps of more steps than this are not filled.

    Raises
    ------
    DataError
        There is a gap and `fill` is ``"refuse"``, or a covariate has no value in a series.
    UsageError
        `fill` is none of the three.

    Examples
    --------
    >>> from sunhwan.data.series import read_series
    >>> data = read_series({"day": ["2020-02-01", "2020-02-02", "2020-02-04"], "sold": [5, 3, 9]})
    >>> filled = fill_gaps(data)
    >>> filled.series[0].values.tolist(), filled.notes[-1]
    ([5.0, 3.0, 6.0, 9.0], 'values filled in gaps of up to 6 steps (linear): 1')
    """
    if fill not in ("linear", "carry", "refuse"):
        raise UsageError(f"`fill` must be 'linear', 'carry' or 'refuse', received {fill!r}")
    series, short, long, helped = [], 0, [], 0
    for one in data.series:
        values, filled = one.values.copy(), np.zeros(len(one.values), bool)
        known = np.flatnonzero(~np.isnan(values))
        for begin, end in _gaps(values):
            if fill == "refuse":
                raise DataError(
                    f"series {one.name!r} must have no gap, but {end - begin} values from "
                    f"{one.times[begin]} are missing",
                    hint="fill='linear' or fill='carry' fills short gaps",
                )
            if end - begin > longest:
                long.append(end - begin)
            else:
                filled[begin:end] = True
        source = np.interp(np.arange(len(values)), known, values[known])
        if fill == "carry":
            source = values[known[np.searchsorted(known, np.arange(len(values)), "right") - 1]]
        values[filled] = source[filled]
        short += int(filled.sum())
        covariates = {}
        for name, column in one.covariates.items():
            covariates[name], count = _carried(column, name, one.name)
            helped += count
        series.append(replace(one, values=values, filled=filled, covariates=covariates))
    return replace(
        data, series=series, notes=data.notes + _filled_notes(short, long, helped, fill, longest)
    )


def _gaps(values: NDArray[np.float64]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.isnan(values), prepend=False, append=False))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def _carried(column: NDArray[Any], name: str, series: str) -> tuple[NDArray[Any], int]:
    missing = np.array([value is None or value != value for value in column.tolist()])
    known = np.flatnonzero(~missing)
    if not len(known):
        raise DataError(
            f"covariate `{name}` must have values in series {series!r}, but all are missing",
            hint="leave it out of `covariates`",
        )
    # before the first known value there is only that one to take
    last = np.maximum(np.searchsorted(known, np.arange(len(column)), "right") - 1, 0)
    return column[known[last]], int(missing.sum())


def _filled_notes(short: int, long: list[int], helped: int, fill: str, longest: int) -> list[str]:
    notes = []
    if short:
        notes.append(f"values filled in gaps of up to {longest} steps ({fill}): {short}")
    if long:
        notes.append(
            f"{len(long)} gaps of more than {longest} steps ({sum(long)} values) were not filled; "
            "no window reaches over them"
        )
    if helped:
        notes.append(f"{helped} missing values of covariates were filled with the last one known")
    return notes


@dataclass(frozen=True)
class Cuts:
    """Where validation and test begin, ``datetime64[us]``; the same for all series."""

    validation: np.datetime64
    test: np.datetime64


def split(data: SeriesSet, test: float = 0.2, validation: float = 0.1) -> Cuts:
    """Cut the time into training, validation and test, before any window is made.

    Parameters
    ----------
    test, validation
        Shares of all times, from the end.
    """
    if min(test, validation) <= 0 or test + validation >= 1:
        raise UsageError(
            "`test` and `validation` must be shares above 0 and together below 1, "
            f"received {test} and {validation}"
        )
    times = np.unique(np.concatenate([one.times for one in data.series]))
    count = len(times)
    return Cuts(times[int(count * (1 - test - validation))], times[int(count * (1 - test))])


def split_before(data: SeriesSet, end: np.datetime64, validation: float = 0.1) -> Cuts:
    """Cut the time before `end`, where the test part begins, into training and validation.

    Parameters
    ----------
    validation
        Share of those times, from their end.
    """
    times = np.unique(np.concatenate([one.times for one in data.series]))
    times = times[times < end]
    if not len(times) or not 0 < validation < 1:
        raise UsageError(
            "`validation` must be a share above 0 and below 1 of the times before the test part, "
            f"received {validation} of {len(times)} times"
        )
    return Cuts(times[int(len(times) * (1 - validation))], end)


def guess_season(data: SeriesSet, cuts: Cuts) -> tuple[int, str]:
    """The steps of one season, 1 if there is none, and a sentence that says why.

    Looked for in the training part of the longest series: first the lengths that are common for
    the frequency, then the first high peak of the autocorrelation. A shorter season is preferred:
    what a longer one adds must be clear (`_CLEARLY`), for more has to be read to know it.
    """
    longest = max(data.series, key=lambda one: int((one.times < cuts.validation).sum()))
    values = longest.values[longest.times < cuts.validation]
    shown = FREQUENCIES.get(data.frequency, data.frequency)
    strengths = {
        lag: _correlation(values - _smooth(values, lag), lag)
        for lag in SEASONS.get(data.frequency, ())
        if len(values) >= 2 * lag + 1
    }
    needed = max(_FAINT, 2 / np.sqrt(len(values)))
    seen = [lag for lag in sorted(strengths) if strengths[lag] >= needed]
    if seen:
        best = _clearly_best(values, seen)
        why = f"a season of {best} steps, common for {shown} values and seen in these"
        if best < seen[-1]:
            why += f"; one of {seen[-1]} steps is not clearly better"
        return best, why
    lag, strength = _first_peak(values)
    if strength >= _FAINT_ELSEWHERE:
        return lag, f"a season of {lag} steps, where the autocorrelation peaks ({strength:.2f})"
    return 1, f"no season is seen in these {shown} values"


def _clearly_best(values: NDArray[np.float64], lags: list[int]) -> int:
    """The shortest of `lags`, or a longer one if repeating that foretells later values better.

    Both are judged on the same values, of the later half: the mean distance from the value one
    season before.
    """
    best, *longer = lags
    for lag in longer:
        first = max(lag, len(values) // 2)
        later = values[first:]
        missed = np.abs([later - values[first - back : -back] for back in (best, lag)])
        ours, theirs = missed[:, ~np.isnan(missed).any(axis=0)].sum(axis=1)
        if len(values) >= _ROUNDS * lag and theirs < (1 - _CLEARLY) * ours:
            best = lag
    return best


def _smooth(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """The mean of `width` values around each, of fewer at the ends."""
    known = ~np.isnan(values)
    kernel = np.ones(width + 1 - width % 2)
    if width % 2 == 0:
        kernel[[0, -1]] = 0.5
    sums = np.convolve(np.where(known, values, 0.0), kernel, "same")
    return np.asarray(sums / np.maximum(np.convolve(known, kernel, "same"), 1e-9))


def _correlation(values: NDArray[np.float64], lag: int) -> float:
    first, second = values[:-lag], values[lag:]
    both = ~np.isnan(first) & ~np.isnan(second)
    first, second = first[both], second[both]
    spread = first.std() * second.std() if len(first) > 1 else 0.0
    return (
        float(((first - first.mean()) * (second - second.mean())).mean() / spread)
        if spread
        else 0.0
    )


def _first_peak(values: NDArray[np.float64]) -> tuple[int, float]:
    """Where the autocorrelation first comes about as high as anywhere, and how high."""
    steps = np.arange(len(values))
    known = ~np.isnan(values)
    level = values - np.polyval(np.polyfit(steps[known], values[known], 1), steps)
    highest = min(len(values) // 3, 1000)
    curve = np.array([_correlation(level, lag) for lag in range(1, highest + 1)])
    sunk = np.minimum.accumulate(curve) < 0
    # a peak counts only after the curve was below 0: before that it is plain persistence
    curve[~sunk] = -1
    high = np.flatnonzero(curve >= _AS_HIGH * max(curve, default=0.0))
    if not len(high) or curve[high[0]] <= 0:
        return 1, 0.0
    hill = high[: int(np.argmax(np.append(np.diff(high) > 1, True))) + 1]
    lag = int(hill[np.argmax(curve[hill])])
    return lag + 1, float(curve[lag])
