"""The parts of the report that say how well classes and tags are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sunhwan.runs import figures, results_figures
from sunhwan.runs.confusion_tables import (
    class_head,
    class_rows,
    statistic_rows,
    symmetry_is_defined,
)
from sunhwan.runs.numbers import NOTHING, metric_text, number_text
from sunhwan.runs.page import Block, Figure, Section, Table
from sunhwan.runs.results_values import floats, records
from sunhwan.runs.wording import Words


def confusion(results: Mapping[str, Any], words: Words) -> list[Section]:
    """The confusion matrix as a map, its statistics, and a table by class."""
    rows = results.get("confusion", [])
    if len(rows) < 2 or any(row is None or None in row for row in rows):
        return []
    # here, as everywhere in `statistics`, rows are predicted and columns true
    matrix = np.asarray(rows, dtype=np.int64).T
    if not matrix.sum():
        return []
    names = [str(name) for name in results.get("classes", range(len(matrix)))]
    svg = figures.confusion_map(
        matrix,
        names,
        title=words("confusion.title"),
        label=words("section.confusion"),
        axis_names=(words("confusion.true"), words("confusion.predicted")),
        least=3.6,
    )
    small = len(matrix) <= 10
    read = words("confusion.read") + ("" if small else " " + words("confusion.numbers"))
    caption = words("confusion.statistics")
    if not symmetry_is_defined([matrix]):
        caption += f"; {words('confusion.not_defined')}"
    blocks: list[Block] = [
        Figure(svg, read, wide=not small),
        Table(["", ""], statistic_rows([matrix], words), caption=caption),
        words("confusion.by_class_read"),
        Table(class_head(words), class_rows(matrix, names),
              caption=words("confusion.by_class", nothing=NOTHING)),
    ]  # fmt: skip
    return [Section(words("section.confusion"), blocks)]


def calibration(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Whether answers are right as often as their probabilities say."""
    given = results.get("calibration", {})
    columns = [floats(given.get(key, [])) for key in ("confidence", "accuracy", "count")]
    if len({len(column) for column in columns}) != 1 or not np.isfinite(columns[1]).any():
        return []
    svg = results_figures.calibration(
        *columns,
        title=words("calibration.title"),
        label=words("section.calibration"),
        axis_names=(
            words("calibration.confidence"),
            words("calibration.accuracy"),
            words("calibration.count"),
        ),
    )
    blocks: list[Block] = [Figure(svg, words("calibration.read"))]
    if "ece" in given:
        blocks.append(words("calibration.ece", ece=metric_text("ece", given["ece"])))
    return [Section(words("section.calibration"), blocks)]


def by_tag(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Precision, recall and F1 of every tag, the commonest first."""
    tags = sorted(
        records(results, "by_tag"),
        key=lambda entry: -entry.get("support", 0),
    )
    if not tags:
        return []
    figures_ = ("precision", "recall", "f1")
    rows = [
        [
            str(entry.get("tag", NOTHING)),
            number_text(entry["support"]) if "support" in entry else NOTHING,
            *(metric_text(key, entry.get(key)) for key in figures_),
        ]
        for entry in tags
    ]
    head = [words(f"by_tag.{key}") for key in ("tag", "support", *figures_)]
    return [Section(words("section.by_tag"), [words("by_tag.read"), Table(head, rows)])]
