"""Keras's own recurrent layers on the cases of `cases`: outputs, states and gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np

import cases

#: compiling costs far more than running such small cases, so XLA is told not to optimize
_QUICK = {"xla_backend_optimization_level": 0}


def layer(case: cases.Case) -> keras.layers.RNN:
    """Return the stock layer with the options of a case."""
    cell = case.cell
    options: dict[str, Any] = {
        "units": case.H,
        "kernel_initializer": "zeros",  # never used, and quick to make
        "recurrent_initializer": "zeros",
        "activation": cell.activation,
        "use_bias": case.use_bias,
        "return_sequences": case.return_sequences,
        "return_state": case.return_state,
        "go_backwards": case.go_backwards,
        # Keras documents that the option needs return_sequences; on JAX it does not look
        "zero_output_for_mask": case.zero_output_for_mask and case.return_sequences,
    }
    if cell.kind == "simple_rnn":
        return keras.layers.SimpleRNN(**options)
    options["recurrent_activation"] = cell.recurrent_activation
    if cell.kind == "lstm":
        return keras.layers.LSTM(**options)
    return keras.layers.GRU(**options, reset_after=cell.reset_after)


def _named(case: cases.Case, returned: Any) -> cases.Results:
    """Return what a layer returned by the names of `cases.expected`."""
    outputs, *states = returned if case.return_state else (returned,)
    results = {"outputs": np.asarray(outputs)}
    return results | {f"states[{n}]": np.asarray(state) for n, state in enumerate(states)}


def _named_gradients(d_weights: Any, d_x: Any, d_state: Any) -> cases.Results:
    """Return gradients by the names of `cases.expected`."""
    names = ("d_kernel", "d_recurrent_kernel", "d_bias")  # without a bias the last has no partner
    results = {name: np.asarray(d) for name, d in zip(names, d_weights, strict=False)}
    results |= {f"d_initial_state[{n}]": np.asarray(d) for n, d in enumerate(d_state or ())}
    return results | {"d_x": np.asarray(d_x)}


def _function(case: cases.Case, given: cases.Arrays) -> Callable[[Any, Any, Any], Any]:
    """Return the layer as a function of its weights, inputs and initial state."""
    stock = layer(case)
    stock.build(given.x.shape)
    fixed = [variable.value for variable in stock.non_trainable_variables]

    def call(weights: Any, x: Any, initial_state: Any) -> Any:
        options = {"initial_state": initial_state, "mask": given.mask}
        return stock.stateless_call(weights, fixed, x, **options)[0]

    return call


def results(batch: Sequence[tuple[cases.Case, cases.Arrays]]) -> list[cases.Results]:
    """Return what `cases.expected` returns for each case, from the stock layers and `jax.vjp`.

    All are compiled as one program, which takes a fifth of the time of one by one.
    """
    functions = [_function(case, given) for case, given in batch]
    arguments, upstream = [], []
    for _, given in batch:
        weights = [given.kernel, given.recurrent_kernel]
        weights += [] if given.bias is None else [given.bias]
        state = None if given.initial_state is None else list(given.initial_state)
        arguments.append((weights, given.x, state))
        back = given.d_outputs if given.d_states is None else (given.d_outputs, *given.d_states)
        upstream.append(back)

    def call(arguments: Any) -> Any:
        return [call(*each) for call, each in zip(functions, arguments, strict=True)]

    def call_and_back(arguments: Any, upstream: Any) -> Any:
        returned, back = jax.vjp(call, arguments)
        return returned, back(upstream)[0]

    returned, gradients = jax.jit(call_and_back, compiler_options=_QUICK)(arguments, upstream)
    return [
        _named(case, outputs) | _named_gradients(*back)
        for (case, _), outputs, back in zip(batch, returned, gradients, strict=True)
    ]
