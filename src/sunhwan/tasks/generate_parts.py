"""Parts of texts to learn to write from, to stop in time by, and to judge by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.spool import lengths, take
from sunhwan.errors import UsageError

#: characters of all texts together, below which nothing is held out
FEWEST_CHARACTERS = 200
#: texts from which on whole ones are held out
FEWEST_TEXTS = 10
#: characters between a border and where a text is cut, at most
_NEAR = 1000
_LINE_END, _SPACE = re.compile(r"\n+"), re.compile(r"\s+")


@dataclass(frozen=True)
class Parts:
    """Texts, or pieces of them, by what they are for.

    Attributes
    ----------
    training, validation, test
        To learn from, to stop in time by, and to judge by; none is empty text.
    closed
        Whether texts are whole, so that their ends can be learnt.
    notes
        Lines for the terminal.
    """

    training: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    closed: bool = True
    notes: list[str] = field(default_factory=list)


def split_texts(
    texts: Sequence[str], validation: float = 0.1, test: float = 0.1, seed: int = 0
) -> Parts:
    """Divide texts into a part to learn from and two to judge by, so that none overlap.

    Of ten texts or more, whole ones are held out at random. Fewer are cut, each by position: it is
    judged by the end, and what training is stopped by comes out of the middle of the rest, so that
    what stands right before the end, which is most like it, is learnt from. It is cut near each
    border at the end of a line, else of a word, where there is one.

    Parameters
    ----------
    validation
        Share of characters of what the test leaves.
    test
        Share of characters of all texts. Either may be 0.
    seed
        What the random order of texts depends on, beside their number.

    Raises
    ------
    UsageError
        A share is not from 0 up to below 1, or there is no text.

    Examples
    --------
    >>> parts = split_texts(["So it goes on.\\n" * 20], validation=0.25, test=0.2)
    >>> [len(part[0]) for part in (parts.training, parts.validation, parts.test)]
    [180, 60, 60]
    >>> split_texts(["국민대학"]).notes[0][:26]
    '4 characters are too few t'
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise UsageError(f"`{name}` must be a share from 0 to below 1, received {share}")
    if not len(texts):
        raise UsageError("expected texts to divide, received none")
    sizes = lengths(texts)
    if sizes.sum() < FEWEST_CHARACTERS:
        note = (
            f"{sizes.sum()} characters are too few to hold some of them out: all figures are of "
            "what was learnt by heart"
        )
        return Parts(texts, [], [], notes=[note] if validation or test else [])
    if len(texts) < FEWEST_TEXTS:
        return _by_position(texts, validation, test)
    random = np.random.default_rng([seed, len(texts)])
    rest, judged = _whole(np.arange(len(texts)), sizes, test, random)
    learnt, stopped = _whole(rest, sizes, validation, random)
    return Parts(take(texts, learnt), take(texts, stopped), take(texts, judged))


def _whole(
    rows: NDArray[np.int64], sizes: NDArray[np.int64], share: float, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rest and the rows that are held out, both in order: random ones that fit the share."""
    wanted, count = share * float(sizes[rows].sum()), 0
    held: list[int] = []
    if share:
        order = random.permutation(rows).tolist()
        for row in order:
            if count + sizes[row] / 2 <= wanted:
                held.append(row)
                count += int(sizes[row])
        # beside one very long text all others fit, but some must be left; or none does
        most = min(max(len(rows) // 2, round(share * len(rows))), max(len(rows) - 2, 1))
        held = held[:most] or [min(order, key=sizes.__getitem__)]
    return np.setdiff1d(rows, held), np.sort(np.array(held, np.int64))


def _by_position(texts: Sequence[str], validation: float, test: float) -> Parts:
    training, stopped, judged = [], [], []
    for text in texts:
        rest, end = _cut(text, _size(text, test))
        learnt, middle = _without_middle(rest, validation)
        training.append(learnt)
        stopped.append(middle)
        judged.append(end)
    texts_learnt, middles, ends = (
        [piece for piece in part if piece] for part in (training, stopped, judged)
    )
    return Parts(texts_learnt, middles, ends, closed=not middles and not ends)


def _without_middle(text: str, share: float) -> tuple[str, str]:
    """A text whose middle is taken out, and the middle."""
    size = _size(text, share)
    before, back = _cut(text, (len(text) - size) // 2 if size else 0)
    front, middle = _cut(before, size)
    return front + back, middle


def _size(text: str, share: float) -> int:
    """Characters that are a share of a text; at least one, where it is not 0."""
    return max(round(share * len(text)), 1) if share else 0


def _cut(text: str, size: int) -> tuple[str, str]:
    """What stands before the last `size` characters of a text, and those; either may be empty."""
    border = len(text) - size
    if not size or border < 1:
        return text, ""
    place = _place(text, border)
    return text[:place], text[place:]


def _place(text: str, border: int) -> int:
    """Where to cut near `border`, so that both sides are filled."""
    reach = min(_NEAR, border - 1, len(text) - border - 1)
    low, high = border - reach, border + reach
    for pattern, near in ((_LINE_END, reach // 2), (_SPACE, reach)):
        # behind the end of a line, and before the space that belongs to the next word
        ends = [
            found.end() if pattern is _LINE_END else found.start()
            for found in pattern.finditer(text, max(low - 1, 0), high)
        ]
        if fitting := [end for end in ends if abs(end - border) <= near]:
            return min(fitting, key=lambda end: abs(end - border))
    return border
