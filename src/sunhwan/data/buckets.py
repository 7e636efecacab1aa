"""Which lengths to pad to: each costs a compilation, and too few of them cost empty steps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError

#: most lengths to pad to, unless told otherwise
MOST = 8
# one more length must save this share of the computed steps to be worth its compilation
_WORTH = 0.05
# longer lists of lengths are thinned out before the best are searched
_CANDIDATES = 64


def bucket_lengths(
    lengths: NDArray[np.int64], batch_size: int, buckets: int | Sequence[int]
) -> tuple[int, ...]:
    """The lengths to pad rows to, shortest first; a row goes to the first that holds it.

    Parameters
    ----------
    lengths
        ``int64[N]``, of the rows.
    batch_size
        Rows of a batch: the last batch of each length is filled up to as many.
    buckets
        The most lengths to choose; or the lengths themselves, ascending, of which the last is
        doubled until it holds the longest row.

    Raises
    ------
    UsageError
        `buckets` is neither a number from 1 up nor such a list.

    Examples
    --------
    >>> bucket_lengths(np.array([3, 3, 4, 4, 50, 60]), 2, 8)
    (4, 60)
    >>> bucket_lengths(np.array([3, 30]), 2, [4, 10])
    (4, 10, 20, 40)
    """
    if isinstance(buckets, int):
        if buckets < 1:
            raise UsageError(f"`buckets` must be at least 1, received {buckets}")
        return _best_lengths(lengths, batch_size, buckets)
    given = [int(steps) for steps in buckets]
    if not given or given[0] < 1 or any(one >= other for one, other in pairwise(given)):
        raise UsageError(f"`buckets` must be lengths from 1 up, ascending, received {buckets!r}")
    while given[-1] < lengths.max():
        given.append(2 * given[-1])
    return tuple(given)


def _best_lengths(lengths: NDArray[np.int64], batch_size: int, most: int) -> tuple[int, ...]:
    """Lengths to pad to that cost the fewest steps, filled-up rows counted too.

    ``cost[k][j]`` is the least for the rows up to candidate ``j`` in ``k + 1`` buckets: the best
    split of the rest is found from the best splits before it (dynamic programming).
    """
    shares = np.linspace(0, 1, _CANDIDATES)
    # by rows, and by lengths, as the few longest rows cost the most
    ends = np.union1d(
        np.quantile(lengths, shares, method="higher"),
        np.quantile(np.unique(lengths), shares, method="higher"),
    )
    count = np.concatenate([[0], np.searchsorted(np.sort(lengths), ends, side="right")])
    # one[i, j]: all rows longer than candidate i - 1, up to candidate j, in a bucket of their own
    rows = np.maximum(count[None, 1:] - count[:-1, None], 0)
    one = np.ceil(rows / batch_size) * batch_size * ends[None, :]
    one[np.tril_indices(len(ends), -1)] = np.inf
    costs, splits = [one[0]], [np.zeros(len(ends), np.int64)]
    for _ in range(1, min(most, len(ends))):
        together = np.concatenate([[np.inf], costs[-1][:-1]])[:, None] + one
        splits.append(together.argmin(axis=0))
        costs.append(together.min(axis=0))
    totals = np.array([cost[-1] for cost in costs])
    chosen, last = [], len(ends) - 1
    for k in range(int(np.argmax(totals <= (1 + _WORTH) * totals.min())), -1, -1):
        chosen.append(int(ends[last]))
        last = int(splits[k][last]) - 1
    return tuple(reversed(chosen))
