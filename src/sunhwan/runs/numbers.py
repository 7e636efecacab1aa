"""How numbers are written in reports and in the terminal."""

from __future__ import annotations

import math

from sunhwan.runs.statistics import SMALLEST_P

#: stands where there is no figure
NOTHING = "\u2013"

#: metrics between 0 and 1, or below 0 where a model is worse than none
_SHARES = frozenset(
    {
        "accuracy",
        "sentence_accuracy",
        "exact_match",
        "macro_f1",
        "r2",
        "skill",
        "precision",
        "recall",
        "f1",
        "ece",
        "probability",
    }
)


def probability_text(value: float | None) -> str:
    """A P value, as R writes the smallest.

    Examples
    --------
    >>> probability_text(0.39894), probability_text(1e-113), probability_text(0.00002)
    ('0.3989', '< 2.2e-16', '2.0e-05')
    """
    if value is None:
        return NOTHING
    if value < SMALLEST_P:
        return f"< {SMALLEST_P}"
    return f"{value:.4f}" if value >= 0.001 else f"{value:.1e}"


def metric_text(key: str, value: float | None) -> str:
    """A metric: shares with four digits after the point, others with four significant ones.

    Examples
    --------
    >>> metric_text("accuracy", 0.86664), metric_text("mae", 0.55), metric_text("mae", 12345.6)
    ('0.8666', '0.5500', '12,346')
    >>> metric_text("mae", 0.000012), metric_text("mae", None) == NOTHING
    ('1.20e-05', True)
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    if key in _SHARES:
        return f"{value:.4f}"
    if value and (abs(value) < 1e-3 or abs(value) >= 1e9):
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:#.4g}".removesuffix(".")


def number_text(value: float) -> str:
    """A number as briefly as its size allows.

    Examples
    --------
    >>> number_text(25000), number_text(3.0), number_text(0.123456)
    ('25,000', '3', '0.1235')
    """
    if not math.isfinite(value):
        return NOTHING
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return metric_text("", value)


def seconds_text(seconds: float) -> str:
    """Seconds with one digit after the point, from 100 on with none.

    Examples
    --------
    >>> seconds_text(0.01), seconds_text(14.23), seconds_text(1234.5)
    ('0.0', '14.2', '1,234')
    """
    return f"{seconds:.1f}" if seconds < 100 else f"{seconds:,.0f}"
