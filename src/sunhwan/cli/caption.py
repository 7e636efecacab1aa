"""``sunhwan caption``: images in, a sentence for each out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of
from sunhwan.cli.predict import format_of, write_answers


def caption(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    data: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE", help="Images, folders of them, or tables that name them."),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write .csv or .jsonl there.")
    ] = None,
    width: Annotated[
        int | None, typer.Option(metavar="N", help="Beginnings that the search keeps.")
    ] = None,
    length_penalty: Annotated[
        float | None, typer.Option(metavar="X", help="Above 0 long answers are favoured.")
    ] = None,
) -> None:
    """Say what images show with a run of `train caption`.

    Each row again with its caption as `predicted`, or the name of each image with it: CSV on
    standard output, or what FILE ends in. Images that cannot be read are named on standard error;
    in a table they stay, with nothing predicted.
    """
    from sunhwan.tasks import caption_run

    language = language_of(run)
    speak(ctx, language)
    write_answers(
        lambda reject: caption_run.predict(
            run, data, reject, width=width, length_penalty=length_penalty
        ),
        out,
        format_of(None, out, data),
        language,
    )
