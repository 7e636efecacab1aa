"""What a drawing shows of a model: its rows of layers from input to output, and its structure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import keras

from sunhwan.insight.drawing_graph import Array, Call, Clock, Graph
from sunhwan.layers.carried import Carried
from sunhwan.layers.pooling import Pooling

#: of an input; of cells; of what acts on each step; on all steps at once; on what has no steps; and
#: of an output
Kind = Literal["input", "cells", "each", "band", "box", "output"]

_STATES = {"LSTM": ("h", "c"), "LSTMCell": ("h", "c"), "ConvLSTM1D": ("h", "c"),
           "ConvLSTM2D": ("h", "c"), "ConvLSTM3D": ("h", "c")}  # fmt: skip
_MERGED = {"concat": "concat", "sum": "+", "mul": "×", "ave": "mean", None: "pair"}
#: what states may go through on their way from one layer to another, beside operations
_BRIDGING = (keras.layers.Dense, keras.layers.Concatenate, keras.layers.Add, keras.layers.Average,
             keras.layers.Activation)  # fmt: skip
#: what is written into cells, as the textbooks do
_SHORT = {"SimpleRNN": "RNN", "SimpleRNNCell": "RNN", "LSTMCell": "LSTM", "GRUCell": "GRU",
          "StackedRNNCells": "stack"}  # fmt: skip
#: attributes that tell the size of a layer, the first that it has
_SIZES = ("units", "output_dim", "filters", "rate", "n")


@dataclass(frozen=True)
class Bridge:
    """From where a recurrent layer is handed its first states, and what they go through."""

    rows: tuple[Row, ...]
    what: str
    parameters: int


@dataclass(frozen=True)
class Cells:
    """How a recurrent layer runs over time.

    Attributes
    ----------
    directions
        For each row of cells from the bottom, 1 if it runs from left to right, else -1.
    merged
        What makes one of two directions; empty where there is one, or nobody reads what they give.
    entering
        Names of the model's inputs that it begins with.
    leaves
        True if its last states are outputs of the model.
    """

    label: str
    states: tuple[str, ...]
    directions: tuple[int, ...]
    merged: str
    gives_steps: bool
    is_stateful: bool
    entering: tuple[str, ...]
    bridge: Bridge | None
    leaves: bool


@dataclass(eq=False)
class Row:
    """A layer as it is drawn; several that do the same to the same are one row.

    Attributes
    ----------
    sources
        The rows that it reads, each with whether by step.
    clock
        Of what it gives; None where that has no steps.
    parameters
        None where another row with the same weights has told them.
    extra
        Of inputs: arrays that are read as masks only.
    """

    kind: Kind
    arrays: list[Array]
    names: list[str]
    whats: list[str]
    sources: list[tuple[Row, bool]]
    clock: Clock | None
    is_flipped: bool = False
    parameters: int | None = None
    cells: Cells | None = None
    extra: list[Array] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of its layers, from the first to the last."""
        return self.names[0] if len(self.names) == 1 else f"{self.names[0]} … {self.names[-1]}"

    @property
    def what(self) -> str:
        """Class and size of its layers."""
        return _counted(self.whats)

    @property
    def is_dropout(self) -> bool:
        """True if it does nothing but leave things out while training."""
        return self.kind == "each" and "Dropout" in self.whats[0].partition("(")[0]


@dataclass(frozen=True)
class Picture:
    """All that is drawn of a model."""

    rows: list[Row]
    structure: str
    total: int


def picture_of(model: Any, graph: Graph) -> Picture:
    """Return the rows of a model, from its inputs to its outputs."""
    rows = _Rows(graph)
    return Picture(rows.all(), _structure(graph), model.count_params())


