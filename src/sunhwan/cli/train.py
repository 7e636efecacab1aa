"""``sunhwan train``: from a data file to a trained and explained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sunhwan.cli.outcome import note, resumable, show_outcome
from sunhwan.errors import UsageError


def _column(what: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(metavar="COLUMN", help=what)
    return found


def train(
    ctx: typer.Context,
    task: Annotated[
        str, typer.Argument(metavar="TASK", help="classify, regress, tag or forecast.")
    ],
    data: Annotated[
        list[str],
        typer.Argument(metavar="DATA", help="Tables, CoNLL-U files, or one folder or zip archive."),
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder that the run is kept in.")],
    test_data: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="Data to judge by; else a part is held out."),
    ] = None,
    text: Annotated[str | None, _column("Of the texts, or of the tokens to tag.")] = None,
    label: Annotated[str | None, _column("Of the labels.")] = None,
    target: Annotated[str | None, _column("Of the numbers to answer.")] = None,
    id: Annotated[str | None, _column("Tells sequences apart where a row is a step.")] = None,
    group: Annotated[str | None, _column("Rows that must stay together, as of a speaker.")] = None,
    time: Annotated[str | None, _column("Orders the steps; also several with commas.")] = None,
    series: Annotated[str | None, _column("Tells series apart, to forecast.")] = None,
    covariates: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Columns that help to forecast.")
    ] = None,
    features: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Columns of numbers.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Of file names, such as {label}_{group}_{n}."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Options in YAML or JSON; those given here win."),
    ] = None,
    lang: Annotated[str, typer.Option(metavar="en|ko", help="Language of the report.")] = "en",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the run that RUN holds.")
    ] = False,
) -> None:
    """Train a network on data, judge it beside baselines, and report.

    What each column is is guessed and told. Options without a default in brackets are chosen by
    the kind of the data.
    """
    if lang not in ("en", "ko"):
        raise UsageError(f"`--lang` must be en or ko, received {lang!r}")
    from sunhwan.runs.progress import choose
    from sunhwan.tasks import config as configuration
    from sunhwan.tasks import running

    kept = {} if config is None else configuration.read_options(config)
    options = configuration.make_options({**kept, **ctx.obj, "task": task})
    named = {"text": text, "label": label, "target": target, "id": id, "group": group,
             "time": time, "features": features, "pattern": pattern, "series": series,
             "covariates": covariates}  # fmt: skip
    known = {role: column for role, column in named.items() if column is not None}
    with resumable(out):
        run = running.start(
            options,
            running.Data(tuple(data), tuple(test_data or ()), known),
            out,
            overwrite=overwrite,
            lang=lang,
            progress=choose(),
            say=note,
        )
        show_outcome(run)
