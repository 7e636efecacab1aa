"""A network as an ONNX graph: its layers become ONNX's operators, the recurrent ones too.

Rows are of any number and length. ONNX's recurrent operators know no mask, only how many steps of
each row are real (``sequence_lens``), so these must come first. Where a network reads ids, that
number is counted in the graph, for 0 is padding; where it reads a mask, the graph's input is
``lengths`` instead, ``int32[batch]``, which cannot say anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import sunhwan
from sunhwan.errors import UsageError
from sunhwan.tasks.exporting_recurrent import operator

#: read by ONNX Runtime 1.14 (2023) and later
_OPSET, _IR_VERSION = 18, 8
#: one file cannot hold more (a limit of protobuf)
_MOST_BYTES = 2**31 - 2**20
#: of ``onnx.TensorProto``, which is loaded late
_FLOAT, _INT32, _INT64 = 1, 6, 7
_ACTIVATIONS = {"linear": "", "relu": "Relu", "softmax": "Softmax"}
#: stands for a masked step, as in `sunhwan.layers.pooling.Pooling`
_LOWEST = -1e9


@dataclass(frozen=True)
class Lengths:
    """A mask whose real steps come first: the name of ``int32[batch]``, how many they are."""

    name: str


def onnx_model(model: Any) -> Any:
    """An ``onnx.ModelProto`` that answers as a functional Keras model does.

    Parameters
    ----------
    model
        Of the layers that `Network.build` and `build_forecaster` use; in float32.

    Raises
    ------
    UsageError
        The package onnx is missing; a layer, an option or an activation has no counterpart, which
        is named; or the weights are too large for one file.

    Examples
    --------
    >>> import keras
    >>> from sunhwan.layers import LSTM
    >>> given = keras.Input((None, 2), name="numbers")
    >>> graph = onnx_model(keras.Model(given, LSTM(3)(given))).graph
    >>> [node.op_type for node in graph.node]
    ['Transpose', 'LSTM', 'Transpose', 'Reshape', 'Identity']
    """
    require_onnx()
    import onnx

    size = sum(int(np.prod(weight.shape)) * 4 for weight in model.weights)
    if size > _MOST_BYTES:
        raise UsageError(
            f"the weights have {size:,} bytes, and an ONNX file holds {_MOST_BYTES:,} at most"
        )
    graph = _Graph()
    given = [graph.take(tensor) for tensor in model.inputs]
    # Keras's own way through a functional model, with names in place of tensors
    answer = model._run_through_graph(given, call_fn=graph.call)
    graph.give(answer, model.output_names[0], model.outputs[0])
    proto = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes, "network", graph.inputs, graph.outputs, graph.constants
        ),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
        producer_name="sunhwan",
        producer_version=sunhwan.__version__,
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


def require_onnx() -> None:
    """Raise `UsageError` if the package onnx is not installed."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "to write ONNX the package onnx is needed, which is not installed",
            hint="pip install 'sunhwan[onnx]'",
        ) from error


