"""What runs say in English, such as notes and reasons, in the language of the reader.

``results.json`` is the record of a run and is in English, whatever the language of its report. A
sentence of it is compared with templates such as ``"`{column}` is empty"``, which stand with their
translations in ``texts/ko_sentences.toml``; the values are put into the translation. What fits no
template stays as it is. The same goes for errors and their hints, in ``texts/ko_errors.toml``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import NamedTuple

from sunhwan.runs.wording import Words, texts

#: what a field ``{name:n}`` fits: a number as it is written in a sentence, also with ``%``
_NUMBER = r"[-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?%?"
#: longer texts are no sentences; comparing them could take long
_LONGEST = 10_000
#: names of `sunhwan.runs.wording` that also stand in sentences
_NAMES = ("baseline", "role")
#: what the files of translations are called after the language
_FILES = ("sentences", "errors")

#: English templates and their translations, by table
Tables = Mapping[str, Mapping[str, str]]


class _Template(NamedTuple):
    """An English sentence with its values left open, and its translation."""

    english: str
    pattern: re.Pattern[str]
    translation: str


def translated(text: str, language: str, table: str = "sentence") -> str:
    """A sentence of a run in a language; as it is where nobody has translated it.

    Parameters
    ----------
    text
        In English.
    language
        ``en`` or ``ko``.
    table
        Of the files of translations: ``sentence``, ``place``, ``title``, ``kernel``, ``duration``,
        ``failure`` or ``hint``.

    Examples
    --------
    >>> translated("baseline: drift", "ko"), translated("baseline: drift", "en")
    ('기준 모형: 추세 연장(drift)', 'baseline: drift')
    >>> translated("reviews.csv, line 12", "ko", "place")
    'reviews.csv, 12번째 줄'
    """
    if len(text) > _LONGEST:
        return text
    for _, pattern, translation in _templates(language).get(table, ()):
        if found := pattern.fullmatch(text):
            values = found.groupdict()
            # a field that is called as a table holds one of its sentences
            said = {name: translated(value, language, name) for name, value in values.items()}
            return translation.format(**said)
    return text


def told(message: str, hint: str | None, language: str) -> str:
    """An error as the command line tells it.

    Examples
    --------
    >>> print(told("`text` is empty", None, "en"))
    error: `text` is empty
    >>> print(told("no.csv: expected a file, but there is none", None, "ko"))
    오류: 파일이 없습니다: no.csv
    """
    words = Words(language)
    lines = [words("told.error", message=translated(message, language, "failure"))]
    if hint:
        lines += ["", words("told.hint", hint=translated(hint, language, "hint"))]
    return "\n".join(lines)


@cache
def tables(language: str) -> Tables:
    """The English templates of a language and their translations; none for English.

    Examples
    --------
    >>> tables("ko")["side"], tables("en")
    ({'first': '뒷부분을', 'last': '앞부분을'}, {})
    """
    found: dict[str, Mapping[str, str]] = {}
    for name in _FILES:
        file = files("sunhwan.runs") / "texts" / f"{language}_{name}.toml"
        if not file.is_file():
            return {}
        found |= tomllib.loads(file.read_text(encoding="utf-8"))
    names = {
        group: {
            key.removeprefix(f"{group}."): name
            for key, name in texts(language).items()
            if key.startswith(f"{group}.")
        }
        for group in _NAMES
    }
    return {**found, **names}


@cache
def _templates(language: str) -> dict[str, list[_Template]]:
    known = tables(language)
    return {
        table: [
            _Template(english, re.compile(_expression(english, known, (table,)), re.DOTALL), said)
            for english, said in sentences.items()
        ]
        for table, sentences in known.items()
    }


def _expression(template: str, known: Tables, within: tuple[str, ...]) -> str:
    """The regular expression of a template; its groups have the names of the fields.

    `within` is the table of the template, and those in whose sentences it stands: fields of these
    fit anything, so that a list may go on and on.
    """
    parts = []
    for literal, field, kind, _ in Formatter().parse(template):
        parts.append(re.escape(literal))
        if field is None:
            continue
        inner = ".*?" if field in within else ".+?"
        if kind == "n":
            inner = _NUMBER
        elif field in known and field not in within:
            inner = "|".join(_expression(one, known, (*within, field)) for one in known[field])
        # only the fields of the sentence itself are read; those of sentences in it later, by these
        name = f"P<{field}>" if len(within) == 1 else ":"
        parts.append(f"(?{name}{inner})")
    return "".join(parts)
