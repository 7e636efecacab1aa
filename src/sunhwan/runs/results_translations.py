"""The parts of the report about pairs of texts: what was written, from where, and how well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.runs import results_figures
from sunhwan.runs.maps import attention_map
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
