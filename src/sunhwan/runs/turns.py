"""Processes that take turns, so that whatever else the machine does meets what is timed alike."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from sunhwan.errors import SunhwanError, TrainingError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

#: what a process does at its turn, and what it says when it is ready
Prepared = tuple[Callable[[Any], Any], Any]


@contextmanager
def process(
    name: str, side: str, prepare: Callable[..., Prepared], *given: Any
) -> Iterator[Callable[[Any], Any]]:
    """A process with Keras on JAX, which prepares itself and then answers whenever it is asked.

    Parameters
    ----------
    name, side
        Of what is timed; for messages.
    prepare, given
        A function of a module, and its arguments; called in the process.

    Yields
    ------
    callable
        Called with None it waits until the process is ready, for what `prepare` said; with anything
        else it gives what the function of `prepare` answers to that. It raises a TrainingError
        where the process fails or ends early.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    started = context.Process(target=_serve, args=(there, prepare, given), daemon=True)
    with _environment("KERAS_BACKEND", "jax"):
        started.start()
    there.close()

    def ask(question: Any) -> Any:
        if question is not None:
            here.send(question)
        try:
            answer = here.recv()
        except EOFError:
            started.join()
            raise TrainingError(
                f"the process that times `{name}` ({side}) must run to the end, "
                f"but ended with exit code {started.exitcode}"
            ) from None
        if isinstance(answer, Exception):
            raise TrainingError(f"`{name}` ({side}) failed: {answer}") from answer
        return answer

    try:
        yield ask
    finally:
        here.close()
        started.join(timeout=10)
        if started.is_alive():  # in the middle of a turn
            started.terminate()


def _serve(pipe: Connection, prepare: Callable[..., Prepared], given: Sequence[Any]) -> None:
    """Prepare, say so, and answer until the parent closes its end of the pipe."""
    # Ctrl-C goes to the whole group; the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        act, first = prepare(*given)
        pipe.send(first)
        while True:
            pipe.send(act(pipe.recv()))
    except EOFError:
        return
    except (SunhwanError, RuntimeError, ValueError, MemoryError) as error:
        pipe.send(error)


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


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile.

    Examples
    --------
    >>> quartiles([3.0, 1.0, 2.0, 4.0, 5.0]), quartiles([1.0])
    ((2.0, 3.0, 4.0), (1.0, 1.0, 1.0))
    """
    if len(values) == 1:
        return (values[0],) * 3
    first, middle, third = quantiles(values, n=4, method="inclusive")
    return first, middle, third
