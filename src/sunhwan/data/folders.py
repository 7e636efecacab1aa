"""Folders and zip archives of texts, of sounds, or of one table for each sequence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from sunhwan.data.archives import Member, Members, open_members
from sunhwan.data.column_finder import Named
from sunhwan.data.columns import Columns, Task
from sunhwan.data.examples import Collector, Examples, Rejected
from sunhwan.data.name_patterns import NamePattern, guess_pattern
from sunhwan.data.sequence_files import SequenceFiles
from sunhwan.data.table_examples import check_examples, to_examples
from sunhwan.data.values import FieldError, to_number, to_text
from sunhwan.errors import DataError, UsageError

FolderKind = Literal["text", "sound", "numbers"]
ENDINGS: dict[str, FolderKind] = {
    **{".txt": "text", ".wav": "sound", ".flac": "sound", ".ogg": "sound"},
    **{".csv": "numbers", ".tsv": "numbers"},
}
#: bytes of the longest text
_LONGEST_TEXT = 16 * 2**20
_NAMED = ("pattern", "label", "target", "group", "features", "time")


@dataclass(frozen=True)
class FolderLayout:
    """What the files of a folder are, and where their answers stand.

    Attributes
    ----------
    kind
        Of the files.
    pattern
        How names hold answers, such as ``{label}_{group}_{n}``; None where they do not.
    columns
        Of sequences of numbers: the columns of each file.
    answer, group
        Columns of the table beside sequences of numbers that gives the answer and the group.
    reasons
        Role to the reason for it.
    unused
        Files of other kinds.
    """

    kind: FolderKind
    pattern: str | None = None
    columns: Columns | None = None
    answer: str | None = None
    group: str | None = None
    reasons: dict[str, str] = field(default_factory=dict, compare=False)
    unused: tuple[str, ...] = field(default=(), compare=False)

    def describe(self) -> list[str]:
        """A line for each thing that was found, with the reason for it."""
        what = {"text": "texts", "sound": "sounds", "numbers": "sequences of numbers"}[self.kind]
        lines = [f"files: {what}"] + (self.columns.describe() if self.columns else [])
        lines += [f"{role}: {reason}" for role, reason in self.reasons.items()]
        if self.unused:
            shown = ", ".join(self.unused[:3]) + (", ..." if len(self.unused) > 3 else "")
            lines.append(f"not used: {shown} (files: {len(self.unused)})")
        return lines

    def without_answers(self) -> FolderLayout:
        """The same for files whose answers are not known."""
        columns = None if self.columns is None else self.columns.without_answers()
        return replace(self, pattern=None, answer=None, group=None, columns=columns)

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        config = {item.name: getattr(self, item.name) for item in fields(self) if item.compare}
        return config | {"columns": None if self.columns is None else self.columns.config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> FolderLayout:
        """The layout that `config` was made of.

        Raises
        ------
        DataError
            It is no such mapping.
        """
        known = {item.name for item in fields(cls) if item.compare}
        if set(config) != known or config["kind"] not in ENDINGS.values():
            raise DataError(f"expected the folder layout of a run, received {dict(config)}")
        columns = config["columns"]
        made = None if columns is None else Columns.from_config(columns)
        return cls(**{**config, "columns": made})


def find_layout(path: Path | str, task: Task, named: Named | None = None) -> FolderLayout:
    """Find out what a folder or a zip archive holds.

    The kind is that of most files. Texts and sounds have their label in the folder or in the name;
    see `sunhwan.data.name_patterns`. Tables of one sequence each have it in another table, which
    names each file and its answer, else as texts do, or in a column of their own for ``tag``.

    Parameters
    ----------
    path
        A folder, or a zip archive, which is not extracted.
    task
        ``classify``, ``regress`` or ``tag``.
    named
        What the user gave: ``pattern``; for tables also the columns ``label`` or ``target``,
        ``group``, ``features`` and ``time``.

    Raises
    ------
    UsageError
        Something is not clear; says what to give.
    DataError
        There are no files of a known kind, or the archive is refused.
    """
    with open_members(path) as members:
        return _find_layout(members, Path(path).name, task, _given(named, task))


def from_folder(
    path: Path | str,
    task: Task = "classify",
    named: Named | None = None,
    *,
    layout: FolderLayout | None = None,
    checked: bool = True,
) -> Examples:
    """The files of a folder or a zip archive with their answers.

    Parameters
    ----------
    path, task, named
        See `find_layout`.
    layout
        What `find_layout` found, here or in the folder that a model was trained on; `named` is not
        needed then. `FolderLayout.without_answers` for files whose answers are not known.
    checked
        See `sunhwan.data.table_examples.to_examples`.

    Returns
    -------
    Examples
        ``text``; ``sound``, whose files are read when they are needed (those of an archive are
        held in memory, packed as they are); ``numbers``, float32[T, D] each.

    Raises
    ------
    UsageError, DataError
        See `find_layout` and `to_examples`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("good/1", "good/2", "bad/1"):
    ...         file = Path(folder, name).with_suffix(".txt")
    ...         file.parent.mkdir(exist_ok=True)
    ...         size = file.write_text(f"a {name} film")
    ...     found = from_folder(folder)
    >>> found.inputs[0], found.targets
    ('a bad/1 film', ['bad', 'good', 'good'])
    """
    root = Path(path).name
    with open_members(path) as members:
        if layout is None:
            layout = _find_layout(members, root, task, _given(named, task))
        files = [member for member in members.files if ENDINGS.get(member.ending) == layout.kind]
        if layout.kind == "numbers":
            examples = _sequences(files, root, layout, task)
        else:
            examples = _files(files, layout, Path(path), task)
        strangers = [m for m in members.files if ENDINGS.get(m.ending) != layout.kind]
        examples.rejected = [
            *members.rejected,
            *_misplaced(strangers, layout.pattern),
            *examples.rejected,
        ]
    if checked:
        check_examples(examples, task)
    return examples


def _given(named: Named | None, task: Task) -> dict[str, Any]:
    given = {role: value for role, value in (named or {}).items() if value}
    if unknown := [role for role in given if role not in _NAMED]:
        raise UsageError(
            f"{unknown[0]!r} cannot be given for a folder; what can is {', '.join(_NAMED)}"
        )
    if task == "forecast":
        raise UsageError("forecast takes tables, not a folder", hint="name the files: FOLDER/*.csv")
    return given


def _find_layout(members: Members, root: str, task: Task, given: Mapping[str, Any]) -> FolderLayout:
    kinds = Counter(ENDINGS[m.ending] for m in members.files if m.ending in ENDINGS)
    if not kinds:
        endings = Counter(member.ending or member.name for member in members.files)
        found = ", ".join(f"{ending} ({count})" for ending, count in endings.most_common(5))
        raise DataError(
            f"{root}: expected files that end in {', '.join(ENDINGS)}, "
            f"received {found or 'no files'}"
        )
    kind = max(kinds, key=lambda kind: kinds[kind])
    files = [member for member in members.files if ENDINGS.get(member.ending) == kind]
    unused = tuple(m.name for m in members.files if ENDINGS.get(m.ending) != kind)
    if task == "tag" and kind != "numbers":
        raise UsageError(f"{root}: tagging takes tables of steps or CoNLL-U, received a folder")
    if kind == "numbers":
        return _layout_of_sequences(files, root, task, given, unused)
    pattern, reason = _pattern([member.stem for member in files], root, given)
    role = "target" if task == "regress" else "label"
    reasons = {"pattern": pattern.text, role: reason}
    return FolderLayout(kind, pattern.text, reasons=reasons, unused=unused)


def _pattern(stems: Sequence[str], root: str, given: Mapping[str, Any]) -> tuple[NamePattern, str]:
    if "pattern" in given:
        return NamePattern(given["pattern"]), "--pattern"
    return guess_pattern(stems, root)


def _layout_of_sequences(
    files: Sequence[Member],
    root: str,
    task: Task,
    given: Mapping[str, Any],
    unused: tuple[str, ...],
) -> FolderLayout:
    sequences = SequenceFiles(files, root)
    if task == "tag":
        columns = sequences.columns(given, task)
        return FolderLayout("numbers", columns=columns, unused=unused)
    role = "target" if task == "regress" else "label"
    columns = sequences.columns({k: given[k] for k in ("features", "time") if k in given}, task)
    found = None if "pattern" in given else sequences.find_answer(role, given.get(role))
    if found is None:
        pattern, reason = _pattern([member.stem for member, _ in sequences.files], root, given)
        reasons = {"pattern": pattern.text, role: reason}
        return FolderLayout("numbers", pattern.text, columns, reasons=reasons, unused=unused)
    group = sequences.find_answer("group", given["group"]) if "group" in given else None
    reasons = {role: found.reason}
    return FolderLayout(
        "numbers",
        None,
        columns,
        found.column,
        group.column if group else None,
        reasons | ({"group": group.reason} if group else {}),
        unused,
    )


def _misplaced(strangers: Iterable[Member], pattern: str | None) -> list[Rejected]:
    """Files of another kind that stand where a file with a label would."""
    if pattern is None:
        return []
    names = NamePattern(pattern)
    return [
        Rejected(member.place, f"files that end in {member.ending or 'nothing'} are not read here")
        for member in strangers
        if names.read(member.stem) is not None
    ]


def _answer_in_name(found: Mapping[str, str], task: Task) -> Any:
    role = "target" if task == "regress" else "label"
    if role not in found:
        raise UsageError(f"{task} takes a pattern with {{{role}}}")
    return to_number(found["target"], "target") if task == "regress" else found["label"]


def _files(files: Sequence[Member], layout: FolderLayout, root: Path, task: Task) -> Examples:
    """Texts or sounds, one example each."""
    pattern = None if layout.pattern is None else NamePattern(layout.pattern)
    collector = Collector(
        "text" if layout.kind == "text" else "sound",
        answers=pattern is not None,
        groups="{group}" in (layout.pattern or ""),
    )
    rejected = []
    for member in files:
        try:
            found = pattern.read(member.stem) if pattern else {}
            if found is None:
                raise FieldError(f"its name does not fit the pattern {layout.pattern}")
            answer = _answer_in_name(found, task) if pattern else None
            value = _text(member) if layout.kind == "text" else _sound(member, root)
        except (FieldError, DataError) as error:
            reason = error.message if isinstance(error, DataError) else str(error)
            rejected.append(Rejected(member.place, reason.removeprefix(f"{member.place}: ")))
            continue
        collector.add(value, answer, member.place, found.get("group"))
    return collector.examples(rejected)


def _text(member: Member) -> str:
    if member.size > _LONGEST_TEXT:
        raise FieldError(f"longer than {_LONGEST_TEXT >> 20} MiB")
    try:
        return to_text(member.read().decode("utf-8-sig"), "text")
    except UnicodeDecodeError as error:
        raise FieldError(f"not UTF-8: byte {error.start + 1} of the file") from error


def _sound(member: Member, root: Path) -> Any:
    from sunhwan.data.sounds import Sound

    content = root / member.name if root.is_dir() else member.read()
    sound = Sound(content, member.place)
    # a file that is no sound is named now, and not in the middle of training
    sound.header()
    return sound


def _sequences(files: Sequence[Member], root: str, layout: FolderLayout, task: Task) -> Examples:
    """One sequence a file, put together as one long table."""
    if layout.columns is None:
        raise DataError(f"{root}: the layout lacks the columns of the sequences")
    sequences = SequenceFiles(files, root)
    role = "target" if task == "regress" else "label"
    answers = groups = None
    if layout.answer is not None:
        answers = sequences.answers(layout.answer, role)
        groups = None if layout.group is None else sequences.answers(layout.group, "group")
    elif layout.pattern is not None:
        names = NamePattern(layout.pattern)
        read = {member.name: names.read(member.stem) or {} for member, _ in sequences.files}
        answers = {name: found[role] for name, found in read.items() if role in found}
        if "{group}" in layout.pattern:
            groups = {name: found["group"] for name, found in read.items() if "group" in found}
    rows, columns = sequences.rows(layout.columns, role, answers, groups)
    examples = to_examples(rows, columns, task, checked=False)
    return replace(examples, rejected=[*sequences.rejected, *examples.rejected])
