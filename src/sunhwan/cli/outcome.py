"""What `train` and `resume` say at their end, and when they are stopped."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
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


def note_rejected(rejected: Sequence[dict[str, str]]) -> None:
    """Name the rows that were left out, and say how many there were."""
    for row in rejected:
        note(f"{row['place']}: {row['reason']}")
    if rejected:
        note(f"rows left out: {len(rejected):,}")


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table whose first column is words and all others numbers."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(head):
        # in a narrow terminal only the names are broken, never a figure
        table.add_column(
            name, justify="right" if place else "left", no_wrap=place > 0, overflow="fold"
        )
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
    typer.echo(f"report: {run.path / 'report.html'}")
    typer.echo(f"next:   {_next(run.path, data)}")


def _next(path: Path, data: dict[str, Any]) -> str:
    known = (data["test_paths"] or data["paths"])[0]
    words = ["sunhwan", "predict", str(path), known, "--out", "predictions.csv"]
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
