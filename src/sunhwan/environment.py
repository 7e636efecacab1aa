"""What a result was measured with: versions, processor and system, as a plain dict."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import sunhwan

#: distributions whose version decides a result, beside our own
PACKAGES = ("keras", "jax", "jaxlib", "numpy")


def describe() -> dict[str, str | int]:
    """Versions, processor and system; nothing that names a host, a user or a folder.

    Returns
    -------
    dict
        ``python``, ``sunhwan``, ``keras``, ``jax``, ``jaxlib``, ``numpy`` (versions, or
        ``"not installed"``), ``cpu`` (model name), ``cores`` (those this process may use)
        and ``os``.

    Examples
    --------
    >>> sorted(describe())
    ['cores', 'cpu', 'jax', 'jaxlib', 'keras', 'numpy', 'os', 'python', 'sunhwan']
    """
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        "sunhwan": sunhwan.__version__,
        **versions,
        "cpu": _processor(),
        "cores": _cores(),
        "os": f"{platform.system()} {platform.machine()}",
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    """The processor's model name; on Linux from /proc, since `platform` leaves it empty there."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
