"""Which column of a table is what: named by the user, else guessed with a reason for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from sunhwan.data.column_facts import Kind, find_steps, fits, look_at
from sunhwan.data.column_finder import LISTED, ROLES, Finder, Named
from sunhwan.data.rows import Row
from sunhwan.data.values import shortened
from sunhwan.errors import DataError, UsageError

Task = Literal["classify", "regress", "tag", "forecast"]
#: how a table holds sequences: a text a row, a sequence a row in many columns or in one, one step
#: a row, or the name of a clip's file a row
Layout = Literal["text", "wide", "lists", "long", "clips"]
#: roles that make no sense for a task, and what to say
_WRONG = {
    "classify": {"target": "classify takes --label; a number is learnt by `regress --target`"},
    "regress": {"label": "regress takes --target; a label is learnt by `classify --label`"},
    "tag": {},
    "forecast": {
        **dict.fromkeys(("label", "text"), "forecast takes --target, a number"),
        **dict.fromkeys(("id", "group"), "forecast takes --series"),
    },
}


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Attributes
    ----------
    layout
        ``text``: a text a row. ``wide``: a row is a sequence, its `features` are the steps.
        ``lists``: a field is a sequence. ``long``: a row is one step, `id` says of which sequence.
        ``clips``: the only one of `features` names the file of a clip.
    text, label, target, id, group, series
        Column names, or None. `target` is a number. For tagging, `text` holds tokens.
    time
        One column, or several such as year, month and day; may be empty.
    features
        Columns of numbers.
    width
        D of a wide table: how many of its `features` make one step.
    reasons
        Role to the reason for it, in the order found.
    unused
        Columns that are none of these.
    """

    layout: Layout
    text: str | None = None
    label: str | None = None
    target: str | None = None
    id: str | None = None
    group: str | None = None
    time: tuple[str, ...] = ()
    series: str | None = None
    features: tuple[str, ...] = ()
    width: int = 1
    reasons: dict[str, str] = field(default_factory=dict, compare=False)
    unused: tuple[str, ...] = field(default=(), compare=False)

    def used(self) -> dict[str, str]:
        """Role to column, as a report shows it; `features` are joined by commas."""
        roles = {role: getattr(self, role) for role in ROLES}
        joined = {r: v if isinstance(v, str) else ", ".join(v) for r, v in roles.items() if v}
        return joined

    def describe(self) -> list[str]:
        """A line for each role, with the reason for it, then one for the columns left out."""
        lines = []
        for role, names in self.used().items():
            why = self.reasons.get(role)
            shown = names if len(names) <= 60 else f"{names[:40]} ... {names[-15:]}"
            lines.append(f"{role}: {shown}" + (f" ({why})" if why else ""))
        return lines + ([f"not used: {', '.join(self.unused)}"] if self.unused else [])

    def config(self) -> dict[str, Any]:
        """All that `from_config` needs, as plain JSON."""
        kept = {item.name: getattr(self, item.name) for item in fields(self) if item.compare}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in kept.items()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Columns:
        """The columns that `config` was made of.

        Raises
        ------
        DataError
            It is no such mapping.

        Examples
        --------
        >>> Columns.from_config(Columns("text", text="review").config()).text
        'review'
        """
        known = {item.name for item in fields(cls) if item.compare}
        if set(config) != known or config["layout"] not in get_args(Layout):
            raise DataError(f"expected the columns of a run, received {dict(config)}")
        lists = {name: tuple(config[name]) for name in LISTED}
        return cls(**{**config, **lists})

    def without_answers(self) -> Columns:
        """The same without label and target, for data whose answers are not known."""
        return replace(self, label=None, target=None)

    def check(self, names: Sequence[str], place: str) -> None:
        """See that a table has every column.

        Raises
        ------
        DataError
            It lacks some; `place` names it.
        """
        wanted = [self.text, self.label, self.target, self.id, self.group, self.series]
        wanted += [*self.time, *self.features]
        if lacking := [name for name in wanted if name is not None and name not in names]:
            raise DataError(
                f"{place}: expected the columns that the model was trained on, but "
                f"{', '.join(map(repr, lacking))} is missing from {', '.join(names)}"
            )


