"""Beam search: the likeliest sequences, found by going on with the best few of each step.

For every source the search keeps `width` beginnings. In each step all their continuations are
ranked by log-probability; those among the first `width` that end are finished, and the best `width`
others go on. A source is done when `width` hypotheses are finished. With a width of 1 this is
greedy decoding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.errors import ShapeError, SunhwanError, UsageError
from sunhwan.tasks.stepping import (
    State,
    Stepper,
    advance,
    allowed,
    check_count,
    check_ids,
    log_probabilities,
    padded_length,
    vocabulary_of,
)

#: the largest exponent of a length penalty, beyond which float32 may not hold it
_STRONGEST = 10.0


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that a search found.

    Attributes
    ----------
    ids
        What was written, without the end.
    log_probability
        Of the ids, and of the end where there is one.
    score
        The log-probability over the length penalty; the higher the better.
    finished
        False where the sequence was cut off for lack of steps.
    """

    ids: tuple[int, ...]
    log_probability: float
    score: float
    finished: bool


class _Beams(NamedTuple):
    """All that a search carries from step to step, for N sources and W beginnings or endings."""

    number: jax.Array  #: ids written so far
    state: State  #: of the network, N * W rows
    last: jax.Array  #: int32[N, W]: what the next step reads
    alive: jax.Array  #: float32[N, W]: log-probabilities of what goes on, the best first
    written: jax.Array  #: int32[N, W, R]: its ids
    scores: jax.Array  #: float32[N, W]: of what is finished, the best first; -inf where none is
    finished: jax.Array  #: float32[N, W]: its log-probabilities
    texts: jax.Array  #: int32[N, W, R]: its ids
    lengths: jax.Array  #: int32[N, W]: how many they are
    ends: jax.Array  #: int32[N]: how many were ever finished

    def done(self) -> jax.Array:
        """Which sources are: ``bool[N]``."""
        nothing_left = ~jnp.isfinite(jnp.max(self.alive, axis=1))
        return (self.ends >= self.alive.shape[1]) | nothing_left


def beam_search(
    stepper: Stepper,
    state: State,
    first: ArrayLike,
    *,
    width: int,
    max_steps: int,
    end: int,
    length_penalty: float = 0.6,
    minimum: int = 0,
    forbidden: Sequence[int] = (),
) -> list[list[Hypothesis]]:
    """The best hypotheses for each of N sources, those that are finished first, by score.

    The score is log P / ((5 + L) / 6) ** length_penalty, where the length L counts the end too
    (Wu et al. 2016, equation 14, without the coverage of the source). The hypotheses of a source
    are the same, to the last bit if the stepper's rows are, whatever the other sources.

    Parameters
    ----------
    stepper
        The network.
    state
        What it knows of the sources, with N rows on the first axis of every leaf. In the search
        each becomes `width` rows; a leaf that a step returns as it came is never re-ordered.
    first
        ``int32[N]``: the id that the first step reads.
    width
        Beginnings that are kept for each source.
    max_steps
        Most ids of a hypothesis, its end included.
    end
        The id that ends a hypothesis.
    length_penalty
        0 ranks by log-probability, under which short hypotheses win; larger favours longer ones.
    minimum
        Fewest ids before the end.
    forbidden
        Ids that are never written. Log-probabilities stay those of the network.

    Returns
    -------
    list
        For each source up to `width` hypotheses. Where fewer than that were finished within
        `max_steps`, the best that were cut off follow.

    Raises
    ------
    ShapeError
        `first` or the state have other shapes.
    UsageError
        An option or id out of range.
    SunhwanError
        The network's logits are not numbers; names the source.

    Examples
    --------
    Greedy decoding would write 1, since 1 is the likeliest first id, but 0 2 is likelier than 1 2.

    >>> table = jnp.log(jnp.array([[0.05, 0.05, 0.9], [0.3, 0.3, 0.4], [0.45, 0.55, 1e-9]]))
    >>> class Chain:
    ...     def step(self, state, ids):
    ...         return state, table[ids]
    >>> found = beam_search(Chain(), (), [2], width=2, max_steps=4, end=2, length_penalty=0)
    >>> [(best.ids, np.exp(best.log_probability).round(3).item()) for best in found[0]]
    [((0,), 0.405), ((1,), 0.22)]
    """
    check_count("width", width)
    check_count("max_steps", max_steps)
    _check_options(max_steps, length_penalty, minimum)
    ids = np.asarray(first)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or not ids.size:
        raise ShapeError(
            f"`first` must be integers of shape [N], received {ids.dtype} of shape {ids.shape}"
        )
    size = vocabulary_of(stepper, state, len(ids))
    check_ids(ids, size, "first")
    check_ids(np.array([end]), size, "end")
    allowed(size, forbidden)
    room = padded_length(max_steps)
    # on the host, so that no penalty depends on the shapes of what is compiled
    penalties = (((5 + np.arange(room + 1)) / 6) ** length_penalty).astype(np.float32)
    search = _search(stepper, width, room, int(end), tuple(forbidden))
    limits = np.int32(max_steps), np.int32(minimum)
    found = jax.device_get(search(state, ids.astype(np.int32), penalties, *limits))
    return _hypotheses(found, penalties)


