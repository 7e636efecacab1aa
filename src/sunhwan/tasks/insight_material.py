"""What `insight` looks at: the network of a run, and a batch of rows that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.batches import Batches
from sunhwan.data.examples import Examples
from sunhwan.data.spool import lengths
from sunhwan.errors import DataError
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks import (
    caption_run,
    forecast_run,
    generate_run,
    run_records,
    running,
    translate_run,
)
from sunhwan.tasks.forecast_learner import ForecastLearner
from sunhwan.tasks.forecast_sources import read_like_training
from sunhwan.tasks.generate_sources import read_texts_again
from sunhwan.tasks.insight_pairs import of_pairs
from sunhwan.tasks.insight_parts import MARK, ROWS, STRETCH, Material
from sunhwan.tasks.language_learner import LanguageLearner
from sunhwan.tasks.learner import Learner, Say
from sunhwan.tasks.sources import has_answers, read_again

#: rows among which those to be looked at are chosen
_POOL = 512
#: input columns whose values units may follow, and labels of steps
_MOST_SIGNALS = 6


def material_of(path: Path | str, data: Sequence[Path | str] = (), say: Say = print) -> Material:
    """The network of a run, and rows of its test part, or of other data.

    Raises
    ------
    UsageError
        The run needs data, for it was made in Python, or its data has changed.
    DataError
        The run is damaged, or there is no row to look at.
    """
    run = RunFolder.open(path)
    builders: dict[str, Any] = {
        "forecast": _of_series,
        "generate": _of_text,
        "translate": partial(_of_pairs, translate_run),
        "caption": partial(_of_pairs, caption_run),
    }
    found: Material = builders.get(run.task, _of_examples)(run, data, say)
    return found


def _of_examples(run: RunFolder, data: Sequence[Path | str], say: Say) -> Material:
    learner = running.load(run.path)
    if data:
        reader = run_records.reader_of(run.path)
        labelled = has_answers(reader, data)
        examples = learner.pieces(read_again(reader, learner.task, data, labelled=labelled))
    else:
        parts = running.read_parts(run_records.options_of(run, running.Config), _own_data(run), say)
        run_records.check_files(run, parts.source.files)
        examples = parts.test
    return of_examples(learner, examples)


def _own_data(run: RunFolder) -> run_records.Data:
    run_records.reader_of(run.path)  # refuses a run that was made in Python
    return run_records.data_of(run)[0]


def of_examples(learner: Learner, examples: Examples) -> Material:
    """Rows of examples, evenly chosen by length, for the network that answers them.

    Raises
    ------
    DataError
        There is none.
    """
    if not len(examples):
        raise DataError("there is no row to look at")
    # of many rows only some are read for their lengths
    pool = examples.take(np.unique(np.linspace(0, len(examples) - 1, _POOL).astype(int)))
    order = np.argsort(lengths(learner.encode(pool)), kind="stable")
    count = min(ROWS, len(order))
    rows = np.sort(order[np.linspace(0, len(order) - 1, count).round().astype(int)])
    chosen = pool.take(rows)
    encoded = learner.encode(chosen)
    size = max(int(lengths(encoded).max()), 1)
    batch = Batches.for_prediction(
        encoded, batch_size=count, per_step=learner.per_step, buckets=[size]
    )
    # a batch is in the order of length; the rows of `chosen` are put into it
    order = np.argsort(lengths(encoded), kind="stable")
    chosen, encoded = chosen.take(order), [encoded[row] for row in order.tolist()]
    return Material(
        learner.model,
        learner.untrained(),
        batch[0][0],
        count,
        len(examples),
        tokens=_tokens(learner, chosen, encoded),
        between="" if _is_letters(learner) else " ",
        predicted=_answers(learner, encoded),
        wanted=[_told(target) for target in chosen.targets or []],
        asked=[_asked(ids) for ids in encoded] if learner.per_step else None,
        signals=_signals(learner, chosen, encoded),
    )


def _is_letters(learner: Any) -> bool:
    return learner.encoder.config().get("name") in ("characters", "jamo")


def _tokens(learner: Learner, examples: Examples, encoded: Sequence[Any]) -> list[list[str]]:
    if examples.kind == "tokens":
        return [
            list(tokens)[: len(ids)] for tokens, ids in zip(examples.inputs, encoded, strict=True)
        ]
    if examples.kind != "text":
        return []
    decode = learner.encoder.decode
    return [[decode(ids[n : n + 1]) for n in range(len(ids))] for ids in encoded]


def _answers(learner: Learner, encoded: Sequence[Any]) -> list[str]:
    found = learner.answer(encoded)
    if learner.per_step:
        found = [answer[_asked(answer)] for answer in found]
    if learner.classes:
        return [learner.classes[int(np.argmax(answer))] for answer in found]
    return [f"{float(answer):.4g}" for answer in found]


def _told(target: Any) -> str:
    one = target if isinstance(target, str) or np.ndim(target) == 0 else target[_asked(target)]
    return one if isinstance(one, str) else f"{float(one):.4g}"


def _asked(steps: Any) -> int:
    """The step in the middle, which has others on both sides."""
    return len(steps) // 2


def _signals(
    learner: Learner, examples: Examples, encoded: Sequence[Any]
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Labels of steps, the most frequent ones, and columns of numbers."""
    steps = max(len(row) for row in encoded)
    found = {}
    if learner.per_step and learner.classes and examples.targets is not None:
        targets = [list(row) for row in examples.targets]
        names, counts = np.unique([one for row in targets for one in row], return_counts=True)
        for name in names[np.argsort(-counts, kind="stable")][:_MOST_SIGNALS].tolist():
            found["label", str(name)] = _padded(
                [[one == name for one in row] for row in targets], steps
            )
    if examples.kind == "numbers":
        for place in range(min(encoded[0].shape[1], _MOST_SIGNALS)):
            found["input", str(place + 1)] = _padded([row[:, place] for row in encoded], steps)
    return found


