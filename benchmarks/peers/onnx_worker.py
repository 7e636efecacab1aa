"""A peer on ONNX Runtime, which answers and does not train; its graph is written here.

Run as ``python -m benchmarks.peers.onnx_worker``. Rows with lengths begin with their real steps,
and ONNX's operators take those lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx
import onnxruntime
from benchmarks.peers.worker import Arrays, serve, weights
from onnx import helper, numpy_helper

_OPSET, _IR_VERSION = 18, 8
_OPERATORS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN"}
#: ONNX's order of gates, as places in Keras's: LSTM i o f c, GRU z r h
_BLOCKS = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2), "simple_rnn": (0,)}


class Graph:
    """The nodes of a model, in order, and its weights."""

    def __init__(self, plan: dict[str, Any], values: list[Any], has_lengths: bool) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._lengths = "lengths" if has_lengths else ""
        left, x = iter(values), "x"
        for layer in plan["layers"]:
            x = self._layer(layer, x, left)
        kind = np.int32 if plan["layers"][0]["kind"] == "embedding" else np.float32
        inputs = [("x", kind, ["batch", *plan["shape"]])]
        inputs += [("lengths", np.int32, ["batch"])] if has_lengths else []
        graph = helper.make_graph(
            [*self.nodes, helper.make_node("Identity", [x], ["y"])],
            plan["name"],
            [_value(*given) for given in inputs],
            [_value("y", np.float32, ["batch", plan["layers"][-1]["units"]])],
            self.constants,
        )
        opset = helper.make_opsetid("", _OPSET)
        self.model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        onnx.checker.check_model(self.model, full_check=True)

    def _add(self, kind: str, *inputs: str, place: int = 0, **attributes: Any) -> str:
        """Add a node of whose outputs the one at `place` is used; its name."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [""] * place + [name], **attributes))
        return name

    def _constant(self, array: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def _layer(self, layer: dict[str, Any], x: str, left: Iterator[Any]) -> str:
        match layer["kind"]:
            case "embedding":
                return self._add("Gather", self._constant(next(left)), x)
            case "flatten":
                return self._add("Flatten", x)
            case "dense":
                x = self._add("MatMul", x, self._constant(next(left)))
                return self._activation(
                    layer["activation"], self._add("Add", x, self._constant(next(left)))
                )
            case kind:
                return self._recurrent(layer, layer.get("cell", kind), x, left)

    def _activation(self, name: str, x: str) -> str:
        match name:
            case "linear":
                return x
            case "swish":
                return self._add("Mul", x, self._add("Sigmoid", x))
            case _:
                return self._add(name.capitalize(), x)

    def _recurrent(self, layer: dict[str, Any], kind: str, x: str, left: Iterator[Any]) -> str:
        directions = 2 if layer["kind"] == "bidirectional" else 1
        each = [_weights(kind, next(left), next(left), next(left)) for _ in range(directions)]
        given = [self._constant(np.stack(arrays)) for arrays in zip(*each, strict=True)]
        attributes: dict[str, Any] = {"hidden_size": layer["units"]}
        attributes["direction"] = "bidirectional" if directions == 2 else "forward"
        if kind == "gru":
            attributes["linear_before_reset"] = 1
        x = self._add("Transpose", x, perm=[1, 0, 2])
        arguments = (_OPERATORS[kind], x, *given, self._lengths)
        width = directions * layer["units"]
        if layer["sequences"]:  # [T, directions, B, H]
            steps = self._add(*arguments, **attributes)
            steps = self._add("Transpose", steps, perm=[2, 0, 1, 3])
            return self._add("Reshape", steps, self._constant(np.array([0, 0, width])))
        last = self._add(*arguments, place=1, **attributes)  # [directions, B, H]
        last = self._add("Transpose", last, perm=[1, 0, 2])
        return self._add("Reshape", last, self._constant(np.array([0, width])))


def _weights(kind: str, kernel: Any, recurrent: Any, bias: Any) -> tuple[Any, Any, Any]:
    """W, R and B of one direction, with ONNX's order of gates and its two biases."""
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    first, second = (_gates(kind, part) for part in both)
    return _gates(kind, kernel.T), _gates(kind, recurrent.T), np.concatenate([first, second])


def _gates(kind: str, array: Any) -> Any:
    """The first axis of an array, all gates in a row, in ONNX's order."""
    blocks = np.split(array, len(_BLOCKS[kind]))
    return np.concatenate([blocks[place] for place in _BLOCKS[kind]])


def _value(name: str, dtype: Any, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )


class OnnxWorker:
    """Sessions of ONNX Runtime as they come, with no option set."""

    def __init__(self) -> None:
        self._infer: Callable[[], Any] = lambda: None

    def versions(self) -> dict[str, str]:
        """Of ONNX Runtime, ONNX and NumPy."""
        return {name: version(name) for name in ("onnxruntime", "onnx", "numpy")}

    def wake(self) -> None:
        """Nothing: it does not train, and a session has threads of its own."""

    def prepare(self, plan: dict[str, Any], arrays: Arrays) -> Arrays:
        """As `benchmarks.peers.worker.Worker.prepare`; for the task ``infer`` only."""
        if plan["task"] != "infer":
            raise ValueError(f"ONNX Runtime cannot do the task `{plan['task']}`")
        lengths = arrays.get("lengths")
        graph = Graph(plan, weights(arrays), lengths is not None)
        session = onnxruntime.InferenceSession(
            graph.model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        given = {"x": arrays["x"]}
        if lengths is not None:
            rows = zip(arrays["x"], lengths, strict=True)
            given = {"x": np.stack([np.roll(row, n) for row, n in rows])}
            given["lengths"] = lengths.astype(np.int32)
        self._infer = lambda: session.run(None, given)[0]
        return {"output": self._infer()}

    def run(self, steps: int) -> None:
        """As `benchmarks.peers.worker.Worker.run`."""
        for _ in range(steps):
            self._infer()


if __name__ == "__main__":
    serve(OnnxWorker())
