"""Who is timed, and the virtual environment of each, made once and kept."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sunhwan.errors import SunhwanError, UsageError
from sunhwan.runs.files import write_text

ROOT = Path(__file__).parents[2]
REQUIREMENTS = Path(__file__).parent / "requirements"
#: where environments are made; git ignores it
HOME = ROOT / "build" / "peers"

#: for every worker: no peer leaves the processor, and none speaks of its start
_ALL = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "2"}


class PeerError(SunhwanError, RuntimeError):
    """A peer that cannot be had, or that failed; one sentence that names it."""


@dataclass(frozen=True)
class Peer:
    """One way to run a recurrent model.

    Parameters
    ----------
    name
        On the command line and in the record.
    worker
        Module of this package that runs in the peer's environment.
    arguments
        Of that module.
    environment
        Name of the requirements file; None is the environment that runs the benchmark.
    variables
        Environment variables of its process.
    tasks
        What it can do: ``fit``, ``layer``, ``infer``.
    only_masked
        Whether it is of use only where rows have unequal lengths.
    """

    name: str
    worker: str
    arguments: tuple[str, ...] = ()
    environment: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    tasks: tuple[str, ...] = ("fit", "layer", "infer")
    only_masked: bool = False


PEERS = (
    Peer("sunhwan", "keras_worker", ("sunhwan",), None, {"KERAS_BACKEND": "jax"}),
    Peer("keras-jax", "keras_worker", ("keras",), None, {"KERAS_BACKEND": "jax"}),
    Peer(
        "keras-tensorflow",
        "keras_worker",
        ("keras",),
        "tensorflow",
        {"KERAS_BACKEND": "tensorflow"},
    ),
    Peer("keras-torch", "keras_worker", ("keras",), "torch", {"KERAS_BACKEND": "torch"}),
    Peer("torch", "torch_worker", ("padded",), "torch"),
    Peer(
        "torch-packed",
        "torch_worker",
        ("packed",),
        "torch",
        tasks=("fit", "infer"),
        only_masked=True,
    ),
    Peer("onnxruntime", "onnx_worker", (), "onnxruntime", tasks=("infer",)),
)


def chosen(names: str) -> list[Peer]:
    """The peers of a list of names with commas between them; ``all`` stands for every one.

    Raises
    ------
    UsageError
        There is none of a name; the hint has the nearest, or all.

    Examples
    --------
    >>> [peer.name for peer in chosen("torch,sunhwan")]
    ['sunhwan', 'torch']
    """
    wanted = known(names, [peer.name for peer in PEERS], "peer")
    return [peer for peer in PEERS if peer.name in wanted]


def known(names: str, all_names: list[str], what: str) -> list[str]:
    """The names in a list with commas between them, each once, in the order of `all_names`."""
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in all_names and name != "all":
            near = difflib.get_close_matches(name, [*all_names, "all"], n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else "there are " + ", ".join(all_names)
            raise UsageError(f"there is no {what} called `{name}`", hint=hint)
    return all_names if "all" in wanted else [name for name in all_names if name in wanted]


def python_of(peer: Peer, home: Path = HOME) -> Path:
    """The interpreter of a peer, whose environment is made if it is not there.

    A stamp in the environment holds the list of requirements that it was made of, and comes last:
    an environment without it, or with another list, is made anew.

    Raises
    ------
    PeerError
        pip or venv failed; with the last line that they said.
    """
    if peer.environment is None:
        return Path(sys.executable)
    listing = REQUIREMENTS / f"{peer.environment}.txt"
    wanted = f"python {sys.version.split()[0]}\n" + listing.read_text("utf-8")
    folder = home / peer.environment
    stamp, python = folder / "made-of.txt", folder / "bin" / "python"
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return python
    if folder.exists():
        shutil.rmtree(folder)
    _run(peer, [sys.executable, "-m", "venv", str(folder)])
    quiet = ["--quiet", "--disable-pip-version-check"]
    _run(peer, [str(python), "-m", "pip", "install", *quiet, "--requirement", str(listing)])
    write_text(stamp, wanted)
    return python


def _run(peer: Peer, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise PeerError(f"the environment of `{peer.name}` could not be made: {said[-1]}")


def variables_of(peer: Peer) -> dict[str, str]:
    """The environment variables of a peer's process.

    Only the environment that runs the benchmark sees its ``PYTHONPATH``: in another, a folder of
    ours would come before what is installed there.

    Examples
    --------
    >>> variables_of(chosen("keras-torch")[0])["KERAS_BACKEND"]
    'torch'
    """
    dropped = () if peer.environment is None else ("PYTHONPATH", "PYTHONHOME")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, **_ALL, **peer.variables}