def _padded(rows: Sequence[Any], steps: int) -> NDArray[np.float64]:
    table = np.zeros((len(rows), steps))
    for row, values in zip(table, rows, strict=True):
        row[: len(values)] = values
    return table


def _of_pairs(runs: Any, run: RunFolder, data: Sequence[Path | str], say: Say) -> Material:
    learner = runs.load(run.path)
    return of_pairs(learner, runs.judged(run.path, learner, data, say))


def _of_text(run: RunFolder, data: Sequence[Path | str], say: Say) -> Material:
    learner = generate_run.load(run.path)
    if data:
        texts: Sequence[str] = read_texts_again(run_records.reader_of(run.path), data).texts
    else:
        options = run_records.options_of(run, generate_run.GenerateConfig)
        material = generate_run.read_material(options, _own_data(run), say)
        run_records.check_files(run, material.source.files)
        texts = material.test
    return of_text(learner, texts)


def of_text(learner: LanguageLearner, texts: Sequence[str]) -> Material:
    """Stretches of texts, evenly chosen, for the language model that goes on with them.

    Raises
    ------
    DataError
        The texts have fewer than two tokens.
    """
    ids = learner.joined(learner.ids(texts), closed=False)
    # short texts are cut into several stretches all the same, so that there is something to compare
    size = min(STRETCH, max((len(ids) - 1) // 4, 1), len(ids) - 1)
    if size < 1:
        raise DataError("there is no text to look at")
    starts = np.unique(np.linspace(0, len(ids) - 1 - size, ROWS).round().astype(int))
    rows = np.stack([ids[start : start + size] for start in starts])
    states = [np.zeros((len(rows), one.shape[1]), np.float32) for one in learner.model.inputs[1:]]
    inputs = [rows, *states]
    logits = np.asarray(learner.model(inputs, training=False)[0])[:, -1]
    return Material(
        learner.model,
        learner.untrained(),
        inputs,
        len(rows),
        len(ids) - 1,
        tokens=[[_token(learner, one) for one in row] for row in rows.tolist()],
        between="",
        predicted=[_token(learner, int(one)) for one in logits.argmax(axis=1)],
        wanted=[_token(learner, int(ids[start + size])) for start in starts],
    )


def _token(learner: LanguageLearner, number: int) -> str:
    # the mark between texts is no token of the encoder
    return MARK if number == learner.end else str(learner.encoder.decode([number]))


def _of_series(run: RunFolder, data: Sequence[Path | str], say: Say) -> Material:
    learner = forecast_run.load(run.path)
    paths = data or _own_data(run).paths
    return of_series(learner, read_like_training(run.path, learner, paths))


def of_series(learner: ForecastLearner, series: Any) -> Material:
    """Windows of series from behind what was learnt, evenly chosen, for their forecaster.

    Raises
    ------
    DataError
        There is no whole window.
    """
    part = learner.windows(series, "test", horizon=learner.steps)
    if not len(part.past):
        raise DataError("there is no window to look at")
    rows = np.unique(np.linspace(0, len(part.past) - 1, ROWS).round().astype(int))
    past = part.past[rows]
    return Material(
        learner.model,
        learner.untrained(),
        [past, part.future[rows]],
        len(rows),
        len(part.past),
        signals={
            ("input", str(place + 1)): past[..., place].astype(np.float64)
            for place in range(min(past.shape[2], _MOST_SIGNALS))
        },
    )
