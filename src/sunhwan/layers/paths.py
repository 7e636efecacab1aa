"""Which way a layer takes: a kernel, plain JAX or Keras's own loop, and what decides it."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from typing import Any

import keras

from sunhwan import engine
from sunhwan.engine import native
from sunhwan.errors import KernelError, UsageError
from sunhwan.layers.projected import ProjectedLSTMCell

_KINDS: dict[type, str] = {
    keras.layers.SimpleRNNCell: "simple_rnn",
    keras.layers.LSTMCell: "lstm",
    ProjectedLSTMCell: "lstm",
    keras.layers.GRUCell: "gru",
}
_FLOATS = ("float32", "bfloat16", "float16")
#: the ways without a kernel: an option that only Keras knows, a machine that has none, and on a
#: GPU what Keras itself hands to cuDNN (batches with a mask then run in its loop)
KERAS_LOOP = "Keras's own loop"
PLAIN_JAX = "plain JAX"
CUDNN = "cuDNN by Keras"
#: tensors that are rows of a table, by their id; entries go with the tensors
_LOOKUPS: dict[int, tuple[weakref.ref[Any], engine.Lookup]] = {}


@dataclass(frozen=True)
class Path:
    """The way a layer takes: ``kernel`` names it, ``reason`` says why it is not the fast one."""

    kernel: str
    reason: str = ""
    note: str = ""

    @property
    def is_fused(self) -> bool:
        """True if a kernel of ours runs."""
        return not self.reason

    @property
    def is_in_engine(self) -> bool:
        """True if `sunhwan.engine` runs the layer, by kernel or in plain JAX."""
        return self.kernel not in (KERAS_LOOP, CUDNN)


def activation_name(function: Any) -> str | None:
    """Return the name under which the kernels know an activation, or None.

    Examples
    --------
    >>> activation_name(keras.activations.tanh), activation_name(keras.activations.gelu)
    ('tanh', None)
    """
    for name in ("linear", "tanh", "sigmoid", "relu", "hard_sigmoid"):
        if function in (getattr(keras.activations, name), getattr(keras.ops, name, None)):
            return name
    return None


def of_machine(dtype: str) -> Path:
    """Return the path that backend, device, kernels and dtype allow."""
    if keras.backend.backend() != "jax":
        return Path(KERAS_LOOP, f"Keras's backend is {keras.backend.backend()}, not jax")
    import jax

    if jax.default_backend() != "cpu":
        return Path(PLAIN_JAX, f"JAX's default device is a {jax.default_backend()}")
    if not native.available():
        return Path(PLAIN_JAX, native.why_missing())
    if dtype not in _FLOATS:
        return Path(PLAIN_JAX, f"dtype={dtype} has no kernel")
    return Path(f"fused {native.active_isa()}", note=_note(dtype))


def _note(dtype: str) -> str:
    """Return what a kernel makes of a layer that computes in ``dtype``."""
    if dtype == "float32":
        return ""
    if products_in(dtype) == "bfloat16":
        return "products of bfloat16, sums in float32"
    missing = f" ({native.active_isa()} has no products of bfloat16)" if dtype == "bfloat16" else ""
    return f"in float32{missing}"


def products_in(dtype: str) -> str:
    """Return `engine.Cell.products` of a layer that computes in ``dtype``.

    Without products of bfloat16 a layer of bfloat16 has those of float32 and not Keras's own loop:
    they are both faster and more exact.

    Examples
    --------
    >>> products_in("float16")
    'float32'
    """
    return "bfloat16" if dtype == "bfloat16" and native.has_bfloat16() else "float32"


def is_read_alike(variable_dtype: str, compute_dtype: str) -> bool:
    """Tell whether recurrent layers may read a table where it lies in place of its rows.

    A table of less than float32 they could not; products of bfloat16 round what they read, so there
    it makes no difference whether that was rounded before.

    Examples
    --------
    >>> is_read_alike("float32", "float32"), is_read_alike("float16", "float16")
    (True, False)
    """
    is_exact = variable_dtype in ("float32", "float64")
    return is_exact and (
        compute_dtype == variable_dtype or products_in(compute_dtype) == "bfloat16"
    )


def of_layer(layer: Any) -> Path:
    """Return the path of a recurrent layer."""
    if reason := option_without_kernel(layer):
        return Path(KERAS_LOOP, reason)
    path = of_machine(layer.compute_dtype)
    return Path(CUDNN, path.reason) if path.kernel == PLAIN_JAX and suits_cudnn(layer) else path


def suits_cudnn(layer: Any) -> bool:
    """Tell whether Keras runs a layer by cuDNN here, and rightly.

    Keras 3.15 does so with an LSTM alone. It turns the outputs of ``go_backwards`` round, which
    elsewhere stand in order of processing, so with ``return_sequences`` they would come out wrong.
    """
    import jax

    cell = layer.cell
    return (
        jax.default_backend() == "gpu"
        and isinstance(layer, keras.layers.LSTM)
        and (activation_name(cell.activation), activation_name(cell.recurrent_activation))
        == ("tanh", "sigmoid")
        and cell.use_bias
        and not layer.unroll
        and not cell.recurrent_dropout
        and layer.use_cudnn == "auto"
        and not (layer.go_backwards and layer.return_sequences)
        and not any(getattr(layer, "zoneout_rates", ()))
        and not getattr(layer, "use_peephole", False)
        and not getattr(layer, "use_layer_norm", False)
        and not getattr(layer, "return_state_sequences", False)
    )


def option_without_kernel(layer: Any) -> str:
    """Return which option of a recurrent layer has no kernel, in a phrase, or nothing."""
    cell = layer.cell
    if type(cell) not in _KINDS:
        return f"cell={type(cell).__name__} has no kernel"
    if getattr(layer, "use_cudnn", "auto") is True:
        return "use_cudnn=True asks for cuDNN"
    for slot in ("activation", "recurrent_activation"):
        function = getattr(cell, slot, None)
        if function is not None and activation_name(function) is None:
            return f"{slot}={getattr(function, '__name__', function)} has no kernel"
    return ""


def of_table(layer: Any) -> Path:
    """Return the path of an embedding, which is that of the numbers its table holds."""
    if layer.quantization_mode is not None:
        return Path(KERAS_LOOP, f"quantization_mode={layer.quantization_mode} has no kernel")
    path = of_machine(layer.variable_dtype)
    if path.note:  # a table is used as it lies, never converted
        return Path(PLAIN_JAX, f"variable dtype={layer.variable_dtype} has no kernel")
    return path


def mark_lookup(rows: Any, lookup: engine.Lookup) -> None:
    """Remember that a tensor is ``lookup.rows()``, in the way Keras's masks travel.

    A recurrent layer that is given this very tensor inside a compiled step reads the table instead,
    and what nobody else reads is then never computed. Any operation in between makes another
    tensor, without the mark.
    """
    import jax

    if isinstance(rows, jax.core.Tracer):  # takes no attributes, so it is remembered by its id
        number = id(rows)
        gone = weakref.ref(rows, lambda _: _LOOKUPS.pop(number, None))
        _LOOKUPS[number] = (gone, lookup)


def lookup_behind(sequences: Any) -> engine.Lookup | None:
    """Return the lookup whose rows a tensor is, if `mark_lookup` said so of it."""
    rows, lookup = _LOOKUPS.get(id(sequences), (None, None))
    return lookup if rows is not None and rows() is sequences else None


def kind_of(cell: Any) -> str:
    """Return the engine's name of a Keras cell."""
    return _KINDS[type(cell)]


def is_strict() -> bool:
    """Return True if ``SUNHWAN_STRICT=1``: a lost fast path is then an error.

    Raises
    ------
    UsageError
        If the variable is neither ``1`` nor ``0``.
    """
    text = os.environ.get("SUNHWAN_STRICT", "0")
    if text not in ("0", "1", ""):
        raise UsageError(f"SUNHWAN_STRICT must be 0 or 1, received {text!r}")
    return text == "1"


def require_fused(name: str, path: Path) -> None:
    """Raise `KernelError` if ``path`` is not fused although it must be."""
    if not path.is_fused:
        raise KernelError(
            f"layer `{name}` would run in {path.kernel}: {path.reason}",
            hint="change that option, or allow the slower way: SUNHWAN_STRICT=0, strict=False",
        )
