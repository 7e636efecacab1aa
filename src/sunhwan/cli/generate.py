"""``sunhwan generate`` and ``sunhwan suggest``: write with a language model, see what may come."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of, show_table, speaker

if TYPE_CHECKING:
    from sunhwan.tasks.writer import Writer

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")]
Prompt = Annotated[
    str,
    typer.Option(metavar="TEXT", help="What to go on from; - reads it from standard input."),
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
) -> None:
    """Write on from a prompt with a run of `train generate`, shown as it is written.

    The same seed writes the same text. Standard output has the text alone, without the prompt.
    """
    from sunhwan.tasks.sampling import SamplingOptions

    speak(ctx, language_of(run))
    options = SamplingOptions(temperature, top_k, top_p)
    writer, given = _writer(run, prompt)
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
) -> None:
    """Say what may come next after a prompt, with probabilities, the likeliest first."""
    speak(ctx, language_of(run))
    writer, given = _writer(run, prompt)
    found = writer.suggest(given, count)
    if json:
        from json import dumps

        rows = [{"text": one.text, "probability": round(one.probability, 6)} for one in found]
        typer.echo(dumps(rows, ensure_ascii=False))
        return
    show_table(
        ["", "probability"], [[_visible(one.text), f"{one.probability:.4f}"] for one in found]
    )


def _writer(run: Path, prompt: str) -> tuple[Writer, str]:
    """What writes, and the prompt; letters of it that the model never met are told."""
    from sunhwan.tasks import generate_run
    from sunhwan.tasks.writer import Writer

    given: Any = typer.get_text_stream("stdin").read() if prompt == "-" else prompt
    writer = Writer(generate_run.load(run))
    if unknown := writer.unknown(given):
        speaker(language_of(run))(
            f"never met while learning, and read as unknown: {' '.join(map(repr, unknown[:20]))}"
        )
    return writer, given


def _visible(text: str) -> str:
    """A token with its white space made visible."""
    return "".join(_SHOWN.get(letter, letter) for letter in text)


#: how white space is written in a table
_SHOWN = {" ": "␣", "\n": "↵", "\t": "⇥", "\r": "␍"}
