"""The parts of a page about what a recurrent network remembers, from plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sunhwan.runs import canvas, insight_figures
from sunhwan.runs.insight_figures import Line
from sunhwan.runs.page import Block, Equation, Figure, Key, Passage, Section, Table
from sunhwan.runs.results_values import floats, records
from sunhwan.runs.wording import Words

Found = Mapping[str, Any]

#: steps of one input that a map has room for
_SHOWN = 60
#: a share of the largest influence below which a word is not coloured
_FAINT = 0.04
#: a part of all influence that comes by neither direction, from which on that is told
_AROUND = 0.05


def sections(found: Found, words: Words) -> list[Section]:
    """What `sunhwan insight` found, as sections; what is absent is left out.

    Parameters
    ----------
    found
        As of `sunhwan.insight.findings`.

    Examples
    --------
    >>> flow = {"name": "memory", "norms": [2.0, 1.0, 0.5], "rate": 0.5, "estimate": 0.6,
    ...     "verdict": "carries", "half_life": 1.0}
    >>> [section.title for section in sections({"flow": [flow]}, Words("en"))]
    ['How far the gradient reaches back']
    """
    parts: Sequence[Callable[[Found, Words], list[Block]]] = (
        _flow, _horizon, _influence, _example, _gates, _units)  # fmt: skip
    names = ("flow", "horizon", "influence", "example", "gates", "units")
    return [
        Section(words(f"section.insight_{name}"), blocks)
        for name, part in zip(names, parts, strict=True)
        if (blocks := part(found, words))
    ]


def verdicts(found: Found, words: Words) -> list[str]:
    """A sentence for each recurrent part: its gradient vanishes, fades, carries or explodes."""
    told = []
    for one in records(found, "flow"):
        steps, rate = len(one["norms"]) - 1, float(one["rate"])
        key = str(one["verdict"]) if steps > 0 else "none"
        values = {
            "name": one["name"],
            "rate": f"{rate:.3g}",
            "half": f"{abs(one['half_life'] or 0):.2g}",
            "steps": f"{steps:,}",
            "left": f"{rate**steps:.2g}",
        }
        told.append(words(f"insight.verdict.{key}", **values))
    return told


def _explained(words: Words, name: str, *sentences: str) -> list[Block]:
    """How to read a figure, then its equation and where that is from."""
    equation = Equation(words(f"insight.{name}.equation"), words(f"insight.{name}.source"))
    return [" ".join(sentences), equation]


def _flow(found: Found, words: Words) -> list[Block]:
    flows = [one for one in records(found, "flow") if len(one["norms"]) > 1]
    if not flows:
        return []
    before = {one["name"]: one for one in records(found, "flow_before")}
    lines, key = [], []
    for place, one in enumerate(flows):
        norms = floats(one["norms"])
        lines.append(Line(one["name"], _relative(norms), place))
        key.append((str(one["name"]), canvas.css(canvas.tint(place)), False))
        if one["name"] in before:
            earlier = _relative(floats(before[one["name"]]["norms"]))
            lines.append(
                Line(f"{one['name']}, {words('insight.untrained')}", earlier, place, "thin")
            )
        expected = float(one["estimate"]) ** np.arange(len(norms))
        lines.append(Line(f"{one['name']}, textbook", expected, place, "dashed"))
    axis_names = (words("insight.steps_back"), words("insight.flow.axis"))
    drawn = insight_figures.flow(lines, title=words("insight.flow.title"), axis_names=axis_names)
    read = [words("insight.flow.read"), words("insight.flow.estimate")]
    if before:
        read.insert(1, words("insight.flow.before"))
    svg = canvas.svg(drawn, words("insight.flow.label"))
    return [
        *_explained(words, "flow", *read),
        Key(key),
        Figure(svg, wide=True),
        _rates(flows, before, words),
    ]


def _relative(norms: Any) -> Any:
    """Shares of the first that is not 0: deeper layers may hear of the answer later."""
    first = next((norm for norm in norms if norm > 0), 1.0)
    return norms / first


def _rates(flows: Sequence[Found], before: Mapping[str, Found], words: Words) -> Table:
    names = ["layer", *(["before"] if before else []), "rate", "estimate", "verdict"]
    rows = []
    for one in flows:
        row = [str(one["name"])]
        if before:
            row.append(f"{before[one['name']]['rate']:.3f}" if one["name"] in before else "")
        row += [f"{one['rate']:.3f}", f"{one['estimate']:.3f}"]
        rows.append([*row, words(f"insight.word.{one['verdict']}")])
    return Table([words(f"insight.flow.head_{name}") for name in names], rows)


def _horizon(found: Found, words: Words) -> list[Block]:
    one = found.get("horizon") or {}
    places, changes = one.get("places", []), floats(one.get("changes", []))
    if len(places) < 2:
        return []
    told, threshold = one.get("reach"), float(one["threshold"])
    reach, largest = int(told or 0), float(np.max(changes))
    is_whole = reach >= max(places)
    kind = "nothing" if told is None else "whole" if is_whole else "read"
    values = {"reach": f"{reach:,}", "threshold": f"{threshold:.0%}"}
    read = words(f"insight.horizon.{kind}", **({} if kind == "nothing" else values))
    if kind == "nothing":
        return [read]
    count = int(one.get("answers", 1))
    axis = words("insight.steps_back" if count == 1 else "insight.horizon.back")
    also = [words("insight.horizon.answers", count=f"{count:,}")] if count > 1 else []
    drawn = insight_figures.horizon(
        places,
        changes / largest,
        reach=reach,
        threshold=threshold,
        title=words("insight.horizon.title"),
        axis_names=(axis, words("insight.horizon.axis")),
        told=words("insight.horizon.told", reach=f"{reach:,}"),
    )
    svg = canvas.svg(drawn, words("insight.horizon.label"))
    return [*_explained(words, "horizon", read, *also), Figure(svg, wide=True)]


def _gates(found: Found, words: Words) -> list[Block]:
    gates = records(found, "gates")
    if not gates:
        return []
    rows = [
        (f"{one['layer']} · {one['gate']}", float(one["shut"]), float(one["open"])) for one in gates
    ]
    names = words("insight.gates.shut"), words("insight.gates.open")
    drawn = insight_figures.saturation(
        rows, title=words("insight.gates.title"), axis_name=words("insight.gates.axis"), names=names
    )
    key = Key(
        [
            (names[0], canvas.css(canvas.REFERENCE), False),
            (names[1], canvas.css(canvas.ACCENT), False),
        ]
    )
    figure = Figure(canvas.svg(drawn, words("insight.gates.label")))
    return [*_explained(words, "gates", words("insight.gates.read")), key, figure]


def _example(found: Found, words: Words) -> list[Block]:
    one = found.get("example") or {}
    maps = records(one, "maps")
    if not maps:
        return []
    tokens = [str(token) for token in one.get("tokens", [])]
    blocks: list[Block] = [words("insight.example.read")]
    if head := _head(one, words):
        blocks.append(head)
    told = 0
    for part in maps:
        steps, own = int(part["steps"]), part.get("tokens", tokens)
        if steps > _SHOWN and steps != told:
            shown = {"shown": f"{_SHOWN:,}", "count": f"{steps:,}"}
            blocks.append(words("insight.example.last", **shown))
            told = steps
        panels = [
            (words(f"insight.panel.{panel['name']}"), _table(panel["values"])[-_SHOWN:])
            for panel in part["panels"]
        ]
        drawn = insight_figures.activity(panels, own[-_SHOWN:], axis_name=words("insight.step"))
        svg = canvas.svg(drawn, words("insight.example.label", name=part["layer"]))
        blocks.append(Figure(svg, str(part["layer"]), wide=True))
    return blocks


def _table(rows: Sequence[Sequence[Any]]) -> Any:
    """``float64[T, H]`` of the rows of a table."""
    return np.array([floats(row) for row in rows])


def _head(one: Found, words: Words) -> str:
    if "predicted" not in one:
        return ""
    values = {name: one[name] for name in ("predicted", "wanted", "after") if name in one}
    if "after" in one:
        return words("insight.example.after" if "wanted" in one else "insight.example.after_alone",
                     **values)  # fmt: skip
    if "asked" not in one:
        return words("insight.example.of" if "wanted" in one else "insight.example.alone", **values)
    place, tokens = int(one["asked"]), one.get("tokens", [])
    is_known = place < len(tokens)
    token = f"“{tokens[place]}”" if is_known else words("insight.example.step", step=place + 1)
    key = "at" if "wanted" in one else "at_alone"
    return words(f"insight.example.{key}", token=token, **values)


def _units(found: Found, words: Words) -> list[Block]:
    units = records(found, "units")
    if not units:
        return []
    rows = []
    for one in units:
        signal = words(f"insight.units.{one['signal']}", name=one.get("name", ""))
        unit = f"{one['state']}[{one['unit']}]"
        rows.append([str(one["layer"]), unit, signal, f"{one['correlation']:+.2f}"])
    head = [words(f"insight.units.{name}") for name in ("layer", "unit", "signal", "correlation")]
    return [words("insight.units.read"), Table(head, rows, words=3)]


def _influence(found: Found, words: Words) -> list[Block]:
    entries = records(found, "influence")
    if not entries:
        return []
    is_text = bool(entries[0].get("tokens"))
    read = [words("insight.influence.read" if is_text else "insight.influence.read_numbers")]
    if any("total" in entry for entry in entries):
        read.append(words("insight.influence.adds"))
    if any("ahead" in entry for entry in entries):
        read.append(words("insight.influence.directions"))
        if any(_goes_around(entry) for entry in entries):
            read.append(words("insight.influence.around"))
    blocks: list[Block] = list(_explained(words, "influence", *read))
    for number, entry in enumerate(entries, 1):
        blocks += _coloured(entry, words) if is_text else _bars(entry, number, words)
    return blocks


def _goes_around(entry: Found) -> bool:
    """Whether a share of the answer comes by neither direction, such as by attention to words."""
    if "ahead" not in entry:
        return False
    both, whole = floats(entry["ahead"]) + floats(entry["back"]), floats(entry["values"])
    return bool(np.abs(whole - both).sum() > _AROUND * np.abs(whole).sum())


def _coloured(entry: Found, words: Words) -> list[Block]:
    """The text, its words coloured by all of their influence, and by that of each direction."""
    tokens = [str(token) for token in entry["tokens"]]
    whole = floats(entry["values"])
    sums = _sums(entry, words)
    largest = float(np.max(np.abs(whole), initial=0.0)) or 1.0
    joined = str(entry.get("between", " "))
    blocks: list[Block] = [
        Passage(f"{_head(entry, words)} {sums}".strip(), _spans(tokens, whole / largest, joined))
    ]
    for direction in ("ahead", "back"):
        if direction in entry:
            values = floats(entry[direction])
            share = values.sum() / whole.sum() if whole.sum() else 0.0
            head = words(f"insight.influence.{direction}", share=f"{share:.0%}")
            blocks.append(Passage(head, _spans(tokens, values / largest, joined)))
    return blocks


def _sums(entry: Found, words: Words) -> str:
    """What the shares add up to; of a path that is too rough, what is shown instead."""
    if entry.get("by") == "occlusion":
        return words("insight.influence.rough", gap=f"{float(entry['gap']):,.0%}")
    total, change = (f"{float(entry[name]):+.3f}" for name in ("total", "change"))
    return words("insight.influence.sums", total=total, change=change)


def _spans(tokens: Sequence[str], strengths: Any, between: str) -> list[tuple[str, float]]:
    spans: list[tuple[str, float]] = []
    for token, strength in zip(tokens, strengths.tolist(), strict=True):
        shown = float(np.clip(strength, -1, 1)) if abs(strength) >= _FAINT else 0.0
        spans += [(token, round(shown, 2)), (between, 0.0)]
    return spans[:-1]


def _bars(entry: Found, number: int, words: Words) -> list[Block]:
    parts = [
        (words(f"insight.direction_{direction}"), floats(entry[direction]))
        for direction in ("ahead", "back")
        if direction in entry
    ]
    drawn = insight_figures.influence(
        floats(entry["values"]),
        parts,
        title=words("insight.influence.title"),
        axis_names=(words("insight.step"), words("insight.influence.axis")),
    )
    svg = canvas.svg(drawn, words("insight.influence.label", number=number))
    key = [(name, canvas.css(canvas.tint(place)), False) for place, (name, _) in enumerate(parts)]
    head = f"{_head(entry, words)} {_sums(entry, words)}".strip()
    return [head, *([Key(key)] if key else []), Figure(svg, wide=True)]
