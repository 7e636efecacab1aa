"""`sunhwan.explain`: which way every recurrent layer of a model takes, and what decides it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from sunhwan.layers import paths
from sunhwan.layers.call_checks import check_is_layer
from sunhwan.layers.embedding import Embedding
from sunhwan.layers.recurrent import FusedLoop

_STOCK = (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU)


@dataclass(frozen=True)
class Explanation:
    """One layer: its name, the kernel it runs in, and the reason if that is not a fused one.

    `derivatives` tells which of its derivatives run there too.

    Examples
    --------
    >>> print(Explanation("memory", "LSTM", "fused avx512", "", True).derivatives)
    gradients by kernel; forward mode and second derivatives in plain JAX
    """

    layer: str
    kind: str
    kernel: str
    reason: str
    is_fused: bool

    @property
    def derivatives(self) -> str:
        """In which way the layer is differentiated."""
        if not self.is_fused:
            return "all by JAX, as the layer itself"
        if self.kind == Embedding.__name__:
            return "all by kernel: the layer is linear in its table"
        return "gradients by kernel; forward mode and second derivatives in plain JAX"

    def __str__(self) -> str:
        text = f"{self.layer} ({self.kind}): {self.kernel}"
        return f"{text}, because {self.reason}" if self.reason else text


def explain(model: Any, strict: bool = False) -> list[Explanation]:
    """Return one `Explanation` for each embedding and recurrent layer of a model, or of a layer.

    Parameters
    ----------
    model
        A Keras model or layer.
    strict
        If True, a layer that does not run in a kernel of ours while training is an error.

    Raises
    ------
    UsageError
        If ``model`` is neither.
    KernelError
        With ``strict``, naming the first such layer and the option that decided it.

    Examples
    --------
    >>> from sunhwan.layers import LSTM
    >>> [line] = explain(LSTM(8, activation="gelu", name="memory"))
    >>> print(line)
    memory (LSTM): Keras's own loop, because activation=gelu has no kernel
    """
    check_is_layer(model)
    found = []
    for layer in _layers_of(model):
        path = _path_of(layer)
        if strict:
            paths.require_fused(layer.name, path)
        kernel = path.kernel + (f", {path.note}" if path.note else "")
        kind = type(layer).__name__
        found.append(Explanation(layer.name, kind, kernel, path.reason, path.is_fused))
    return found


def _layers_of(model: Any) -> Iterator[Any]:
    for layer in model._flatten_layers():
        if isinstance(layer, (keras.layers.RNN, keras.layers.Embedding)):
            yield layer


def _path_of(layer: Any) -> paths.Path:
    kind = type(layer).__name__
    if isinstance(layer, FusedLoop):
        return paths.of_layer(layer)
    if isinstance(layer, Embedding):
        return paths.of_table(layer)
    if isinstance(layer, (*_STOCK, keras.layers.Embedding)):
        return paths.Path("Keras's own", f"it is keras.layers.{kind}, not sunhwan.layers.{kind}")
    return paths.Path(paths.KERAS_LOOP, f"cell={type(layer.cell).__name__} has no kernel")
