"""``sunhwan resume``: go on with a run that was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of, resumable, show_outcome, speaker


def resume(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
) -> None:
    """Go on with a run that was stopped or killed, and end as if it never was."""
    from sunhwan.runs.progress import choose
    from sunhwan.tasks import running

    language = language_of(run)
    speak(ctx, language)
    with resumable(run):
        show_outcome(running.resume(run, progress=choose(language), say=speaker(language)))
