"""The figures that only the report of a run has, as inline SVG like those of `figures`.

A value that is not known is NaN and leaves a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from sunhwan.runs import canvas

#: colours of a forecast, for the key beside the figures
FORECAST_COLOURS = {
    "past": canvas.css(canvas.MUTED),
    "truth": canvas.css(canvas.INK),
    "median": canvas.css(canvas.ACCENT),
    "naive": canvas.css(canvas.REFERENCE),
}


@dataclass(frozen=True)
class Measured:
    """A model's figure with its interval; an interval that is not known is empty."""

    name: str
    value: float
    interval: Sequence[float] = ()


@dataclass(frozen=True)
class Forecast:
    """One forecast: the values before it, and what was foretold and happened.

    Parameters
    ----------
    past
        ``float[P]``, the last value known at its end.
    truth, median, naive
        ``float[H]``, or empty.
    bands
        From the widest to the narrowest, ``(low, high)`` each.
    """

    past: NDArray[np.float64]
    truth: NDArray[np.float64]
    median: NDArray[np.float64]
    naive: NDArray[np.float64]
    bands: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default=())


def intervals(rows: Sequence[Measured], *, title: str, label: str) -> str:
    """A row for each model: a dot at its figure, a line over its interval; the first stands out."""
    with canvas.style():
        figure, axes = canvas.axes(4.8, 0.95 + 0.36 * len(rows), title)
        for place, row in enumerate(rows):
            drawn = canvas.ACCENT if place == 0 else canvas.MUTED
            if len(row.interval) == 2:
                axes.plot(row.interval, [place, place], color=drawn, linewidth=2.2, alpha=0.7)
            axes.plot(row.value, place, "o", color=drawn, markersize=6.5, markeredgewidth=0)
        canvas.name_rows(figure, axes, [row.name for row in rows])
        axes.margins(x=0.08)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
        return canvas.svg(figure, label)


def calibration(
    confidence: ArrayLike,
    accuracy: ArrayLike,
    count: ArrayLike,
    *,
    title: str,
    label: str,
    axis_names: tuple[str, str, str],
) -> str:
    """Share right against the probability given, with the number of answers below.

    Parameters
    ----------
    confidence, accuracy, count
        ``float[N]`` of the groups: mean probability, share right, number of answers.
    axis_names
        Below, beside the dots, beside the bars.
    """
    x, y = np.asarray(confidence, dtype=float), np.asarray(accuracy, dtype=float)
    with canvas.style():
        figure, upper, lower = _two_panels(4.4, 4.2, title)
        low = float(np.nanmin(np.append(x, 1.0)))
        low = 0.0 if low < 0.4 else 0.4
        upper.plot([0, 1], [0, 1], color=canvas.REFERENCE, linewidth=1.0)
        upper.plot(x, y, "-", color=canvas.ACCENT, linewidth=1.3, alpha=0.6)
        upper.plot(x, y, "o", color=canvas.ACCENT, markersize=5.5, markeredgewidth=0)
        upper.set_xlim(low - 0.02, 1.02)
        upper.set_ylim(min(low, float(np.nanmin(np.append(y, 1.0)))) - 0.02, 1.02)
        lower.bar(x, count, width=0.6 * (1 - low) / max(len(x), 8), color=canvas.ACCENT, alpha=0.45)
        upper.set_ylabel(axis_names[1])
        lower.set_xlabel(axis_names[0])
        lower.set_ylabel(axis_names[2])
        return canvas.svg(figure, label)


def by_length(
    groups: Sequence[str],
    error: ArrayLike,
    count: ArrayLike,
    *,
    title: str,
    label: str,
    axis_names: tuple[str, str, str],
) -> str:
    """The error of sequences of several lengths, with their number below.

    Parameters
    ----------
    groups
        Names of the N groups, such as ``1-50``.
    error, count
        ``float[N]``.
    axis_names
        Below, beside the errors, beside the numbers.
    """
    places = np.arange(len(groups))
    with canvas.style():
        figure, upper, lower = _two_panels(4.4, 3.9, title)
        upper.bar(places, np.asarray(error, dtype=float), width=0.7, color=canvas.ACCENT, alpha=0.8)
        lower.bar(places, np.asarray(count, dtype=float), width=0.7, color=canvas.ACCENT, alpha=0.4)
        many = sum(map(len, groups)) > 45
        lower.set_xticks(places, groups, rotation=90 if many else 0)
        for panel in (upper, lower):
            panel.grid(axis="x", visible=False)
            panel.set_ylim(bottom=0)
        lower.set_xlabel(axis_names[0])
        upper.set_ylabel(axis_names[1])
        lower.set_ylabel(axis_names[2])
        return canvas.svg(figure, label)


