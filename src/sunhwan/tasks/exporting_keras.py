"""A network as a Keras model of stock layers: its file opens where only Keras is installed."""

from __future__ import annotations

from typing import Any

from sunhwan.errors import UsageError
from sunhwan.layers.id_dropout import IdDropout
from sunhwan.layers.pooling import Pooling


def stock_model(model: Any) -> Any:
    """A functional model with the same weights, names and numbers, and no layer of ours.

    Recurrent layers and tables become those of Keras by the same name; pooling becomes operations,
    which Keras writes into the file as such; `IdDropout`, which acts in training only, is left out.

    Parameters
    ----------
    model
        A functional `keras.Model`, as `Network.build` makes it.

    Raises
    ------
    UsageError
        A layer of ours that has no counterpart.

    Examples
    --------
    >>> import keras
    >>> from sunhwan.layers import LSTM
    >>> given = keras.Input((None, 2))
    >>> model = stock_model(keras.Model(given, LSTM(3, name="lstm")(given)))
    >>> type(model.get_layer("lstm")).__module__.partition(".")[0]
    'keras'
    """
    import keras

    stock = keras.models.clone_model(model, clone_function=_cloned, call_function=_called)
    for layer in model.layers:
        if isinstance(layer, Pooling):
            _put_scores(layer, stock)
        elif layer.weights:
            stock.get_layer(layer.name).set_weights(layer.get_weights())
    return stock


def _cloned(operation: Any) -> Any:
    """The same operation, or a layer of Keras with the arguments of one of ours."""
    import keras

    if isinstance(operation, Pooling | IdDropout):
        return operation
    described = keras.saving.serialize_keras_object(operation)
    return keras.saving.deserialize_keras_object(_renamed(described, operation.name))


def _renamed(value: Any, layer: str) -> Any:
    """What Keras wrote of a layer, with the names of our layers, inner ones too, as Keras's."""
    import keras

    if isinstance(value, list | tuple):
        return [_renamed(item, layer) for item in value]
    if not isinstance(value, dict):
        return value
    value = {key: _renamed(item, layer) for key, item in value.items()}
    if str(value.get("registered_name")).startswith("sunhwan>"):
        if not hasattr(keras.layers, value["class_name"]):
            raise UsageError(f"layer `{layer}` ({value['class_name']}) has no counterpart in Keras")
        value |= {"module": "keras.layers", "registered_name": None}
    return value


def _called(operation: Any, *arguments: Any, **options: Any) -> Any:
    """What an operation of the clone gives for symbolic tensors."""
    if isinstance(operation, IdDropout):
        return arguments[0]
    if not isinstance(operation, Pooling):
        return operation(*arguments, **options)
    if operation.mode == "attention":
        return _attention(operation.name, *arguments, **options)
    # no weights: its own lines, traced as operations
    return operation.call(*arguments, **options)


def _attention(name: str, x: Any, mask: Any) -> Any:
    """The equations of `Pooling`, with its weights in two layers of Keras."""
    import keras

    ops = keras.ops
    live = ops.expand_dims(mask, -1)
    hidden, scores = _score_names(name)
    score = keras.layers.Dense(x.shape[-1], activation="tanh", name=hidden)(x)
    score = keras.layers.Dense(1, use_bias=False, name=scores)(score)
    score = score - ops.max(ops.where(live, score, -1e9), axis=1, keepdims=True)
    weights = ops.cast(live, x.dtype) * ops.exp(ops.minimum(score, 0.0))
    total = ops.sum(weights, axis=1)
    return ops.sum(x * weights, axis=1) / ops.maximum(total, 1e-9)


def _put_scores(layer: Any, stock: Any) -> None:
    if layer.mode == "attention":
        hidden, scores = _score_names(layer.name)
        *both, context = layer.get_weights()
        stock.get_layer(hidden).set_weights(both)
        stock.get_layer(scores).set_weights([context])


def _score_names(name: str) -> tuple[str, str]:
    return f"{name}_hidden", f"{name}_scores"
