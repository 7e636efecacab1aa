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
    steps
        T of each part, by its name.
    inputs, tables
        For each part the numbers of the input arrays, and of the `lookups`, that it reads.
    """

    parts: list[Part]
    lookups: list[tuple[Any, jax.ShapeDtypeStruct]]
    steps: dict[str, int]
    inputs: dict[str, frozenset[int]]
    tables: dict[str, frozenset[int]]

    @property
    def ahead(self) -> list[Part]:
        """The parts without those of a pair that read backwards; all, if there is no other."""
        return [part for part in self.parts if not (part.paired and part.goes_back)] or self.parts

    @property
    def first(self) -> Part:
        """The first of `ahead`."""
        return self.ahead[0]

    @property
    def last(self) -> Part:
        """The last of `ahead`."""
        return self.ahead[-1]

    def is_alike(self, one: Part, other: Part) -> bool:
        """Whether two parts are on one axis: as many steps, and something that both read."""
        is_shared = bool(self.inputs[one.name] & self.inputs[other.name])
        return is_shared and self.steps[one.name] == self.steps[other.name]

    def inputs_along(self, part: Part) -> frozenset[int]:
        """The numbers of the input arrays on the axis of a part."""
        return self._along(part, self.inputs)

    def tables_along(self, part: Part) -> frozenset[int]:
        """The numbers of the `lookups` on the axis of a part."""
        return self._along(part, self.tables)

    def _along(self, part: Part, numbers: dict[str, frozenset[int]]) -> frozenset[int]:
        alike = (numbers[other.name] for other in self.parts if self.is_alike(part, other))
        return frozenset[int]().union(*alike)


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

    rows = [shape for _, shape in lookups]
    computed, shapes = jax.make_jaxpr(read, return_shape=True)(inputs, rows)
    count = len(jax.tree.leaves(inputs))
    names = [parts[key].name for key in called]
    reaching = dict(zip(names, _reaching(computed.jaxpr), strict=True))
    return Timeline(
        [parts[key] for key in called],
        lookups,
        {name: int(shape.shape[1]) for name, shape in zip(names, shapes, strict=True)},
        {name: frozenset(n for n in some if n < count) for name, some in reaching.items()},
        {name: frozenset(n - count for n in some if n >= count) for name, some in reaching.items()},
    )


def _reaching(jaxpr: Any) -> list[frozenset[int]]:
    """Of each output of a computation the numbers of the arguments that it depends on."""
    nothing = frozenset[int]()
    origins = {var: frozenset([number]) for number, var in enumerate(jaxpr.invars)}

    def of(variables: Sequence[Any]) -> frozenset[int]:
        known = (origins.get(var, nothing) for var in variables if isinstance(var, Var))
        return nothing.union(*known)

    for equation in jaxpr.eqns:
        origins.update(dict.fromkeys(equation.outvars, of(equation.invars)))
    return [of([var]) for var in jaxpr.outvars]
