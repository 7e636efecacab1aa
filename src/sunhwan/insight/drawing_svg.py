"""Draws rows of layers in their places: cells, boxes and circles, and the arrows between them."""

from __future__ import annotations

from itertools import pairwise

from sunhwan.insight.drawing_layout import (
    APART,
    ASIDE,
    BETWEEN,
    BOTH_WIDTH,
    CELL_HEIGHT,
    CELL_WIDTH,
    MERGE,
    ROUND,
    Layout,
    Place,
)
from sunhwan.insight.drawing_pen import MUTED, SERIES, Pen
from sunhwan.insight.drawing_structure import Bridge, Cells
from sunhwan.runs.canvas import cut

#: how far the arrows of h and c stand from the middle of a cell
_STATE = {1: (0.0,), 2: (9.0, -9.0)}
#: of words in boxes, and about how wide a letter is
_TALLEST_LABEL, _LOWEST_LABEL, _WIDE = 11.0, 8.0, 0.64
_BRIDGE_WIDTH, _BRIDGE_HEIGHT = 68.0, 24.0


def draw_rows(pen: Pen, layout: Layout) -> None:
    """Draw every row and all that goes from one to another."""
    primes = {"input": 0, "output": 0}
    for place in sorted(layout.places.values(), key=lambda one: (one.lane, one.level)):
        kind = place.row.kind
        if place.row.cells is not None:
            _cells(pen, layout, place, place.row.cells)
        elif kind in primes:
            _circles(pen, place, primes[kind])
            primes[kind] += 1
        elif kind == "each":
            _boxes(pen, place)
        else:
            _bar(pen, place)
    for place in layout.places.values():
        _arrows_into(pen, layout, place)
        cells = place.row.cells
        if cells is not None and cells.bridge is not None:
            _bridge(pen, layout, place, cells, cells.bridge)


def _circles(pen: Pen, place: Place, primes: int) -> None:
    """The circles of an input or output, with their steps; wider where these are long."""
    letter, colour = ("x", MUTED) if place.row.kind == "input" else ("y", SERIES[3])
    letter += "′" * primes
    labels = _labels(place)
    for x, label in zip(place.columns or (place.x,), labels or [""], strict=True):
        if label is None:
            _dots(pen, x, place.middle)
            continue
        half = max(ROUND, 8 + 3.2 * len(letter + label))
        place.right = x + half  # where arrows from the side end
        pen.box(x - half, place.top, 2 * half, 2 * ROUND, part=place.row.kind, colour=colour,
                radius=ROUND)  # fmt: skip
        pen.text(x, place.middle + 3, letter, size=13, anchor="middle", below=label)


def _labels(place: Place) -> list[str | None]:
    """The indices of the steps, which count from the other end where these were turned round."""
    if len(place.slots) == 1:
        return [""]
    if not place.row.is_flipped:
        return list(place.slots)
    last = place.slots[-1] or ""
    return [_back(label, last) if label is not None else None for label in place.slots]


def _back(label: str, last: str) -> str:
    if label == last:
        return "1"
    if last.isdigit():
        return str(int(last) + 1 - int(label))
    return last if label == "1" else f"{last}−{int(label) - 1}"


def _dots(pen: Pen, x: float, y: float) -> None:
    pen.text(x, y + 3, "…", size=15, colour=MUTED, anchor="middle")


def _boxes(pen: Pen, place: Place) -> None:
    """A thin box for each step."""
    for x, slot in zip(place.columns, place.slots, strict=True):
        if slot is None:
            _dots(pen, x, place.middle)
        else:
            pen.box(
                x - CELL_WIDTH / 2, place.top, CELL_WIDTH, place.bottom - place.top,
                part="each", dashed=place.row.is_dropout,
            )  # fmt: skip


def _bar(pen: Pen, place: Place) -> None:
    """One box, of all steps or of what has none."""
    width = place.right - place.left
    pen.box(place.left, place.top, width, place.bottom - place.top, part=place.row.kind)
    words = place.row.whats[0].partition(" ")[0].partition("(")[0]
    _label(pen, (place.left + place.right) / 2, place.middle, words, width)


def _label(pen: Pen, x: float, y: float, words: str, width: float) -> None:
    """Words in the middle of a box, smaller or cut where it is narrow."""
    words = cut(words, int((width - 4) / (_WIDE * _LOWEST_LABEL)))
    size = min(_TALLEST_LABEL, (width - 4) / (_WIDE * max(len(words), 1)))
    pen.text(x, y + size * 0.36, words, size=size, anchor="middle")


