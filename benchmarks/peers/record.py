"""A run as plain values, written as one JSON file that a page can be drawn from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers.cases import Case
from benchmarks.peers.environments import PeerError
from benchmarks.peers.machine import Peak
from benchmarks.peers.measuring import Found, in_milliseconds

from sunhwan import environment
from sunhwan.runs.files import read_json, write_json

#: the peer that is ours; all ratios are of another's time to its time
OURS = "sunhwan"
#: what tells a record from other JSON files in the folder of results
KIND = "peers"
#: environment variables that change how long a step takes
_DECIDING = (
    "SUNHWAN_ISA",
    "SUNHWAN_THREADS",
    "XLA_FLAGS",
    "OMP_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
)


def begin(command: str, peak: Peak | str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A record without figures yet: date, machine, versions, command."""
    return {
        "kind": KIND,
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "command": command,
        "environment": environment.describe(),
        "variables": {name: os.environ[name] for name in _DECIDING if name in os.environ},
        "settings": dict(settings),
        "peak": _first(peak) if isinstance(peak, Peak) else {"missing": peak},
        "peers": {},
        "missing": {},
        "models": [],
        "layers": [],
    }


def _first(peak: Peak) -> dict[str, Any]:
    return {**peak.as_json(), "measured": [[peak.gflops, peak.copied]]}


def peak_again(record: dict[str, Any], peak: Peak | str) -> None:
    """Put another measurement of the peak into the record, and the shares that follow from it.

    The best of each rate counts: a machine shared with strangers may be slow just when it is asked.
    """
    known = record["peak"]
    if "missing" in known or not isinstance(peak, Peak):
        return
    known["measured"].append([peak.gflops, peak.copied])
    known["gflops"], known["copied"] = map(max, zip(*known["measured"], strict=True))
    for layer in record["layers"]:
        layer["share_of_peak"] = _shares(layer["gflops"], known)


def _shares(rates: Mapping[str, float], peak: Mapping[str, Any]) -> dict[str, float]:
    most = peak.get("gflops")
    return {name: round(rate / most, 3) for name, rate in rates.items()} if most else {}


def add_model(record: dict[str, Any], case: Case, found: Found) -> dict[str, Any]:
    """Put the figures of a model into the record; its entry."""
    entry: dict[str, Any] = {
        "model": case.name,
        "shape": list(case.shape),
        "layers": list(case.layers),
        "batch": case.batch,
        "optimizer": case.optimizer,
        "loss": case.loss,
        "target": case.target,
        "target_over": case.over,
        "texts": found.texts,
        "milliseconds_per_step": _milliseconds(found.seconds),
        "first_seconds": {name: round(value, 3) for name, value in found.first.items()},
        "peak_megabytes": {
            name: None if value is None else round(value / 1e6, 1)
            for name, value in found.bytes.items()
        },
        "inference_milliseconds": {
            str(batch): _milliseconds(times) for batch, times in found.inference.items()
        },
        "failed": found.failed,
    }
    record["models"].append(entry)
    record["peers"].update(found.versions)
    return entry


def add_layer(record: dict[str, Any], case: Case, found: Found) -> dict[str, Any]:
    """Put the figures of a layer forward and back into the record; its entry."""
    times = _milliseconds(found.seconds)
    gflop = case.step_flop / 1e9
    rates = {name: round(1e3 * gflop / time["median"], 1) for name, time in times.items()}
    layer = case.layers[0]
    entry = {
        "layer": case.name,
        "kind": layer["kind"],
        "units": layer["units"],
        "inputs": case.shape[1],
        "batch": case.batch,
        "time": case.shape[0],
        "axes": list(case.axes),
        "gflop": round(gflop, 6),
        "milliseconds": times,
        "gflops": rates,
        "share_of_peak": _shares(rates, record["peak"]),
        "failed": found.failed,
    }
    record["layers"].append(entry)
    record["peers"].update(found.versions)
    return entry


def _milliseconds(seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    return {name: in_milliseconds(times) for name, times in seconds.items()}


def fastest(times: Mapping[str, Any]) -> str | None:
    """The name of the fastest peer that is not ours; None where there is none.

    Examples
    --------
    >>> fastest({"sunhwan": {"median": 1}, "torch": {"median": 5}, "keras-jax": {"median": 7}})
    'torch'
    """
    others = [name for name in times if name != OURS]
    return min(others, key=lambda name: times[name]["median"]) if others else None


def ratio(times: Mapping[str, Any]) -> float | None:
    """How many times as long as ours the fastest other peer takes; None where one is missing.

    Examples
    --------
    >>> ratio({"sunhwan": {"median": 2.0}, "torch": {"median": 5.0}})
    2.5
    """
    best = fastest(times)
    if best is None or OURS not in times:
        return None
    return float(times[best]["median"] / times[OURS]["median"])


def reached(record: Mapping[str, Any], entry: Mapping[str, Any]) -> float | None:
    """What a target is held against: `ratio`, or how much faster ours is than our `target_over`."""
    times = entry["milliseconds_per_step"]
    if entry["target_over"] is None:
        return ratio(times)
    for other in record["models"]:
        ours = other["milliseconds_per_step"].get(OURS)
        if other["model"] == entry["target_over"] and ours and OURS in times:
            return float(ours["median"] / times[OURS]["median"])
    return None


def failures(record: Mapping[str, Any]) -> list[str]:
    """A sentence for each peer that failed at a case that it should do, or computed another thing.

    Examples
    --------
    >>> failures({"models": [{"model": "m", "failed": {"torch": "no memory"}}], "layers": []})
    ['m: no memory']
    """
    entries = [(entry["model"], entry) for entry in record["models"]]
    entries += [(entry["layer"], entry) for entry in record["layers"]]
    return [f"{name}: {said}" for name, entry in entries for said in entry["failed"].values()]


def write(folder: Path, record: Mapping[str, Any]) -> Path:
    """Write the record into a folder, named by date, processor and cores; or to a ``.json``."""
    path = folder
    if path.suffix != ".json":
        facts = record["environment"]
        when = re.sub(r"[ :]", lambda found: "-" if found[0] == " " else "", record["date"])
        cpu = re.sub(r"[^a-z0-9]+", "-", str(facts["cpu"]).lower()).strip("-")
        path = folder / f"{when}-{cpu}-{facts['cores']}-cores-{KIND}.json"
    return write_json(path, record)


def read(path: Path) -> dict[str, Any]:
    """A record that was written.

    Raises
    ------
    PeerError
        The file is JSON and no record of this benchmark.
    """
    record = read_json(path)
    if not isinstance(record, dict) or record.get("kind") != KIND:
        raise PeerError(
            f"{path} is not a record of this benchmark",
            hint=f"its records are named …-{KIND}.json",
        )
    return record
