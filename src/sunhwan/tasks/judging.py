"""How well a learner answers held-out examples, beside the baselines: the figures of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Examples
from sunhwan.data.spool import Spool, lengths
from sunhwan.tasks import metrics, pairing
from sunhwan.tasks.learner import Learner, Say

#: mistakes whose words are explained: each costs as many answers as the text has pieces
_EXPLAINED = 12


def judge(learner: Learner, examples: Examples, encoded: Sequence[NDArray[Any]]) -> dict[str, Any]:
    """Answer examples whose true answers are known.

    Returns
    -------
    dict
        As `sunhwan.tasks.metrics` gives, ``errors`` with place and text, and ``answers``.
    """
    answers = learner.answer(encoded)
    judged = _figures(learner, examples, answers, lengths(encoded))
    for error in judged.get("errors", []):
        index = error.pop("index")
        error["place"] = examples.places[index]
        if examples.kind == "text":
            error["text"] = examples.inputs[index]
        elif examples.kind == "tokens":
            error["tokens"] = list(examples.inputs[index])
    return {**judged, "answers": answers}


def _figures(
    learner: Learner, examples: Examples, answers: Any, lengths: NDArray[np.int64]
) -> dict[str, Any]:
    true: Any = examples.targets
    seed = learner.config.seed
    if learner.task == "classify":
        return metrics.judge_classes(true, answers, learner.classes, lengths=lengths, seed=seed)
    if learner.task == "regress":
        return metrics.judge_numbers(
            true, answers, train_mean=learner.targets.mean, lengths=lengths, seed=seed
        )
    if learner.classes:
        return metrics.judge_tags(true, answers, learner.classes, seed=seed)
    return metrics.judge_steps(true, answers, train_mean=learner.targets.mean, seed=seed)


def explain_errors(learner: Learner, judged: dict[str, Any]) -> None:
    """Add to the worst mistakes on texts which words the answer rests on."""
    from sunhwan.tasks.influence import words_of

    if learner.task != "classify" or learner.kind != "text":
        return
    for error in judged.get("errors", [])[:_EXPLAINED]:
        error["words"], error["influence"] = words_of(learner, error["text"], error["predicted"])


def judge_baselines(
    learner: Learner,
    training: Examples,
    test: Examples,
    encoded: tuple[Sequence[NDArray[Any]], Sequence[NDArray[Any]]],
    answers: Any,
    say: Say,
) -> list[dict[str, Any]]:
    """Train the baselines on the same part, and judge them on the same test.

    Parameters
    ----------
    encoded
        Of `training` and `test`.
    answers
        Of the network to `test`, which each baseline is compared with row by row.
    """
    from sunhwan.tasks.baselines import baselines_for

    encoded_train, encoded_test = (_readable(training.kind, part) for part in encoded)
    found = baselines_for(
        learner.task,
        training,
        test,
        encoded_train=encoded_train,
        encoded_test=encoded_test,
        seed=learner.config.seed,
        on_start=lambda name: say(f"baseline: {name}"),
    )
    true: Any = test.targets
    metric = "accuracy" if learner.classes else "mae"
    own = pairing.scores(true, answers, learner.classes)
    rows = []
    for baseline in found:
        said = baseline.predictions if baseline.probabilities is None else baseline.probabilities
        judged = _judge_baseline(learner, test, baseline.classes, said)
        theirs = pairing.scores(true, baseline.predictions, baseline.classes)
        rows.append(
            {
                "name": baseline.name,
                "detail": baseline.detail,
                "metrics": judged["metrics"],
                "intervals": judged["intervals"],
                "difference": pairing.difference(metric, theirs, own, learner.config.seed),
                "seconds": baseline.seconds,
            }
        )
    return rows


def _readable(kind: str, encoded: Sequence[NDArray[Any]]) -> Sequence[NDArray[Any]] | None:
    """What the baselines read of encoded examples; None where they read the inputs instead."""
    if kind == "clip":
        from sunhwan.data.clips import thumbnails

        return Spool(map(thumbnails, encoded)).items()
    return encoded if kind in ("numbers", "sound") else None


def _judge_baseline(
    learner: Learner, test: Examples, classes: list[str], answers: Any
) -> dict[str, Any]:
    true: Any = test.targets
    seed = learner.config.seed
    if learner.task == "classify":
        return metrics.judge_classes(true, answers, classes or learner.classes, seed=seed)
    if learner.task == "regress":
        return metrics.judge_numbers(true, answers, train_mean=learner.targets.mean, seed=seed)
    if learner.classes:
        return metrics.judge_tags(true, answers, classes or learner.classes, seed=seed)
    return metrics.judge_steps(true, answers, train_mean=learner.targets.mean, seed=seed)


def prediction_rows(learner: Learner, examples: Examples, answers: Any) -> Iterator[dict[str, Any]]:
    """One record for each example: its answer, its true answer where there is one."""
    for number, place in enumerate(examples.places):
        row: dict[str, Any] = {"row": place}
        if examples.targets is not None:
            row["true"] = _plain(examples.targets[number])
        answer = answers[number]
        if learner.classes and learner.per_step:
            row["predicted"] = [learner.classes[code] for code in answer.argmax(-1)]
        elif learner.classes:
            row["predicted"] = learner.classes[int(answer.argmax())]
            row["probability"] = float(answer.max())
        else:
            row["predicted"] = _plain(answer)
        yield row


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [float(v) for v in np.atleast_1d(value)] if value.ndim else float(value)
    if isinstance(value, np.floating | np.integer):
        return value.item()
    return list(value) if isinstance(value, list | tuple) else value


def lengths_of(encoded: Sequence[NDArray[Any]]) -> dict[str, float]:
    """Median, 95th percentile and longest number of steps."""
    steps = lengths(encoded)
    return {
        "median": float(np.median(steps)),
        "p95": float(np.quantile(steps, 0.95)),
        "longest": int(steps.max()),
    }
