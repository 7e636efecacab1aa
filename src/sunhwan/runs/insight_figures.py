"""Figures about what a recurrent network remembers, from plain numbers.

Each gives a Matplotlib figure: with `sunhwan.runs.canvas.ON_PAGE` one that goes through
`sunhwan.runs.canvas.svg` into a page, with ``ON_PAPER`` one for a notebook or a file.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from sunhwan.runs import canvas
from sunhwan.runs.canvas import ON_PAGE, Tints
from sunhwan.runs.maps import fitted, inches, shade

Floats = NDArray[np.float64]

#: the least share of a gradient that is drawn
_LEAST = 1e-12
#: columns of a map that have room for names
_NAMED = 64
#: inches that a unit is high in a map, a panel of few or many units, and a map is wide
_UNIT, _LOW, _HIGH, _WIDTH = 0.05, 0.4, 1.25, 7.6
_FONT = 8.5


@dataclass(frozen=True)
class Line:
    """A curve by steps back.

    Attributes
    ----------
    name
        What it is of.
    values
        ``float64[N]``: relative to the first.
    tint
        Place of its colour.
    style
        ``solid``, ``thin`` or ``dashed``.
    """

    name: str
    values: ArrayLike
    tint: int
    style: str = "solid"


_LOOKS: dict[str, dict[str, Any]] = {
    "solid": {"linewidth": 1.8},
    "thin": {"linewidth": 1.0, "alpha": 0.75},
    "dashed": {"linewidth": 1.0, "linestyle": (0, (4, 3)), "alpha": 0.8},
}


def flow(
    lines: Sequence[Line], *, title: str, axis_names: tuple[str, str], tints: Tints = ON_PAGE
) -> Figure:
    """Sizes of a gradient by steps back, on a logarithmic scale."""
    with canvas.style(tints):
        figure, panel = canvas.axes(7.6, 3.4, title)
        panel.set_yscale("log")
        shown = [1.0]
        for line in lines:
            values = np.asarray(line.values, np.float64)
            values = np.where(values >= _LEAST, values, np.nan)
            shown += values[np.isfinite(values)].tolist()
            panel.plot(values, color=tints.of(line.tint), label=line.name, **_LOOKS[line.style])
        panel.axhline(1.0, color=tints.rule, linewidth=0.8, zorder=0)
        panel.set_ylim(max(min(shown), _LEAST) / 2, max(shown) * 2)
        panel.yaxis.set_major_formatter(lambda value, place: _power(value))
        panel.yaxis.set_minor_formatter(NullFormatter())
        _steps_back(panel, max(len(np.atleast_1d(line.values)) for line in lines))
        panel.set_xlabel(axis_names[0])
        panel.set_ylabel(axis_names[1])
        if tints is not ON_PAGE:
            panel.legend(frameon=False)
        return figure


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _power(value: float) -> str:
    """A power of ten as text.

    Examples
    --------
    >>> _power(1e-12), _power(1.0), _power(100.0)
    ('10⁻¹²', '1', '10²')
    """
    exponent = round(math.log10(value))
    return f"10{str(exponent).translate(_RAISED)}" if exponent else "1"


def horizon(
    places: ArrayLike,
    changes: ArrayLike,
    *,
    reach: int,
    threshold: float,
    title: str,
    axis_names: tuple[str, str],
    told: str,
    tints: Tints = ON_PAGE,
) -> Figure:
    """How much an input still changes the answer, by steps back, and up to where it counts.

    Parameters
    ----------
    places
        ``int[N]``: steps back.
    changes
        ``float64[N]``: relative to the largest.
    reach, threshold
        The last place that counts, and the share from which on it does.
    told
        A word for `reach`.
    """
    with canvas.style(tints):
        figure, panel = canvas.axes(7.6, 2.7, title)
        at = np.asarray(places, np.int64)
        panel.fill_between(at, np.asarray(changes), color=tints.accent, alpha=0.25, linewidth=0)
        panel.plot(at, np.asarray(changes), color=tints.accent, linewidth=1.6,
                   marker="o", markersize=2.6)  # fmt: skip
        panel.axhline(threshold, color=tints.reference, linewidth=0.9, linestyle=(0, (4, 3)))
        panel.axvline(reach, color=tints.reference, linewidth=1.1)
        panel.set_title(told, loc="right", fontsize=8.5, color=tints.reference)
        panel.set_ylim(0, 1.05 * max(1.0, float(np.max(changes, initial=0.0))))
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        _steps_back(panel, int(at.max(initial=0)) + 1)
        panel.set_xlabel(axis_names[0])
        panel.set_ylabel(axis_names[1])
        return figure


def _steps_back(panel: Axes, count: int) -> None:
    """The answer stands at the right, as in a text that is read."""
    room = 0.02 * count
    panel.set_xlim(count - 1 + room, -room)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))


def saturation(
    rows: Sequence[tuple[str, float, float]],
    *,
    title: str,
    axis_name: str,
    names: tuple[str, str],
    tints: Tints = ON_PAGE,
) -> Figure:
    """Shares of a gate's values that are shut (from the left) and open (from the right).

    Parameters
    ----------
    rows
        Name, share shut and share open of each gate.
    names
        The words for both.
    """
    with canvas.style(tints):
        figure, panel = canvas.axes(4.6, 0.9 + 0.32 * len(rows), title)
        for place, (_, shut, open_) in enumerate(rows):
            panel.barh(place, 1, color=tints.rule, alpha=0.45, height=0.62)
            panel.barh(place, shut, color=tints.reference, alpha=0.8, height=0.62)
            panel.barh(place, open_, left=1 - open_, color=tints.accent, alpha=0.85, height=0.62)
        canvas.name_rows(figure, panel, [name for name, _, _ in rows])
        panel.set_xlim(0, 1)
        panel.grid(axis="y", visible=False)
        panel.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panel.set_xlabel(axis_name)
        if tints is not ON_PAGE:
            panel.legend(
                handles=[panel.patches[1], panel.patches[2]], labels=list(names), frameon=False
            )
        return figure


def activity(
    panels: Sequence[tuple[str, ArrayLike]],
    tokens: Sequence[str],
    *,
    axis_name: str,
    tints: Tints = ON_PAGE,
) -> Figure:
    """Values of units over the steps of one input, a panel for each gate or state.

    Parameters
    ----------
    panels
        A heading and ``float[T, H]`` each: between 0 and 1, or -1 and 1, or scaled to that if
        larger. Above 0 the colour is one, below 0 another; the darker the farther from 0.
    tokens
        T names for the steps, or none: then they are numbered.
    """
    tables = [np.asarray(values, np.float64).T for _, values in panels]
    heights = [min(max(_UNIT * len(table), _LOW), _HIGH) for table in tables]
    steps = tables[0].shape[1]
    named = len(tokens) == steps <= _NAMED
    labels = [fitted(token) for token in tokens] if named else []
    below = (max(map(inches, labels)) if named else 0.16) + (0.1 if named else 0.3)
    gap = 0.3
    total = sum(heights) + gap * len(panels) + below
    with canvas.style(tints):
        figure = Figure(figsize=(_WIDTH, total))
        top = total
        for (name, _), table, height in zip(panels, tables, heights, strict=True):
            top -= gap + height
            panel = figure.add_axes((0.005, top / total, 0.99, height / total))
            _map(panel, table, tints)
            panel.set_title(name, fontsize=_FONT + 1, pad=3)
            panel.set_xticks([])
        panel.tick_params(labelsize=_FONT, length=0, labelcolor=tints.ink)
        if named:
            panel.set_xticks(range(steps), labels, rotation=90)
        else:
            panel.set_xlabel(axis_name)
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        return figure


def _map(panel: Axes, table: Floats, tints: Tints) -> None:
    units, steps = table.shape
    largest = float(np.max(np.abs(table), initial=0.0))
    scaled = table / largest if largest > 1 else table
    panel.set_xlim(-0.5, steps - 0.5)
    panel.set_ylim(units - 0.5, -0.5)
    shade(panel, np.maximum(scaled, 0), tints.accent)
    shade(panel, np.maximum(-scaled, 0), tints.reference)
    panel.grid(visible=False)
    for side in panel.spines.values():
        side.set_visible(True)
    panel.set_yticks([])


def influence(
    values: ArrayLike,
    parts: Sequence[tuple[str, ArrayLike]],
    *,
    title: str,
    axis_names: tuple[str, str],
    tints: Tints = ON_PAGE,
) -> Figure:
    """What each step adds to an answer, in all and by direction, for inputs that are no text."""
    with canvas.style(tints):
        figure, panel = canvas.axes(7.6, 2.7, title)
        whole = np.asarray(values, np.float64)
        panel.bar(range(len(whole)), np.maximum(whole, 0), width=1.0, color=tints.accent, alpha=0.6)
        panel.bar(
            range(len(whole)), np.minimum(whole, 0), width=1.0, color=tints.reference, alpha=0.6
        )
        for place, (name, line) in enumerate(parts):
            panel.plot(np.asarray(line), color=tints.of(place), linewidth=1.2, label=name)
        panel.axhline(0, color=tints.muted, linewidth=0.7)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
        panel.set_xlabel(axis_names[0])
        panel.set_ylabel(axis_names[1])
        if parts and tints is not ON_PAGE:
            panel.legend(frameon=False)
        return figure
