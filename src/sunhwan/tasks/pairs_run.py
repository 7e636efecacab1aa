"""A run that learns what is written of what is read: start it, go on with it, use it."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from sunhwan.data.examples import Rejected
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.tasks import run_records, translate_judging
from sunhwan.tasks.baselines_translate import Baseline
from sunhwan.tasks.learner import Say
from sunhwan.tasks.pairs_learner import PairsLearner
from sunhwan.tasks.run_records import Data, rejected_rows
from sunhwan.tasks.translate_judging import Counts
from sunhwan.tasks.translate_parts import Pairs, split_pairs
from sunhwan.tasks.translate_sources import PairSource

#: what learns the pairs
Kind = TypeVar("Kind", bound=PairsLearner[Any])


@dataclass
class Material:
    """Pairs by what they are for, and where they came from."""

    training: Pairs
    validation: Pairs
    test: Pairs
    source: PairSource
    name: str
    notes: list[str]


class PairsRun(ABC, Generic[Kind]):
    """The runs of a task that learns pairs."""

    #: the options of the task, what learns it, and what its runs can do
    options: ClassVar[type[Any]]
    learner: type[Kind]
    verb: ClassVar[str]
    #: whether pairs with the same target are on one side when a part is held out
    ties_targets: ClassVar[bool] = True

    @abstractmethod
    def read(self, config: Any, data: Data) -> PairSource:
        """The pairs to learn from."""

    @abstractmethod
    def read_again(self, reader: Mapping[str, Any], paths: Sequence[Path | str]) -> PairSource:
        """Other pairs, read as those of a run were."""

    @abstractmethod
    def baselines(self, training: Pairs, asked: Pairs, seed: int, say: Say) -> list[Baseline]:
        """Answers to what is asked that need no network."""

    @abstractmethod
    def shown(
        self,
        learner: Kind,
        asked: Pairs,
        said: Sequence[str],
        wanted: Sequence[Sequence[str]],
        counts: Counts,
    ) -> dict[str, Any]:
        """What the report shows of single answers."""

    def start(
        self,
        config: Any,
        data: Data,
        out: Path | str,
        *,
        overwrite: bool = False,
        lang: str = "en",
        progress: Progress | None = None,
        say: Say = lambda line: None,
    ) -> RunFolder:
        """Train on pairs, judge what is learnt, and leave everything in a folder.

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
        material = self.read_material(config, data, say)
        learner = self.learner(config)
        notes = learner.prepare(material.training)
        material.notes += notes
        for line in notes:
            say(line)
        _leave_out_long(learner, material, say)
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
        self._finish(run, learner, material, given, data, progress, say)
        return run

    def resume(
        self, path: Path | str, *, progress: Progress | None = None, say: Say = lambda line: None
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
        config = run_records.options_of(run, self.options)
        data, _ = run_records.data_of(run)
        material = self.read_material(config, data, say)
        material.notes += run_records.notes_of(run)
        is_written = run.has("environment.json")  # the last to be written before training
        if is_written:
            run_records.check_files(run, material.source.files)
            learner = self._learner_of(run)
        else:
            learner = self.learner(config)
            learner.prepare(material.training)
        _leave_out_long(learner, material, say)
        if not is_written:
            run_records.write_learner(run, learner, material.source.files)
        given = run.read("config.json").get("given", {})
        self._finish(run, learner, material, given, data, progress, say)
        return run

    def load(self, path: Path | str) -> Kind:
        """What a run learnt, with its weights.

        Raises
        ------
        UsageError
            The run learnt something else.
        DataError
            It is not a run, is damaged, or its training did not finish.
        """
        run, task = RunFolder.open(path), self.learner.task
        if run.task != task:
            raise UsageError(
                f"{path}: a run of `{run.task}` cannot {self.verb}",
                hint=f"`sunhwan train {task}` makes one that can",
            )
        learner = self._learner_of(run, run.size("weights.safetensors"))
        run_records.put_weights(run, learner.model)
        return learner

    def evaluate(self, path: Path | str, data: Sequence[Path | str]) -> dict[str, Any]:
        """Figures of a run on other pairs; see `sunhwan.tasks.translate_judging.figures`."""
        learner = self.load(path)
        source = self.read_again(run_records.reader_of(path), data)
        pairs, longer = learner.readable(source)
        rows, wanted = translate_judging.by_source(pairs.sources, pairs.targets)
        counts = translate_judging.count(learner.answer(pairs.take(rows).read()), wanted)
        found = translate_judging.figures(counts, learner.config.seed)
        found.pop("signatures")
        return {**found, "rows": len(rows), "rejected": rejected_rows([*source.rejected, *longer])}

    def read_material(self, config: Any, data: Data, say: Say) -> Material:
        """Read the pairs of a run and divide them, as its options say.

        Raises
        ------
        UsageError, DataError
            Data that cannot be read or divided.
        """
        source = self.read(config, data)
        test: Pairs | None = None
        if data.test_paths:
            given = self.read_again(source.reader, data.test_paths)
            source.rejected.extend(given.rejected)
            source.files.extend(given.files)
            test = given
        share = 0.0 if data.test_paths else config.test
        parts = split_pairs(
            source, config.validation, share, config.seed, ties_targets=self.ties_targets
        )
        judged = parts.test if test is None else test
        notes = [*source.notes, *parts.notes]
        for line in notes:
            say(line)
        say(
            f"{len(parts.training):,} examples to train on, {len(parts.validation):,} to stop in "
            f"time by, {len(judged):,} to judge by"
        )
        name = Path(data.paths[0]).name
        return Material(parts.training, parts.validation, judged, source, name, notes)

    def judged(
        self, path: Path | str, learner: Kind, data: Sequence[Path | str], say: Say
    ) -> Pairs:
        """The pairs that a run was judged by, or others, that can be read by what it learnt.

        Raises
        ------
        UsageError
            The run's data has changed.
        DataError
            Data that cannot be read.
        """
        run = RunFolder.open(path)
        reader = run_records.reader_of(path)
        if data:
            pairs: Pairs = self.read_again(reader, data)
        else:
            own, _ = run_records.data_of(run)
            material = self.read_material(run_records.options_of(run, self.options), own, say)
            run_records.check_files(run, material.source.files)
            pairs = material.test
        found, longer = learner.readable(pairs)
        if longer:
            say(f"rows dropped: {len(longer):,} of {len(pairs):,}; the first: {longer[0].reason}")
        return found

    def _finish(
        self,
        run: RunFolder,
        learner: Kind,
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
            **self._judged(learner, material, say),
        }
        run.write("results.json", results)
        run_records.report(run, run_records.data_of(run)[1])
        run.finish()

    def _judged(self, learner: Kind, material: Material, say: Say) -> dict[str, Any]:
        """Figures, baselines and examples of the test part."""
        test, seed = material.test, learner.config.seed
        rows, wanted = translate_judging.by_source(test.sources, test.targets)
        asked = test.take(rows)
        say(f"answering {len(asked):,} {self.learner.roles[0]}s")
        said = learner.answer(asked.read())
        counts = translate_judging.count(said, wanted)
        simple = self.baselines(material.training, asked, seed, say)
        return {
            **translate_judging.figures(counts, seed),
            "baselines": translate_judging.compare(counts, simple, wanted, seed),
            **self.shown(learner, asked, said, wanted, counts),
        }

    def _learner_of(self, run: RunFolder, most_bytes: float = float("inf")) -> Kind:
        config = run_records.options_of(run, self.options)
        encoder, model = run.read("encoder.json"), run.read("model.json")
        return self.learner.from_json(config, encoder, model, str(run.path), most_bytes=most_bytes)


def _leave_out_long(learner: PairsLearner[Any], material: Material, say: Say) -> None:
    """Leave out the pairs that are too long, and name them."""
    material.training, longer = learner.short_enough(material.training)
    material.validation, others = learner.short_enough(material.validation, learnt=False)
    material.test, unreadable = learner.readable(material.test)
    if not len(material.test):
        first = unreadable[0]
        raise DataError(
            f"none of the {len(unreadable):,} pairs to judge by can be used; {first.place}: "
            f"{first.reason}",
            hint="give a larger --max-length, or divide the texts",
        )
    material.source.rejected.extend([*longer, *others, *unreadable])
    if rejected := material.source.rejected:
        count = sum(map(len, (material.training, material.validation, material.test)))
        say(f"rows dropped: {len(rejected):,} of {count + len(rejected):,}; the report names them")


def _data_summary(learner: PairsLearner[Any], material: Material) -> dict[str, Any]:
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
            *learner.describe(material.validation),
        ],
    }


def _fingerprint(learner: PairsLearner[Any], material: Material) -> str:
    options = learner.config.model_dump(mode="json")
    text = json.dumps(
        [learner.to_json(), options, material.source.files, len(material.training)], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()
