"""Figures as inline SVG whose text stays text and whose colours follow the page.

Each function gives an ``<svg>`` element without width, so it fills its column. Colours are CSS
variables of the page (light or dark) with a fallback for use elsewhere. The same input gives
the same bytes.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, NullFormatter
from numpy.typing import ArrayLike

# Matplotlib knows no CSS variables: it draws with these colours, which are then replaced.
_INK, _MUTED, _RULE, _REFERENCE, _ACCENT = "#010101", "#020202", "#030303", "#040404", "#050505"
_SERIES = ("#060601", "#060602", "#060603", "#060604", "#060605", "#060606")
_CSS = {
    _INK: "var(--ink, #1f2328)",
    _MUTED: "var(--muted, #66707a)",
    _RULE: "var(--rule, #d8dde2)",
    _REFERENCE: "var(--reference, #b3541e)",
    _ACCENT: "var(--accent, #2f6f8f)",
    _SERIES[0]: "var(--series-1, #2f6f8f)",
    _SERIES[1]: "var(--series-2, #8a5a9e)",
    _SERIES[2]: "var(--series-3, #3f8f5f)",
    _SERIES[3]: "var(--series-4, #b08a1e)",
    _SERIES[4]: "var(--series-5, #a3496b)",
    _SERIES[5]: "var(--series-6, #5d6b7a)",
}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 9.5,
    "axes.edgecolor": _RULE,
    "axes.labelcolor": _MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlecolor": _INK,
    "axes.titlesize": 10.5,
    "axes.titlepad": 10,
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "text.color": _INK,
    "xtick.color": _RULE,
    "ytick.color": _RULE,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "lines.solid_capstyle": "round",
}

#: a loss that falls by more than this factor is drawn on a logarithmic scale
_LOG_ABOVE = 30.0


@dataclass(frozen=True)
class Curve:
    """A figure by epoch, of one seed: in training and, where there is any, in validation."""

    training: Sequence[float]
    validation: Sequence[float] = ()


@dataclass(frozen=True)
class Reference:
    """A published figure, drawn as a labelled line."""

    value: float
    label: str


def colour(index: int) -> str:
    """The CSS colour of the seed at place `index`, as the curves use it.

    Examples
    --------
    >>> colour(0)
    'var(--series-1, #2f6f8f)'
    """
    return _CSS[_SERIES[index % len(_SERIES)]]


def curves(
    series: Sequence[Curve], *, title: str, label: str, reference: Reference | None = None
) -> str:
    """Curves by epoch: one colour a seed, training thin and dashed, validation solid.

    Parameters
    ----------
    series
        One `Curve` a seed, in the order of `colour`.
    title, label
        Heading, and the same in a few more words for screen readers.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(4.4, 2.9, title)
        values: list[float] = [] if reference is None else [reference.value]
        for index, curve in enumerate(series):
            tint = _SERIES[index % len(_SERIES)]
            alone = not len(curve.validation)
            _line(axes, curve.training, tint, dashed=not alone)
            _line(axes, curve.validation, tint, dashed=False)
            values += [*curve.training, *curve.validation]
        if min(values) > 0 and max(values) / min(values) > _LOG_ABOVE:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        if reference is not None:
            axes.axhline(reference.value, color=_REFERENCE, linewidth=1.1)
            _reference_label(axes, reference)
        axes.set_xlabel("epoch")
        epochs = max(len(curve.training) for curve in series)
        axes.set_xlim(1 - 0.03 * epochs, epochs + 0.03 * epochs)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return _svg(figure, label)


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
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(4.4, 1.25 + 0.42 * len(groups), title)
        for row, values in enumerate(groups.values()):
            mean = float(np.mean(values))
            axes.plot([mean, mean], [row - 0.26, row + 0.26], color=_INK, linewidth=1.6)
            for index, value in enumerate(values):
                axes.plot(value, row, "o", markersize=6, alpha=0.85, markeredgewidth=0,
                          color=_SERIES[index % len(_SERIES)])  # fmt: skip
        if reference is not None:
            axes.axvline(reference.value, color=_REFERENCE, linewidth=1.1)
            _reference_label(axes, reference)
        axes.set_yticks(range(len(groups)), list(groups))
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.margins(x=0.15)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        return _svg(figure, label)


