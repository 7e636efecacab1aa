"""Names of Keras 1 and 2 that Keras 3 no longer has, and what to use instead."""

from __future__ import annotations

_FAST = "it takes its fast path by itself"
_WORDS = "rank words with `sunhwan.data.rank_words` and `sunhwan.data.look_up_words`"
_HERE = "import the layer from `sunhwan.keras.layers`"

#: place below `sunhwan.keras`: what to do instead
GONE = {
    "engine": "import `Layer` and `Model` from `sunhwan.keras`",
    "layers.CuDNNGRU": f"use GRU, `sunhwan.keras.layers.GRU`; {_FAST}",
    "layers.CuDNNLSTM": f"use LSTM, `sunhwan.keras.layers.LSTM`; {_FAST}",
    "layers.LocallyConnected1D": "use `sunhwan.keras.layers.Conv1D`",
    "layers.LocallyConnected2D": "use `sunhwan.keras.layers.Conv2D`",
    "layers.ThresholdedReLU": "use `sunhwan.keras.layers.ReLU` with `threshold`",
    "layers.TimeDistributedDense": "use `sunhwan.keras.layers.Dense`, which works on every step",
    "layers.advanced_activations": _HERE,
    "layers.convolutional": _HERE,
    "layers.core": _HERE,
    "layers.embeddings": _HERE,
    "layers.experimental": _HERE,
    "layers.merge": _HERE,
    "layers.normalization": _HERE,
    "layers.recurrent": _HERE,
    "layers.recurrent_v2": _HERE,
    "layers.wrappers": _HERE,
    "preprocessing.sequence.TimeseriesGenerator": (
        "cut windows with `numpy.lib.stride_tricks.sliding_window_view`"
    ),
    "preprocessing.text": _WORDS,
    "preprocessing.text_dataset": _WORDS,
    "utils.np_utils": "import `to_categorical` from `sunhwan.keras.utils`",
    "wrappers.scikit_learn": (
        "use `SKLearnClassifier` or `SKLearnRegressor` of `sunhwan.keras.wrappers`"
    ),
}


def sentence(place: str) -> str:
    """What to tell somebody who asks for a name in `GONE`.

    Examples
    --------
    >>> sentence("utils.np_utils").partition(";")[0]
    '`sunhwan.keras.utils.np_utils` is gone since Keras 3'
    """
    return f"`sunhwan.keras.{place}` is gone since Keras 3; {GONE[place]}"


def missing(module: str, name: str) -> AttributeError:
    """The error for an attribute that `module`, a mirror written here, does not have."""
    place = f"{module}.{name}".removeprefix("sunhwan.keras.")
    if place in GONE:
        return AttributeError(sentence(place), name=name)
    return AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
