"""Pairs of texts: those to learn from, to stop in time by, and to judge by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Rejected
from sunhwan.data.spool import take
from sunhwan.errors import DataError, UsageError

Ints = NDArray[np.int64]

#: share of pairs that equal texts tie together, above which equal targets are let apart
_MOST_TIED = 0.5


@dataclass
class Pairs:
    """Texts and what they become; each a list, or on disk (`sunhwan.data.spool`).

    Attributes
    ----------
    sources, targets
        As many of each; no targets where they were not read.
    places
        Where each pair came from, such as ``pairs.tsv, line 12``.
    """

    sources: Sequence[str]
    targets: Sequence[str]
    places: Sequence[str]

    def __len__(self) -> int:
        return len(self.sources)

    def read(self) -> Sequence[Any]:
        """What a network reads of each pair: its source."""
        return self.sources

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> Pairs:
        """Some of the pairs, in the order of ``rows``.

        Examples
        --------
        >>> Pairs(["one", "two"], ["하나", "둘"], ["l2", "l3"]).take([1]).targets
        ['둘']
        """
        targets = take(self.targets, rows) if len(self.targets) else []
        return Pairs(take(self.sources, rows), targets, take(self.places, rows))


@dataclass(frozen=True)
class PairParts:
    """Pairs by what they are for.

    Attributes
    ----------
    training, validation, test
        To learn from, to stop in time by, and to judge by.
    notes
        Lines for the terminal.
    """

    training: Pairs
    validation: Pairs
    test: Pairs
    notes: list[str] = field(default_factory=list)


def repetitions(pairs: Pairs, roles: tuple[str, str] = ("sources", "targets")) -> list[str]:
    """Lines on pairs that come again, and on sources with several targets; none is dropped.

    Parameters
    ----------
    roles
        What the sides are called.

    Examples
    --------
    >>> repetitions(Pairs(["Hi.", "Hi.", "Hi."], ["안녕.", "안녕하세요.", "안녕."], ["", "", ""]))
    ['pairs that are the same as one before: 1 of 3', 'sources with several targets: 1']
    """
    both = np.stack([_numbers(pairs.sources), _numbers(pairs.targets)])
    different = np.unique(both, axis=1)
    several = int((np.unique(different[0], return_counts=True)[1] > 1).sum())
    notes = []
    if again := len(pairs) - different.shape[1]:
        notes.append(f"pairs that are the same as one before: {again:,} of {len(pairs):,}")
    if several:
        notes.append(f"{roles[0]} with several {roles[1]}: {several:,}")
    return notes


def within_length(
    sources: Ints,
    targets: Ints,
    places: Sequence[str],
    most: int,
    roles: tuple[str, str] = ("source", "target"),
) -> tuple[Ints, list[Rejected]]:
    """The rows of pairs short enough to learn from, and the others by name.

    Parameters
    ----------
    sources, targets
        ``int64[N]``: tokens of either side.
    most
        Of either side.
    roles
        What the sides are called.

    Raises
    ------
    DataError
        All are too long.

    Examples
    --------
    >>> rows, longer = within_length(np.array([3, 9]), np.array([4, 2]), ["line 2", "line 3"], 5)
    >>> rows.tolist(), longer[0].reason
    ([0], 'the source has 9 tokens, more than `max_length` 5')
    """
    is_long = (sources > most) | (targets > most)
    longer = []
    for row in np.flatnonzero(is_long).tolist():
        counts = int(sources[row]), int(targets[row])
        side, count = next(one for one in zip(roles, counts, strict=True) if one[1] > most)
        reason = f"the {side} has {count:,} tokens, more than `max_length` {most:,}"
        longer.append(Rejected(places[row], reason))
    if longer and is_long.all():
        raise DataError(
            f"all {len(longer):,} pairs are longer than `max_length`; {longer[0].place}: "
            f"{longer[0].reason}",
            hint="give a larger --max-length, or divide the texts",
        )
    return np.flatnonzero(~is_long), longer


def split_pairs(
    pairs: Pairs,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    *,
    ties_targets: bool = True,
) -> PairParts:
    """Divide pairs at random; those with the same source or the same target stay together.

    So no answer of the test part was learnt by heart. Where few targets are all there are, such as
    yes and no, more than half of the pairs would have to stay together; then only those with the
    same source do.

    Parameters
    ----------
    validation
        Share of what the test leaves.
    test
        Share of all. Either may be 0, and then has no pairs.
    seed
        What the random order depends on, beside the pairs.
    ties_targets
        False lets apart pairs whose targets alone are the same.

    Raises
    ------
    UsageError
        A share is not from 0 up to below 1.
    DataError
        There are too few different pairs to give some to each part.

    Examples
    --------
    >>> pairs = Pairs(["a", "b", "b", "c", "d"], ["1", "2", "3", "3", "4"], list("lines"))
    >>> parts = split_pairs(pairs, validation=0.3, test=0.2)
    >>> sorted(map(len, (parts.training, parts.validation, parts.test)))
    [1, 1, 3]
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise UsageError(f"`{name}` must be a share from 0 to below 1, received {share}")
    groups, notes = _groups(pairs) if ties_targets else (_numbers(pairs.sources), [])
    wanted = 1 + bool(validation) + bool(test)
    if (count := len(np.unique(groups))) < wanted:
        raise DataError(
            f"{len(pairs):,} pairs are too few to hold some of them out: those with the same "
            f"source or target stay together, which leaves {count}, and {wanted} are needed",
            hint="give more pairs",
        )
    random = np.random.default_rng([seed, len(pairs)])
    # one group at the least is for learning and, with a validation part, one for that
    test_rows = _held(groups, np.arange(len(pairs)), test, wanted - 1, random)
    rest = np.setdiff1d(np.arange(len(pairs)), test_rows)
    validation_rows = _held(groups, rest, validation, 1, random)
    rest = np.setdiff1d(rest, validation_rows)
    return PairParts(pairs.take(rest), pairs.take(validation_rows), pairs.take(test_rows), notes)


