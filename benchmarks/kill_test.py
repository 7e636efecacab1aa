"""Kill runs at random moments, go on with them, and see that nothing is lost.

    python benchmarks/kill_test.py --kills 20

A small classification of texts is trained once without a disturbance. Then the same is begun again,
ended by SIGKILL after a random time and resumed, until it is finished. Its weights, predictions and
figures must then be those of the first to the last bit. Every other kill strikes before the end of
the training, the others at any time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of the baselines, which are tiny here

OPTIONS = {"units": 6, "embedding": 6, "epochs": 100, "patience": 100, "batch_size": 8}
OPTIONS |= {"dropout": 0.4, "schedule": "cosine", "bidirectional": False}
#: what a run leaves that must be the same bit for bit
SAME = ("weights.safetensors", "predictions.jsonl", "encoder.json", "model.json")
#: imported once, so that a process starts in no time
PRELOADED = ["keras", "sunhwan.tasks.running", "sunhwan.tasks.training", "sklearn.pipeline"]
_WORDS = [
    "the",
    "film",
    "was",
    "so",
    "rather",
    "good",
    "bad",
    "dull",
    "bright",
    "long",
    "plot",
    "end",
]


@dataclass
class Outcome:
    """What came of the kills: where each one struck, and how many runs were finished."""

    kills: list[str] = field(default_factory=list)
    runs: int = 0
    differing: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """One line on all of it."""
        places = {place: self.kills.count(place) for place in dict.fromkeys(sorted(self.kills))}
        told = ", ".join(f"{count} {place}" for place, count in places.items())
        found = f"DIFFERENT: {', '.join(self.differing)}" if self.differing else "bit-identical"
        return f"{len(self.kills)} kills ({told}) in {self.runs} runs: {found}"


def write_table(path: Path, rows: int = 160) -> Path:
    """A table of texts of two lengths, whose label is whether "good" is in them."""
    random = np.random.default_rng(5)
    lines = ["text,label"]
    for _ in range(rows):
        text = " ".join(random.choice(_WORDS, random.choice([5, 9])))
        lines.append(f"{text},{'yes' if 'good' in text else 'no'}")
    path.write_text("\n".join(lines) + "\n")
    return path


def work(table: Path, out: Path, compiled: Path) -> None:
    """Start the run, or go on with it."""
    import jax

    from sunhwan.runs.folder import RunFolder
    from sunhwan.tasks import running
    from sunhwan.tasks.config import Config

    # only so that the test takes less time: each process compiles the same
    jax.config.update("jax_compilation_cache_dir", str(compiled))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if (out / "run.json").exists() and RunFolder.open(out).has("config.json"):
        running.resume(out)
    else:
        running.start(Config(task="classify", **OPTIONS), running.Data((str(table),)), out)


def is_finished(out: Path) -> bool:
    """Whether a run says that it has come to its end."""
    from sunhwan.runs.folder import RunFolder

    return (out / "run.json").exists() and RunFolder.open(out).state == "finished"


def place_of(out: Path) -> str:
    """Where a run was when it was killed, by what it has left."""
    if not (out / "environment.json").exists():
        return "before training"
    if (out / "results.json").exists():
        return "while reporting"
    if (out / "weights.safetensors").exists():
        return "while judging"
    return "in training"


def differences(one: Path, other: Path) -> list[str]:
    """What two finished runs differ in."""
    found = [name for name in SAME if (one / name).read_bytes() != (other / name).read_bytes()]
    figures = [json.loads((run / "history.json").read_text()) for run in (one, other)]
    found += ["history.json"] * (figures[0] != figures[1])
    results = [json.loads((run / "results.json").read_text()) for run in (one, other)]
    for key in ("metrics", "intervals", "confusion", "errors", "data", "best_epoch"):
        found += [key] * (results[0][key] != results[1][key])
    names = [sorted(path.name for path in run.iterdir()) for run in (one, other)]
    return found + ["files"] * (names[0] != names[1])


class Killer:
    """Runs in processes of their own, which share what they import and compile."""

    def __init__(self, folder: Path, seed: int | None) -> None:
        self._folder, self._random = folder, np.random.default_rng(seed)
        self._table = write_table(folder / "films.csv")
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        # seconds from the start to the end of the training, and of all
        self._latest = (0.0, 0.0)

    def run(self, out: Path, most: int) -> list[str]:
        """Run to the end, killed at most so many times before; where it was each time."""
        kills: list[str] = []
        begun, is_done = time.time(), False
        while not is_done:
            latest = self._latest[len(kills) % 2]
            is_done = self._once(
                out, self._random.uniform(0.0, latest) if len(kills) < most else None
            )
            if not is_done:
                kills.append(place_of(out))
        if not kills:
            trained = (out / "weights.safetensors").stat().st_mtime
            self._latest = (trained - begun, time.time() - begun)
        return kills

    def _once(self, out: Path, moment: float | None) -> bool:
        """Work on a run until a moment; whether it got to its end."""
        arguments = (self._table, out, self._folder / "compiled")
        process = self._context.Process(target=work, args=arguments)
        process.start()
        process.join(moment)
        if process.exitcode is None:
            process.kill()
            process.join()
            return is_finished(out)  # if the kill struck after the last word
        if process.exitcode:
            raise RuntimeError(f"the run in {out} failed with exit code {process.exitcode}")
        return True


def kill_test(folder: Path, kills: int, seed: int | None = None) -> Outcome:
    """Kill runs until there were so many kills."""
    killer, outcome, whole = Killer(folder, seed), Outcome(), folder / "whole"
    killer.run(whole, 0)
    while len(outcome.kills) < kills:
        out = folder / f"run-{outcome.runs}"
        outcome.kills += killer.run(out, kills - len(outcome.kills))
        outcome.runs += 1
        outcome.differing += [f"{out.name}: {name}" for name in differences(whole, out)]
        print(outcome.summary(), file=sys.stderr)
    return outcome


def main() -> int:
    """Print the summary; 1 if anything was different."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="how many kills in all")
    parser.add_argument("--seed", type=int, help="of the moments; left out: another each time")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = kill_test(Path(folder), given.kills, given.seed)
    print(outcome.summary())
    return 1 if outcome.differing else 0


if __name__ == "__main__":
    sys.exit(main())
