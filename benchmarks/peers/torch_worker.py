"""A peer on PyTorch's own modules.

Run as ``python -m benchmarks.peers.torch_worker padded`` or ``… packed``: where rows have unequal
lengths, every step of the padded rows is computed and the last real one taken, or they are packed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from benchmarks.peers.worker import Arrays, serve, weights
from torch import nn

_MODULES = {"lstm": nn.LSTM, "gru": nn.GRU, "simple_rnn": nn.RNN}
#: the blocks of PyTorch's gates in terms of Keras's: GRU has r, z, n there and z, r, h here
_BLOCKS = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "simple_rnn": (0,)}
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "sigmoid": torch.sigmoid,
    "swish": nn.functional.silu,
    # its loss takes the logarithm of the softmax, which is what one writes in PyTorch
    "softmax": lambda x: x,
}
_LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "binary_crossentropy": nn.functional.binary_cross_entropy,
    "sparse_categorical_crossentropy": nn.functional.cross_entropy,
    "mse": nn.functional.mse_loss,
}


class Network(nn.Module):
    """The model of a description, its weights taken from Keras's."""

    def __init__(self, plan: dict[str, Any], values: list[Any], is_packed: bool) -> None:
        super().__init__()
        self._layers, self._is_packed = plan["layers"], is_packed
        self.parts = nn.ModuleList()
        left = iter(values)
        for layer in self._layers:
            self.parts.append(_module(layer, left))

    def forward(self, x: Any, lengths: Any = None) -> Any:
        """The answer; rows with `lengths` begin with their real steps."""
        for layer, part in zip(self._layers, self.parts, strict=True):
            if "sequences" in layer:
                x = self._recurrent(layer, part, x, lengths)
            elif layer["kind"] == "dense":
                x = _ACTIVATIONS[layer["activation"]](part(x))
            else:
                x = part(x)
        return x

    def _recurrent(self, layer: dict[str, Any], part: Any, x: Any, lengths: Any) -> Any:
        if lengths is not None and self._is_packed:
            x = nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
        y, state = part(x)
        if layer["sequences"]:
            return y
        if lengths is not None and not self._is_packed:
            return y[torch.arange(len(y)), lengths - 1]
        last = state[0] if isinstance(state, tuple) else state  # [directions, B, H]
        return last.transpose(0, 1).flatten(1)


def _module(layer: dict[str, Any], left: Iterator[Any]) -> nn.Module:
    match layer["kind"]:
        case "embedding":
            return nn.Embedding.from_pretrained(_tensor(next(left)), freeze=False)
        case "flatten":
            return nn.Flatten()
        case "dense":
            kernel, bias = next(left), next(left)
            dense = nn.Linear(*kernel.shape)
            dense.load_state_dict({"weight": _tensor(kernel.T), "bias": _tensor(bias)})
            return dense
        case kind:
            return _recurrent_module(layer, layer.get("cell", kind), left)


def _recurrent_module(layer: dict[str, Any], kind: str, left: Iterator[Any]) -> nn.Module:
    directions = ("", "_reverse") if layer["kind"] == "bidirectional" else ("",)
    state, width = {}, 0
    for end in directions:
        kernel, recurrent, bias = next(left), next(left), next(left)
        width = kernel.shape[0]
        # Keras has a second bias where PyTorch's matters, in a GRU; elsewhere it is zero
        second = bias[1] if bias.ndim == 2 else np.zeros_like(bias)
        first = bias[0] if bias.ndim == 2 else bias
        arrays = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": first}
        arrays["bias_hh"] = second
        for name, array in arrays.items():
            state[f"{name}_l0{end}"] = _tensor(_gates(kind, array))
    module = _MODULES[kind](
        width, layer["units"], batch_first=True, bidirectional=len(directions) == 2
    )
    module.load_state_dict(state)
    return module


def _gates(kind: str, array: Any) -> Any:
    """The first axis of an array, all gates in a row, in PyTorch's order; its own inverse."""
    blocks = np.split(array, len(_BLOCKS[kind]))
    return np.concatenate([blocks[place] for place in _BLOCKS[kind]])


