"""Plots of a record as SVG, with text kept as text: the sweeps over T, B and H, and the models."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.peers.record import OURS

from sunhwan.errors import DataError

#: for each sweep: what changes, as it is called in a sentence, and what stays
AXES = {"time": "steps T", "batch": "rows B", "units": "units H"}
#: ours, then the others, in colours that the colour-blind tell apart (Okabe and Ito)
_COLOURS = {
    OURS: "#d55e00",
    "keras-jax": "#0072b2",
    "keras-tensorflow": "#009e73",
    "keras-torch": "#cc79a7",
    "torch": "#555555",
    "torch-packed": "#e69f00",
    "onnxruntime": "#56b4e9",
}
_MARKERS = dict(zip(_COLOURS, "osD^vPX", strict=True))
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sunhwan",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
}


def sweep_points(record: Mapping[str, Any], axis: str) -> dict[str, list[tuple[int, Any]]]:
    """For each peer, the points of a sweep: the value on its axis, and the times there.

    Raises
    ------
    DataError
        No such sweep, or points that differ in more than the axis.

    Examples
    --------
    >>> point = {"axes": ["time"], "time": 50, "batch": 1, "units": 2, "milliseconds": {"torch": 1}}
    >>> sweep_points({"layers": [point]}, "time")
    {'torch': [(50, 1)]}
    """
    if axis not in AXES:
        raise DataError(f"a sweep is over one of {', '.join(AXES)}, received {axis!r}")
    rows = [entry for entry in record["layers"] if axis in entry["axes"]]
    others = [name for name in AXES if name != axis]
    fixed = {tuple(entry[name] for name in others) for entry in rows}
    if len(fixed) > 1:
        raise DataError(f"the sweep over {axis} must keep {others} as they are, received {fixed}")
    found: dict[str, list[tuple[int, Any]]] = {}
    for entry in sorted(rows, key=lambda entry: entry[axis]):
        for name, times in entry["milliseconds"].items():
            found.setdefault(name, []).append((entry[axis], times))
    return found


def sweep(record: Mapping[str, Any], axis: str) -> str:
    """Milliseconds of an LSTM forward and back against one of its sizes, as SVG.

    Bands reach from the first quartile to the third. Both axes are logarithmic.
    """
    points = sweep_points(record, axis)
    rows = [entry for entry in record["layers"] if axis in entry["axes"]]
    figure, axes = _figure(6.4, 4.2)
    for name in _ordered(points):
        values = [value for value, _ in points[name]]
        times = [time for _, time in points[name]]
        low, high = zip(*(time["quartiles"] for time in times), strict=True)
        style = {"color": _COLOURS[name], "zorder": 3 if name == OURS else 2}
        width = 2.2 if name == OURS else 1.3
        medians = [time["median"] for time in times]
        axes.plot(values, medians, marker=_MARKERS[name], ms=4.5, lw=width, label=name, **style)
        axes.fill_between(values, low, high, alpha=0.15, lw=0, **style)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = sorted({entry[axis] for entry in rows})
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    _plain_numbers(axes.yaxis, (1.0, 2.0, 5.0))
    stays = ", ".join(
        f"{AXES[name].split()[-1]} = {rows[0][name]}" for name in AXES if name != axis
    )
    axes.set_xlabel(f"{AXES[axis]}   ({stays})")
    axes.set_ylabel("milliseconds")
    figure.legend(*axes.get_legend_handles_labels(), **_beside())
    return _svg(figure)


def models(record: Mapping[str, Any]) -> str:
    """Milliseconds of a training step of every model for each peer, as SVG: a row of dots each."""
    entries = [e for e in record["models"] if e["milliseconds_per_step"]]
    figure, axes = _figure(7.2, 0.9 + 0.42 * len(entries))
    names = _ordered({name for e in entries for name in e["milliseconds_per_step"]})
    for name in reversed(names):  # ours on top
        at, medians = [], []
        for place, entry in enumerate(entries):
            if name in entry["milliseconds_per_step"]:
                at.append(place)
                medians.append(entry["milliseconds_per_step"][name]["median"])
        size = 9 if name == OURS else 7
        axes.plot(
            medians, at, _MARKERS[name], color=_COLOURS[name], ms=size, label=name, mec="white"
        )
    axes.set_yticks(range(len(entries)), [entry["model"] for entry in entries])
    axes.set_ylim(len(entries) - 0.5, -0.5)
    axes.set_xscale("log")
    _plain_numbers(axes.xaxis, (1.0,))
    axes.set_xlabel("milliseconds of a training step")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], **_beside())
    return _svg(figure)


def _ordered(names: Any) -> list[str]:
    """Names of peers in the order of their colours."""
    return [name for name in _COLOURS if name in names]


def _figure(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        axes.set_axisbelow(True)
    return figure, axes


def _beside() -> dict[str, Any]:
    return {"loc": "outside right upper", "frameon": False}


def _plain_numbers(axis: Any, digits: tuple[float, ...]) -> None:
    """Write numbers that begin with these digits on a logarithmic axis, not powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(base=10, subs=digits, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_locator(NullLocator())


def _svg(figure: Any) -> str:
    """The figure as text that is the same each time."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def names(record: Mapping[str, Any]) -> Sequence[str]:
    """Of the plots that a record has the figures for: ``models``, ``time``, ``batch``, ``units``.

    Examples
    --------
    >>> names({"models": [], "layers": [{"axes": ["time", "batch"]}]})
    ['time', 'batch']
    """
    found = ["models"] if any(e["milliseconds_per_step"] for e in record["models"]) else []
    return [*found, *(a for a in AXES if any(a in e["axes"] for e in record["layers"]))]
