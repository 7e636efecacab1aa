"""What the machine can do at most, measured by a program that is compiled for it (`peak.cc`)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import HOME

_SOURCE = Path(__file__).parent / "peak.cc"
_COMPILERS = ("c++", "g++", "clang++")
_OPTIONS = ("-O3", "-march=native", "-std=c++17", "-pthread")


@dataclass(frozen=True)
class Peak:
    """Rates of all cores together.

    Parameters
    ----------
    gflops
        Products and sums of float32 in registers, 10⁹ a second; a fused one counts as two.
    copied
        Gigabytes a second that a copy of memory reads and writes.
    threads
        That it was measured with.
    compiler
        The first line of its version.
    """

    gflops: float
    copied: float
    threads: int
    compiler: str

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def measure(cores: frozenset[int] | None = None) -> Peak | str:
    """The peak of all cores, or of `cores`; or why it cannot be told, as a sentence."""
    found = os.environ.get("CXX") or next(filter(shutil.which, _COMPILERS), None)
    if found is None:
        return "no peak: there is no C++ compiler"
    program = HOME / "peak"
    program.parent.mkdir(parents=True, exist_ok=True)
    built = _run([found, *_OPTIONS, str(_SOURCE), "-o", str(program)])
    if built.returncode:
        return f"no peak: {found} could not compile {_SOURCE.name}: {_last(built.stderr)}"
    threads = len(cores or allowed())
    only_there = partial(os.sched_setaffinity, 0, cores) if cores else None
    measured = _run([str(program), str(threads)], only_there)
    if measured.returncode:
        return f"no peak: its program failed: {_last(measured.stderr)}"
    flops, bytes_ = map(float, measured.stdout.split())
    compiler = _run([found, "--version"]).stdout.splitlines()[0]
    return Peak(flops, bytes_, threads, compiler)


def allowed() -> frozenset[int]:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def _run(
    command: list[str], first: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, whose process begins with calling `first`."""
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=first)


def _last(said: str) -> str:
    return (said.strip().splitlines() or ["it said nothing"])[-1]
