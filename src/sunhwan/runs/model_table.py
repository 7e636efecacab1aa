"""The layers of a model as rows of a table."""

from __future__ import annotations

from typing import Any


def layer_table(model: Any) -> list[dict[str, Any]]:
    """``layer``, ``type``, ``output`` (``None`` is the batch) and ``parameters`` of each.

    Of a layer that gives its states too, `output` is without them.
    """
    return [
        {
            "layer": layer.name,
            "type": type(layer).__name__,
            "output": list(_output(layer).shape),
            "parameters": int(layer.count_params()),
        }
        for layer in model.layers
    ]


def _output(layer: Any) -> Any:
    return layer.output[0] if isinstance(layer.output, list | tuple) else layer.output
