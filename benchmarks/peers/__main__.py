"""The benchmark: ``python -m benchmarks.peers --help``, from the root of the repository."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from benchmarks.peers import cases, machine, measuring, record, tables
from benchmarks.peers.cases import Case
from benchmarks.peers.environments import Peer, PeerError, chosen, known, python_of

from sunhwan.errors import SunhwanError, UsageError

_ROUNDS, _SECONDS = 7, 0.4
#: with --quick; and the layers that are then timed
_QUICK_ROUNDS, _QUICK_SECONDS = 3, 0.2
_QUICK_LAYERS = ("lstm-h256-b32-t150", "lstm-h512-b64-t25")
#: names on the command line beside those of models
_LAYERS, _SWEEP = "layers", "sweep"

app = typer.Typer(add_completion=False)


@app.command()
def main(
    models: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Models, `layers` (those of DeepBench) and `sweep` (over T, B and H), with "
            "commas between them; or `all`.",
        ),
    ] = "all",
    peers: Annotated[
        str, typer.Option(metavar="NAMES", help="Peers, with commas between them, or `all`.")
    ] = "all",
    rounds: Annotated[
        int | None, typer.Option(metavar="N", help="Turns that each peer takes.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer and shorter turns, two layers, no sweep.")
    ] = False,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="Cores that every peer may use."),
    ] = None,
    json: Annotated[
        Path,
        typer.Option(metavar="PATH", help="Folder for the record, or its path with .json."),
    ] = Path("benchmarks/results"),
) -> None:
    """Time our layers beside everything else that a user could pick. Let the machine be idle.

    Each peer has a process of its own, in an environment that is made the first time; they take
    turns. Ends with exit code 1 if a peer failed or computed something else.
    """
    turns = rounds or (_QUICK_ROUNDS if quick else _ROUNDS)
    if turns < 1:
        raise UsageError(f"`--rounds` must be at least 1, received {turns}")
    names = known(models, [*(m.name for m in cases.MODELS), _LAYERS, _SWEEP], "model")
    wanted, settings = chosen(peers), _settings(turns, quick, threads)
    written = record.begin(
        " ".join(["python", "-m", "benchmarks.peers", *sys.argv[1:]]),
        machine.measure(settings.cores),
        {"rounds": turns, "seconds_of_a_turn": settings.seconds, "threads": threads},
    )
    able = _able(wanted, written)
    for case in cases.MODELS:
        if case.name in names:
            found = measuring.measure_model(case, able, settings, _tell)
            record.add_model(written, case, found)
    record.peak_again(written, machine.measure(settings.cores))
    _measure_layers(_layers(names, quick), able, settings, written)
    record.peak_again(written, machine.measure(settings.cores))
    _tell_peak(written)
    tables.show(written)
    typer.echo(f"record: {record.write(json, written)}")
    failed = record.failures(written)
    for sentence in failed:
        typer.echo(f"error: {sentence}", err=True)
    if failed:
        raise typer.Exit(1)


def _settings(rounds: int, quick: bool, threads: int | None) -> measuring.Settings:
    seconds = _QUICK_SECONDS if quick else _SECONDS
    if threads is None:
        return measuring.Settings(rounds, seconds)
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("`--threads` needs Linux, where a process can be kept to some cores")
    allowed = sorted(machine.allowed())
    if not 1 <= threads <= len(allowed):
        raise UsageError(
            f"`--threads` must be from 1 to {len(allowed)}, the cores here, received {threads}"
        )
    return measuring.Settings(rounds, seconds, frozenset(allowed[:threads]))


def _tell(sentence: str) -> None:
    typer.echo(f"\r\033[K{sentence}", err=True, nl=not sys.stderr.isatty())


def _tell_peak(written: dict[str, Any]) -> None:
    peak = written["peak"]
    if "missing" in peak:
        _tell(peak["missing"])
    else:
        _tell(f"peak: {peak['gflops']:.0f} GFLOP/s, copies {peak['copied']:.1f} GB/s")


def _able(wanted: Sequence[Peer], written: dict[str, Any]) -> list[Peer]:
    """The peers whose environment is there; the others are told, and kept in the record."""
    able = []
    for peer in wanted:
        _tell(f"{peer.name}: its environment")
        try:
            python_of(peer)
        except PeerError as error:
            written["missing"][peer.name] = error.message
            _tell(f"left out: {error.message}")
        else:
            able.append(peer)
    return able


def _layers(names: Sequence[str], quick: bool) -> list[Case]:
    """The layers that are timed, each once."""
    found: dict[str, Case] = {}
    if _LAYERS in names:
        found |= {case.name: case for case in cases.LAYERS}
    if quick:
        return [case for name, case in found.items() if name in _QUICK_LAYERS]
    if _SWEEP in names:
        found |= {case.name: case for case in cases.sweep()}
    return list(found.values())


def _measure_layers(
    wanted: Sequence[Case],
    peers: Sequence[Peer],
    settings: measuring.Settings,
    written: dict[str, Any],
) -> None:
    """All layers in the same processes; one that fails at a layer is asked for the next."""
    able = [peer for peer in peers if "layer" in peer.tasks]
    if not wanted or not able:
        return
    woken = measuring.Found()
    with measuring.opened(able, settings, woken) as processes:
        written["missing"].update(woken.failed)
        for case in wanted:
            found = measuring.measure_layer(case, processes, settings, _tell)
            found.versions = woken.versions
            record.add_layer(written, case, found)


def run() -> None:
    """The command line: errors of ours are a sentence, and an exit code."""
    try:
        app()
    except SunhwanError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    run()
