"""Matplotlib figures of what the other functions found, for a notebook or a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.errors import UsageError
from sunhwan.insight.activity import Activity
from sunhwan.insight.attribution import Attribution
from sunhwan.insight.flow import Flow
from sunhwan.insight.horizon import Horizon
from sunhwan.runs import insight_figures
from sunhwan.runs.canvas import ON_PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def flow_figure(flows: Sequence[Flow], title: str = "Gradient by steps back") -> Figure:
    """Gradients of `sunhwan.insight.gradient_flow`, relative to the last step, on a log scale.

    Dashed is the estimate of the textbooks, `Flow.estimate` to the power of n. Flows of several
    models, such as before and after training, can be drawn together.

    Raises
    ------
    UsageError
        There is no flow.

    Examples
    --------
    >>> import keras
    >>> from sunhwan.insight import gradient_flow
    >>> from sunhwan.layers import GRU
    >>> model = keras.Sequential([keras.Input((9, 2)), GRU(3)])
    >>> figure = flow_figure(gradient_flow(model, np.ones((4, 9, 2), "float32")))
    >>> len(figure.axes[0].lines) > 1
    True
    """
    if not flows:
        raise UsageError("expected at least one flow to draw, received none")
    lines = []
    for place, flow in enumerate(flows):
        first = flow.norms[0] or 1.0
        lines.append(insight_figures.Line(f"{flow.name}", flow.norms / first, place))
        expected = flow.estimate ** np.arange(len(flow.norms))
        name = f"{flow.name}, textbook"
        lines.append(insight_figures.Line(name, expected, place, "dashed"))
    axis_names = ("steps before the answer", "share of the gradient that arrives")
    return insight_figures.flow(lines, title=title, axis_names=axis_names, tints=ON_PAPER)


def horizon_figure(horizon: Horizon, title: str = "Change of the answer by steps back") -> Figure:
    """What `sunhwan.insight.memory_horizon` found: the change by steps back, and where it ends.

    Raises
    ------
    UsageError
        No input changes the answer.
    """
    if horizon.reach is None:
        raise UsageError("there is nothing to draw: no input changes the answer")
    return insight_figures.horizon(
        horizon.places,
        horizon.changes / horizon.changes.max(),
        reach=horizon.reach,
        threshold=horizon.threshold,
        title=title,
        axis_names=("steps before the answer", "share of the largest change"),
        told=f"{horizon.reach} steps back",
        tints=ON_PAPER,
    )


def saturation_figure(seen: Sequence[Activity]) -> Figure:
    """How often the gates of `sunhwan.insight.activity` are shut or open.

    Raises
    ------
    UsageError
        No part has gates between 0 and 1.
    """
    rows = [
        (f"{part.name} · {gate}", one.shut, one.open)
        for part in seen
        for gate, one in part.saturation.items()
    ]
    if not rows:
        raise UsageError("there is nothing to draw: no layer has gates between 0 and 1")
    return insight_figures.saturation(
        rows,
        title="How often gates are shut or open",
        axis_name="share of all steps and units",
        names=("shut, below 0.1", "open, above 0.9"),
        tints=ON_PAPER,
    )


def states_figure(seen: Activity, row: int = 0, tokens: Sequence[str] = ()) -> Figure:
    """Gates and states of one row of `sunhwan.insight.activity`, a map for each.

    Parameters
    ----------
    tokens
        A name for each live step; without them, steps are numbered.

    Raises
    ------
    UsageError
        There is no such row.
    """
    if not -len(seen.live) <= row < len(seen.live):
        raise UsageError(f"there are {len(seen.live)} rows, received number {row}")
    live = seen.live[row]
    tables = {f"gate {name}": table for name, table in seen.gates.items()}
    tables |= {f"state {name}": table for name, table in seen.states.items()}
    panels = [(name, table[row][live]) for name, table in tables.items()]
    return insight_figures.activity(panels, tokens, axis_name="step", tints=ON_PAPER)


def influence_figure(told: Attribution, row: int = 0) -> Figure:
    """The share of each step of a row in the answer, by `sunhwan.insight.integrated_gradients`.

    Raises
    ------
    UsageError
        There is no such row.
    """
    if not -len(told.values) <= row < len(told.values):
        raise UsageError(f"there are {len(told.values)} rows, received number {row}")
    parts = [(name, values[row]) for name, values in told.by_direction.items()]
    return insight_figures.influence(
        told.values[row],
        parts,
        title="Share of each step in the answer",
        axis_names=("step", "share"),
        tints=ON_PAPER,
    )
