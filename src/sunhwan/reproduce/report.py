"""``report.html`` from the contents of ``results.json``, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sunhwan.reproduce import classes
from sunhwan.reproduce.flows import flows
from sunhwan.reproduce.wording import (
    FIGURES,
    figure_text,
    published_text,
    result_sentence,
    seed_words,
)
from sunhwan.runs import figures
from sunhwan.runs.page import Block, Code, Figure, Key, Page, Section, Table
from sunhwan.runs.page import render as render_page


def render(results: Mapping[str, Any]) -> str:
    """The report of one experiment as HTML text.

    Parameters
    ----------
    results
        As `sunhwan.reproduce.runner.run` writes them.
    """
    page = Page(
        kicker=f"{results['name']} · sunhwan reproduce",
        title=results["title"],
        result=result_sentence(results),
        note=_note(results),
        compared=_compared(results),
        sections=[
            *flows(results),
            *(_variant(results, variant) for variant in results["variants"]),
            _models(results),
            again(results),
            versions(results),
        ],
    )
    return render_page(page)


def _note(results: Mapping[str, Any]) -> str:
    if results["as_published"]:
        return ""
    kind = "a quick look" if results["quick"] else f"of {results['settings']['epochs']} epochs"
    return (
        f"This run is {kind}, not the published length: its figures only show that everything "
        "works and cannot be compared with those published."
    )


def _compared(results: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The large figures at the top: ours, stock Keras's and the published one of each model."""
    key = results["headline"]
    several = len(results["variants"]) > 1
    shown = []
    for variant in results["variants"]:
        of = f"{variant['title']}: " if several else ""
        seeds = seed_words(len(variant["seeds"]))
        shown.append((f"{of}sunhwan", *large(key, variant["summary"], seeds)))
        if "stock" in variant:
            seeds = seed_words(len(variant["stock"]["seeds"]))
            shown.append((f"{of}stock Keras", *large(key, variant["stock"]["summary"], seeds)))
        if results["as_published"] and key in variant["published"]:
            text = published_text(key, variant["published"])
            shown.append((f"{of}published", text, "one run, seed unknown"))
    return shown


def large(key: str, summary: Mapping[str, Any], seeds: str) -> tuple[str, str]:
    """A figure over the seeds, and what stands below it."""
    mean, spread = summary[key]["mean"], summary[key]["spread"]
    note = seeds if spread is None else f"± {figure_text(key, spread)} over {seeds}"
    return figure_text(key, mean), note


def _variant(results: Mapping[str, Any], variant: Mapping[str, Any]) -> Section:
    """Curves, answers and figures by seed of one model."""
    blocks: list[Block] = []
    if variant["remark"] and results["as_published"]:
        remark = variant["remark"]
        is_published = bool(variant["published"])
        blocks.append(f"As published: {remark[0].lower()}{remark[1:]}" if is_published else remark)
    blocks += [_key(results, variant), *_curves(results, variant)]
    if "stock" in variant:
        blocks.append(_dots(results, variant))
    if results["task"] == "numbers":
        blocks += _answers(results, variant)
    blocks += _seed_tables(results, variant)
    if results["task"] != "numbers":
        blocks += classes.blocks(results, variant)
    return Section(variant["title"], blocks)


def _key(results: Mapping[str, Any], variant: Mapping[str, Any]) -> Key:
    entries = [
        (f"seed {record['seed']}", figures.colour(index), False)
        for index, record in enumerate(variant["seeds"])
    ]
    if "val_loss" in variant["seeds"][0]["history"]:
        entries += [
            ("validation", "var(--muted)", False),
            ("training", "var(--muted)", True),
        ]
    return Key(entries)


def _curves(results: Mapping[str, Any], variant: Mapping[str, Any]) -> list[Block]:
    """Loss and accuracy, or share right, by epoch."""
    judged = "share_right" if results["task"] == "numbers" else "accuracy"
    blocks: list[Block] = []
    for key, published in (("loss", "test_loss"), (judged, judged)):
        series = [
            figures.Curve(record["history"][key], record["history"].get(f"val_{key}", ()))
            for record in variant["seeds"]
        ]
        title = FIGURES[key]
        label = f"{title} of {variant['title']} by epoch"
        reference = _reference(results, variant, (published, f"val_{key}"))
        blocks.append(Figure(figures.curves(series, title=title, label=label, reference=reference)))
    return blocks


def _reference(
    results: Mapping[str, Any], variant: Mapping[str, Any], keys: tuple[str, ...]
) -> figures.Reference | None:
    """The first of the published figures `keys`, unless the run cannot be compared."""
    for key in keys:
        if results["as_published"] and key in variant["published"]:
            part = "validation" if key.startswith("val_") else "test"
            value, text = variant["published"][key], published_text(key, variant["published"])
            return figures.Reference(value, f"published, {part} {text}")
    return None


