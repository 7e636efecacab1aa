"""The process of a peer: it reads JSON lines, does what they ask and answers with one line each.

    {"do": "hello"}                                      → {"versions": {…}}
    {"do": "prepare", "plan": {…}, "arrays": PATH, "answer": PATH}
                                                         → {"first_seconds": 1.2}
    {"do": "run", "steps": 10}                           → {"seconds": 0.01}, of each step; for a
                                                           `fit` beyond its first step
    {"do": "memory", "steps": 3}                         → {"bytes": 123}, or null for none known
    anything that fails                                  → {"error": "a sentence"}

``plan`` is a description as in `benchmarks.peers.cases`; ``arrays`` an .npz with ``x``, with ``y``
(targets) or ``r`` (what an output is multiplied by), with ``lengths`` where rows are unequal, and
with the weights ``w00``, ``w01`` …, in Keras's order. What the model answers from these weights
goes to ``answer``, to be compared with that of the other peers. Ends with its input.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import math
import os
import sys
import time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

#: what is read from an .npz
Arrays = dict[str, NDArray[Any]]
#: how often a turn is tried in which more steps took no longer than one
_TRIES = 5


class Worker(Protocol):
    """What a peer can do."""

    def versions(self) -> dict[str, str]:
        """Of every package that decides its speed."""

    def wake(self) -> None:
        """Train something tiny, so that the framework has all that it loads when it is needed.

        What a model then takes in time and memory is its own.
        """

    def prepare(self, plan: dict[str, Any], arrays: Arrays) -> Arrays:
        """Build, compile, do one step; what came out, to be compared with the other peers'."""

    def run(self, steps: int) -> None:
        """Do as many steps, and come back when the last has ended."""


def weights(arrays: Arrays) -> list[NDArray[Any]]:
    """The weights among the arrays, in Keras's order."""
    return [arrays[name] for name in sorted(arrays) if name[0] == "w" and name[1:].isdigit()]


def serve(worker: Worker) -> None:
    """Answer until the input ends."""
    # Frameworks print what they like; the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    server = _Server(worker)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = server.answer(request)
        except Exception as error:  # told to the parent, whatever a framework raised
            said = (str(error).strip().splitlines() or [""])[0]
            answer = {"error": f"{type(error).__name__}: {said}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class _Server:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        #: resident bytes before the model was built
        self._before: int | None = None
        self._is_fit = False
        #: the seconds of a `fit` of one step
        self._once = math.inf

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "hello":
                self._worker.wake()
                return {"versions": self._worker.versions()}
            case "prepare":
                return self._prepare(request)
            case "run":
                return {"seconds": self._seconds(request["steps"])}
            case "memory":
                return {"bytes": self._memory(request["steps"])}
            case other:
                return {"error": f"a peer does not know what `{other}` is"}

    def _prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        with np.load(request["arrays"]) as file:
            arrays = dict(file)
        self._is_fit, self._once = request["plan"]["task"] == "fit", math.inf
        _hand_back()
        self._before = resident("VmRSS")
        start = time.perf_counter()
        found = self._worker.prepare(request["plan"], arrays)
        seconds = time.perf_counter() - start
        answer: dict[str, Any] = {name: np.asarray(value) for name, value in found.items()}
        np.savez(request["answer"], **answer)
        return {"first_seconds": seconds}

    def _seconds(self, steps: int) -> float:
        """Of each step; of `fit`, what its steps add to a `fit` of one step.

        So what an epoch costs once, however many steps it has, is not counted: an epoch of real
        training has hundreds, and here there is time for a few.
        """
        if not self._is_fit:
            return self._timed(steps) / steps
        for _ in range(_TRIES):
            # the least so far: a machine that was busy once must not make the steps shorter
            self._once = min(self._once, self._timed(1))
            more = self._timed(steps + 1) - self._once
            if more > 0:
                return more / steps
        raise RuntimeError(f"{steps} steps took no time, so busy is the machine with other things")

    def _timed(self, steps: int) -> float:
        start = time.perf_counter()
        self._worker.run(steps)
        return time.perf_counter() - start

    def _memory(self, steps: int) -> int | None:
        """By how much the most that was resident during some steps exceeds what was before."""
        _hand_back()
        if self._before is None or not _forget_peak():
            return None
        self._worker.run(steps)
        peak = resident("VmHWM")
        return None if peak is None else peak - self._before


def resident(which: str) -> int | None:
    """``VmRSS``, the bytes that are resident now, or ``VmHWM``, the most that were; of Linux only.

    Examples
    --------
    >>> (resident("VmHWM") or 1) >= (resident("VmRSS") or 0)
    True
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            found = [line.split()[1] for line in status if line.startswith(which + ":")]
    except OSError:
        return None
    return int(found[0]) * 1024 if found else None


def _hand_back() -> None:
    """Give what is free back to the system: garbage, and what compiling took for a while."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # the C library may know no such thing
        ctypes.CDLL(None).malloc_trim(0)


def _forget_peak() -> bool:
    """Have VmHWM begin anew from what is resident now (proc(5), clear_refs); whether it did."""
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as switch:
            switch.write("5")
    except OSError:
        return False
    return True
