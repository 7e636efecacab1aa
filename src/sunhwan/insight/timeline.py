"""Which time axis is whose: what each recurrent part of a model reads step by step.

A model may have two time axes, as an encoder and a decoder have, and both may be as long by chance,
so that shapes do not tell. What is read step by step is on the axis of the part that reads it; what
reaches a part only as a state to begin with is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Var

from sunhwan.insight.parts import Part, call, parts_of


@dataclass(frozen=True, eq=False)
class Timeline:
    """What the recurrent parts of a model read step by step, for a batch.

    Attributes
    ----------
    parts
        In the order in which they are called.
    lookups
        An embedding and the rows that it gives, for each time that one is called, in that order.
    inputs, tables
        For each part the numbers of the input arrays, and of the `lookups`, that it reads.
    """

    parts: list[Part]
    lookups: list[tuple[Any, jax.ShapeDtypeStruct]]
    inputs: dict[str, frozenset[int]]
    tables: dict[str, frozenset[int]]
    _steps: dict[str, int]

    @property
    def first(self) -> Part:
        """The first part; of a pair that which reads forwards."""
        return self._ahead[0]

    @property
    def last(self) -> Part:
        """The last part; of a pair that which reads forwards."""
        return self._ahead[-1]

    @property
    def _ahead(self) -> list[Part]:
        return [part for part in self.parts if not (part.paired and part.goes_back)] or self.parts

    def alike(self, one: Part, other: Part) -> bool:
        """Whether two parts are on one axis: as many steps, and something that both read."""
        share = self.inputs[one.name] & self.inputs[other.name]
        return self._steps[one.name] == self._steps[other.name] and bool(share)

    def along(self, part: Part) -> tuple[frozenset[int], frozenset[int]]:
        """The numbers of input arrays, and of `lookups`, on the axis of a part."""
        names = [other.name for other in self.parts if self.alike(part, other)]
        both = (self.inputs, self.tables)
        return tuple(frozenset().union(*(of[name] for name in names)) for of in both)  # type: ignore[return-value]


def timeline_of(model: Any, inputs: Any) -> Timeline:
    """What each recurrent part of a model reads; nothing is computed.

    Raises
    ------
    UsageError
        The model cannot be watched.

    Examples
    --------
    >>> import keras, numpy as np
    >>> from sunhwan.layers import GRU
    >>> read, written = keras.Input((None, 2)), keras.Input((None, 3))
    >>> h = GRU(4, name="encoder")(read)
    >>> y = GRU(4, return_sequences=True, name="decoder")(written, initial_state=h)
    >>> batch = [np.ones((2, 5, 2), "float32"), np.ones((2, 5, 3), "float32")]
    >>> found = timeline_of(keras.Model([read, written], y), batch)
    >>> {name: list(numbers) for name, numbers in found.inputs.items()}
    {'encoder': [0], 'decoder': [1]}
    """
    parts = {id(part.layer): part for part in parts_of(model)}
    lookups: list[tuple[Any, jax.ShapeDtypeStruct]] = []
    called: list[int] = []

    def seen(layer: Any, rows: Any) -> Any:
        lookups.append((layer, jax.ShapeDtypeStruct(rows.shape, rows.dtype)))
        return rows

    jax.eval_shape(lambda given: call(model, given, change_rows=seen).output, inputs)

    def read(given: Any, changes: list[Any]) -> list[Any]:
        found: dict[int, Any] = {}
        waiting = iter(changes)
        # a state to begin with is nothing that is read at a step
        call(
            model,
            given,
            change_input=lambda layer, x: found.setdefault(id(layer), x),
            change_rows=lambda _, rows: rows + next(waiting),
            change_state=lambda _, state: jnp.zeros_like(state),
        )
        called[:] = [key for key in found if key in parts]
        return [found[key] for key in called]

    shapes = [rows for _, rows in lookups]
    reaching = _reaching(jax.make_jaxpr(read)(inputs, shapes).jaxpr)
    count = len(jax.tree.leaves(inputs))
    ordered = [parts[key] for key in called]
    reads = dict(zip((part.name for part in ordered), reaching, strict=True))
    return Timeline(
        ordered,
        lookups,
        {name: frozenset(n for n in some if n < count) for name, some in reads.items()},
        {name: frozenset(n - count for n in some if n >= count) for name, some in reads.items()},
        _steps={},
    )


def _reaching(jaxpr: Any) -> list[Sequence[int]]:
    """Of each output of a computation the numbers of the arguments that it depends on."""
    origins: dict[Any, frozenset[int]] = {
        var: frozenset([number]) for number, var in enumerate(jaxpr.invars)
    }
    nothing: frozenset[int] = frozenset()

    def of(some: Sequence[Any]) -> frozenset[int]:
        return nothing.union(*(origins.get(v, nothing) for v in some if isinstance(v, Var)))

    for equation in jaxpr.eqns:
        origins.update(dict.fromkeys(equation.outvars, of(equation.invars)))
    return [sorted(of([var])) for var in jaxpr.outvars]
