"""Experiments and studies by their names on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Protocol, TypeVar

from sunhwan.errors import UsageError


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Some = TypeVar("Some", bound=_Named)


def named(name: str, among: Sequence[Some]) -> Some:
    """The one called `name`.

    Raises
    ------
    UsageError
        There is none; the hint names the nearest, or all.
    """
    for one in among:
        if one.name == name:
            return one
    names = [one.name for one in among]
    near = difflib.get_close_matches(name, [*names, "all"], n=1, cutoff=0.5)
    hint = f"did you mean `{near[0]}`?" if near else "the names are " + ", ".join(names)
    raise UsageError(f"there is no experiment called `{name}`", hint=hint)
