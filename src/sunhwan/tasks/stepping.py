"""A network one token at a time: what writing needs of it, and reading what is already written.

A language model, or the decoder of a translation, is handed on as a `Stepper`: states, and one
step from ids and states to logits and the states after. `sunhwan.tasks.sampling` and
`sunhwan.tasks.beam` write with it; neither reads again what is already in the states.
"""

from __future__ import annotations

import functools
import numbers
import operator
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.errors import ShapeError, UsageError

#: arrays in any nesting that JAX knows (a pytree), each with the N rows on its first axis
State = Any
Made = TypeVar("Made")
#: sequences are padded to one of few lengths, the powers of two from here
_SHORTEST = 16


class Stepper(Protocol):
    """A network as a function of one token, with its states outside of it.

    What is compiled for a stepper is kept with it, so a stepper never changes: other weights are
    another stepper. It is hashable by identity, as any object that defines no ``__eq__``.

    Examples
    --------
    Of two ids, 1 follows 0 in nine of ten cases. What comes next rests on the last id alone, so
    there is no state.

    >>> class Chain:
    ...     def start(self, rows):
    ...         return ()
    ...
    ...     def step(self, state, ids):
    ...         return state, jnp.log(jnp.array([[0.1, 0.9], [0.6, 0.4]]))[ids]
    >>> state, logits = Chain().step((), jnp.array([1, 0]))
    >>> print(np.exp(logits).round(2))
    [[0.6 0.4]
     [0.1 0.9]]
    """

    def start(self, rows: int) -> State:
        """The states before the first token."""

    def step(self, state: State, ids: jax.Array) -> tuple[State, jax.Array]:
        """The states after ids ``int32[N]``, and logits ``float32[N, V]`` of what comes next.

        JAX can trace it, inside loops too; the states after have shapes and dtypes of those
        before; no row has a part in another.
        """

    def __hash__(self) -> int:
        """As every object has it, by identity."""


class Latest(Generic[Made]):
    """The stepper of a network, made anew only when a weight is another one.

    So whoever writes again and again compiles once.

    Examples
    --------
    >>> import keras
    >>> weight, latest = keras.Variable([1.0]), Latest()
    >>> first = latest.of([weight], object)
    >>> first is latest.of([weight], object)
    True
    >>> weight.assign([2.0])  # doctest: +ELLIPSIS
    Array(...)
    >>> first is latest.of([weight], object)
    False
    """

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._made: Made | None = None

    def of(self, variables: Sequence[Any], make: Callable[[], Made]) -> Made:
        """The stepper that `make` gives for what the variables of a network hold now."""
        values = [variable.value for variable in variables]
        is_same = len(values) == len(self._values) and all(map(operator.is_, values, self._values))
        if self._made is None or not is_same:
            self._values, self._made = values, make()
        return self._made

    def __reduce__(self) -> tuple[type[Latest[Made]], tuple[()]]:
        """Pickle without what was compiled."""
        return type(self), ()


def read(
    stepper: Stepper, state: State, ids: ArrayLike, lengths: ArrayLike | None = None
) -> tuple[State, jax.Array]:
    """Take rows of ids in, and return the states and logits after the last id of each.

    Parameters
    ----------
    stepper
        The network.
    state
        With N rows, as of ``stepper.start(N)``.
    ids
        ``int32[N, T]``, padded behind its end.
    lengths
        ``int32[N]``, each from 1 to T: how many ids of a row are real, behind which its states are
        held; without it all are.

    Returns
    -------
    tuple
        The states after, and logits ``float32[N, V]``.

    Raises
    ------
    ShapeError
        Ids, lengths or states do not fit together.
    UsageError
        An id is not one of the V.

    Examples
    --------
    >>> class Sum:  # the state is the sum of what was read, and the likeliest id that sum
    ...     def start(self, rows):
    ...         return jnp.zeros(rows, jnp.int32)
    ...
    ...     def step(self, state, ids):
    ...         return state + ids, jax.nn.one_hot(state + ids, 9)
    >>> state, logits = read(Sum(), Sum().start(2), [[1, 2, 3], [4, 1, 0]], lengths=[3, 2])
    >>> print(state, logits.argmax(1))
    [6 5] [6 5]
    """
    rows = np.asarray(ids)
    if rows.ndim != 2 or rows.dtype.kind not in "iu" or not rows.size:
        raise ShapeError(
            f"`ids` must be integers of shape [N, T] with a row and a step, received {rows.dtype} "
            f"of shape {rows.shape}"
        )
    real = np.full(len(rows), rows.shape[1]) if lengths is None else np.asarray(lengths)
    if real.shape != (len(rows),) or real.min() < 1 or real.max() > rows.shape[1]:
        raise ShapeError(
            f"`lengths` must be {len(rows)} numbers from 1 to {rows.shape[1]}, received "
            f"{real.tolist()}"
        )
    size = vocabulary_of(stepper, state, len(rows))
    padded = np.zeros((len(rows), padded_length(rows.shape[1])), np.int32)
    padded[:, : rows.shape[1]] = np.where(np.arange(rows.shape[1]) < real[:, None], rows, 0)
    check_ids(padded, size, "ids")
    after: tuple[State, jax.Array] = _reader(stepper)(state, padded, real.astype(np.int32))
    return after


