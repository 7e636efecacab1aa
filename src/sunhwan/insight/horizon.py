"""How far back an input still changes the answer: the memory horizon of a model.

By occlusion, an input n steps back is replaced by what another row of the batch has there, and the
answers are compared: the permutation of Breiman (2001, section 10), with a step for a variable. So
the inputs at a step are the same as before, taken together. Zeros, or an unknown word, would be
inputs of another kind than any that the model learnt from, and what it makes of their strangeness
would count as memory. By gradient it is how steeply the answer changes with that input, which holds
for small changes only.

References
----------
Breiman, "Random forests", Machine Learning 45 (2001) 5-32.
Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979) 1-26.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from sunhwan.errors import UsageError
from sunhwan.insight.asked import Reading, answers, number_of, reading
from sunhwan.insight.embedded import block_size, blocks, call_changed, sources_of
from sunhwan.insight.parts import answer, rows_of, weights_of

Floats = NDArray[np.float64]
#: rows, and those whose inputs they get
Pairs = Iterator[tuple[NDArray[Any], NDArray[Any]]]
#: places that are looked at by occlusion: the nearest one by one, and then ever wider apart
_PLACES, _NEAREST = 48, 24
#: how often rows are drawn anew, for the range of a horizon
_RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Horizon:
    """How much the answer depends on the input n steps before the last live one.

    Attributes
    ----------
    by
        ``occlusion`` or ``gradient``.
    places
        ``int[N]``: the steps back that were looked at; at most 48 by occlusion, and as far back as
        half of the rows reach.
    changes
        ``float64[N]``: by occlusion the absolute change of the answer, mean over rows, replacements
        and outputs; by gradient the L2 norm of the derivative, mean over rows. At each place the
        row in which most changes is left out, by occlusion also where it replaces, so that no
        single row decides; of too few rows, none is.
    rows
        ``int[N]``: of how many rows.
    threshold
        The part of the largest change that is still counted.
    reach
        The horizon: the largest of `places` whose change is at least that part of the largest. None
        if nothing changes the answer.
    low, high
        The range that the horizon has in nine of ten draws of as many rows, with replacement.
    answers
        How many answers of a row that is of: 1, or of a model whose answers are steps of their own,
        as of a decoder, up to 8.
    """

    by: Literal["occlusion", "gradient"]
    places: NDArray[np.int64]
    changes: Floats
    rows: NDArray[np.int64]
    threshold: float
    reach: int | None
    low: int
    high: int
    answers: int = 1

    @property
    def reaches_end(self) -> bool:
        """Whether the horizon is as far back as was looked, so that it may lie further."""
        return self.reach == int(self.places[-1])

    def __str__(self) -> str:
        """Return a sentence on how far back inputs matter."""
        if self.reach is None:
            return "no input changes the answer"
        most = int(self.places[self.changes.argmax()])
        against = "the last one" if most == 0 else f"the one {_steps(most)} back"
        told = f"inputs up to {_steps(self.reach)} back"
        if self.reaches_end:
            told += ", as far as was looked,"
        if self.by == "gradient":
            return f"{told} have at least {100 * self.threshold:g} % of the gradient of {against}"
        share = f"at least {100 * self.threshold:g} %"
        return f"{told} change the answer by {share} of what {against} does"


def _steps(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'}"


def memory_horizon(
    model: Any,
    x: Any,
    *,
    output: int | None = None,
    by: Literal["occlusion", "gradient"] = "occlusion",
    threshold: float = 0.05,
    transform: Callable[[Any], Any] | None = None,
    replacements: int = 4,
    seed: int = 0,
) -> Horizon:
    """How far back an input still changes the answer of a model.

    Steps are counted from the last live one; of a model that reads backwards only, from the first.
    Where the model answers at each step, it is asked about the answer behind that step; where its
    answers are steps of their own, as of a decoder, about up to 8 of them, evenly spread.

    Parameters
    ----------
    model
        A built Keras model with layers of `sunhwan.layers`, trained or not.
    x
        Its input for a batch: an array, or a list or dict of them. Ids ``int[B, T, ...]`` and
        numbers ``float[B, T, ...]`` are occluded together; masks and states stay as they are.
    output
        The number of the output that is compared; by occlusion all, and by gradient the largest of
        each row, if it is left out.
    by
        ``occlusion``; or ``gradient``, for which ids must be looked up by
        `sunhwan.layers.Embedding`.
    threshold
        The part of the largest change that still counts.
    transform
        Of the outputs ``[B, K]``, what is compared instead. Without it, by occlusion, several
        outputs go through a softmax, unless they are probabilities that add up to 1: what all
        logits have in common does not change an answer. A single output, and what a gradient is of,
        is taken as it is.
    replacements
        From how many other rows each input is replaced in turn.
    seed
        Of what is drawn.

    Raises
    ------
    UsageError
        The model cannot be watched, there are no two rows, or no such output.

    Examples
    --------
    >>> import keras
    >>> from sunhwan.layers import SimpleRNN
    >>> model = keras.Sequential([keras.Input((40, 1)), SimpleRNN(1, activation="linear")])
    >>> model.set_weights([np.ones((1, 1)), np.full((1, 1), 0.8), np.zeros(1)])
    >>> x = np.ones((4, 40, 1), "float32")
    >>> print(memory_horizon(model, x, by="gradient"))  # 0.8^13 = 0.055, 0.8^14 = 0.044
    inputs up to 13 steps back have at least 5 % of the gradient of the last one
    """
    if by not in ("occlusion", "gradient"):
        raise UsageError(f"`by` must be occlusion or gradient, received {by!r}")
    if not 0 < threshold <= 1:
        raise UsageError(f"`threshold` must be above 0 and at most 1, received {threshold}")
    inputs = rows_of(x, slice(None))
    read = reading(model, inputs)
    places = _steps_back(read)
    rng = np.random.default_rng(seed)
    if by == "gradient":
        looked = np.arange(places.shape[1])
        changes = _slopes(model, inputs, read, places, output, transform)
    else:
        looked = _grid(places)
        if not _over_time(inputs, read):
            raise UsageError(
                f"no input has the {read.live.shape[1]} steps that the first recurrent layer reads",
                hint="ids are whole numbers [B, T], numbers are float[B, T, D]",
            )
        compared = _compared(model, inputs, read, output, transform)
        changes = _occluded(compared, inputs, read, places, looked, _shifts(replacements, rng))
    # each change by occlusion is one of two rows
    find = partial(_found, looked=looked, threshold=threshold, shared=1 if by == "gradient" else 2)
    means, reach = find(changes)
    low, high = _range(changes, find, rng)
    if reach is not None:
        low, high = min(low, reach), max(high, reach)
    rows = (~np.isnan(changes)).sum(axis=0)
    return Horizon(by, looked, means, rows, threshold, reach, low, high, read.asked.shape[1])


def _steps_back(read: Reading) -> NDArray[np.int64]:
    """``int[B, N]``: where each row has its n-th live step before the last; -1 beyond its first."""
    lengths = read.live.sum(axis=1)
    reach = int(np.sort(lengths)[len(lengths) // 2])
    if not reach:
        raise UsageError("expected rows with live steps, received a mask that leaves none")
    places = np.full((len(lengths), reach), -1)
    for row, live in zip(places, read.live, strict=True):
        found = np.flatnonzero(live)[:: 1 if read.goes_back else -1][:reach]
        row[: len(found)] = found
    return places


def _grid(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """The steps back that are looked at, of those which at least two rows have."""
    reach = int(((places >= 0).sum(axis=0) >= 2).sum())
    if not reach:
        raise UsageError(
            "expected at least two rows, so that an input can be replaced by that of another",
            hint="give more rows, or by='gradient'",
        )
    if reach <= _PLACES:
        return np.arange(reach)
    further = np.geomspace(_NEAREST, reach - 1, _PLACES - _NEAREST)
    return np.unique(np.concatenate([np.arange(_NEAREST), np.rint(further).astype(np.int64)]))


def _compared(
    model: Any, inputs: Any, read: Reading, output: int | None, transform: Any
) -> Callable[[Any], Floats]:
    """What is compared of the answer to an input, ``float64[B, K]``, by the kernels."""
    steps, weights = read.asked if read.at_steps else None, weights_of(model)

    def asked(values: Any, given: Any) -> Any:
        found = answers(answer(model, values, given), steps)
        return found.reshape(-1, found.shape[-1])

    compiled = jax.jit(asked)
    plain = np.asarray(compiled(weights, inputs), np.float64)
    change = transform or _usual_transform(plain)
    which = slice(None) if output is None else [number_of(output, plain.shape[1])]

    def compared(given: Any) -> Floats:
        found = change(np.asarray(compiled(weights, given), np.float64))
        return np.asarray(found, np.float64)[:, which].reshape(len(read.asked), -1)

    return compared


def _usual_transform(values: Floats) -> Callable[[Floats], Floats]:
    sums_to_1 = (values >= 0).all() and np.allclose(values.sum(axis=1), 1, atol=1e-3)
    return np.asarray if values.shape[1] == 1 or sums_to_1 else partial(softmax, axis=1)


def _shifts(replacements: int, rng: np.random.Generator) -> Callable[[NDArray[Any]], Pairs]:
    """Of rows, who gets the input of whom, in turn: never of itself, nor twice of the same."""
    if replacements < 1:
        raise UsageError(f"`replacements` must be at least 1, received {replacements}")

    def drawn(rows: NDArray[Any]) -> Pairs:
        rows = rng.permutation(rows)
        for shift in rng.permutation(np.arange(1, len(rows)))[:replacements]:
            yield rows, np.roll(rows, shift)

    return drawn


def _occluded(
    compared: Callable[[Any], Floats],
    inputs: Any,
    read: Reading,
    places: NDArray[np.int64],
    looked: NDArray[np.int64],
    drawn: Callable[[NDArray[Any]], Pairs],
) -> Floats:
    """``float64[B, N]``: mean absolute change where a row gets or gives; NaN without a step."""
    before = compared(inputs)
    changes = np.full((len(places), len(looked)), np.nan)
    for column, n in enumerate(looked):
        at = places[:, n]
        found = np.zeros(len(places))
        count = 0
        for rows, others in drawn(np.flatnonzero(at >= 0)):
            given = _replaced(inputs, read, at, rows, others)
            change = abs(compared(given) - before).mean(axis=1)[rows]
            found[rows] += change
            found[others] += change
            count += 2
        changes[at >= 0, column] = found[at >= 0] / count
    return changes


def _over_time(inputs: Any, read: Reading) -> list[int]:
    """The numbers of inputs that are ids or numbers at the steps that are read.

    Masks are not among them, nor states to begin with.
    """
    ranks = {"i": 2, "u": 2, "f": 3}
    steps = read.live.shape[1]
    return [
        number
        for number, leaf in enumerate(jax.tree.leaves(inputs))
        if number in read.inputs
        and leaf.ndim >= ranks.get(leaf.dtype.kind, leaf.ndim + 1)
        and leaf.shape[1] == steps
    ]


def _replaced(inputs: Any, read: Reading, at: Any, rows: Any, others: Any) -> Any:
    """Inputs in which some rows have, at their step, what others have at theirs."""
    leaves, shape = jax.tree.flatten(inputs)
    for number in _over_time(inputs, read):
        changed = leaves[number].copy()
        changed[rows, at[rows]] = leaves[number][others, at[others]]
        leaves[number] = changed
    return jax.tree.unflatten(shape, leaves)


def _slopes(
    model: Any, inputs: Any, read: Reading, places: NDArray[np.int64], output: int | None,
    transform: Any,
) -> Floats:  # fmt: skip
    """``float64[B, N]``: norm of the gradient for what is read; NaN where there is no step."""
    sources = sources_of(model, inputs)
    rows, steps = sources[0].shape[:2]
    if steps != read.live.shape[1]:
        raise UsageError(
            f"`{sources[0].name}` has {steps} steps, and the first recurrent layer reads "
            f"{read.live.shape[1]}"
        )

    def asked(nudges: Any, weights: Any, given: Any, steps: Any) -> Any:
        changes = {
            source: partial(jnp.add, nudge) for source, nudge in zip(sources, nudges, strict=True)
        }
        called = call_changed(model, given, weights, changes)
        values = answers(called.output, steps if read.at_steps else None)
        values = values.reshape(-1, values.shape[-1])
        values = values if transform is None else transform(values)
        if output is None:
            return values.max(axis=1).sum()
        return values[:, number_of(output, values.shape[1])].sum()

    compiled, weights = jax.jit(jax.grad(asked)), weights_of(model)
    squares = np.zeros((rows, steps))
    size = block_size(rows, steps)
    nudges = [np.zeros((size, *source.shape[1:]), np.float32) for source in sources]
    for numbers, kept in blocks(rows, size):
        given = jax.tree.map(lambda leaf, numbers=numbers: leaf[numbers], inputs)
        for found in compiled(nudges, weights, given, read.asked[numbers]):
            each = np.asarray(found, np.float64)[:kept].reshape(kept, steps, -1)
            squares[numbers[:kept]] += (each**2).sum(axis=2)
    norms = np.sqrt(np.take_along_axis(squares, np.maximum(places, 0), axis=1))
    return np.where(places >= 0, norms, np.nan)


def _found(
    changes: Floats, *, looked: NDArray[np.int64], threshold: float, shared: int
) -> tuple[Floats, int | None]:
    """The mean change at each place without the row that changes most, and the furthest place."""
    values = np.nan_to_num(changes)
    rows = (~np.isnan(changes)).sum(axis=0)
    left_out = np.where(rows > shared, shared, 0)
    sums = values.sum(axis=0) - left_out * values.max(axis=0)
    # a draw of rows may lack all that reach a place
    means = np.maximum(sums, 0) / np.maximum(rows - left_out, 1)
    counts = (means > 0) & (means >= threshold * means.max())
    return means, int(looked[counts][-1]) if counts.any() else None


def _range(
    changes: Floats, find: Callable[[Floats], tuple[Floats, int | None]], rng: np.random.Generator
) -> tuple[int, int]:
    """Between which nine of ten horizons are, of rows drawn with replacement (Efron 1979)."""
    count = len(changes)
    drawn = (changes[rng.integers(0, count, count)] for _ in range(_RESAMPLES))
    found = [find(some)[1] or 0 for some in drawn]
    low, high = np.percentile(found, [5, 95], method="nearest")
    return int(low), int(high)
