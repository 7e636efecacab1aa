"""Baselines that tag words: the commonest tag of each word, and a Markov chain of tags."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: so many of a word's last characters are looked at; chosen by cross-validation on the training
#: part of the Kaist treebank, see benchmarks/results/baseline-settings.json
ENDING = 5

# no ending can be mistaken for a whole word
_WHOLE = "\0"


class WordTags:
    """How often each word, and each ending of words, had each tag.

    Parameters
    ----------
    words, tags
        The words of each training sentence and the numbers of their tags.
    classes
        How many tags there are.
    ending
        So many of a word's last characters are looked at.
    """

    def __init__(
        self,
        words: Sequence[Sequence[str]],
        tags: Sequence[Sequence[int]],
        classes: int,
        ending: int = ENDING,
    ) -> None:
        self._ending = ending
        self._counts: defaultdict[str, Counter[int]] = defaultdict(Counter)
        for sentence, answer in zip(words, tags, strict=True):
            for word, tag in zip(sentence, answer, strict=True):
                for key in self._keys(word):
                    self._counts[key][tag] += 1
        count = np.bincount(np.concatenate([np.asarray(tag, np.int64) for tag in tags]),
                            minlength=classes)  # fmt: skip
        #: share of each tag, ``float64[C]``, none of them 0
        self.shares: Floats = (count + 1) / (count + 1).sum()

    def commonest(self, word: str) -> int:
        """The commonest tag of a word; of an unknown word that of its longest known ending."""
        found = self._known(word)
        return found[-1].most_common(1)[0][0] if found else int(self.shares.argmax())

    def probabilities(self, word: str) -> Floats:
        """P(tag | word), ``float64[C]``.

        From the shares of all tags over ever longer endings to the word itself, each mixed with
        the one before by how many different tags it has (Witten and Bell 1991).
        """
        result = self.shares
        for counts in self._known(word):
            mixed = result * len(counts)
            mixed[list(counts)] += list(counts.values())
            result = mixed / (counts.total() + len(counts))
        return result

    def _known(self, word: str) -> list[Counter[int]]:
        """Counts of the known endings of a word, the shortest first, then of the word."""
        return [self._counts[key] for key in self._keys(word) if key in self._counts]

    def _keys(self, word: str) -> list[str]:
        endings = [word[-length:] for length in range(1, min(self._ending, len(word)) + 1)]
        return [*endings, _WHOLE + word]


def most_frequent(
    train: Sequence[Sequence[str]],
    tags: Sequence[Sequence[int]],
    test: Sequence[Sequence[str]],
    classes: int,
    ending: int = ENDING,
) -> tuple[list[list[int]], str]:
    """The commonest tag of each word; unknown words go by at most `ending` last characters.

    Returns
    -------
    tuple
        Numbers of the tags of each test sentence, and a line on how they were found.

    Examples
    --------
    >>> most_frequent([["dogs", "bark"], ["cats", "purr"]], [[0, 1], [0, 1]], [["birds"]], 2)[0]
    [[0]]
    """
    known = WordTags(train, tags, classes, ending)
    words = {word for sentence in train for word in sentence}
    unknown = [word not in words for sentence in test for word in sentence]
    share = sum(unknown) / max(1, len(unknown))
    return (
        [[known.commonest(word) for word in sentence] for sentence in test],
        f"unknown words ({share:.1%}) by their last characters",
    )


def markov_chain(
    train: Sequence[Sequence[str]],
    tags: Sequence[Sequence[int]],
    test: Sequence[Sequence[str]],
    classes: int,
    ending: int = ENDING,
) -> tuple[list[list[int]], str]:
    """The likeliest tags of each sentence by a hidden Markov model (Rabiner 1989).

    Tags follow each other with the probabilities seen in training; words come from their tag
    with P(word | tag), proportional to P(tag | word) / P(tag), which unknown words have too
    (Brants 2000). Both are smoothed after Witten and Bell.
    """
    known = WordTags(train, tags, classes, ending)
    follow = _transitions(tags, classes)
    emissions = lru_cache(maxsize=None)(
        lambda word: np.log(known.probabilities(word) / known.shares)
    )
    answers = [
        _likeliest(np.array([emissions(word) for word in sentence]), follow) if sentence else []
        for sentence in test
    ]
    return answers, f"hidden Markov model of {classes} tags, Viterbi's path"


def _transitions(tags: Sequence[Sequence[int]], classes: int) -> Floats:
    """log P(next tag | tag), ``float64[C + 1, C + 1]``; number C is the edge of a sentence."""
    counts = np.zeros((classes + 1, classes + 1))
    for answer in tags:
        path = [classes, *answer, classes]
        np.add.at(counts, (path[:-1], path[1:]), 1)
    shares = (counts.sum(0) + 1) / (counts.sum() + classes + 1)
    # a tag that was never seen has followers all the same
    kinds = np.maximum((counts > 0).sum(1, keepdims=True), 1)
    return np.log((counts + kinds * shares) / (counts.sum(1, keepdims=True) + kinds))


def _likeliest(emissions: Floats, follow: Floats) -> list[int]:
    """Viterbi's path for ``float64[T, C]`` and `_transitions`."""
    edge = emissions.shape[1]
    score = follow[edge, :edge] + emissions[0]
    origins = []
    for emission in emissions[1:]:
        paths = score[:, None] + follow[:edge, :edge]
        origins.append(paths.argmax(axis=0))
        score = paths.max(axis=0) + emission
    path = [int((score + follow[:edge, edge]).argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return path[::-1]
