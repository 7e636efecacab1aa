"""``sunhwan evaluate``: how good a run is on other data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of, note_rejected, show_table, speaker
from sunhwan.errors import DataError

if TYPE_CHECKING:
    from sunhwan.runs.wording import Words


def evaluate(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    data: Annotated[
        list[str], typer.Argument(metavar="DATA", help="Data with answers, as in training.")
    ],
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object of figures and nothing else.")
    ] = False,
    lang: Annotated[
        str | None,
        typer.Option(metavar="en|ko", help="Language; else that of the run."),
    ] = None,
) -> None:
    """Judge a run on other data that holds the answers.

    Data that the run learnt from is told on standard error, for its figures say nothing.
    """
    from sunhwan.runs.wording import Words
    from sunhwan.tasks import running

    words = Words(language_of(run, lang))
    speak(ctx, words.language)
    found = running.evaluate(run, data)
    note_rejected(found["rejected"], words.language)
    for name in _learnt_from(run, data):
        speaker(words.language)(
            f"{name} is data that this run learnt from: these figures say nothing about new data"
        )
    if json:
        _show_json(found)
        return
    for line in found.get("notes", []):
        speaker(words.language)(line)
    _show(found, words)


def _learnt_from(run: Path, data: list[str]) -> list[str]:
    """Names of the files or folders that the run learnt from; of a file the content tells.

    A forecast is judged on what came after the times that it learnt from.
    """
    from sunhwan.runs.folder import RunFolder
    from sunhwan.tasks.run_records import data_of
    from sunhwan.tasks.sources import checksums, find_data

    kept = RunFolder.open(run)
    if kept.task == "forecast":
        return []
    paths, learnt = data_of(kept)[0].paths, set()
    try:
        files = [(file["name"], file["sha256"]) for file in kept.read("environment.json")["files"]]
        for path in paths:  # files to judge by stand behind those to learn from; folders have none
            if files and files[0][0] == Path(path).name:
                learnt.add(files.pop(0)[1])
    except (KeyError, TypeError) as error:
        raise DataError(f"{run / 'environment.json'} does not say what files were read") from error
    found = []
    for given in (find_data(path).absolute() for path in data):
        digests = {file["sha256"] for file in checksums([given])}
        if digests & learnt or (given.is_dir() and str(given) in paths):
            found.append(given.name)
    return found


def _show_json(found: dict[str, Any]) -> None:
    from json import dumps

    figures = {
        **found["metrics"],
        "rows": found["rows"],
        "rejected": len(found["rejected"]),
        "intervals": found["intervals"],
    }
    typer.echo(dumps(figures, ensure_ascii=False, allow_nan=False))


def _show(found: dict[str, Any], words: Words) -> None:
    from sunhwan.runs.numbers import NOTHING, metric_text

    rows = []
    for key, value in found["metrics"].items():
        ends = [metric_text(key, end) for end in found["intervals"].get(key) or ()]
        rows.append([words.name("metric", key), metric_text(key, value), "–".join(ends) or NOTHING])
    unit = "windows" if "skill_by_step" in found else "rows"
    count = words(f"terminal.{unit}", count=f"{found['rows']:,}")
    show_table([count, "", words("baselines.interval")], rows)
