"""Answers to texts that need no network: what `translate` must beat to be worth its cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.drawing import affordable
from sunhwan.data.spool import take
from sunhwan.errors import DataError, ShapeError

#: more training pairs, or bytes of their sources, are not needed to see what copying can do; of
#: more, a random part is learnt from
MOST_ROWS, MOST_SIZE = 200_000, 1 << 22

#: likenesses that are in memory at a time
_AT_ONCE = 1 << 22

#: so many letters in a row are compared, and told apart by so many hashes; of one to three, two to
#: five and others, within words or not, these were best for a held-out fifth of the English and
#: Korean training sentences of Tatoeba, in both directions together
_LETTERS, _HASHES = (1, 4), 1 << 18


@dataclass(frozen=True, eq=False)
class Baseline:
    """The answers of a simple method to the test sources.

    Attributes
    ----------
    name
        ``copy of the source`` or ``nearest neighbour``.
    hypotheses
        A text for each test source.
    seconds
        To train and to answer.
    detail
        What it is, and what was chosen.
    """

    name: str
    hypotheses: list[str]
    seconds: float
    detail: str


def baselines(
    sources: Sequence[str],
    targets: Sequence[str],
    test: Sequence[str],
    *,
    seed: int,
    on_start: Callable[[str], None] | None = None,
) -> list[Baseline]:
    """Answer test sources with themselves, and with the targets of their nearest neighbours.

    Parameters
    ----------
    sources, targets
        Of the training pairs.
    test
        Sources to answer.
    seed
        Of the pairs that are drawn from a very large training part; `Baseline.detail` says how
        many.
    on_start
        Called with the name of each baseline as it begins.

    Raises
    ------
    DataError
        There is no training pair or no test source.
    ShapeError
        There are not as many targets as sources.

    Examples
    --------
    >>> copy, nearest = baselines(["I am sad.", "You won."], ["나는 슬퍼.", "네가 이겼어."],
    ...                           ["We won."], seed=1)
    >>> copy.hypotheses, nearest.hypotheses
    (['We won.'], ['네가 이겼어.'])
    """
    if len(sources) != len(targets):
        raise ShapeError(
            f"`targets` must have a text for each of {len(sources)} sources, "
            f"received {len(targets)}"
        )
    if not len(sources) or not len(test):
        raise DataError(
            "baselines need at least one training pair and one source to answer, "
            f"received {len(sources)} and {len(test)}"
        )

    def copy() -> tuple[list[str], str]:
        return list(test), "the source as it is"

    def nearest() -> tuple[list[str], str]:
        rows = _part(sources, seed)
        found = rows[_most_alike(take(sources, rows), test)]
        low, high = _LETTERS
        detail = (
            "the target of the training source that is most alike: cosine of the TF-IDF of "
            f"{low} to {high} letters"
        )
        drawn = f", from {len(rows):,} of {len(sources):,} training rows"
        note = drawn if len(rows) < len(sources) else ""
        return list(take(targets, found)), detail + note

    found = []
    for name, answer in (("copy of the source", copy), ("nearest neighbour", nearest)):
        if on_start is not None:
            on_start(name)
        start = time.perf_counter()
        hypotheses, detail = answer()
        found.append(Baseline(name, hypotheses, time.perf_counter() - start, detail))
    return found


def _part(sources: Sequence[str], seed: int) -> NDArray[np.int64]:
    """The rows that are compared: all, or of very many some drawn at random, in order."""
    most = min(MOST_ROWS, affordable(sources, MOST_SIZE))
    if most >= len(sources):
        return np.arange(len(sources))
    return np.sort(np.random.default_rng(seed).choice(len(sources), most, replace=False))


def _most_alike(known: Sequence[str], asked: Sequence[str]) -> NDArray[np.int64]:
    """``int64[N]``: the row of `known` that is most like each of `asked`; of equals the first."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    counts = HashingVectorizer(
        analyzer="char",
        ngram_range=_LETTERS,
        n_features=_HASHES,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    weigh: Any = TfidfTransformer(sublinear_tf=True)
    vectors = counts.transform(known)
    # products of vectors of length 1 are cosines
    across = weigh.fit(vectors).transform(vectors, copy=False).T.tocsr()
    found = [
        np.asarray((weigh.transform(counts.transform(some)) @ across).argmax(axis=1)).ravel()
        for some in _blocks(asked, max(1, _AT_ONCE // len(known)))
    ]
    return np.concatenate(found).astype(np.int64)


def _blocks(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (texts[start : start + size] for start in range(0, len(texts), size))
