"""A network and a baseline judged on the same rows: is one better, or was it luck?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sunhwan.runs.comparison import Scores, paired


def difference(metric: str, baseline: Scores, network: Scores, seed: int) -> dict[str, Any]:
    """The ``difference`` of a baseline in ``results.json``: the network minus the baseline.

    Parameters
    ----------
    metric
        ``accuracy`` or ``mae``.

    Returns
    -------
    dict
        Under the metric ``value``, its ``interval`` (95 %, paired bootstrap), ``p`` and ``test``:
        ``McNemar`` or ``permutation``; see `sunhwan.runs.comparison.Comparison`. Empty where there
        are fewer than two rows.

    Examples
    --------
    >>> near, far = (Scores("error", np.arange(40.0) + e, np.ones(40)) for e in (1, 3))
    >>> found = difference("mae", far, near, seed=1)["mae"]
    >>> found["value"], found["interval"], found["test"]
    (-2.0, [-2.0, -2.0], 'permutation')
    """
    if len(network.points) < 2:
        return {}
    found = paired(baseline, network, seed)
    is_exact = found["only_first_right"] is not None
    return {
        metric: {
            "value": found["difference"],
            "interval": [found["low"], found["high"]],
            "p": found["p"],
            "test": "McNemar" if is_exact else "permutation",
        }
    }


def scores(true: Sequence[Any], answers: Sequence[Any], classes: Sequence[str]) -> Scores:
    """How each example, or each sequence where there is an answer a step, was answered.

    Parameters
    ----------
    true
        A label or a number each, or for each step one.
    answers
        For each of these a number, a label, or probabilities ``float[C]``.
    classes
        The labels in the order of the probabilities; empty where numbers are answered.

    Examples
    --------
    >>> found = scores([["N", "V"]], [[[0.9, 0.1], [0.2, 0.8]]], ["N", "V"])
    >>> found.measure, found.points.tolist(), found.steps.tolist()
    ('accuracy', [2.0], [2.0])
    """
    points, counts = np.zeros(len(true)), np.ones(len(true))
    for row, (given, answer) in enumerate(zip(true, answers, strict=True)):
        is_one = isinstance(given, str) or np.ndim(given) == 0
        wanted, said = ([given], [answer]) if is_one else (given, answer)
        if classes:
            pairs = zip(wanted, said, strict=True)
            points[row] = sum(label == _label(one, classes) for label, one in pairs)
        else:
            points[row] = np.abs(np.subtract(wanted, said, dtype=np.float64)).sum()
        counts[row] = len(wanted)
    return Scores("accuracy" if classes else "error", points, counts)


def _label(answer: Any, classes: Sequence[str]) -> str:
    return answer if isinstance(answer, str) else classes[int(np.argmax(answer))]
