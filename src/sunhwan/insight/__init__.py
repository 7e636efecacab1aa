"""What a recurrent network does: gradients through time, memory, gates, influence, and its shape.

All of it works on any built Keras model with layers of `sunhwan.layers`, trained or not.
"""

from __future__ import annotations

from sunhwan.insight.activity import Activity, activity, followers, signals_of
from sunhwan.insight.alarm import GradientAlarm, GradientWarning
from sunhwan.insight.attribution import Attribution, integrated_gradients, occlusion
from sunhwan.insight.drawing import draw
from sunhwan.insight.figures import (
    flow_figure,
    horizon_figure,
    influence_figure,
    saturation_figure,
    states_figure,
)
from sunhwan.insight.findings import findings
from sunhwan.insight.flow import Flow, gradient_flow
from sunhwan.insight.horizon import Horizon, memory_horizon

__all__ = [
    "Activity",
    "Attribution",
    "Flow",
    "GradientAlarm",
    "GradientWarning",
    "Horizon",
    "activity",
    "draw",
    "findings",
    "flow_figure",
    "followers",
    "gradient_flow",
    "horizon_figure",
    "influence_figure",
    "integrated_gradients",
    "memory_horizon",
    "occlusion",
    "saturation_figure",
    "signals_of",
    "states_figure",
]
