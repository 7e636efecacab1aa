"""What every test needs: Keras on JAX, fixed seeds and a process that never opens a connection."""

from __future__ import annotations

import os
import signal
import socket
from typing import NoReturn

import pytest

os.environ["KERAS_BACKEND"] = "jax"  # before anything imports keras
os.environ["LC_ALL"] = "C.UTF-8"  # what the command line says is in the language of the system

_SEED = 20


def pytest_configure(config: pytest.Config) -> None:
    # A shell's background process ignores Ctrl-C, which some tests press.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Keras 3.15's `Variable` predates the second argument that NumPy 2 gives `__array__`.
    config.addinivalue_line("filterwarnings", "ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Seed Python, NumPy and Keras alike before each test, whatever ran before it."""
    import keras

    keras.utils.set_random_seed(_SEED)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: object) -> object:
        if self.family == socket.AF_UNIX or str(address[0]) in ("127.0.0.1", "::1", "localhost"):  # type: ignore[index]
            return connect(self, address)  # type: ignore[arg-type]
        return _fail(address)

    def _fail(address: object) -> NoReturn:
        raise AssertionError(f"a test tried to reach {address} over the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