def guess(
    rows_sample: Sequence[Row],
    task: Task,
    named: Named | None = None,
) -> Columns:
    """Find out what each column is.

    What the user named is taken as it is. The rest goes by the names of the columns (English and
    Korean), then by what they hold. Where two columns would do, the user is asked.

    Parameters
    ----------
    rows_sample
        `Rows.sample()`.
    task
        ``classify``, ``regress``, ``tag`` or ``forecast``.
    named
        Role (`sunhwan.data.column_finder.ROLES`) to a column name, or to several for `time` and
        `features`, in a list or with commas between; None and roles left out are guessed.

    Raises
    ------
    UsageError
        A named column does not exist or has two roles, or a column is not clear; says which
        option to give.
    DataError
        There are no rows.

    Examples
    --------
    >>> rows = [Row("a.csv", n, {"review": text, "kind": n % 2}) for n, text in
    ...         enumerate(["a fine film", "the worst of films", "so, so"])]
    >>> print(*guess(rows, "classify").describe(), sep="\\n")
    text: review (its name says so)
    label: kind (the only column left)
    """
    if task not in get_args(Task):
        raise UsageError(f"`task` must be one of {', '.join(get_args(Task))}, received {task!r}")
    if not rows_sample:
        raise DataError("expected rows after the header, but no row could be read")
    for role, column in (named or {}).items():
        if column and role in _WRONG[task]:
            raise UsageError(_WRONG[task][role])
    finder = Finder(look_at(rows_sample), named or {})
    layout = {
        "classify": lambda: _sequences(finder, "label"),
        "regress": lambda: _sequences(finder, "target"),
        "tag": lambda: _tag(finder),
        "forecast": lambda: _forecast(finder),
    }[task]()
    if layout == "text":
        _check_header(finder)
    roles: dict[str, Any] = {
        role: n if role in LISTED else n[0] for role, n in finder.roles.items()
    }
    steps = find_steps(finder.roles.get("features", ())) if layout == "wide" else None
    width = steps.width if steps and len(steps.names) == len(finder.roles["features"]) else 1
    return Columns(
        layout, **roles, width=width, reasons=finder.reasons, unused=tuple(finder.free())
    )


def _check_header(finder: Finder) -> None:
    """In a file without a header, the names of the columns are a text and its label."""
    text, label = finder.roles["text"][0], finder.roles.get("label", ("",))[0]
    is_label = label in finder.facts and label in set(map(str, finder.facts[label].filled))
    if is_label and " " in text.strip() and 2 * len(text) > finder.facts[text].length:
        raise UsageError(
            f"the first line holds {shortened(text)} and {label!r}, which is also a label of other "
            "rows, so it seems to be a row and not the names of the columns",
            hint="put a line such as text,label before the rows",
        )


def _sequences(finder: Finder, answer: str) -> Layout:
    """Classify and regress: one answer for each sequence."""
    finder.by_name(answer, ("text", "number") if answer == "label" else ("number",))
    if "features" not in finder.roles:
        finder.by_name("text", ("text",))
    finder.by_name_if_clear("group")
    layout: Layout = "text" if "text" in finder.roles else _layout_of_numbers(finder)
    if layout == "long":
        finder.time()
        key = finder.facts[finder.roles["id"][0]]
        same = [name for name in finder.free() if finder.facts[name].constant_within(key)]
        finder.choose(answer, same, "the same throughout each sequence")
        finder.take_numbers()
    finder.need(answer, finder.answers(answer), "the only column left")
    return layout


