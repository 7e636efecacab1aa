"""A model on the straight line from a baseline to its input, where its gradient is taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_legendre

from sunhwan.errors import UsageError
from sunhwan.insight.asked import answers, number_of, reading
from sunhwan.insight.embedded import Source, block_size, blocks, call_changed, sources_of
from sunhwan.insight.parts import parts_of, weights_of

Floats = NDArray[np.float64]
#: which directions of a bidirectional layer let a gradient through
ALL, FORWARD, BACKWARD = (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)


class Line:
    """A model between the baseline and the input, at points from 0 to 1 of rows of a batch."""

    def __init__(
        self, model: Any, inputs: Any, layers: Any, baseline: Any, transform: Any, points: int
    ) -> None:
        parts_of(model)  # refuses a model that cannot be watched
        _check_batch(model)
        self._model, self._inputs = model, jax.tree.map(_in_float32, inputs)
        self._transform = transform or (lambda values: values)
        self._sources = sources_of(model, self._inputs, layers)
        self._bases = [_base(source, baseline) for source in self._sources]
        self._weights = weights_of(model)
        self._reading = reading(model, self._inputs)
        self._steps = self._reading.last
        self._pair: tuple[Any, ...] = ()
        rows, steps = self._sources[0].shape[:2]
        self.shape = (rows, steps, sum(math.prod(source.features) for source in self._sources))
        self.outputs = np.zeros(rows, np.int64)
        self._size = block_size(rows * points, steps)
        # weights are arguments, so that none is compiled in
        self._slopes = jax.jit(jax.grad(self._asked, has_aux=True))

    def watch_pair(self) -> None:
        """Let either direction of the first bidirectional layer be stopped."""
        for layer in self._model._flatten_layers():
            if isinstance(layer, keras.layers.Bidirectional):
                self._pair = (layer.forward_layer, layer.backward_layer)
                return
        raise UsageError(
            f"model `{self._model.name}` has no bidirectional layer, whose directions could be "
            "told apart"
        )

    def ask(self, output: Any, step: Any) -> None:
        """Settle which output of each row is asked about, and at which step."""
        if step is not None:
            self._steps = self._checked_steps(step)
        _, values = self.answers(1.0)
        self.outputs = values.argmax(axis=1)
        if output is not None:
            asked = _for_rows("output", output, len(values))
            self.outputs = np.array([number_of(int(one), values.shape[1]) for one in asked])

    def _checked_steps(self, step: Any) -> NDArray[np.int64]:
        if not self._reading.at_steps:
            raise UsageError(f"model `{self._model.name}` answers once, and not at a `step`")
        steps = self._reading.steps
        asked = _for_rows("step", step, self.shape[0])
        if not ((asked >= 0) & (asked < steps)).all():
            raise UsageError(f"`step` must be from 0 to {steps - 1}, received {step}")
        return asked

    def answers(self, point: float) -> tuple[Floats, Floats]:
        """``float64[B]`` of the output asked about, and ``[B, K]`` of all, at a point."""
        rows = np.arange(self.shape[0])
        found = [rest for *_, rest in self._at(rows, lambda pairs: np.full(len(pairs), point))]
        own, values = (np.concatenate(some).astype(np.float64) for some in zip(*found, strict=True))
        return own, values

    def integral(self, rows: NDArray[Any], points: int, passes: Any = ALL) -> Floats:
        """``float64[rows, T, F]``, by the rule of Gauss and Legendre."""
        nodes, weights = roots_legendre(points)
        places = np.tile((nodes + 1) / 2, len(rows))
        total = np.zeros((len(rows), *self.shape[1:]))
        at = self._at(np.repeat(rows, points), lambda pairs: places[pairs], passes)
        for pairs, slopes, _ in at:
            for pair, slope in zip(pairs, slopes.astype(np.float64), strict=True):
                total[pair // points] += weights[pair % points] / 2 * slope
        return total

    def left_out(self) -> Floats:
        """``float64[B, T]``: the answer of each row when one step alone is at the baseline."""
        rows, steps = self.shape[:2]
        at = self._at(
            np.repeat(np.arange(rows), steps), lambda pairs: 1 - np.eye(steps)[pairs % steps]
        )
        found = np.concatenate([own for *_, (own, _) in at])
        return found.astype(np.float64).reshape(rows, steps)

    def _at(
        self,
        rows: NDArray[Any],
        point: Callable[[NDArray[np.int64]], Floats],
        passes: tuple[float, float] = ALL,
    ) -> Iterator[tuple[NDArray[Any], NDArray[Any], tuple[Any, Any]]]:
        """Of pairs of a row and a point, in blocks: which, slopes ``[N, T, F]``, and answers.

        Parameters
        ----------
        rows
            Of each pair.
        point
            Of numbers of pairs: where they are, ``float[N]``, or of each step, ``float[N, T]``.
        """
        for pairs, kept in blocks(len(rows), self._size):
            some = rows[pairs]
            given = jax.tree.map(lambda leaf, some=some: leaf[some], self._inputs)
            bases = [
                base if source.layer is not None else base[some]
                for source, base in zip(self._sources, self._bases, strict=True)
            ]
            scales = [_scales(source, point(pairs)) for source in self._sources]
            found, rest = jax.device_get(
                self._slopes(
                    scales, bases, self._weights, given, self.outputs[some], self._steps[some],
                    np.array(passes, np.float32),
                )
            )  # fmt: skip
            slopes = [one.reshape(*one.shape[:2], -1)[:kept] for one in found]
            own, values = rest
            yield pairs[:kept], np.concatenate(slopes, axis=2), (own[:kept], values[:kept])

    def _asked(
        self, scales: Any, bases: Any, weights: Any, given: Any, outputs: Any, steps: Any,
        passes: Any,
    ) -> tuple[Any, tuple[Any, Any]]:  # fmt: skip
        """The sum of what rows answer, and of each row the output asked about, and all."""
        changes = {
            source: partial(_moved, scale=scale, base=base)
            for source, scale, base in zip(self._sources, scales, bases, strict=True)
        }

        def passing(layer: Any, x: Any) -> Any:
            for one, passed in zip(self._pair, passes, strict=False):
                if layer is one:
                    return passed * x + (1 - passed) * jax.lax.stop_gradient(x)
            return x

        called = call_changed(self._model, given, weights, changes, change_input=passing)
        at = steps if self._reading.at_steps else None
        values = self._transform(answers(called.output, at))
        own = jnp.take_along_axis(values, outputs[:, None], axis=1)[:, 0]
        return own.sum(), (own, values)


def _moved(x: Any, *, scale: Any, base: Any) -> Any:
    """The point of the line; what is no number, as padding may hold, stays as it is."""
    far = x - base
    fits = jnp.isfinite(far)
    scale = scale.reshape(*scale.shape, *(1,) * (x.ndim - scale.ndim))
    return jnp.where(fits, base + scale * jnp.where(fits, far, 0), x).astype(x.dtype)


def _scales(source: Source, points: Floats) -> NDArray[np.float32]:
    shape = (len(points), source.shape[1], *source.features)
    apart = points.astype(np.float32).reshape(*points.shape, *(1,) * (len(shape) - points.ndim))
    return np.broadcast_to(apart, shape).copy()


def _in_float32(leaf: NDArray[Any]) -> NDArray[Any]:
    return leaf.astype(np.float32) if leaf.dtype.kind == "f" else leaf


def _base(source: Source, baseline: Any) -> NDArray[np.float32]:
    """Where the line begins: of an embedding a row ``[D]``, of numbers ``[B, T, ...]``."""
    if source.layer is not None:
        return _base_row(source, baseline)
    try:
        return np.broadcast_to(
            np.asarray(0.0 if baseline is None else baseline, np.float32), source.shape
        )
    except ValueError:
        raise UsageError(
            f"`baseline` must fit the shape {list(source.shape)} of {source.name}, received "
            f"{list(np.shape(baseline))}"
        ) from None


def _base_row(source: Source, baseline: Any) -> NDArray[np.float32]:
    table = source.layer.embeddings
    if baseline is None:
        return np.zeros(source.shape[-1], np.float32)
    if not isinstance(baseline, (int, np.integer)) or not 0 <= baseline < table.shape[0]:
        raise UsageError(
            f"`baseline` must be an id of embedding `{source.name}`, from 0 to "
            f"{table.shape[0] - 1}, received {baseline!r}"
        )
    return np.asarray(table.value[int(baseline)], np.float32)


def _for_rows(name: str, value: Any, rows: int) -> NDArray[np.int64]:
    """One for all rows, or one for each: ``int[B]``."""
    given = np.asarray(value)
    if given.dtype.kind not in "iu" or given.shape not in ((), (rows,)):
        raise UsageError(
            f"`{name}` must be a whole number or one for each of {rows} rows, received {value!r}"
        )
    return np.broadcast_to(given.astype(np.int64), (rows,))


def _check_batch(model: Any) -> None:
    """Refuse a model for batches of one size, such as one that carries states from row to row."""
    for tensor in jax.tree.leaves(getattr(model, "inputs", None)):
        if tensor.shape[0] is not None:
            raise UsageError(
                f"model `{model.name}` is built for batches of {tensor.shape[0]} rows, and each "
                "row is needed at many points at once",
                hint="build it for any number of rows, and `set_weights` what was learnt",
            )
