"""The recurrent parts of a Keras model, and the model as a function of what is put into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from sunhwan import engine
from sunhwan.errors import UsageError
from sunhwan.layers.loop import engine_cell
from sunhwan.layers.recurrent import FusedLoop
from sunhwan.layers.watching import Watch, check_watchable, watching

_STOCK = (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU)
_KINDS = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


@dataclass(frozen=True)
class Part:
    """A recurrent layer of a model, or one direction of a bidirectional one.

    Attributes
    ----------
    name
        Of the layer; of a direction that of the pair, with an arrow.
    layer
        The Keras layer.
    goes_back
        True if it reads from the last step to the first.
    paired
        True if it is a direction of a bidirectional layer, which gives what both say of a step at
        that step. A layer alone that reads backwards gives its steps in the order it read them.
    """

    name: str
    layer: Any
    goes_back: bool
    paired: bool = False

    @property
    def cell(self) -> engine.Cell:
        """Which recurrence it is."""
        return engine_cell(self.layer)

    @property
    def kind(self) -> str:
        """``SimpleRNN``, ``LSTM`` or ``GRU``."""
        return _KINDS[self.cell.kind]

    @property
    def units(self) -> int:
        """H."""
        return int(self.layer.cell.units)


def parts_of(model: Any) -> list[Part]:
    """The recurrent parts of a model, in its order.

    Raises
    ------
    UsageError
        It is no built Keras model, has no recurrent layer, or one that is not ours or has an option
        without a kernel.

    Examples
    --------
    >>> from sunhwan.layers import GRU, LSTM, Bidirectional
    >>> model = keras.Sequential([keras.Input((None, 3)),
    ...     LSTM(4, return_sequences=True, name="memory"), Bidirectional(GRU(5), name="both")])
    >>> [(part.name, part.kind, part.units) for part in parts_of(model)]
    [('memory', 'LSTM', 4), ('both →', 'GRU', 5), ('both ←', 'GRU', 5)]
    """
    if not isinstance(model, keras.Model):
        raise UsageError(f"expected a Keras model, received {type(model).__name__}")
    if not model.built:
        raise UsageError(
            f"model `{model.name}` is not built: it has no weights yet",
            hint="give it a keras.Input, or call it once on data",
        )
    found = []
    inside: set[int] = set()
    for layer in model._flatten_layers():
        if id(layer) in inside:
            continue
        if isinstance(layer, keras.layers.Bidirectional):
            both = ((layer.forward_layer, "→"), (layer.backward_layer, "←"))
            inside.update(id(one) for one, _ in both)
            found += [_part(one, f"{layer.name} {arrow}", paired=True) for one, arrow in both]
        elif isinstance(layer, _STOCK):
            inside.add(id(layer))
            found.append(_part(layer, layer.name))
    if not found:
        raise UsageError(f"model `{model.name}` has no SimpleRNN, LSTM or GRU to look into")
    return found


def _part(layer: Any, name: str, paired: bool = False) -> Part:
    if not isinstance(layer, FusedLoop):
        kind = type(layer).__name__
        raise UsageError(
            f"layer `{name}` is keras.layers.{kind}, which cannot be watched",
            hint=f"build the model with sunhwan.layers.{kind}, and `set_weights` what was learnt",
        )
    check_watchable(layer)
    if getattr(layer, "projection_units", None) is not None:
        raise UsageError(
            f"layer `{name}` has projection_units, and so an output that is not unit by unit that "
            "of its cell",
            hint="`sunhwan.trace` gives its states and gates",
        )
    return Part(name, layer, layer.go_backwards, paired)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Called:
    """What a model gave for a batch, and what happened in each part.

    Attributes
    ----------
    output
        ``float[B, ...]``; the first, where there are several.
    traces
        By the id of the layer.
    live
        ``bool[B, T]``, by the id of the layer: False where a step is masked.
    """

    output: Any
    traces: dict[int, engine.Trace]
    live: dict[int, Any]


def call(model: Any, inputs: Any, *, weights: Any = None, **changes: Any) -> Called:
    """What a model gives in inference while it is watched; a function that JAX can differentiate.

    Parameters
    ----------
    weights
        As `weights_of` gives them, which a compiled function takes as an argument, for otherwise it
        holds a copy of them; those of the model, if they are left out.
    changes
        As of `sunhwan.layers.watching.watching`.
    """
    with watching(**changes) as watch:
        output = answer(model, weights_of(model) if weights is None else weights, inputs)
    return Called(output, *_sorted(watch))


def weights_of(model: Any) -> list[list[Any]]:
    """The weights of a model that are learnt, and the others."""
    both = (model.trainable_variables, model.non_trainable_variables)
    return [[variable.value for variable in some] for some in both]


def answer(model: Any, weights: Any, inputs: Any) -> Any:
    """The first output of a model in inference, of which it is a function."""
    outputs, _ = model.stateless_call(*weights, inputs, training=False)
    return jax.tree.leaves(outputs)[0]


def _sorted(watch: Watch) -> tuple[dict[int, engine.Trace], dict[int, Any]]:
    traces = {key: trace for key, (trace, _) in watch.traces.items()}
    live = {
        key: jnp.ones(trace.states[0].shape[:2], bool) if mask is None else mask
        for key, (trace, mask) in watch.traces.items()
    }
    return traces, live


def rows_of(inputs: Any, rows: Any) -> Any:
    """The chosen rows of each input array, as the model takes them.

    Raises
    ------
    UsageError
        There is no row.
    """
    chosen = keras.tree.map_structure(lambda a: np.asarray(a)[rows], inputs)
    if not len(keras.tree.flatten(chosen)[0]):
        raise UsageError("expected at least one row of input, received none")
    return chosen


def chosen(parts: Sequence[Part], names: Sequence[str] | None) -> list[Part]:
    """The parts of these names, or all.

    Raises
    ------
    UsageError
        A name is no part's; lists those there are.
    """
    known = {part.name: part for part in parts}
    for name in names or ():
        if name not in known:
            raise UsageError(f"no recurrent part is named {name!r}; there are {list(known)}")
    return [known[name] for name in names] if names else list(parts)
