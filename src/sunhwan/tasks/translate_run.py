"""A run that learns what texts become of texts: start it, go on with it, use it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sunhwan.data.examples import Rejected
from sunhwan.errors import UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.tasks import run_records, translate_judging
from sunhwan.tasks.baselines_translate import baselines
from sunhwan.tasks.learner import Say
from sunhwan.tasks.run_records import Data, rejected_rows
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_learner import TranslateLearner
from sunhwan.tasks.translate_parts import Pairs, split_pairs
from sunhwan.tasks.translate_sources import PairSource, read_pairs, read_pairs_again

#: test pairs whose attention is drawn
_DRAWN = 4


@dataclass
class Material:
    """Pairs by what they are for, and where they came from."""

    training: Pairs
    validation: Pairs
    test: Pairs
    source: PairSource
    name: str
    notes: list[str]


def start(
    config: TranslateConfig,
    data: Data,
    out: Path | str,
    *,
    overwrite: bool = False,
    lang: str = "en",
    progress: Progress | None = None,
    say: Say = lambda line: None,
) -> RunFolder:
    """Train a translator, judge it, and leave everything in a folder.

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
    learner = TranslateLearner(config)
    for line in learner.prepare(material.training):
        material.notes.append(line)
        say(line)
    _leave_out_long(learner, material, say)
    source, given = material.source, config.given()
    run = run_records.begin(
        learner, given, data, source.reader, source.files, out, overwrite=overwrite, lang=lang
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
    config = run_records.options_of(run, TranslateConfig)
    data, _ = run_records.data_of(run)
    material = read_material(config, data, say)
    is_written = run.has("environment.json")  # the last to be written before training
    if is_written:
        run_records.check_files(run, material.source.files)
        learner = _learner_of(run)
    else:
        learner = TranslateLearner(config)
        learner.prepare(material.training)
    _leave_out_long(learner, material, say)
    if not is_written:
        run_records.write_learner(run, learner, material.source.files)
    given = run.read("config.json").get("given", {})
    _finish(run, learner, material, given, data, progress, say)
    return run


def load(path: Path | str) -> TranslateLearner:
    """The translator of a run, with its weights.

    Raises
    ------
    UsageError
        The run did not learn to translate.
    DataError
        It is not a run, is damaged, or its training did not finish.
    """
    run = RunFolder.open(path)
    if run.task != "translate":
        raise UsageError(
            f"{path}: a run of `{run.task}` cannot translate",
            hint="`sunhwan train translate` makes one that can",
        )
    learner = _learner_of(run, run.size("weights.safetensors"))
    run_records.put_weights(run, learner.model)
    return learner


def evaluate(path: Path | str, data: Sequence[Path | str]) -> dict[str, Any]:
    """Figures of a run on other pairs; see `sunhwan.tasks.translate_judging.figures`."""
    learner = load(path)
    source = read_pairs_again(run_records.reader_of(path), data)
    rows, wanted = translate_judging.by_source(source.sources, source.targets)
    said = learner.answer([source.sources[row] for row in rows])
    found = translate_judging.figures(translate_judging.count(said, wanted), learner.config.seed)
    found.pop("signatures")
    return {**found, "rows": len(rows), "rejected": rejected_rows(source.rejected)}


def read_material(config: TranslateConfig, data: Data, say: Say) -> Material:
    """Read the pairs of a run and divide them, as its options say.

    Raises
    ------
    UsageError, DataError
        Data that cannot be read or divided.
    """
    source = read_pairs(data.paths, data.named)
    test: Pairs | None = None
    if data.test_paths:
        given = read_pairs_again(source.reader, data.test_paths)
        source.rejected.extend(given.rejected)
        source.files.extend(given.files)
        test = given
    share = 0.0 if data.test_paths else config.test
    parts = split_pairs(source, config.validation, share, config.seed)
    judged = parts.test if test is None else test
    notes = [*source.notes, *parts.notes]
    for line in notes:
        say(line)
    say(
        f"{len(parts.training):,} examples to train on, {len(parts.validation):,} to stop in time "
        f"by, {len(judged):,} to judge by"
    )
    name = Path(data.paths[0]).name
    return Material(parts.training, parts.validation, judged, source, name, notes)


def _leave_out_long(learner: TranslateLearner, material: Material, say: Say) -> None:
    """Leave the pairs that are too long out of training, and name them."""
    material.training, longer = learner.short_enough(material.training)
    material.source.rejected.extend(longer)
    if rejected := material.source.rejected:
        count = sum(map(len, (material.training, material.validation, material.test)))
        say(f"rows dropped: {len(rejected):,} of {count + len(rejected):,}; the report names them")


def _finish(
    run: RunFolder,
    learner: TranslateLearner,
    material: Material,
    given: Mapping[str, Any],
    data: Data,
    progress: Progress | None,
    say: Say,
) -> None:
    """Train, judge and report."""
    history = run_records.trained(
        run,
        learner,
        lambda shown: learner.fit(
            material.training,
            material.validation,
            state=run.training,
            fingerprint=_fingerprint(learner, material),
            progress=shown,
        ),
        progress,
    )
    command = run_records.command(learner.task, given, data, run.path)
    results = {
        **run_records.common_results(learner, history, material.name, command),
        "data": _data_summary(learner, material),
        **_judged(learner, material, say),
    }
    run.write("results.json", results)
    run_records.report(run, run_records.data_of(run)[1])
    run.finish()


def _judged(learner: TranslateLearner, material: Material, say: Say) -> dict[str, Any]:
    """Figures, baselines, examples and attention of the test part."""
    test, seed = material.test, learner.config.seed
    rows, wanted = translate_judging.by_source(test.sources, test.targets)
    asked = [test.sources[row] for row in rows]
    places = [test.places[row] for row in rows]
    say(f"answering {len(asked):,} sources")
    said = learner.answer(asked)
    counts = translate_judging.count(said, wanted)
    simple = baselines(
        material.training.sources,
        material.training.targets,
        asked,
        seed=seed,
        on_start=lambda name: say(f"baseline: {name}"),
    )
    lengths = [len(learner.encoder.source.encode(text)) for text in asked]
    return {
        **translate_judging.figures(counts, seed),
        "baselines": translate_judging.compare(counts, simple, wanted, seed),
        **translate_judging.by_length(counts, lengths),
        **translate_judging.examples(counts, asked, said, wanted, places),
        "attention": _attention(learner, asked, said),
    }


def _attention(
    learner: TranslateLearner, asked: Sequence[str], said: Sequence[str]
) -> list[dict[str, Any]]:
    """What of a few sources each token of their answers looked at; of middling length each."""
    if learner.config.attention == "none":
        return []
    stepper, found = learner.stepper(), []
    order = sorted(range(len(asked)), key=lambda row: (len(asked[row]), row))
    for row in order[len(order) // 2 :: max(1, len(order) // 2 // _DRAWN)][:_DRAWN]:
        source = learner.encoder.source.encode(asked[row])
        target = [*learner.encoder.target.encode(said[row]), learner.end]
        decode = learner.encoder.target.decode
        found.append(
            {
                "text": asked[row],
                "source": [learner.encoder.source.decode([int(one)]) for one in source],
                "written": ["" if one == learner.end else decode([int(one)]) for one in target],
                "weights": stepper.attention_of(source, target).round(4).tolist(),
            }
        )
    return found


def _data_summary(learner: TranslateLearner, material: Material) -> dict[str, Any]:
    rejected: list[Rejected] = material.source.rejected
    return {
        "train": len(material.training),
        "validation": len(material.validation),
        "test": len(material.test),
        **run_records.rejected_summary(rejected),
        "columns": material.source.columns,
        "files": material.source.files,
        "notes": [
            *material.notes,
            *run_records.rejected_notes(rejected),
            *learner.encoder.source.describe(material.validation.sources),
            *learner.encoder.target.describe(material.validation.targets),
        ],
    }


def _learner_of(run: RunFolder, most_bytes: float = float("inf")) -> TranslateLearner:
    config = run_records.options_of(run, TranslateConfig)
    encoder, model = run.read("encoder.json"), run.read("model.json")
    return TranslateLearner.from_json(config, encoder, model, str(run.path), most_bytes=most_bytes)


def _fingerprint(learner: TranslateLearner, material: Material) -> str:
    options = learner.config.model_dump(mode="json")
    text = json.dumps(
        [learner.to_json(), options, material.source.files, len(material.training)], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()