def _layout_of_numbers(finder: Finder) -> Layout:
    """Find the sequences where no column is called a text."""
    for role in ("id", "series"):
        finder.by_name_if_clear(role)
    lists = finder.where("numbers")
    named = finder.roles.get("features", ())
    if any(finder.facts[name].kind == "numbers" for name in named):
        return "lists"
    if not named and finder.choose("features", lists, "each field holds a sequence"):
        return "lists"
    if finder.steps_are_rows():
        return "long"
    if named and finder.clips():
        return _one_clip(finder)
    if named:
        finder.numbered()
        return "wide"
    steps, texts = find_steps(finder.where("number")), finder.long_texts()
    if steps and texts:
        raise UsageError(
            f"a row could be the text {texts[0]!r} or the sequence {', '.join(steps.names)}",
            hint="give --text NAME or --features NAME,NAME,...",
        )
    if steps:
        finder.take("features", steps.names, str(steps))
        return "wide"
    if (clips := finder.clips()) and set(texts) <= set(clips):
        return _one_clip(finder)
    if finder.choose("text", texts, "holds the longest texts"):
        return "text"
    raise UsageError(
        f"no column holds a text or a sequence among {', '.join(finder.facts)}",
        hint="give --text NAME; or --features NAME,NAME,... for the steps of a row; or --id NAME "
        "where each row is one step of a sequence",
    )


def _one_clip(finder: Finder) -> Layout:
    """A column that names a clip in each row."""
    if len(finder.roles.get("features", ("",))) > 1:
        raise UsageError("--features must be one column where it names clips, received several")
    finder.choose("features", finder.clips(), "each field names a clip")
    return "clips"


def _tag(finder: Finder) -> Layout:
    """An answer for each step: two lists a row, a clip and its labels, or a row for each step."""
    if finder.clips() and not any(fits(name, "text") for name in finder.facts):
        return _tag_clips(finder)
    if finder.where("texts", "numbers"):
        return _tag_lists(finder)
    answer = "target" if "target" in finder.roles else "label"
    if not finder.by_name(answer) and finder.by_name("target", ("number",)):
        answer = "target"
    for role in ("id", "series", "group"):
        finder.by_name_if_clear(role, repeats=role != "group")
    finder.steps_are_rows()
    finder.time()
    if "features" not in finder.roles and not finder.by_name("text", ("text",)):
        if answer not in finder.roles:
            raise UsageError(
                f"the answer for each step could be any of {', '.join(finder.free())}",
                hint="give --label NAME, or --target NAME where it is a number",
            )
        finder.take_numbers()
    finder.need(answer, finder.answers(answer), "the only column left")
    return "long"


def _tag_lists(finder: Finder) -> Layout:
    answer = "target" if "target" in finder.roles else "label"
    finder.by_name(answer, ("texts",) if answer == "label" else ("numbers",))
    if "features" not in finder.roles and not finder.by_name("text", ("texts",)):
        numbers = finder.where("numbers")
        if not finder.choose("features", numbers, "each field holds a sequence"):
            finder.need("text", finder.where("texts"), "each field holds tokens")
    lists = finder.where("texts" if answer == "label" else "numbers")
    finder.need(answer, lists, "the only list left")
    finder.by_name_if_clear("group")
    return "lists"


def _tag_clips(finder: Finder) -> Layout:
    """A clip a row, and a list of answers, or in CSV a text of them with spaces between."""
    layout = _one_clip(finder)
    answer = "target" if "target" in finder.roles else "label"
    kinds: tuple[Kind, ...] = ("texts", "text") if answer == "label" else ("numbers", "text")
    finder.by_name(answer, kinds)
    finder.by_name_if_clear("group")
    finder.need(answer, finder.where(*kinds), "the only column left")
    return layout


def _forecast(finder: Finder) -> Layout:
    """A time, a number to forecast, and what goes with it."""
    finder.time()
    finder.by_name_if_clear("series")
    finder.by_name("target", ("number",))
    finder.need("target", finder.numbers(), "the only column of numbers")
    if "features" not in finder.roles and (others := finder.numbers()):
        finder.take("features", others, "the other columns of numbers")
    return "long"
