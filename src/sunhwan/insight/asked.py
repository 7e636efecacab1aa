"""Which number of a model's answer is asked about: which output, and at which step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError
from sunhwan.insight.parts import Called, Part, call, weights_of


def answers_at_steps(called: Called, part: Part) -> bool:
    """Whether a model answers at each step that a part reads: ``[B, T, ...]``."""
    return called.output.ndim >= 3 and called.output.shape[1] == _steps_of(called, part)


def last_step(called: Called, part: Part) -> Any:
    """``int[B]``: where the answer stands that comes behind the last live step a part reads.

    Of a direction of a bidirectional layer that reads backwards, that is the first live step. A
    layer alone that reads backwards gives its steps in the order in which it read them.
    """
    live, steps = called.masks[id(part.layer)], _steps_of(called, part)
    shape = (called.output.shape[0], steps)
    live = jnp.ones(shape, bool) if live is None else jnp.broadcast_to(live, shape)
    if not part.goes_back:
        return jnp.maximum(jnp.where(live, jnp.arange(steps), -1).max(axis=1), 0)
    first = jnp.where(live, jnp.arange(steps), steps - 1).min(axis=1)
    return first if part.paired else steps - 1 - first


def _steps_of(called: Called, part: Part) -> int:
    return int(called.traces[id(part.layer)].states[0].shape[1])


def number_of(output: int, count: int) -> int:
    """The number of an output from 0, of one that may be counted from the end.

    Raises
    ------
    UsageError
        There is no such output.

    Examples
    --------
    >>> number_of(-1, 3)
    2
    """
    if not -count <= output < count:
        raise UsageError(f"the model has {count} outputs, received number {output}")
    return int(output) % count


class Reading(NamedTuple):
    """How a model reads a batch."""

    live: NDArray[np.bool_]  #: ``bool[B, T]``: the steps that the first recurrent part reads
    goes_back: bool  #: whether that part reads from the last to the first
    at_steps: bool  #: whether the model answers at each step
    last: NDArray[np.int64]  #: ``int[B]``: where the answer behind the last live step stands


def reading(model: Any, inputs: Any, parts: Sequence[Part]) -> Reading:
    """How a model reads a batch, of its recurrent parts.

    A bidirectional layer counts as one that reads forwards: its answer at the last live step is
    asked about.
    """
    ahead = [part for part in parts if not (part.paired and part.goes_back)] or list(parts)
    first, asked = ahead[0], ahead[-1]
    found: dict[str, bool] = {}

    def read(weights: Any, given: Any) -> Any:
        called = call(model, given, weights=weights)
        found["at_steps"] = answers_at_steps(called, asked)
        mask = called.masks[id(first.layer)]
        shape = called.traces[id(first.layer)].states[0].shape[:2]
        return jnp.ones(shape, bool) if mask is None else mask, last_step(called, asked)

    # what is not asked for is not computed, once this is compiled: no step of any layer
    live, last = jax.device_get(jax.jit(read)(weights_of(model), inputs))
    return Reading(live, first.goes_back, found["at_steps"], last.astype(np.int64))


def answers(output: Any, steps: Any) -> Any:
    """``[B, K]`` of a model's output, at a step of each row if it answers at each step.

    Parameters
    ----------
    steps
        ``int[B]``, or None if it answers once.

    Examples
    --------
    >>> answers(np.arange(12).reshape(2, 3, 2), np.array([0, 2])).tolist()
    [[0, 1], [10, 11]]
    """
    rows = output if steps is None else output[np.arange(len(output)), steps]
    return rows.reshape(len(rows), -1)
