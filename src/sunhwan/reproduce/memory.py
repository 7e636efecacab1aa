"""How long a memory lasts, as data: problems that grow longer, and the networks held to them.

Nothing here imports Keras.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

from sunhwan.reproduce.comparisons import Records, Training
from sunhwan.reproduce.experiments import TOLERANCE

#: what is asked of a sequence
Problem = Literal["multiplication", "copying"]

#: an exact binomial test against chance must leave less than this
LEVEL = 0.001


@dataclass(frozen=True)
class Cell:
    """A recurrent layer that is held to the problems.

    Parameters
    ----------
    name, title
        Short name for files, and what it is called in a report.
    kind
        Name of the layer.
    carries
        The longest memory that its cells begin with, as of `starts.chrono`; 0 for the start that
        Keras gives them.
    """

    name: str
    title: str
    kind: Literal["SimpleRNN", "GRU", "LSTM"]
    carries: int = 0


@dataclass(frozen=True)
class MemorySize:
    """How large networks and data are, the same for all cells, problems and lengths.

    Parameters
    ----------
    units, batches, batch_size, learning_rate
        Of each network, and of each of its epochs.
    symbols, remembered
        Of copying: how many symbols there are, and how many of them are to be remembered.
    test_rows
        Sequences to judge by.
    """

    units: int
    batches: int
    batch_size: int
    learning_rate: float
    symbols: int
    remembered: int
    test_rows: int


@dataclass(frozen=True)
class MemoryStudy:
    """Cells that learn problems of growing length, each length from the start.

    Parameters
    ----------
    name, title
        Name on the command line; heading of the report.
    problems, cells, lengths
        What is trained: each cell on each problem at each length.
    size
        How large networks and data are.
    epochs
        How long each learns.
    """

    name: str
    title: str
    problems: tuple[Problem, ...]
    cells: tuple[Cell, ...]
    lengths: tuple[int, ...]
    size: MemorySize
    epochs: int
    headline: str = "reach"

    @property
    def models(self) -> str:
        """What a list says of the networks."""
        return "; ".join(cell.title for cell in self.cells)

    @property
    def limit(self) -> str:
        """What a list says of the epochs."""
        return str(self.epochs)

    def small(self) -> MemoryStudy:
        """The same with small networks on short sequences."""
        size = replace(self.size, units=8, batches=4, test_rows=64)
        return replace(self, lengths=self.lengths[:2], size=size)

    def facts(self) -> dict[str, Any]:
        """Problems with the share that chance gets right, cells, lengths and sizes."""
        return {
            "problems": [
                {"name": problem, "chance": chance(problem, self.size.symbols)}
                for problem in self.problems
            ],
            "cells": [asdict(cell) for cell in self.cells],
            "lengths": list(self.lengths),
            "size": asdict(self.size),
            "tolerance": TOLERANCE,
            "level": LEVEL,
        }

    def trainings(self) -> list[Training]:
        """Every cell on every problem, the shortest length first."""

        def record(problem: Problem, cell: Cell, length: int, **options: Any) -> dict[str, Any]:
            from sunhwan.reproduce import remembering

            return remembering.record(problem, cell, length, self.size, **options)

        return [
            Training(
                f"{problem}-{cell.name}-{length}",
                f"{problem}, {length} steps, {cell.title}",
                partial(record, problem, cell, length),
            )
            for problem in self.problems
            for cell in self.cells
            for length in self.lengths
        ]

    def variants(self, records: Mapping[str, Records]) -> list[dict[str, Any]]:
        """A cell on a problem each: for every seed how far it reaches, and all its lengths."""
        return [
            {
                "name": f"{problem}-{cell.name}",
                "title": f"{problem.capitalize()}: {cell.title}",
                "problem": problem,
                "cell": cell.name,
                "seeds": self._by_seed(
                    [records[f"{problem}-{cell.name}-{length}"] for length in self.lengths],
                    chance(problem, self.size.symbols),
                ),
            }
            for problem in self.problems
            for cell in self.cells
        ]

    def _by_seed(self, by_length: Sequence[Records], by_chance: float) -> list[dict[str, Any]]:
        seeds = []
        for of_seed in zip(*by_length, strict=True):
            better = [is_better(one["right"], one["answers"], by_chance) for one in of_seed]
            lengths = [
                {"length": length, "better": is_one, **record}
                for length, is_one, record in zip(self.lengths, better, of_seed, strict=True)
            ]
            seeds.append(
                {
                    "seed": of_seed[0]["seed"],
                    "reach": reach(self.lengths, better),
                    "seconds": round(sum(one["seconds"] for one in of_seed), 2),
                    "by_length": lengths,
                }
            )
        return seeds

    def render(self, results: Mapping[str, Any]) -> str:
        """The report as HTML text."""
        from sunhwan.reproduce.memory_report import render

        return render(results)


def chance(problem: Problem, symbols: int) -> float:
    """The most that an answer gets right that knows nothing of the sequence.

    Of two numbers uniform in [0, 1] the product p has the density -ln p, which falls, so the best
    constant answer to multiplication is `TOLERANCE` itself: within it of the answer lies all from
    0 to t = 2 `TOLERANCE`, a share of t (1 - ln t). Of `symbols` symbols, each as likely as the
    others, any answer is right once in so many.

    Examples
    --------
    >>> round(chance("multiplication", 8), 4), chance("copying", 8)
    (0.2821, 0.125)
    """
    if problem == "copying":
        return 1 / symbols
    return 2 * TOLERANCE * (1 - math.log(2 * TOLERANCE))


def chance_of_mean() -> float:
    """What the mean of all products, 1/4, gets right: the answer of least squared error.

    Examples
    --------
    >>> round(chance_of_mean(), 4)
    0.1112
    """
    low, high = 0.25 - TOLERANCE, 0.25 + TOLERANCE
    return high * (1 - math.log(high)) - low * (1 - math.log(low))


def is_better(right: int, answers: int, by_chance: float) -> bool:
    """Whether so many right answers are clearly more than chance gives.

    Exact binomial test, one-sided: chance alone would give as many with a probability below
    `LEVEL`. That is so where the lower end of the exact interval (Clopper and Pearson 1934) with
    that error lies above chance.

    Examples
    --------
    >>> is_better(30, 100, 0.125), is_better(23, 100, 0.125)
    (True, False)
    """
    from scipy import stats

    return bool(stats.binom.sf(right - 1, answers, by_chance) < LEVEL)


def reach(lengths: Sequence[int], better: Sequence[bool]) -> int:
    """The longest length up to which all are better than chance; 0 where the first is not.

    Examples
    --------
    >>> reach([10, 20, 50], [True, True, False]), reach([10, 20, 50], [False, True, True])
    (20, 0)
    """
    longest = 0
    for length, is_one in zip(lengths, better, strict=True):
        if not is_one:
            break
        longest = length
    return longest


MEMORY_LENGTHS = MemoryStudy(
    name="memory-lengths",
    title="How long a memory lasts, cell by cell",
    problems=("multiplication", "copying"),
    cells=(
        Cell("simple-rnn", "SimpleRNN", "SimpleRNN"),
        Cell("gru", "GRU", "GRU"),
        Cell("lstm", "LSTM", "LSTM"),
        Cell("lstm-chrono", "LSTM, open gates", "LSTM", carries=200),
    ),
    lengths=(10, 20, 50, 100, 200),
    size=MemorySize(
        units=32,
        batches=100,
        batch_size=64,
        learning_rate=5e-3,
        symbols=8,
        remembered=3,
        test_rows=2_000,
    ),
    epochs=10,
)
