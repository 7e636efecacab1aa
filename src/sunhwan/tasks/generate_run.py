"""A run that learns to write, from texts to report: start it, go on with it, use it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.tasks import generate_judging, run_records
from sunhwan.tasks.baselines_language import baselines
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.generate_parts import split_texts
from sunhwan.tasks.generate_sources import TextSource, read_texts, read_texts_again
from sunhwan.tasks.language_learner import LanguageLearner
from sunhwan.tasks.learner import Say
from sunhwan.tasks.run_records import Data, rejected_rows

Ids = NDArray[np.int32]


@dataclass
class Material:
    """Texts by what they are for, and where they came from.

    Attributes
    ----------
    closed
        Whether texts are whole, so that their ends are to be foretold too.
    """

    training: Sequence[str]
    validation: Sequence[str]
    test: Sequence[str]
    closed: bool
    source: TextSource
    name: str
    notes: list[str]


def start(
    config: GenerateConfig,
    data: Data,
    out: Path | str,
    *,
    overwrite: bool = False,
    lang: str = "en",
    progress: Progress | None = None,
    say: Say = lambda line: None,
) -> RunFolder:
    """Train a language model, judge it, and leave everything in a folder.

    Raises
    ------
    UsageError, DataError
        Options or data that do not fit.
    TrainingError
        The loss is no longer finite.
    KeyboardInterrupt
        Ctrl-C; `resume` goes on.
    """
    RunFolder.check_free(out, overwrite=overwrite)  # before data are read for nothing
    material = read_material(config, data, say)
    learner = LanguageLearner(config)
    notes = learner.prepare(material.training)
    material.notes += notes
    for line in notes:
        say(line)
    source, given = material.source, config.given()
    run = run_records.begin(
        learner,
        given,
        data,
        source.reader,
        source.files,
        out,
        overwrite=overwrite,
        lang=lang,
        notes=notes,
    )
    _finish(run, learner, material, given, data, progress, say)
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
    run = run_records.open_unfinished(path)
    config = run_records.options_of(run, GenerateConfig)
    data, _ = run_records.data_of(run)
    material = read_material(config, data, say)
    material.notes += run_records.notes_of(run)
    if run.has("environment.json"):  # the last to be written before training
        run_records.check_files(run, material.source.files)
        learner = _learner_of(run)
    else:
        learner = LanguageLearner(config)
        learner.prepare(material.training)
        run_records.write_learner(run, learner, material.source.files)
    given = run.read("config.json").get("given", {})
    _finish(run, learner, material, given, data, progress, say)
    return run


def load(path: Path | str) -> LanguageLearner:
    """The language model of a run, with its weights.

    Raises
    ------
    UsageError
        The run did not learn to write.
    DataError
        It is not a run, is damaged, or its training did not finish.
    """
    run = RunFolder.open(path)
    if run.task != "generate":
        raise UsageError(
            f"{path}: a run of `{run.task}` cannot write",
            hint=f"`sunhwan predict {path} DATA` answers new data",
        )
    learner = _learner_of(run, run.size("weights.safetensors"))
    run_records.put_weights(run, learner.model)
    return learner


def evaluate(path: Path | str, data: Sequence[Path | str]) -> dict[str, Any]:
    """Figures of a run on other texts; see `sunhwan.tasks.generate_judging.figures`."""
    learner = load(path)
    source = read_texts_again(run_records.reader_of(path), data)
    ids = learner.joined(learner.ids(source.texts), closed=True)
    found = generate_judging.figures(
        learner.losses(ids), _characters(source.texts), learner.config.seed
    )
    return {**found, "rows": len(source.texts), "rejected": rejected_rows(source.rejected)}


def read_material(config: GenerateConfig, data: Data, say: Say) -> Material:
    """Read the texts of a run and divide them, as its options say.

    Raises
    ------
    UsageError, DataError
        Data that cannot be read or divided.
    """
    source = read_texts(data.paths, data.named)
    rest, test = source.texts, None
    if data.test_paths:
        given = read_texts_again(source.reader, data.test_paths)
        source.rejected.extend(given.rejected)
        source.files.extend(given.files)
        test = given.texts
    share = 0.0 if data.test_paths else config.test
    parts = split_texts(rest, config.validation, share, config.seed)
    # where nothing is held out, all figures are of what was learnt; the notes say so
    validation = parts.validation or parts.training
    judged = test or parts.test or parts.training
    learnt, stopped, tested = map(_characters, (parts.training, validation, judged))
    notes = [*source.notes, *parts.notes]
    for line in notes:
        say(line)
    say(
        f"characters to learn from: {learnt:,}, to stop in time by: {stopped:,}, "
        f"to judge by: {tested:,}"
    )
    name = Path(data.paths[0]).name
    return Material(parts.training, validation, judged, parts.closed, source, name, notes)


def _characters(texts: Sequence[str]) -> int:
    return sum(map(len, texts))


def _finish(
    run: RunFolder,
    learner: LanguageLearner,
    material: Material,
    given: Mapping[str, Any],
    data: Data,
    progress: Progress | None,
    say: Say,
) -> None:
    """Train, judge, write and report."""
    closed, seed = material.closed, learner.config.seed
    training = learner.ids(material.training)
    validation, test = learner.ids(material.validation), learner.ids(material.test)
    ids = [learner.joined(part, closed=closed) for part in (training, validation, test)]
    history = run_records.trained(
        run,
        learner,
        lambda shown: learner.fit(
            ids[0],
            ids[1],
            state=run.training,
            fingerprint=_fingerprint(learner, material),
            progress=shown,
        ),
        progress,
    )
    losses = learner.losses(ids[2])
    characters = _characters(material.test)
    simple = baselines(
        training,
        validation,
        test,
        learner.end + 1,
        closed=closed,
        on_start=lambda name: say(f"baseline: {name}"),
    )
    command = run_records.command(learner.task, given, data, run.path)
    results = {
        **run_records.common_results(learner, history, material.name, command),
        "data": _data_summary(learner, material, [len(one) - 1 for one in ids]),
        **generate_judging.figures(losses, characters, seed),
        "baselines": generate_judging.compare(losses, simple, characters, seed),
        "surprise": generate_judging.surprise(learner, ids[2], losses),
        # pieces of a text begin anywhere, so how one begins was not learnt
        "samples": generate_judging.samples(
            learner, say, "" if closed else generate_judging.opening(material.test[0])
        ),
    }
    run.write("results.json", results)
    run_records.report(run, run_records.data_of(run)[1])
    run.finish()


def _data_summary(
    learner: LanguageLearner, material: Material, counts: Sequence[int]
) -> dict[str, Any]:
    """What the report says of the data; `counts` are the tokens of each part."""
    rejected = material.source.rejected
    return {
        **dict(zip(("train", "validation", "test"), counts, strict=True)),
        "unit": learner.encoder.unit,
        **run_records.rejected_summary(rejected),
        "columns": material.source.columns,
        "files": material.source.files,
        "notes": [
            *material.notes,
            *run_records.rejected_notes(rejected),
            *learner.encoder.describe(material.validation),
        ],
    }


def _learner_of(run: RunFolder, most_bytes: float = float("inf")) -> LanguageLearner:
    config = run_records.options_of(run, GenerateConfig)
    encoder, model = run.read("encoder.json"), run.read("model.json")
    return LanguageLearner.from_json(config, encoder, model, str(run.path), most_bytes=most_bytes)


def _fingerprint(learner: LanguageLearner, material: Material) -> str:
    options = learner.config.model_dump(mode="json")
    text = json.dumps(
        [learner.to_json(), options, material.source.files, _characters(material.training)],
        sort_keys=True,
    )
    return hashlib.sha256(text.encode()).hexdigest()
