"""How figures and results are put into words, the same in reports and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sunhwan.runs.numbers import NOTHING

#: what a figure is called, in the order of the columns
FIGURES = {
    "loss": "Loss",
    "test_loss": "Test loss",
    "accuracy": "Accuracy",
    "share_right": "Share right",
    "sequences_right": "Sequences right",
    "symbols_right": "Symbols right",
    "reach": "Steps remembered",
    "val_loss": "Validation loss",
    "val_accuracy": "Validation accuracy",
    "val_share_right": "Validation share right",
    "epochs_run": "Epochs",
    "seconds": "Seconds",
}


def figure_text(key: str, value: float | None) -> str:
    """One figure as it is written everywhere.

    Examples
    --------
    >>> figure_text("accuracy", 0.86664), figure_text("share_right", 0.959)
    ('0.8666', '95.9 %')
    >>> figure_text("test_loss", 0.55), figure_text("test_loss", 1.9878)
    ('0.550', '1.988')
    """
    if value is None:
        return NOTHING
    if key.endswith("_right"):
        return f"{value:.1%}".replace("%", " %")
    if key.endswith("accuracy"):
        return f"{value:.4f}"
    if key == "reach":
        return f"{value:.0f}"
    if key == "epochs_run":
        return f"{value:.3g}"
    if key == "seconds":
        return f"{value:.1f}" if value < 100 else f"{value:,.0f}"
    if abs(value) >= 1:
        return f"{value:.3f}"
    return f"{value:.2e}" if 0 < abs(value) < 1e-4 else f"{value:#.3g}"


def measured(key: str, summary: Mapping[str, float | None]) -> str:
    """Mean and spread, which no line break parts.

    Examples
    --------
    >>> measured("accuracy", {"mean": 0.8671, "spread": 0.0034})
    '0.8671\xa0±\xa00.0034'
    """
    mean = figure_text(key, summary["mean"])
    if summary["spread"] is None:
        return mean
    return f"{mean}\u00a0±\u00a0{figure_text(key, summary['spread'])}"


def published_text(key: str, published: Mapping[str, Any]) -> str:
    """The published figure with the digits it was published with, or a dash.

    Examples
    --------
    >>> published_text("accuracy", {"accuracy": 0.682}), published_text("test_loss", {}) == NOTHING
    ('0.682', True)
    """
    value = published.get(key)
    if value is None or key.endswith("_right"):
        return figure_text(key, value)
    return f"{value:.4g}"


def seed_words(count: int) -> str:
    """``1 seed``, ``3 seeds``."""
    return f"{count} seed{'s' if count > 1 else ''}"


def result_sentence(results: Mapping[str, Any]) -> str:
    """The result of an experiment in a sentence or two: ours beside what was published."""
    key = results["headline"]
    sentences = []
    for variant in results["variants"]:
        ours = measured(key, variant["summary"][key])
        seeds = seed_words(len(variant["seeds"]))
        sentence = f"{variant['title']}{_VERBS[key].format(ours)} over {seeds}"
        if results["as_published"] and key in variant["published"]:
            sentence += f"; published: {published_text(key, variant['published'])}"
        if "stock" in variant:
            stock = measured(key, variant["stock"]["summary"][key])
            sentence += f"; stock Keras with the same seeds: {stock}"
        sentences.append(sentence + ".")
    # a line must not break inside a figure
    return " ".join(sentences).replace(" %", "\u00a0%").replace(" ± ", "\u00a0±\u00a0")


_VERBS = {
    "accuracy": " reaches a test accuracy of {}",
    "val_accuracy": " reaches a validation accuracy of {}",
    "share_right": " gets {} of the test answers right",
    "test_loss": " leaves a mean squared error of {} beyond the training windows",
}
