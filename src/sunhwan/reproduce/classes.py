"""The part of a report that only classifiers have: confusion matrices and their statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sunhwan.reproduce.wording import NOTHING, probability_text
from sunhwan.runs import figures
from sunhwan.runs.page import Block, Figure, Table
from sunhwan.runs.statistics import by_class, one_against_rest, overall

_ROWS = (
    ("Accuracy", "accuracy"),
    ("95 % interval, exact", "interval"),
    ("No-information rate", "no_information_rate"),
    ("P [accuracy > no information]", "p_above_no_information"),
    ("Kappa", "kappa"),
    ("McNemar's test, P", "mcnemar_p"),
    ("Sensitivity", "sensitivity"),
    ("Specificity", "specificity"),
    ("Positive predictive value", "positive_predictive_value"),
    ("Negative predictive value", "negative_predictive_value"),
    ("Prevalence", "prevalence"),
    ("Detection rate", "detection_rate"),
    ("Detection prevalence", "detection_prevalence"),
    ("Balanced accuracy", "balanced_accuracy"),
)
_OVERALL = 6


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
    values = [
        {**overall(matrix), **(one_against_rest(matrix, 0) if binary else {})}
        for _, matrix in columns
    ]
    rows = [
        [name, *(_cell(key, value) for value in values)]
        for name, key in (_ROWS if binary else _ROWS[:_OVERALL])
    ]
    caption = "Statistics of the confusion matrix on the test set"
    if binary and results["class_names"]:
        caption += f"; the positive class is 0, {results['class_names'][0]}"
    if all(value["mcnemar_p"] is None for value in values):
        caption += "; McNemar's test is not defined where two classes are never confused"
    return Table(["", *(name for name, _ in columns)], rows, caption=caption)


def _cell(key: str, figures_: Mapping[str, float | None]) -> str:
    if key == "interval":
        return f"{figures_['accuracy_low']:.4f}, {figures_['accuracy_high']:.4f}"
    value = figures_[key]
    if key in ("p_above_no_information", "mcnemar_p"):
        return probability_text(value)
    return NOTHING if value is None else f"{value:.4f}"


def _class_table(results: Mapping[str, Any], record: Mapping[str, Any]) -> Table:
    names = results["class_names"]
    keys = [key for _, key in _ROWS[_OVERALL:]]
    rows = []
    for entry in by_class(record["confusion"]):
        name = f"{entry['class']} {names[entry['class']]}" if names else str(entry["class"])
        rows.append([name, f"{entry['count']:,}", *(_cell(key, entry) for key in keys)])
    head = ["class", "cases", "sensitivity", "specificity", "pos. pred.", "neg. pred.",
            "prevalence", "detection", "det. prevalence", "balanced acc."]  # fmt: skip
    caption = f"By class, each against the rest, seed {record['seed']}; {NOTHING} where not defined"
    return Table(head, rows, caption=caption)


def _middle(records: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    return sorted(records, key=lambda record: record["accuracy"])[len(records) // 2]
