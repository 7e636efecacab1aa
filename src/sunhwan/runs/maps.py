"""Maps: a table of numbers as cells that are the darker the larger a number is."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from sunhwan.runs import canvas

Floats = NDArray[np.float64]

#: of a map, in inches: how wide it is, how high a row, and the most room for labels
_WIDTH, _ROW, _LABEL = 4.5, 0.22, 1.3
_MARGIN, _FONT = 0.08, 9.8
#: shades of a map, each of which is one path in the page
_SHADES = 16

#: what stands for spaces and line ends that are tokens of their own
_VISIBLE = str.maketrans({" ": "␣", "\n": "↵", "\t": "⇥"})

#: the corners of a cell and of a line, in a path
_CELL_CODES = (Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY)
_LINE_CODES = (Path.MOVETO, Path.LINETO)


def attention_map(
    weights: Floats, written: Sequence[str], source: Sequence[str], *, label: str
) -> str:
    """Attention as a map: a row for each token that was written, a column for each of the source.

    Parameters
    ----------
    weights
        ``float64[W, S]`` from 0 to 1, the darker the more; those that are not finite are left out.
    written, source
        W and S tokens, which become the names of rows and columns.
    label
        What it shows, for screen readers; another one for every figure of a page.
    """
    rows, columns = len(written), len(source)
    above = [fitted(name) for name in source]
    beside = [fitted(name) for name in written]
    left = max(map(inches, beside)) + 2 * _MARGIN
    room = (_WIDTH - left - _MARGIN) / columns
    is_flat = max(map(inches, above)) < 0.9 * room
    top = (_FONT / 72 if is_flat else max(map(inches, above))) + 2 * _MARGIN
    height = top + rows * _ROW + _MARGIN
    with canvas.style():
        # Matplotlib measures with a font that has no Hangul, so the room for names is ours to give
        figure = Drawing(figsize=(_WIDTH, height))
        panel = figure.add_axes(
            (left / _WIDTH, _MARGIN / height, columns * room / _WIDTH, rows * _ROW / height)
        )
        panel.set_xlim(-0.5, columns - 0.5)
        panel.set_ylim(rows - 0.5, -0.5)
        shade(panel, weights, canvas.ACCENT)
        panel.add_patch(_path(_lines(rows, columns), _LINE_CODES, color=canvas.RULE, linewidth=0.6))
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
        panel.xaxis.tick_top()
        panel.tick_params(length=0, pad=72 * _MARGIN / 2, labelsize=_FONT, labelcolor=canvas.INK)
        upright: dict[str, Any] = {"rotation": 90, "ha": "left", "va": "center"}
        panel.set_xticks(
            range(columns), above, rotation_mode="anchor", **({} if is_flat else upright)
        )
        panel.set_yticks(range(rows), beside)
        return canvas.svg(figure, label)


def shade(panel: Any, weights: Floats, colour: str) -> None:
    """Fill the cells of a map, the darker the nearer a weight is to 1.

    The cells of each shade are one path, so that a large map stays a small file.
    """
    known = np.where(np.isfinite(weights), np.clip(weights, 0, 1), 0)
    shades = np.rint(known * _SHADES).astype(int)
    for level in np.unique(shades[shades > 0]).tolist():
        corners = [
            corner
            for row, column in np.argwhere(shades == level).tolist()
            for corner in _corners(column, row)
        ]
        panel.add_patch(
            _path(corners, _CELL_CODES, facecolor=colour, alpha=level / _SHADES, linewidth=0)
        )


def _corners(x: float, y: float) -> list[tuple[float, float]]:
    left, right, top, bottom = x - 0.5, x + 0.5, y - 0.5, y + 0.5
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def _lines(rows: int, columns: int) -> list[tuple[float, float]]:
    """The ends of the lines between cells, and around them."""
    across = [(x, n - 0.5) for n in range(rows + 1) for x in (-0.5, columns - 0.5)]
    return across + [(n - 0.5, y) for n in range(columns + 1) for y in (-0.5, rows - 0.5)]


def _path(points: Sequence[tuple[float, float]], codes: Sequence[Any], **look: Any) -> PathPatch:
    """Shapes of the same `codes` in one path."""
    return PathPatch(Path(points, list(codes) * (len(points) // len(codes))), clip_on=False, **look)


def fitted(name: str) -> str:
    """A token as a name: spaces are shown, and a long one is cut."""
    shown = name.translate(_VISIBLE)
    widest = next((n for n in range(len(shown), 0, -1) if inches(shown[:n]) <= _LABEL), 1)
    return shown if widest == len(shown) else f"{shown[: max(widest - 1, 1)]}…"


def inches(name: str) -> float:
    """About how wide a name is in the reader's font."""
    ems = (0.0 if unicodedata.combining(c) else 1.0 if _is_wide(c) else 0.58 for c in name)
    return sum(ems) * _FONT / 72


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"
