"""``sunhwan bench``: training steps with our layers and with Keras's own, timed side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sunhwan.errors import UsageError

if TYPE_CHECKING:
    from sunhwan.reproduce.speed import Speed
    from sunhwan.reproduce.stopwatch import Timed

#: environment variables that change how long a step takes
_DECIDING = ("SUNHWAN_ISA", "SUNHWAN_THREADS", "XLA_FLAGS")


def bench(
    models: Annotated[
        str, typer.Option(metavar="NAMES", help="Models, with commas between them, or `all`.")
    ] = "all",
    rounds: Annotated[int, typer.Option(metavar="N", help="Turns that each side takes.")] = 7,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps in a turn, to have fewer than usual."),
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            "--json",
            metavar="PATH",
            help="Write the figures there too; a folder gets a file named by date and processor.",
        ),
    ] = None,
) -> None:
    """Time whole training steps of the tutorials' models, ours and Keras's own on JAX.

    Each side has a process of its own, and the two take turns. Inputs are random numbers of the
    right shape: what a step costs does not depend on what it learns. Let the machine be idle.
    """
    from sunhwan.reproduce import speed

    if rounds < 1:
        raise UsageError(f"`--rounds` must be at least 1, received {rounds}")
    if steps is not None and steps < 1:
        raise UsageError(f"`--steps` must be at least 1, received {steps}")
    chosen = speed.choose([name.strip() for name in models.split(",")])
    _warn_without_kernels()
    found = [_measure(timed, rounds, steps) for timed in chosen]
    _show(found)
    if json is not None:
        typer.echo(f"figures: {_write(json, found, models, rounds, steps)}")


def _warn_without_kernels() -> None:
    from sunhwan.engine import native

    if not native.available():
        typer.echo(
            f"warning: no kernels ({native.why_missing()}): our side runs plain JAX", err=True
        )


def _measure(timed: Timed, rounds: int, steps: int | None) -> Speed:
    """Time one model, with a line of progress on standard error."""
    from rich.console import Console

    from sunhwan.reproduce import speed

    console = Console(stderr=True)
    with console.status(f"{timed.name}: building") as status:
        return speed.measure(
            timed,
            rounds,
            steps=steps,
            on_round=lambda done: status.update(f"{timed.name}: round {done} of {rounds}"),
        )


def _show(found: list[Speed]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("milliseconds a step")
    for name in ("sunhwan", "quartiles", "stock Keras", "quartiles", "ratio"):
        table.add_column(name, justify="right")
    for speed in found:
        cells = [speed.name]
        for side in ("sunhwan", "stock"):
            first, middle, third = (1e3 * value for value in speed.quartiles(side))
            cells += [f"{middle:.2f}", f"{first:.2f}-{third:.2f}"]
        table.add_row(*cells, f"{speed.ratio:.2f}")
    Console().print(table)


def _write(path: Path, found: list[Speed], models: str, rounds: int, steps: int | None) -> Path:
    """Write the figures with all that they depend on; the path of the file."""
    import os
    from datetime import UTC, datetime

    from sunhwan import environment
    from sunhwan.runs.files import write_json

    now = datetime.now(UTC)
    facts = environment.describe()
    if path.suffix != ".json":
        path = path / f"{now:%Y-%m-%d-%H%M}-{_slug(str(facts['cpu']))}-{facts['cores']}-cores.json"
    fewer = "" if steps is None else f" --steps {steps}"
    record: dict[str, Any] = {
        "date": f"{now:%Y-%m-%d}",
        "command": f"sunhwan bench --models {models} --rounds {rounds}{fewer}",
        "environment": facts,
        "variables": {name: os.environ[name] for name in _DECIDING if name in os.environ},
        "models": [speed.as_json() for speed in found],
    }
    return write_json(path, record)


def _slug(text: str) -> str:
    """Letters and digits of a name, for the name of a file."""
    words = "".join(c.lower() if c.isascii() and c.isalnum() else " " for c in text).split()
    return "-".join(words)
