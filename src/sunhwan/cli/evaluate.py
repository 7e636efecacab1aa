"""``sunhwan evaluate``: how good a run is on other data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sunhwan.cli.outcome import language_of, note_rejected, show_table

if TYPE_CHECKING:
    from sunhwan.runs.wording import Words


def evaluate(
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
    """Judge a run on other data that holds the answers."""
    from sunhwan.runs.wording import Words
    from sunhwan.tasks import running

    words = Words(language_of(run, lang))
    found = running.evaluate(run, data)
    note_rejected(found["rejected"], words.language)
    if json:
        _show_json(found)
        return
    _show(found, words)


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
    count = words("terminal.rows", count=f"{found['rows']:,}")
    show_table([count, "", words("baselines.interval")], rows)
