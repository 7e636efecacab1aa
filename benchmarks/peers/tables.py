"""A record as tables: on the terminal, and as the same rows on a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.peers.record import OURS, fastest, ratio, reached

#: columns that the widest table needs
_WIDTH = 132


@dataclass(frozen=True)
class Table:
    """A title, the heads of the columns, and rows of cells; the first column is a name."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(record: Mapping[str, Any]) -> list[Table]:
    """All tables of a record that have a row; times are medians with their quartiles."""
    made = [
        training(record),
        memory(record),
        first(record),
        *(inference(record, batch) for batch in _batches(record)),
        layers(record, is_sweep=False),
        layers(record, is_sweep=True),
    ]
    return [table for table in made if table.rows]


def training(record: Mapping[str, Any]) -> Table:
    """Milliseconds of a training step, the fastest peer, our ratio to it and the target."""
    names = _names(record["models"], "milliseconds_per_step")
    rows = []
    for entry in record["models"]:
        times = entry["milliseconds_per_step"]
        cells = [entry["model"], *(_time(times.get(name)) for name in names)]
        cells += [fastest(times) or "", _times(ratio(times)), *_aim(record, entry)]
        rows.append(cells)
    heads = ["model", *names, "fastest peer", "ratio", "reached", "target"]
    return Table("A training step, in milliseconds", heads, rows)


def memory(record: Mapping[str, Any]) -> Table:
    """Megabytes that a training step needs at most, beyond those before the model was built."""
    names = _names(record["models"], "peak_megabytes")
    rows = []
    for entry in record["models"]:
        peaks = entry["peak_megabytes"]
        known = [peaks.get(name) for name in names]
        cells = ["" if value is None else f"{value:.0f}" for value in known]
        others = [v for n, v in peaks.items() if n != OURS and v is not None]
        is_least = peaks.get(OURS) is not None and others and peaks[OURS] < min(others)
        rows.append([entry["model"], *cells, "yes" if is_least else "no"])
    heads = ["model", *names, "ours is least"]
    return Table("The most memory in a training step, in megabytes", heads, rows)


def first(record: Mapping[str, Any]) -> Table:
    """Seconds until the first step is done: built, compiled, run."""
    names = _names(record["models"], "first_seconds")
    rows = [
        [entry["model"], *(_seconds(entry["first_seconds"].get(name)) for name in names)]
        for entry in record["models"]
    ]
    return Table("Until the first step is done, in seconds", ["model", *names], rows)


def inference(record: Mapping[str, Any], batch: str) -> Table:
    """Milliseconds of an answer to a batch."""
    entries = [
        {"model": entry["model"], "times": entry["inference_milliseconds"].get(batch, {})}
        for entry in record["models"]
    ]
    names = _names(entries, "times")
    rows = []
    for entry in entries:
        times = entry["times"]
        cells = [entry["model"], *(_time(times.get(name)) for name in names)]
        rows.append([*cells, fastest(times) or "", _times(ratio(times))])
    title = f"Answers to {batch} row{'s' if batch != '1' else ''}, in milliseconds"
    return Table(title, ["model", *names, "fastest peer", "ratio"], rows)


def layers(record: Mapping[str, Any], is_sweep: bool) -> Table:
    """Milliseconds of a layer forward and back, what that is in GFLOP/s for ours, and its share."""
    entries = [entry for entry in record["layers"] if bool(entry["axes"]) == is_sweep]
    names = _names(entries, "milliseconds")
    rows = []
    for entry in entries:
        times = entry["milliseconds"]
        rate, share = (entry[name].get(OURS) for name in ("gflops", "share_of_peak"))
        cells = [entry["layer"], *(_time(times.get(name)) for name in names), _times(ratio(times))]
        cells += ["" if rate is None else f"{rate:.0f}", "" if share is None else f"{share:.0%}"]
        rows.append(cells)
    heads = ["layer", *names, "ratio", "GFLOP/s", "of peak"]
    what = "over T, B and H" if is_sweep else "DeepBench's training shapes"
    return Table(f"A layer forward and back, in milliseconds: {what}", heads, rows)


def show(record: Mapping[str, Any]) -> None:
    """Print all tables."""
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(width=max(_WIDTH, Console().width))
    for table in tables(record):
        drawn = RichTable(
            title=table.title, title_justify="left", box=None, pad_edge=False, header_style="bold"
        )
        for place, head in enumerate(table.heads):
            # in narrow columns; the quartiles are in the record
            head = head.replace("-", " ") if place else head
            drawn.add_column(head, justify="right" if place else "left", no_wrap=not place)
            drawn.columns[-1].min_width = max(map(len, head.split())) if place else None
        for row in table.rows:
            drawn.add_row(*(cell.partition(" (")[0] for cell in row))
        console.print(drawn)
        console.print()


def _names(entries: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    """The peers that have a figure somewhere, ours first, in the order in which they were timed."""
    found = dict.fromkeys(name for entry in entries for name in entry[key])
    return sorted(found, key=lambda name: name != OURS)


def _batches(record: Mapping[str, Any]) -> list[str]:
    found = {batch for entry in record["models"] for batch in entry["inference_milliseconds"]}
    return sorted(found, key=int)


def _aim(record: Mapping[str, Any], entry: Mapping[str, Any]) -> list[str]:
    """Whether the target is reached, and what it is."""
    if entry["target"] is None:
        return ["", ""]
    over = f" over {entry['target_over']}" if entry["target_over"] else ""
    value = reached(record, entry)
    if value is None:
        return ["not measured", f"{entry['target']:g}{over}"]
    verdict = "yes" if value >= entry["target"] else "no"
    return [f"{verdict}, {value:.2f}", f"{entry['target']:g}{over}"]


def _time(time: Mapping[str, Any] | None) -> str:
    if time is None:
        return ""
    low, high = time["quartiles"]
    return f"{_short(time['median'])} ({_short(low)}-{_short(high)})"


def _short(value: float) -> str:
    """Three digits, without an exponent.

    Examples
    --------
    >>> _short(0.012345), _short(7.1), _short(1234.5)
    ('0.0123', '7.10', '1234')
    """
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
