"""Python in a process of its own, for what its environment variables decide at its start."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import sunhwan

_PATHS = (Path(sunhwan.__file__).parents[1], Path(__file__).parent)


def environment(**variables: str | None) -> dict[str, str]:
    """Return this environment with ``variables`` set (None: unset) and our modules importable."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SUNHWAN_", "XLA_FLAGS"))}
    paths = [*map(str, _PATHS), os.environ.get("PYTHONPATH", "")]
    changed = {"KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(paths), **variables}
    merged = {**inherited, **changed}
    return {name: value for name, value in merged.items() if value is not None}


def python(code: str, *arguments: str, **variables: str | None) -> subprocess.CompletedProcess[str]:
    """Run ``code`` and return what it printed and how it ended."""
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code, *arguments],
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def printed(code: str, *arguments: str, **variables: str | None) -> str:
    """Run ``code``, which must succeed, and return what it printed."""
    done = python(code, *arguments, **variables)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.strip()
