"""The parts of the report about pairs of texts: what was written, from where, and how well."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from sunhwan.runs import canvas, results_figures
from sunhwan.runs.numbers import metric_text
from sunhwan.runs.page import Block, Figure, Passage, Section
from sunhwan.runs.results_errors import excerpt
from sunhwan.runs.results_numbers import range_texts
from sunhwan.runs.results_values import floats, records
from sunhwan.runs.wording import Words

Floats = NDArray[np.float64]

_SHOWN, _MAPS = 24, 8

#: how strongly an exact answer is coloured, at most 1
_MARK = 0.5

#: tokens of a source that a map has room for on a phone, maps of one source, and tokens written
_COLUMNS, _BANDS, _ROWS = 24, 4, 48
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


def translations(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Sources with what should have been written and what was: evenly chosen, then the worst."""
    blocks: list[Block] = []
    for key in ("translations", "worst_translations"):
        found = records(results, key)
        if found:
            blocks.append(words(f"{key}.read"))
        blocks += [_passage(entry, words) for entry in found[:_SHOWN]]
    return [Section(words("section.translations"), blocks)] if blocks else []


def attention(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Where the network looked in the source while it wrote, token by token."""
    found = records(results, "attention")[:_MAPS]
    figures = [figure for n, one in enumerate(found, 1) for figure in _looked(one, words, n)]
    if not figures:
        return []
    return [Section(words("section.attention"), [words("attention.read"), *figures])]


def by_length(results: Mapping[str, Any], words: Words) -> list[Section]:
    """chrF of short and of long sources."""
    given = results.get("by_length", {})
    chrf, count = floats(given.get("chrf", [])), floats(given.get("count", []))
    edges = given.get("edges", [])
    if not 2 <= len(chrf) == len(count) == len(edges) - 1 or not np.isfinite(chrf).any():
        return []
    svg = results_figures.by_length(
        range_texts(edges),
        chrf,
        count,
        title=words("by_source_length.title"),
        label=words("section.by_source_length"),
        axis_names=(
            words("by_source_length.tokens"),
            words("metric.chrf"),
            words("by_source_length.count"),
        ),
    )
    figure = Figure(svg, words("by_source_length.read"))
    return [Section(words("section.by_source_length"), [figure])]


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
    above = [_fitted(name) for name in source]
    beside = [_fitted(name) for name in written]
    left = max(map(_inches, beside)) + 2 * _MARGIN
    room = (_WIDTH - left - _MARGIN) / columns
    is_flat = max(map(_inches, above)) < 0.9 * room
    top = (_FONT / 72 if is_flat else max(map(_inches, above))) + 2 * _MARGIN
    height = top + rows * _ROW + _MARGIN
    with canvas.style():
        # Matplotlib measures with a font that has no Hangul, so the room for names is ours to give
        figure = Drawing(figsize=(_WIDTH, height))
        panel = figure.add_axes(
            (left / _WIDTH, _MARGIN / height, columns * room / _WIDTH, rows * _ROW / height)
        )
        panel.set_xlim(-0.5, columns - 0.5)
        panel.set_ylim(rows - 0.5, -0.5)
        _shade(panel, weights)
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


def head_of(entry: Mapping[str, Any], words: Words) -> str:
    """Where a text came from, and how like its reference it is."""
    parts = [str(entry.get("place", ""))]
    if entry.get("exact"):
        parts.append(words("translations.exact"))
    elif "chrf" in entry:
        parts.append(words("translations.chrf", chrf=metric_text("chrf", entry["chrf"])))
    return " · ".join(part for part in parts if part)


def answer_spans(
    entry: Mapping[str, Any], words: Words, before: Sequence[tuple[str, str]] = ()
) -> list[tuple[str, float]]:
    """The references and what was written, marked where it is one of them.

    Parameters
    ----------
    before
        Lines above these, each with its name.
    """
    said = str(entry.get("hypothesis", ""))
    lines = [
        *((name, text, 0.0) for name, text in before),
        *(
            (words("translations.reference"), str(reference), 0.0)
            for reference in entry.get("references", [])
        ),
        (
            words("translations.hypothesis"),
            said or words("translations.nothing"),
            _MARK * bool(entry.get("exact")),
        ),
    ]
    spans = []
    for name, text, strength in lines:
        spans += [(f"{name}: ", 0.0), *_shortened(text, strength), ("\n", 0.0)]
    return spans[:-1]


def _passage(entry: Mapping[str, Any], words: Words) -> Passage:
    source = words("translations.source"), str(entry.get("source", ""))
    return Passage(head_of(entry, words), answer_spans(entry, words, [source]))


def _shortened(text: str, strength: float) -> list[tuple[str, float]]:
    """A text on one line; of a very long one the beginning."""
    whole = " ".join(text.split())
    if not strength:
        return excerpt([(whole, 0.0)])
    return [("".join(part for part, _ in excerpt([(whole, 0.0)])), strength)]


def _looked(entry: Mapping[str, Any], words: Words, place: int) -> list[Figure]:
    """The maps of one pair, a long source in several of them; none where they do not fit."""
    source = [str(token) for token in entry.get("source", [])]
    written = [str(token) or words("attention.end") for token in entry.get("written", [])]
    rows = entry.get("weights", [])
    is_whole = len(rows) == len(written) and all(len(row or ()) == len(source) for row in rows)
    if not source or not written or not is_whole:
        return []
    weights = np.array([floats(row) for row in rows[:_ROWS]])
    columns = np.arange(min(len(source), _BANDS * _COLUMNS))
    bands = np.array_split(columns, -(-len(columns) // _COLUMNS))
    figures = []
    for number, band in enumerate(bands, 1):
        names = [source[column] for column in band]
        label = f"{words('section.attention')} {place}.{number}"
        svg = attention_map(weights[:, band], written[:_ROWS], names, label=label)
        figures.append(Figure(svg, _caption(entry, band, len(source), len(written), words)))
    return figures


def _caption(
    entry: Mapping[str, Any], band: NDArray[np.int64], source: int, written: int, words: Words
) -> str:
    text = str(entry.get("text") or " ".join(map(str, entry["source"])))
    said = [words("attention.of", text="".join(part for part, _ in _shortened(text, 0.0)))]
    if len(band) < source:
        first, last = int(band[0]) + 1, int(band[-1]) + 1
        said.append(words("attention.band", first=first, last=last, count=f"{source:,}"))
    if written > _ROWS:
        said.append(words("attention.cut", shown=_ROWS, count=f"{written:,}"))
    return " ".join(said)


def _shade(panel: Any, weights: Floats) -> None:
    """The cells of each shade as one path, so that a large map stays a small file."""
    known = np.where(np.isfinite(weights), np.clip(weights, 0, 1), 0)
    shades = np.rint(known * _SHADES).astype(int)
    for shade in np.unique(shades[shades > 0]).tolist():
        corners = [
            corner
            for row, column in np.argwhere(shades == shade).tolist()
            for corner in _corners(column, row)
        ]
        panel.add_patch(
            _path(corners, _CELL_CODES, facecolor=canvas.ACCENT, alpha=shade / _SHADES, linewidth=0)
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


def _fitted(name: str) -> str:
    """A token as a name: spaces are shown, and a long one is cut."""
    shown = name.translate(_VISIBLE)
    widest = next((n for n in range(len(shown), 0, -1) if _inches(shown[:n]) <= _LABEL), 1)
    return shown if widest == len(shown) else f"{shown[: max(widest - 1, 1)]}…"


def _inches(name: str) -> float:
    """About how wide a name is in the reader's font."""
    ems = (0.0 if unicodedata.combining(c) else 1.0 if _is_wide(c) else 0.58 for c in name)
    return sum(ems) * _FONT / 72


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF"
