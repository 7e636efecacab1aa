"""Which number of a model's answer is asked about: which output, and at which step."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError
from sunhwan.insight.parts import Called, Part, call, weights_of
from sunhwan.insight.timeline import timeline_of

#: answers that are asked about together
_ANSWERS = 8


def answers_at_steps(called: Called, part: Part) -> bool:
    """Whether a model answers at each step that a part reads: ``[B, T, ...]``."""
    return called.output.ndim >= 3 and called.output.shape[1] == _steps_of(called, part)


def last_step(called: Called, part: Part) -> Any:
    """``int[B]``: where the answer stands that comes behind the last live step a part reads.

    Of a direction of a bidirectional layer that reads backwards, that is the first live step. A
    layer alone that reads backwards gives its steps in the order in which it read them.
    """
    live, steps = called.live[id(part.layer)], _steps_of(called, part)
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
    inputs: frozenset[int]  #: the numbers of the input arrays that are read along these steps
    at_steps: bool  #: whether the model answers at each step
    steps: int  #: of how many steps that is
    last: NDArray[np.int64]  #: ``int[B]``: where the answer behind the last live step stands
    asked: NDArray[np.int64]  #: ``int[B, N]``: where answers stand that depend on all that is read


def reading(model: Any, inputs: Any) -> Reading:
    """How a model reads a batch.

    A bidirectional layer counts as one that reads forwards: its answer at the last live step is
    asked about. A model with a second time axis, such as a decoder's, answers at its steps: all of
    its answers depend on what is read along the first, and up to 8 are asked about.
    """
    timeline = timeline_of(model, inputs)
    first, last = timeline.first, timeline.last
    found: dict[str, bool] = {}

    def read(weights: Any, given: Any) -> Any:
        called = call(model, given, weights=weights)
        found["at_steps"] = answers_at_steps(called, last)
        return called.live[id(first.layer)], called.live[id(last.layer)], last_step(called, last)

    # what is not asked for is not computed, once this is compiled: no step of any layer
    live, answered, end = jax.device_get(jax.jit(read)(weights_of(model), inputs))
    end = end.astype(np.int64)
    is_apart = found["at_steps"] and not timeline.is_alike(first, last)
    return Reading(
        live,
        first.goes_back,
        timeline.inputs_along(first),
        found["at_steps"],
        timeline.steps[last.name],
        end,
        _spread(answered) if is_apart else end[:, None],
    )


def _spread(live: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``int[B, N]``: up to 8 live steps of each row, evenly spread, the last one among them."""
    count = min(_ANSWERS, max(int(live.sum(axis=1).max()), 1))
    places = np.zeros((len(live), count), np.int64)
    for row, of_row in zip(places, live, strict=True):
        steps = np.flatnonzero(of_row)
        if len(steps):
            row[:] = steps[np.linspace(len(steps) - 1, 0, count).round().astype(int)]
    return places[:, ::-1]


def answers(output: Any, steps: Any) -> Any:
    """``[B, K]`` of a model's output, at a step of each row if it answers at each step.

    Parameters
    ----------
    steps
        ``int[B]``; or ``int[B, N]``, which gives ``[B, N, K]``; or None if it answers once.

    Examples
    --------
    >>> answers(np.arange(12).reshape(2, 3, 2), np.array([0, 2])).tolist()
    [[0, 1], [10, 11]]
    """
    if steps is None:
        return output.reshape(len(output), -1)
    rows = np.arange(len(output)).reshape(-1, *(1,) * (steps.ndim - 1))
    return output[rows, steps].reshape(*steps.shape, -1)
