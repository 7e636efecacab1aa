"""What our layers can do beside Keras's: zoneout, peepholes, normalisation, resets; and dropout."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras

from sunhwan import engine
from sunhwan.errors import UsageError
from sunhwan.layers.paths import Path, kind_of

#: the ``reset`` of the layer that is being called: Keras's `RNN.call` knows no such argument
_RESET: ContextVar[Any] = ContextVar("_RESET", default=None)


def zoneout_rates(zoneout: Any, states: int, where: str) -> tuple[float, ...]:
    """Return the probability of zoneout for each of ``states`` states.

    Raises
    ------
    UsageError
        If ``zoneout`` is not a probability below 1, or for two states a pair of them.

    Examples
    --------
    >>> zoneout_rates(0.1, 2, "layer `memory`"), zoneout_rates((0.05, 0.5), 2, "layer `memory`")
    ((0.1, 0.1), (0.05, 0.5))
    """
    rates = tuple(zoneout) if isinstance(zoneout, (tuple, list)) else (zoneout,) * states
    fits = len(rates) == states and (states == 2 or not isinstance(zoneout, (tuple, list)))
    if not fits or not all(isinstance(r, numbers.Real) and 0 <= float(r) < 1 for r in rates):
        pair = ", or a pair (h, c) of such" if states == 2 else ""
        raise UsageError(
            f"`zoneout` of {where} must be a probability, at least 0 and below 1{pair}, "
            f"received {zoneout!r}"
        )
    return tuple(map(float, rates))


def checked_norm_epsilon(layer: Any, epsilon: Any) -> float:
    """Return the ``norm_epsilon`` of a layer with ``use_layer_norm``.

    Raises
    ------
    UsageError
        If it is no number above 0, or the layer is a GRU that resets before the product.

    Examples
    --------
    >>> checked_norm_epsilon(keras.layers.GRU(3), 1e-3)
    0.001
    """
    is_number = isinstance(epsilon, numbers.Real) and not isinstance(epsilon, bool)
    if not is_number or not 0 < float(epsilon) < 1e30:
        raise UsageError(
            f"`norm_epsilon` of layer `{layer.name}` must be a number above 0, received {epsilon!r}"
        )
    if not getattr(layer.cell, "reset_after", True):
        raise UsageError(
            f"layer `{layer.name}` cannot have `use_layer_norm` with reset_after=False: its sums "
            "are normalised before the reset gate multiplies them",
            hint="use reset_after=True",
        )
    return float(epsilon)


def add_norm_weights(layer: Any) -> None:
    """Give a layer that is being built the weights of layer normalisation: none is drawn."""
    cell = engine.Cell(kind_of(layer.cell), norm_epsilon=layer.norm_epsilon)
    shape = cell.norm_shapes(layer.units)["norm"]
    layer.norm_gain = layer.add_weight(shape=shape, name="norm_gain", initializer="ones")
    if cell.kind == "lstm":
        of_units = (layer.units,)
        layer.cell_gain = layer.add_weight(of_units, name="cell_gain", initializer="ones")
        layer.cell_offset = layer.add_weight(of_units, name="cell_offset", initializer="zeros")


def norm_weights(layer: Any) -> dict[str, Any]:
    """Return what `sunhwan.engine.Run` takes for layer normalisation: nothing without it."""
    if getattr(layer, "norm_gain", None) is None:
        return {}
    found = {"norm": layer.norm_gain}
    if hasattr(layer, "cell_gain"):
        found["norm_cell"] = keras.ops.stack([layer.cell_gain, layer.cell_offset])
    return found


@contextlib.contextmanager
def resetting(reset: Any) -> Iterator[None]:
    """Within, `reset_of_call` gives ``reset`` as ``bool[B, T]``, or None."""
    if reset is not None:
        reset = keras.ops.cast(keras.ops.convert_to_tensor(reset), "bool")
    before = _RESET.set(reset)
    try:
        yield
    finally:
        _RESET.reset(before)


def reset_of_call() -> Any:
    """Return the ``reset`` of the layer that is being called."""
    return _RESET.get()


def require_engine(layer: Any, path: Path) -> None:
    """Raise `UsageError` if a layer asks for what Keras's own loop, which runs it, cannot do."""
    asked = {
        "zoneout": any(layer.zoneout_rates),
        "use_peephole": getattr(layer, "use_peephole", False),
        "use_layer_norm": layer.use_layer_norm,
        "return_state_sequences": layer.return_state_sequences,
        "reset": reset_of_call() is not None,
    }
    names = [f"`{name}`" for name, is_asked in asked.items() if is_asked]
    if names:
        raise UsageError(
            f"layer `{layer.name}` cannot have {' and '.join(names)} in {path.kernel}, "
            f"where it runs because {path.reason}",
            hint=f"leave out {' and '.join(names)}, or change what keeps the layer there",
        )


def drops_outside(cell: Any) -> bool:
    """Tell whether dropout multiplies a cell's input before the gates: one mask for all of them."""
    return bool(cell.dropout) and getattr(cell, "implementation", 2) != 1


def in_training(cell: Any, sequences: Any, initial_state: Any, zones_out: bool) -> dict[str, Any]:
    """Return what `sunhwan.engine.Run` takes for dropout and zoneout in a step of training.

    All is drawn from the cell's own generator: first the masks, in Keras's order, so that they are
    those of its own layer with the same seed, then the keys of zoneout.
    """
    first_state = keras.tree.flatten(initial_state)[0]
    of_input = cell.get_dropout_mask(sequences[:, 0, :])
    of_state = cell.get_recurrent_dropout_mask(first_state)
    found: dict[str, Any] = {}
    if not drops_outside(cell):
        found["input_scale"] = _by_gate(of_input, cell.dropout)
    found["state_scale"] = _by_gate(of_state, cell.recurrent_dropout)
    if zones_out:
        rows = keras.ops.shape(sequences)[0]
        keys = keras.random.randint((rows, 2), 0, 2**31 - 1, seed=cell.seed_generator)
        found["noise"] = keras.ops.cast(keys, "uint32")
    return found


def _by_gate(masks: Any, rate: float) -> Any:
    """Return Keras's masks as ``[B, G, ...]``, or None where its cell would not use them."""
    if isinstance(masks, list):
        # Keras's LSTM and GRU take a rate of 1 for none
        return keras.ops.stack(masks, axis=1) if rate < 1 else None
    return None if masks is None else masks[:, None]
