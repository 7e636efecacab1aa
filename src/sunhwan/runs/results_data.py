"""The part of the report about what was learnt from: rows, rejected rows, columns and files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sunhwan.runs.numbers import NOTHING, number_text
from sunhwan.runs.page import Block, Section, Table
from sunhwan.runs.results_values import records
from sunhwan.runs.sentences import translated
from sunhwan.runs.wording import Words

#: rejected rows that are shown; the count is of all
_REJECTED_SHOWN = 30


def section(results: Mapping[str, Any], words: Words) -> list[Section]:
    """How many rows each part has, what was left out, and where it was read from."""
    data = results.get("data")
    if not data:
        return []
    blocks: list[Block] = [
        *_parts(results, words),
        *_lengths(data, words),
        *_notes(data, words),
        *_rejected(data, words),
        *_columns(data, words),
        *_files(data, words),
    ]
    return [Section(words("section.data"), blocks)] if blocks else []


def _parts(results: Mapping[str, Any], words: Words) -> list[Block]:
    data, config = results["data"], results.get("config", {})
    parts = [part for part in ("train", "validation", "test") if part in data]
    rows = [[words(f"data.{part}"), number_text(data[part])] for part in parts]
    if not rows:
        return []
    explained = [words("data.split")] if len(parts) == 3 else []
    if results.get("task") == "forecast":
        # the parts are counted in windows, and what was rejected in rows: these do not add up
        if "input_length" in config and "horizon" in config:
            read, ahead = (number_text(config[name]) for name in ("input_length", "horizon"))
            explained.append(words("data.window", input=read, horizon=ahead))
        return [*explained, Table([words("data.part"), words("data.windows")], rows)]
    if results.get("task") == "generate":
        return [*explained, Table([words("data.part"), words("data.tokens")], rows)]
    if "rejected" in data:
        rows.append([words("data.rejected"), number_text(_rejected_count(data))])
    return [*explained, Table([words("data.part"), words("data.rows")], rows)]


def _lengths(data: Mapping[str, Any], words: Words) -> list[Block]:
    lengths = data.get("lengths", {})
    parts = [
        words(f"lengths.{key}", steps=number_text(lengths[key]))
        for key in ("median", "p95", "longest")
        if key in lengths
    ]
    return [words("data.lengths", parts=", ".join(parts))] if parts else []


def _notes(data: Mapping[str, Any], words: Words) -> list[Block]:
    rows = [[translated(str(note), words.language)] for note in data.get("notes", []) if note]
    return [Table([words("data.notes")], rows, numeric=False)] if rows else []


def _rejected(data: Mapping[str, Any], words: Words) -> list[Block]:
    if "rejected" not in data:
        return []
    rejected = records(data, "rejected")
    if not rejected:
        return [words("data.all_used")]
    shown = rejected[:_REJECTED_SHOWN]
    count = _rejected_count(data)
    key = "data.rejected_rows" if len(shown) == count else "data.rejected_more"
    caption = words(key, count=f"{count:,}", shown=len(shown))
    rows = [
        [
            translated(str(row.get("place", "")), words.language, "place"),
            translated(str(row.get("reason", "")), words.language),
        ]
        for row in shown
    ]
    return [Table([words("data.place"), words("data.reason")], rows, caption, numeric=False)]


def _rejected_count(data: Mapping[str, Any]) -> int:
    """How many rows were dropped; where there were very many, only the first are named."""
    return int(data.get("rejected_count", len(data["rejected"])))


def _columns(data: Mapping[str, Any], words: Words) -> list[Block]:
    rows = [
        [words.name("role", role), _names(column) or NOTHING]
        for role, column in data.get("columns", {}).items()
    ]
    if not rows:
        return []
    head = [words("data.role"), words("data.column")]
    return [Table(head, rows, words("data.columns"), numeric=False)]


def _names(column: Any) -> str:
    return ", ".join(map(str, column)) if isinstance(column, list) else str(column)


def _files(data: Mapping[str, Any], words: Words) -> list[Block]:
    rows = [
        [str(file.get("name", "")), str(file.get("sha256", ""))] for file in records(data, "files")
    ]
    if not rows:
        return []
    head = [words("data.file"), words("data.sha256")]
    return [Table(head, rows, words("data.files"), numeric=False)]