def _groups(pairs: Pairs) -> tuple[Ints, list[str]]:
    """For each pair the number of what it must stay together with, and a line if that is less."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sources, targets = _numbers(pairs.sources), _numbers(pairs.targets)
    if not len(pairs):
        return sources, []
    # a graph of texts, in which each pair joins its source and its target
    first = int(sources.max()) + 1
    size = first + int(targets.max()) + 1
    joined = coo_array((np.ones(len(pairs), np.int8), (sources, first + targets)), (size, size))
    groups = connected_components(joined, directed=False)[1][sources].astype(np.int64)
    largest = int(np.bincount(groups).max())
    if largest <= _MOST_TIED * len(pairs) or len(np.unique(groups)) == len(np.unique(sources)):
        return groups, []
    note = (
        f"{largest:,} of {len(pairs):,} pairs are tied together by equal targets, so targets of "
        "the parts to judge by may have been learnt; equal sources are on one side"
    )
    return sources, [note]


def _held(groups: Ints, rows: Ints, share: float, left: int, random: np.random.Generator) -> Ints:
    """Rows of random whole groups that fit the share, in order; at least `left` groups remain."""
    if not share:
        return rows[:0]
    names, members, sizes = np.unique(groups[rows], return_inverse=True, return_counts=True)
    wanted, count = share * len(rows), 0
    held: list[int] = []
    order = random.permutation(len(names)).tolist()
    for name in order:
        if len(held) < len(names) - left and count + sizes[name] / 2 <= wanted:
            held.append(name)
            count += int(sizes[name])
    held = held or [min(order, key=sizes.__getitem__)]
    return rows[np.isin(members, held)]


def _numbers(texts: Iterable[str]) -> Ints:
    """``int64[N]``: equal numbers for equal texts, from 0 up; the texts need not be in memory."""
    digests = (blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8) for text in texts)
    keys = np.fromiter((int.from_bytes(one.digest(), "little") for one in digests), np.uint64)
    return np.unique(keys, return_inverse=True)[1].astype(np.int64)