def _cells(pen: Pen, layout: Layout, place: Place, cells: Cells) -> None:
    """One or two rows of cells, with what goes from step to step."""
    both = len(cells.directions) == 2
    for number, direction in enumerate(cells.directions):
        colour = SERIES[number if both else 0] if place.lane == 0 else SERIES[2 - number]
        middle = place.middle - number * (CELL_HEIGHT + APART)
        aside = (number * 2 - 1) * ASIDE if both else 0.0
        width = BOTH_WIDTH if both else CELL_WIDTH
        for x, slot in zip(place.columns, place.slots, strict=True):
            if slot is None:
                _dots(pen, x + aside, middle)
                continue
            pen.box(x + aside - width / 2, middle - CELL_HEIGHT / 2, width, CELL_HEIGHT,
                    part="cell", colour=colour)  # fmt: skip
            _label(pen, x + aside, middle, cells.label, width)
        halves = [7.0 if slot is None else width / 2 for slot in place.slots]
        ends = [(x + aside - half, x + aside + half)
                for x, half in zip(place.columns, halves, strict=True)]  # fmt: skip
        for (_, start), (end, _) in pairwise(ends):
            shift = 6 * (1 - 2 * number) if both else 0
            between = (start, end) if direction == 1 else (end, start)
            _state(pen, cells.states, between, middle, colour, shift=shift, part="state")
        first, last = (ends[0][0], ends[-1][1]) if direction == 1 else (ends[-1][1], ends[0][0])
        if cells.is_stateful or cells.entering:
            _state(
                pen, cells.states, (first - 38 * direction, first), middle, colour, part="enters"
            )
        if cells.leaves:
            _state(pen, cells.states, (last, last + 30 * direction), middle, colour, part="leaves")
    if cells.merged:
        _merge(pen, place, cells)


def _state(
    pen: Pen,
    names: tuple[str, ...],
    between: tuple[float, float],
    middle: float,
    colour: str,
    *,
    part: str,
    shift: float = 0,
) -> None:
    """The arrows of h, and of c above it, from one cell to the next."""
    start, end = between
    for name, down in zip(names, _STATE[len(names)], strict=True):
        pen.line([(start, middle + down), (end, middle + down)], part=part, colour=colour)
        above = middle + down - 4 if len(names) == 1 or down < 0 else middle + down + 11
        x = (start + end) / 2 + shift - (2 if end > start else -2)
        pen.text(x, above, name, size=11, colour=MUTED, anchor="middle")


def _merge(pen: Pen, place: Place, cells: Cells) -> None:
    """What makes one of two directions: a box for each step, or one of the two last steps."""
    upper = place.middle - CELL_HEIGHT - APART
    under, top = upper - CELL_HEIGHT / 2, place.top
    if cells.gives_steps:
        for x, slot in zip(place.columns, place.slots, strict=True):
            if slot is None:
                _dots(pen, x, top + MERGE / 2)
                continue
            pen.box(x - CELL_WIDTH / 2, top, CELL_WIDTH, MERGE, part="merge")
            _label(pen, x, top + MERGE / 2, cells.merged, CELL_WIDTH)
            _up(pen, x - ASIDE - 8, place.middle - CELL_HEIGHT / 2, top + MERGE)
            _up(pen, x + ASIDE, under, top + MERGE)
        return
    pen.box(place.left, top, place.right - place.left, MERGE, part="merge")
    _label(pen, (place.left + place.right) / 2, top + MERGE / 2, cells.merged, CELL_WIDTH)
    forward, backward = (place.columns[-1 if one == 1 else 0] for one in cells.directions)
    _up(pen, forward - ASIDE - 8, place.middle - CELL_HEIGHT / 2, top + MERGE)
    _up(pen, backward + ASIDE, under, top + MERGE)


def _up(pen: Pen, x: float, start: float, end: float, colour: str = MUTED) -> None:
    pen.line([(x, start), (x, end)], part="up", colour=colour)


def _arrows_into(pen: Pen, layout: Layout, place: Place) -> None:
    """What a row reads: from below where nothing is between, else round at the side."""
    below = []
    for source, has_steps in place.row.sources:
        begin = layout.places[source]
        blocking = list(layout.between(begin, place))
        x = begin.x
        is_free = not any(has_steps or one.left - 4 < x < one.right + 4 for one in blocking)
        if begin.lane == place.lane and is_free:
            below.append((begin, has_steps))
        elif place.row.clock is None and place.row.kind == "box" and not blocking:
            below.append((begin, False))
        else:
            _round(pen, layout, begin, place)
    for number, (begin, has_steps) in enumerate(below):
        if has_steps:
            _step_arrows(pen, begin, place)
            continue
        aside = 14.0 * (number - (len(below) - 1) / 2)
        is_wide = place.row.kind == "band" or place.row.clock is not None
        _one_arrow(pen, begin, place, begin.x if is_wide else place.x + aside)


