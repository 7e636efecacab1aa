"""The layers of a model as rows of a table."""

from __future__ import annotations

from typing import Any


def layer_table(model: Any) -> list[dict[str, Any]]:
    """``layer``, ``type``, ``output`` (``None`` is the batch) and ``parameters`` of each."""
    return [
        {
            "layer": layer.name,
            "type": type(layer).__name__,
            "output": list(layer.output.shape),
            "parameters": int(layer.count_params()),
        }
        for layer in model.layers
    ]