class _Graph:
    """Nodes and constants, in the order in which they were added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self._layer = ""

    def take(self, tensor: Any) -> str | Lengths:
        """Make an input of a Keras one."""
        if tensor.dtype == "bool":
            self.inputs.append(_value("lengths", "int32", (None,)))
            return Lengths("lengths")
        self.inputs.append(_value(tensor.name, tensor.dtype, tensor.shape))
        return str(tensor.name)

    def give(self, value: str, name: str, tensor: Any) -> None:
        """Make an output of a Keras one."""
        from onnx import helper

        self.outputs.append(_value(name, tensor.dtype, tensor.shape))
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def call(self, operation: Any, *arguments: Any, **options: Any) -> Any:
        """Add the nodes of an operation of Keras; the name of what it gives."""
        kind = type(operation).__name__
        self._layer = operation.name
        if kind not in _NODES:
            raise UsageError(f"layer `{operation.name}` ({kind}) is not exported to ONNX")
        dtype = getattr(operation, "compute_dtype", "float32")
        if dtype != "float32":
            raise UsageError(f"layer `{operation.name}` must be in float32, received {dtype}")
        options.pop("training", None)
        return _NODES[kind](self, operation, *arguments, **options)

    def add(self, kind: str, *inputs: str, place: int = 0, **attributes: Any) -> str:
        """Add a node of whose outputs one is used, the one at `place`; its name."""
        from onnx import helper

        name = f"{self._layer}/{kind}_{len(self.nodes)}"
        outputs = [""] * place + [name]
        self.nodes.append(helper.make_node(kind, list(inputs), outputs, name=name, **attributes))
        return name

    def constant(self, values: Any, dtype: str = "float32") -> str:
        """Add a constant; its name."""
        from onnx import numpy_helper

        name = f"{self._layer}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def reduced(self, kind: str, x: str, axis: int, keepdims: int = 0) -> str:
        """Add ``ReduceSum`` or ``ReduceMax`` over one axis."""
        return self.add(kind, x, self.constant([axis], "int64"), keepdims=keepdims)


def _value(name: str, dtype: str, shape: Sequence[int | None]) -> Any:
    """What ONNX calls a tensor from outside or to it: free axes have names."""
    from onnx import helper

    named = ["batch" if not axis else size or "time" for axis, size in enumerate(shape)]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, kind, named)


def _recurrent(
    graph: _Graph,
    layer: Any,
    x: str,
    initial_state: Sequence[str] | str | None = None,
    mask: Lengths | None = None,
) -> str:
    """Keras has [B, T, D] and one array a direction, ONNX [T, B, D] and all directions in one."""
    layers = [layer]
    if type(layer).__name__ == "Bidirectional":
        if layer.merge_mode != "concat":
            raise UsageError(
                f"layer `{layer.name}` has merge_mode={layer.merge_mode!r}, "
                "and only 'concat' is exported to ONNX"
            )
        layers = [layer.forward_layer, layer.backward_layer]
    node = operator(layers)
    given = [graph.add("Transpose", x, perm=[1, 0, 2]), *map(graph.constant, node.weights)]
    given.append(mask.name if mask else "")
    if initial_state is not None:
        states = [initial_state] if isinstance(initial_state, str) else list(initial_state)
        given += _initial(graph, states, len(layers))
    width = len(layers) * node.attributes["hidden_size"]
    if layers[0].return_sequences:  # [T, directions, B, H]
        steps = graph.add(node.name, *given, **node.attributes)
        steps = graph.add("Transpose", steps, perm=[2, 0, 1, 3])
        return graph.add("Reshape", steps, graph.constant([0, 0, width], "int64"))
    last = graph.add(node.name, *given, place=1, **node.attributes)  # [directions, B, H]
    last = graph.add("Transpose", last, perm=[1, 0, 2])
    return graph.add("Reshape", last, graph.constant([0, width], "int64"))


def _initial(graph: _Graph, states: Sequence[str], directions: int) -> list[str]:
    """``initial_h``, with an LSTM's ``initial_c``: Keras lists all of one direction first."""
    axis = graph.constant([0], "int64")
    apart = [graph.add("Unsqueeze", state, axis) for state in states]
    each = len(states) // directions
    return [graph.add("Concat", *apart[place::each], axis=0) for place in range(each)]


def _pooling(graph: _Graph, layer: Any, x: str, mask: Lengths) -> str:
    """The equations of `sunhwan.layers.pooling.Pooling`."""
    live = _live_steps(graph, x, mask)
    if layer.mode == "max":
        highest = graph.reduced("ReduceMax", _or_lowest(graph, live, x), 1)
        is_any = graph.add("Greater", mask.name, graph.constant(0, "int32"))
        is_any = graph.add("Unsqueeze", is_any, graph.constant([1], "int64"))
        return graph.add("Where", is_any, highest, graph.constant(0))
    weights = graph.add("Cast", live, to=_FLOAT)
    if layer.mode == "attention":
        score = graph.add("MatMul", x, graph.constant(layer.kernel))
        score = graph.add("Tanh", graph.add("Add", score, graph.constant(layer.bias)))
        score = graph.add("MatMul", score, graph.constant(layer.context))
        highest = graph.reduced("ReduceMax", _or_lowest(graph, live, score), 1, keepdims=1)
        score = graph.add("Min", graph.add("Sub", score, highest), graph.constant(0))
        weights = graph.add("Mul", weights, graph.add("Exp", score))
    total = graph.reduced("ReduceSum", weights, 1)
    weighted = graph.reduced("ReduceSum", graph.add("Mul", x, weights), 1)
    return graph.add("Div", weighted, graph.add("Max", total, graph.constant(1e-9)))


