"""``report.html`` of a run from the contents of its ``results.json``, and from nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sunhwan.runs import (
    figures,
    results_captions,
    results_classes,
    results_comparison,
    results_data,
    results_errors,
    results_insight,
    results_numbers,
    results_translations,
    results_writing,
)
from sunhwan.runs.numbers import NOTHING, number_text
from sunhwan.runs.page import Block, Code, Figure, Key, Page, Section, Table, render
from sunhwan.runs.results_values import floats, records, shown
from sunhwan.runs.sentences import translated
from sunhwan.runs.wording import Words


def render_results(results: Mapping[str, Any], lang: str = "en") -> str:
    """The report of a run as one HTML page that needs no network and no script.

    Parameters
    ----------
    results
        As evaluation writes them; what is absent or null is left out of the page.
    lang
        ``en`` or ``ko``.

    Raises
    ------
    UsageError
        There are no texts in that language.

    Examples
    --------
    >>> page = render_results({"task": "classify", "title": "리뷰", "metrics": {"accuracy": 0.9}})
    >>> "test accuracy is 0.9000" in page
    True
    """
    words, known = Words(lang), shown(results)
    page = Page(
        kicker=words.name("kicker", str(known.get("task", "sunhwan train"))),
        title=translated(str(known.get("title", "")), lang, "title") or words("page.untitled"),
        result=results_comparison.verdict(known, words),
        note=_note(known, words),
        compared=results_comparison.top_figures(known, words),
        sections=[section for part in _PARTS for section in part(known, words)],
        language=lang,
        styles=("page.css", "passages.css"),
    )
    return render(page)


def _note(results: Mapping[str, Any], words: Words) -> str:
    repeats = results_numbers.repeats_last(records(results, "forecasts"))
    return words("forecasts.echo") if repeats else ""


def _insight(results: Mapping[str, Any], words: Words) -> list[Section]:
    """What `sunhwan insight` found, if it has been called."""
    return results_insight.sections(results.get("insight") or {}, words)


def _training(results: Mapping[str, Any], words: Words) -> list[Section]:
    """A figure for each thing that was measured epoch by epoch, the best epoch marked."""
    history = {key: floats(values) for key, values in results.get("history", {}).items()}
    drawn = [
        key
        for key, values in history.items()
        if not key.startswith("val_")
        # a learning rate that stays as it is needs no figure
        and len(np.unique(values[np.isfinite(values)])) > (key == "learning_rate")
    ]
    if not drawn:
        return []
    best = results.get("best_epoch")
    mark = None if best is None else figures.Reference(best, words("training.best", epoch=best))
    blocks: list[Block] = [words("training.read"), _training_key(history, mark, words)]
    validated = any(key.startswith("val_") for key in history)
    for key in drawn:
        # dashed, as the key says, also where nothing was validated
        absent = [math.nan] if validated else []
        title = words.name("history", key)
        svg = figures.curves(
            [figures.Curve(history[key], history.get(f"val_{key}", absent))],
            title=title,
            label=f"{words('section.training')}: {title}",
            best=mark,
            epoch=words("training.epoch"),
        )
        read = f"history.read.{key}"
        blocks.append(Figure(svg, words(read) if read in words else ""))
    if "seconds" in results:
        blocks.append(words("training.took", duration=_duration(results["seconds"], words)))
    return [Section(words("section.training"), blocks)]


def _training_key(history: Mapping[str, Any], mark: figures.Reference | None, words: Words) -> Key:
    entries = [(words("key.training"), figures.colour(0), False)]
    if any(key.startswith("val_") for key in history):
        entries = [
            (words("key.validation"), figures.colour(0), False),
            (words("key.training"), figures.colour(0), True),
        ]
    if mark is not None:
        entries.append((words("key.best"), "var(--reference)", False))
    return Key(entries)


def _duration(seconds: float, words: Words) -> str:
    whole = round(seconds)
    if whole < 60:
        return words("duration.seconds", seconds=f"{seconds:.3g}")
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return words("duration.minutes", minutes=minutes, seconds=left)
    return words("duration.hours", hours=minutes // 60, minutes=minutes % 60)


def _model(results: Mapping[str, Any], words: Words) -> list[Section]:
    """Layers, sizes and kernels."""
    model = results.get("model", {})
    blocks: list[Block] = []
    rows = [
        [
            f"{layer.get('type', NOTHING)} ({layer.get('name', NOTHING)})",
            _size(layer.get("output"), words),
            number_text(layer["parameters"]) if "parameters" in layer else NOTHING,
        ]
        for layer in records(model, "layers")
    ]
    if rows:
        marked = frozenset({len(rows)} if "parameters" in model else ())
        if "parameters" in model:
            rows.append([words("model.all"), "", number_text(model["parameters"])])
        head = [words(f"model.{key}") for key in ("layer", "output", "parameters")]
        blocks.append(Table(head, rows, marked=marked))
    if model.get("kernels"):
        lines = [translated(str(line), words.language, "kernel") for line in model["kernels"]]
        blocks += [words("model.kernels"), Code("\n".join(lines))]
    return [Section(words("section.model"), blocks)] if blocks else []


def _size(output: Any, words: Words) -> str:
    if isinstance(output, list):
        sizes = (words("model.any") if size is None else number_text(size) for size in output)
        return words("model.by").join(sizes)
    return NOTHING if output is None else str(output)


def _again(results: Mapping[str, Any], words: Words) -> list[Section]:
    """The command and the configuration that it stands for."""
    blocks: list[Block] = []
    if "command" in results:
        blocks += [Code(str(results["command"])), words("again.read")]
    if results.get("config"):
        config = json.dumps(results["config"], indent=2, ensure_ascii=False)
        blocks += [words("again.config"), Code(config)]
    return [Section(words("section.again"), blocks)] if blocks else []


def _environment(results: Mapping[str, Any], words: Words) -> list[Section]:
    rows = [
        [words.name("environment", key), str(value)]
        for key, value in results.get("environment", {}).items()
    ]
    if not rows:
        return []
    return [Section(words("section.environment"), [Table(["", ""], rows, numeric=False)])]


#: what the page shows, in this order; each part is empty where its figures are absent
_PARTS: tuple[Callable[[Mapping[str, Any], Words], list[Section]], ...] = (
    results_comparison.section,
    results_writing.samples,
    results_writing.surprise,
    results_translations.translations,
    results_captions.captions,
    results_translations.attention,
    results_data.section,
    _training,
    results_classes.confusion,
    results_classes.calibration,
    results_errors.section,
    results_numbers.by_length,
    results_translations.by_length,
    results_classes.by_tag,
    results_numbers.points,
    results_numbers.forecasts,
    results_numbers.skill,
    _insight,
    _model,
    _again,
    _environment,
)
