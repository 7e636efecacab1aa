"""``sunhwan bench``: training steps and writing, ours and with Keras's own layers, side by side."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sunhwan.errors import UsageError

if TYPE_CHECKING:
    from sunhwan.reproduce.speed import Speed
    from sunhwan.reproduce.stopwatch import Timed
    from sunhwan.tasks.decoding_speed import Case, Decoding

#: environment variables that change how long a step takes
_DECIDING = ("SUNHWAN_ISA", "SUNHWAN_THREADS", "XLA_FLAGS")


def bench(
    models: Annotated[
        str, typer.Option(metavar="NAMES", help="Models, with commas between them, or `all`.")
    ] = "all",
    rounds: Annotated[int, typer.Option(metavar="N", help="Turns that each side takes.")] = 7,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Steps, letters or sentences in a turn, to have fewer."),
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
    """Time training steps of the tutorials' models, and writing, ours and Keras's own on JAX.

    Each side has a process of its own, and they take turns. Inputs are random numbers of the
    right shape: what a step costs does not depend on what it learns. Where text is written, the
    other sides call `predict` for each letter, and all must write the same. Let the machine be
    idle.
    """
    if rounds < 1:
        raise UsageError(f"`--rounds` must be at least 1, received {rounds}")
    if steps is not None and steps < 1:
        raise UsageError(f"`--steps` must be at least 1, received {steps}")
    training, writing = _choose([name.strip() for name in models.split(",")])
    _warn_without_kernels()
    trained = [_measure(timed, rounds, steps) for timed in training]
    if trained:
        _show(trained)
    written = [_measure(case, rounds, steps) for case in writing]
    if written:
        _show_writing(written)
    if json is not None:
        typer.echo(f"figures: {_write(json, [*trained, *written], models, rounds, steps)}")


def _choose(names: list[str]) -> tuple[list[Timed], list[Case]]:
    """What is timed by these names, each once; ``all`` stands for every one.

    Raises
    ------
    UsageError
        There is nothing of a name; the hint names the nearest, or all.

    Examples
    --------
    >>> [[one.name for one in kind] for kind in _choose(["write-letters", "reuters-gru"])]
    [['reuters-gru'], ['write-letters']]
    """
    from sunhwan.reproduce.stopwatch import TIMED
    from sunhwan.tasks.decoding_speed import CASES

    known = [one.name for one in (*TIMED, *CASES)]
    for name in names:
        if name not in known and name != "all":
            near = difflib.get_close_matches(name, [*known, "all"], n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else "the names are " + ", ".join(known)
            raise UsageError(f"there is no model called `{name}` to time", hint=hint)
    wanted = known if "all" in names else names
    return [one for one in TIMED if one.name in wanted], [c for c in CASES if c.name in wanted]


def _warn_without_kernels() -> None:
    from sunhwan.engine import native

    if not native.available():
        typer.echo(
            f"warning: no kernels ({native.why_missing()}): our side runs plain JAX", err=True
        )


def _measure(timed: Any, rounds: int, steps: int | None) -> Any:
    """Time one model, with a line of progress on standard error."""
    from rich.console import Console

    from sunhwan.reproduce import speed, stopwatch
    from sunhwan.tasks import decoding_speed

    is_training = isinstance(timed, stopwatch.Timed)
    measure = speed.measure if is_training else decoding_speed.measure
    console = Console(stderr=True)
    with console.status(f"{timed.name}: building") as status:
        return measure(
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


def _show_writing(found: list[Decoding]) -> None:
    from rich.console import Console
    from rich.table import Table

    from sunhwan.tasks.decoding_peers import WAYS

    titles = {"whole": "predict,\nall again", "states": "predict,\nstates"}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("letters\na second", no_wrap=True)
    heads = ["sunhwan", "quartiles", *(name for way in WAYS for name in (titles[way], "ratio"))]
    for name in heads:
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        first, middle, third = one.quartiles("sunhwan")
        cells = [one.name, f"{middle:,.0f}", f"{first:,.0f}-{third:,.0f}"]
        for way in WAYS:
            cells += [f"{one.quartiles(way)[1]:,.0f}", f"{one.ratio(way):.1f}"]
        table.add_row(*cells)
    Console().print(table)


def _write(path: Path, found: list[Any], models: str, rounds: int, steps: int | None) -> Path:
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
        "models": [one.as_json() for one in found],
    }
    return write_json(path, record)


def _slug(text: str) -> str:
    """Letters and digits of a name, for the name of a file."""
    words = "".join(c.lower() if c.isascii() and c.isalnum() else " " for c in text).split()
    return "-".join(words)
