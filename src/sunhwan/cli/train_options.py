"""What `sunhwan train` and `sunhwan tune` both take: the task, the data, the options of a run.

The options of a run are made from their one list, `sunhwan.tasks.config.OPTIONS`.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand

from sunhwan.cli.language import asked, speak
from sunhwan.errors import UsageError

#: what the parser of a call raises, whether typer brings click along or finds it installed
_CallError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "UsageError")

_KINDS = {int: "N", float: "X", str: "NAME", bool: ""}


def _column(what: str) -> typer.models.OptionInfo:
    found: typer.models.OptionInfo = typer.Option(metavar="COLUMN", help=what)
    return found


Task = Annotated[
    str,
    typer.Argument(
        metavar="TASK", help="classify, regress, tag, forecast, generate, translate or caption."
    ),
]
DataPaths = Annotated[
    list[str],
    typer.Argument(metavar="DATA", help="Tables, CoNLL-U or text files, or one folder or zip."),
]
TestData = Annotated[
    list[str] | None,
    typer.Option(metavar="PATH", help="Data to judge by; else a part is held out."),
]
Text = Annotated[str | None, _column("Of the texts, or of the tokens to tag.")]
Label = Annotated[str | None, _column("Of the labels.")]
Target = Annotated[str | None, _column("Of the numbers to answer, or of the texts to write.")]
Source = Annotated[str | None, _column("Of the texts to translate.")]
Image = Annotated[str | None, _column("Of the names of images.")]
Caption = Annotated[str | None, _column("Of what images show, in words.")]
Id = Annotated[str | None, _column("Tells sequences apart where a row is a step.")]
Group = Annotated[str | None, _column("Rows that must stay together, as of a speaker.")]
Time = Annotated[str | None, _column("Orders the steps; also several with commas.")]
Series = Annotated[str | None, _column("Tells series apart, to forecast.")]
Covariates = Annotated[
    str | None, typer.Option(metavar="A,B,...", help="Columns that help to forecast.")
]
Features = Annotated[str | None, typer.Option(metavar="A,B,...", help="Columns of numbers.")]
Pattern = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Of file names, such as {label}_{group}_{n}.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Options in YAML or JSON; those given here win."),
]
_ROLES = ("text", "label", "source", "target", "id", "group", "time", "features", "pattern",
          "series", "covariates", "image", "caption")  # fmt: skip


def columns_of(ctx: typer.Context) -> dict[str, str]:
    """What was said of the columns, by role."""
    return {role: ctx.params[role] for role in _ROLES if ctx.params.get(role) is not None}


def options_of(ctx: typer.Context, task: str, config: Path | None) -> Any:
    """The options of a run: those of a file, and before them those that were given.

    Raises
    ------
    UsageError, DataError
        As of `sunhwan.tasks.config.read_options` and `make_options`.
    """
    from sunhwan.tasks.config import TASKS, make_options, read_options

    known = task if task in TASKS else "classify"
    kept = {} if config is None else read_options(config, known)
    return make_options({**kept, **ctx.obj, "task": task})


class Command(TyperCommand):
    """A command whose mistakes in the call are told as all others are."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Parse in the language that is asked for; a mistake in the call is one of our errors."""
        if parent is not None and any(option.name == "lang" for option in self.params):
            speak(parent, asked(args))
        try:
            return super().make_context(info_name, args, parent, **extra)
        except _CallError as error:
            raise _mistake(error, str(self.name)) from None


class TrainCommand(Command):
    """A command with an option for each field of `Config`; those given become ``ctx.obj``.

    They are made when the command is called or explained, since `Config` takes long to import.
    """

    def get_params(self, ctx: Any) -> list[Any]:
        """The options of the command itself, then those of a run, then ``--help``."""
        *own, last = super().get_params(ctx)
        return [*own, *_options(), last]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, unless an option has the name that others give it."""
        from sunhwan.tasks.config import ALIASES

        for word in args:
            name = word.partition("=")[0].removeprefix("--").replace("-", "_")
            if word.startswith("--") and name in ALIASES:
                ours = ALIASES[name].replace("_", "-")
                raise UsageError(
                    f"there is no option `{word.partition('=')[0]}`",
                    hint=f"did you mean `--{ours}`?",
                )
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Call the function, which finds the options of the run in ``ctx.obj``."""
        given = {option.name: ctx.params.pop(option.name) for option in _options()}
        ctx.obj = {name: value for name, value in given.items() if value is not None}
        return super().invoke(ctx)


def _mistake(error: Any, verb: str) -> UsageError:
    """What the parser found, in our words where it is an option that does not exist."""
    every = f"`sunhwan {verb} --help` lists all options"
    if hasattr(error, "possibilities"):
        near = error.possibilities or ()
        hint = f"did you mean `{near[0]}`?" if near else every
        return UsageError(f"there is no option `{error.option_name}`", hint=hint)
    return UsageError(error.format_message().removesuffix("."), hint=every)


def _options() -> list[Any]:
    from sunhwan.tasks.config import OPTIONS

    def holder(**options: Any) -> None:
        """Has the signature that typer makes options of."""

    parameters = [
        _parameter(name, field.annotation, field.description or "", field.default)
        for name, field in OPTIONS.items()
        if name != "task"
    ]
    holder.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    holder.__annotations__ = {p.name: p.annotation for p in parameters}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(holder)
    return list(typer.main.get_command(app).params)


def _parameter(name: str, annotation: Any, text: str, default: Any) -> inspect.Parameter:
    """An option that is None where it is not given."""
    kind, words = _kind(annotation)
    flag = name.replace("_", "-")
    option = typer.Option(
        f"--{flag}/--no-{flag}" if kind is bool else f"--{flag}",
        metavar="|".join(words) or _KINDS[kind] or None,
        help=text.capitalize() + (f" [{default}]." if default is not None else "."),
        show_default=False,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _kind(annotation: Any) -> tuple[Any, tuple[str, ...]]:
    """The type of an option's value, and the words that it may be."""
    if get_origin(annotation) is Literal:
        return str, get_args(annotation)
    inner = [arm for arm in get_args(annotation) if arm is not NoneType]
    return _kind(inner[0]) if inner else (annotation, ())
