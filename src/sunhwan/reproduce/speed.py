"""How long a training step takes with our layers and with Keras's own, on the tutorials' models.

Both sides run whole `fit` steps (data in, forward, backward, optimizer) of the same model, each in
one process of its own that is built and compiled beforehand. The two take turns, round by round,
so that whatever else the machine does meets both alike; medians and quartiles over the rounds.
"""

from __future__ import annotations

import difflib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from sunhwan.errors import TrainingError, UsageError
from sunhwan.reproduce.stopwatch import TIMED, Timed, serve

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
        times = self.seconds[side]
        if len(times) == 1:
            return (times[0],) * 3
        first, middle, third = quantiles(times, n=4, method="inclusive")
        return first, middle, third

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


def choose(names: Sequence[str]) -> list[Timed]:
    """The models of these names, each once; ``all`` stands for every one.

    Raises
    ------
    UsageError
        There is no model of a name; the hint names the nearest, or all.

    Examples
    --------
    >>> [timed.steps for timed in choose(["reuters-gru"])]
    [5]
    """
    known = {timed.name: timed for timed in TIMED}
    for name in names:
        if name not in known and name != "all":
            near = difflib.get_close_matches(name, [*known, "all"], n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else "the names are " + ", ".join(known)
            raise UsageError(f"there is no model called `{name}` to time", hint=hint)
    return list(TIMED) if "all" in names else [known[name] for name in dict.fromkeys(names)]


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
    with _side(timed, "sunhwan") as ours, _side(timed, "stock") as stock:
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


@contextmanager
def _side(timed: Timed, side: str) -> Iterator[Callable[[int | None], Any]]:
    """A process for one side: a function that asks it to take steps, or waits till it is ready."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, timed, side), daemon=True)
    with _environment("KERAS_BACKEND", "jax"):
        process.start()
    there.close()

    def ask(steps: int | None) -> Any:
        if steps is not None:
            here.send(steps)
        try:
            answer = here.recv()
        except EOFError:
            process.join()
            raise TrainingError(
                f"the process that times `{timed.name}` ({side}) must run to the end, "
                f"but ended with exit code {process.exitcode}"
            ) from None
        if isinstance(answer, Exception):
            raise TrainingError(f"`{timed.name}` ({side}) failed: {answer}") from answer
        return answer

    try:
        yield ask
    finally:
        here.close()
        process.join(timeout=10)
        if process.is_alive():  # in the middle of a round
            process.terminate()


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for the processes started meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
