"""``sunhwan translate``: a line of text in, a line of text out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of, note, speaker

if TYPE_CHECKING:
    from sunhwan.tasks.translate_learner import TranslateLearner
    from sunhwan.tasks.translate_sources import SourceLine

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
    lang: Annotated[
        str | None, typer.Option(metavar="en|ko", help="Language; else that of the run.")
    ] = None,
) -> None:
    """Answer each line of a file or of standard input with a run of `train translate`.

    Standard output has a line for each line that came; it is empty where that cannot be answered,
    and standard error says why.
    """
    from sunhwan.runs.sentences import translated
    from sunhwan.tasks import translate_run
    from sunhwan.tasks.sources import find_data
    from sunhwan.tasks.translate_sources import read_source_lines

    language = language_of(run, lang)
    speak(ctx, language)
    learner, say = translate_run.load(run), speaker(language)
    name = "standard input" if data is None else data.name
    count, unknown, tokens = 0, 0, 0
    with typer.get_binary_stream("stdin") if data is None else find_data(data).open("rb") as stream:
        lines = read_source_lines(stream, name)
        while some := list(islice(lines, _AT_ONCE)):
            asked, rejected = _readable(learner, some)
            for place, reason in rejected.items():
                note(f"{translated(place, language, 'place')}: {translated(reason, language)}")
            said = iter(learner.answer(asked, width=width, length_penalty=length_penalty))
            for line in some:
                typer.echo("" if line.place in rejected else " ".join(next(said).split("\n")))
            count += len(some)
            more = learner.unknown(asked)
            unknown, tokens = unknown + more[0], tokens + more[1]
    if not count:
        say(f"{name}: there is no line to answer")
    if unknown:
        say(f"tokens never met while learning, and read as unknown: {unknown:,} of {tokens:,}")


def _readable(
    learner: TranslateLearner, lines: Sequence[SourceLine]
) -> tuple[list[str], dict[str, str]]:
    """The texts that can be answered, and by their places why the others cannot."""
    from sunhwan.tasks.translate_parts import Pairs

    rejected = {line.place: line.reason for line in lines if line.reason is not None}
    sound = [line for line in lines if line.reason is None]
    texts, longer = learner.readable(
        Pairs([line.text for line in sound], [], [line.place for line in sound])
    )
    # in the order of the lines
    reasons = {**rejected, **{one.place: one.reason for one in longer}}
    places = [line.place for line in lines if line.place in reasons]
    return list(texts.sources), {place: reasons[place] for place in places}