class _Rows:
    """Makes the rows of a graph one after the other."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._given = set(map(id, graph.outputs))
        self._read = self._given | {id(one) for call in graph.calls for one in call.inputs}
        self._bridges = _bridges(graph)
        self._of: dict[int, Row] = {}
        self._makers = {id(array): call for call in graph.calls for array in call.outputs}
        self._alike: dict[tuple[Any, ...], Row] = {}
        self._counted: set[int] = set()
        self._rows: list[Row] = []

    def all(self) -> list[Row]:
        """The rows of all calls, those of inputs first and of outputs last."""
        only_states = _only_states(self._graph)
        for one in self._graph.inputs:
            if id(one) not in only_states:
                self._of[id(one)] = self._add(
                    Row("input", [one], [one.name], [""], [], one.clock, one.is_flipped)
                )
        if self._rows:
            self._rows[0].extra = self._graph.unused
        for call in self._graph.calls:
            if id(call) in self._bridges:
                continue
            row = self._cells(call) if call.is_recurrent else self._other(call)
            for array in call.outputs:
                self._of[id(array)] = row
        for name, one in zip(self._graph.output_names, self._graph.outputs, strict=True):
            if not _is_state(one):
                self._add(Row("output", [one], [name], [""], self._sources([one]), one.clock,
                              one.is_flipped))  # fmt: skip
        return self._rows

    def _add(self, row: Row) -> Row:
        self._rows.append(row)
        return row

    def _sources(self, arrays: Iterable[Array]) -> list[tuple[Row, bool]]:
        found = ((self._of[id(one)], one.clock is not None) for one in arrays)
        return list(dict.fromkeys(found))

    def _other(self, call: Call) -> Row:
        made, sources = call.outputs[0], self._sources(call.inputs)
        is_output = any(id(one) in self._given for one in call.outputs)
        alike = type(call.operation), made.clock, *((id(row), steps) for row, steps in sources)
        row = self._alike.get(alike)
        if row is None or is_output:
            has_steps = any(steps for _, steps in sources)
            shared = {id(row.clock) for row, steps in sources if steps} == {id(made.clock)}
            kind: Kind = "box"
            if has_steps or made.clock is not None:
                kind = "each" if shared and call.is_each else "band"
            row = self._add(Row(kind, [], [], [], sources, made.clock, made.is_flipped))
            if not is_output:
                self._alike[alike] = row
        row.arrays.append(made)
        row.names.append(call.operation.name)
        row.whats.append(_what(call.operation))
        self._count(row, call.operation)
        return row

    def _cells(self, call: Call) -> Row:
        layer, [given], made = call.operation, call.inputs, call.outputs[0]
        row = self._add(
            Row("cells", [made], [layer.name], [_what(layer)], self._sources([given]), made.clock,
                made.is_flipped)
        )  # fmt: skip
        inner = layer.layer if isinstance(layer, Carried) else layer
        is_both = isinstance(inner, keras.layers.Bidirectional)
        runs = (inner.forward_layer, inner.backward_layer) if is_both else (inner,)
        cell, outputs = _cell_name(runs[0]), [id(one) for one in call.outputs if _is_state(one)]
        entering = [
            one.name for one in call.begins if one.maker is None and id(one) not in self._of
        ]
        row.cells = Cells(
            label=_SHORT.get(cell, cell),
            states=_STATES.get(cell, ("h",)),
            directions=tuple(-1 if run.go_backwards ^ given.is_flipped else 1 for run in runs),
            merged=_MERGED[inner.merge_mode] if is_both and id(made) in self._read else "",
            gives_steps=made.clock is not None,
            is_stateful=isinstance(layer, Carried) or bool(inner.stateful),
            entering=tuple(entering),
            bridge=self._bridge(call.begins),
            leaves=not self._given.isdisjoint(outputs),
        )
        self._count(row, layer)
        return row

    def _bridge(self, begins: Sequence[Array]) -> Bridge | None:
        rows: dict[Row, None] = {}
        passed: dict[int, Call] = {}
        waiting = list(begins)
        while waiting:
            one = waiting.pop(0)
            if id(one) in self._of:
                rows[self._of[id(one)]] = None
            elif one.maker is not None and id(one.maker) not in passed:
                passed[id(one.maker)] = one.maker
                waiting += one.maker.inputs
        if not rows:
            return None
        weighty = [call.operation for call in passed.values() if _parameters(call.operation)]
        counts = [self._new_parameters(operation) or 0 for operation in weighty]
        return Bridge(tuple(rows), _counted([_what(one) for one in weighty]), sum(counts))

    def _count(self, row: Row, operation: Any) -> None:
        new = self._new_parameters(operation)
        if new is not None:
            row.parameters = (row.parameters or 0) + new

    def _new_parameters(self, operation: Any) -> int | None:
        """The parameters of a layer; None if they were told before."""
        if id(operation) in self._counted:
            return None
        self._counted.add(id(operation))
        return _parameters(operation)


def _bridges(graph: Graph) -> set[int]:
    """The calls whose results are nothing but first states of recurrent layers."""
    other_uses = set(map(id, graph.outputs))
    found = set()
    for call in reversed(graph.calls):
        made = set(map(id, call.outputs))
        has_steps = any(one.clock is not None for one in (*call.inputs, *call.outputs))
        is_layer = isinstance(call.operation, keras.layers.Layer)
        is_other = is_layer and not isinstance(call.operation, _BRIDGING)
        if is_other or has_steps or made & other_uses:
            other_uses.update(map(id, call.inputs))
        else:
            found.add(id(call))
    return found


def _only_states(graph: Graph) -> set[int]:
    """The inputs with which recurrent layers begin, and nothing else."""
    begins = {id(one) for call in graph.calls for one in call.begins}
    read = {id(one) for call in graph.calls for one in call.inputs}
    return {id(one) for one in graph.inputs if id(one) in begins - read}


def _is_state(one: Array) -> bool:
    """True if it is a last state of a recurrent layer, and not what the layer gives."""
    if one.maker is None or not one.maker.is_recurrent:
        return False
    layer = one.maker.operation
    is_pair = isinstance(layer, keras.layers.Bidirectional) and layer.merge_mode is None
    return not any(one is given for given in one.maker.outputs[: 2 if is_pair else 1])


def _structure(graph: Graph) -> str:
    """From one or many to one or many, as in "The unreasonable effectiveness of RNNs" (2015).

    Where a layer begins with what others have read, these are the input: a decoder's own input is
    what it wrote.
    """
    reach = {id(one) for call in graph.calls for one in call.begins if one.maker is not None}
    only_states = _only_states(graph)
    for call in reversed(graph.calls):
        if any(id(one) in reach for one in call.outputs):
            reach.update(map(id, call.inputs))
    read = [one for one in graph.inputs if id(one) in reach]
    read = read or [one for one in graph.inputs if id(one) not in only_states]
    return f"{_many(read)} to {_many(one for one in graph.outputs if not _is_state(one))}"


def _many(arrays: Iterable[Array]) -> str:
    has_steps = any(one.clock is not None and one.clock.length != 1 for one in arrays)
    return "many" if has_steps else "one"


def _what(operation: Any) -> str:
    """Class and size of a layer, such as ``LSTM 32``.

    Examples
    --------
    >>> from keras.layers import GRU, Bidirectional, Embedding
    >>> _what(Bidirectional(GRU(8))), _what(Embedding(1000, 2))
    ('Bidirectional(GRU 8)', 'Embedding 1,000×2')
    """
    kind = type(operation).__name__
    inner = getattr(operation, "forward_layer", getattr(operation, "layer", None))
    if inner is not None:
        return f"{kind}({_what(inner)})"
    if type(operation) is keras.layers.RNN:
        return f"RNN({_cell_name(operation)})"
    if isinstance(operation, keras.layers.Embedding):
        return f"{kind} {operation.input_dim:,}×{operation.output_dim:,}"
    if isinstance(operation, Pooling):
        return f"{kind} {operation.mode}"
    sizes = (getattr(operation, name, None) for name in _SIZES)
    size = next((one for one in sizes if isinstance(one, int | float)), None)
    if size is None:
        return kind
    return f"{kind} {size:,}" if isinstance(size, int) else f"{kind} {size:g}"


def _counted(whats: Sequence[str]) -> str:
    if len(whats) < 2:
        return "".join(whats)
    what = whats[0] if len(set(whats)) == 1 else whats[0].partition(" ")[0]
    return f"{len(whats)} × {what}"


def _cell_name(layer: Any) -> str:
    if type(layer) is not keras.layers.RNN:
        return type(layer).__name__
    return type(layer.cell).__name__


def _parameters(operation: Any) -> int:
    return operation.count_params() if isinstance(operation, keras.layers.Layer) else 0
