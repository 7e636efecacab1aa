"""``sunhwan compare``: is one run better than another, or was it luck?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sunhwan.cli.outcome import show_table
from sunhwan.errors import UsageError

if TYPE_CHECKING:
    from sunhwan.runs.comparison import Comparison


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="Folders; the first is the measure.")
    ],
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON object and nothing else.")
    ] = False,
) -> None:
    """Compare runs that were judged on the same test rows, with paired tests."""
    from sunhwan.runs import comparison
    from sunhwan.runs.folder import RunFolder

    names = [str(run) for run in runs]
    if len(set(names)) < len(names):
        raise UsageError(f"a run can be named once, received {', '.join(names)}")
    rows = {name: list(RunFolder.open(name).read_predictions()) for name in names}
    found = comparison.compare(rows)
    if json:
        _show_json(found)
        return
    _show(found)


def _show_json(found: list[Comparison]) -> None:
    from dataclasses import asdict
    from json import dumps

    typer.echo(dumps({"comparisons": [asdict(one) for one in found]}, ensure_ascii=False))


def _show(found: list[Comparison]) -> None:
    from sunhwan.runs.numbers import metric_text, probability_text

    first = found[0]
    measure = {"accuracy": "accuracy", "error": "mean absolute error"}[first.measure]
    rows = [[first.first, metric_text(first.measure, first.first_figure)]]
    for one in found:
        figures = [one.other_figure, one.difference, one.low, one.high]
        texts = [metric_text(one.measure, figure) for figure in figures]
        interval = " to ".join(texts[2:])
        rows.append([one.other, *texts[:2], interval, probability_text(one.p_corrected)])
    head = [f"{first.rows:,} rows", measure, "difference", "95 % interval", "P"]
    show_table(head, rows)
    typer.echo()
    for one in found:
        typer.echo(one.verdict)
