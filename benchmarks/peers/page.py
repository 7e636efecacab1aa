"""The page on performance, drawn from a record: ``python -m benchmarks.peers.page RESULT.json``.

Writes docs/performance.md and the plots in docs/performance. Every figure on the page comes from
the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from benchmarks.peers import measuring, plots, record, tables
from benchmarks.peers.environments import PEERS, ROOT

from sunhwan.errors import SunhwanError
from sunhwan.runs.files import write_text

_DOCS = ROOT / "docs"
_WHO = {
    "sunhwan": "our layers in Keras on JAX",
    "keras-jax": "Keras's own layers on JAX",
    "keras-tensorflow": "Keras's own layers on TensorFlow",
    "keras-torch": "Keras's own layers on PyTorch",
    "torch": "PyTorch's own modules; rows of unequal length are padded, and every step is computed",
    "torch-packed": "the same, with rows of unequal length packed",
    "onnxruntime": "ONNX Runtime, which answers and does not train",
}
_HOW = """\
- Each peer has a process of its own, in an environment of its own, with the settings it comes
  with{threads}. All have the same weights, inputs, batch, loss and optimizer, and must give the
  same loss, answers and gradients (within {tolerance} of the largest value) before they are
  timed; a peer that does not is an error and has no figure.
- They take turns, {rounds} each, of about {seconds} seconds of training steps, half as long for a
  layer alone and a quarter for answers. Another one begins each round, so that whatever else the
  machine does meets all alike. Figures are medians, with the first and third quartile in
  brackets.
- A training step is what a step adds to a run of `fit`: data in, forward, backward, optimizer.
  What an epoch costs once is not in it. In PyTorch it is the usual loop: rows drawn at random,
  `zero_grad`, forward, loss, `backward`, `step`. PyTorch's LSTM and SimpleRNN have a second bias,
  which its optimizer changes too.
- Memory is the growth of the resident process: the most that is resident during a few steps after
  the warm-up (VmHWM of Linux, begun anew), less what was resident before the model was built
  (VmRSS), when the framework had trained something tiny. Before both, garbage is collected and
  memory that is free is handed back to the system (`malloc_trim`).
- The time until the first step is done begins when the framework is imported and awake: building,
  compiling and one step.
- A layer alone is timed with the gradients of its inputs and all of its weights, for the loss
  sum(y · r) with a fixed random r. Its arithmetic is counted as 3 · 8 · B · T · (H² + D · H) for
  an LSTM, gate functions left out.
- An answer is `predict_on_batch` in Keras, the module under `inference_mode` in PyTorch and `run`
  in ONNX Runtime, each from an array of NumPy to one.
"""


def page(written: Mapping[str, Any], source: str) -> str:
    """The page as Markdown; `source` is the name of the record."""
    parts = ["# Performance\n", _opening(written, source), "## How it was measured\n"]
    settings = written["settings"]
    threads = settings["threads"]
    parts.append(
        _HOW.format(
            threads="" if threads is None else f", on {threads} cores",
            tolerance=f"{measuring.TOLERANCE:g}",
            rounds=settings["rounds"],
            seconds=settings["seconds_of_a_turn"],
        )
    )
    parts += [_texts(written), "## Who was measured\n", _peers(written)]
    drawn = plots.names(written)
    if "models" in drawn:
        parts += ["## Models\n", "![Training steps](performance/models.svg)\n"]
    for table in tables.tables(written):
        parts += [f"### {table.title}\n", _markdown(table)]
    for axis in (name for name in drawn if name in plots.AXES):
        title = f"An LSTM forward and back against its {plots.AXES[axis]}"
        parts += [f"## {title}\n", f"![{title}](performance/{axis}.svg)\n"]
    return "\n".join(part for part in parts if part)


def _opening(written: Mapping[str, Any], source: str) -> str:
    facts, peak = written["environment"], written["peak"]
    lines = [
        f"Measured on {written['date']} (UTC) on {facts['cpu']} (cores: {facts['cores']}), "
        f"{facts['os']}, Python {facts['python']}, by `{written['command']}`. "
        f"Every round is in `benchmarks/results/{source}`, which this page was drawn from."
    ]
    if "missing" in peak:
        lines.append(f"The machine's peak is not known ({peak['missing']}).")
    else:
        rates = [round(flops) for flops, _ in peak["measured"]]
        lines.append(
            f"In registers alone, threads of all cores ({peak['threads']}) did up to "
            f"{max(rates)} GFLOP/s of float32, to which shares of the peak refer (measured "
            f"{len(rates)} times: {min(rates)} to {max(rates)}), and copied memory with "
            f"{peak['copied']:.1f} GB/s read and written."
        )
    if written["variables"]:
        told = ", ".join(f"`{name}={value}`" for name, value in written["variables"].items())
        lines.append(f"These variables were set: {told}.")
    lines += [f"Missing: {sentence}." for sentence in written["missing"].values()]
    lines += [f"Failed: {sentence}." for sentence in record.failures(written)]
    return "\n".join(lines) + "\n"


def _texts(written: Mapping[str, Any]) -> str:
    lines = [
        f"- The rows of `{entry['model']}`, cut or padded at the front to {entry['shape'][0]}: "
        f"{entry['texts']}."
        for entry in written["models"]
        if entry.get("texts")
    ]
    return "\n".join(lines) + "\n" if lines else ""


def _peers(written: Mapping[str, Any]) -> str:
    rows = [
        [peer.name, _WHO[peer.name], _versions(written["peers"][peer.name])]
        for peer in PEERS
        if peer.name in written["peers"]
    ]
    return _markdown(tables.Table("", ["peer", "what it is", "versions"], rows), "---")


def _versions(found: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _markdown(table: tables.Table, rest: str = "---:") -> str:
    rule = ["---", *(rest for _ in table.heads[1:])]
    rows = [table.heads, rule, *table.rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def write(source: Path, docs: Path = _DOCS) -> list[Path]:
    """Draw the page and its plots from a record; the files that were written."""
    written = record.read(source)
    draw = dict.fromkeys(plots.AXES, plots.sweep)
    files = [write_text(docs / "performance.md", page(written, source.name))]
    for name in plots.names(written):
        svg = draw[name](written, name) if name in draw else plots.models(written)
        files.append(write_text(docs / "performance" / f"{name}.svg", svg))
    return files


def main(
    result: Annotated[Path, typer.Argument(metavar="RESULT.json", help="A record.")],
    docs: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write.")] = _DOCS,
) -> None:
    """Draw docs/performance.md and its plots from a record."""
    try:
        for path in write(result, docs):
            typer.echo(path)
    except SunhwanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
