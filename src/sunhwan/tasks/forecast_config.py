"""The options of a run that forecasts, and what is chosen where nobody did."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from sunhwan.tasks.options import Options

Fill = Literal["linear", "carry", "refuse"]
Mode = Literal["direct", "fed-back"]


class ForecastConfig(Options):
    """All options of a forecast; None means that it is chosen by the series.

    Examples
    --------
    >>> ForecastConfig(horizon=6).settled(horizon=12, season=12).horizon
    6
    """

    task: Literal["forecast"] = "forecast"

    horizon: int | None = Field(None, ge=1, le=5000, description="steps to forecast")
    input_length: int | None = Field(None, ge=1, le=100_000, description="steps to read")
    mode: Mode = Field("direct", description="all steps at once, or each read for the next")
    season: int | None = Field(None, ge=1, le=100_000, description="steps of a season; 1: none")
    fill: Fill = Field("linear", description="what short gaps are filled with")

    def settled(self, **measured: Any) -> ForecastConfig:
        """The options with every None replaced, by what was measured or by a default."""
        chosen = {**_DEFAULTS, **measured}
        return self.model_copy(
            update={name: value for name, value in chosen.items() if getattr(self, name) is None}
        )


#: chosen on validation data of the series in `examples/`; see docs/workbench.md
_DEFAULTS: dict[str, Any] = {
    "cell": "gru", "units": 32, "num_layers": 1, "dropout": 0.1, "learning_rate": 3e-3,
    "schedule": "plateau", "epochs": 60, "patience": 10,
}  # fmt: skip
#: a day of hours, a week of days, a year of months, ...
_HORIZONS = {"1h": 24, "1d": 7, "1bd": 5, "7d": 4, "1mo": 12, "3mo": 4, "30m": 48, "15m": 96}
#: where neither the frequency nor a season says more
_HORIZON, _LONGEST_HORIZON = 10, 48


def default_horizon(frequency: str, season: int) -> int:
    """Steps that are commonly forecast: the usual round of the frequency, or a season.

    Parameters
    ----------
    frequency
        As of `sunhwan.data.series.SeriesSet`.

    Examples
    --------
    >>> default_horizon("1mo", 127), default_horizon("1i", 20), default_horizon("1i", 1)
    (12, 20, 10)
    """
    usual = season if 1 < season <= _LONGEST_HORIZON else _HORIZON
    return _HORIZONS.get(frequency, usual)
