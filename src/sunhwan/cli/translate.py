"""``sunhwan translate``: a line of text in, a line of text out."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of, note

#: lines that are read before they are answered together
_AT_ONCE = 256


def translate(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    data: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A text a line; else standard input."),
    ] = None,
    width: Annotated[
        int | None, typer.Option(metavar="N", help="Beginnings that the search keeps.")
    ] = None,
    length_penalty: Annotated[
        float | None, typer.Option(metavar="X", help="Above 0 long answers are favoured.")
    ] = None,
) -> None:
    """Answer each line of a file or of standard input with a run of `train translate`.

    Standard output has a line for each line that came; it is empty where that has no text, and
    standard error says why.
    """
    from sunhwan.runs.sentences import translated
    from sunhwan.tasks import translate_run
    from sunhwan.tasks.sources import find_data
    from sunhwan.tasks.translate_sources import read_source_lines

    language = language_of(run)
    speak(ctx, language)
    learner = translate_run.load(run)
    name = "standard input" if data is None else data.name
    with typer.get_binary_stream("stdin") if data is None else find_data(data).open("rb") as stream:
        lines = read_source_lines(stream, name)
        while some := list(islice(lines, _AT_ONCE)):
            for line in some:
                if line.reason is not None:
                    place = translated(line.place, language, "place")
                    note(f"{place}: {translated(line.reason, language)}")
            asked = [line.text for line in some if line.reason is None]
            said = iter(learner.answer(asked, width=width, length_penalty=length_penalty))
            for line in some:
                typer.echo("" if line.reason is not None else " ".join(next(said).split("\n")))
