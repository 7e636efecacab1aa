"""Where each row of a drawing stands: lanes side by side, levels from the bottom to the top."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sunhwan.insight.drawing_graph import Clock
from sunhwan.insight.drawing_structure import Row

#: sizes in pixels of the drawing's own width
PITCH, GAP_OF_TIME, CELL_WIDTH, CELL_HEIGHT, BOTH_WIDTH = 88.0, 62.0, 54.0, 40.0, 44.0
ROUND, BAR, BAND, THIN, BETWEEN = 15.0, 18.0, 26.0, 10.0, 26.0
#: how far the cells of two directions stand to the left and the right of their step, and apart
ASIDE, APART, MERGE = 14.0, 16.0, 18.0
#: of text
LINE, LETTER, MARGIN, _BOLD = 15.0, 6.9, 12.0, 1.1
_STUB, _CHANNEL, _HEAD, _FOOT, _BRIDGE = 46.0, 11.0, 44.0, 34.0, 104.0

#: a label of a step, or None where steps are left out
Slot = str | None


@dataclass
class Place:
    """A row and where it stands.

    Attributes
    ----------
    slots, columns
        The steps that are drawn, and their middles.
    x
        The middle of what it gives, where that has no steps.
    entries
        Arrows that have come in from its sides.
    """

    row: Row
    lane: int
    level: int
    slots: tuple[Slot, ...] = ()
    columns: tuple[float, ...] = ()
    x: float = 0.0
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    entries: int = 0

    def enter(self) -> float:
        """The height at which the next arrow comes in from the side: the first in the middle."""
        self.entries += 1
        apart = (self.bottom - self.top) / 5
        return self.middle + apart * (self.entries // 2) * (-1) ** self.entries

    @property
    def middle(self) -> float:
        """Its height; of two directions that of the lower cells."""
        if self.row.cells is not None:
            return self.bottom - CELL_HEIGHT / 2
        return (self.top + self.bottom) / 2


@dataclass
class Lane:
    """Rows that stand one above the other, and the channels at their right."""

    left: float = 0.0
    right: float = 0.0
    channels: int = 0

    def channel(self) -> float:
        """A new way upwards at the right of the lane."""
        self.channels += 1
        return self.right + 2 + _CHANNEL * self.channels


@dataclass
class Layout:
    """A drawing's rows in their places, with the lines of their captions."""

    places: dict[Row, Place]
    lanes: list[Lane]
    captions: Mapping[Row, Sequence[str]]
    caption_x: tuple[float, float] = (MARGIN, 0.0)
    width: float = 0.0
    height: float = 0.0
    symbols: dict[Clock, str] = field(default_factory=dict)

    def between(self, lower: Place, upper: Place) -> Iterator[Place]:
        """The rows of a lane between two heights."""
        for place in self.places.values():
            if place.lane == lower.lane and lower.level < place.level < upper.level:
                yield place


def symbols_of(rows: Sequence[Row]) -> dict[Clock, str]:
    """A letter for each number of steps that is not known: T; or of two S and T.

    Examples
    --------
    >>> clocks = Clock(None), Clock(7), Clock(None)
    >>> rows = [Row("input", [], [], [], [], clock) for clock in clocks]
    >>> list(symbols_of(rows).values())
    ['S', 'T']
    """
    clocks = list(dict.fromkeys(r.clock for r in rows if r.clock and r.clock.length is None))
    letters = {1: ["T"], 2: ["S", "T"]}.get(len(clocks))
    letters = letters or [f"T{number}" for number in range(1, len(clocks) + 1)]
    return dict(zip(clocks, letters, strict=True))


def slots_of(length: int | None, symbol: str, steps: int | None, lanes: int) -> tuple[Slot, ...]:
    """The steps that are drawn; None stands for those that are left out.

    Examples
    --------
    >>> slots_of(500, "", None, lanes=1), slots_of(3, "", None, lanes=1)
    (('1', '2', '3', None, '500'), ('1', '2', '3'))
    >>> slots_of(None, "T", 3, lanes=1)
    ('1', '2', None, 'T')
    """
    if length is not None and length <= (6 if steps is None else steps):
        return tuple(str(number + 1) for number in range(length))
    # beside another lane there is room for one less
    drawn = steps or (4 if lanes == 1 else 3)
    return (*(str(number + 1) for number in range(drawn - 1)), None, symbol or str(length))


