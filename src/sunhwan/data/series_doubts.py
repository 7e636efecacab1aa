"""Values of series that may be no measurements: marks for what is missing, and slips of a pen.

They are told and not changed: only who measured knows whether one is real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.series_times import time_text

if TYPE_CHECKING:
    from sunhwan.data.series import Series

Values = NDArray[np.float64]
#: known values on either side that one is compared with
_BESIDE = 5
#: a value is far from its neighbours if it is so many times as far away as is usual ...
_FAR = 20.0
#: ... and so many times as far as any value that is not
_FARTHER = 4.0
#: no more than this share of the values is far, or this many: of more it is how the series is
_RARE, _FEW = 0.02, 3
#: a value stands so many times before it can be a mark, and beside so many different ones
_TIMES, _DIFFERENT = 3, 20
#: a series with fewer values that leave their neighbours at all tells nothing
_FEWEST = 10
#: values that are shown
_SHOWN = 3

_ADVICE = "leave these rows out or empty"


def doubts(series: Sequence[Series], frequency: str) -> list[str]:
    """A sentence for each mark such as -999, and one for all values far from their neighbours.

    A mark stands several times and lies further from all other values than these lie from each
    other. A value is far if it leaves the medians of the known values before and after it by many
    times what is usual in the series, and by much more than any other value does, so that neither
    a step to a new level nor the peaks of a spiky series are told.

    Parameters
    ----------
    series
        On their grids, with NaN in gaps.
    frequency
        As of `sunhwan.data.series.SeriesSet`.

    Examples
    --------
    >>> from sunhwan.data.series import read_series
    >>> sold = [*range(100, 140), 1410, *range(141, 160)]
    >>> print(read_series({"sold": sold}, time=()).notes[-1])
    values far from their neighbours: 1 (1,410 at 40 in series 'sold'); if they are no measurements, leave these rows out or empty
    """  # noqa: E501
    marks: dict[float, list[tuple[str, int]]] = {}
    far: list[tuple[float, str]] = []
    for one in series:
        known = np.flatnonzero(~np.isnan(one.values))
        values = one.values[known]
        for mark in _marks(values):
            places = known[values == mark]
            where = f"series {one.name!r}, first at {time_text(one.times[places[0]], frequency)}"
            marks.setdefault(mark, []).append((where, len(places)))
            known, values = known[values != mark], values[values != mark]
        far += [
            (ratio, f"{_text(values[place])} at {time_text(one.times[known[place]], frequency)} "
                    f"in series {one.name!r}")
            for place, ratio in _far(values)
        ]  # fmt: skip
    notes = [
        f"{_text(mark)} stands {sum(count for _, count in found):,} times, far from all other "
        f"values ({found[0][0]}); if it marks what is missing, {_ADVICE}"
        for mark, found in marks.items()
    ]
    if far:
        most = sorted(far, key=lambda one: -one[0])[:_SHOWN]
        examples = ", ".join(example for _, example in most)
        notes.append(
            f"values far from their neighbours: {len(far):,} ({examples}); if they are no "
            f"measurements, {_ADVICE}"
        )
    return notes


def calmed(series: Sequence[Series], before: np.datetime64) -> list[Series]:
    """The series with what is doubted before a time replaced by the line between its neighbours.

    To measure by, such as how far values spread: one slip would decide it.

    Examples
    --------
    >>> from sunhwan.data.series import read_series
    >>> found = read_series({"sold": [*range(100, 140), 1410, *range(141, 160)]}, time=())
    >>> calm = calmed(found.series, found.series[0].times[-1])
    >>> calm[0].values[38:43].tolist()
    [138.0, 139.0, 140.0, 141.0, 142.0]
    """
    found = []
    for one in series:
        known = np.flatnonzero(~np.isnan(one.values) & (one.times < before))
        is_mark = np.isin(one.values[known], _marks(one.values[known]))
        kept = known[~is_mark]
        far = [kept[place] for place, _ in _far(one.values[kept])]
        doubted = np.concatenate([known[is_mark], np.array(far, np.int64)]).astype(np.int64)
        rest = np.setdiff1d(known, doubted)
        if len(doubted) and len(rest):
            values = one.values.copy()
            values[doubted] = np.interp(doubted, rest, one.values[rest])
            one = replace(one, values=values)
        found.append(one)
    return found


def _text(value: float) -> str:
    return f"{value:,.10g}"


def _marks(values: Values) -> list[float]:
    """The least and the greatest value, again and again, as long as they are marks.

    Zero is none: it often is a measurement, as of what is switched off.
    """
    different, counts = np.unique(values, return_counts=True)
    found = []
    while len(different) > _DIFFERENT:
        for end, kept in ((0, slice(1, None)), (-1, slice(None, -1))):
            mark, rest = different[end], different[kept]
            is_far = abs(mark - rest[end]) > rest[-1] - rest[0]
            if mark and is_far:
                # one that stands alone is no mark, but must not hide one at the other end
                found += [float(mark)] if counts[end] >= _TIMES else []
                different, counts = rest, counts[kept]
                break
        else:
            break
    return found


def _far(values: Values) -> list[tuple[int, float]]:
    """The places of values far from their neighbours, and how many usual distances they are."""
    if len(values) <= 2 * _BESIDE:
        return []
    distance, usual = _distances(values)
    order = np.argsort(-distance, kind="stable")
    most = max(_FEW, int(_RARE * len(values)))
    larger, next_one = distance[order[:most]], distance[order[1 : most + 1]]
    ends = np.flatnonzero((larger > _FAR * usual) & (larger > _FARTHER * next_one))
    count = int(ends[-1]) + 1 if len(ends) else 0
    return [(int(place), float(distance[place] / usual)) for place in order[:count]]


def _distances(values: Values) -> tuple[Values, float]:
    """How far each value leaves the medians of those before and after it, 0 between the two.

    And how far the values before usually are, infinitely far where too few tell.
    """
    medians = np.median(np.lib.stride_tricks.sliding_window_view(values, _BESIDE), axis=1)
    # near an end there is only the other side
    before = np.concatenate([medians[1 : _BESIDE + 1], medians[:-1]])
    after = np.concatenate([medians[1:], medians[-_BESIDE - 1 : -1]])
    low, high = np.minimum(before, after), np.maximum(before, after)
    distance = np.maximum(np.maximum(low - values, values - high), 0.0)
    # ... and what has stepped to another level before may do so again
    one_sided = np.ones(len(values), bool)
    one_sided[_BESIDE:-_BESIDE] = False
    step = np.abs(after - before)[~one_sided].max()
    distance = np.where(one_sided & (distance <= _FARTHER * step), 0.0, distance)
    moves = np.abs(values - before)
    moves = moves[moves > 0]
    return distance, float(np.median(moves)) if len(moves) >= _FEWEST else np.inf
