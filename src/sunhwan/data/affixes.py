"""Tokens as several ids each: the word itself, and its first and last letters.

A tagger meets words it never saw, in Korean about half of them; their endings tell the tag
(Huang, Xu and Yu 2015, section 4.2, use such features beside word vectors).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.drawing import draw_part
from sunhwan.errors import DataError

_UNKNOWN, _FIRST = 1, 2
#: the parts of a word that get an id: how many letters, counted from the start or the end
PARTS = ("word", "last 1", "last 2", "last 3", "first 1", "first 2", "shape")


class Affixes:
    """List of tokens -> ``int32[T, K]``, an id for each of the K parts of each token.

    Parameters
    ----------
    vocabulary_size
        The most ids of each part, 0 (padding) and 1 (unknown) included.
    min_count
        Parts that occur less often in training are unknown.
    max_length
        Longer sequences are cut; None cuts nothing.

    Attributes
    ----------
    columns
        How many ids each part has.

    Examples
    --------
    >>> affixes = Affixes().fit([["나는", "학교에"], ["너는", "집에"]])
    >>> affixes.encode(["우리는"])[0, :3].tolist() == [1, affixes.encode(["나는"])[0, 1], 1]
    True
    """

    name = "affixes"
    features = 0

    def __init__(
        self, vocabulary_size: int = 20_000, min_count: int = 1, max_length: int | None = None
    ) -> None:
        self.vocabulary_size, self.min_count = vocabulary_size, min_count
        self.max_length = max_length
        self._ids: list[dict[str, int]] = [{} for _ in PARTS]
        self._learnt_from = (0, 0)

    @property
    def columns(self) -> tuple[int, ...]:
        """The number of ids of each part."""
        return tuple(len(ids) + _FIRST for ids in self._ids)

    @property
    def vocabulary(self) -> int:
        """The number of ids of whole words."""
        return self.columns[0]

    def fit(self, inputs: Sequence[Sequence[str]]) -> Self:
        """Learn the parts of training tokens, of very many of a random part; returns itself."""
        counts: list[Counter[str]] = [Counter() for _ in PARTS]
        part = draw_part(inputs)
        self._learnt_from = (len(part), len(inputs))
        for tokens in part:
            for token in tokens:
                for count, piece in zip(counts, _parts(token), strict=True):
                    count[piece] += 1
        for column, count in enumerate(counts):
            # by count, then by letters, so that the order of the data does not matter
            kept = sorted((-n, part) for part, n in count.items() if n >= self.min_count)
            names = [part for _, part in kept[: self.vocabulary_size - _FIRST]]
            self._ids[column] = {part: number for number, part in enumerate(names, _FIRST)}
        return self

    def encode(self, value: Sequence[str]) -> NDArray[np.int32]:
        """``int32[T, K]``."""
        tokens = value[: self.max_length]
        if not tokens:
            return np.full((1, len(PARTS)), _UNKNOWN, np.int32)
        return np.array(
            [
                [ids.get(part, _UNKNOWN) for ids, part in zip(self._ids, _parts(t), strict=True)]
                for t in tokens
            ],
            np.int32,
        )

    def describe(self, inputs: Sequence[Sequence[str]]) -> list[str]:
        """Lines on the vocabulary and the words that are not in it."""
        count = unknown = 0
        for tokens in inputs:
            count += len(tokens)
            words = (unicodedata.normalize("NFC", token) for token in tokens)
            unknown += sum(word not in self._ids[0] for word in words)
        part, total = self._learnt_from
        learnt = f", learnt from {part:,} of {total:,} sequences" if part < total else ""
        return [
            f"words: {self.columns[0] - _FIRST:,}, each with {len(PARTS) - 1} parts{learnt}",
            f"{unknown / max(count, 1):.2%} of {count:,} words are not among them",
        ]

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        return {
            "name": self.name,
            "vocabulary_size": self.vocabulary_size,
            "min_count": self.min_count,
            "max_length": self.max_length,
            "parts": {part: list(ids) for part, ids in zip(PARTS, self._ids, strict=True)},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Affixes:
        """The encoder whose `config` gave this.

        Raises
        ------
        DataError
            It is not as `config` writes it.
        """
        parts = config.get("parts")
        numbers = [config.get("vocabulary_size"), config.get("min_count")]
        longest = config.get("max_length")
        sizes = [*numbers, 1 if longest is None else longest]
        fits = (
            set(config) == {"name", "vocabulary_size", "min_count", "max_length", "parts"}
            and isinstance(parts, Mapping)
            and list(parts) == list(PARTS)
            and all(type(n) is int and n >= 1 for n in sizes)
            and all(
                isinstance(names, list)
                and all(isinstance(name, str) for name in names)
                and len(set(names)) == len(names)
                for names in parts.values()
            )
        )
        if not fits:
            raise DataError("the encoder `affixes` is not as it was written")
        found = cls(numbers[0], numbers[1], longest)  # type: ignore[arg-type]
        found._ids = [
            {part: number for number, part in enumerate(parts[name], _FIRST)}  # type: ignore[index]
            for name in PARTS
        ]
        return found


def _parts(token: str) -> tuple[str, ...]:
    word = unicodedata.normalize("NFC", token)
    return (word, word[-1:], word[-2:], word[-3:], word[:1], word[:2], _shape(word))


def _shape(word: str) -> str:
    """The kinds of letters of a word, such as ``Aa`` or ``9.9``, runs taken together."""
    shape = ""
    for letter in word:
        category = unicodedata.category(letter)
        mark = {"Lu": "A", "Ll": "a", "Lo": "o", "Nd": "9"}.get(category, letter)
        if not shape.endswith(mark):
            shape += mark
    return shape[:6]