def lay_out(
    rows: Sequence[Row], captions: Mapping[Row, Sequence[str]], steps: int | None
) -> Layout:
    """Give each row its place."""
    lanes = _lanes(rows)
    count = max(lanes.values()) + 1
    levels = _levels(rows, lanes)
    if count > 2:  # captions have two sides, so no two rows may stand side by side
        order = sorted(rows, key=lambda row: (levels[row], lanes[row], rows.index(row)))
        levels = {row: number for number, row in enumerate(order)}
    places = {row: Place(row, lanes[row], levels[row]) for row in rows}
    layout = Layout(places, [Lane() for _ in range(count)], captions, symbols=symbols_of(rows))
    for row, place in places.items():
        clock = row.sources[0][0].clock if row.kind == "cells" else row.clock
        if clock is not None:
            symbol = layout.symbols.get(clock, "")
            place.slots = slots_of(clock.length, symbol, steps, count)
    _place_across(layout)
    _place_upwards(layout)
    return layout


def _lanes(rows: Sequence[Row]) -> dict[Row, int]:
    """The lane of each row: a new one for each input that goes over time by itself."""
    parent = {row: row for row in rows}

    def root(row: Row) -> Row:
        while parent[row] is not row:
            row = parent[row]
        return row

    for row in rows:
        if not row.sources:
            continue
        mains = [one for one, has_steps in row.sources if has_steps]
        mains = mains or [one for one, _ in row.sources if one.kind != "input"]
        joined = mains if row.kind == "each" else mains[:1]
        aside = [one for one, _ in row.sources if one.kind == "input" and one.clock is None]
        for one in (*joined, *aside):
            parent[root(one)] = root(row)
    roots = list(dict.fromkeys(root(row) for row in rows))
    ranks = dict.fromkeys(roots, 0)
    for _ in roots:  # what is read from another lane stands at its left
        for row in rows:
            bridge = row.cells.bridge if row.cells is not None else None
            read = [one for one, _ in row.sources] if row.clock is not None else []
            for one in (*read, *(bridge.rows if bridge else ())):
                if root(one) is not root(row):
                    ranks[root(row)] = min(max(ranks[root(row)], ranks[root(one)] + 1), len(roots))
    order = sorted(roots, key=lambda one: ranks[one])  # stable
    return {row: order.index(root(row)) for row in rows}


def _levels(rows: Sequence[Row], lanes: Mapping[Row, int]) -> dict[Row, int]:
    """The level of each row: above what it reads, one row of a lane on each."""

    def below(row: Row) -> list[Row]:
        sources = (one for one, _ in row.sources)
        return [one for one in sources if row.clock is None or lanes[one] == lanes[row]]

    rough = {row: 0 for row in rows if row.kind == "input"}
    for row in rows:
        if row.kind != "input":
            rough[row] = 1 + max((rough[one] for one in below(row)), default=0)
    for row in rough:
        if row.kind == "input":  # just below what reads it first
            readers = [rough[one] for one in rows if any(row is s for s, _ in one.sources)]
            rough[row] = min(readers, default=1) - 1
    # first what leads to cells, then what leads to steps: the rest does not come between these
    main = _leading_to(row for row in rows if row.cells is not None)
    timed = _leading_to(row for row in rows if row.clock is not None and row.kind != "output")
    order = {row: (row not in main, row not in timed, rough[row], row.kind == "input", number)
             for number, row in enumerate(rows)}  # fmt: skip
    levels: dict[Row, int] = {}
    taken: set[tuple[int, int]] = set()

    def put(row: Row) -> None:
        level = max(rough[row], 1 + max((levels[one] for one in below(row)), default=-1))
        while (lanes[row], level) in taken:
            level += 1
        levels[row] = level
        taken.add((lanes[row], level))

    for row in sorted(rows, key=order.__getitem__):
        if row in levels:
            continue
        put(row)
        for one in rows:  # the output of a vector just above it
            if one.kind == "output" and one.sources == [(row, False)]:
                put(one)
    return levels


def _leading_to(ends: Iterable[Row]) -> set[Row]:
    """The rows that are read by some, and by those that read these, and so on; and these."""
    waiting, found = list(ends), set[Row]()
    while waiting:
        row = waiting.pop()
        if row not in found:
            found.add(row)
            waiting += [one for one, _ in row.sources]
    return found


def _place_across(layout: Layout) -> None:
    places = list(layout.places.values())
    sides = [_caption_width(layout, side) for side in (0, 1)]
    x = MARGIN + sides[0] + 14
    for number, lane in enumerate(layout.lanes):
        own = [place for place in places if place.lane == number]
        cells = [place.row.cells for place in own if place.row.cells is not None]
        enters = any(one.entering or one.is_stateful for one in cells)
        bridges = [one.bridge for one in cells if one.bridge is not None]
        x += (
            _STUB
            if enters
            else _BRIDGE
            if any(one.what for one in bridges)
            else 22.0 * bool(bridges)
        )
        lane.left = lane.right = x
        for place in own:
            place.columns = tuple(_columns(x, place.slots))
            if place.columns:
                lane.right = max(lane.right, place.columns[-1] + PITCH / 2)
        lane.right = max(lane.right, x + PITCH)
        x = lane.right + 16 + _CHANNEL * _channels(layout, number)
        x += 22.0 * any(one.leaves for one in cells)
    for place in sorted(places, key=lambda one: one.level):
        _place_one(layout, place)
    layout.caption_x = (MARGIN, x + 8)
    layout.width = x + MARGIN + (sides[1] + 16 if sides[1] else 0)


