"""Which words of a text an answer rests on, by leaving them out."""

from __future__ import annotations

from typing import Any

import numpy as np

from sunhwan.tasks.learner import Learner

_UNKNOWN = 1
#: a text is cut into at most so many pieces, each left out once
_PIECES = 60


def words_of(learner: Learner, text: Any, predicted: str) -> tuple[list[str], list[float]]:
    """Pieces of a text, and how much the probability of an answer falls without each.

    Each piece is replaced by the unknown token in turn (occlusion: Zeiler and Fergus 2014,
    section 4; Li, Monroe and Jurafsky 2016 for words). Positive numbers speak for the answer.

    Parameters
    ----------
    learner
        A trained classifier of texts.
    text
        One of its inputs.
    predicted
        The label whose probability is followed.
    """
    ids = learner.encoder.encode(text)
    size = max(1, -(-len(ids) // _PIECES))
    starts = range(0, len(ids), size)
    rows = [ids]
    for start in starts:
        row = ids.copy()
        row[start : start + size] = _UNKNOWN
        rows.append(row)
    answers = learner.answer(rows)[:, learner.classes.index(predicted)]
    words = [_text(learner, ids[start : start + size]) for start in starts]
    return words, [float(v) for v in np.round(answers[0] - answers[1:], 5)]


def _text(learner: Learner, ids: Any) -> str:
    text: str = learner.encoder.decode(ids)
    return text
