"""Language models that need no network: what `generate` must beat to be worth its cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.spool import lengths
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.language_batches import joined

Ids = NDArray[np.int32]
Floats = NDArray[np.float64]
_Whole = NDArray[np.int64]

#: the Markov chain looks at 1, at 2, ... at so many tokens before the next
MOST_BEFORE = 8

#: counts take some 200 bytes a token; of a longer training part the front is learnt from
MOST_TOKENS = 1 << 22

#: places whose probabilities are in memory at a time
_BLOCK = 1 << 18

# what counts of 1, 2 and more are lowered by where too few differ to tell (lmplz of KenLM does so)
_DISCOUNTS = (0.5, 1.0, 1.5)

#: behind the keys of each level, for what is greater than all of them
_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Baseline:
    """How well a simple language model foretells the test part.

    Attributes
    ----------
    name
        ``unigram`` or ``Markov chain``.
    loss
        Mean of `losses`: nats per token.
    losses
        ``float64[N]``: -log of the probability of each token of the test part and of the end
        behind each text, in order, as `sunhwan.tasks.language_batches.joined` lays them.
    seconds
        To train and to answer.
    detail
        What it is, and what was chosen.
    """

    name: str
    loss: float
    losses: Floats
    seconds: float
    detail: str


def baselines(
    train: Sequence[Ids],
    validation: Sequence[Ids],
    test: Sequence[Ids],
    vocabulary: int,
    *,
    closed: bool = True,
    on_start: Callable[[str], None] | None = None,
) -> list[Baseline]:
    """The unigram model and a Markov chain, learnt from `train` and judged on `test`.

    The Markov chain looks at as many tokens, 1 to 8, as foretell the validation part best. A text
    is foretold from nothing before its front.

    Parameters
    ----------
    train, validation, test
        ``int32[T]`` of each text, ids below ``vocabulary - 1``. Of a training part of more than
        `MOST_TOKENS` the front is learnt from; `Baseline.detail` says how much.
    vocabulary
        V, the id of the end, ``V - 1``, counted.
    closed
        Whether the last text of each part is whole, so that its end is foretold too; not where the
        parts are pieces of one long text.
    on_start
        Called with the name of each baseline as it begins.

    Raises
    ------
    UsageError
        `vocabulary` is less than 2.
    DataError
        A part has no token to foretell, or an id that is no token's.

    Examples
    --------
    >>> texts = [np.array([0, 1, 2, 3] * 9, np.int32)]
    >>> unigram, chain = baselines(texts, texts, texts, vocabulary=5)
    >>> round(unigram.loss, 2), round(chain.loss, 2), chain.losses.shape
    (1.48, 0.12, (37,))
    >>> chain.detail
    'looks at 8 tokens, of 1 to 8, chosen on the validation part; modified Kneser-Ney smoothing'
    """
    if vocabulary < 2:
        raise UsageError(
            f"`vocabulary` must be at least 2, a token and the end, received {vocabulary}"
        )
    end = vocabulary - 1
    learnt, note = _front(train, end, closed)
    chosen_by = _row("validation", validation, end, closed)
    wanted = _row("test", test, end, closed)

    def unigram() -> tuple[Floats, str]:
        losses = _of_order(NGrams(learnt, vocabulary, 0), wanted, 0)
        return losses, "how often each token occurs in training"

    def chain() -> tuple[Floats, str]:
        model = NGrams(learnt, vocabulary, MOST_BEFORE)
        sums = sum(block.sum(axis=1) for block in model.losses(chosen_by))
        order = 1 + int(np.argmin(np.asarray(sums)[1:]))
        tokens = "token" if order == 1 else "tokens"
        detail = (
            f"looks at {order} {tokens}, of 1 to {MOST_BEFORE}, chosen on the validation part; "
            "modified Kneser-Ney smoothing"
        )
        return _of_order(model, wanted, order), detail

    found = []
    for name, answer in (("unigram", unigram), ("Markov chain", chain)):
        if on_start is not None:
            on_start(name)
        start = time.perf_counter()
        losses, detail = answer()
        seconds = time.perf_counter() - start
        found.append(Baseline(name, float(losses.mean()), losses, seconds, detail + note))
    return found


class NGrams:
    """Interpolated n-gram models of all orders from 0 up, smoothed after Kneser and Ney.

    With c the count of the tokens h and w, D what such a count is lowered by, and h' without its
    first token (Chen and Goodman 1999, "modified Kneser-Ney")::

        p(w | h) = (c(h w) - D(c(h w))) / c(h) + gamma(h) p(w | h')

    where gamma(h) is what was taken from the counts after h. Below the highest order c is not how
    often h w occurs, but after how many different tokens; at the front of a text, where there is
    nothing before, how often. Order 0 goes on to ``1 / V``, so nothing is impossible.

    Parameters
    ----------
    ids
        ``int32[N + 1]``: the end, ``V - 1``, and texts with the end between them.
    vocabulary
        V.
    order
        Of the highest model: at how many tokens before the next it looks.

    Examples
    --------
    >>> model = NGrams(np.array([2, 0, 1, 0, 1, 0, 2], np.int32), vocabulary=3, order=1)
    >>> (losses,) = model.losses(np.array([2, 0, 1], np.int32))
    >>> np.exp(-losses).round(3).tolist()
    [[0.417, 0.333], [0.708, 0.479]]
    """

    def __init__(self, ids: Ids, vocabulary: int, order: int) -> None:
        self._vocabulary = vocabulary
        tokens = ids.astype(np.int64)
        #: for each order the sorted n-grams: number of the tokens before * V + token
        self._keys: list[_Whole] = []
        #: the highest model of each order, and what orders above go on to
        self._highest: list[_Shares] = []
        self._lower: list[_Shares] = []
        level = _Level(np.arange(vocabulary), np.bincount(tokens[1:], minlength=vocabulary), tokens)
        # n-grams that begin with the end have nothing to their left
        is_first = level.keys == vocabulary - 1
        contexts = 1
        for size in range(order + 1):
            before = level.keys // vocabulary
            is_first = is_first[before] if size else is_first
            self._keys.append(np.append(level.keys, _LAST))
            self._highest.append(_shares(before, level.counts, contexts))
            if size < order:
                longer, without_first = self._longer(tokens, level, size)
                kinds = np.bincount(without_first, minlength=len(level.keys))
                if size:
                    kinds[is_first] = level.counts[is_first]
                self._lower.append(_shares(before, kinds, contexts))
                contexts, level = len(level.keys), longer

    def losses(self, ids: Ids) -> Iterator[Floats]:
        """-log of the probability of each id but the first, a block at a time.

        Parameters
        ----------
        ids
            ``int32[N + 1]``, as those that are learnt from.

        Yields
        ------
        ndarray
            ``float64[order + 1, n]``: a row for each order.
        """
        order = len(self._keys) - 1
        for first in range(1, len(ids), _BLOCK):
            start = max(0, first - order)
            tokens = ids[start : first + _BLOCK].astype(np.int64)
            yield -np.log(self._probabilities(tokens)[:, first - start :])

    def _probabilities(self, tokens: _Whole) -> Floats:
        """``float64[order + 1, n]``; right from the first token on that has enough before it."""
        result = np.empty((len(self._keys), len(tokens)))
        below = np.full(len(tokens), 1 / self._vocabulary)
        numbers = tokens
        before = np.zeros(len(tokens), np.int64)
        for size, keys in enumerate(self._keys):
            if size:
                before = self._before(tokens, numbers, size - 1)
                wanted = before * self._vocabulary + tokens
                places = np.searchsorted(keys, wanted)
                numbers = np.where(keys[places] == wanted, places, -1)
            result[size] = self._highest[size].mixed(before, numbers, below)
            if size < len(self._lower):
                below = self._lower[size].mixed(before, numbers, below)
        return result

    def _before(self, tokens: _Whole, numbers: _Whole, size: int) -> _Whole:
        """For each place the number of the ``size + 1`` tokens before it, or -1.

        `numbers` are those of the n-grams that end at each place. None reaches over the end of a
        text: behind it, only the end itself is before a token.
        """
        before = np.empty_like(numbers)
        before[0] = -1
        before[1:] = numbers[:-1]
        if size:
            before[1:][tokens[:-1] == self._vocabulary - 1] = -1
        return before

    def _longer(self, tokens: _Whole, level: _Level, size: int) -> tuple[_Level, _Whole]:
        """The n-grams of a token more, and the number of each without its first token."""
        before = self._before(tokens, level.numbers, size)
        places = np.flatnonzero(before >= 0)
        keys, inverse, counts = np.unique(
            before[places] * self._vocabulary + tokens[places],
            return_inverse=True,
            return_counts=True,
        )
        numbers = np.full(len(tokens), -1)
        numbers[places] = inverse
        without_first = np.empty(len(keys), np.int64)
        without_first[inverse] = level.numbers[places]
        return _Level(keys, counts, numbers), without_first


class _Level(NamedTuple):
    """The n-grams of one length: their keys, how often each occurs, and which ends at each place.

    A key is the number of the n-gram without its last token, times V, plus that token. A number
    is the place of a key, so that keys stay small however long the n-grams are.
    """

    keys: _Whole
    counts: _Whole
    numbers: _Whole


class _Shares(NamedTuple):
    """What each n-gram keeps of its count, and what its context leaves to the order below.

    Each ends in what holds for the unknown, whose number is -1: nothing kept, all left.
    """

    kept: Floats
    left: Floats

    def mixed(self, before: _Whole, numbers: _Whole, below: Floats) -> Floats:
        """The probabilities, from those of the order below."""
        return self.kept[numbers] + self.left[before] * below


def _shares(before: _Whole, counts: _Whole, contexts: int) -> _Shares:
    """From the number of its context and the count of each n-gram."""
    discount = np.array([0.0, *_discounts(counts)])[np.minimum(counts, 3)]
    totals = np.bincount(before, counts, contexts)
    taken = np.bincount(before, discount, contexts)
    left = np.ones(contexts + 1)
    # nothing follows the tokens that training ends with, if they occur nowhere else
    np.divide(taken, totals, out=left[:-1], where=totals > 0)
    kept = np.zeros(len(counts) + 1)
    np.divide(counts - discount, totals[before], out=kept[:-1], where=counts > 0)
    return _Shares(kept, left)


def _discounts(counts: _Whole) -> tuple[float, float, float]:
    """What counts of 1, 2, and 3 or more are lowered by (Chen and Goodman 1999)."""
    once, twice, thrice, four = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (once and twice and thrice and four):
        return _DISCOUNTS
    unit = once / (once + 2 * twice)
    found = (
        1 - 2 * unit * twice / once,
        2 - 3 * unit * thrice / twice,
        3 - 4 * unit * four / thrice,
    )
    return found if min(found) > 0 else _DISCOUNTS


def _of_order(model: NGrams, ids: Ids, order: int) -> Floats:
    return np.concatenate([block[order] for block in model.losses(ids)])


def _front(texts: Sequence[Ids], end: int, closed: bool) -> tuple[Ids, str]:
    """The training part as one row of at most `MOST_TOKENS` and one, and a note if it is cut."""
    sizes = lengths(texts) + 1
    total = int(sizes.sum()) - (not closed)
    if total <= MOST_TOKENS:
        return _row("training", texts, end, closed), ""
    count = 1 + int(np.searchsorted(np.cumsum(sizes), MOST_TOKENS))
    # at least one token is cut, so whether the last text is whole makes no difference
    ids = _row("training", list(islice(texts, count)), end, True)[: MOST_TOKENS + 1]
    return ids, f", from {MOST_TOKENS:,} of {total:,} training tokens"


def _row(part: str, texts: Sequence[Any], end: int, closed: bool) -> Ids:
    """A part as one row of ids, each text behind an end."""
    ids = joined(texts, end, closed=closed)
    if len(ids) < 2 or not len(texts):
        raise DataError(f"the {part} part must have at least one token, received none")
    outside = (ids < 0) | (ids > end)
    if outside.any() or np.count_nonzero(ids == end) != len(texts) + closed:
        wrong = int(ids[outside][0]) if outside.any() else end
        raise DataError(f"ids of the {part} part must be from 0 to {end - 1}, received {wrong}")
    return ids
