"""``sunhwan report``: write the report of a run anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sunhwan.cli.outcome import language_of


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    lang: Annotated[
        str | None,
        typer.Option(metavar="en|ko", help="Language; else that of the run."),
    ] = None,
) -> None:
    """Write report.html of a run anew, and print its path."""
    from sunhwan.runs.folder import RunFolder
    from sunhwan.tasks import running

    typer.echo(running.report(RunFolder.open(run), language_of(run, lang)))
