"""Parts to train on, to stop in time by, and to judge by; what belongs together stays together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Examples
from sunhwan.errors import DataError
from sunhwan.tasks.pieces import are_few, hold_out_end


def hold_out(examples: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Return the rest and a held-out part of the examples.

    Groups are held out whole; else each label gives the same share, and every label keeps at least
    one example on both sides where it has two. Where few sequences have an answer for each step,
    each gives its last steps.

    Raises
    ------
    DataError
        There are too few examples or groups to give a part to each side.

    Examples
    --------
    >>> rows = Examples("text", list("abcdef"), list("xxxyyy"), [""] * 6)
    >>> rest, held = hold_out(rows, 1 / 3, seed=0)
    >>> sorted(rest.targets), sorted(held.targets)
    (['x', 'x', 'y', 'y'], ['x', 'y'])
    """
    if are_few(examples):
        return _by_time(examples, share)
    random = np.random.default_rng([seed, len(examples)])
    if examples.groups is not None and len(set(examples.groups)) > 1:
        held = _by_group(examples.groups, share, random)
    elif examples.targets is not None and all(isinstance(t, str) for t in examples.targets):
        held = _by_label(examples.targets, share, random)
    else:
        count = min(max(1, round(share * len(examples))), len(examples) - 1)
        held = random.permutation(len(examples))[: max(count, 0)]
    chosen = np.zeros(len(examples), bool)
    chosen[held] = True
    if chosen.all() or not chosen.any():
        raise DataError(
            f"{len(examples)} examples are too few to hold out {share:.0%} of them",
            hint="give more data",
        )
    return examples.take(np.flatnonzero(~chosen)), examples.take(np.flatnonzero(chosen))


def _by_time(examples: Examples, share: float) -> tuple[Examples, Examples]:
    rest, held = hold_out_end(examples, share)
    if not len(held):
        raise DataError(
            f"one step is too short to hold out {share:.0%} of it", hint="give longer sequences"
        )
    return rest, held


def _by_group(
    groups: Sequence[str], share: float, random: np.random.Generator
) -> NDArray[np.int64]:
    """Whole groups until the share is reached, at least one and not all."""
    names = sorted(set(groups))
    sizes = Counter(groups)
    order = [names[i] for i in random.permutation(len(names))]
    wanted, count = share * len(groups), 0
    taken: set[str] = set()
    for name in order[:-1]:
        if taken and count + sizes[name] / 2 > wanted:
            break
        taken.add(name)
        count += sizes[name]
    return np.array([row for row, name in enumerate(groups) if name in taken], np.int64)


def _by_label(
    labels: Sequence[str], share: float, random: np.random.Generator
) -> NDArray[np.int64]:
    names = sorted(set(labels))
    number = {name: code for code, name in enumerate(names)}
    codes = np.fromiter(map(number.__getitem__, labels), np.int64, len(labels))
    held = []
    for code in range(len(names)):
        rows = random.permutation(np.flatnonzero(codes == code))
        count = round(share * len(rows) + random.random() - 0.5)
        held.append(rows[: min(max(count, 1 if len(rows) > 1 else 0), len(rows) - 1)])
    return np.sort(np.concatenate(held))
