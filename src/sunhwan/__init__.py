"""Recurrent networks that are fast on the machine you have and easy on the data you have.

>>> import sunhwan
>>> from sunhwan.layers import LSTM              # in place of keras.layers.LSTM
>>> [line.is_fused for line in sunhwan.explain(LSTM(32, activation="selu"))]
[False]
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

# Public name -> the module that holds it (the module itself where they are the same). Loaded on
# first use, so that `sunhwan --help` need not wait for JAX.
_HOMES = {
    "Classifier": "sunhwan.tasks.estimators",
    "Regressor": "sunhwan.tasks.estimators",
    "Forecaster": "sunhwan.tasks.forecaster",
    "Tagger": "sunhwan.tasks.estimators",
    "TextGenerator": "sunhwan.tasks.text_generator",
    "Translator": "sunhwan.tasks.translator",
    "Captioner": "sunhwan.tasks.captioner",
    "datasets": "sunhwan.data.datasets",
    "draw": "sunhwan.insight.drawing",
    "engine": "sunhwan.engine",
    "explain": "sunhwan.layers",
    "export": "sunhwan.tasks.exporting",
    "insight": "sunhwan.insight",
    "layers": "sunhwan.layers",
    "keras": "sunhwan.keras",
    "load": "sunhwan.tasks.estimators",
    "stream": "sunhwan.layers",
    "trace": "sunhwan.layers",
}
__all__ = ["__version__", *_HOMES]


def _default_to_jax() -> None:
    """Choose JAX where the user has not chosen.

    Keras writes ``keras.json`` with ``tensorflow`` in it on its very first import, whatever runs,
    so the file is a choice only where the backend it names is installed.
    """
    if "keras" in sys.modules:
        return
    file = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        chosen = json.loads(file.read_text("utf-8")).get("backend", "jax")
    except (OSError, ValueError, AttributeError):
        chosen = "jax"
    if importlib.util.find_spec(str(chosen)) is None:
        chosen = "jax"
    os.environ.setdefault("KERAS_BACKEND", str(chosen))


_default_to_jax()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sunhwan' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    if name == _HOMES[name].rpartition(".")[2]:
        return home
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
