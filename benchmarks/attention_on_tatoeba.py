"""What attention is worth on a few thousand real pairs: English to Korean, with it and without.

    python benchmarks/attention_on_tatoeba.py --seeds 3

Needs SUNHWAN_DATA, the folder with the data. Everything else is as `sunhwan train translate`
chooses it. A seed decides the weights, the order of the batches, and which pairs are held out to
stop by; the test pairs are the same for all. The figures of each seed are kept in
results/attention-on-tatoeba.json, with the mean and the standard deviation over the seeds.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import statistics
import time
from pathlib import Path
from typing import Any

from sunhwan import Translator
from sunhwan.environment import describe
from sunhwan.runs.files import write_json

RESULTS = Path(__file__).parent / "results" / "attention-on-tatoeba.json"
KINDS = ("additive", "multiplicative", "none")


def read(part: str) -> tuple[list[str], list[str]]:
    """Sources and targets of a part of the data."""
    path = Path(os.environ["SUNHWAN_DATA"]) / "tatoeba-en-ko" / f"{part}.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["english"] for row in rows], [row["korean"] for row in rows]


def measure(attention: str, seed: int) -> dict[str, float]:
    """The figures on the test pairs of a network that was trained with a seed."""
    start = time.perf_counter()
    translator = Translator(attention=attention, seed=seed).fit(*read("train"))
    seconds = time.perf_counter() - start
    figures = translator.evaluate(*read("test"))
    return {"seed": seed, **figures, "seconds": round(seconds, 1)}


def summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Mean and standard deviation of each figure over the seeds."""
    names = [name for name in rows[0] if name != "seed"]
    return {
        name: {
            "mean": statistics.mean(row[name] for row in rows),
            "deviation": statistics.stdev([row[name] for row in rows]) if len(rows) > 1 else None,
        }
        for name in names
    }


def main() -> None:
    """Train all, print a line for each, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--attention", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in given.attention}
    for seed in range(1, given.seeds + 1):
        for kind, rows in found.items():
            rows.append(measure(kind, seed))
            print(kind, rows[-1], flush=True)
    document = {
        "environment": describe(),
        "attention": {kind: {"runs": rows, **summary(rows)} for kind, rows in found.items()},
    }
    write_json(given.out, document)


if __name__ == "__main__":
    main()
