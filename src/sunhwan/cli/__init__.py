"""The command line: ``sunhwan VERB``, one verb a file, each of them thin.

Standard output carries results and nothing else; errors and progress go to standard error. The exit
code is 0 for success, 1 for a failure, 2 for a mistake in the call, and 130 after Ctrl-C.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sunhwan import __version__
from sunhwan.cli.bench import bench
from sunhwan.cli.caption import caption
from sunhwan.cli.check import check
from sunhwan.cli.compare import compare
from sunhwan.cli.evaluate import evaluate
from sunhwan.cli.export import export
from sunhwan.cli.generate import generate, suggest
from sunhwan.cli.insight import insight
from sunhwan.cli.language import spoken
from sunhwan.cli.predict import predict
from sunhwan.cli.report import report
from sunhwan.cli.reproduce import reproduce
from sunhwan.cli.resume import resume
from sunhwan.cli.task_word import TaskCommand
from sunhwan.cli.train import train
from sunhwan.cli.train_options import Command
from sunhwan.cli.translate import translate
from sunhwan.cli.tune import tune
from sunhwan.errors import SunhwanError
from sunhwan.runs.sentences import told, translated

_STOPPED = 130  # what a shell reports for a program that Ctrl-C ended


class _Verbs(TyperGroup):
    """The commands; an error raised on purpose becomes a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SunhwanError as error:
            typer.echo(told(error.message, error.hint, spoken(ctx)), err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt as error:
            typer.echo(translated(str(error) or "stopped", spoken(ctx), "failure"), err=True)
            raise typer.Exit(_STOPPED) from None


# Plain text instead of boxes: quicker to start, and the same in a terminal, a pipe and a log.
app = typer.Typer(
    cls=_Verbs,
    name="sunhwan",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"sunhwan {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and stop.", callback=_show_version),
    ] = False,
) -> None:
    """Recurrent networks that are fast on the machine you have and easy on the data you have."""


app.command(cls=TaskCommand)(train)
app.command(cls=TaskCommand)(tune)
for _verb in (
    *(resume, evaluate, predict, generate, suggest, translate, caption),
    *(compare, report, insight, export),
):
    app.command(cls=Command)(_verb)
for _other in (check, reproduce, bench):
    app.command(cls=Command)(_other)


def main() -> None:
    """Run the command line of this process."""
    app()
