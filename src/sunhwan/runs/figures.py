"""Figures as inline SVG whose text stays text and whose colours follow the page.

Each function gives an ``<svg>`` element without width, so it fills its column. Colours are CSS
variables of the page (light or dark) with a fallback for use elsewhere. The same input gives
the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from sunhwan.runs import canvas

Values = Sequence[float] | NDArray[np.float64]

#: a loss that falls by more than this factor is drawn on a logarithmic scale
_LOG_ABOVE = 30.0

#: a line through so many values or fewer shows each of them
_MARKED = 12

#: of thin lines
_DASHES = (0, (3, 2))

#: inches that a letter of a class's name takes
_LETTER = 0.08


@dataclass(frozen=True)
class Curve:
    """A figure by epoch, of one seed: in training and, where there is any, in validation."""

    training: Values
    validation: Values = ()


@dataclass(frozen=True)
class Reference:
    """A published figure or the best epoch, drawn as a labelled line."""

    value: float
    label: str


@dataclass(frozen=True)
class Band:
    """What several seeds gave at the same places.

    Parameters
    ----------
    values
        ``float[N]`` for each seed.
    dashed
        Whether its line is thin and dashed, as what is only beside another one.
    """

    values: Sequence[Values]
    dashed: bool = False


def colour(index: int) -> str:
    """The CSS colour of the seed at place `index`, as the curves use it.

    Examples
    --------
    >>> colour(0)
    'var(--series-1, #2f6f8f)'
    """
    return canvas.css(canvas.tint(index))


def curves(
    series: Sequence[Curve],
    *,
    title: str,
    label: str,
    reference: Reference | None = None,
    best: Reference | None = None,
    epoch: str = "epoch",
) -> str:
    """Curves by epoch: one colour a seed, training thin and dashed, validation solid.

    Parameters
    ----------
    series
        One `Curve` a seed, in the order of `colour`; epochs that are NaN leave a gap.
    title, label
        Heading, and the same in a few more words for screen readers.
    reference, best
        A value and an epoch to be marked.
    epoch
        The word under the axis.
    """
    with canvas.style():
        figure, axes = canvas.axes(4.4, 2.9, title)
        values: list[float] = [] if reference is None else [reference.value]
        for index, curve in enumerate(series):
            tint = canvas.tint(index)
            alone = not len(curve.validation)
            _line(axes, curve.training, tint, dashed=not alone)
            _line(axes, curve.validation, tint, dashed=False)
            values += [*curve.training, *curve.validation]
        values = [value for value in values if math.isfinite(value)] or [1.0]
        if min(values) > 0 and max(values) / min(values) > _LOG_ABOVE:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        if reference is not None:
            axes.axhline(reference.value, color=canvas.REFERENCE, linewidth=1.1)
            _reference_label(axes, reference)
        if best is not None:
            axes.axvline(best.value, color=canvas.REFERENCE, linewidth=1.1)
            _reference_label(axes, best)
        axes.set_xlabel(epoch)
        epochs = max(len(curve.training) for curve in series)
        axes.set_xlim(1 - 0.03 * epochs, epochs + 0.03 * epochs)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return canvas.svg(figure, label)


def bands(
    groups: Sequence[Sequence[Band]],
    places: Sequence[float],
    *,
    title: str,
    label: str,
    axis: str,
    names: Sequence[str] = (),
    edge: Reference | None = None,
    level: Reference | None = None,
    log: bool = False,
) -> str:
    """Shares along an axis: a line at the mean of the seeds, in a band from the lowest to the best.

    Parameters
    ----------
    groups
        One colour each, in the order of `colour`.
    places
        ``float[N]``, where the values stand; a band of fewer values ends earlier.
    axis
        The words under the axis.
    names
        What stands under the places, in place of numbers.
    edge
        A place to be marked.
    level
        A share to be marked, as a dashed line.
    log
        Whether places stand by their logarithms.
    """
    with canvas.style():
        figure, axes = canvas.axes(4.4, 2.9, title)
        for index, group in enumerate(groups):
            tint = canvas.tint(index)
            for band in group:
                values = np.asarray(band.values, dtype=float)
                x = np.asarray(places[: values.shape[1]], dtype=float)
                axes.fill_between(x, values.min(axis=0), values.max(axis=0), color=tint,
                                  alpha=0.2, linewidth=0)  # fmt: skip
                axes.plot(
                    x, values.mean(axis=0), color=tint, linewidth=0.9 if band.dashed else 1.7,
                    linestyle=_DASHES if band.dashed else "-", markersize=4,
                    marker="o" if len(x) <= _MARKED and not band.dashed else "", markeredgewidth=0,
                )  # fmt: skip
        if edge is not None:
            axes.axvline(edge.value, color=canvas.REFERENCE, linewidth=1.1)
            _reference_label(axes, edge)
        if level is not None:
            axes.axhline(level.value, color=canvas.REFERENCE, linewidth=1.1, linestyle=_DASHES)
            _reference_label(axes, level)
        if log:
            axes.set_xscale("log")
        axes.set_xlabel(axis)
        axes.margins(x=0.03)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if names:
            axes.set_xticks(places, names)
            axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        return canvas.svg(figure, label)


def dots(
    groups: Mapping[str, Sequence[float]],
    *,
    title: str,
    label: str,
    reference: Reference | None = None,
) -> str:
    """One row a group, a dot for every seed and a bar at the mean.

    Parameters
    ----------
    groups
        Values by seed, under the name of their row; colours as in `curves`.
    """
    with canvas.style():
        figure, axes = canvas.axes(4.4, 1.25 + 0.42 * len(groups), title)
        for row, values in enumerate(groups.values()):
            mean = float(np.mean(values))
            axes.plot([mean, mean], [row - 0.26, row + 0.26], color=canvas.INK, linewidth=1.6)
            for index, value in enumerate(values):
                axes.plot(value, row, "o", markersize=6, alpha=0.85, markeredgewidth=0,
                          color=canvas.tint(index))  # fmt: skip
        if reference is not None:
            axes.axvline(reference.value, color=canvas.REFERENCE, linewidth=1.1)
            _reference_label(axes, reference)
        axes.set_yticks(range(len(groups)), list(groups))
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.margins(x=0.15)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        return canvas.svg(figure, label)


def confusion_map(
    matrix: ArrayLike,
    names: Sequence[str],
    *,
    title: str,
    label: str,
    axis_names: tuple[str, str] = ("true", "predicted"),
    least: float = 2.4,
) -> str:
    """A confusion matrix, rows predicted, columns true; the shade is the share of the true class.

    Counts are written into the cells where there are at most ten classes.

    Parameters
    ----------
    matrix
        ``int[C, C]``.
    names
        Of the classes; for more than ten, the numbers of the classes are shown instead.
    axis_names
        The words under and beside the map.
    least
        Inches that a map of few classes is high: the fewer, the larger its letters on a page.
    """
    counts = np.asarray(matrix)
    classes = len(counts)
    small = classes <= 10
    side = max(least, 0.62 * classes) if small else 5.4
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    with canvas.style():
        figure, axes = canvas.axes(side + 0.05 if small else side, side, title)
        axes.grid(visible=False)
        for row, column in zip(*np.nonzero(counts), strict=True):
            axes.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=canvas.ACCENT, linewidth=0,
                          alpha=round(0.06 + 0.6 * float(shares[row, column]) ** 0.7, 3))
            )  # fmt: skip
        if small:
            for (row, column), count in np.ndenumerate(counts):
                axes.text(column, row, f"{count:,}", ha="center", va="center")
            fitting = int(0.85 * side / classes / _LETTER)
            shown = [canvas.cut(name, fitting) for name in names]
            axes.set_xticks(range(classes), shown)
            axes.set_yticks(range(classes), shown, rotation=90, va="center")
        axes.set_xlim(-0.5, classes - 0.5)
        axes.set_ylim(classes - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.tick_params(length=0)
        axes.set_xlabel(axis_names[0])
        axes.set_ylabel(axis_names[1])
        return canvas.svg(figure, label)


def answers(
    series: Sequence[tuple[Sequence[float], Sequence[float]]],
    tolerance: float,
    *,
    title: str,
    label: str,
    axis_names: tuple[str, str] = ("wanted", "predicted"),
) -> str:
    """Wanted against predicted numbers, one colour a seed, with the band of right answers.

    Parameters
    ----------
    series
        The wanted and the predicted numbers of every seed.
    tolerance
        Half the height of the band.
    axis_names
        The words under and beside the points.
    """
    with canvas.style():
        figure, axes = canvas.axes(3.6, 3.5, title)
        low = min(min(wanted) for wanted, _ in series)
        high = max(max(wanted) for wanted, _ in series)
        space = 0.05 * (high - low) or tolerance or 1.0
        ends = np.array([low - space, high + space])
        axes.fill_between(ends, ends - tolerance, ends + tolerance,
                          color=canvas.REFERENCE, alpha=0.2, linewidth=0)  # fmt: skip
        axes.plot(ends, ends, color=canvas.REFERENCE, linewidth=0.8)
        for index, (wanted, predicted) in enumerate(series):
            few = len(wanted) <= 20
            axes.plot(
                wanted, predicted, "o", markersize=5 if few else 2.4,
                alpha=0.8 if few else 0.55, markeredgewidth=0, color=canvas.tint(index),
            )  # fmt: skip
        axes.set_xlim(ends[0], ends[1])
        axes.set_xlabel(axis_names[0])
        axes.set_ylabel(axis_names[1])
        return canvas.svg(figure, label)


def _line(axes: Axes, values: Values, tint: str, *, dashed: bool) -> None:
    if not len(values):
        return
    axes.plot(
        range(1, len(values) + 1), values, color=tint, alpha=0.75 if dashed else 1.0,
        linewidth=0.9 if dashed else 1.7, linestyle=_DASHES if dashed else "-",
        # one epoch makes no line
        marker="o" if len(values) == 1 else "", markersize=4 if dashed else 5.5,
        markeredgewidth=0,
    )  # fmt: skip


def _reference_label(axes: Axes, reference: Reference) -> None:
    """Name the published line above the axes, where no curve can run through the words."""
    axes.set_title(reference.label, loc="right", fontsize=8.5, color=canvas.REFERENCE)
