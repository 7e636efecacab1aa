"""Reads CoNLL-U, the format of Universal Dependencies (universaldependencies.org/format.html)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

from sunhwan.data.examples import Collector, Examples, Rejected
from sunhwan.data.lines import Line, Source, read_lines
from sunhwan.data.values import FieldError
from sunhwan.errors import DataError, UsageError

#: columns whose values can be tags
TagColumn = Literal["upos", "xpos", "deprel", "lemma", "feats"]
_COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_NOTHING = "_"


def read_conllu(
    paths: str | Path | Sequence[str | Path],
    *,
    column: TagColumn = "upos",
    labelled: bool = True,
) -> Examples:
    r"""The sentences of CoNLL-U files: their words, and a tag for each.

    Comments, ranges of words (``1-2``) and empty nodes (``1.1``) are no words. A sentence with a
    line that is malformed, or with a word that has no tag, is left out as a whole and stands in
    `Examples.rejected` with that line.

    Parameters
    ----------
    paths
        One file or several, plain or gzip.
    column
        Of the tags. Where ``_`` stands in ``feats`` it is a tag: a word without features.
    labelled
        False for text without tags: the examples have no targets.

    Returns
    -------
    Examples
        ``tokens``: `inputs` and `targets` are list[str] of one length. Places are the lines of
        each first word.

    Raises
    ------
    UsageError
        There is no such column.
    DataError
        A file is missing or no text, or holds no sentence that can be used.

    Examples
    --------
    >>> import tempfile
    >>> lines = ["1\tIt\tit\tPRON", "2\truns\trun\tVERB"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "tiny.conllu"
    ...     text = "".join(line + "\t_" * 6 + "\n" for line in lines)
    ...     size = path.write_text(text)
    ...     found = read_conllu(path)
    >>> found.inputs, found.targets
    ([['It', 'runs']], [['PRON', 'VERB']])
    """
    if column not in get_args(TagColumn):
        raise UsageError(
            f"`column` must be one of {', '.join(get_args(TagColumn))}, received {column!r}"
        )
    collector = Collector("tokens", answers=labelled, per_step=True)
    rejected: list[Rejected] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        source = Source.from_path(path, Path(path).name)
        for sentence in _sentences(read_lines(source)):
            _add(collector, rejected, source.name, sentence, column if labelled else None)
    examples = collector.examples(rejected)
    if not len(examples):
        first = "; ".join(f"{r.place}: {r.reason}" for r in examples.rejected[:1])
        raise DataError(
            f"no sentence of {paths} can be used; {first or 'it holds none'}",
            hint="CoNLL-U has ten columns between tabs and an empty line after each sentence; "
            "tags are in the column upos, or name another",
        )
    return examples


def _sentences(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines between empty ones, without comments."""
    sentence: list[Line] = []
    for line in lines:
        if line.content.strip():
            if not line.content.startswith("#"):
                sentence.append(line)
        elif sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _add(
    collector: Collector,
    rejected: list[Rejected],
    name: str,
    sentence: list[Line],
    column: str | None,
) -> None:
    words: list[str] = []
    tags: list[str] = []
    for line in sentence:
        try:
            word = _word(line, len(words) + 1, column)
        except FieldError as error:
            rejected.append(Rejected(f"{name}, line {line.number}", str(error)))
            return
        if word is not None:
            words.append(word[0])
            tags.append(word[1])
    if not words:
        place = f"{name}, line {sentence[0].number}"
        rejected.append(Rejected(place, "a sentence without words"))
        return
    collector.add(words, tags, f"{name}, line {sentence[0].number}")


def _word(line: Line, expected: int, column: str | None) -> tuple[str, str] | None:
    """The form and tag of a word; None for a range of words or an empty node."""
    if line.fault:
        raise FieldError(line.fault)
    fields = line.content.split("\t")
    if len(fields) != len(_COLUMNS):
        raise FieldError(f"expected {len(_COLUMNS)} fields between tabs, received {len(fields)}")
    number, form = fields[0], fields[1]
    if "-" in number or "." in number:
        return None
    if number != str(expected):
        raise FieldError(f"expected word {expected} of the sentence, received {number!r}")
    if not form.strip():
        raise FieldError("the word is empty")
    if column is None:
        return form, _NOTHING
    tag = fields[_COLUMNS.index(column)].strip()
    if not tag or (tag == _NOTHING and column != "feats"):
        raise FieldError(f"the word {form!r} has no {column}")
    return form, tag
