"""The part of a report that only classifiers have: confusion matrices and their statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sunhwan.runs import figures
from sunhwan.runs.confusion_tables import (
    class_head,
    class_rows,
    statistic_rows,
    symmetry_is_defined,
)
from sunhwan.runs.numbers import NOTHING
from sunhwan.runs.page import Block, Figure, Table
from sunhwan.runs.wording import Words

_WORDS = Words("en")


def blocks(results: Mapping[str, Any], variant: Mapping[str, Any]) -> list[Block]:
    """Matrices as maps, the figures of every seed, and for many classes a table by class."""
    if results["task"] == "binary":
        return [*_maps(results, variant), _statistics(results, variant)]
    middle = _middle(variant["seeds"])
    label = f"Confusion matrix of {variant['title']}, seed {middle['seed']}"
    svg = figures.confusion_map(
        middle["confusion"], results["class_names"], title="Confusion matrix", label=label
    )
    caption = (
        f"Seed {middle['seed']}, the middle one by accuracy. The shade is the share of the true "
        "topic; a perfect run has the diagonal only. The numbers are those of the table by class."
    )
    return [
        Figure(svg, caption, wide=True),
        _statistics(results, variant),
        _class_table(results, middle),
    ]


def _maps(results: Mapping[str, Any], variant: Mapping[str, Any]) -> list[Block]:
    names = results["class_names"]
    shown = [(f"Seed {record['seed']}", record["confusion"]) for record in variant["seeds"]]
    if results["as_published"] and "confusion" in variant["published"]:
        shown.append(("Published", variant["published"]["confusion"]))
    return [
        Figure(
            figures.confusion_map(
                matrix,
                names,
                title=title,
                label=f"Confusion matrix of {variant['title']}, {title.lower()}",
            ),
            small=True,
        )
        for title, matrix in shown
    ]


def _statistics(results: Mapping[str, Any], variant: Mapping[str, Any]) -> Table:
    """One column a seed, and one of the published matrix where there is one."""
    binary = results["task"] == "binary"
    columns = [(f"seed {record['seed']}", record["confusion"]) for record in variant["seeds"]]
    if results["as_published"] and "confusion" in variant["published"]:
        columns.append(("published", variant["published"]["confusion"]))
    matrices = [matrix for _, matrix in columns]
    rows = statistic_rows(matrices, _WORDS, positive=0 if binary else None)
    caption = "Statistics of the confusion matrix on the test set"
    if binary and results["class_names"]:
        caption += f"; the positive class is 0, {results['class_names'][0]}"
    if not symmetry_is_defined(matrices):
        caption += "; McNemar's test is not defined where two classes are never confused"
    return Table(["", *(name for name, _ in columns)], rows, caption=caption)


def _class_table(results: Mapping[str, Any], record: Mapping[str, Any]) -> Table:
    rows = class_rows(record["confusion"], results["class_names"])
    caption = f"By class, each against the rest, seed {record['seed']}; {NOTHING} where not defined"
    return Table(class_head(_WORDS), rows, caption=caption)


def _middle(records: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    return sorted(records, key=lambda record: record["accuracy"])[len(records) // 2]
