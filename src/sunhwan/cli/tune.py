"""``sunhwan tune``: find the options with which a network learns best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sunhwan.cli.outcome import note, show_table
from sunhwan.cli.train_options import (
    ConfigFile,
    Covariates,
    DataPaths,
    Features,
    Group,
    Id,
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

if TYPE_CHECKING:
    from sunhwan.tasks.tuning import Outcome

#: trials that are shown; all are in the folder
_SHOWN = 10


def tune(
    ctx: typer.Context,
    task: Task,
    data: DataPaths,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder that the search is kept in.")],
    trials: Annotated[
        int, typer.Option(metavar="N", min=1, help="In all, counting those done before.")
    ] = 30,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="No trial begins after so many.")
    ] = None,
    search: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OPTION=VALUES",
            help="Such as units=32,64,128 or learning-rate=1e-4..1e-2, and only these; else what "
            "matters most.",
        ),
    ] = None,
    test_data: TestData = None,
    text: Text = None,
    label: Label = None,
    source: Source = None,
    target: Target = None,
    id: Id = None,
    group: Group = None,
    time: Time = None,
    series: Series = None,
    covariates: Covariates = None,
    features: Features = None,
    pattern: Pattern = None,
    config: ConfigFile = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Remove the search that FOLDER holds.")
    ] = False,
) -> None:
    """Try options on data, and keep those with which a network learns best.

    Each trial is judged by its validation loss, never by the test part. Options that are given stay
    as they are. The same command goes on with a search that was stopped or killed.
    """
    from sunhwan.tasks import tuning, tuning_progress
    from sunhwan.tasks.run_records import Data

    outcome = tuning.search(
        options_of(ctx, task, config),
        Data(tuple(data), tuple(test_data or ()), columns_of(ctx)),
        out,
        texts=search or (),
        trials=trials,
        minutes=minutes,
        overwrite=overwrite,
        shown=tuning_progress.choose(),
        say=note,
    )
    _show(outcome)


def _show(outcome: Outcome) -> None:
    from sunhwan.tasks import tuning_page

    head, rows = tuning_page.table(outcome.trials)
    show_table(head, rows[:_SHOWN])
    typer.echo(f"\n{outcome.why}; {tuning_page.verdict(outcome)}")
    mattered = tuning_page.mattered(outcome)
    if mattered:
        typer.echo(mattered)
    typer.echo(f"\noptions: {outcome.path / 'best.yaml'}")
    typer.echo(f"report:  {outcome.path / 'report.html'}")
    typer.echo(f"next:    {outcome.command}")
