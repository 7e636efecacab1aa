"""The language that a command speaks: what it is asked for, else its run's, else the system's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sunhwan.runs.wording import LANGUAGES

_KEY = "sunhwan.language"
#: what says in which language a system speaks; the first that is set counts, as POSIX has it
_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")

#: what ``--help`` says of the default
USUAL = "ko where LC_ALL, LC_MESSAGES or LANG begins with ko; else en"


def usual(environment: Mapping[str, str] | None = None) -> str:
    """The language of the system, as far as we have its words; else English.

    Examples
    --------
    >>> usual({"LANG": "ko_KR.UTF-8"}), usual({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}), usual({})
    ('ko', 'en', 'en')
    """
    known = os.environ if environment is None else environment
    said = next((known[name] for name in _VARIABLES if known.get(name)), "")
    name = re.split("[_.@]", said)[0].lower()
    return name if name in LANGUAGES else "en"


def asked(words: Sequence[str]) -> str:
    """The language that ``--lang`` asks for among the words of a call, else that of the system.

    It is read before the call is, so that a mistake in it is told in that language.

    Examples
    --------
    >>> asked(["classify", "--lang", "ko"]), asked(["--lang=ko"])
    ('ko', 'ko')
    """
    found = usual()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name == "--lang" and (value or following) in LANGUAGES:
            found = value or following
    return found


def speak(ctx: Any, language: str) -> None:
    """Let a command, and what is told of its mistakes, speak a language."""
    ctx.meta[_KEY] = language


def spoken(ctx: Any) -> str:
    """The language that a command was told to speak, else that of the system."""
    return str(ctx.meta.get(_KEY) or usual())
