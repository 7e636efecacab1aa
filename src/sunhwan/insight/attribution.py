"""Which steps of an input an answer rests on: integrated gradients.

From a baseline x' that says nothing to the input x leads a straight line. Along it the answer F
changes by what its gradient says, and each number x_i of the input has a share in that
(Sundararajan et al., equation 1):

    share_i = (x_i - x'_i) * integral over a from 0 to 1 of dF/dx_i (x' + a (x - x'))

The shares add up to ``F(x) - F(x')`` (their proposition 1, completeness), which shows whether the
integral was computed well. With one number s_i = a for each, ``(x_i - x'_i) dF/dx_i`` is dF/ds_i,
and of an id, whose embedding is a whole row, the shares of the row add up to that too.

References
----------
Sundararajan, Taly & Yan, "Axiomatic attribution for deep networks", ICML 2017.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.errors import UsageError
from sunhwan.insight.attribution_line import BACKWARD, FORWARD, Line
from sunhwan.insight.parts import rows_of

Floats = NDArray[np.float64]
#: shares that miss the change of the answer by less are complete
COMPLETE = 0.01
#: a smaller change, as a part of the answer, is not told from rounding by float32
_RESOLVED = 1e-4


@dataclass(frozen=True, eq=False)
class Attribution:
    """The share of each step of each row in the answer, by integrated gradients.

    Attributes
    ----------
    values
        ``float64[B, T]``: positive where a step speaks for the output. Exactly 0 at steps that the
        model's masks leave out.
    features
        ``float64[B, T, F]``, which add up to `values`: of each number of an input; of ids one for
        each embedding that is looked up at a step. Embeddings come first, in the model's order.
    outputs
        ``int[B]``: the output of each row.
    answers, baselines
        ``float64[B]``: what the model gives for the input, and for the baseline.
    points
        ``int[B]``: at how many points of the line the gradient was taken.
    by_direction
        ``forward`` and ``backward``, ``float64[B, T]`` each: what reached the answer through either
        direction of the first bidirectional layer. They add up to `values`, but for what goes
        around that layer. Empty where it was not asked for.
    """

    values: Floats
    features: Floats
    outputs: NDArray[np.int64]
    answers: Floats
    baselines: Floats
    points: NDArray[np.int64]
    by_direction: dict[str, Floats] = field(default_factory=dict)

    @property
    def total(self) -> Floats:
        """``float64[B]``: the sum of the shares."""
        return np.asarray(self.values.sum(axis=1))

    @property
    def change(self) -> Floats:
        """``float64[B]``: by how much input and baseline differ in the answer."""
        return self.answers - self.baselines

    @property
    def gap(self) -> Floats:
        """``float64[B]``: by how much `total` misses `change`, as a part of it.

        A change that is less than a ten-thousandth of the answers cannot be told from the rounding
        of float32, and is taken to be that large.
        """
        sizes = np.maximum(abs(self.answers), abs(self.baselines))
        against = np.maximum(abs(self.change), _RESOLVED * sizes)
        off = abs(self.total - self.change)
        return np.divide(off, against, out=np.zeros_like(off), where=against > 0)

    @property
    def is_complete(self) -> bool:
        """Whether the shares of each row add up to the change within 1 %."""
        return bool((self.gap <= COMPLETE).all())

    def __str__(self) -> str:
        """Return a sentence, such as ``3 rows: shares add up to the change within 0.2 %``."""
        rows = f"{len(self.values)} row{'s' if len(self.values) > 1 else ''}"
        return f"{rows}: shares add up to the change within {100 * self.gap.max():.2g} %"


def integrated_gradients(
    model: Any,
    x: Any,
    *,
    output: int | Sequence[int] | None = None,
    step: int | Sequence[int] | None = None,
    transform: Callable[[Any], Any] | None = None,
    baseline: float | ArrayLike | None = None,
    layers: Sequence[str] | None = None,
    directions: bool = False,
    points: int = 16,
    most_points: int = 512,
) -> Attribution:
    """The share of each step in the answer of a model, for each row of a batch.

    Ids are attributed at the rows that `sunhwan.layers.Embedding` gives for them. The integral is
    taken by the rule of Gauss and Legendre; the number of points is doubled for the rows whose
    shares do not add up to the change of the answer within 1 %.

    Parameters
    ----------
    model
        A built Keras model with layers of `sunhwan.layers`, for any number of rows.
    x
        Its input for a batch: an array, or a list or dict of them. Ids and masks stay as they are.
    output
        The number of the output, one for all rows or one for each; the largest of each row, if it
        is left out.
    step
        Where the model answers at each step: at which, one for all rows or one for each; the last
        live one, if it is left out.
    transform
        Of the outputs ``[B, K]``, what is attributed instead, such as `keras.ops.softmax`. Without
        it that is the output as it is: of a network that gives logits, a logit, which says what
        speaks for an output, while a probability also moves with what speaks for others and hardly
        moves where it is near 1.
    baseline
        Of ids: an id, such as 0 for padding or that of unknown words, whose row stands at each
        step; of numbers: a number, or an array for ``[B, T, D]``. Without it zeros, of ids the row
        of zeros, which Sundararajan et al. (section 3) take for texts: it is no word, so that
        each word has its share, also one that is the baseline otherwise.
    layers
        Names of the embeddings that are attributed to; all, and all inputs of numbers over time, if
        it is left out. The others stay as they are.
    directions
        Whether `Attribution.by_direction` is found, which takes three times as long.
    points, most_points
        How many to begin with, and where to stop.

    Raises
    ------
    UsageError
        The model cannot be watched or reads nothing that can be changed a little, or there is no
        row, output, step or baseline as asked.

    Warns
    -----
    UserWarning
        Shares do not add up with `most_points`; `Attribution.gap` says of which rows.

    Examples
    --------
    >>> import keras
    >>> from sunhwan.layers import SimpleRNN
    >>> model = keras.Sequential([keras.Input((3, 1)), SimpleRNN(1, activation="linear")])
    >>> model.set_weights([np.ones((1, 1)), np.full((1, 1), 0.5), np.zeros(1)])
    >>> found = integrated_gradients(model, np.array([[[1], [2], [4]]], "float32"))
    >>> found.values.tolist(), found.change.tolist()
    ([[0.25, 1.0, 4.0]], [5.25])
    """
    if not 1 <= points <= most_points:
        raise UsageError(
            f"`points` must be from 1 to `most_points`, received {points} and {most_points}"
        )
    line = Line(model, rows_of(x, slice(None)), layers, baseline, transform, points)
    if directions:
        line.watch_pair()
    line.ask(output, step)
    here, there = (line.answers(point)[0] for point in (1.0, 0.0))
    if not np.isfinite([here, there]).all():
        raise UsageError(f"model `{model.name}` answers with what is no finite number")
    features, values = np.zeros(line.shape), np.zeros(line.shape[:2])
    used = np.zeros(len(values), np.int64)
    found = Attribution(values, features, line.outputs, here, there, used)
    rows = np.arange(len(values))
    while len(rows) and points <= most_points:
        features[rows] = line.integral(rows, points)
        values[rows] = features[rows].sum(axis=2)
        used[rows] = points
        rows = np.flatnonzero(~(found.gap <= COMPLETE))
        points *= 2
    if directions:
        found.by_direction.update(_by_direction(line, found))
    if not found.is_complete:
        _warn(found)
    return found


#: rows that are left out of at once, at the least, where there are so many
_AT_LEAST = 64


def occlusion(
    model: Any,
    x: Any,
    *,
    output: int | Sequence[int] | None = None,
    step: int | Sequence[int] | None = None,
    transform: Callable[[Any], Any] | None = None,
    baseline: float | ArrayLike | None = None,
    layers: Sequence[str] | None = None,
) -> Floats:
    """By how much the answer falls when one step alone is at the baseline, ``float64[B, T]``.

    Rougher than integrated gradients, and the numbers do not add up to anything: what two steps say
    together is counted for both or for neither. But they are always what they are called (Zeiler &
    Fergus 2014, section 2.1).

    Parameters
    ----------
    model, x, output, step, transform, baseline, layers
        As of `integrated_gradients`. Each row goes through the model T times.

    Raises
    ------
    UsageError
        As `integrated_gradients`.

    Examples
    --------
    >>> import keras
    >>> from sunhwan.layers import SimpleRNN
    >>> model = keras.Sequential([keras.Input((3, 1)), SimpleRNN(1, activation="linear")])
    >>> model.set_weights([np.ones((1, 1)), np.full((1, 1), 0.5), np.zeros(1)])
    >>> occlusion(model, np.array([[[1], [2], [4]]], "float32")).tolist()
    [[0.25, 1.0, 4.0]]
    """
    inputs = rows_of(x, slice(None))
    line = Line(model, inputs, layers, baseline, transform, _AT_LEAST)
    line.ask(output, step)
    whole, _ = line.answers(1.0)
    return whole[:, None] - line.left_out()


def _by_direction(line: Line, found: Attribution) -> dict[str, Floats]:
    """What is missing of the shares if either direction lets no gradient through."""
    apart = {"forward": np.zeros_like(found.values), "backward": np.zeros_like(found.values)}
    for points in np.unique(found.points):
        rows = np.flatnonzero(found.points == points)
        for name, others in (("forward", BACKWARD), ("backward", FORWARD)):
            without = line.integral(rows, int(points), others).sum(axis=2)
            apart[name][rows] = found.values[rows] - without
    return apart


def _warn(found: Attribution) -> None:
    rows = int((~(found.gap <= COMPLETE)).sum())
    warnings.warn(
        f"the shares of {rows} of {len(found.gap)} rows miss the change of the answer by up to "
        f"{100 * found.gap.max():.2g} %, with {found.points.max()} points; more `most_points` or "
        "another `baseline` may help",
        stacklevel=3,
    )
