"""What every figure shares: colours that follow the page, fonts, and how it becomes inline SVG.

A figure is drawn by Matplotlib between `style` and `svg`. Text stays text, the same input gives
the same bytes.
"""

from __future__ import annotations

import html
import io
import re
import unicodedata
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Matplotlib knows no CSS variables: it draws with these colours, which are then replaced.
INK, MUTED, RULE, REFERENCE, ACCENT = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = ("#060601", "#060602", "#060603", "#060604", "#060605", "#060606")
_CSS = {
    INK: "var(--ink, #1f2328)",
    MUTED: "var(--muted, #66707a)",
    RULE: "var(--rule, #d8dde2)",
    REFERENCE: "var(--reference, #b3541e)",
    ACCENT: "var(--accent, #2f6f8f)",
    SERIES[0]: "var(--series-1, #2f6f8f)",
    SERIES[1]: "var(--series-2, #8a5a9e)",
    SERIES[2]: "var(--series-3, #3f8f5f)",
    SERIES[3]: "var(--series-4, #b08a1e)",
    SERIES[4]: "var(--series-5, #a3496b)",
    SERIES[5]: "var(--series-6, #5d6b7a)",
}


@dataclass(frozen=True)
class Tints:
    """The colours of a figure.

    Attributes
    ----------
    series
        Of what is drawn beside each other; they repeat after six.
    """

    ink: str
    muted: str
    rule: str
    reference: str
    accent: str
    series: tuple[str, ...]

    def of(self, index: int) -> str:
        """The colour of the series at place `index`."""
        return self.series[index % len(self.series)]


#: follow the page, light or dark; of a figure that goes through `svg`
ON_PAGE = Tints(INK, MUTED, RULE, REFERENCE, ACCENT, SERIES)
_FIXED = {drawn: variable.rpartition(" ")[2][:-1] for drawn, variable in _CSS.items()}
#: the colours of a light page, for a notebook or a file
ON_PAPER = Tints(
    _FIXED[INK],
    _FIXED[MUTED],
    _FIXED[RULE],
    _FIXED[REFERENCE],
    _FIXED[ACCENT],
    tuple(_FIXED[drawn] for drawn in SERIES),
)

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 9.5,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.titlepad": 10,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "lines.solid_capstyle": "round",
}

#: what a wide letter takes beyond the box that Matplotlib draws for it, in font sizes
_WIDE_LACKS = 0.4


def style(tints: Tints = ON_PAGE) -> AbstractContextManager[None]:
    """The look of the page, for as long as a figure is drawn."""
    if tints == ON_PAGE:
        return mpl.rc_context(_STYLE)
    return mpl.rc_context({key: _FIXED.get(value, value) for key, value in _STYLE.items()})


def tint(index: int) -> str:
    """The colour to draw the series at place `index` with; they repeat after six."""
    return SERIES[index % len(SERIES)]


def css(drawn: str) -> str:
    """The CSS colour that replaces one of the colours of this module.

    Examples
    --------
    >>> css(tint(0))
    'var(--series-1, #2f6f8f)'
    """
    return _CSS[drawn]


def axes(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """A figure of one panel, in inches, with its title."""
    figure = Figure(figsize=(width, height), layout="constrained")
    panel = figure.add_subplot()
    panel.set_title(title)
    panel.tick_params(length=3)
    return figure, panel


def name_rows(figure: Figure, panel: Axes, names: Sequence[str]) -> None:
    """Names at the left of the rows 0, 1, 2, ... from the top, long ones cut.

    Matplotlib's font has no Hangul: the room that wide letters need beyond what it measured is
    added at the left.
    """
    shown = [cut(name) for name in names]
    panel.set_yticks(range(len(shown)), shown)
    panel.set_ylim(len(shown) - 0.5, -0.5)
    lacking = max((_width(name) - len(name) for name in shown), default=0) * _WIDE_LACKS
    margin = min(lacking * _STYLE["font.size"] / 72 / figure.get_figwidth(), 0.4)
    engine = figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(rect=(margin, 0, 1 - margin, 1))


def cut(name: str, widest: int = 22) -> str:
    """A name that fits a figure: the end of a longer one is replaced by three dots.

    Parameters
    ----------
    widest
        In letters; those of East Asia count twice.

    Examples
    --------
    >>> cut("n-gram logistic regression"), cut("긍정적인 평가", 9)
    ('n-gram logistic regre…', '긍정적인…')
    """
    if _width(name) <= widest:
        return name
    kept = name[:widest]
    while _width(kept) > widest - 1:
        kept = kept[:-1]
    return f"{kept}…"


def _width(name: str) -> int:
    return len(name) + sum(unicodedata.east_asian_width(letter) in "WF" for letter in name)


def svg(figure: Figure, label: str) -> str:
    """The figure as an ``<svg>`` element without width, so that it fills its column.

    Parameters
    ----------
    label
        What it shows, for screen readers; another one for every figure of a page.
    """
    buffer = io.StringIO()
    # names inside the file come from this salt: the same for the same figure, else different
    texts = ("svg.fonttype", "text.parse_math")
    options: dict[Any, Any] = {name: _STYLE[name] for name in texts}
    with mpl.rc_context({"svg.hashsalt": label, **options}), warnings.catch_warnings():
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
