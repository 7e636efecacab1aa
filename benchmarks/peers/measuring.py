"""The measurements: peers are made ready one after another, agree, and take turns."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.peers import arrays
from benchmarks.peers.cases import Case
from benchmarks.peers.environments import Peer, PeerError
from benchmarks.peers.process import PeerProcess

from sunhwan.runs.turns import quartiles

#: rows of an answer; both are timed
INFERENCE_BATCHES = (1, 64)
#: by how much of the largest value two answers may differ: sums of float32 in another order
TOLERANCE = 1e-3
#: steps while the memory is watched
_WATCHED = 3
#: steps of a turn, where they are not bound by the rows that there are
_MOST = 10_000
#: seconds between two turns, in which the threads of the last one go to sleep
_PAUSE = 0.02


@dataclass(frozen=True)
class Settings:
    """How long is measured.

    Parameters
    ----------
    rounds
        Turns of each peer.
    seconds
        About how long a turn of training or of a layer takes.
    cores
        Those that every peer may use; None for all.
    """

    rounds: int = 7
    seconds: float = 0.4
    cores: frozenset[int] | None = None


@dataclass
class Found:
    """What was measured of one case, by peer."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, int | None] = field(default_factory=dict)
    inference: dict[int, dict[str, list[float]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    texts: str | None = None


#: called with a sentence on what goes on
Told = Callable[[str], None]


def rotated(items: Sequence[Any], turn: int) -> list[Any]:
    """The items in order, beginning with another one each turn.

    Examples
    --------
    >>> rotated("abc", 0), rotated("abc", 4)
    (['a', 'b', 'c'], ['b', 'c', 'a'])
    """
    start = turn % len(items) if items else 0
    return [*items[start:], *items[:start]]


def steps_in(seconds: float, each: float, most: int) -> int:
    """How many steps of a turn take about so many seconds; at least one.

    Examples
    --------
    >>> steps_in(0.4, 0.1, 10), steps_in(0.4, 3.0, 10), steps_in(0.4, 1e-3, 10)
    (4, 1, 10)
    """
    return min(most, max(1, round(seconds / max(each, 1e-9))))


def disagreement(wanted: Mapping[str, Any], given: Mapping[str, Any]) -> str | None:
    """Where two peers answer differently, as a sentence; None where they agree.

    Examples
    --------
    >>> disagreement({"loss": np.array(2.0)}, {"loss": np.array(2.0001)})
    >>> disagreement({"loss": np.array(2.0)}, {"loss": np.array(2.1)})
    'its loss differs by 1.0e-01, where the largest value is 2'
    """
    for name in sorted({*wanted, *given}):
        if name not in wanted or name not in given:
            return f"only one of the two gives {name}"
        a, b = np.asarray(wanted[name]), np.asarray(given[name])
        if a.size != b.size:
            return f"its {name} has {b.size} values, not {a.size}"
        a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
        largest, apart = np.abs(a).max(), np.abs(a - b).max()
        if not apart <= TOLERANCE * max(largest, 1e-3):  # NaN is no agreement
            return f"its {name} differs by {apart:.1e}, where the largest value is {largest:.3g}"
    return None


@contextmanager
def opened(
    peers: Sequence[Peer], settings: Settings, found: Found
) -> Iterator[dict[str, PeerProcess]]:
    """A process for each peer, by its name; those that fail are in ``found.failed``."""
    with ExitStack() as stack:
        processes: dict[str, PeerProcess] = {}
        cores = None if settings.cores is None else set(settings.cores)
        for peer in peers:
            with _caught(peer.name, found):
                processes[peer.name] = stack.enter_context(PeerProcess(peer, cores))
        for name in list(processes):
            with _caught(name, found):
                found.versions[name] = processes[name].versions()
        yield {name: processes[name] for name in processes if name not in found.failed}


@contextmanager
def _caught(name: str, found: Found) -> Iterator[None]:
    try:
        yield
    except PeerError as error:
        found.failed[name] = error.message


def measure_model(case: Case, peers: Sequence[Peer], settings: Settings, told: Told) -> Found:
    """Training steps of a model, the memory that they need, and answers of one row and of many."""
    found = Found()
    wanted = [peer for peer in peers if case.is_masked or not peer.only_masked]
    with tempfile.TemporaryDirectory() as folder, opened(wanted, settings, found) as processes:
        home = Path(folder)
        trained = [p.name for p in wanted if "fit" in p.tasks and p.name in processes]
        material, found.texts = arrays.for_fit(case)
        ready = {name: processes[name] for name in trained}
        ready = _prepared(case.plan("fit"), material, ready, found, home, told)
        found.seconds = _turns(case, ready, settings, case.steps, found, told, least=2)
        for name in list(found.seconds):
            with _caught(name, found):
                found.bytes[name] = ready[name].memory(min(_WATCHED, case.steps))
        for batch in INFERENCE_BATCHES:
            material = arrays.for_inference(case, batch)
            able = {n: p for n, p in processes.items() if n not in found.failed}
            plan = case.plan("infer", batch)
            able = _prepared(plan, material, able, found, home, told)
            short = replace(settings, seconds=settings.seconds / 4)
            found.inference[batch] = _turns(case, able, short, _MOST, found, told)
    return found


def measure_layer(
    case: Case, processes: Mapping[str, PeerProcess], settings: Settings, told: Told
) -> Found:
    """A layer forward and back, in processes that are there already."""
    found = Found()
    with tempfile.TemporaryDirectory() as folder:
        plan, material = case.plan("layer"), arrays.for_layer(case)
        ready = _prepared(plan, material, processes, found, Path(folder), told)
        short = replace(settings, seconds=settings.seconds / 2)
        found.seconds = _turns(case, ready, short, _MOST, found, told)
    return found


def _prepared(
    plan: dict[str, Any],
    material: Mapping[str, Any],
    processes: Mapping[str, PeerProcess],
    found: Found,
    folder: Path,
    told: Told,
) -> dict[str, PeerProcess]:
    """Those that are ready and give the answer of the first one that is."""
    given = folder / "given.npz"
    np.savez(given, **material)
    ready: dict[str, PeerProcess] = {}
    wanted: dict[str, Any] | None = None
    judge = ""
    for name, process in processes.items():
        told(f"{plan['name']}: {name} is made ready ({plan['task']})")
        with _caught(name, found):
            seconds = process.prepare(plan, given, folder / "answer.npz")
            if plan["task"] == "fit":
                found.first[name] = seconds
            with np.load(folder / "answer.npz") as file:
                answer = dict(file)
            if wanted is None:
                wanted, judge = answer, name
            apart = disagreement(wanted, answer)
            if apart:
                raise PeerError(f"`{name}` does not compute what `{judge}` does: {apart}")
            ready[name] = process
    return ready


def _turns(
    case: Case,
    ready: Mapping[str, PeerProcess],
    settings: Settings,
    most: int,
    found: Found,
    told: Told,
    least: int = 1,
) -> dict[str, list[float]]:
    """Seconds a step, one number a round, of each peer; they take turns in rotating order.

    A turn has from `least` to `most` steps.
    """
    steps: dict[str, int] = {}
    for name, process in ready.items():
        with _caught(name, found):
            each = process.run(min(least, most))
            steps[name] = max(min(least, most), steps_in(settings.seconds, each, most))
            process.run(steps[name])
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(settings.rounds):
        told(f"{case.name}: round {turn + 1} of {settings.rounds}")
        for name in rotated([name for name in seconds if name not in found.failed], turn):
            time.sleep(_PAUSE)
            with _caught(name, found):
                seconds[name].append(ready[name].run(steps[name]))
    return {name: times for name, times in seconds.items() if name not in found.failed}


def in_milliseconds(times: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles and every round, in milliseconds.

    Examples
    --------
    >>> in_milliseconds([0.001, 0.003, 0.002])
    {'median': 2.0, 'quartiles': [1.5, 2.5], 'rounds': [1.0, 3.0, 2.0]}
    """
    first, middle, third = (_rounded(1e3 * value) for value in quartiles(times))
    rounds = [_rounded(1e3 * value) for value in times]
    return {"median": middle, "quartiles": [first, third], "rounds": rounds}


def _rounded(value: float) -> float:
    """To five digits."""
    return float(f"{value:.5g}")
