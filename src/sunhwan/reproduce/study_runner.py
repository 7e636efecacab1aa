"""Runs one study with several seeds and writes its results and report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sunhwan.reproduce.comparisons import Comparison, Training
from sunhwan.reproduce.kept import Kept
from sunhwan.reproduce.names import named
from sunhwan.reproduce.runner import QUICK_EPOCHS, Result, check_usage, machine, summary, write
from sunhwan.reproduce.studies import STUDIES
from sunhwan.runs.interrupt import heard
from sunhwan.runs.progress import Progress


@heard(at_once=True)
def run(
    study: str | Comparison,
    seeds: Sequence[int] = (1, 2, 3),
    *,
    epochs: int | None = None,
    quick: bool = False,
    out: Path | str = "reproduced",
    progress: Progress | None = None,
) -> Result:
    """Train every network of a study once a seed; write results and report when all is done.

    Parameters
    ----------
    study
        Its name, or one of your own.
    seeds
        One training each.
    epochs
        In place of the study's own number; the results are then marked as a shortened run.
    quick
        Two epochs of small networks on short sequences, to see that all runs; marked likewise.
    out
        Folder in which a folder of the study's name gets ``results.json`` and ``report.html``.
        Seeds finished before an interruption are kept in it until then, and the same call goes on
        from them.
    progress
        Where to show what happens; by default nowhere.

    Raises
    ------
    UsageError
        Unknown name, no seeds, a seed twice, or `epochs` below 1.
    TrainingError
        A loss is not finite.
    KeyboardInterrupt
        Ctrl-C was pressed.
    """
    given = named(study, STUDIES) if isinstance(study, str) else study
    check_usage(seeds, epochs)
    length = epochs or (min(QUICK_EPOCHS, given.epochs) if quick else given.epochs)
    chosen = given.small() if quick else given
    trainings = chosen.trainings()
    folder, described = Path(out) / chosen.name, machine()
    kept = Kept(folder, {"study": repr(chosen), "epochs": length, "machine": described})
    shown = progress if progress is not None else Progress()
    shown.plan(chosen.name, len(trainings) * len(seeds), length)
    try:
        records = {
            one.name: [_record(one, seed, length, kept, shown) for seed in seeds]
            for one in trainings
        }
    finally:
        shown.close()
    results = {
        "format": 1,
        "name": chosen.name,
        "title": chosen.title,
        "task": "study",
        "headline": chosen.headline,
        **chosen.facts(),
        "as_published": not quick and length == chosen.epochs,
        "quick": quick,
        "command": _command(chosen, seeds, epochs, quick),
        "settings": {"seeds": list(seeds), "epochs": length},
        "variants": [
            {**one, "published": {}, "summary": summary(one["seeds"])}
            for one in chosen.variants(records)
        ],
        "environment": described,
    }
    return write(chosen.name, results, folder, kept, chosen.render)


def _record(
    training: Training, seed: int, epochs: int, kept: Kept, progress: Progress
) -> dict[str, Any]:
    """The record of a seed, kept from before or trained now."""
    label = f"{training.title}, seed {seed}"
    record = kept.get(training.name, seed)
    if record is not None:
        progress.skip(label, epochs)
        return record
    try:
        record = training.record(seed=seed, epochs=epochs, progress=progress, label=label)
    except KeyboardInterrupt:
        # what a training says of itself is not so here: finished seeds are kept
        raise KeyboardInterrupt from None
    kept.put(training.name, seed, record)
    return record


def _command(study: Comparison, seeds: Sequence[int], epochs: int | None, quick: bool) -> str:
    parts = ["sunhwan", "reproduce", study.name, "--seeds", str(len(seeds))]
    if epochs is not None:
        parts += ["--epochs", str(epochs)]
    return " ".join([*parts, *(["--quick"] if quick else [])])
