"""``sunhwan insight``: see what the network of a run remembers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of, speaker


def insight(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    data: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATA]", help="Data to look with; else what it was judged by."),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(metavar="en|ko", help="Language; else that of the run."),
    ] = None,
) -> None:
    """See what the network of a run remembers: one page, and a sentence for each layer.

    How far gradients flow back, before and after training; how far back inputs count; gates,
    states, and units that follow something; which words an answer rests on; the network unrolled.
    The page is RUN/insight.html; the report of the run has its figures too.
    """
    from sunhwan.runs.results_insight import verdicts
    from sunhwan.runs.results_values import shown
    from sunhwan.runs.wording import Words
    from sunhwan.tasks.insight_run import look

    words = Words(language_of(run, lang))
    speak(ctx, words.language)
    found = look(run, data or [], lang=words.language, say=speaker(words.language))
    for line in verdicts(shown(found), words):
        typer.echo(line)
    typer.echo(words("terminal.report", path=run / "insight.html"))
