"""How far a gradient flows back through time: its size at each step before the answer.

With ``s(t)`` for the state behind step t (h, of an LSTM h and c) and ``L`` for what is asked about,
the gradient n steps back is ``dL/ds(T-n) = dL/ds(T) J(T) J(T-1) ... J(T-n+1)``, a product of the
Jacobians ``J(t) = ds(t)/ds(t-1)`` (Pascanu, Mikolov & Bengio 2013, equation 5). In a linear network
of one unit that is w^n: below 1 it vanishes, above 1 it explodes.

References
----------
Bengio, Simard & Frasconi, "Learning long-term dependencies with gradient descent is difficult",
IEEE Transactions on Neural Networks 5 (1994) 157-166.
Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError
from sunhwan.insight.asked import answers_at_steps, last_step, number_of
from sunhwan.insight.parts import Called, Part, call, chosen, parts_of, weights_of
from sunhwan.insight.timeline import timeline_of

Floats = NDArray[np.float64]
#: a gradient that is 1,000 times smaller, or larger, at the far end vanishes, or explodes
FACTOR = 1e3
#: one that is 10 times smaller fades
_FADED = 10.0


@dataclass(frozen=True, eq=False)
class Flow:
    """The gradient that reaches the states of a recurrent layer, by steps back.

    Attributes
    ----------
    name, kind
        Of the `sunhwan.insight.parts.Part`.
    norms
        ``float64[N]``: L2 norm of the derivative for the state n steps before the last that the
        layer reads, mean over rows; 0 where float32 has no smaller number.
    rows
        Of how many rows: of the longer half of them, which have N steps or more.
    rate
        Factor per step: the slope of a straight line through the logarithms of `norms`.
    estimate
        The factor per step that the textbooks give: of a SimpleRNN the spectral norm of its
        recurrent kernel times the mean slope of the activation (Pascanu et al., section 2.1); of an
        LSTM the mean forget gate and of a GRU the mean update gate, which is what one way leaves
        that goes straight through the cell (Gers et al. 2000, section 3).
    """

    name: str
    kind: str
    norms: Floats
    rows: int
    rate: float
    estimate: float

    @property
    def steps(self) -> int:
        """How far back the curve goes."""
        return len(self.norms) - 1

    @property
    def half_life(self) -> float:
        """Steps after which half of the gradient is left; negative where it grows."""
        return -math.log(2) / math.log(self.rate) if self.rate not in (0.0, 1.0) else math.inf

    @property
    def verdict(self) -> str:
        """What is left at the far end: ``vanishes``, ``fades``, ``carries`` or ``explodes``.

        It vanishes if less than a thousandth is left, fades if less than a tenth is, and explodes
        if it is a thousand times as large.
        """
        change = self.steps * math.log(self.rate) if self.rate > 0 else -math.inf
        if change < -math.log(FACTOR):
            return "vanishes"
        if change > math.log(FACTOR):
            return "explodes"
        return "fades" if change < -math.log(_FADED) else "carries"

    def __str__(self) -> str:
        """Return a sentence, such as ``memory (LSTM): carries, 0.98 a step over 99 steps``."""
        told = f"{self.name} ({self.kind}): {self.verdict}, a factor of {self.rate:.3g} a step"
        if self.verdict in ("vanishes", "fades"):
            told += f", half is gone after {abs(self.half_life):.2g} steps"
        elif self.verdict == "explodes":
            told += f", doubled after {abs(self.half_life):.2g} steps"
        return f"{told}, over {self.steps} steps"


def gradient_flow(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    loss: Callable[[Any, Any], Any] | None = None,
    output: int | None = None,
    layers: Sequence[str] | None = None,
    through: Literal["layer", "model"] = "layer",
) -> list[Flow]:
    """The gradient that flows back through each recurrent layer of a model, for a batch.

    The model runs as in inference. Where it answers at each step, it is asked about the last step
    that a layer reads, which for a layer that reads backwards is the first; where its answers are
    steps of their own, as of a decoder, it is asked about their last one.

    A gradient has other ways back than through the steps of a layer: through a layer above, or from
    an answer that looks at all steps, as pooling does. They say nothing of what the layer can
    carry, so they are left out: the gradient for its last state goes back through the layer alone.
    Of a row in which no gradient comes to the last state (of a maximum over the steps, say), a
    random direction goes back. In a single layer that gives its last step there is no other way.

    Parameters
    ----------
    model
        A built Keras model with layers of `sunhwan.layers`, trained or not.
    x
        Its input for a batch: an array, or a list of them.
    y
        What it should answer, ``[B, ...]``. The gradient is then that of the loss of each row.
    loss
        Of ``(y, output)``, such as a `keras.losses.Loss`; that of ``compile`` if it is left out.
    output
        Without `y`: the number of the output whose gradient it is; the largest one of each row, if
        it is left out.
    layers
        Names of the parts that are looked at; all, if it is left out.
    through
        ``model`` takes the whole gradient instead, by all ways: what training sees.

    Raises
    ------
    UsageError
        The model cannot be watched, or there is no loss or no such output.

    Examples
    --------
    >>> from sunhwan.layers import SimpleRNN
    >>> model = keras.Sequential([keras.Input((9, 1)), SimpleRNN(1, activation="linear")])
    >>> model.set_weights([np.ones((1, 1)), np.full((1, 1), 0.5), np.zeros(1)])
    >>> [flow] = gradient_flow(model, np.ones((2, 9, 1), "float32"))
    >>> flow.norms[:4].tolist(), round(flow.rate, 6), flow.verdict
    ([1.0, 0.5, 0.25, 0.125], 0.5, 'fades')
    """
    options: dict[str, Any] = {"loss": loss, "output": output, "layers": layers}
    weights = [weights_of(model)]
    [found] = gradient_flows(model, x, y, weights=weights, through=through, **options)
    return found


def gradient_flows(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    weights: Sequence[Any],
    loss: Any = None,
    output: int | None = None,
    layers: Sequence[str] | None = None,
    through: str = "layer",
) -> list[list[Flow]]:
    """As `gradient_flow`, with several weights in turn, for which everything is compiled once.

    Parameters
    ----------
    weights
        As of `sunhwan.insight.parts.weights_of`, of `model` or of one that is built alike.
    """
    if through not in ("layer", "model"):
        raise UsageError(f"`through` must be 'layer' or 'model', received {through!r}")
    every = parts_of(model)
    parts = chosen(every, layers)
    # then there is no way but through the layer
    is_alone = len(every) == 1 and not every[0].layer.return_sequences
    inputs = jax.tree.map(jnp.asarray, x)
    timeline = timeline_of(model, inputs)
    found: list[dict[str, Flow]] = [{} for _ in weights]
    for goes_back in (False, True):
        if alike := [part for part in parts if part.goes_back is goes_back]:
            asked = alike[-1] if timeline.is_alike(alike[-1], timeline.last) else timeline.last
            ask = _question(model, y, loss, output, asked)
            by_all = through == "model" or is_alone
            for known, flows in zip(
                found, _flows(model, inputs, alike, ask, by_all, weights), strict=True
            ):
                known.update((flow.name, flow) for flow in flows)
    return [[known[part.name] for part in parts] for known in found]


def _question(
    model: Any, y: Any, loss: Any, output: int | None, part: Part
) -> Callable[[Called], Any]:
    """The scalar that is differentiated: a sum over rows, or a loss, at one step of the output."""

    def at_last(values: Any, called: Called) -> Any:
        """``[B, ...]`` of ``[B, T, ...]``: at the last step that the part reads."""
        if not answers_at_steps(called, part):
            return values
        return values[jnp.arange(len(values)), last_step(called, part)]

    if y is not None:
        wanted, measure = jnp.asarray(y), _loss(model, loss)
        return lambda called: jnp.sum(
            measure(at_last(wanted, called), at_last(called.output, called))
        )

    def of_output(called: Called) -> Any:
        values = at_last(called.output, called)
        values = values.reshape(len(values), -1)
        if output is None:
            return values.max(axis=1).sum()
        return values[:, number_of(output, values.shape[1])].sum()

    return of_output


def _loss(model: Any, loss: Any) -> Callable[[Any, Any], Any]:
    given = loss if loss is not None else getattr(model, "loss", None)
    if given is None or isinstance(given, (dict, list)):
        raise UsageError(
            f"expected one loss to differentiate for `y`, received {given!r}",
            hint="give `loss`, such as keras.losses.MeanSquaredError()",
        )
    measure = keras.losses.get(given)
    # not the mean over the batch, but what each row has of its own
    of_rows: Callable[[Any, Any], Any] = getattr(measure, "call", measure)
    return of_rows


def _flows(
    model: Any,
    inputs: Any,
    parts: Sequence[Part],
    ask: Callable[[Called], Any],
    by_all: bool,
    weights: Sequence[Any],
) -> Iterator[list[Flow]]:
    keys = [id(part.layer) for part in parts]
    shapes = jax.eval_shape(lambda given: _kept(call(model, given), keys), inputs)
    nothing = {
        key: tuple(jnp.zeros(state.shape, state.dtype) for state in states)
        for key, (states, _, _) in shapes.items()
    }

    def asked(nudges: Any, weights: Any, given: Any) -> Any:
        called = call(model, given, weights=weights, nudges=nudges)
        return ask(called), _kept(called, keys)

    by_all_ways = jax.jit(jax.grad(asked, has_aux=True))
    by_layer = jax.jit(jax.grad(partial(_own, model)))
    for some in weights:
        gradients, kept = by_all_ways(nothing, some, inputs)
        if not by_all:
            starts = {
                key: _starts(part, gradients[key], kept[key][2])
                for part, key in zip(parts, keys, strict=True)
            }
            gradients = by_layer(nothing, starts, some, inputs)
        kernels = _values(model, some)
        yield [
            _flow(part, gradients[key], kept[key], kernels[id(part.layer.cell.recurrent_kernel)])
            for part, key in zip(parts, keys, strict=True)
        ]


def _values(model: Any, weights: Any) -> dict[int, Any]:
    """The values of weights, by the id of the variable of the model that they stand for."""
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    values = [value for some in weights for value in some]
    return {id(one): value for one, value in zip(variables, values, strict=True)}


def _own(model: Any, nudges: Any, starts: Any, weights: Any, inputs: Any) -> Any:
    """What has ``starts`` as its gradient for the last states, and no way but through a layer."""
    called = call(
        model,
        inputs,
        weights=weights,
        nudges=nudges,
        change_input=lambda _, x: jax.lax.stop_gradient(x),
    )
    return sum(
        jnp.sum(start * state)
        for key in starts
        for start, state in zip(starts[key], called.traces[key].last, strict=True)
    )


def _starts(part: Part, gradients: tuple[Any, ...], live: Any) -> list[NDArray[Any]]:
    """The gradient for the last state of each row; a random direction, where there is none."""
    rows, steps, units = gradients[0].shape
    places = np.where(live, np.arange(steps), steps if part.goes_back else -1)
    last = places.min(axis=1) if part.goes_back else places.max(axis=1)
    last = np.clip(last, 0, steps - 1)
    found = np.stack([np.asarray(one)[np.arange(rows), last] for one in gradients])
    random = np.random.default_rng(0).standard_normal((len(found), rows, units))
    random[1:] = 0.0  # an answer reads h, never c
    random /= np.linalg.norm(random[0], axis=-1)[:, None]
    nothing = ~found.any(axis=(0, 2))
    found[:, nothing] = random[:, nothing]
    return list(found)


def _kept(called: Called, keys: Sequence[int]) -> dict[int, Any]:
    """States, gates and live steps of each part."""
    return {
        key: (called.traces[key].states, called.traces[key].gates, called.live[key]) for key in keys
    }


def _flow(part: Part, gradients: tuple[Any, ...], kept: tuple[Any, Any, Any], kernel: Any) -> Flow:
    _, gates, live = kept
    both = np.concatenate([np.asarray(one, np.float64) for one in gradients], axis=-1)
    sizes = np.linalg.norm(both, axis=-1)
    live = np.asarray(live)
    norms, rows = by_steps_back(sizes, live, part.goes_back)
    seen = {name: np.asarray(gate)[live] for name, gate in gates.items()}
    estimate = _estimate(part, seen, np.asarray(kernel, np.float64))
    return Flow(part.name, part.kind, norms, rows, rate_of(norms), estimate)


def by_steps_back(
    values: NDArray[Any], live: NDArray[np.bool_], goes_back: bool = False
) -> tuple[Floats, int]:
    """Means over rows of ``[B, T]`` values, by steps before the last one that is live.

    Returns
    -------
    means, rows
        ``float64[N]``, as far back as half of the rows reach, and the number of those rows. Shorter
        ones are left out, so that each mean is over the same ones.

    Examples
    --------
    >>> live = np.array([[True, True, False], [True, True, True]])
    >>> by_steps_back(np.array([[1.0, 3.0, 0.0], [7.0, 6.0, 5.0]]), live)[0].tolist()
    [5.0, 6.0, 7.0]
    """
    step = 1 if goes_back else -1
    found = [row[seen][::step] for row, seen in zip(values, live, strict=True)]
    reach = sorted(map(len, found))[len(found) // 2]
    longest = [row[:reach] for row in found if len(row) >= reach]
    return np.mean(longest, axis=0), len(longest)


def rate_of(norms: Floats) -> float:
    """The factor per step of a curve: the slope of a line through its logarithms, zeros left out.

    Examples
    --------
    >>> round(rate_of(np.array([8.0, 4.0, 2.0, 0.0])), 6)
    0.5
    """
    places = np.flatnonzero(norms > 0)
    if len(places) < 2:
        return 1.0 if len(norms) < 2 else 0.0
    return float(np.exp(np.polyfit(places, np.log(norms[places]), 1)[0]))


#: the slope of an activation by its value
_SLOPES: dict[str, Callable[[Any], Any]] = {
    "linear": np.ones_like,
    "tanh": lambda h: 1 - h**2,
    "sigmoid": lambda h: h * (1 - h),
    "relu": lambda h: (h > 0).astype(float),
    "hard_sigmoid": lambda h: ((h > 0) & (h < 1)) / 6,
}


def _estimate(part: Part, gates: dict[str, NDArray[Any]], kernel: Floats) -> float:
    """The factor per step that the textbooks give; gates are those of live steps, ``[N, H]``."""
    if part.kind == "LSTM":
        return float(gates["f"].mean())
    if part.kind == "GRU":
        return float(gates["z"].mean())
    slopes = _SLOPES[part.cell.activation](gates["h"].astype(np.float64))
    return float(np.linalg.norm(kernel, 2) * slopes.mean())
