"""The parts of the report about numbers: error by length, wanted against predicted, forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.runs import figures, results_figures
from sunhwan.runs.numbers import number_text
from sunhwan.runs.page import Block, Figure, Key, Section
from sunhwan.runs.results_figures import FORECAST_COLOURS, Forecast
from sunhwan.runs.results_values import floats, records
from sunhwan.runs.wording import Words

_FORECASTS_SHOWN = 8
_POINTS_DRAWN = 1500

#: values before a forecast that are drawn: this many times its own length, but no fewer
_PAST_LENGTHS, _PAST_LEAST = 2, 24

#: with fewer windows of the validation part the width of a band is a rough guess: so many errors
#: are needed to tell 95 of 100
_WINDOWS_NEEDED = 20

#: forecasts that leave the last value by less than this share of what the truth does repeat it
_ECHO = 0.1


def by_length(results: Mapping[str, Any], words: Words) -> list[Section]:
    """The error of short and of long sequences."""
    given = results.get("by_length", {})
    error, count = floats(given.get("error", [])), floats(given.get("count", []))
    edges = given.get("edges", [])
    if not len(error) == len(count) == len(edges) - 1 or not np.isfinite(error).any():
        return []
    if len(error) < 2:  # all are as long
        return []
    is_share = "accuracy" in results.get("metrics", {})
    svg = results_figures.by_length(
        range_texts(edges),
        error,
        count,
        title=words("by_length.title"),
        label=words("section.by_length"),
        axis_names=(
            words("by_length.steps"),
            words("by_length.share" if is_share else "by_length.absolute"),
            words("by_length.count"),
        ),
    )
    return [Section(words("section.by_length"), [Figure(svg, words("by_length.read"))])]


def points(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Wanted against predicted numbers."""
    given = results.get("points", {})
    wanted, predicted = floats(given.get("wanted", [])), floats(given.get("predicted", []))
    if len(wanted) != len(predicted):
        return []
    both = np.isfinite(wanted) & np.isfinite(predicted)
    wanted, predicted = wanted[both], predicted[both]
    if not len(wanted):
        return []
    drawn = np.unique(np.linspace(0, len(wanted) - 1, _POINTS_DRAWN).astype(int))
    svg = figures.answers(
        [(wanted[drawn].tolist(), predicted[drawn].tolist())],
        0.0,
        title=words("points.title"),
        label=words("section.points"),
        axis_names=(words("points.wanted"), words("points.predicted")),
    )
    is_steps = results.get("task") == "tag"
    read = words("points.read_steps" if is_steps else "points.read")
    if len(drawn) < len(wanted):
        read += " " + words("points.sampled", count=f"{len(wanted):,}", shown=f"{len(drawn):,}")
    blocks = [*_step_by_step(wanted, predicted, words)] if is_steps else []
    return [Section(words("section.points"), [*blocks, Figure(svg, read)])]


def _step_by_step(
    wanted: NDArray[np.float64], predicted: NDArray[np.float64], words: Words
) -> list[Block]:
    """Truth and answers as two lines, with the key to them."""
    colours = ("truth", "median")
    key = Key([(words(f"forecasts.{name}"), FORECAST_COLOURS[name], False) for name in colours])
    svg = results_figures.steps(
        wanted,
        predicted,
        title=words("points.steps_title"),
        label=words("points.steps_title"),
        axis=words("points.steps"),
    )
    return [key, Figure(svg, words("points.steps_read"))]