# kept for few, because what is compiled holds the weights
@functools.lru_cache(maxsize=4)
def _reader(stepper: Stepper) -> Callable[[State, Any, Any], tuple[State, jax.Array]]:
    def run(state: State, ids: jax.Array, lengths: jax.Array) -> tuple[State, jax.Array]:
        def body(carried: Any, inputs: Any) -> tuple[Any, None]:
            number, column = inputs
            after = advance(stepper, carried[0], column)
            return hold(number < lengths, after, carried), None

        shape = jax.eval_shape(functools.partial(advance, stepper), state, ids[:, 0])[1].shape
        steps = jnp.arange(ids.shape[1]), ids.T
        return jax.lax.scan(body, (state, jnp.zeros(shape, jnp.float32)), steps)[0]

    return jax.jit(run)


def advance(stepper: Stepper, state: State, ids: jax.Array) -> tuple[State, jax.Array]:
    """One step of a stepper, its logits as ``float32[N, V]``.

    Raises
    ------
    ShapeError
        The logits have another shape, or the states after are other than those before.
    """
    after, logits = stepper.step(state, ids)
    if _kinds(after) != _kinds(state):
        raise ShapeError(
            f"a step must return states of the same shapes as it takes, {_kinds(state)}, "
            f"received {_kinds(after)}"
        )
    if logits.ndim != 2 or len(logits) != len(ids) or logits.shape[1] < 2:
        raise ShapeError(
            f"a step over {len(ids)} rows must give logits of shape [{len(ids)}, V] with V of at "
            f"least 2, received shape {logits.shape}"
        )
    return after, logits.astype(jnp.float32)


def _kinds(state: State) -> Any:
    return str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", state))


@functools.lru_cache(maxsize=4)
def _traced(stepper: Stepper) -> Any:
    return jax.jit(functools.partial(advance, stepper))  # remembers the shapes that it has seen


def vocabulary_of(stepper: Stepper, state: State, rows: int) -> int:
    """V, how many ids a stepper chooses among; nothing is computed.

    Raises
    ------
    ShapeError
        A leaf of the state has not `rows` rows, or the logits are not ``[rows, V]``.

    Examples
    --------
    >>> class Even:
    ...     def step(self, state, ids):
    ...         return state, jnp.zeros((len(ids), 5)) + state
    >>> vocabulary_of(Even(), jnp.zeros((3, 1)), 3)
    5
    """
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        if np.ndim(leaf) < 1 or len(leaf) != rows:
            raise ShapeError(
                f"the state{jax.tree_util.keystr(path)} must have {rows} rows on its first axis, "
                f"received shape {np.shape(leaf)}"
            )
    ids = jax.ShapeDtypeStruct((rows,), jnp.int32)
    return int(jax.eval_shape(_traced(stepper), state, ids)[1].shape[1])


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is not a whole number from `least`.

    Raises
    ------
    UsageError
        Names the parameter and the value.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise UsageError(f"`{name}` must be a whole number from {least}, received {value!r}")


def check_ids(ids: NDArray[Any], size: int, name: str) -> None:
    """Refuse ids that are not one of a vocabulary.

    Raises
    ------
    UsageError
        Names the parameter and the id.
    """
    wrong = ids[(ids < 0) | (ids >= size)]
    if wrong.size:
        raise UsageError(f"`{name}` must be from 0 to {size - 1}, received {wrong.flat[0]}")


def allowed(size: int, forbidden: Sequence[int]) -> NDArray[np.bool_]:
    """Which of `size` ids may be written, ``bool[V]``.

    Raises
    ------
    UsageError
        A forbidden id does not exist, or none is left.

    Examples
    --------
    >>> print(allowed(4, [0, 1]))
    [False False  True  True]
    """
    check_ids(np.asarray(forbidden, np.int64), size, "forbidden")
    free = np.ones(size, np.bool_)
    free[list(forbidden)] = False
    if not free.any():
        raise UsageError(f"`forbidden` must leave one of the {size} ids, received all of them")
    return free


def hold(live: jax.Array, after: State, before: State) -> State:
    """The states after where ``bool[N]`` is true, and those before where it is not."""

    def pick(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(live.reshape((-1,) + (1,) * (new.ndim - 1)), new, old)

    return jax.tree.map(pick, after, before)


def log_probabilities(logits: jax.Array) -> jax.Array:
    """Logarithm of the softmax over the last axis; the bits of a row do not depend on the others.

    A sum that XLA orders as it likes has, for some V, other bits in a batch of another size. Here
    the second half is added to the first until one number is left.

    Examples
    --------
    >>> print(np.exp(log_probabilities(jnp.log(jnp.array([[2.0, 5.0, 1.0]])))).round(3))
    [[0.25  0.625 0.125]]
    """
    centred = logits - jnp.max(logits, axis=-1, keepdims=True)
    terms, size = jnp.exp(centred), logits.shape[-1]
    half = 1 << (size - 1).bit_length()
    terms = jnp.pad(terms, [(0, 0)] * (logits.ndim - 1) + [(0, half - size)])
    while half > 1:
        half //= 2
        terms = terms[..., :half] + terms[..., half:]
    return centred - jnp.log(terms)


def padded_length(length: int) -> int:
    """The power of two, from 16, that a length is padded to, so that few are compiled.

    Examples
    --------
    >>> [padded_length(length) for length in (1, 16, 17)]
    [16, 16, 32]
    """
    return max(_SHORTEST, 1 << (length - 1).bit_length())
