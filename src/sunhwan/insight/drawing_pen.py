"""The strokes of a drawing, as elements of SVG in the colours of the page."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

INK, MUTED, RULE = "var(--ink, #1f2328)", "var(--muted, #66707a)", "var(--rule, #d8dde2)"
CARD = "var(--card, #ffffff)"
SERIES = tuple(
    f"var(--series-{number}, {colour})"
    for number, colour in enumerate(("#2f6f8f", "#8a5a9e", "#3f8f5f", "#b08a1e"), start=1)
)
FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Apple SD Gothic Neo', "
    "'Malgun Gothic', 'Noto Sans KR', 'Noto Sans CJK KR', sans-serif"
)

Point = tuple[float, float]


class Pen:
    """Collects elements; what stands in `parts` is told to programs as ``data-part``.

    Arrow heads are drawn and no markers, which would need ids: a page may hold many drawings.
    """

    def __init__(self) -> None:
        self.elements: list[str] = []

    def box(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        *,
        part: str,
        colour: str = MUTED,
        dashed: bool = False,
        radius: float = 5.0,
        over: bool = False,
    ) -> None:
        """A rectangle with round corners, in a tint of its colour; `over` hides what is behind."""
        dashes = ' stroke-dasharray="3 2.5"' if dashed else ""
        filling = f'fill="{colour}" fill-opacity="{0.04 if dashed else 0.13}"'
        place = (
            f'x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" height="{_n(height)}" '
            f'rx="{_n(radius)}"'
        )
        if over:
            self.elements.append(f'<rect {place} fill="{CARD}"/>')
        self.elements.append(
            f'<rect data-part="{part}" {place} {filling} stroke="{colour}" '
            f'stroke-width="1.2"{dashes}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 12.0,
        colour: str = INK,
        anchor: str = "start",
        bold: bool = False,
        below: str = "",
    ) -> None:
        """Words whose base line begins, or is centred, at a point; `below` is an index."""
        weight = ' font-weight="600"' if bold else ""
        index = f'<tspan dy="3.5" font-size="{_n(size * 0.72)}">{_escaped(below)}</tspan>'
        self.elements.append(
            f'<text x="{_n(x)}" y="{_n(y)}" font-size="{_n(size)}" fill="{colour}" '
            f'text-anchor="{anchor}"{weight}>{_escaped(words)}{index if below else ""}</text>'
        )

    def line(
        self,
        points: Sequence[Point],
        *,
        part: str,
        colour: str = MUTED,
        head: bool = True,
    ) -> None:
        """A line through points, with a head at its end."""
        (before, end), last = points[-2:], points[-1]
        length = math.dist(before, end) or 1.0
        towards = (end[0] - before[0]) / length, (end[1] - before[1]) / length
        if head:  # the line ends where its head begins
            last = end[0] - 5 * towards[0], end[1] - 5 * towards[1]
        path = "M" + " L".join(f"{_n(x)} {_n(y)}" for x, y in (*points[:-1], last))
        self.elements.append(
            f'<path data-part="{part}" d="{path}" fill="none" stroke="{colour}" '
            'stroke-width="1.2" stroke-linejoin="round"/>'
        )
        if head:
            self._head(end, towards, colour)

    def _head(self, end: Point, towards: Point, colour: str) -> None:
        (x, y), (across, down) = end, towards
        corners = [
            (x, y),
            (x - 7 * across - 3.2 * down, y - 7 * down + 3.2 * across),
            (x - 7 * across + 3.2 * down, y - 7 * down - 3.2 * across),
        ]
        path = " L".join(f"{_n(a)} {_n(b)}" for a, b in corners)
        self.elements.append(f'<path d="M{path} Z" fill="{colour}"/>')


def page_of(elements: Sequence[str], width: float, height: float, title: str, told: str) -> str:
    """The ``<svg>`` element around what was drawn.

    It is as wide as its column up to its own width, and down to two thirds of that, at which
    its words can still be read; a narrower column must scroll.

    Parameters
    ----------
    title, told
        For screen readers: what it is, and what it shows.
    """
    style = f"width:100%;max-width:{width:.0f}px;min-width:{width * 2 / 3:.0f}px;height:auto"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" style="{style}" role="img" '
        f'aria-label="{_escaped(title)}" font-family="{FONT}">'
    )
    described = f"<title>{_escaped(title)}</title>\n<desc>{_escaped(told)}</desc>"
    ground = f'<rect width="100%" height="100%" rx="6" fill="{CARD}"/>'
    return "\n".join((opening, described, ground, *elements, "</svg>")) + "\n"


def _n(value: float) -> str:
    return f"{round(value, 1):g}"


def _escaped(words: str) -> str:
    """Words that may stand in XML, in which control characters may not even be escaped."""
    return html.escape("".join(letter if letter.isprintable() else "·" for letter in words))
