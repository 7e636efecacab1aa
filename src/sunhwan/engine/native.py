"""The compiled kernels as Python sees them: whether they are there, which run, their handlers."""

from __future__ import annotations

import functools
import importlib
import os
from types import ModuleType
from typing import Any

import numpy as np

from sunhwan.errors import KernelError, UsageError

_HOW_TO_BUILD = (
    "install a C++ compiler and Python's headers (Debian, Ubuntu: "
    "`apt-get install g++ python3-dev`; Fedora: `dnf install gcc-c++ python3-devel`) and install "
    "sunhwan again from its source"
)


@functools.cache
def _load() -> tuple[ModuleType | None, str]:
    """Return the extension module, or None and the reason."""
    check_threads()
    if os.environ.get("SUNHWAN_ISA") == "none":
        return None, "SUNHWAN_ISA=none switches the kernels off"
    try:
        _kernels = importlib.import_module("sunhwan.engine._kernels")
    except ModuleNotFoundError as error:
        if error.name != "sunhwan.engine._kernels":
            raise
        return None, "the kernels were not built"
    try:
        _kernels.active()
    except RuntimeError as error:
        raise KernelError(str(error)) from error
    import jax

    for name, handler in _kernels.registrations().items():
        jax.ffi.register_ffi_target(name, handler, platform="cpu")
    return _kernels, ""


def available() -> bool:
    """Return True if the kernels are built and not switched off.

    Raises
    ------
    KernelError
        If ``SUNHWAN_ISA`` names an instruction set that cannot run here.
    """
    return _load()[0] is not None


def why_missing() -> str:
    """Return why the kernels are not available, or an empty string if they are."""
    return _load()[1]


def has_bfloat16() -> bool:
    """Return True if the kernels are there and can multiply operands of bfloat16."""
    found = _load()[0]
    return found is not None and bool(found.has_bfloat16())


def why_plain(dtype: Any, products: str = "float32") -> str:
    """Return why arrays of ``dtype`` have no kernel here, or an empty string if they have.

    ``products`` is as of `Cell`.

    Examples
    --------
    >>> why_plain("float64")
    'dtype float64 has no kernel'
    """
    import jax

    if np.dtype(dtype) != np.float32:
        return f"dtype {np.dtype(dtype).name} has no kernel"
    if jax.default_backend() != "cpu":
        return f"the kernels run on CPUs, and JAX's default device is a {jax.default_backend()}"
    if products == "bfloat16" and available() and not has_bfloat16():
        return f"{active_isa()} has no products of bfloat16"
    return why_missing()


def how_to_get() -> str:
    """Return what a person can do to get the kernels."""
    if os.environ.get("SUNHWAN_ISA") == "none":
        return "unset SUNHWAN_ISA"
    return _HOW_TO_BUILD


def module() -> ModuleType:
    """Return the extension module.

    Raises
    ------
    KernelError
        If it is missing.
    """
    found, reason = _load()
    if found is None:
        raise KernelError(f"the compiled kernels are missing: {reason}", hint=how_to_get())
    return found


def active_isa() -> str:
    """Return the instruction set in use, such as ``"avx512"``."""
    name: str = module().active()
    return name


def available_isas() -> list[str]:
    """Return the instruction sets that were built and can run on this machine, best first."""
    names: list[str] = module().available()
    return names


def check_threads() -> None:
    """Check ``SUNHWAN_THREADS``, which the kernels read themselves.

    Raises
    ------
    UsageError
        If it is set to something that is not a number of at least 1.
    """
    text = os.environ.get("SUNHWAN_THREADS")
    if text is not None and not (text.isdigit() and int(text) >= 1):
        raise UsageError(f"SUNHWAN_THREADS must be a whole number of at least 1, received {text!r}")
