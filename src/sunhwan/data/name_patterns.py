"""Answers that stand in the names of files: by folder, or in a pattern such as label_speaker_1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sunhwan.errors import UsageError

BY_FOLDER = "{label}/{name}"
#: parts of a pattern that mean something; all others only stand for what is there
_MEANT = ("label", "target", "group")
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class NamePattern:
    """How the name of a file is made up, such as ``{label}_{group}_{n}`` or ``{label}/{name}``.

    `text` is matched against the end of a path without its ending: as many folders as it has.

    Raises
    ------
    UsageError
        It has neither ``{label}`` nor ``{target}``, or a part twice.

    Examples
    --------
    >>> NamePattern("{label}_{group}_{n}").read("recordings/7_theo_12")
    {'label': '7', 'group': 'theo'}
    """

    text: str

    def __post_init__(self) -> None:
        names = _FIELD.findall(self.text)
        if len(set(names)) < len(names) or not {"label", "target"} & set(names):
            raise UsageError(
                "a pattern must have {label} or {target}, and each part once, "
                f"received {self.text!r}",
                hint="such as {label}/{name} or {label}_{group}_{n}",
            )

    def read(self, stem: str) -> dict[str, str] | None:
        """Part to its text, for the parts that mean something; None if the name does not fit."""
        pieces = _FIELD.split(self.text)
        expression = "".join(
            _group(piece) if number % 2 else re.escape(piece) for number, piece in enumerate(pieces)
        )
        depth = self.text.count("/") + 1
        found = re.fullmatch(expression, "/".join(PurePosixPath(stem).parts[-depth:]))
        return None if found is None else found.groupdict()


def _group(name: str) -> str:
    return f"(?P<{name}>[^/]+?)" if name in _MEANT else "[^/]+?"


def guess_pattern(stems: Sequence[str], root: str) -> tuple[NamePattern, str]:
    """The pattern of names, and the reason for it.

    Folders are labels. In a single folder, the first part of each name is the label if labels
    come again and again; the second of three or more is the group if groups do.

    Raises
    ------
    UsageError
        Neither can be seen, or there are folders of train and test; says what to give.

    Examples
    --------
    >>> names = ["0_theo_0", "1_theo_0", "0_lucas_0", "1_lucas_0"]
    >>> guess_pattern(names, "digits")[0].text
    '{label}_{group}_{part3}'
    """
    parents = {PurePosixPath(stem).parent for stem in stems}
    grand = sorted({str(parent.parent) for parent in parents if str(parent) != "."})
    if len(parents) > 1:
        if len(grand) > 1:
            raise UsageError(
                f"{root}: expected one folder for each label, but there are folders within "
                f"{', '.join(grand[:5])}",
                hint=f"name one of them, such as {root}/{grand[-1]}, or give --pattern",
            )
        labels = sorted(parent.name for parent in parents if parent.name)
        shown = ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
        return NamePattern(BY_FOLDER), f"a folder for each label: {shown}"
    names = [PurePosixPath(stem).name for stem in stems]
    for mark in "_-":
        if found := _by_parts([name.split(mark) for name in names], mark):
            return found
    raise UsageError(
        f"{root}: no label can be seen in names such as {names[0]!r}",
        hint="put the files into one folder for each label, or give --pattern, such as "
        "--pattern '{label}_{group}_{n}'",
    )


def _by_parts(names: Sequence[Sequence[str]], mark: str) -> tuple[NamePattern, str] | None:
    count = len(names[0])
    if count < 2 or any(len(parts) != count for parts in names):
        return None
    values = [sorted({parts[place] for parts in names}) for place in range(count)]
    again = [len(found) > 1 and 2 * len(found) <= len(names) for found in values]
    if not again[0]:
        return None
    parts = [f"{{part{number}}}" for number in range(1, count + 1)]
    parts[0] = "{label}"
    reason = f"the first part of each name: {', '.join(values[0][:5])}"
    reason += ", ..." if len(values[0]) > 5 else ""
    if count > 2 and again[1]:
        parts[1] = "{group}"
        shown = ", ".join(values[1][:5]) + (", ..." if len(values[1]) > 5 else "")
        reason += f"; the second is the group, kept together in one part of a split: {shown}"
    return NamePattern(mark.join(parts)), reason
