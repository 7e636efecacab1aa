"""``sunhwan reproduce``: run the published experiments again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sunhwan.errors import UsageError
from sunhwan.reproduce.comparisons import Comparison
from sunhwan.reproduce.experiments import EXPERIMENTS, Experiment
from sunhwan.reproduce.names import named
from sunhwan.reproduce.studies import STUDIES

if TYPE_CHECKING:
    from sunhwan.reproduce.runner import Result

#: everything that there is, in the order in which `all` runs it
_ALL: tuple[Experiment | Comparison, ...] = (*EXPERIMENTS, *STUDIES)


def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Experiments, or `all`.", show_default=False),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the experiments and stop.")] = False,
    seeds: Annotated[int, typer.Option(metavar="N", help="Trainings of each: seeds 1 to N.")] = 3,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where DIR/NAME/report.html is written.")
    ] = Path("reproduced"),
    epochs: Annotated[
        int | None,
        typer.Option(metavar="E", help="Epochs in place of the published number."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Two epochs on a few rows, to see that all works.")
    ] = False,
    stock: Annotated[
        bool, typer.Option("--stock", help="Train Keras's own layers with the same seeds too.")
    ] = False,
) -> None:
    """Run published experiments again, with several seeds, and report ours beside theirs.

    The studies among them hold networks beside each other that differ in one thing.

    Writes results.json and a self-contained report.html for each. After Ctrl-C, the same
    command goes on from the seeds that were finished.
    """
    if list_:
        _show_list()
        return
    if not names:
        raise UsageError(
            "`sunhwan reproduce` needs the name of an experiment, received none",
            hint="`sunhwan reproduce --list` shows them; `sunhwan reproduce all` runs them all",
        )
    if seeds < 1:
        raise UsageError(f"`--seeds` must be at least 1, received {seeds}")
    _run(_chosen(names), seeds, epochs, quick, stock, out)


def _chosen(names: list[str]) -> list[Experiment | Comparison]:
    """What is named, each once, in the order given; `all` stands for everything."""
    if "all" in names:
        return list(_ALL)
    return [named(name, _ALL) for name in dict.fromkeys(names)]


def _run(
    chosen: list[Experiment | Comparison],
    seeds: int,
    epochs: int | None,
    quick: bool,
    stock: bool,
    out: Path,
) -> None:
    from sunhwan.reproduce import overview
    from sunhwan.runs.files import write_text

    options = {"epochs": epochs, "quick": quick, "out": out}
    results = [_run_one(one, range(1, seeds + 1), stock, options) for one in chosen]
    _show_table(overview.rows([result.results for result in results]), stock)
    if not all(result.results["as_published"] for result in results):
        typer.echo("shortened runs: not comparable with what was published")
    studies = [one.name for one in chosen if not isinstance(one, Experiment)]
    if stock and studies:
        typer.echo(f"without stock Keras, whose layers they do not compare: {', '.join(studies)}")
    paths = [result.report_path for result in results]
    if len(results) > 1:
        page = overview.render([result.results for result in results])
        paths.insert(0, write_text(out / "index.html", page))
    for path in paths:
        typer.echo(f"report: {path}")
    typer.echo(f"next:   {_next(chosen, quick)}")


def _run_one(
    one: Experiment | Comparison, seeds: Sequence[int], stock: bool, options: dict[str, Any]
) -> Result:
    from sunhwan.reproduce import runner, study_runner
    from sunhwan.runs.progress import choose

    if isinstance(one, Experiment):
        return runner.run(one, seeds, stock=stock, progress=choose(), **options)
    return study_runner.run(one, seeds, progress=choose(), **options)


def _show_table(rows: list[list[str]], stock: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    from sunhwan.reproduce.overview import HEAD, WORDS

    left_out = () if stock else (HEAD.index("stock Keras"),)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(HEAD):
        if place not in left_out:
            # in a narrow terminal only the model's name is broken, never a figure
            table.add_column(
                name,
                justify="left" if place < WORDS else "right",
                no_wrap=name != "model",
                overflow="fold",
            )
    for row in rows:
        table.add_row(*(cell for place, cell in enumerate(row) if place not in left_out))
    Console().print(table)


def _show_list() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("name", "model", "epochs"):
        table.add_column(
            name,
            justify="right" if name == "epochs" else "left",
            no_wrap=name != "model",
            overflow="fold",
        )
    table.add_column("what", overflow="fold")
    for one in _ALL:
        table.add_row(one.name, one.models, one.limit, one.title)
    Console().print(table)


def _next(chosen: list[Experiment | Comparison], quick: bool) -> str:
    """A command that goes one step further than the one that has just ended."""
    if quick:
        return "sunhwan reproduce " + " ".join(experiment.name for experiment in chosen)
    done = {experiment.name for experiment in chosen}
    further = [experiment.name for experiment in EXPERIMENTS if experiment.name not in done]
    return f"sunhwan reproduce {further[0]} --stock" if further else "sunhwan bench"
