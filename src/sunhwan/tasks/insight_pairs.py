"""What `insight` looks at of a network that reads something and writes a text of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.spool import lengths
from sunhwan.data.tokens import PADDING
from sunhwan.data.written import WHOLE_TOKENS, tokens_of
from sunhwan.errors import DataError
from sunhwan.tasks.insight_parts import MARK, ROWS, STRETCH, Material
from sunhwan.tasks.translate_parts import Pairs


def of_pairs(learner: Any, pairs: Pairs) -> Material:
    """Pairs, evenly chosen by length, for the network that writes the target of each.

    It reads the true target so far, as it does while learning. The decoder has no padding: all
    targets are cut to one length, that of a middling one without its end, which says little.

    Raises
    ------
    DataError
        There is none.
    """
    if not len(pairs):
        raise DataError("there is no pair to look at")
    counts = lengths(learner.encoder.target.encode_all(pairs.targets))
    steps = int(np.clip(np.sort(counts)[len(counts) // 2], 1, STRETCH))
    fitting = np.flatnonzero(counts >= steps)
    fitting = fitting[np.argsort(counts[fitting], kind="stable")]
    chosen = np.unique(np.linspace(0, len(fitting) - 1, ROWS).round().astype(int))
    some = pairs.take(fitting[chosen])
    sources, read, wanted = learner.forced(some, steps)
    whole = learner.models.whole
    foretold = np.asarray(whole([sources, read], training=False)).argmax(axis=-1)
    target = learner.encoder.target
    given: dict[str, Any] = {
        "model": whole,
        "untrained": learner.untrained().whole,
        "inputs": [sources, read],
        "rows": len(read),
        "count": len(pairs),
    }
    told = [[_written(learner, one) for one in row] for row in read.tolist()]
    if learner.kind != "text":  # the first that is read step by step is what was written so far
        return Material(
            **given,
            tokens=told,
            between="",
            predicted=[_written(learner, one) for one in foretold[:, -1].tolist()],
            wanted=[_written(learner, one) for one in wanted[:, -1].tolist()],
        )
    step = steps // 2
    return Material(
        **given,
        tokens=[_read(learner, *one) for one in zip(some.sources, sources, strict=True)],
        between="",
        predicted=[_written(learner, one) for one in foretold[:, step].tolist()],
        wanted=[_written(learner, one) for one in wanted[:, step].tolist()],
        asked=[step] * len(read),
        written=told,
        after=[target.decode(row[1 : step + 1]) or MARK for row in read.tolist()],
    )


def _read(learner: Any, text: str, ids: NDArray[Any]) -> list[str]:
    """The tokens of a source; those that were never learnt as they are written there."""
    name = learner.config.source_tokens
    if name in WHOLE_TOKENS:
        return tokens_of(name, text)
    return [learner.encoder.source.decode([one]) for one in ids[ids != PADDING].tolist()]


def _written(learner: Any, number: int) -> str:
    return MARK if number == learner.end else str(learner.encoder.target.decode([number]))
