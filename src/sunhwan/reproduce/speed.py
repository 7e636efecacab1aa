"""How long a training step takes with our layers and with Keras's own, on the tutorials' models.

Both sides run whole `fit` steps (data in, forward, backward, optimizer) of the same model, each in
one process of its own that is built and compiled beforehand. The two take turns, round by round,
so that whatever else the machine does meets both alike; medians and quartiles over the rounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from sunhwan.reproduce.stopwatch import Timed, prepare
from sunhwan.runs import turns

#: ours, and Keras's own layers; both on JAX
SIDES = ("sunhwan", "stock")


@dataclass(frozen=True)
class Speed:
    """The times of one model.

    Parameters
    ----------
    name
        Of the model.
    steps
        `fit` steps in a round.
    seconds
        For each of `SIDES`, seconds a step, one number a round.
    paths
        What `sunhwan.explain` says of our layers.
    """

    name: str
    steps: int
    seconds: dict[str, list[float]]
    paths: list[str]

    @property
    def ratio(self) -> float:
        """How many times faster ours is: the ratio of the medians."""
        return median(self.seconds["stock"]) / median(self.seconds["sunhwan"])

    def quartiles(self, side: str) -> tuple[float, float, float]:
        """First quartile, median and third quartile of a side, in seconds a step.

        Examples
        --------
        >>> times = {"stock": [3.0, 1.0, 2.0, 4.0, 5.0], "sunhwan": [1.0]}
        >>> Speed("m", 1, times, []).quartiles("stock")
        (2.0, 3.0, 4.0)
        """
        return turns.quartiles(self.seconds[side])

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values, times in milliseconds."""
        sides: dict[str, Any] = {}
        for side in SIDES:
            first, middle, third = (round(1e3 * value, 4) for value in self.quartiles(side))
            times = [round(1e3 * value, 4) for value in self.seconds[side]]
            sides[side] = {"median": middle, "quartiles": [first, third], "rounds": times}
        return {
            "model": self.name,
            "steps_per_round": self.steps,
            "milliseconds_per_step": sides,
            "ratio": round(self.ratio, 3),
            "paths": self.paths,
        }


def measure(
    timed: Timed, rounds: int, *, steps: int | None = None, on_round: Callable[[int], None]
) -> Speed:
    """Time both sides of one model.

    Parameters
    ----------
    timed
        The model.
    rounds
        How often each side takes its turn.
    steps
        Steps in a round, in place of `Timed.steps`; no more than those.
    on_round
        Called with the number of rounds done.

    Raises
    ------
    TrainingError
        If a side fails, or its process ends early.
    """
    steps = min(steps or timed.steps, timed.steps)
    processes = [turns.process(timed.name, side, prepare, timed, side) for side in SIDES]
    with processes[0] as ours, processes[1] as stock:
        # both build and compile at the same time; only rounds are timed
        paths, _ = ours(None), stock(None)
        ask = {"sunhwan": ours, "stock": stock}
        seconds: dict[str, list[float]] = {side: [] for side in SIDES}
        for done in range(rounds):
            # who goes first alternates too
            for side in SIDES if done % 2 == 0 else reversed(SIDES):
                seconds[side].append(ask[side](steps))
            on_round(done + 1)
    return Speed(timed.name, steps, seconds, paths)