def _check_options(max_steps: int, length_penalty: float, minimum: int) -> None:
    if not 0 <= length_penalty <= _STRONGEST:
        raise UsageError(
            f"`length_penalty` must be from 0 to {_STRONGEST:g}, received {length_penalty}"
        )
    if not 0 <= minimum < max_steps:
        raise UsageError(
            f"`minimum` must be from 0 to {max_steps - 1}, one less than `max_steps`, received "
            f"{minimum}"
        )


# kept for few, because what is compiled holds the weights
@functools.lru_cache(maxsize=4)
def _search(
    stepper: Stepper, width: int, room: int, end: int, forbidden: tuple[int, ...]
) -> Callable[..., _Beams]:
    """A compiled search, which returns the last beams without the state."""

    def run(
        state: State, first: jax.Array, penalties: jax.Array, max_steps: Any, minimum: Any
    ) -> _Beams:
        beams = _begin(state, first, width, room)
        fixed = _fixed_leaves(stepper, beams)

        def body(beams: _Beams) -> _Beams:
            state, logits = advance(stepper, beams.state, beams.last.reshape(-1))
            odds = log_probabilities(logits).reshape(len(first), width, -1)
            odds = jnp.where(allowed(odds.shape[-1], forbidden), odds, -jnp.inf)
            is_early = beams.number < minimum
            odds = odds.at[:, :, end].set(jnp.where(is_early, -jnp.inf, odds[:, :, end]))
            values, beam, ids = _best(beams.alive[:, :, None] + odds)
            after = _finish(beams, values, beam, ids == end, penalties)
            return _go_on(after, state, fixed, (values, beam, ids), ids == end)

        def goes_on(beams: _Beams) -> jax.Array:
            return (beams.number < max_steps) & ~jnp.all(beams.done())

        return jax.lax.while_loop(goes_on, body, beams)._replace(state=None)

    return jax.jit(run)


def _begin(state: State, first: jax.Array, width: int, room: int) -> _Beams:
    shape = (len(first), width)
    none = jnp.full(shape, -jnp.inf, jnp.float32)
    return _Beams(
        number=jnp.int32(0),
        state=jax.tree.map(lambda leaf: jnp.repeat(jnp.asarray(leaf), width, axis=0), state),
        last=jnp.repeat(first[:, None], width, axis=1),
        # all beginnings are still the same one, which must count once
        alive=none.at[:, 0].set(0),
        written=jnp.zeros((*shape, room), jnp.int32),
        scores=none,
        finished=none,
        texts=jnp.zeros((*shape, room), jnp.int32),
        lengths=jnp.zeros(shape, jnp.int32),
        ends=jnp.zeros(len(first), jnp.int32),
    )


