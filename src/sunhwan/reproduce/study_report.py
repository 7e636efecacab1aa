"""``report.html`` of a study from the contents of ``results.json``, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sunhwan.reproduce import report
from sunhwan.reproduce.studies import BIN
from sunhwan.reproduce.wording import FIGURES, figure_text, measured, seed_words
from sunhwan.runs import figures
from sunhwan.runs.maps import attention_map
from sunhwan.runs.page import Block, Figure, Key, Page, Section, Table
from sunhwan.runs.page import render as render_page

Variants = Sequence[Mapping[str, Any]]


def render(results: Mapping[str, Any]) -> str:
    """The report of one study as HTML text.

    Parameters
    ----------
    results
        As `sunhwan.reproduce.study_runner.run` writes them.
    """
    key = results["headline"]
    page = Page(
        kicker=f"{results['name']} · sunhwan reproduce",
        title=results["title"],
        result=_result(results),
        note=note(results),
        compared=[
            (one["title"], *report.large(key, one["summary"], seed_words(len(one["seeds"]))))
            for one in results["variants"]
        ],
        sections=[
            Section("The question", [results["question"]]),
            *(_group(results, group) for group in results["groups"]),
            report.again(results),
            report.versions(results),
        ],
    )
    return render_page(page)


def _result(results: Mapping[str, Any]) -> str:
    what = {"sequences_right": "sequences", "symbols_right": "symbols"}[results["headline"]]
    lengths = [
        (group["title"], _bin(group["size"]["bins"]).replace("-", " to "))
        for group in results["groups"]
    ]
    if len({length for _, length in lengths}) == 1:
        of = f"of {lengths[0][1]} symbols"
    else:
        of = " and ".join(f"of {length} symbols ({title.lower()})" for title, length in lengths)
    return (
        f"The share of {what} that each network writes without a mistake, when it reads nothing "
        f"but the source and what it wrote itself, in sequences {of}."
    )


def note(results: Mapping[str, Any]) -> str:
    """A warning where a study was not of its full length."""
    if results["as_published"]:
        return ""
    kind = "a quick look" if results["quick"] else f"of {results['settings']['epochs']} epochs"
    return f"This run is {kind}, not the full length: its figures only show that everything works."


def _training(group: Mapping[str, Any], epochs: int) -> str:
    size = group["size"]
    rows = size["batches"] * size["batch_size"] * size["bins"]
    return (
        f"Sequences of 1 to {BIN * size['bins']} of {size['alphabet']} symbols, {rows:,} new ones "
        f"in each of {epochs} epochs, in batches of {size['batch_size']}. The encoder, in both "
        f"directions, and the decoder are LSTMs of {size['units']} units; Adam begins at "
        f"{size['learning_rate']:g} and falls to 0 along a cosine. Judged by {size['test_rows']:,} "
        "other sequences of every ten lengths: a network reads the source alone and goes on from "
        "the symbols that it wrote itself, always the likeliest."
    )


def _group(results: Mapping[str, Any], group: Mapping[str, Any]) -> Section:
    variants, names = _of(results, group), results["figures"]
    entries = [(one["title"], figures.colour(place), False) for place, one in enumerate(variants)]
    if "places" in names:
        entries.append(("reads the true symbols before", "var(--muted)", True))
    training = _training(group, results["settings"]["epochs"])
    blocks: list[Block] = [f"{group['text']} {training}", Key(entries)]
    lengths = [name for name in ("sequences", "symbols") if name in names]
    blocks += [_by_length(group, variants, name) for name in lengths]
    blocks += _tables(group, variants, lengths)
    if "epochs" in names:
        blocks.append(_by_epoch(results, group, variants))
    if "places" in names:
        blocks.append(_by_place(group, variants))
    if "looks" in names:
        blocks += [_LOOKS, *_looks(variants)]
    return Section(group["title"], blocks)


def _by_length(group: Mapping[str, Any], variants: Variants, what: str) -> Figure:
    size = group["size"]
    bins = range(1, size["bins"] + size["beyond"] + 1)
    title = FIGURES[f"{what}_right"]
    edge = None
    if size["beyond"]:
        edge = figures.Reference(size["bins"] + 0.5, "longer than any that was learnt")
    svg = figures.bands(
        [[figures.Band([record["by_length"][what] for record in one["seeds"]])]
         for one in variants],
        list(bins),
        title=title,
        label=f"{title} by length, {group['title'].lower()}",
        axis="symbols of the source",
        names=[_bin(number) for number in bins],
        edge=edge,
    )  # fmt: skip
    return Figure(svg, BAND)


def _by_place(group: Mapping[str, Any], variants: Variants) -> Figure:
    lines = [
        [
            figures.Band([record["by_place"]["own"] for record in one["seeds"]]),
            figures.Band([record["by_place"]["true"] for record in one["seeds"]], dashed=True),
        ]
        for one in variants
    ]
    places = len(variants[0]["seeds"][0]["by_place"]["own"])
    svg = figures.bands(
        lines,
        range(1, places + 1),
        title="Symbols wrong",
        label=f"Symbols wrong along a sequence, {group['title'].lower()}",
        axis="place in the sequence",
    )
    longest = _bin(group["size"]["bins"])
    return Figure(svg, f"In sequences of {longest} symbols, the end of each included.")


def _by_epoch(results: Mapping[str, Any], group: Mapping[str, Any], variants: Variants) -> Figure:
    svg = figures.bands(
        [
            [figures.Band([one["history"]["val_symbols_right"] for one in variant["seeds"]])]
            for variant in variants
        ],
        range(1, results["settings"]["epochs"] + 1),
        title="Symbols right while it learns",
        label=f"Symbols right by epoch, {group['title'].lower()}",
        axis="epoch",
    )
    return Figure(svg, "Of sequences of all lengths that it writes alone after each epoch.")


_LOOKS = (
    "Where the decoder looked while it wrote one sequence, with the first seed: a row for each "
    "symbol that it wrote, a column for each of the source."
)
#: how to read a figure of bands
BAND = "The line is the mean over the seeds, the band reaches from the lowest to the highest."


def _tables(group: Mapping[str, Any], variants: Variants, lengths: Sequence[str]) -> list[Block]:
    """Shares by length where they are drawn, then all of the longest that were learnt."""
    size, tables = group["size"], []
    bins = range(1, size["bins"] + size["beyond"] + 1)
    for what in lengths:
        rows = [[one["title"], *_spans(one, what)] for one in variants]
        name = FIGURES[f"{what}_right"]
        caption = f"{name} by length, mean over the seeds and lowest to highest"
        tables.append(Table(["", *map(_bin, bins)], rows, caption=caption))
    keys = ("sequences_right", "symbols_right")
    rows = [
        [
            one["title"],
            *(measured(key, one["summary"][key]) for key in keys),
            figure_text("seconds", min(record["seconds"] for record in one["seeds"])),
        ]
        for one in variants
    ]
    caption = (
        f"Sequences of {_bin(size['bins'])} symbols, mean and standard deviation over the seeds; "
        "the seconds are those of the shortest training, as the first waits for its compilation"
    )
    return [*tables, Table(["", *(FIGURES[key] for key in keys), "Seconds"], rows, caption=caption)]


def _looks(variants: Variants) -> list[Block]:
    """Where the networks of the first seed looked while they wrote one sequence."""
    looks = [(one["title"], one["seeds"][0].get("look")) for one in variants]
    return [
        Figure(
            attention_map(
                np.array(look["weights"]), look["written"], look["source"],
                label=f"Attention, {title}",
            ),
            title,
        )
        for title, look in looks
        if look is not None
    ]  # fmt: skip


def _of(results: Mapping[str, Any], group: Mapping[str, Any]) -> Variants:
    return [one for one in results["variants"] if one["name"] in group["contenders"]]


def _bin(number: int) -> str:
    return f"{(number - 1) * BIN + 1}-{number * BIN}"


def _spans(one: Mapping[str, Any], what: str) -> list[str]:
    """For each bin the mean, and the lowest and highest where there are several seeds."""
    texts = []
    for shares in zip(*(record["by_length"][what] for record in one["seeds"]), strict=True):
        mean = figure_text(f"{what}_right", sum(shares) / len(shares))
        ends = f" ({100 * min(shares):.1f}-{100 * max(shares):.1f})" if len(shares) > 1 else ""
        texts.append(mean + ends)
    return texts
