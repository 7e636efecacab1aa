"""``sunhwan compare``: is one run better than another, or was it luck?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sunhwan.cli.outcome import language_of, show_table
from sunhwan.errors import UsageError

if TYPE_CHECKING:
    from sunhwan.runs.comparison import Comparison
    from sunhwan.runs.wording import Words


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders; the first is the measure.")
    ],
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object and nothing else.")
    ] = False,
    lang: Annotated[
        str | None,
        typer.Option(metavar="en|ko", help="Language; else that of the first run."),
    ] = None,
) -> None:
    """Compare runs that were judged on the same test rows, with paired tests."""
    from sunhwan.runs import comparison
    from sunhwan.runs.folder import RunFolder
    from sunhwan.runs.wording import Words

    names = [str(run) for run in runs]
    if len(set(names)) < len(names):
        raise UsageError(f"a run can be named once, received {', '.join(names)}")
    words = Words(language_of(runs[0], lang))
    rows = {name: list(RunFolder.open(name).read_predictions()) for name in names}
    found = comparison.compare(rows)
    if json:
        _show_json(found)
        return
    _show(found, words)


def _show_json(found: list[Comparison]) -> None:
    from dataclasses import asdict
    from json import dumps

    typer.echo(dumps({"comparisons": [asdict(one) for one in found]}, ensure_ascii=False))


def _show(found: list[Comparison], words: Words) -> None:
    from sunhwan.runs.numbers import metric_text, probability_text

    first = found[0]
    measure = words({"accuracy": "metric.accuracy", "error": "terminal.error"}[first.measure])
    rows = [[first.first, metric_text(first.measure, first.first_figure)]]
    for one in found:
        figures = [one.other_figure, one.difference, one.low, one.high]
        texts = [metric_text(one.measure, figure) for figure in figures]
        interval = words("terminal.interval", low=texts[2], high=texts[3])
        rows.append([one.other, *texts[:2], interval, probability_text(one.p_corrected)])
    count = words("terminal.rows", count=f"{first.rows:,}")
    told = (words(key) for key in ("terminal.difference", "baselines.interval", "terminal.p"))
    show_table([count, measure, *told], rows)
    typer.echo()
    for one in found:
        typer.echo({"en": one.verdict, "ko": one.verdict_ko}[words.language])
