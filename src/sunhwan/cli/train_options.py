"""The options of `sunhwan train` that are those of a run: made from their one list.

That is the fields of `Config`, and of `ForecastConfig` those that it has besides.
"""

from __future__ import annotations

import inspect
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand

from sunhwan.errors import UsageError

_KINDS = {int: "N", float: "X", str: "NAME", bool: ""}


class TrainCommand(TyperCommand):
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


def _options() -> list[Any]:
    from sunhwan.tasks.config import Config
    from sunhwan.tasks.forecast_config import ForecastConfig

    def holder(**options: Any) -> None:
        """Has the signature that typer makes options of."""

    parameters = [
        _parameter(name, field.annotation, field.description or "", field.default)
        for name, field in (ForecastConfig.model_fields | Config.model_fields).items()
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
