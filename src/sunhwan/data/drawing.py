"""Inputs that are too many to look at all of them, or at all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from sunhwan.data.spool import take

Input = TypeVar("Input")

#: bytes of text from which a vocabulary is learnt
MOST = 1 << 26


def affordable(inputs: Sequence[Any], most: int) -> int:
    """How many of `inputs` hold at most so many bytes of text, or numbers, if all are as large.

    Parameters
    ----------
    inputs
        Texts, lists of tokens or arrays.

    Examples
    --------
    >>> affordable(["abc", "defgh", "", "ij"], 5), affordable(["abc"], 5)
    (2, 1)
    """
    total = sum(map(_extent, inputs))
    return len(inputs) if total <= most else max(1, len(inputs) * most // total)


def draw_part(inputs: Sequence[Any], most: int = MOST) -> Sequence[Any]:
    """`inputs`, or where they hold more bytes than `most`, a random part that holds about as many.

    The part depends on nothing but `inputs`, whose order it keeps.

    Examples
    --------
    >>> draw_part(["abc", "defgh", "", "ij"], most=5)
    ['', 'ij']
    """
    count = affordable(inputs, most)
    if count == len(inputs):
        return inputs
    random = np.random.default_rng(len(inputs))
    return take(inputs, np.sort(random.choice(len(inputs), count, replace=False)))


def in_blocks(inputs: Iterable[Input], most: int) -> Iterator[list[Input]]:
    """`inputs`, as many at a time as hold about `most` bytes of text, or numbers; at least one.

    Examples
    --------
    >>> list(in_blocks(["abc", "de", "fg", "h"], 4))
    [['abc', 'de'], ['fg', 'h']]
    """
    block: list[Input] = []
    size = 0
    for value in inputs:
        block.append(value)
        size += _extent(value)
        if size >= most:
            yield block
            block, size = [], 0
    if block:
        yield block


def _extent(value: Any) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return sum(map(_extent, value)) if isinstance(value, list) else int(np.size(value))
