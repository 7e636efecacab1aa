"""``sunhwan generate`` and ``sunhwan suggest``: write with a language model, see what may come."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of, show_table, speaker
from sunhwan.errors import DataError

if TYPE_CHECKING:
    from sunhwan.runs.wording import Words
    from sunhwan.tasks.writer import Writer

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
Prompt = Annotated[
    str,
    typer.Option(metavar="TEXT", help="What to go on from; - reads it from standard input."),
]
Lang = Annotated[
    str | None,
    typer.Option(metavar="en|ko", help="Language; else that of the run."),
]


def generate(
    ctx: typer.Context,
    run: Run,
    prompt: Prompt = "",
    length: Annotated[int, typer.Option(metavar="N", help="Most tokens to write.")] = 500,
    temperature: Annotated[
        float, typer.Option(metavar="X", help="Below 1 timid, above 1 bold; 0: the likeliest.")
    ] = 0.8,
    top_k: Annotated[
        int | None, typer.Option(metavar="N", help="Draw among so many of the likeliest.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option(metavar="X", help="Draw among those that make up this share.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Of all that is drawn.")] = 1,
    endless: Annotated[
        bool, typer.Option("--endless", help="Go on where the model says that a text ends.")
    ] = False,
    lang: Lang = None,
) -> None:
    """Write on from a prompt with a run of `train generate`, shown as it is written.

    The same seed writes the same text. Standard output has the text alone, without the prompt.
    """
    from sunhwan.tasks.sampling import SamplingOptions

    language = language_of(run, lang)
    speak(ctx, language)
    options = SamplingOptions(temperature, top_k, top_p)
    writer, given = _writer(run, prompt, language)
    stream = sys.stdout
    for text in writer.write(given, length=length, options=options, seed=seed, ends=not endless):
        stream.write(text)
        stream.flush()
    stream.write("\n")


def suggest(
    ctx: typer.Context,
    run: Run,
    prompt: Prompt = "",
    count: Annotated[int, typer.Option(metavar="N", help="How many to show.")] = 10,
    json: Annotated[
        bool, typer.Option("--json", help="Write one JSON list and nothing else.")
    ] = False,
    lang: Lang = None,
) -> None:
    """Say what may come next after a prompt, with probabilities, the likeliest first."""
    from sunhwan.runs.wording import Words

    words = Words(language_of(run, lang))
    speak(ctx, words.language)
    writer, given = _writer(run, prompt, words.language)
    found = writer.suggest(given, count)
    if json:
        from json import dumps

        plain = [{"text": one.text, "probability": round(one.probability, 6)} for one in found]
        typer.echo(dumps(plain, ensure_ascii=False))
        return
    rows = [[_visible(one.text, words), f"{one.probability:.4f}"] for one in found]
    show_table(["", words("suggestions.probability")], rows)


def _writer(run: Path, prompt: str, language: str) -> tuple[Writer, str]:
    """What writes, and the prompt; letters of it that the model never met are told."""
    from sunhwan.tasks import generate_run
    from sunhwan.tasks.writer import Writer

    given = _from_standard_input() if prompt == "-" else prompt
    writer = Writer(generate_run.load(run))
    if unknown := writer.unknown(given):
        speaker(language)(
            f"never met while learning, and read as unknown: {' '.join(map(repr, unknown[:20]))}"
        )
    return writer, given


def _from_standard_input() -> str:
    from sunhwan.data.lines import NOT_UTF8

    content = typer.get_binary_stream("stdin").read()
    try:
        return content.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        place = error.start - content.rfind(b"\n", 0, error.start)
        raise DataError(
            f"standard input, line {number}: expected a line of text in UTF-8 "
            f"({NOT_UTF8}{content[error.start]:02x} at place {place} of the line)",
            hint="save it as UTF-8; a file of Korean Windows: iconv -f cp949 -t utf-8",
        ) from None


def _visible(text: str, words: Words) -> str:
    """A token with its white space made visible."""
    from sunhwan.tasks.writer import END_MARK

    if text == END_MARK:
        return words("suggestions.end")
    return "".join(_SHOWN.get(letter, letter) for letter in text)


#: how white space is written in a table
_SHOWN = {" ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍"}