def _columns(left: float, slots: Sequence[Slot]) -> Iterator[float]:
    for slot in slots:
        width = GAP_OF_TIME if slot is None else PITCH
        yield left + width / 2
        left += width


def _channels(layout: Layout, lane: int) -> int:
    """Ways that go upwards at the right of a lane, at the most."""
    count = 0
    for place in layout.places.values():
        for source, _ in place.row.sources:
            begin = layout.places[source]
            passes = any(layout.between(begin, place)) or begin.lane != place.lane
            count += begin.lane == lane and passes
        bridge = place.row.cells.bridge if place.row.cells is not None else None
        count += sum(layout.places[one].lane == lane for one in (bridge.rows if bridge else ()))
    return count


def _place_one(layout: Layout, place: Place) -> None:
    """Left and right end, and the middle, of a row whose sources have them."""
    row, lane = place.row, layout.lanes[place.lane]
    sources = [layout.places[one] for one, _ in row.sources]
    steps = place.columns or next((one.columns for one in sources if one.columns), ())
    centre = (steps[0] + steps[-1]) / 2 if steps else (lane.left + lane.right) / 2
    place.x, half = centre, CELL_WIDTH / 2
    if row.cells is not None:
        ends = {1: steps[-1], -1: steps[0]}
        both = len(row.cells.directions) == 2
        place.x = centre if both else ends[row.cells.directions[0]]
        half = ASIDE + BOTH_WIDTH / 2 if both else half
    elif row.kind == "input" and not place.columns:
        others = [one for one in layout.places.values() if one.lane == place.lane and one.columns]
        place.x = others[0].columns[0] if others else centre
    elif row.kind in ("box", "output") and not place.columns and sources:
        place.x = sum(one.x for one in sources) / len(sources)
    if row.kind in ("band", "cells", "each") and steps:
        joined = [*steps, *(x for one in sources if row.kind == "band" and one.lane == place.lane
                            for x in (one.columns or (one.x,)))]  # fmt: skip
        place.left, place.right = min(joined) - half, max(joined) + half
    elif row.kind == "box":
        half = max(half, 7 + LETTER * len(row.what) / 2)
        place.left, place.right = place.x - half, place.x + half
    else:
        ends_x = place.columns or (place.x,)
        place.left, place.right = ends_x[0] - ROUND, ends_x[-1] + ROUND


def _place_upwards(layout: Layout) -> None:
    by_level: dict[int, list[Place]] = {}
    for place in layout.places.values():
        by_level.setdefault(place.level, []).append(place)
    y = _HEAD
    for level in sorted(by_level, reverse=True):
        heights = [_height(place.row) for place in by_level[level]]
        texts = [LINE * len(layout.captions[place.row]) for place in by_level[level]]
        tall = max(*heights, *texts)
        for place, height in zip(by_level[level], heights, strict=True):
            place.top = y + (tall - height) / 2
            place.bottom = place.top + height
        y += tall + BETWEEN
    layout.height = y - BETWEEN + _FOOT


def _height(row: Row) -> float:
    if row.cells is not None:
        both = len(row.cells.directions) == 2
        return 2 * CELL_HEIGHT + APART + MERGE + APART if both else CELL_HEIGHT
    if row.kind in ("input", "output"):
        return 2 * ROUND
    return {"box": 28.0, "band": BAND}.get(row.kind, THIN if row.is_dropout else BAR)


def _caption_width(layout: Layout, side: int) -> float:
    widths = (text_width(line) * (_BOLD if number == 0 else 1)
              for row, place in layout.places.items() if side == side_of(layout, place)
              for number, line in enumerate(layout.captions[row]))  # fmt: skip
    return max(widths, default=0.0)


def side_of(layout: Layout, place: Place) -> int:
    """0 if the caption of a row stands at the left of the drawing, 1 if at the right."""
    return int(len(layout.lanes) == 2 and place.lane == 1)


def text_width(text: str) -> float:
    """About how wide a caption is, at the least letters of East Asia counted twice."""
    wide = sum(ord(letter) > 0x1100 and letter not in "…–—“”" for letter in text)
    return LETTER * (len(text) - wide) + 12.5 * wide
