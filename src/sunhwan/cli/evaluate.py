"""``sunhwan evaluate``: how good a run is on other data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sunhwan.cli.outcome import note_rejected, show_table


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    data: Annotated[
        list[str], typer.Argument(metavar="DATA", help="Data with answers, as in training.")
    ],
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object of figures and nothing else.")
    ] = False,
) -> None:
    """Judge a run on other data that holds the answers."""
    from sunhwan.tasks import running

    found = running.evaluate(run, data)
    note_rejected(found["rejected"])
    if json:
        _show_json(found)
        return
    _show(found)


def _show_json(found: dict[str, Any]) -> None:
    from json import dumps

    figures = {
        **found["metrics"],
        "rows": found["rows"],
        "rejected": len(found["rejected"]),
        "intervals": found["intervals"],
    }
    typer.echo(dumps(figures, ensure_ascii=False, allow_nan=False))


def _show(found: dict[str, Any]) -> None:
    from sunhwan.runs.numbers import NOTHING, metric_text
    from sunhwan.runs.wording import Words

    words = Words("en")
    rows = []
    for key, value in found["metrics"].items():
        ends = [metric_text(key, end) for end in found["intervals"].get(key) or ()]
        rows.append([words.name("metric", key), metric_text(key, value), "–".join(ends) or NOTHING])
    show_table([f"{found['rows']:,} rows", "", "95 % interval"], rows)
