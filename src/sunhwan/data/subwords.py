"""Sub-words learnt from texts, by byte-pair encoding or a unigram language model.

Both split at spaces first, so that a piece is part of one word or of one run of punctuation; a word
starts with ``▁`` as in SentencePiece. Learning is a function of the texts alone. `tokenizers`
learns BPE so, but its unigram trainer sums in the order of a randomly seeded hash map, hence
`learn_unigram` does that part itself; both leave the splitting to the library.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.drawing import in_blocks
from sunhwan.data.padding import Ragged
from sunhwan.errors import DataError

#: stands for the space before a word
SPACE = "▁"
# names of the ids 0 and 1; no piece of a text holds a space, so no text can spell them
_RESERVED = ["padding (0)", "unknown (1)"]
#: pieces of more characters are not learnt
_LONGEST_PIECE = 16
#: `learn_unigram` starts with this many times the pieces wanted, and keeps this share each round
_SEEDS, _SHRINK = 4, 0.75
#: `learn_unigram` looks at the most frequent words only: the many that occur once add little
_WORDS = 100_000
#: and at longer ones in parts, as their probability could be too small for a float
_LONGEST_WORD = 28
#: words handed to the library in one call: its results hold far more than the ids
_BLOCK = 20_000
#: characters of texts that are split at a time
_AT_ONCE = 1 << 22
#: scores below are no logarithm of the share of a piece in any text
_LOWEST_SCORE = -1000.0
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Pieces:
    """Sub-words and how a word is split into them.

    Attributes
    ----------
    tokens
        The sub-words; number ``n`` has id ``n + 2``.
    merges
        For BPE, what joins to what, first merge first; else empty.
    scores
        For unigram, the logarithm of each token's probability; else empty.
    """

    tokens: list[str]
    merges: list[tuple[str, str]]
    scores: list[float]

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer, models

        names = [*_RESERVED, *self.tokens]
        model: Any
        if self.scores:
            lowest = min(self.scores)
            scores = [lowest, lowest, *self.scores]
            model = models.Unigram(list(zip(names, scores, strict=True)), unk_id=1)
        else:
            ids = {name: number for number, name in enumerate(names)}
            model = models.BPE(ids, self.merges, unk_token=_RESERVED[1])
        tokenizer = Tokenizer(model)
        tokenizer.pre_tokenizer = _pre_tokenizer()
        return tokenizer

    def ids_of_words(self, words: Sequence[str]) -> Ragged:
        """The ids of each word, ``int32``, 1 where a character is unknown."""
        rows: list[list[int]] = []
        for start in range(0, len(words), _BLOCK):
            block = list(words[start : start + _BLOCK])
            rows += [word.ids for word in self._tokenizer.encode_batch_fast(block)]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        flat = np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum()))
        return Ragged(flat, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]))

    def ids_of_texts(self, texts: Iterable[str]) -> Iterator[NDArray[np.int32]]:
        """The ids of each text; a word that occurs again soon is not split again."""
        for block in in_blocks(texts, _AT_ONCE):
            seen: defaultdict[str, int] = defaultdict()
            seen.default_factory = seen.__len__
            numbers = Ragged.from_rows(
                np.array([seen[word] for word in split_at_spaces(text)], np.int64) for text in block
            )
            rows = self.ids_of_words(list(seen)).take(numbers.flat.astype(np.int64))
            for start, end in pairwise(rows.offsets[numbers.offsets]):
                # a copy, so that no text keeps the whole block in memory
                yield rows.flat[start:end].copy()


def split_at_spaces(text: str) -> list[str]:
    """The words of a text with their punctuation.

    Examples
    --------
    >>> split_at_spaces(" 정말  좋다! ")
    ['정말', '좋다!']
    """
    return text.replace(SPACE, " ").split()


def learn_bpe(texts: Sequence[str], size: int, min_count: int) -> Pieces:
    """Pieces by byte-pair encoding: the most frequent pair of pieces becomes one, over and over.

    Parameters
    ----------
    texts
        In NFC.
    size
        Ids, 0 and 1 included. At most half of them go to single characters, the most frequent.
    min_count
        How often a character, or a pair, must occur.

    Notes
    -----
    Sennrich, Haddow and Birch (2016), `Neural machine translation of rare words with subword
    units <https://aclanthology.org/P16-1162>`_.
    """
    return _merge(_known_part(texts, size, min_count), size, min_count)


def learn_unigram(texts: Sequence[str], size: int, min_count: int) -> Pieces:
    """Pieces by a unigram language model: of many candidates, those the texts would miss most.

    Parameters are as in `learn_bpe`, whose pieces are the candidates.

    Notes
    -----
    Kudo (2018), `Subword regularization <https://aclanthology.org/P18-1007>`_, section 3.2, with
    the sparse prior of SentencePiece in the M step.
    """
    known = _known_part(texts, size, min_count)
    seeds = _merge(known, _SEEDS * size, min_count)
    words: Counter[str] = Counter()
    for word, count in _count_words(known).items():
        for start in range(0, len(word), _LONGEST_WORD):
            words[word[start : start + _LONGEST_WORD]] += count
    if not words:
        return Pieces([], [], [])
    names = [word for word, _ in words.most_common(_WORDS)]
    tokens, counts = seeds.tokens, [words[name] for name in names]
    paths = Paths([SPACE + name for name in names], counts, tokens)
    expected = _count_formed(seeds, names, counts)
    while True:
        for _ in range(2):
            expected = paths.expected(np.exp(_scores(expected)))
        scores = _scores(expected)
        if len(tokens) <= size - len(_RESERVED):
            order = sorted(range(len(tokens)), key=lambda n: (-scores[n], tokens[n]))
            return Pieces([tokens[n] for n in order], [], [float(scores[n]) for n in order])
        most = max(size - len(_RESERVED), int(_SHRINK * len(tokens)))
        kept = _worth_keeping(tokens, scores, expected, most)
        tokens, expected = [tokens[n] for n in kept], expected[kept]
        paths.keep(kept)


#: how pieces are learnt, by the name of the algorithm
ALGORITHMS: dict[str, Callable[[Sequence[str], int, int], Pieces]] = {
    "bpe": learn_bpe,
    "unigram": learn_unigram,
}


def check_tokens(tokens: Any, most: int) -> list[str]:
    """The ``tokens`` of a configuration, if they are 1 to `most` different texts.

    Raises
    ------
    DataError
        They are something else.
    """
    if not isinstance(tokens, list) or not 1 <= len(tokens) <= most:
        size = f"{len(tokens):,}" if isinstance(tokens, list) else type(tokens).__name__
        raise DataError(f"`tokens` must be a list of 1 to {most:,} strings, received {size}")
    for row, token in enumerate(tokens):
        if not isinstance(token, str) or not token or _SURROGATE.search(token):
            raise DataError(f"`tokens`[{row}] must be some text, received {token!r:.50}")
    if len(set(tokens)) < len(tokens):
        twice = Counter(tokens).most_common(1)[0][0]
        raise DataError(f"`tokens` must be unique, received {twice[:50]!r} more than once")
    return list(tokens)


def check_pieces(algorithm: str, tokens: list[str], config: Mapping[str, Any]) -> Pieces:
    """Pieces from the ``merges`` and ``scores`` of a configuration.

    Raises
    ------
    DataError
        They are not what the algorithm has, or do not go with `tokens`.
    """
    merges, scores = config["merges"], config["scores"]
    if not isinstance(merges, list) or not isinstance(scores, list):
        raise DataError("`merges` and `scores` must be lists")
    wanted = (0, len(tokens)) if algorithm == "unigram" else (len(merges), 0)
    if (len(merges), len(scores)) != wanted:
        raise DataError(
            f"{algorithm} must have {wanted[0]} `merges` and {wanted[1]} `scores`, "
            f"received {len(merges)} and {len(scores)}"
        )
    known = set(tokens)
    for row, merge in enumerate(merges):
        pair = isinstance(merge, list) and len(merge) == 2
        if not pair or not all(isinstance(part, str) for part in merge):
            raise DataError(f"`merges`[{row}] must be two strings")
        if not known.issuperset([*merge, "".join(merge)]):
            raise DataError(f"`merges`[{row}] must join two tokens to a third")
    if len({tuple(merge) for merge in merges}) < len(merges):
        raise DataError("`merges` must be unique")
    for row, score in enumerate(scores):
        if type(score) is not float or not _LOWEST_SCORE <= score <= 0.0:
            raise DataError(
                f"`scores`[{row}] must be a float from {_LOWEST_SCORE:g} to 0, received {score!r}"
            )
    return Pieces(tokens, [(left, right) for left, right in merges], scores)


def _pre_tokenizer() -> Any:
    from tokenizers import pre_tokenizers

    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"),
            pre_tokenizers.Punctuation("contiguous"),
        ]
    )


def _count_words(texts: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_at_spaces(text))
    return counts


def _known_part(texts: Sequence[str], size: int, min_count: int) -> list[str]:
    """The texts with characters that get no id turned into spaces.

    At most half of `size` do, each at least `min_count` times; left to itself, the library
    chooses among equally frequent ones at random.
    """
    counts: Counter[str] = Counter()
    for word, count in _count_words(texts).items():
        for character in word:
            counts[character] += count
    often = sorted(counts, key=lambda character: (-counts[character], character))
    place = (size - len(_RESERVED)) // 2
    rare = {c for n, c in enumerate(often) if n >= place or counts[c] < min_count}
    table = dict.fromkeys(map(ord, rare | {SPACE}), " ")
    return [" ".join(text.translate(table).split()) for text in texts]


def _merge(texts: Sequence[str], size: int, min_count: int) -> Pieces:
    from tokenizers import Tokenizer, models, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _pre_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(_RESERVED),
        min_frequency=min_count,
        max_token_length=_LONGEST_PIECE,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    return Pieces(tokens, [(left, right) for left, right in model["merges"]], [])


def _count_formed(pieces: Pieces, words: list[str], counts: list[int]) -> NDArray[np.float64]:
    """About how often BPE forms each piece, those included that a later merge takes up."""
    ids = pieces.ids_of_words(words)
    weights = np.repeat(np.array(counts, np.float64), ids.lengths)
    formed = np.zeros(len(pieces.tokens) + 2)
    np.add.at(formed, ids.flat, weights)
    formed = formed[2:]
    place = {token: number for number, token in enumerate(pieces.tokens)}
    for left, right in reversed(pieces.merges):
        for part in (left, right):
            formed[place[part]] += formed[place[left + right]]
    return formed


def _scores(expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithms of the probabilities, lower for rare pieces than their share."""
    from scipy.special import digamma

    counts = np.maximum(expected, 0.5)
    return np.minimum(digamma(counts) - digamma(counts.sum()), 0.0)


