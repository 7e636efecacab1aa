"""Files of answers: CSV has a byte order mark wherever a letter that is not ASCII stands."""

from __future__ import annotations

import io
from typing import Any

import pytest

from sunhwan.tasks.answering import write_rows

MARK = b"\xef\xbb\xbf"


def written(rows: list[dict[str, Any]], format: Any = "csv", mark: bool = True) -> bytes:
    stream = io.BytesIO()
    assert write_rows(iter(rows), stream, format, mark=mark) == len(rows)
    return stream.getvalue()


@pytest.mark.parametrize("megabytes", ["0", "128"], ids=["on disk", "in memory"])
@pytest.mark.parametrize("place", range(4))
def test_a_mark_stands_before_all_and_nothing_is_lost(
    place: int, megabytes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUNHWAN_SPOOL_MB", megabytes)
    texts = [["good", "bad\nor so", "so, so", "fine"][n % 4] for n in range(4)]
    texts[place] += " 영화"
    rows = [{"text": text, "predicted": n / 2} for n, text in enumerate(texts)]
    found = written(rows)
    assert found == MARK + written(rows, mark=False)
    assert found.count(MARK) == 1
    assert found.decode("utf-8-sig").startswith("text,predicted\n")


def test_the_name_of_a_column_counts_too() -> None:
    assert written([{"글": 1, "predicted": 2}]) == MARK + "글,predicted\n1,2\n".encode()


@pytest.mark.parametrize(
    ("rows", "format"),
    [([{"text": "good"}, {"text": "bad"}], "csv"), ([], "csv"), ([{"글": "좋다"}], "jsonl")],
    ids=["ascii", "nothing", "json lines"],
)
def test_no_mark_where_none_is_needed(rows: list[dict[str, Any]], format: str) -> None:
    assert written(rows, format) == written(rows, format, mark=False)
    assert MARK not in written(rows, format)
