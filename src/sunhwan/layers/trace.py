"""`sunhwan.trace`: the states and gates of every step, which Keras's layers do not give."""

from __future__ import annotations

from typing import Any

from sunhwan import engine
from sunhwan.errors import UsageError
from sunhwan.layers.call_checks import check_is_layer
from sunhwan.layers.watching import watching


def trace(model: Any, x: Any, **options: Any) -> dict[str, engine.Trace]:
    """Return states and gates of all steps of each recurrent layer, by the layer's name.

    The model is called once, as in inference. Layers run in plain JAX for it, so it is slow beside
    a call, and all of JAX's transformations work on what comes out: a loss may use gates or cells.
    The states alone a layer gives by kernel, with ``return_state_sequences=True``.

    Parameters
    ----------
    model
        A Keras model with layers of ours, or one such layer. The two directions of a
        `Bidirectional` have names of their own, ``forward_...`` and ``backward_...``.
    x
        What the model takes.
    options
        Of the call, such as ``mask`` or ``initial_state``.

    Returns
    -------
    dict
        For each layer ``states``, ``(h,)`` or ``(h, c)``, and ``gates`` by name, behind their
        functions, ``float32[B, T, H]`` each in the order of the input, and the ``last`` states,
        ``float32[B, H]``. Of a layer that is called several times it is the last call.

    Raises
    ------
    UsageError
        If the model has no recurrent layer of ours, or one has an option without a kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from sunhwan.layers import LSTM
    >>> found = trace(LSTM(4, name="memory"), np.ones((2, 5, 3), "float32"))["memory"]
    >>> h, c = found.states
    >>> c.shape, list(found.gates), found.gates["f"].shape
    ((2, 5, 4), ['i', 'f', 'c', 'o'], (2, 5, 4))
    """
    check_is_layer(model)
    with watching() as watch:
        model(x, training=False, **options)
    found = {
        layer.name: watch.traces[id(layer)][0]
        for layer in model._flatten_layers()
        if id(layer) in watch.traces
    }
    if not found:
        raise UsageError(
            f"`{model.name}` has no recurrent layer of sunhwan to trace",
            hint="use sunhwan.layers.LSTM, GRU or SimpleRNN in place of Keras's",
        )
    return found
