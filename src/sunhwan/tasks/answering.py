"""Answers to new data, a row at a time, and the files that they are written to."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Examples, Rejected
from sunhwan.data.spool import Spool
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.learner import Learner
from sunhwan.tasks.sources import Chunk

Format = Literal["csv", "jsonl"]
Record = dict[str, Any]
Reject = Callable[[Rejected], None]
#: with more classes than this, only the probability of the chosen one is given
_MOST_CLASSES = 20
_DIGITS = 6


def answer_rows(learner: Learner, chunks: Iterable[Chunk], reject: Reject) -> Iterator[Record]:
    """The rows of the data again, each with its answer.

    Parameters
    ----------
    learner
        With its weights.
    chunks
        Of `sunhwan.tasks.sources.read_in_chunks`.
    reject
        Told of each row that cannot be answered.

    Yields
    ------
    dict
        What the row held, then ``predicted``; for labels also ``probability``, and
        ``probability_LABEL`` for each of at most 20 labels. For tagging, a list of answers, or a
        row for each step where the data has one. A row of a table that cannot be answered has
        None for each, so that rows keep their places.

    Raises
    ------
    UsageError
        The data has a column that the answers would take the place of.
    """
    for chunk in chunks:
        for rejected in chunk.examples.rejected:
            reject(rejected)
        yield from _answered(learner, chunk, reject)


def write_rows(
    rows: Iterable[Mapping[str, Any]], stream: BinaryIO, format: Format, *, mark: bool = False
) -> int:
    r"""Write rows as they come, in UTF-8; how many there were.

    In CSV the columns are those of the first row, and a list is written as JSON.

    Parameters
    ----------
    mark
        Whether CSV that is not all ASCII begins with a byte order mark. Excel takes a file without
        one for the encoding of the system; other programs would read it into the first name.

    Examples
    --------
    >>> stream = io.BytesIO()
    >>> write_rows([{"text": "so, so", "predicted": "bad"}], stream, "csv"), stream.getvalue()
    (1, b'text,predicted\n"so, so",bad\n')
    """
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for count, row in enumerate(rows, 1):
            if format == "jsonl":
                yield json.dumps(row, ensure_ascii=False) + "\n"
                continue
            if count == 1:
                yield _csv_line(row)
            yield _csv_line(row.values())

    for line in _marked(lines()) if mark and format == "csv" else lines():
        stream.write(line.encode())
    stream.flush()
    return count


def _answered(learner: Learner, chunk: Chunk, reject: Reject) -> Iterator[Record]:
    kept, encoded = _encoded(learner, chunk.examples, reject)
    answered = zip(kept, learner.answer(encoded), strict=True)
    if chunk.table is not None:
        places = chunk.examples.places
        found = {places[row]: _answer(learner, answer) for row, answer in answered}
        none = dict.fromkeys(_columns(learner))
        for place, fields in chunk.table:
            yield _joined(fields, found.get(place, none))
        return
    for row, answer in answered:
        if chunk.steps is None:
            yield _joined(chunk.rows[row], _answer(learner, answer))
            continue
        steps = chunk.steps[row]
        yield from map(_joined, steps, (_answer(learner, step) for step in answer))


def _encoded(
    learner: Learner, examples: Examples, reject: Reject
) -> tuple[list[int], Sequence[NDArray[Any]]]:
    """Numbers of the examples that have some, and which these are."""
    everything = list(range(len(examples)))
    if not everything:
        return [], []
    try:
        return everything, learner.encode(examples)
    except DataError:
        # one of them is at fault: find out which
        kept: list[int] = []
        encoded: list[NDArray[Any]] = []
    for row in everything:
        try:
            encoded += learner.encode(examples.take([row]))
            kept.append(row)
        except DataError as error:
            place = examples.places[row]
            reject(Rejected(place, error.message.removeprefix(f"{place}: ")))
    return kept, encoded


def _answer(learner: Learner, answer: Any) -> Record:
    """What is known of one answer; ``answer`` is float64[C], or float64[T, C] of many steps."""
    if not learner.classes:
        return {"predicted": np.asarray(answer).tolist()}
    shares = np.round(answer, _DIGITS)
    codes = np.argmax(answer, axis=-1)
    if codes.ndim:
        labels = [learner.classes[code] for code in codes]
        return {"predicted": labels, "probability": shares.max(axis=-1).tolist()}
    found: Record = {"predicted": learner.classes[codes], "probability": float(shares.max())}
    if len(learner.classes) <= _MOST_CLASSES:
        for name, share in zip(learner.classes, shares, strict=True):
            found[f"probability_{name}"] = float(share)
    return found


def _columns(learner: Learner) -> list[str]:
    """The names in an answer to a row of a table."""
    if not learner.classes:
        return ["predicted"]
    each = learner.classes if len(learner.classes) <= _MOST_CLASSES and not learner.per_step else []
    return ["predicted", "probability", *(f"probability_{name}" for name in each)]


def _joined(row: Mapping[str, Any], answer: Record) -> Record:
    if taken := [name for name in answer if name in row]:
        raise UsageError(
            f"the data has a column {taken[0]!r} already, where the answers are to stand",
            hint="rename the column",
        )
    return {**row, **answer}


def _marked(lines: Iterator[str]) -> Iterator[str]:
    """The lines, behind a byte order mark if one of them is not ASCII; until then they are held."""
    held = Spool[str]()
    for line in lines:
        if not line.isascii():
            yield "\ufeff"
            yield from held.items()
            yield line
            yield from lines
            return
        held.add(line)
    yield from held.items()


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    plain = [json.dumps(v, ensure_ascii=False) if isinstance(v, list | dict) else v for v in values]
    csv.writer(line, lineterminator="\n").writerow(plain)
    return line.getvalue()
