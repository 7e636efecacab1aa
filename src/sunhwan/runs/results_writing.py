"""The parts of the report about a language model: what it writes, and what surprised it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sunhwan.runs.page import Block, Passage, Section
from sunhwan.runs.results_values import floats, records
from sunhwan.runs.wording import Words

#: bits of a token from which on it is coloured as strongly as can be
_MOST_BITS = 10.0
#: bits below which a token is not coloured
_FEWEST_BITS = 2.0


def samples(results: Mapping[str, Any], words: Words) -> list[Section]:
    """What the network writes from nothing, at several temperatures."""
    found = records(results, "samples")
    blocks: list[Block] = [
        Passage(
            words("writing.head", temperature=entry.get("temperature")),
            [(str(entry.get("text", "")), 0.0)],
        )
        for entry in found
    ]
    if not blocks:
        return []
    return [Section(words("section.writing"), [words("writing.read"), *blocks])]


def surprise(results: Mapping[str, Any], words: Words) -> list[Section]:
    """The beginning of the test part, each token coloured by the bits that it took."""
    given = results.get("surprise", {})
    tokens, bits = given.get("tokens", []), floats(given.get("bits", []))
    if not tokens or len(tokens) != len(bits):
        return []
    spans = [
        (str(token), -min(float(took) / _MOST_BITS, 1.0) if took > _FEWEST_BITS else 0.0)
        for token, took in zip(tokens, bits, strict=True)
    ]
    read = words("surprise.read", low=f"{_FEWEST_BITS:g}", high=f"{_MOST_BITS:g}")
    return [Section(words("section.surprise"), [read, Passage(words("surprise.head"), spans)])]