def confusion_map(matrix: ArrayLike, names: Sequence[str], *, title: str, label: str) -> str:
    """A confusion matrix, rows predicted, columns true; the shade is the share of the true class.

    Counts are written into the cells where there are at most ten classes.

    Parameters
    ----------
    matrix
        ``int[C, C]``.
    names
        Of the classes; for more than ten, the numbers of the classes are shown instead.
    """
    counts = np.asarray(matrix)
    classes = len(counts)
    small = classes <= 10
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(2.45, 2.4, title) if small else _axes(5.4, 5.4, title)
        axes.grid(visible=False)
        for row, column in zip(*np.nonzero(counts), strict=True):
            axes.add_patch(
                Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=_ACCENT, linewidth=0,
                          alpha=round(0.06 + 0.6 * float(shares[row, column]) ** 0.7, 3))
            )  # fmt: skip
        if small:
            for (row, column), count in np.ndenumerate(counts):
                axes.text(column, row, f"{count:,}", ha="center", va="center")
            axes.set_xticks(range(classes), names)
            axes.set_yticks(range(classes), names, rotation=90, va="center")
        axes.set_xlim(-0.5, classes - 0.5)
        axes.set_ylim(classes - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.tick_params(length=0)
        axes.set_xlabel("true")
        axes.set_ylabel("predicted")
        return _svg(figure, label)


def answers(
    series: Sequence[tuple[Sequence[float], Sequence[float]]],
    tolerance: float,
    *,
    title: str,
    label: str,
) -> str:
    """Wanted against predicted numbers, one colour a seed, with the band of right answers.

    Parameters
    ----------
    series
        The wanted and the predicted numbers of every seed.
    tolerance
        Half the height of the band.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(3.6, 3.5, title)
        low = min(min(wanted) for wanted, _ in series)
        high = max(max(wanted) for wanted, _ in series)
        space = 0.05 * (high - low) or tolerance
        ends = np.array([low - space, high + space])
        axes.fill_between(
            ends, ends - tolerance, ends + tolerance, color=_REFERENCE, alpha=0.2, linewidth=0
        )
        axes.plot(ends, ends, color=_REFERENCE, linewidth=0.8)
        for index, (wanted, predicted) in enumerate(series):
            few = len(wanted) <= 20
            axes.plot(
                wanted, predicted, "o", markersize=5 if few else 2.4,
                alpha=0.8 if few else 0.55, markeredgewidth=0, color=_SERIES[index % len(_SERIES)],
            )  # fmt: skip
        axes.set_xlim(ends[0], ends[1])
        axes.set_xlabel("wanted")
        axes.set_ylabel("predicted")
        return _svg(figure, label)


def _axes(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title)
    axes.tick_params(length=3)
    return figure, axes


def _line(axes: Axes, values: Sequence[float], tint: str, *, dashed: bool) -> None:
    if not len(values):
        return
    axes.plot(
        range(1, len(values) + 1), values, color=tint, alpha=0.75 if dashed else 1.0,
        linewidth=0.9 if dashed else 1.7, linestyle=(0, (3, 2)) if dashed else "-",
        # one epoch makes no line
        marker="o" if len(values) == 1 else "", markersize=4 if dashed else 5.5,
        markeredgewidth=0,
    )  # fmt: skip


def _reference_label(axes: Axes, reference: Reference) -> None:
    """Name the published line above the axes, where no curve can run through the words."""
    axes.set_title(reference.label, loc="right", fontsize=8.5, color=_REFERENCE)


def _svg(figure: Figure, label: str) -> str:
    """The figure as an element to be put into a page."""
    buffer = io.StringIO()
    # names inside the file come from this salt: the same for the same figure, else different
    with mpl.rc_context({"svg.hashsalt": label}), warnings.catch_warnings():
        # only the room for a text is measured with Matplotlib's font: the reader's font draws it
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        FigureCanvasSVG(figure).print_svg(
            buffer, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = buffer.getvalue()
    box = re.search(r'viewBox="[^"]*"', text)
    if box is None:
        raise RuntimeError("Matplotlib wrote an SVG file without a viewBox")
    body = text[text.index(">", box.end()) + 1 :]
    # groups have names such as `axes_1` in every figure, and a page may hold each name once
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    # a style sheet in it would reach the whole page, and the page's own font has Hangul
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, count=1, flags=re.DOTALL)
    body = re.sub(r"font-family: [^;]*; ", "", body)
    for hexadecimal, variable in _CSS.items():
        body = body.replace(hexadecimal, variable)
    opening = (
        f'<svg {box.group()} role="img" aria-label="{html.escape(label)}" stroke-linejoin="round">'
    )
    return opening + re.sub(r"\n\s*", "\n", body).strip()