def _fixed_leaves(stepper: Stepper, beams: _Beams) -> list[bool]:
    """Which leaves of the state a step returns as they came, such as what attention reads.

    The rows of one source are equal in them and stay so: to re-order them would only cost time.
    """
    traced = jax.make_jaxpr(stepper.step)(beams.state, beams.last.reshape(-1)).jaxpr
    pairs = zip(traced.invars[:-1], traced.outvars[:-1], strict=True)
    return [before is after for before, after in pairs]


def _best(odds: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The best 2 W of the W * V continuations of each source: log-probability, beam and id.

    Of 2 W at most W end, so that W are left to go on.
    """
    sources, width, size = odds.shape
    values, places = jax.lax.top_k(odds.reshape(sources, width * size), 2 * width)
    return values, places // size, places % size


def _finish(
    beams: _Beams, values: jax.Array, beam: jax.Array, is_end: jax.Array, penalties: jax.Array
) -> _Beams:
    """The beams with the continuations that end now among what is finished."""
    width, done = beams.alive.shape[1], beams.done()[:, None]
    new = is_end & (jnp.arange(2 * width) < width) & jnp.isfinite(values) & ~done
    scores = jnp.where(new, values / penalties[beams.number + 1], -jnp.inf)
    scores, places = jax.lax.top_k(jnp.concatenate([beams.scores, scores], axis=1), width)

    def merged(old: jax.Array, fresh: jax.Array) -> jax.Array:
        return _rows(jnp.concatenate([old, fresh], axis=1), places)

    return beams._replace(
        scores=scores,
        finished=merged(beams.finished, values),
        texts=merged(beams.texts, _rows(beams.written, beam)),
        lengths=merged(beams.lengths, jnp.full_like(beam, beams.number)),
        ends=beams.ends + jnp.sum(new, axis=1, dtype=jnp.int32),
    )


def _go_on(
    beams: _Beams,
    state: State,
    fixed: list[bool],
    best: tuple[jax.Array, jax.Array, jax.Array],
    is_end: jax.Array,
) -> _Beams:
    """The beams with the best continuations that do not end, and their states."""
    sources, width = beams.alive.shape
    values, places = jax.lax.top_k(jnp.where(is_end, -jnp.inf, best[0]), width)
    beam, ids = _rows(best[1], places), _rows(best[2], places)
    rows = (jnp.arange(sources)[:, None] * width + beam).reshape(-1)
    leaves, tree = jax.tree.flatten(state)
    leaves = [leaf if same else leaf[rows] for leaf, same in zip(leaves, fixed, strict=True)]
    return beams._replace(
        number=beams.number + 1,
        state=jax.tree.unflatten(tree, leaves),
        last=ids,
        # a source that is done stays so, while others go on
        alive=jnp.where(beams.done()[:, None], beams.alive, values),
        written=_rows(beams.written, beam).at[:, :, beams.number].set(ids),
    )


def _rows(values: jax.Array, places: jax.Array) -> jax.Array:
    """For each source the rows of its own at ``int32[N, W]`` places."""
    return values[jnp.arange(len(values))[:, None], places]


def _hypotheses(beams: _Beams, penalties: NDArray[np.float32]) -> list[list[Hypothesis]]:
    found, cut_off = [], penalties[beams.number]
    for source, alive in enumerate(beams.alive):
        if np.isnan(alive).any():
            raise SunhwanError(
                f"the logits of the network must be finite, received others for source "
                f"{source + 1} of {len(beams.alive)}",
                hint="its weights may be damaged: train it anew, with a lower learning rate",
            )
        parts = (beams.texts, beams.lengths, beams.finished, beams.scores)
        best = [
            Hypothesis(_text(ids, length), float(log_probability), float(score), True)
            for ids, length, log_probability, score in zip(*(p[source] for p in parts), strict=True)
            if np.isfinite(score)
        ]
        best += [
            Hypothesis(_text(ids, beams.number), float(value), float(value / cut_off), False)
            for ids, value in zip(beams.written[source], alive, strict=True)
            if np.isfinite(value)
        ]
        found.append(best[: len(alive)])
    return found


def _text(ids: Any, length: Any) -> tuple[int, ...]:
    return tuple(ids[: int(length)].tolist())