def _dots(results: Mapping[str, Any], variant: Mapping[str, Any]) -> Figure:
    key = results["headline"]
    groups = {
        "sunhwan": [record[key] for record in variant["seeds"]],
        "stock Keras": [record[key] for record in variant["stock"]["seeds"]],
    }
    reference = _reference(results, variant, (key,))
    label = f"{FIGURES[key]} of {variant['title']}, seed by seed"
    svg = figures.dots(groups, title=FIGURES[key], label=label, reference=reference)
    return Figure(svg, "One dot for each seed, a bar at the mean.")


def _answers(results: Mapping[str, Any], variant: Mapping[str, Any]) -> list[Block]:
    tolerance = results["settings"]["tolerance"]
    pairs = [
        (record["points"]["wanted"], record["points"]["predicted"]) for record in variant["seeds"]
    ]
    label = f"Wanted and predicted numbers of {variant['title']}"
    svg = figures.answers(pairs, tolerance, title="Wanted and predicted", label=label)
    blocks: list[Block] = [
        Figure(svg, f"An answer is right within {tolerance} of the wanted number: the band.")
    ]
    wanted = pairs[0][0]
    if len(wanted) <= 20:
        seeds = [f"seed {record['seed']}" for record in variant["seeds"]]
        published = variant["published"].get("answers") if results["as_published"] else None
        rows = [
            [
                f"{value:.1f}",
                *(f"{predicted[row]:.3f}" for _, predicted in pairs),
                *([f"{published[row]:.3f}"] if published else []),
            ]
            for row, value in enumerate(wanted)
        ]
        head = ["wanted", *seeds, *(["published"] if published else [])]
        caption = "Every answer; the last two lie beyond what was trained on"
        blocks.append(Table(head, rows, caption=caption))
    return blocks


def _seed_tables(results: Mapping[str, Any], variant: Mapping[str, Any]) -> list[Block]:
    """A row a seed, mean, spread and what was published; for stock Keras a table of its own."""
    keys = [key for key in FIGURES if key in variant["seeds"][0]]
    published = None
    if results["as_published"]:
        published = ["published", *(published_text(k, variant["published"]) for k in keys)]
    caption = "By seed; spread is the standard deviation"
    tables: list[Block] = [_seed_table(variant, keys, caption, published)]
    if "stock" in variant:
        caption = "The same model with Keras's own layers and the same seeds"
        tables.append(_seed_table(variant["stock"], keys, caption, None))
    return tables


def _seed_table(
    trained: Mapping[str, Any], keys: list[str], caption: str, published: list[str] | None
) -> Table:
    rows = [
        [f"seed {record['seed']}", *(figure_text(key, record[key]) for key in keys)]
        for record in trained["seeds"]
    ]
    means = len(rows)
    rows += [
        [part, *(figure_text(key, trained["summary"][key][part]) for key in keys)]
        for part in ("mean", "spread")
    ]
    if published is not None:
        rows.append(published)
    head = ["", *(FIGURES[key] for key in keys)]
    return Table(head, rows, caption=caption, marked=frozenset({means}))


def _models(results: Mapping[str, Any]) -> Section:
    """Layers, sizes and kernels of every model, and how they were trained."""
    blocks: list[Block] = []
    for variant in results["variants"]:
        rows = [
            [
                f"{layer['type']} ({layer['layer']})",
                " by ".join("any" if size is None else f"{size:,}" for size in layer["output"]),
                f"{layer['parameters']:,}",
            ]
            for layer in variant["parameters"]
        ]
        total = sum(layer["parameters"] for layer in variant["parameters"])
        rows.append(["all", "", f"{total:,}"])
        blocks.append(
            Table(
                ["layer", "output", "parameters"],
                rows,
                caption=variant["title"],
                marked=frozenset({len(rows) - 1}),
            )
        )
        if variant["kernels"]:
            blocks.append(Code("\n".join(variant["kernels"])))
    blocks.append(_training_words(results))
    return Section("The model" if len(results["variants"]) == 1 else "The models", blocks)


def _training_words(results: Mapping[str, Any]) -> str:
    settings = results["settings"]
    words = (
        f"Trained on {results['data']}. Here {settings['train_rows']:,} rows train and "
        f"{settings['test_rows']:,} test. Optimizer {settings['optimizer']}, loss "
        f"{settings['loss'].replace('_', ' ')}, batches of {settings['batch']}, "
        f"{settings['epochs']} epochs"
    )
    if "early_stopping" in settings:
        patience = settings["early_stopping"]["patience"]
        words += f" at most, stopped after {patience} without a better validation loss"
    if settings["validation_split"]:
        words += (
            f"; the last {settings['validation_split'] * 100:g} % of the training rows validate"
        )
    return words + "."


def again(results: Mapping[str, Any]) -> Section:
    """The command to type."""
    return Section(
        "Run it again",
        [
            Code(results["command"]),
            "Initial weights and the order of the batches come from the seed: on the same machine "
            "and versions, the same seed gives the same figures to the last bit.",
        ],
    )


def versions(results: Mapping[str, Any]) -> Section:
    """What was measured with."""
    names = {"cpu": "processor", "os": "system", "backend": "Keras backend"}
    rows = [[names.get(key, key), str(value)] for key, value in results["environment"].items()]
    return Section("Measured with", [Table(["", ""], rows, numeric=False)])