def _one_arrow(pen: Pen, begin: Place, place: Place, x: float) -> None:
    if abs(begin.x - x) < 1:
        _up(pen, begin.x, begin.top, place.bottom)
        return
    turn = place.bottom + BETWEEN / 2
    points = [(begin.x, begin.top), (begin.x, turn), (x, turn), (x, place.bottom)]
    pen.line(points, part="up")


def _step_arrows(pen: Pen, begin: Place, place: Place) -> None:
    """An arrow up at each step; two where two directions read it."""
    cells = place.row.cells
    for x, slot in zip(begin.columns, begin.slots, strict=True):
        if slot is None:
            continue
        if cells is None or len(cells.directions) == 1:
            _up(pen, x, begin.top, place.bottom)
            continue
        upper = place.middle - CELL_HEIGHT / 2 - APART
        pen.line([(x, begin.top), (x - ASIDE, place.bottom)], part="up")
        aside = x + ASIDE + 8
        pen.line([(x, begin.top), (aside, place.bottom), (aside, upper)], part="up")


def _round(pen: Pen, layout: Layout, begin: Place, place: Place) -> None:
    """An arrow that goes upwards beside the lane and comes in from the side."""
    way = layout.lanes[begin.lane].channel()
    is_right = begin.lane >= place.lane
    if is_right:  # boxes that join two lanes stand farther to the right than the channels of one
        way = max(way, begin.right + 12, place.right + 12)
    end = place.right if is_right else place.left
    side, start = begin.right, begin.middle
    if begin.row.cells is not None:  # from where it gives its steps and not its states
        side, start = (
            side - (ASIDE + BOTH_WIDTH / 2 - CELL_WIDTH / 2) * _is_both(begin),
            begin.top + 7,
        )
    height = place.enter()
    pen.line([(side, start), (way, start), (way, height), (end, height)], part="round")


def _bridge(pen: Pen, layout: Layout, place: Place, cells: Cells, bridge: Bridge) -> None:
    """The states of one layer that another one begins with."""
    direction, under = cells.directions[0], place.bottom + BETWEEN / 2
    first = _end(place, -direction)
    for row in bridge.rows:
        begin = layout.places[row]
        way = layout.lanes[begin.lane].channel()
        points = _way_out(begin, way)
        if direction == 1 and begin.lane < place.lane:
            points.append((way, place.middle))
        else:  # round to the side on which the first cell stands
            before = first - 20 * direction
            points += [(way, under), (before, under), (before, place.middle)]
        pen.line([*points, (first, place.middle)], part="begins", colour=SERIES[0])
    names = ", ".join(cells.states)
    pen.text(first - 16 * direction, place.middle - 5, names, size=11, colour=MUTED,
             anchor="middle")  # fmt: skip
    if bridge.what and direction == 1:
        x, top = first - 62, place.middle - _BRIDGE_HEIGHT / 2
        pen.box(x - _BRIDGE_WIDTH / 2, top, _BRIDGE_WIDTH, _BRIDGE_HEIGHT, part="bridge",
                over=True)  # fmt: skip
        _label(pen, x, place.middle, bridge.what, _BRIDGE_WIDTH)


def _way_out(begin: Place, way: float) -> list[tuple[float, float]]:
    """From where the last state of a row is, or its side, to a way upwards."""
    cells, start = begin.row.cells, begin.middle
    if cells is None:
        return [(begin.right, start - 6), (way, start - 6)]
    last = _end(begin, cells.directions[0])
    if cells.directions[0] == 1:
        return [(last, start), (way, start)]
    over = begin.top - BETWEEN / 2
    return [(last, start), (last - 12, start), (last - 12, over), (way, over)]


def _end(place: Place, direction: int) -> float:
    """The outer side of the lowest cell at the right end, or with -1 at the left end."""
    both = _is_both(place)
    column = place.columns[-1 if direction == 1 else 0] - (ASIDE if both else 0)
    return column + direction * (BOTH_WIDTH if both else CELL_WIDTH) / 2


def _is_both(place: Place) -> bool:
    return place.row.cells is not None and len(place.row.cells.directions) == 2
