"""``sunhwan train``: from a data file to a trained and explained model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sunhwan.cli.language import USUAL, usual
from sunhwan.cli.outcome import resumable, show_outcome, speaker
from sunhwan.cli.train_options import (
    Caption,
    ConfigFile,
    Covariates,
    DataPaths,
    Features,
    Group,
    Id,
    Image,
    Label,
    Pattern,
    Series,
    Source,
    Target,
    Task,
    TestData,
    Text,
    Time,
    columns_of,
    options_of,
)
from sunhwan.errors import UsageError
from sunhwan.runs.wording import LANGUAGES


def train(
    ctx: typer.Context,
    task: Task,
    data: DataPaths,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder that the run is kept in.")],
    test_data: TestData = None,
    text: Text = None,
    label: Label = None,
    source: Source = None,
    target: Target = None,
    image: Image = None,
    caption: Caption = None,
    id: Id = None,
    group: Group = None,
    time: Time = None,
    series: Series = None,
    covariates: Covariates = None,
    features: Features = None,
    pattern: Pattern = None,
    config: ConfigFile = None,
    lang: Annotated[
        str | None,
        typer.Option(
            metavar="en|ko", help=f"Language of the report and of what is said [{USUAL}]."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the run that RUN holds.")
    ] = False,
) -> None:
    """Train a network on data, judge it beside baselines, and report.

    What each column is is guessed and told. Options without a default in brackets are chosen by
    the kind of the data.
    """
    lang = usual() if lang is None else lang
    if lang not in LANGUAGES:
        raise UsageError(f"`--lang` must be en or ko, received {lang!r}")
    from sunhwan.runs.progress import choose
    from sunhwan.tasks import running

    options = options_of(ctx, task, config)
    with resumable(out):
        run = running.start(
            options,
            running.Data(tuple(data), tuple(test_data or ()), columns_of(ctx)),
            out,
            overwrite=overwrite,
            lang=lang,
            progress=choose(lang),
            say=speaker(lang),
        )
        show_outcome(run)
