"""Reads a Keras model as the calls of its layers, and finds which of their arrays go over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from sunhwan.errors import UsageError
from sunhwan.layers.carried import Carried
from sunhwan.layers.id_dropout import IdDropout
from sunhwan.layers.images import FrameEncoder
from sunhwan.layers.pooling import Pooling

_layers = keras.layers
#: what runs over time
RECURRENT = (_layers.RNN, _layers.Bidirectional, Carried)
#: what makes one vector of all steps, even where a size happens to be the number of steps
_JOINS = (_layers.GlobalAveragePooling1D, _layers.GlobalMaxPooling1D, _layers.Flatten, Pooling)
#: what makes steps of what has none
_MAKES_STEPS = (_layers.RepeatVector, _layers.Reshape)
#: what looks at a few neighbouring steps at a time
_WINDOWS = (_layers.Conv1D, _layers.SeparableConv1D, _layers.MaxPooling1D, _layers.AveragePooling1D)
#: what does the same to each step, as every operation does that is no layer
_EACH = (
    _layers.Embedding, _layers.Dense, _layers.TimeDistributed, _layers.Masking, _layers.Identity,
    _layers.Dropout, _layers.SpatialDropout1D, _layers.GaussianDropout, _layers.GaussianNoise,
    _layers.LayerNormalization, _layers.BatchNormalization, _layers.Activation, _layers.ReLU,
    _layers.LeakyReLU, _layers.PReLU, _layers.ELU, _layers.Softmax, _layers.Rescaling, _layers.Add,
    _layers.Subtract, _layers.Multiply, _layers.Average, _layers.Maximum, _layers.Minimum,
    _layers.Concatenate, IdDropout, FrameEncoder,
)  # fmt: skip


@dataclass(eq=False)
class Clock:
    """Steps that several arrays share: how many, or None where each batch may have another T."""

    length: int | None


@dataclass(eq=False)
class Array:
    """What flows between layers.

    Attributes
    ----------
    clock
        Its steps; None of what has none.
    is_flipped
        True if its first step is the last one of the input.
    """

    shape: tuple[int | None, ...]
    dtype: str
    name: str
    maker: Call | None = None
    clock: Clock | None = None
    is_flipped: bool = False
    is_wanted_by_step: bool = False


@dataclass(eq=False)
class Call:
    """One call of a layer, or of an operation of `keras.ops`; of masks nothing is kept.

    Attributes
    ----------
    begins
        The states that a recurrent layer begins with; empty where these are zeros.
    """

    operation: Any
    inputs: list[Array]
    begins: list[Array]
    outputs: list[Array] = field(default_factory=list)

    @property
    def is_recurrent(self) -> bool:
        """True if it runs over time."""
        return isinstance(self.operation, RECURRENT)

    @property
    def is_each(self) -> bool:
        """True if it does the same to each step and looks at no other one."""
        is_layer = isinstance(self.operation, _layers.Layer)
        return isinstance(self.operation, _EACH) or not is_layer


@dataclass(eq=False)
class Graph:
    """A model as calls in their order, from `inputs` to `outputs`; `unused` leads to masks only."""

    inputs: list[Array]
    calls: list[Call]
    outputs: list[Array]
    output_names: list[str]
    unused: list[Array]


def read_graph(model: Any) -> Graph:
    """Return the calls of a Keras model; models inside it are read as if they were no models.

    Raises
    ------
    UsageError
        It is no Keras model, is not built, says in code alone how its layers are joined, or has no
        recurrent layer.
    """
    if not isinstance(model, keras.Model):
        raise UsageError(
            f"`model` must be a Keras model, received {type(model).__name__}",
            hint="a layer is drawn in a model: `keras.Sequential([keras.Input((T, D)), layer])`",
        )
    graph = _functional(model)
    if graph is None and isinstance(model, keras.Sequential):
        raise UsageError(
            f"the model `{model.name}` is not built, so its shapes are not known yet",
            hint="begin it with `keras.Input(...)`, or call `model.build(input_shape)`",
        )
    if graph is None:
        raise UsageError(
            f"the model `{model.name}` ({type(model).__name__}) says in its `call` alone how its "
            "layers are joined, which cannot be drawn",
            hint="write it with `keras.Input` and `keras.Model(inputs, outputs)`",
        )
    inputs = [_array(tensor) for tensor in graph.inputs]
    calls: list[Call] = []
    outputs = _walk(graph, inputs, calls)
    if not any(call.is_recurrent for call in calls):
        raise UsageError(
            f"the model `{model.name}` has no recurrent layer, so it has no steps to be drawn",
            hint="`model.summary()` shows any model",
        )
    used = _used(calls, outputs)
    calls = [call for call in calls if used.intersection(map(id, call.outputs))]
    found = Graph(
        [one for one in inputs if id(one) in used],
        calls,
        outputs,
        list(graph.output_names),
        [one for one in inputs if id(one) not in used],
    )
    _find_steps(found)
    return found


def _functional(model: Any) -> Any:
    """The model that has the graph of calls; None where there is none."""
    if isinstance(model, keras.Sequential):
        return model._functional
    return model if hasattr(model, "_nodes_by_depth") else None


def _array(tensor: Any, maker: Call | None = None) -> Array:
    return Array(tuple(tensor.shape), str(tensor.dtype), tensor.name, maker)


def _walk(model: Any, given: list[Array], calls: list[Call]) -> list[Array]:
    """Add the calls of a functional model in their order; its outputs."""
    known = {id(tensor): one for tensor, one in zip(model.inputs, given, strict=True)}
    nodes = [node for _, level in sorted(model._nodes_by_depth.items(), reverse=True)
             for node in level if not node.is_input]  # fmt: skip
    for node in nodes:
        inner = _functional(node.operation) if isinstance(node.operation, keras.Model) else None
        if inner is not None:
            taken = [known[id(tensor)] for tensor in _tensors((node.arguments.args,))]
            made = _walk(inner, taken, calls)
        else:
            call = _call(node, known)
            made = call.outputs = [_array(tensor, call) for tensor in node.output_tensors]
            calls.append(call)
        known |= {id(tensor): one for tensor, one in zip(node.output_tensors, made, strict=True)}
    return [known[id(tensor)] for tensor in model.outputs]


def _call(node: Any, known: dict[int, Array]) -> Call:
    options = {k: v for k, v in node.arguments.kwargs.items() if "mask" not in k}
    given = [*list(node.arguments.args), *options.values()]
    if not isinstance(node.operation, RECURRENT):
        read = [known[id(one)] for one in _tensors(given)]
        return Call(node.operation, [one for one in read if one.dtype != "bool"] or read, [])
    begins = given[1:2] if len(node.arguments.args) > 1 else [options.get("initial_state")]
    # behind its sequence a `Carried` is told which rows begin anew, which is a kind of mask
    steps = [known[id(one)] for one in _tensors(given[0])][:1]
    return Call(node.operation, steps, [known[id(one)] for one in _tensors(begins)])


def _tensors(values: Any) -> Iterator[Any]:
    return (one for one in keras.tree.flatten(values) if isinstance(one, keras.KerasTensor))


def _used(calls: list[Call], outputs: list[Array]) -> set[int]:
    """The arrays that an output depends on other than by a mask."""
    used = set(map(id, outputs))
    for call in reversed(calls):
        if used.intersection(map(id, call.outputs)):
            used.update(map(id, (*call.inputs, *call.begins)))
    return used


def _find_steps(graph: Graph) -> None:
    """Give a clock to each array that goes over time.

    A shape does not tell: ``[B, 10]`` may be ten ids or a vector. So what is read by step is found
    from the recurrent layers backwards, and then followed forwards.
    """
    for call in reversed(graph.calls):
        if call.is_recurrent or (isinstance(call.operation, _JOINS) and _rank(call.inputs[0]) == 3):
            call.inputs[0].is_wanted_by_step = True
        elif call.outputs[0].is_wanted_by_step and not isinstance(call.operation, _MAKES_STEPS):
            for one in call.inputs:
                if isinstance(call.operation, _WINDOWS) or _same_steps(one, call.outputs[0]):
                    one.is_wanted_by_step = True
    for one in graph.inputs:
        if one.is_wanted_by_step and _rank(one) >= 2:
            one.clock = Clock(one.shape[1])
    for call in graph.calls:
        _carry_clock(call)


def _carry_clock(call: Call) -> None:
    given, made = [one for one in call.inputs if one.clock is not None], call.outputs[0]
    if call.is_recurrent:
        _carry_through_cells(call)
        return
    source = next((one for one in given if _same_steps(one, made)), None)
    if isinstance(call.operation, _JOINS):
        return
    if source is not None:
        made.clock, made.is_flipped = source.clock, source.is_flipped
    elif made.is_wanted_by_step or isinstance(call.operation, (*_WINDOWS, _layers.RepeatVector)):
        made.clock = Clock(made.shape[1])


def _carry_through_cells(call: Call) -> None:
    [given], layer = call.inputs, call.operation
    layer = layer.layer if isinstance(layer, Carried) else layer
    if not layer.return_sequences:
        return
    is_both = isinstance(layer, _layers.Bidirectional)
    halves = 2 if is_both and layer.merge_mode is None else 1
    for made in call.outputs[:halves]:
        made.clock = given.clock
        # Keras gives the steps in the order in which the layer read them
        made.is_flipped = given.is_flipped ^ (not is_both and layer.go_backwards)


def _rank(one: Array) -> int:
    return len(one.shape)


def _same_steps(one: Array, other: Array) -> bool:
    return min(_rank(one), _rank(other)) >= 2 and one.shape[1] == other.shape[1]
