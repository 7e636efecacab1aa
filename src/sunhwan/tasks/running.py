"""A run from data to report: start it, go on with it, use it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sunhwan.data.examples import Examples, Rejected
from sunhwan.data.spool import lengths
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.tasks import (
    caption_run,
    forecast_run,
    generate_run,
    judging,
    pieces,
    run_records,
    translate_run,
)
from sunhwan.tasks.config import Config, RunConfig
from sunhwan.tasks.learner import Learner, Say
from sunhwan.tasks.run_records import Data, rejected_rows
from sunhwan.tasks.run_records import report as report
from sunhwan.tasks.sources import (
    Source,
    checksums,
    has_answers,
    read_again,
    read_source,
)
from sunhwan.tasks.splits import hold_out

#: what runs the tasks that are not of examples
_OTHERS: dict[str, Any] = {
    "forecast": forecast_run,
    "generate": generate_run,
    "translate": translate_run,
    "caption": caption_run,
}
#: labels of a note that are named
_RARE_NAMED = 10


@dataclass
class Parts:
    """Examples to train on, to stop in time by and to judge by, and where they came from.

    `config` has what only the examples could decide.
    """

    training: Examples
    validation: Examples
    test: Examples
    source: Source
    name: str
    config: Config


def start(
    config: RunConfig,
    data: Data,
    out: Path | str,
    *,
    overwrite: bool = False,
    lang: str = "en",
    progress: Progress | None = None,
    say: Say = lambda line: None,
) -> RunFolder:
    """Train a task on data, judge it, and leave everything in a folder.

    Raises
    ------
    UsageError, DataError
        Options or data that do not fit.
    TrainingError
        The loss is no longer finite.
    KeyboardInterrupt
        Ctrl-C; `resume` goes on.
    """
    if not isinstance(config, Config):
        other: Any = _OTHERS[config.task]
        found: RunFolder = other.start(
            config, data, out, overwrite=overwrite, lang=lang, progress=progress, say=say
        )
        return found
    RunFolder.check_free(out, overwrite=overwrite)  # before data are read for nothing
    parts = read_parts(config, data, say)
    learner = Learner(parts.config)
    learner.prepare(parts.training)
    for line in learner.encoder.describe(parts.validation.inputs):
        say(line)
    source, given = parts.source, config.given()
    run = run_records.begin(
        learner, given, data, source.reader, source.files, out, overwrite=overwrite, lang=lang
    )
    command = run_records.command(config.task, given, data, out)
    _finish(run, learner, parts, command, progress, say)
    return run


def resume(
    path: Path | str, *, progress: Progress | None = None, say: Say = lambda line: None
) -> RunFolder:
    """Go on with a run that was interrupted, to the bits of one that never was.

    Raises
    ------
    UsageError
        The run is finished, or its data has changed.
    DataError
        The run is damaged, or its data cannot be read.
    """
    if (other := _OTHERS.get(RunFolder.open(path).task)) is not None:
        found: RunFolder = other.resume(path, progress=progress, say=say)
        return found
    run = run_records.open_unfinished(path)
    config = run_records.options_of(run, Config)
    data, _ = run_records.data_of(run)
    parts = read_parts(config, data, say)
    if run.has("environment.json"):  # the last to be written before training
        run_records.check_files(run, parts.source.files)
        learner = _learner_of(run)
    else:
        learner = Learner(parts.config)
        learner.prepare(parts.training)
        run_records.write_learner(run, learner, parts.source.files)
    given = run.read("config.json").get("given", {})
    _finish(run, learner, parts, run_records.command(config.task, given, data, path), progress, say)
    return run


def load(path: Path | str) -> Learner:
    """The learner of a run, with its weights.

    Raises
    ------
    DataError
        It is not a run, is damaged, or its training did not finish.
    """
    run = RunFolder.open(path)
    learner = _learner_of(run, run.size("weights.safetensors"))
    run_records.put_weights(run, learner.model)
    return learner


def save(
    learner: Learner,
    path: Path | str,
    history: Mapping[str, Any],
    *,
    labels: str = "str",
    overwrite: bool = False,
) -> RunFolder:
    """Leave a trained learner in a folder, without data or report.

    Parameters
    ----------
    history
        As of ``history.json``: ``figures`` by epoch and ``best_epoch``.
    labels
        What the labels are outside of the run; see `sunhwan.tasks.inputs.LABELS`.
    """
    return run_records.keep(learner, path, history, overwrite=overwrite, labels=labels)


def evaluate(path: Path | str, data: Sequence[Path | str]) -> dict[str, Any]:
    """Figures of a run on other data that holds answers; see `sunhwan.tasks.metrics`."""
    if (other := _OTHERS.get(RunFolder.open(path).task)) is not None:
        figures: dict[str, Any] = other.evaluate(path, data)
        return figures
    learner = load(path)
    reader = run_records.reader_of(path)
    if not has_answers(reader, data):
        raise DataError(
            f"{data[0]}: has no column of answers to judge by",
            hint=f"`sunhwan predict {path} DATA` needs none",
        )
    examples = read_again(reader, learner.task, data, labelled=True)
    if not len(examples):
        raise DataError(f"{data[0]}: no row can be used", hint=_first_reason(examples.rejected))
    rows = learner.pieces(examples)
    judged = judging.judge(learner, rows, learner.encode(rows))
    judged.pop("answers")
    return {**judged, "rows": len(examples), "rejected": rejected_rows(examples.rejected)}


def read_parts(config: Config, data: Data, say: Say) -> Parts:
    """Read the data of a run and split it, as its options say.

    Raises
    ------
    UsageError, DataError
        Data that cannot be read or split.
    """
    named = dict(data.named or {})
    source = read_source(config.task, data.paths, named)
    source.notes.extend(_rare_labels(source.examples))
    for line in source.notes:
        say(line)
    rest = source.examples
    if data.test_paths:
        test = read_again(source.reader, config.task, data.test_paths, labelled=True)
        rest.rejected.extend(test.rejected)
        source.files.extend(checksums(data.test_paths))
    elif config.test:
        rest, test = hold_out(rest, config.test, config.seed)
    else:
        raise UsageError("`test` must be above 0 where no test data is given")
    training, validation = hold_out(rest, config.validation, config.seed)
    is_few = pieces.are_few(training)
    if config.task == "tag":
        config = pieces.settled(config, training)
        training, validation, test = (
            pieces.in_pieces(part, config.max_length) for part in (training, validation, test)
        )
    for line in _repeated(training, test):
        source.notes.append(line)
        say(line)
    if is_few:
        source.notes.append(pieces.describe(len(rest), config.max_length))
        say(source.notes[-1])
    say(
        f"{len(training):,} examples to train on, {len(validation):,} to stop in time by, "
        f"{len(test):,} to judge by"
    )
    if source.examples.rejected:
        dropped = len(source.examples.rejected)
        count = _rows(training) + _rows(validation) + _rows(test) + dropped
        say(f"rows dropped: {dropped:,} of {count:,}; the report names them")
    return Parts(training, validation, test, source, Path(data.paths[0]).name, config)


def _rows(examples: Examples) -> int:
    """How many rows of the data examples are: of pieces of sequences their steps."""
    return int(lengths(examples.inputs).sum()) if pieces.are_cut(examples) else len(examples)


def _rare_labels(examples: Examples) -> list[str]:
    """A note on labels that cannot be both learnt and judged by."""
    given = examples.targets or []
    if not len(given) or not isinstance(given[0], str):
        return []
    rare = sorted(label for label, count in Counter(given).items() if count == 1)
    more = f" and {len(rare) - _RARE_NAMED:,} more" if len(rare) > _RARE_NAMED else ""
    names = ", ".join(rare[:_RARE_NAMED]) + more
    notes = [f"labels with one example, too few to be judged by: {names}"] if rare else []
    alike: dict[str, list[str]] = {}
    for label in sorted(set(given)):
        alike.setdefault("".join(label.casefold().split()), []).append(label)
    pairs = [" and ".join(map(repr, some)) for some in alike.values() if len(some) > 1]
    if pairs:
        shown = ", ".join(pairs[:_RARE_NAMED])
        notes.append(f"labels that differ in capitals or spaces alone: {shown}")
    return notes


def _repeated(training: Examples, test: Examples) -> list[str]:
    """A note on texts to judge by that were also learnt from."""
    if test.kind != "text" or not len(test):
        return []
    known = {hash(text) for text in training.inputs}
    again = sum(hash(text) in known for text in test.inputs)
    share = f"{again:,} of {len(test):,}"
    return [f"texts to judge by that are also learnt from: {share}"] if again else []


def _finish(
    run: RunFolder,
    learner: Learner,
    parts: Parts,
    command: str,
    progress: Progress | None,
    say: Say,
) -> None:
    """Train, judge and report."""
    history = run_records.trained(
        run,
        learner,
        lambda shown: learner.fit(
            parts.training,
            parts.validation,
            state=run.training,
            fingerprint=_fingerprint(learner, parts),
            progress=shown,
        ),
        progress,
    )
    encoded = learner.encode(parts.training), learner.encode(parts.test)
    judged = judging.judge(learner, parts.test, encoded[1])
    answers = judged.pop("answers")
    run.write_predictions(judging.prediction_rows(learner, parts.test, answers))
    judging.explain_errors(learner, judged)
    baselines = judging.judge_baselines(learner, parts.training, parts.test, encoded, answers, say)
    results = {
        **run_records.common_results(learner, history, parts.name, command),
        "data": _data_summary(learner, parts, encoded[0]),
        **judged,
        "baselines": baselines,
    }
    run.write("results.json", results)
    report(run, run_records.data_of(run)[1])
    run.finish()


def _learner_of(run: RunFolder, most_bytes: float = float("inf")) -> Learner:
    config = run_records.options_of(run, Config)
    encoder, model = run.read("encoder.json"), run.read("model.json")
    where = str(run.path / "model.json")
    return Learner.from_json(config, encoder, model, where, most_bytes=most_bytes)


def _fingerprint(learner: Learner, parts: Parts) -> str:
    text = json.dumps(
        [learner.to_json(), learner.config.model_dump(mode="json"), parts.source.files,
         len(parts.training)], sort_keys=True)  # fmt: skip
    return hashlib.sha256(text.encode()).hexdigest()


def _data_summary(learner: Learner, parts: Parts, encoded: Sequence[Any]) -> dict[str, Any]:
    rejected = parts.source.examples.rejected
    return {
        "train": len(parts.training),
        "validation": len(parts.validation),
        "test": len(parts.test),
        **run_records.rejected_summary(rejected),
        "columns": parts.source.columns,
        "files": parts.source.files,
        "notes": [
            *parts.source.notes,
            *run_records.rejected_notes(rejected),
            *learner.encoder.describe(parts.validation.inputs),
        ],
        "lengths": judging.lengths_of(encoded),
    }


def _first_reason(rejected: Sequence[Rejected]) -> str | None:
    return f"{rejected[0].place}: {rejected[0].reason}" if rejected else None
