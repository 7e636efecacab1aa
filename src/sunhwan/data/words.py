"""Text to words, and words to their rank by how often they occur."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.padding import Ragged

#: what Keras's Tokenizer turned into spaces: all ASCII punctuation but the apostrophe
PUNCTUATION = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
_TO_SPACES = str.maketrans(PUNCTUATION, " " * len(PUNCTUATION))


def split_words(text: str) -> list[str]:
    """The words of a text: lower-cased, punctuation turned into spaces, split at white space.

    Examples
    --------
    >>> split_words("It isn't bad,<br />REALLY!")
    ['it', "isn't", 'bad', 'br', 'really']
    """
    return text.lower().translate(_TO_SPACES).split()


def rank_words(texts: Iterable[str]) -> tuple[Ragged, list[str]]:
    """Rank the words of `texts`: 1 is the most frequent; of equals, the one seen first.

    Returns
    -------
    rows : Ragged
        ``int32``: the ranks of the words of each text.
    words : list of str
        The word of rank 1, of rank 2, and so on.

    Examples
    --------
    >>> rows, words = rank_words(["so it is", "it is it"])
    >>> words, rows[0].tolist()
    (['it', 'is', 'so'], [3, 1, 2])
    """
    # a word gets its number at first sight, so that no text is held as a list of strings
    seen: defaultdict[str, int] = defaultdict()
    seen.default_factory = seen.__len__
    rows = Ragged.from_rows(_numbers(list(map(seen.__getitem__, split_words(t)))) for t in texts)
    numbers = rows.flat
    order = np.argsort(-np.bincount(numbers, minlength=len(seen)), kind="stable")
    rank = np.empty(len(seen), np.int32)
    rank[order] = np.arange(1, len(seen) + 1, dtype=np.int32)
    words = list(seen)
    return Ragged(rank[numbers], rows.offsets), [words[number] for number in order]


def look_up_words(texts: Iterable[str], words: Sequence[str]) -> Ragged:
    """The ranks of the words of each text, ``int32``; words that are not in `words` are left out.

    Examples
    --------
    >>> look_up_words(["it never is"], ["it", "is", "so"])[0].tolist()
    [1, 2]
    """
    rank = {word: number for number, word in enumerate(words, 1)}
    return Ragged.from_rows(
        _numbers([rank[word] for word in split_words(text) if word in rank]) for text in texts
    )


def _numbers(values: list[int]) -> NDArray[np.int32]:
    return np.array(values, np.int32)
