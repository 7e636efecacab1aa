"""Runs one study with several seeds and writes its results and report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sunhwan.reproduce.kept import Kept
from sunhwan.reproduce.names import named
from sunhwan.reproduce.runner import QUICK_EPOCHS, Result, check_usage, machine, summary, write
from sunhwan.reproduce.studies import STUDIES, Contender, Size, Study
from sunhwan.runs.interrupt import heard
from sunhwan.runs.progress import Progress

#: what `--quick` makes of a study
_QUICK: dict[str, Any] = {"bins": 1, "units": 16, "batches": 4, "test_rows": 32}


@heard(at_once=True)
def run(
    study: str | Study,
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
        Its name, or a `Study` of your own.
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
    from sunhwan.reproduce.study_report import render

    chosen = named(study, STUDIES) if isinstance(study, str) else study
    check_usage(seeds, epochs)
    length = epochs or (min(QUICK_EPOCHS, chosen.epochs) if quick else chosen.epochs)
    groups = [
        replace(group, size=replace(group.size, **_QUICK)) if quick else group
        for group in chosen.groups
    ]
    settings = {"seeds": list(seeds), "epochs": length}
    folder, described = Path(out) / chosen.name, machine()
    kept = Kept(folder, {"name": chosen.name, "epochs": length, "machine": described,
                         "groups": [asdict(group) for group in groups]})  # fmt: skip
    shown = progress if progress is not None else Progress()
    shown.plan(chosen.name, len(chosen.contenders) * len(seeds), length)
    try:
        # networks of one shape one after the other, since they share what is compiled
        in_turn = sorted(
            ((one, group.size) for group in groups for one in group.contenders),
            key=lambda pair: (pair[1].units, pair[0].attention),
        )
        variants = {
            one.name: _contender(one, size, seeds, length, kept, shown) for one, size in in_turn
        }
    finally:
        shown.close()
    results = {
        "format": 1,
        "name": chosen.name,
        "title": chosen.title,
        "task": "study",
        "question": chosen.question,
        "headline": chosen.headline,
        "figures": list(chosen.figures),
        "groups": [
            {**asdict(group), "contenders": [one.name for one in group.contenders]}
            for group in groups
        ],
        "as_published": not quick and length == chosen.epochs,
        "quick": quick,
        "command": _command(chosen, seeds, epochs, quick),
        "settings": settings,
        "variants": [variants[one.name] for one in chosen.contenders],
        "environment": described,
    }
    return write(chosen.name, results, folder, kept, render)


def _contender(
    contender: Contender,
    size: Size,
    seeds: Sequence[int],
    epochs: int,
    kept: Kept,
    progress: Progress,
) -> dict[str, Any]:
    """Everything about one network: a record a seed, mean and spread."""
    from sunhwan.reproduce.contenders import record

    records = []
    for seed in seeds:
        label = f"{contender.title}, seed {seed}"
        found = kept.get(contender.name, seed)
        if found is not None:
            progress.skip(label, epochs)
        else:
            found = _record(
                record, contender, size, seed=seed, epochs=epochs, progress=progress, label=label
            )
            kept.put(contender.name, seed, found)
        records.append(found)
    return {**asdict(contender), "published": {}, "seeds": records, "summary": summary(records)}


def _record(record: Any, *given: Any, **options: Any) -> dict[str, Any]:
    try:
        found: dict[str, Any] = record(*given, **options)
    except KeyboardInterrupt:
        # what a training says of itself is not so here: finished seeds are kept
        raise KeyboardInterrupt from None
    return found


def _command(study: Study, seeds: Sequence[int], epochs: int | None, quick: bool) -> str:
    parts = ["sunhwan", "reproduce", study.name, "--seeds", str(len(seeds))]
    if epochs is not None:
        parts += ["--epochs", str(epochs)]
    return " ".join([*parts, *(["--quick"] if quick else [])])
