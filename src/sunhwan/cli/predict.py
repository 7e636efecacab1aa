"""``sunhwan predict``: new rows in, the same rows with answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from sunhwan.cli.language import speak
from sunhwan.cli.outcome import language_of, note, speaker
from sunhwan.errors import DataError, UsageError

if TYPE_CHECKING:
    from sunhwan.data.examples import Rejected
    from sunhwan.tasks.answering import Format
    from sunhwan.tasks.config import Task
    from sunhwan.tasks.sources import Chunk

_STANDARD_INPUT = "-"
_LINES = (".jsonl", ".ndjson", ".json")


def predict(
    ctx: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    data: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DATA",
            help="Data as in training, with or without answers; - for lines of text "
            "from standard input; a forecast goes on from its own data where none is given.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there, not to standard output.")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(metavar="csv|jsonl", help="Else it goes by FILE, then by DATA."),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(metavar="en|ko", help="Language of what is told; else that of the run."),
    ] = None,
) -> None:
    """Answer new data: each row again, with `predicted` and for labels their probabilities.

    A forecast gives the next steps of each series with their intervals. Rows that cannot be
    answered are named on standard error; in a table they stay, with nothing predicted.

    All is in UTF-8. A CSV FILE that is not all ASCII has a byte order mark, which Excel needs.
    """
    language = language_of(run, lang)
    speak(ctx, language)
    chosen = format_of(format, out, data or [])
    write_answers(lambda reject: _rows(run, data or [], reject), out, chosen, language)


def write_answers(
    answers: Callable[[Callable[[Rejected], None]], Iterator[Any]],
    out: Path | None,
    format: Format,
    language: str,
) -> None:
    """Write rows with their answers, name those without one, and say how many there were.

    Parameters
    ----------
    answers
        From what is to be told of each row that cannot be answered to the rows.
    out
        A file; None is standard output.

    Raises
    ------
    DataError
        No row could be answered.
    """
    from sunhwan.runs.sentences import translated
    from sunhwan.tasks.answering import write_rows

    rejected: list[Rejected] = []

    def reject(row: Rejected) -> None:
        rejected.append(row)
        place = translated(row.place, language, "place")
        note(f"{place}: {translated(row.reason, language)}")

    rows = answers(reject)
    with _stream(out) as stream:
        answered = total = 0

        def counted() -> Iterator[Any]:
            nonlocal answered, total
            for row in rows:
                total += 1
                answered += row.get("predicted", "") is not None
                yield row

        write_rows(counted(), stream, format, mark=out is not None)
        if rejected:
            speaker(language)(
                f"rows without an answer: {len(rejected):,} of {answered + len(rejected):,}"
            )
        if not answered:
            raise DataError("no row could be answered", hint="standard error names each")
    if out is not None:
        speaker(language)(f"written: {out} ({total:,} rows)")


def _rows(run: Path, data: list[str], reject: Callable[[Rejected], None]) -> Iterator[Any]:
    from sunhwan.runs.folder import RunFolder
    from sunhwan.tasks import caption_run, forecast_run, running
    from sunhwan.tasks.answering import answer_rows

    task = RunFolder.open(run).task
    if task == "generate":
        raise UsageError(
            f"{run}: a run of `generate` has no answers to rows",
            hint=f"`sunhwan generate {run}` writes, `sunhwan suggest {run}` says what may come",
        )
    if task == "translate":
        raise UsageError(
            f"{run}: a run of `translate` answers lines of text",
            hint=f"`sunhwan translate {run} FILE` writes a line for each",
        )
    if task == "caption":
        return caption_run.predict(run, data, reject)
    if task == "forecast":
        found = forecast_run.predict(run, data or None)
        for row in found.rejected:
            reject(row)
        return iter(found.rows)
    if not data:
        raise UsageError("`sunhwan predict` needs data to answer: a file, a folder or a zip")
    learner = running.load(run)
    return answer_rows(learner, _chunks(run, learner.task, data), reject)


def _chunks(run: Path, task: Task, data: list[str]) -> Iterable[Chunk]:
    from sunhwan.tasks import run_records, sources

    reader = run_records.reader_of(run)
    if _STANDARD_INPUT not in data:
        return sources.read_in_chunks(reader, task, data)
    if len(data) > 1:
        raise UsageError("- stands for standard input and cannot be given with other data")
    return sources.read_text_lines(reader, task, typer.get_binary_stream("stdin"))


@contextmanager
def _stream(out: Path | None) -> Iterator[BinaryIO]:
    if out is None:
        yield typer.get_binary_stream("stdout")
        return
    from sunhwan.runs.files import replacing

    with replacing(out) as file:
        yield file


def format_of(given: str | None, out: Path | None, data: list[str]) -> Format:
    """What answers are written as: what is given, else by the name of the file, else of the data.

    Raises
    ------
    UsageError
        It is neither CSV nor JSON lines.
    """
    if given == "csv":
        return "csv"
    if given == "jsonl":
        return "jsonl"
    if given is not None:
        raise UsageError(f"`--format` must be csv or jsonl, received {given!r}")
    name = (str(out) if out is not None else next(iter(data), "")).lower().removesuffix(".gz")
    if out is not None and out.suffix and not name.endswith((".csv", *_LINES)):
        raise UsageError(
            f"`--out` must end in .csv or .jsonl, received {out.name!r}",
            hint="give `--format csv` or `--format jsonl` to use another ending",
        )
    return "jsonl" if name.endswith(_LINES) else "csv"