def _tensor(array: Any) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


class TorchWorker:
    """Models of PyTorch's modules and the loop that one writes for them."""

    def __init__(self, is_packed: bool) -> None:
        self._is_packed = is_packed
        self._run: Callable[[int], Any] = lambda steps: None

    def versions(self) -> dict[str, str]:
        """Of PyTorch and NumPy."""
        return {name: version(name) for name in ("torch", "numpy")}

    def wake(self) -> None:
        """As `benchmarks.peers.worker.Worker.wake`."""
        model, ones = nn.Linear(64, 64), torch.ones(64, 64)
        for kind in (torch.optim.Adam, torch.optim.RMSprop):
            optimizer = kind(model.parameters(), lr=0.0)
            model(ones).sum().backward()
            optimizer.step()

    def prepare(self, plan: dict[str, Any], arrays: Arrays) -> Arrays:
        """As `benchmarks.peers.worker.Worker.prepare`."""
        model = Network(plan, weights(arrays), self._is_packed)
        if plan["task"] == "layer":
            return self._prepare_layer(plan["layers"][0]["kind"], model, arrays)
        x, lengths = arrays["x"], arrays.get("lengths")
        if lengths is not None:
            x = np.stack([np.roll(row, n) for row, n in zip(x, lengths, strict=True)])
            lengths = torch.from_numpy(lengths)
        x = torch.from_numpy(x)
        if plan["task"] == "fit":
            return self._prepare_fit(plan, model, x, torch.from_numpy(arrays["y"]), lengths)
        model.eval()
        is_softmax = plan["layers"][-1].get("activation") == "softmax"

        def infer() -> Any:
            with torch.inference_mode():
                y = model(x, lengths)
                return (torch.softmax(y, -1) if is_softmax else y).numpy()

        self._run = lambda steps: _repeat(steps, infer)
        return {"output": infer()}

    def run(self, steps: int) -> None:
        """As `benchmarks.peers.worker.Worker.run`."""
        self._run(steps)

    def _prepare_fit(
        self, plan: dict[str, Any], model: Any, x: Any, y: Any, lengths: Any
    ) -> Arrays:
        batch, loss_of = plan["batch"], _LOSSES[plan["loss"]]
        # the settings of Keras's optimizers
        if plan["optimizer"] == "adam":
            optimizer: Any = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7)
        else:
            optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)

        def fit(steps: int) -> float:
            order = torch.randperm(steps * batch)
            total = torch.zeros(())
            for rows in order.split(batch):
                optimizer.zero_grad()
                answer = model(x[rows], None if lengths is None else lengths[rows])
                loss = loss_of(answer, y[rows])
                loss.backward()
                optimizer.step()
                total += loss.detach()
            return total.item() / steps

        self._run = fit
        return {"loss": np.asarray(fit(1))}

    def _prepare_layer(self, kind: str, model: Any, arrays: Arrays) -> Arrays:
        x, r = torch.from_numpy(arrays["x"]).requires_grad_(), torch.from_numpy(arrays["r"])
        values = list(model.parameters())

        def step() -> Any:
            loss = (model(x) * r).sum()
            return loss, torch.autograd.grad(loss, [x, *values])

        self._run = lambda steps: _repeat(steps, step)
        loss, (dx, dkernel, drecurrent, *_) = step()
        found = {"loss": loss.detach().numpy(), "dx": dx.numpy()}
        found["dkernel"] = _gates(kind, dkernel.numpy()).T
        found["drecurrent"] = _gates(kind, drecurrent.numpy()).T
        return found


def _repeat(steps: int, step: Callable[[], Any]) -> None:
    for _ in range(steps):
        step()


if __name__ == "__main__":
    if sys.argv[1:] not in (["padded"], ["packed"]):
        raise SystemExit("torch_worker takes `padded` or `packed`")
    serve(TorchWorker(sys.argv[1:] == ["packed"]))
