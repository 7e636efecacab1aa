"""The parts of the report about a language model: what it writes, and what surprised it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from sunhwan.runs.page import Block, Passage, Section
from sunhwan.runs.results_values import floats, records
from sunhwan.runs.wording import Words

#: bits of a token from which on it is coloured as strongly as can be
_MOST_BITS = 10.0
#: bits below which a token is not coloured
_FEWEST_BITS = 2.0


def samples(results: Mapping[str, Any], words: Words) -> list[Section]:
    """What the network writes at several temperatures: from nothing, or on from a prompt."""
    found = records(results, "samples")
    blocks: list[Block] = [
        Passage(
            words("writing.head", temperature=entry.get("temperature")),
            [(f"{entry.get('prompt', '')}{entry.get('text', '')}", 0.0)],
        )
        for entry in found
    ]
    if not blocks:
        return []
    prompt = str(found[0].get("prompt", "")).strip()
    read = words("writing.read_on", prompt=f"“{prompt}”") if prompt else words("writing.read")
    return [Section(words("section.writing"), [read, *blocks])]


def surprise(results: Mapping[str, Any], words: Words) -> list[Section]:
    """The beginning of the test part, each token coloured by the bits that it took."""
    given = results.get("surprise", {})
    tokens, bits = given.get("tokens", []), floats(given.get("bits", []))
    if not tokens or len(tokens) != len(bits):
        return []
    pairs = groupby(zip(tokens, bits, strict=True), lambda pair: _strength(float(pair[1])))
    spans = [("".join(str(token) for token, _ in same), level) for level, same in pairs]
    read = words("surprise.read", low=f"{_FEWEST_BITS:g}", high=f"{_MOST_BITS:g}")
    return [Section(words("section.surprise"), [read, Passage(words("surprise.head"), spans)])]


def _strength(bits: float) -> float:
    """How strongly a token is coloured, in fifths, so that neighbours often share a colour.

    Examples
    --------
    >>> [_strength(bits) for bits in (1.9, 4.1, 30.0)]
    [0.0, -0.4, -1.0]
    """
    if not bits > _FEWEST_BITS:
        return 0.0
    return -round(min(bits / _MOST_BITS, 1.0) * 5) / 5
