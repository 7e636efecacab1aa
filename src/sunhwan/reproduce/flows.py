"""The part of a report about gradients that flow back through time, before training and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.reproduce.wording import FIGURES, figure_text
from sunhwan.runs import canvas, insight_figures
from sunhwan.runs.insight_figures import Line
from sunhwan.runs.page import Block, Equation, Figure, Key, Section, Table
from sunhwan.runs.wording import Words

_READ = (
    "To learn that a number at the front of the sequence matters, a gradient must come back to it "
    "from the answer at the end. The curves show what share of it arrives n steps back, at the "
    "states of the first layer: thin with the random weights that training began with, thick with "
    "those of the epoch whose validation loss was best, the geometric mean over the seeds. Each "
    "step multiplies the gradient by a Jacobian; where that shrinks it by the same factor again "
    "and again, the curve is a straight line that falls, and what is far back cannot be learnt."
)
_STARTS = (
    "An LSTM does not carry by its form alone: Keras begins its forget gates at a bias of 1, which "
    "lets about 0.73 of a cell through at each step, and over 100 steps nothing is left of that. "
    "It can learn to open them; a SimpleRNN has no such gate. The last network begins with biases "
    "that let cells remember for 1 to 100 steps (Tallec & Ollivier 2018, chrono initialisation)."
)


def flows(results: Mapping[str, Any]) -> list[Section]:
    """One figure of all networks, and a table; nothing where no gradient was measured."""
    variants = [one for one in results["variants"] if "flow" in one["seeds"][0]]
    if not variants:
        return []
    lines, legend, key = [], [], results["headline"]
    back = len(variants[0]["seeds"][0]["flow"]["before"]["share"]) - 1
    for place, one in enumerate(variants):
        legend.append((one["title"], canvas.css(canvas.tint(place)), False))
        for when, style in (("before", "thin"), ("after", "solid")):
            lines.append(Line(f"{one['title']}, {when}", _mean(one, when), place, style))
    drawn = insight_figures.flow(
        lines,
        title="Gradient by steps back, thin before training and thick after it",
        axis_names=("steps before the answer", "share of the gradient that arrives"),
    )
    svg = canvas.svg(drawn, "Size of the gradient by steps back, before and after training")
    words = Words("en")
    equation = Equation(words("insight.flow.equation"), words("insight.flow.source"))
    blocks: list[Block] = [_READ, equation, Key(legend), Figure(svg, wide=True), _STARTS]
    head = ["", "a step, before", "a step, after", f"{back} back, before", "after", FIGURES[key]]
    rows = [
        [
            one["title"],
            *(_spread([seed["flow"][when]["rate"] for seed in one["seeds"]]) for when in _WHEN),
            *(f"{_mean(one, when)[-1]:.1e}" for when in _WHEN),
            figure_text(key, one["summary"][key]["mean"]),
        ]
        for one in variants
    ]
    caption = "Factor per step, lowest to highest of the seeds; share of the gradient that arrives"
    return [Section("How far gradients reach back", [*blocks, Table(head, rows, caption=caption)])]


_WHEN = ("before", "after")


def _mean(one: Mapping[str, Any], when: str) -> NDArray[np.float64]:
    """The geometric mean over the seeds; a share that float32 cannot hold counts as 1e-38."""
    shares = np.array([seed["flow"][when]["share"] for seed in one["seeds"]])
    mean: NDArray[np.float64] = np.exp(np.log(np.maximum(shares, 1e-38)).mean(axis=0))
    return mean


def _spread(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f} to {high:.3f}"