def forecast(shown: Forecast, *, title: str, label: str, steps: str) -> str:
    """One forecast with its bands over the truth and the naive forecast, after the last values.

    Parameters
    ----------
    steps
        The words under the axis, which counts from the last known value.
    """
    with canvas.style():
        figure, axes = canvas.axes(4.6, 2.8, title)
        before = np.arange(1 - len(shown.past), 1)
        axes.axvline(0, color=canvas.MUTED, linewidth=0.9, alpha=0.7)
        axes.plot(before, shown.past, color=canvas.MUTED, linewidth=1.1)
        for low, high in shown.bands:
            after = np.arange(1, len(low) + 1)
            axes.fill_between(after, low, high, color=canvas.ACCENT, alpha=0.2, linewidth=0)
        last = shown.past[-1:]
        _continued(axes, last, shown.naive, canvas.REFERENCE, dashed=True)
        _continued(axes, last, shown.truth, canvas.INK, dashed=False)
        _continued(axes, last, shown.median, canvas.ACCENT, dashed=False)
        axes.set_xlabel(steps)
        axes.margins(x=0.02)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
        return canvas.svg(figure, label)


def steps(wanted: ArrayLike, predicted: ArrayLike, *, title: str, label: str, axis: str) -> str:
    """The truth and the answers, step after step: ``float[N]`` each."""
    with canvas.style():
        figure, axes = canvas.axes(9.6, 2.8, title)
        for values, drawn in ((wanted, canvas.INK), (predicted, canvas.ACCENT)):
            heights = np.asarray(values, dtype=float)
            axes.plot(np.arange(1, len(heights) + 1), heights, color=drawn, linewidth=1.3)
        axes.set_xlabel(axis)
        axes.margins(x=0.01)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9))
        return canvas.svg(figure, label)


def skill(
    values: ArrayLike, *, title: str, label: str, naive: str, axis_names: tuple[str, str]
) -> str:
    """Skill over naive at each step ahead, with the line at 0 named `naive`."""
    heights = np.asarray(values, dtype=float)
    steps = np.arange(1, len(heights) + 1)
    with canvas.style():
        figure, axes = canvas.axes(4.4, 2.9, title)
        axes.axhline(0, color=canvas.REFERENCE, linewidth=1.2)
        axes.set_title(naive, loc="right", fontsize=8.5, color=canvas.REFERENCE)
        axes.vlines(steps, 0, heights, color=canvas.ACCENT, linewidth=1.2, alpha=0.5)
        axes.plot(steps, heights, "o", color=canvas.ACCENT, markersize=5, markeredgewidth=0)
        axes.set_xlim(0.5, len(heights) + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel(axis_names[0])
        axes.set_ylabel(axis_names[1])
        return canvas.svg(figure, label)


def _two_panels(width: float, height: float, title: str) -> tuple[Figure, Axes, Axes]:
    """A figure of two panels over one axis, the lower one a third as high."""
    figure = Figure(figsize=(width, height), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    upper.set_title(title)
    figure.align_ylabels((upper, lower))
    for panel in (upper, lower):
        panel.tick_params(length=3)
    lower.yaxis.set_major_locator(MaxNLocator(nbins=2, integer=True))
    lower.yaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
    return figure, upper, lower


def _continued(
    axes: Axes, last: NDArray[np.float64], values: NDArray[np.float64], drawn: str, *, dashed: bool
) -> None:
    """A line from the last known value on."""
    if len(values):
        axes.plot(
            np.arange(1 - len(last), len(values) + 1), np.concatenate([last, values]), color=drawn,
            linewidth=1.1 if dashed else 1.6, linestyle=(0, (3, 2)) if dashed else "-",
        )  # fmt: skip
