"""Texts as whole numbers, as Keras's IMDB and Reuters write them.

0 pads, 1 starts a text, 2 stands for a word that was left out, 3 is never used, and the word of
rank r is r + 3: "the", the most frequent word, is 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sunhwan.data import corpora
from sunhwan.data.padding import Ragged
from sunhwan.errors import UsageError

PAD, START, OUT_OF_VOCABULARY, INDEX_FROM = 0, 1, 2, 3


class Split(NamedTuple):
    """Rows and their targets: `x` ``[N, ...]``, `y` ``[N]``."""

    x: NDArray[Any]
    y: NDArray[Any]


def load_data(
    name: str,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = corpora.SEED,
    start_char: int | None = START,
    oov_char: int | None = OUT_OF_VOCABULARY,
    index_from: int = INDEX_FROM,
    *,
    test_split: float = corpora.USUAL_SPLIT,
    path: str | None = None,
) -> tuple[Split, Split]:
    """A corpus as `keras.datasets` gives it: ``(x_train, y_train), (x_test, y_test)``.

    Parameters
    ----------
    name
        ``"imdb"`` or ``"reuters"``.
    num_words
        Only numbers below this stay; ``None`` keeps every word.
    skip_top
        Numbers below this are left out too.
    maxlen
        Rows of this length or longer are left out, not cut: so does Keras.
    seed
        Of the order of the rows.
    start_char
        Starts each row; ``None`` for nothing.
    oov_char
        Stands for each number left out; ``None`` for nothing.
    index_from
        Added to each rank.
    test_split
        Reuters only; see `sunhwan.data.corpora.Corpus.parts`.
    path
        The name of the downloaded file in Keras's cache.

    Returns
    -------
    tuple of Split
        `x` is ``object[N]`` of lists of int, `y` is ``int64[N]``.
    """
    longest = maxlen - 1 - (start_char is not None) if maxlen else None
    parts = corpora.read(corpora.find(name, path), seed, test_split, longest)
    marks = (num_words, skip_top, start_char, oov_char, index_from)
    train, test = (Split(to_indices(part.x, *marks).lists(), part.y) for part in parts)
    return train, test


def to_indices(
    ranks: Ragged,
    num_words: int | None = None,
    skip_top: int = 0,
    start_char: int | None = START,
    oov_char: int | None = OUT_OF_VOCABULARY,
    index_from: int = INDEX_FROM,
) -> Ragged:
    """Ranks of words from 1 as the numbers that a model takes; arguments as for `load_data`.

    Raises
    ------
    UsageError
        `num_words` leaves no number.

    Examples
    --------
    >>> rows = Ragged.from_rows([np.array([1, 9, 2])])
    >>> to_indices(rows, num_words=10)[0].tolist()
    [1, 4, 2, 5]
    """
    if num_words is not None and num_words < 1:
        raise UsageError(f"`num_words` must be at least 1, received {num_words}")
    indices = Ragged(ranks.flat + np.int32(index_from), ranks.offsets)
    if start_char is not None:
        indices = _start_rows(indices, start_char)
    keep = indices.flat >= skip_top
    if num_words is not None:
        keep &= indices.flat < num_words
    if oov_char is None:
        return indices.keep(keep)
    return Ragged(np.where(keep, indices.flat, np.int32(oov_char)), indices.offsets)


def decode(
    indices: Iterable[int],
    ranks: Mapping[str, int],
    *,
    start_char: int | None = START,
    oov_char: int | None = OUT_OF_VOCABULARY,
    index_from: int = INDEX_FROM,
) -> str:
    """The text of a row: its words, with ``[START]`` and ``[OOV]``, without what pads it.

    Parameters
    ----------
    indices
        One row of `load_data` or `datasets.load`.
    ranks
        Each word and its rank, as `get_word_index` gives them.
    start_char, oov_char, index_from
        As they were when the row was made.

    Raises
    ------
    UsageError
        A number stands for no word; names it and its place.

    Examples
    --------
    >>> decode([0, 0, 1, 4, 2, 5], {"the": 1, "and": 2})
    '[START] the [OOV] and'
    """
    texts = {rank + index_from: word for word, rank in ranks.items()}
    marks = {start_char: "[START]", oov_char: "[OOV]"}
    texts |= {mark: text for mark, text in marks.items() if mark is not None}
    words = []
    for place, index in enumerate(indices):
        if index == PAD and PAD not in texts:
            continue
        if index not in texts:
            raise UsageError(
                f"step {place} of the row must be a number of the word index, received {index}"
            )
        words.append(texts[index])
    return " ".join(words)


def _start_rows(rows: Ragged, mark: int) -> Ragged:
    offsets = rows.offsets + np.arange(len(rows.offsets))
    flat = np.empty(offsets[-1], rows.flat.dtype)
    starts = np.zeros(len(flat), np.bool_)
    starts[offsets[:-1]] = True
    flat[starts] = mark
    flat[~starts] = rows.flat
    return Ragged(flat, offsets)