def _or_lowest(graph: _Graph, live: str, x: str) -> str:
    return graph.add("Where", live, x, graph.constant(_LOWEST))


def _live_steps(graph: _Graph, x: str, mask: Lengths) -> str:
    """``bool[B, T, 1]``: True for the real steps of ``x[B, T, D]``."""
    steps = graph.add("Squeeze", graph.add("Shape", x, start=1, end=2))
    numbers = graph.add("Range", graph.constant(0, "int64"), steps, graph.constant(1, "int64"))
    numbers = graph.add("Unsqueeze", numbers, graph.constant([1], "int64"))  # [T, 1]
    lengths = graph.add("Cast", mask.name, to=_INT64)
    lengths = graph.add("Unsqueeze", lengths, graph.constant([1, 2], "int64"))  # [B, 1, 1]
    return graph.add("Less", numbers, lengths)


def _not_equal(graph: _Graph, operation: Any, ids: str, other: Any) -> Lengths:
    if not isinstance(other, int) or other != 0:
        raise UsageError(f"`{operation.name}` makes a mask that is not exported: only ids != 0 is")
    padding = graph.add("Equal", ids, graph.constant(0, "int32"))
    live = graph.add("Cast", graph.add("Not", padding), to=_INT32)
    return Lengths(graph.reduced("ReduceSum", live, 1))


def _get_item(graph: _Graph, operation: Any, x: str, key: Any) -> str:
    if not (isinstance(key, tuple) and len(key) == 2 and key[0] is ...):
        raise UsageError(f"`{operation.name}` takes {key!r}, and only [..., n] is exported")
    return graph.add("Gather", x, graph.constant(key[1], "int64"), axis=-1)


def _dense(graph: _Graph, layer: Any, x: str) -> str:
    x = graph.add("MatMul", x, graph.constant(layer.kernel))
    if layer.bias is not None:
        x = graph.add("Add", x, graph.constant(layer.bias))
    return _activation(graph, layer, x)


def _activation(graph: _Graph, layer: Any, x: str) -> str:
    name = getattr(layer.activation, "__name__", str(layer.activation))
    if name not in _ACTIVATIONS:
        raise UsageError(f"layer `{layer.name}` has activation={name}, which is not exported")
    if name == "softmax":
        return graph.add("Softmax", x, axis=-1)
    return graph.add(_ACTIVATIONS[name], x) if _ACTIVATIONS[name] else x


def _rescaling(graph: _Graph, layer: Any, x: str) -> str:
    x = graph.add("Mul", x, graph.constant(layer.scale))
    return graph.add("Add", x, graph.constant(layer.offset))


def _reshape(graph: _Graph, layer: Any, x: str) -> str:
    return graph.add("Reshape", x, graph.constant([0, *layer.target_shape], "int64"))


def _embedding(graph: _Graph, layer: Any, ids: str) -> str:
    return graph.add("Gather", graph.constant(layer.embeddings), ids, axis=0)


def _concatenate(graph: _Graph, layer: Any, parts: Sequence[str]) -> str:
    return graph.add("Concat", *parts, axis=layer.axis)


def _unchanged(graph: _Graph, layer: Any, x: str) -> str:
    """Of layers that do something in training only."""
    return x


_Node = Callable[..., str | Lengths]
#: by the name of a layer or operation: ours bear the names of those they stand for
_NODES: dict[str, _Node] = {
    **dict.fromkeys(("SimpleRNN", "LSTM", "GRU", "Bidirectional"), _recurrent),
    **dict.fromkeys(("Dropout", "IdDropout", "SpatialDropout1D"), _unchanged),
    "Activation": _activation,
    "Concatenate": _concatenate,
    "Dense": _dense,
    "Embedding": _embedding,
    "GetItem": _get_item,
    "NotEqual": _not_equal,
    "Pooling": _pooling,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
}
