"""The sentences of a report in the reader's language."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from sunhwan.errors import UsageError

#: every language that a report can be written in
LANGUAGES = ("en", "ko")


class Words:
    """Looks up sentences and names in one language, in the files of ``texts/``.

    Parameters
    ----------
    language
        ``en`` or ``ko``.

    Raises
    ------
    UsageError
        There are no texts in that language.

    Examples
    --------
    >>> Words("en")("training.best", epoch=7), Words("ko")("training.best", epoch=7)
    ('best: epoch 7', '최적: 에포크 7')
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise UsageError(f"`lang` must be one of {', '.join(LANGUAGES)}, received {language!r}")
        self.language = language
        self._texts = texts(language)

    def __call__(self, key: str, **values: Any) -> str:
        """The text under ``key``, with ``values`` put into its braces."""
        return self._texts[key].format(**values)

    def __contains__(self, key: str) -> bool:
        return key in self._texts

    def name(self, group: str, key: str) -> str:
        """What ``key`` is called among ``group``; a key without a name stands for itself."""
        return self._texts.get(f"{group}.{key}", key)


@cache
def texts(language: str) -> dict[str, str]:
    """All texts of a language, by keys such as ``training.best``."""
    file = files("sunhwan.runs") / "texts" / f"{language}.toml"
    return dict(_flat(tomllib.loads(file.read_text(encoding="utf-8")), ""))


def _flat(group: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in group.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
