"""A peer's process, seen from the benchmark: questions and answers as lines of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.peers.environments import HOME, ROOT, Peer, PeerError, python_of, variables_of

#: seconds after which a peer that does not answer is given up
PATIENCE = 300.0


class PeerProcess:
    """A peer that is ready to be asked; ends with the ``with`` statement.

    Parameters
    ----------
    peer
        Who.
    cores
        Those that it may use; None for all that this process may use.
    """

    def __init__(self, peer: Peer, cores: set[int] | None = None) -> None:
        self.peer = peer
        self._log = HOME / "logs" / f"{peer.name}.log"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        module = f"benchmarks.peers.{peer.worker}"
        command = [str(python_of(peer)), "-m", module, *peer.arguments]
        variables = variables_of(peer)
        if cores is not None:
            variables["OMP_NUM_THREADS"] = str(len(cores))
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=variables,
                preexec_fn=None if cores is None else partial(os.sched_setaffinity, 0, cores),
                text=True,
            )
        self._send({"do": "hello"})  # all wake at the same time; `versions` waits

    def __enter__(self) -> PeerProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def versions(self) -> dict[str, str]:
        """The versions of what runs there; to be asked first, and once."""
        return self._receive()["versions"]

    def prepare(self, plan: dict[str, Any], arrays: Path, answer: Path) -> float:
        """Build, compile and do the first step; the seconds that it took."""
        return self._ask(do="prepare", plan=plan, arrays=str(arrays), answer=str(answer))[
            "first_seconds"
        ]

    def run(self, steps: int) -> float:
        """Do some steps; the seconds that each took."""
        return self._ask(do="run", steps=steps)["seconds"]

    def memory(self, steps: int) -> int | None:
        """The bytes that some steps need at most, beyond those before the model was built."""
        return self._ask(do="memory", steps=steps)["bytes"]

    def close(self) -> None:
        """End the process."""
        if self._process.stdin and not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:  # in the middle of something
            self._process.kill()
            self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def _ask(self, **request: Any) -> dict[str, Any]:
        self._send(request)
        return self._receive()

    def _send(self, request: dict[str, Any]) -> None:
        try:
            if self._process.stdin:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self) -> dict[str, Any]:
        stdout = self._process.stdout
        if stdout and not select.select([stdout], [], [], PATIENCE)[0]:
            self._process.kill()
            raise PeerError(f"`{self.peer.name}` did not answer within {PATIENCE:.0f} seconds")
        line = stdout.readline() if stdout else ""
        if not line:
            raise self._ended()
        answer = json.loads(line)
        if "error" in answer:
            raise PeerError(f"`{self.peer.name}` failed: {answer['error']}")
        return answer

    def _ended(self) -> PeerError:
        self._process.wait()
        said = self._log.read_text("utf-8", errors="replace").strip().splitlines()
        last = said[-1] if said else "it said nothing"
        return PeerError(
            f"`{self.peer.name}` ended with exit code {self._process.returncode}: {last}",
            hint=f"all that it said is in {os.path.relpath(self._log)}",
        )
