"""What `train` and `resume` say at their end, and when they are stopped."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sunhwan.errors import SunhwanError

if TYPE_CHECKING:
    from sunhwan.runs.folder import RunFolder


def note(line: str) -> None:
    """Show a line that is no result."""
    typer.echo(line, err=True)


def speaker(language: str) -> Callable[[str], None]:
    """What shows the notes of a run in a language."""
    from sunhwan.runs.sentences import translated

    return lambda line: note(translated(line, language))


def language_of(run: Path, given: str | None = None) -> str:
    """The language to speak of a run in: the one given, else that of its report.

    Raises
    ------
    UsageError
        Nobody here speaks the one that is given.
    """
    from sunhwan.runs.folder import RunFolder
    from sunhwan.runs.wording import Words

    if given is not None:
        return Words(given).language
    found = RunFolder.open(run)
    data = found.read("config.json").get("data") if found.has("config.json") else None
    return str(data.get("lang", "en")) if isinstance(data, dict) else "en"


def note_rejected(rejected: Sequence[dict[str, str]], language: str) -> None:
    """Name the rows that were left out, and say how many there were."""
    from sunhwan.runs.sentences import translated

    say = speaker(language)
    for row in rejected:
        place = translated(row["place"], language, "place")
        note(f"{place}: {translated(row['reason'], language)}")
    if rejected:
        say(f"rows left out: {len(rejected):,}")


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table whose first column is words and all others numbers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(head):
        # in a narrow terminal only the names are broken, never a figure
        if place:
            table.add_column("\n".join(name.rsplit(" ", 1)), justify="right", no_wrap=True)
        else:
            table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False).print(table)


@contextmanager
def resumable(out: Path) -> Iterator[None]:
    """Let Ctrl-C say how to go on."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(str(error) or _stopped(out)) from None


def show_outcome(run: RunFolder) -> None:
    """The network beside its baselines, where the report is, and what to try next."""
    from sunhwan.runs import results_comparison
    from sunhwan.runs.results_values import shown
    from sunhwan.runs.wording import Words

    data = run.read("config.json")["data"]
    results, words = shown(run.read("results.json")), Words(data["lang"])
    table = results_comparison.table(results, words)
    show_table(table.head, table.rows)
    typer.echo(f"\n{results_comparison.verdict(results, words)}\n")
    typer.echo(words("terminal.report", path=run.path / "report.html"))
    typer.echo(words("terminal.next", command=_next(run, data)))


def _next(run: RunFolder, data: dict[str, Any]) -> str:
    if run.task == "generate":
        return shlex.join(["sunhwan", "generate", str(run.path)])
    if run.task == "translate":
        return shlex.join(["sunhwan", "translate", str(run.path), "sentences.txt"])
    if run.task == "caption":
        return shlex.join(["sunhwan", "caption", str(run.path), "image.png"])
    if run.task == "forecast":
        return shlex.join(["sunhwan", "predict", str(run.path)])
    known = Path((data["test_paths"] or data["paths"])[0])
    near = known.relative_to(Path.cwd()) if known.is_relative_to(Path.cwd()) else known
    words = ["sunhwan", "predict", str(run.path), str(near), "--out", "predictions.csv"]
    return shlex.join(words)


def _stopped(out: Path) -> str:
    """What is left of a run that Ctrl-C ended outside of its training."""
    from sunhwan.runs.folder import RunFolder

    try:
        run = RunFolder.open(out)
    except SunhwanError:
        return "stopped; nothing was kept"
    if run.state == "training" and run.has("environment.json"):
        return f"stopped; `sunhwan resume {shlex.quote(str(out))}` goes on"
    return "stopped; nothing was kept"
