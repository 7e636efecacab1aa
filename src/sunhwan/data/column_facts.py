"""What can be seen of columns: what their names say, what they hold, which of them are steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple

from sunhwan.data.clips import is_clip_name
from sunhwan.data.rows import Row
from sunhwan.data.values import FieldError, is_missing, to_number, to_sequence, to_time

#: ``number`` and ``text`` are single values; ``numbers`` and ``texts`` are lists of them
Kind = Literal["number", "text", "numbers", "texts", "none"]

#: what columns are often called, whole or as the last word of their name
NAMES = {
    "text": "text texts review document sentence content contents comment message body tokens "
    "token words word form forms 본문 내용 문장 리뷰 텍스트 댓글 단어 어절",
    "label": "label labels class category topic sentiment digit tag tags pos upos ner activity "
    "intent species 라벨 레이블 분류 감성 감정 범주 주제 품사 태그",
    "target": "target targets y value rating score stars price amount 목표 값 평점 점수 가격",
    "id": "id ids uid key no index sequence 번호 아이디 식별자",
    "group": "group speaker subject patient participant writer 그룹 화자 환자 참가자",
    "time": "time date datetime timestamp day month year hour ds t step "
    "시간 시각 날짜 일자 일시 연월 년월 월",
    "series": "series store shop item product region city station sensor 시계열 지점 품목 지역",
}
TIME_PARTS = ("year", "month", "day", "hour", "minute", "second")
#: the part before the number, and the number, of names such as x1, acc_x_12, 7
_NUMBERED = re.compile(r"(.*?)[ _.\-]?(\d+)")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
#: fewer numbered columns than this are no sequence, but may be just "item 1" and "item 2"
_FEWEST_STEPS = 3
#: share of the values of a column that may be of another kind than the rest
SLIPS = 0.05


def fits(name: str, role: str) -> bool:
    """Whether a column's name says that it has a role.

    Examples
    --------
    >>> fits("class_label", "label"), fits("sequenceID", "id"), fits("label_noise", "label")
    (True, True, False)
    """
    known = NAMES[role].split()
    words = _WORD.findall(name)
    return name.strip().lower() in known or bool(words and words[-1].lower() in known)


class Steps(NamedTuple):
    """Numbered columns in the order of their numbers, `width` columns a step."""

    names: list[str]
    width: int

    def __str__(self) -> str:
        count = len(self.names) // self.width
        each = f"{self.width} numbers each" if self.width > 1 else "one number each"
        return f"numbered names: {count} steps of {each}"


def find_steps(names: Sequence[str]) -> Steps | None:
    """The longest run of numbered columns, of all the names that share its numbers.

    Examples
    --------
    >>> find_steps(["x1", "y1", "x2", "y2", "x3", "y3", "q1", "age"])
    Steps(names=['x1', 'y1', 'x2', 'y2', 'x3', 'y3'], width=2)
    """
    numbered: dict[str, dict[int, str]] = {}
    for name in names:
        if found := _NUMBERED.fullmatch(name):
            numbered.setdefault(found[1], {})[int(found[2])] = name
    alike: dict[tuple[int, ...], list[dict[int, str]]] = {}
    for columns in numbered.values():
        numbers = tuple(sorted(columns))
        if len(numbers) >= _FEWEST_STEPS and numbers[-1] - numbers[0] == len(numbers) - 1:
            alike.setdefault(numbers, []).append(columns)
    if not alike:
        return None
    numbers, runs = max(alike.items(), key=lambda item: len(item[0]))
    return Steps([run[number] for number in numbers for run in runs], len(runs))


@dataclass(frozen=True, eq=False)
class Fact:
    """What a column holds in a sample of rows; `values` in their order, None where missing."""

    values: list[Any]

    @cached_property
    def filled(self) -> list[Any]:
        """The values that are not missing."""
        return [value for value in self.values if value is not None]

    @cached_property
    def kind(self) -> Kind:
        """What the values are; ``none`` where there are none, or of several kinds."""
        lists = [value for value in self.filled if isinstance(value, list)]
        if not lists:
            return "none" if not self.filled else "number" if self._are(to_number) else "text"
        if len(lists) == len(self.filled):
            if all(isinstance(item, str) for value in lists for item in value):
                return "texts"
            if self._are(to_sequence):
                return "numbers"
        return "none"

    @cached_property
    def clips(self) -> bool:
        """Whether the values name clips, but for a few."""
        others = sum(not is_clip_name(value) for value in self.filled)
        return self.kind == "text" and others <= SLIPS * len(self.filled)

    @cached_property
    def dates(self) -> bool:
        """Whether the values are dates and no plain numbers."""
        return self.kind == "text" and self._are(to_time)

    @cached_property
    def repeats(self) -> bool:
        """Whether values come twice or more on average."""
        return bool(self.filled) and 2 * len(set(map(str, self.filled))) <= len(self.filled)

    @cached_property
    def counts_rows(self) -> bool:
        """Whether each value is one more than the one before."""
        if self.kind != "number" or len(self.filled) < len(self.values) or len(self.values) < 3:
            return False
        if not all(_is(to_number, value) for value in self.values):
            return False
        start = to_number(self.values[0], "")
        return all(to_number(v, "") == start + n for n, v in enumerate(self.values))

    @cached_property
    def length(self) -> float:
        """Characters of a value, on average."""
        return sum(len(str(value)) for value in self.filled) / max(1, len(self.filled))

    def constant_within(self, key: Fact) -> bool:
        """Whether rows of one `key` have one value, though not all rows do."""
        pairs = set(zip(map(str, key.values), map(str, self.values), strict=True))
        keys = {first for first, _ in pairs}
        return len(keys) == len(pairs) and len({second for _, second in pairs}) > 1

    def _are(self, parse: Any) -> bool:
        """Whether the values are such, but for a few slips, whose rows are rejected by name."""
        return sum(not _is(parse, value) for value in self.filled) <= SLIPS * len(self.filled)


def _is(parse: Any, value: Any) -> bool:
    try:
        parse(value, "")
    except FieldError:
        return False
    return True


def look_at(rows: Sequence[Row]) -> dict[str, Fact]:
    """Column name to what it holds."""
    return {
        name: Fact([None if is_missing(v) else v for v in (row.fields[name] for row in rows)])
        for name in rows[0].fields
    }
