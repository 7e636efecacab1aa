"""Long sequences in pieces, for tasks that answer each step: one long series is data enough."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Collector, Examples
from sunhwan.data.spool import lengths
from sunhwan.tasks.config import Config

#: with fewer sequences than this, all are learnt from, each up to a point in time
FEW = 5
#: pieces that few sequences are to give to learn from, and the bounds of a piece's length
_PIECES, _SHORTEST, _LONGEST = 16, 8, 256
#: bounds of a batch: of a dozen pieces, too large a one leaves hardly a step to an epoch
_FEWEST_ROWS, _MOST_ROWS = 4, 32

#: the end of the place of a piece
_STEPS = re.compile(r", steps (\d+) to \d+$")


def are_few(examples: Examples) -> bool:
    """True if there are too few sequences to learn from some and judge by others.

    Examples
    --------
    >>> are_few(Examples("tokens", [["a", "b"]], [["x", "y"]], ["line 1"]))
    True
    """
    targets = examples.targets
    is_per_step = bool(targets) and isinstance(targets[0], list | np.ndarray)  # type: ignore[index]
    return is_per_step and len(set(examples.groups or [])) < 2 and len(examples) < FEW


def are_cut(examples: Examples) -> bool:
    """True if some of the examples are pieces of a longer sequence."""
    return any(_STEPS.search(place) for place in islice(examples.places, FEW))


def hold_out_end(examples: Examples, share: float) -> tuple[Examples, Examples]:
    """The first steps of each sequence, and the held-out last ones; one step has no end.

    Examples
    --------
    >>> rows = Examples("tokens", [list("abcde")], [list("vwxyz")], ["line 1"])
    >>> rest, held = hold_out_end(rows, 0.4)
    >>> rest.inputs, held.targets, held.places
    ([['a', 'b', 'c']], [['y', 'z']], ['line 1, steps 4 to 5'])
    """
    ends = [
        steps - min(max(1, round(share * steps)), steps - 1)
        for steps in lengths(examples.inputs).tolist()
    ]
    rest = _parts(examples, ([0, end] for end in ends))
    held = _parts(examples, ([end, None] for end in ends))
    return rest, held


def settled(config: Config, training: Examples) -> Config:
    """The options, with the length of a piece and the batch that suit few sequences."""
    if not are_few(training):
        return config
    steps = int(lengths(training.inputs).sum())
    length = config.max_length or min(max(steps // _PIECES, _SHORTEST), _LONGEST)
    rows = config.batch_size or min(max(steps // length // 4, _FEWEST_ROWS), _MOST_ROWS)
    return config.model_copy(update={"max_length": length, "batch_size": rows})


def describe(sequences: int, length: int | None) -> str:
    """A line on how few sequences are learnt from."""
    return (
        f"few sequences ({sequences}): each is learnt from up to a point in time and judged behind "
        f"it, and read in pieces of at most {length} steps (`max_length`)"
    )


def in_pieces(examples: Examples, length: int | None) -> Examples:
    """The sequences, those of more than `length` steps cut into parts of much the same length.

    Examples
    --------
    >>> rows = Examples("tokens", [list("abcde")], [list("vwxyz")], ["line 1"])
    >>> in_pieces(rows, 3).inputs
    [['a', 'b'], ['c', 'd', 'e']]
    """
    steps = lengths(examples.inputs).tolist()
    if length is None or max(steps, default=0) <= length:
        return examples
    return _parts(examples, (borders(count, length) for count in steps))


def borders(steps: int, length: int | None) -> list[int]:
    """Where the pieces of a sequence begin, and where the last one ends.

    Examples
    --------
    >>> borders(10, 4), borders(10, None)
    ([0, 3, 6, 10], [0, 10])
    """
    count = 1 if length is None else max(1, -(-steps // length))
    return [steps * n // count for n in range(count + 1)]


def joined(answers: Sequence[NDArray[Any]], counts: Iterable[int]) -> list[NDArray[Any]]:
    """The answers to whole sequences, of which each is the next so many of `answers`."""
    remaining = iter(answers)
    return [np.concatenate([next(remaining) for _ in range(count)]) for count in counts]


def _parts(examples: Examples, cuts: Iterable[Sequence[int | None]]) -> Examples:
    """From each sequence what lies between one cut and the next."""
    collector = Collector(
        examples.kind,
        answers=examples.targets is not None,
        groups=examples.groups is not None,
        per_step=True,
    )
    for row, places in enumerate(cuts):
        value, where = examples.inputs[row], examples.places[row]
        target = None if examples.targets is None else examples.targets[row]
        group = None if examples.groups is None else examples.groups[row]
        for start, end in pairwise(places):
            part = value[start:end]
            if not len(part):
                continue
            collector.add(
                part,
                None if target is None else target[start:end],
                where if len(part) == len(value) else _place(where, start or 0, len(part)),
                group,
            )
    return collector.examples(examples.rejected)


def _place(where: str, start: int, steps: int) -> str:
    """The place of some steps of what is a sequence, or itself some steps of one."""
    if found := _STEPS.search(where):
        where, start = where[: found.start()], start + int(found[1]) - 1
    return f"{where}, steps {start + 1} to {start + steps}"
