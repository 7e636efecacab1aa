"""The page and the table that show several experiments beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sunhwan.reproduce.wording import (
    FIGURES,
    NOTHING,
    figure_text,
    measured,
    published_text,
    seed_words,
)
from sunhwan.runs.page import Code, Links, Page, Section, Table
from sunhwan.runs.page import render as render_page

#: columns of words, then of numbers
WORDS = 3
HEAD = ("experiment", "model", "figure", "sunhwan", "stock Keras", "published", "seconds")


def rows(all_results: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """One row a model, its cells as in `HEAD`; a dash where there is nothing to show or,
    for a shortened run, to compare with."""
    lines = []
    for results in all_results:
        key = results["headline"]
        for variant in results["variants"]:
            stock = variant.get("stock")
            lines.append(
                [
                    results["name"],
                    variant["title"],
                    FIGURES[key].lower(),
                    measured(key, variant["summary"][key]),
                    measured(key, stock["summary"][key]) if stock else NOTHING,
                    published_text(key, variant["published"])
                    if results["as_published"]
                    else NOTHING,
                    figure_text("seconds", variant["summary"]["seconds"]["mean"]),
                ]
            )
    return lines


def render(all_results: Sequence[Mapping[str, Any]]) -> str:
    """A page with one table over all experiments, as HTML text."""
    seeds = len(all_results[0]["settings"]["seeds"])
    short = not all(results["as_published"] for results in all_results)
    # the column of stock Keras stands only where something was trained with it
    stock = any("stock" in variant for results in all_results for variant in results["variants"])
    places = [place for place, name in enumerate(HEAD) if stock or name != "stock Keras"]
    lines = [[row[place] for place in places] for row in rows(all_results)]
    table = Table([HEAD[place] for place in places], lines, words=WORDS)
    page = Page(
        kicker="sunhwan reproduce",
        title="The published experiments",
        result=f"{len(all_results)} experiments, each trained with {seed_words(seeds)}, beside "
        "what the tutorials published from one run. Mean ± standard deviation over the seeds; "
        "seconds are the mean of one whole training.",
        note="Shortened runs: their figures cannot be compared with those published."
        if short
        else "",
        sections=[
            Section("Results", [table]),
            Section(
                "Reports",
                [
                    "Each experiment has a report with its curves, answers and statistics.",
                    Links(
                        [
                            (results["title"], f"{results['name']}/report.html")
                            for results in all_results
                        ]
                    ),
                ],
            ),
            Section(
                "Run them again", [Code("\n".join(results["command"] for results in all_results))]
            ),
        ],
    )
    return render_page(page)