def _worth_keeping(
    tokens: list[str], scores: NDArray[np.float64], expected: NDArray[np.float64], most: int
) -> NDArray[np.int64]:
    """The numbers of the characters, and of the other pieces whose loss would cost most."""
    known = dict(zip(tokens, scores.tolist(), strict=True))
    cost = np.full(len(tokens), np.inf)
    for number, token in enumerate(tokens):
        if len(token) > 1:
            cost[number] = expected[number] * (known[token] - _best_split(token, known))
    return np.sort(np.argsort(-cost, kind="stable")[:most])


def _best_split(piece: str, scores: Mapping[str, float]) -> float:
    """The score of the likeliest way to write a piece as two or more others."""
    best = [0.0] + [-math.inf] * len(piece)
    for end in range(1, len(piece) + 1):
        for start in range(end):
            part = piece[start:end]
            if part != piece and part in scores:
                best[end] = max(best[end], best[start] + scores[part])
    return best[-1]


class Paths:
    """All ways to write each of a list of words with pieces, as edges between places in them.

    Parameters
    ----------
    words, counts
        The words, and how often each occurs.
    pieces
        What an edge may stand for; all characters of the words among them.
    """

    def __init__(self, words: Sequence[str], counts: Sequence[int], pieces: Sequence[str]) -> None:
        number = {piece: n for n, piece in enumerate(pieces)}
        longest = max(map(len, pieces))
        edges = [
            (row, start, end, number[word[start:end]])
            for row, word in enumerate(words)
            for start in range(len(word))
            for end in range(start + 1, min(start + longest, len(word)) + 1)
            if word[start:end] in number
        ]
        lengths = np.array([len(word) for word in words])
        self._last = np.cumsum(lengths + 1) - 1
        self._first = self._last - lengths
        self._counts = np.array(counts, np.float64)
        self._pieces = len(pieces)
        table = np.array(edges, np.int32)
        # by their end, so that an edge comes after all that lead to its start
        self._edges = table[np.argsort(table[:, 2], kind="stable")]

    def keep(self, pieces: NDArray[np.int64]) -> None:
        """Drop all pieces but these, whose numbers become 0, 1, …"""
        number = np.full(self._pieces, -1, np.int32)
        number[pieces] = np.arange(len(pieces))
        self._edges[:, 3] = number[self._edges[:, 3]]
        self._edges = self._edges[self._edges[:, 3] >= 0]
        self._pieces = len(pieces)

    def expected(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """How often each piece is used, on average over all ways by their probability.

        Parameters
        ----------
        probability
            ``float64[pieces]``.

        Returns
        -------
        ndarray
            ``float64[pieces]``.
        """
        rows, starts, ends, pieces = self._edges.T
        sources, targets = self._first[rows] + starts, self._first[rows] + ends
        weights = probability[pieces]
        bounds = np.searchsorted(ends, np.arange(1, ends[-1] + 2))
        steps = [slice(low, high) for low, high in pairwise(bounds)]
        before, after = np.zeros((2, self._last[-1] + 1))
        before[self._first] = after[self._last] = 1.0
        for step in steps:
            np.add.at(before, targets[step], before[sources[step]] * weights[step])
        for step in reversed(steps):
            np.add.at(after, sources[step], after[targets[step]] * weights[step])
        share = before[sources] * weights * after[targets] / before[self._last][rows]
        expected = np.zeros(self._pieces)
        np.add.at(expected, pieces, share * self._counts[rows])
        return expected
