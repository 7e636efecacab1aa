"""What the benchmarks of single steps share: their command line, and how figures are kept."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from sunhwan.engine import native
from sunhwan.environment import describe
from sunhwan.runs.files import write_json


def brief(found: Mapping[str, list[float]]) -> dict[str, Any]:
    """Median, lowest and all rounds of each side."""
    return {
        side: {
            "median": round(statistics.median(rows), 2),
            "lowest": round(min(rows), 2),
            "rounds": [round(row, 2) for row in rows],
        }
        for side, rows in found.items()
    }


def run(
    description: str,
    models: Collection[str],
    measure: Callable[[str, int], dict[str, Any]],
    results: Path,
    **facts: Any,
) -> None:
    """Measure the models that are asked for, print a line for each, and keep the figures."""
    parser = argparse.ArgumentParser(description=description.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--models", nargs="+", choices=list(models), default=list(models))
    parser.add_argument("--out", type=Path, default=results)
    given = parser.parse_args()
    found = {}
    for name in given.models:
        found[name] = measure(name, given.rounds)
        text = ", ".join(f"{side} {row['median']:,.1f}" for side, row in found[name].items())
        print(f"{name}: {text} µs", flush=True)
    environment = describe() | {"kernels": native.active_isa()}
    write_json(given.out, {"environment": environment, **facts, "models": found})
