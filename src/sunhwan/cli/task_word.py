"""What is said where the task was left out, as in `sunhwan train reviews.csv`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from sunhwan.cli.train_options import TrainCommand
from sunhwan.errors import SunhwanError, UsageError

_TASKS = {
    "classify": "a label for a sequence: the mood of a text, the digit that is spoken",
    "regress": "a number for a sequence: a price from a text, the wear from a sensor",
    "tag": "a label or a number for each step: the part of speech of each word",
    "forecast": "the next steps of series: sales, temperatures",
    "generate": "how texts go on, to write more of them",
    "translate": "a text for a text: translations, summaries, answers",
    "caption": "a text for an image: what it shows",
}
#: in this order data is tried for them: a table of numbers can nearly always be forecast or tagged
_TRIED = ("caption", "classify", "regress", "forecast", "tag", "generate", "translate")
#: rows that tell
_SAMPLE = 1000


class TaskCommand(TrainCommand):
    """A command whose first word is the task; says so where that word is data."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, unless data stands where the task should."""
        words = list(args)
        try:
            rest = super().parse_args(ctx, args)
        except typer.BadParameter:
            # where the only word is taken for the task, data is missing
            _check(str(self.name), ctx.params, words)
            raise
        _check(str(self.name), ctx.params, words)
        return rest


def _check(verb: str, params: Mapping[str, Any], words: Sequence[str]) -> None:
    task = params.get("task")
    if task is None or task in _TASKS or not _is_data(task):
        return
    meant = ["sunhwan", verb, _likely([task, *(params.get("data") or [])], params), *words]
    lines = [
        f"the command that was probably meant: {shlex.join(meant)}",
        "the tasks, by what they answer with:",
        *(f"  {name:9} {answers}" for name, answers in _TASKS.items()),
    ]
    raise UsageError(
        f"the first word after `sunhwan {verb}` must be the task, "
        f"received {task!r}, which looks like data",
        hint="\n".join(lines),
    )


def _is_data(word: str) -> bool:
    from sunhwan.tasks.sources import find_data

    if Path(word).suffix or len(Path(word).parts) > 1:
        return True
    try:
        find_data(word)
    except SunhwanError:
        return False
    return True


def _likely(words: Sequence[str], params: Mapping[str, Any]) -> str:
    """The first task for which the columns or file names are clear, else ``TASK``."""
    from sunhwan.data.column_finder import ROLES

    named = {role: params[role] for role in ROLES if params.get(role) is not None}
    for task in _TRIED:
        try:
            _try(task, words, named)
        except SunhwanError:
            continue
        return task
    return "TASK"


def _try(task: Any, words: Sequence[str], named: Mapping[str, Any]) -> None:
    """Look for what the data must have for a task.

    Raises
    ------
    SunhwanError
        It lacks that, is not clear, or cannot be read.
    """
    from sunhwan.data.columns import guess
    from sunhwan.data.folders import find_layout
    from sunhwan.data.rows import open_rows
    from sunhwan.tasks.sources import find_data

    files = [find_data(word) for word in words]
    is_text = ".txt" in files[0].suffixes
    if is_text != (task == "generate"):
        raise UsageError(f"a text file is for `generate`, not `{task}`")
    if is_text:
        return
    if task == "translate":
        raise UsageError("pairs of texts look like texts and their labels")
    if task == "caption":
        _try_caption(files)
        return
    if files[0].is_dir() or files[0].suffix == ".zip":
        find_layout(files[0], task, named)
    elif ".conllu" in files[0].suffixes:
        if task != "tag":
            raise UsageError(f"CoNLL-U is for `tag`, not `{task}`")
    else:
        guess(open_rows(files).sample(_SAMPLE), task, named)


def _try_caption(files: Sequence[Path]) -> None:
    """Look for images, and for what is said of them in more than a word.

    Raises
    ------
    SunhwanError
        As of `_try`.
    """
    from sunhwan.data.rows import open_rows
    from sunhwan.tasks.caption_sources import find_columns

    rows = open_rows(files)
    finder = find_columns(rows, {})
    captions = finder.facts[finder.roles["caption"][0]].filled
    if not any(len(str(caption).split()) > 1 for caption in captions):
        raise UsageError("labels of images are no captions")