def forecasts(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Forecasts with their bands, the truth and the naive forecast."""
    given = [entry for entry in records(results, "forecasts") if entry.get("median")]
    if not given:
        return []
    shown = given[:_FORECASTS_SHOWN]
    key = Key(
        [(words(f"forecasts.{name}"), colour, name == "naive")
         for name, colour in FORECAST_COLOURS.items()]
    )  # fmt: skip
    blocks: list[Block] = [" ".join([words("forecasts.read"), *_on_bands(results, shown, words)])]
    if repeats_last(given):
        blocks.append(words("forecasts.echo"))
    blocks.append(key)
    blocks += [_drawn(place, entry, words) for place, entry in enumerate(shown, 1)]
    if len(given) > len(shown):
        blocks.append(words("forecasts.more", count=f"{len(given) - len(shown):,}"))
    return [Section(words("section.forecasts"), blocks)]


def _on_bands(
    results: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], words: Words
) -> list[str]:
    """What the bands should hold, what they held, and how far they are to be trusted."""
    drawn = [_bands(entry) for entry in shown]
    if not any(drawn):
        return []
    has_dark = any(len(bands) > 1 for bands in drawn)
    said = [words("forecasts.band"), *([words("forecasts.dark")] if has_dark else [])]
    held = {level: f"{x:.1%}" for level, x in results.get("coverage", {}).items()}
    if has_dark and {"0.8", "0.95"} <= set(held):
        said.append(words("forecasts.held_two", wide=held["0.95"], dark=held["0.8"]))
    elif "0.95" in held:
        said.append(words("forecasts.held", wide=held["0.95"]))
    count = results.get("data", {}).get("validation", _WINDOWS_NEEDED)
    if count < _WINDOWS_NEEDED:
        many = "few_windows" if count > 1 else "one_window"
        said.append(words(f"forecasts.{many}", count=count))
    if not has_dark and any("low_80" in entry for entry in shown):
        said.append(words("forecasts.same"))
    return said


def skill(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Skill over naive at each step ahead."""
    values = floats(results.get("metrics", {}).get("skill_by_step", []))
    if not np.isfinite(values).any():
        return []
    svg = results_figures.skill(
        values,
        title=words("skill.title"),
        label=words("section.skill"),
        naive=words("skill.naive"),
        axis_names=(words("skill.step"), words("skill.skill")),
    )
    return [Section(words("section.skill"), [Figure(svg, words("skill.read"))])]


def repeats_last(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Whether forecasts stay at the last known value although the truth moves away from it.

    Examples
    --------
    >>> past = [[0, 1.0], [1, 5.0]]
    >>> repeats_last([{"past": past, "truth": [7.0, 8.0], "median": [5.0, 5.1]}])
    True
    >>> repeats_last([{"past": past, "truth": [7.0, 8.0], "median": [6.0, 6.5]}])
    False
    """
    moved, truly = 0.0, 0.0
    for entry in entries:
        past, truth = _values(entry.get("past", [])), floats(entry.get("truth", []))
        median = floats(entry.get("median", []))
        if np.isfinite(past[-1:]).any() and len(truth) == len(median) > 0:
            # of series of different sizes, none outweighs the others
            size = float(np.std(past[np.isfinite(past)])) or 1.0
            moved += float(np.nansum(np.abs(median - past[-1]))) / size
            truly += float(np.nansum(np.abs(truth - past[-1]))) / size
    return moved < _ECHO * truly


def _drawn(place: int, entry: Mapping[str, Any], words: Words) -> Figure:
    series = str(entry.get("series", "")) or f"{words('forecasts.title')} {place}"
    median = floats(entry["median"])
    drawn = max(_PAST_LENGTHS * len(median), _PAST_LEAST)
    past = entry.get("past", [])[-drawn:]
    shown = Forecast(
        past=_values(past),
        truth=floats(entry.get("truth", [])),
        median=median,
        naive=floats(entry.get("naive", [])),
        bands=_bands(entry),
    )
    label = f"{words('section.forecasts')} {place}: {series}"
    svg = results_figures.forecast(shown, title=series, label=label, steps=words("forecasts.steps"))
    time = past[-1][0] if past and past[-1] else None
    return Figure(svg, "" if time is None else words("forecasts.from", time=time))


def _bands(entry: Mapping[str, Any]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The bands of a forecast, the widest first; of two that are the same only one."""
    bands = [
        (floats(entry[low]), floats(entry[high]))
        for low, high in (("low", "high"), ("low_80", "high_80"))
        if low in entry and high in entry and len(entry[low]) == len(entry[high])
    ]
    is_same = len(bands) == 2 and np.array_equal(bands[0], bands[1], equal_nan=True)
    return bands[:1] if is_same else bands


def _values(past: Sequence[Any]) -> NDArray[np.float64]:
    """The values of ``[[time, value], ...]``."""
    return floats(pair[1] if pair else None for pair in past)


def range_texts(edges: Sequence[Any]) -> list[str]:
    """What groups of lengths are called: from each edge to before the next, the last with both.

    Examples
    --------
    >>> range_texts([1, 2, 50, 99]), range_texts([1, 50, None])
    (['1', '2–49', '50–99'], ['1–49', '≥ 50'])
    """
    texts = []
    for place, (low, high) in enumerate(pairwise(edges), 2):
        first = number_text(low or 0)
        if high is None:
            texts.append(f"≥ {first}")
            continue
        last = number_text(high if place == len(edges) else high - 1)
        texts.append(first if last == first else f"{first}–{last}")
    return texts
