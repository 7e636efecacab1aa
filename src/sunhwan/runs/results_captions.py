"""The part of the report about images: what was said of them, and where the network looked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.runs.page import Block, Section, Strip
from sunhwan.runs.results_translations import answer_spans, head_of
from sunhwan.runs.results_values import floats, records
from sunhwan.runs.wording import Words

Floats = NDArray[np.float64]

#: images, and words of a caption, that are drawn
_SHOWN, _WORDS = 24, 40
#: the most letters of an image in base64
_LARGEST = 2_000_000
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
#: how strongly what was not looked at is veiled, and in how many shades
_VEIL, _SHADES = 0.88, 12


def captions(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Images with what should have been said and what was, evenly chosen, then the worst."""
    blocks: list[Block] = []
    number = 0
    for key in ("captions", "worst_captions"):
        found = records(results, key)
        if found:
            blocks.append(words(f"{key}.read"))
        if any(entry.get("looked") for entry in found) and not number:
            blocks.append(words("captions.looked"))
        for entry in found[:_SHOWN]:
            number += 1
            tiles = _tiles(entry, f"image-{number}", words)
            blocks.append(Strip(head_of(entry, words), tiles, answer_spans(entry, words)))
    return [Section(words("section.captions"), blocks)] if blocks else []


def _tiles(entry: Mapping[str, Any], name: str, words: Words) -> list[tuple[str, str]]:
    """The image, then once for each word with a veil where it was not looked at."""
    image, size = entry.get("image"), entry.get("size")
    if not isinstance(image, str) or len(image) > _LARGEST or not _BASE64.fullmatch(image):
        return []
    if not isinstance(size, list) or len(size) != 2 or not all(_is_side(side) for side in size):
        return []
    height, width = size
    picture = (
        f'<image id="{name}" width="{width}" height="{height}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{image}"/>'
    )
    place = str(entry.get("place", "")) or name
    tiles = [(_svg(picture, height, width, place), "")]
    for word, weights in _maps(entry.get("looked")):
        down, across = weights.shape
        veil = (
            f'<use href="#{name}"/><g fill="var(--card)" '
            f'transform="scale({width / across:.4g} {height / down:.4g})">{_veil(weights)}</g>'
        )
        label = word or words("attention.end")
        tiles.append((_svg(veil, height, width, f"{place}: {label}"), label))
    return tiles


def _maps(looked: Any) -> list[tuple[str, Floats]]:
    """Words, each with its weights ``float64[down, across]``; none where they do not fit."""
    if not isinstance(looked, Mapping):
        return []
    grid, said, rows = (_list(looked.get(key)) for key in ("grid", "words", "weights"))
    if len(grid) != 2 or not all(_is_side(side) for side in grid) or len(said) != len(rows):
        return []
    if any(not isinstance(row, list) or len(row) != grid[0] * grid[1] for row in rows):
        return []
    pairs = list(zip(said, rows, strict=True))[:_WORDS]
    return [(str(word), np.nan_to_num(floats(row)).reshape(grid)) for word, row in pairs]


def _veil(weights: Floats) -> str:
    """What covers each position, the less the more it was looked at: one path for each shade."""
    most = max(float(weights.max()), 1e-9)
    shades = np.rint((1 - np.clip(weights / most, 0, 1)) * _SHADES).astype(int)
    drawn: dict[int, list[str]] = {}
    for y, row in enumerate(shades.tolist()):
        x = 0
        for shade, cells in groupby(row):
            count = len(list(cells))
            drawn.setdefault(shade, []).append(f"M{x} {y}h{count}v1h-{count}z")
            x += count
    return "".join(
        f'<path d="{"".join(parts)}" opacity="{_VEIL * shade / _SHADES:.2f}"/>'
        for shade, parts in sorted(drawn.items())
        if shade
    )


def _svg(content: str, height: int, width: int, label: str) -> str:
    """A drawing; `content` is safe, and the label is escaped."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
        f"{content}</svg>"
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_side(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 4096
