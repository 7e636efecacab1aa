"""Writing by chance: the next id is drawn from what the network holds for likely, step by step."""

from __future__ import annotations

import functools
import math
import numbers
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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
    vocabulary_of,
)

#: other than 0; far enough from where float32 runs out
_TEMPERATURES = (1e-6, 1e6)
#: what a row without an end compares with; no id is negative
_NEVER = -1
#: ids of a row, which steps are counted in 32 bits for
_MOST = 10**9


@dataclass(frozen=True)
class SamplingOptions:
    """How an id is drawn; the parts work in this order.

    Attributes
    ----------
    temperature
        What logits are divided by: below 1 likely ids become likelier, and 0 always takes the
        likeliest (the first of equals).
    top_k
        Draw among so many of the likeliest ids (Fan, Lewis and Dauphin 2018, section 5.1).
    top_p
        Draw among the fewest of the likeliest ids whose probabilities, of those that `top_k` left,
        sum to at least this (nucleus sampling: Holtzman et al. 2020, equation 2).

    Raises
    ------
    UsageError
        A value out of range; names the option.

    Examples
    --------
    >>> SamplingOptions(temperature=0.8, top_p=0.95)
    SamplingOptions(temperature=0.8, top_k=None, top_p=0.95)
    >>> SamplingOptions(top_p=95)
    Traceback (most recent call last):
    sunhwan.errors.UsageError: `top_p` must be above 0 and at most 1, received 95
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        least, most = _TEMPERATURES
        value = self.temperature
        if not _is_number(value) or not (value == 0 or least <= value <= most):
            raise UsageError(
                f"`temperature` must be 0, for always the likeliest, or from {least:g} to "
                f"{most:,.0f}, received {value!r}"
            )
        if self.top_k is not None:
            check_count("top_k", self.top_k)
        if self.top_p is not None and not (_is_number(self.top_p) and 0 < self.top_p <= 1):
            raise UsageError(f"`top_p` must be above 0 and at most 1, received {self.top_p!r}")


def _is_number(value: Any) -> bool:
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def choose(
    logits: ArrayLike,
    key: jax.Array,
    options: SamplingOptions | None = None,
    forbidden: Sequence[int] = (),
) -> jax.Array:
    """Draw one id for each row; JAX can trace it.

    Parameters
    ----------
    logits
        ``float32[N, V]``.
    key
        From ``jax.random.key``. A row draws with the key and its number, so it gets the same id
        whatever the other rows are, or how many.
    options
        Without them, ids come with the probabilities of the network.
    forbidden
        Ids that are never drawn; the others share their probability.

    Returns
    -------
    jax.Array
        ``int32[N]``.

    Raises
    ------
    ShapeError
        Logits of another rank.
    UsageError
        A forbidden id does not exist, or none is left.

    Examples
    --------
    >>> logits = jnp.log(jnp.array([[0.1, 0.6, 0.3], [0.2, 0.3, 0.5]]))
    >>> print(choose(logits, jax.random.key(1), SamplingOptions(temperature=0)))
    [1 2]
    >>> print(choose(logits, jax.random.key(1), SamplingOptions(top_k=1), forbidden=[1]))
    [2 2]
    """
    options = options or SamplingOptions()
    scores = jnp.asarray(logits, jnp.float32)
    if scores.ndim != 2:
        raise ShapeError(f"`logits` must have shape [N, V], received shape {scores.shape}")
    rows, size = scores.shape
    scores = jnp.where(allowed(size, forbidden), scores, -jnp.inf)
    if options.temperature == 0:
        return jnp.argmax(scores, axis=-1).astype(jnp.int32)
    # the largest becomes 0 first, since divided by a small number the others may well overflow
    scores = (scores - jnp.max(scores, axis=-1, keepdims=True)) / options.temperature
    scores = _likeliest(scores, options)

    # the largest of log-probability plus Gumbel noise is a draw from the probabilities
    def noise(row: jax.Array) -> jax.Array:
        return jax.random.gumbel(jax.random.fold_in(key, row), (size,), jnp.float32)

    return jnp.argmax(scores + jax.vmap(noise)(jnp.arange(rows)), axis=-1).astype(jnp.int32)


def _likeliest(scores: jax.Array, options: SamplingOptions) -> jax.Array:
    """The scores, minus infinity where `top_k` or `top_p` exclude an id."""
    # all of the probability is all ids, also where a rounded sum reaches 1 before the last one
    part = None if options.top_p == 1 else options.top_p
    if options.top_k is None and part is None:
        return scores
    rows, size = scores.shape
    values, places = jax.lax.top_k(scores, min(options.top_k or size, size))
    if part is not None:
        shares = jnp.exp(log_probabilities(values))
        likelier = jnp.cumsum(shares, axis=-1) - shares
        values = jnp.where(likelier < part, values, -jnp.inf)
    excluded = jnp.full_like(scores, -jnp.inf)
    return excluded.at[jnp.arange(rows)[:, None], places].set(values)


class Sampler:
    """Writes rows of ids, and hands them out in chunks while it writes.

    A chunk is one compiled loop with the states carried through it. The same seed gives the same
    ids: they depend neither on how chunks are cut nor on the other rows, only on seed, number of
    the row, number of the step and what the row has read.

    Parameters
    ----------
    stepper
        The network.
    options
        How ids are drawn; without them with the probabilities of the network.
    seed
        Of all that is drawn.
    forbidden
        Ids that are never written, such as padding and the unknown token.
    end
        The id after which a row is finished; without it none is.
    chunk
        Steps of a chunk. The first one is a single step, so that writing begins at once.

    Raises
    ------
    UsageError
        A seed or chunk out of range.

    Examples
    --------
    After reading 0 the ids 1 2 3 4 follow, and 4 is the end.

    >>> class Count:
    ...     def start(self, rows):
    ...         return ()
    ...
    ...     def step(self, state, ids):
    ...         return state, 99.0 * jax.nn.one_hot(ids + 1, 5)
    >>> sampler = Sampler(Count(), seed=7, end=4, chunk=2)
    >>> state, logits = Count().step((), jnp.array([0, 2]))
    >>> for ids in sampler.write(state, logits, length=20):
    ...     print(ids.tolist())
    [[1], [3]]
    [[2, 3], [4, 4]]
    [[4], [4]]
    """

    def __init__(
        self,
        stepper: Stepper,
        options: SamplingOptions | None = None,
        seed: int = 1,
        forbidden: Sequence[int] = (),
        *,
        end: int | None = None,
        chunk: int = 16,
    ) -> None:
        check_count("seed", seed, 0)
        if seed >= 2**31:
            raise UsageError(f"`seed` must be from 0 to {2**31 - 1}, received {seed}")
        check_count("chunk", chunk)
        self._stepper = stepper
        self._forbidden = tuple(forbidden)
        self._end = _NEVER if end is None else end
        self._loop = _loop(stepper, options or SamplingOptions(), self._forbidden, self._end, chunk)
        # named, so that nobody's setting of JAX's generator changes what a seed gives
        self._key = jax.random.key(seed, impl="threefry2x32")
        self._tokens = 0
        self._seconds = 0.0

    @property
    def tokens_per_second(self) -> float:
        """Ids written in a second, in all that this sampler has written; 0 before that.

        Ends count, and what fills up a finished row does not; nor does the time that compiling
        takes, or whoever is handed the chunks.
        """
        return self._tokens / self._seconds if self._seconds else 0.0

    def write(self, state: State, logits: ArrayLike, length: int) -> Iterator[NDArray[np.int32]]:
        """Yield what is written, ``int32[N, C]`` for C steps, until `length` or all have ended.

        Parameters
        ----------
        state, logits
            After what came before, as `sunhwan.tasks.stepping.read` returns them.
        length
            Most ids of a row, its end included. Behind its end a row is filled up with ends.

        Raises
        ------
        ShapeError, UsageError
            States, logits, length and ids of this sampler do not fit together.
        SunhwanError
            A logit is not a finite number; names the row and the step.
        """
        logits = jnp.asarray(logits, jnp.float32)
        self._check(state, logits, length)
        return self._chunks(state, logits, length)

    def _check(self, state: State, logits: jax.Array, length: int) -> None:
        check_count("length", length)
        if length > _MOST:
            raise UsageError(f"`length` must be at most {_MOST:,}, received {length}")
        size = vocabulary_of(self._stepper, state, len(logits))
        if logits.shape[1:] != (size,):
            raise ShapeError(
                f"`logits` must have shape [{len(logits)}, {size}], received shape {logits.shape}"
            )
        allowed(size, self._forbidden)
        if self._end != _NEVER:
            check_ids(np.array([self._end]), size, "end")

    def _chunks(self, state: State, logits: jax.Array, length: int) -> Iterator[NDArray[np.int32]]:
        ended = jnp.zeros(len(logits), jnp.bool_)
        before = np.asarray(ended)
        last, ended, sound = self._run(self._loop.draw, logits, ended, np.uint32(0))
        ids, sound, written = last[None], sound[None], 0
        while True:
            _require_finite(np.asarray(sound)[: length - written], written)
            rows = np.asarray(ids).T[:, : length - written]
            ends = rows == self._end
            live = ~before[:, None] & (np.cumsum(ends, axis=1) - ends == 0)
            self._tokens += int(live.sum())
            written += rows.shape[1]
            yield rows[:, live.any(axis=0)]
            before = np.asarray(ended)
            if written >= length or before.all():
                return
            state, last, ended, ids, sound = self._run(
                self._loop.chunk, state, last, ended, np.uint32(written)
            )

    def _run(self, function: Callable[..., Any], *given: Any) -> Any:
        """Call what is compiled for these shapes, and count the time of the call alone."""
        compiled = self._loop.compiled(function, self._key, *given)
        begin = time.perf_counter()
        result = jax.block_until_ready(compiled(self._key, *given))
        self._seconds += time.perf_counter() - begin
        return result


class _Loop:
    """What samplers of one network and the same options share, so that it is compiled once."""

    def __init__(
        self,
        stepper: Stepper,
        options: SamplingOptions,
        forbidden: tuple[int, ...],
        end: int,
        size: int,
    ) -> None:
        self._stepper, self._options = stepper, options
        self._forbidden, self._end, self._size = forbidden, end, size
        self._compiled: dict[Any, Callable[..., Any]] = {}

    def compiled(self, function: Callable[..., Any], *given: Any) -> Callable[..., Any]:
        """A method of this, compiled for arguments of such shapes."""
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(given))
        key = (function.__name__, jax.tree.structure(given), shapes)
        if key not in self._compiled:
            self._compiled[key] = jax.jit(function).lower(*given).compile()
        return self._compiled[key]

    def draw(self, key: jax.Array, logits: Any, ended: Any, number: Any) -> tuple[Any, Any, Any]:
        """Ids of one step, which rows have ended with it, and which had logits to draw from."""
        key = jax.random.fold_in(key, number)
        ids = choose(logits, key, self._options, self._forbidden)
        sound = ended | jnp.isfinite(jnp.max(logits, axis=-1))
        ids = jnp.where(ended, jnp.int32(self._end), ids)
        return ids, ended | (ids == self._end), sound

    def chunk(self, key: jax.Array, state: State, last: Any, ended: Any, first: Any) -> Any:
        """States, last ids and ends after some steps; and the ids of these, and which are sound."""

        def body(carried: Any, number: Any) -> Any:
            state, last, ended = carried
            state, logits = advance(self._stepper, state, last)
            last, ended, sound = self.draw(key, logits, ended, number)
            return (state, last, ended), (last, sound)

        steps = first + jnp.arange(self._size, dtype=jnp.uint32)
        carried, (ids, sound) = jax.lax.scan(body, (state, last, ended), steps)
        return *carried, ids, sound


# kept for few, because what is compiled holds the weights
@functools.lru_cache(maxsize=4)
def _loop(
    stepper: Stepper, options: SamplingOptions, forbidden: tuple[int, ...], end: int, size: int
) -> _Loop:
    return _Loop(stepper, options, forbidden, end, size)


def _require_finite(sound: NDArray[np.bool_], written: int) -> None:
    """Refuse a chunk of ``bool[C, N]`` where a row had no logits to draw from."""
    if not sound.all():
        step, row = np.argwhere(~sound)[0]
        raise SunhwanError(
            f"the logits of the network must be finite, received others in row {row + 1} for id "
            f"{written + step + 1} of what it writes",
            hint="its weights may be damaged: train it anew, with a lower learning rate",
        )
