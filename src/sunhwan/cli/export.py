"""``sunhwan export``: a network as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sunhwan.cli.outcome import note


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Write there, and to FILE.json what feeds it.")
    ],
    format: Annotated[
        str | None, typer.Option(metavar="keras|onnx", help="Else it goes by the end of FILE.")
    ] = None,
) -> None:
    """Write the network of a run as a file that needs no sunhwan: for Keras alone, or ONNX.

    Beside it, FILE.json holds all that its inputs are made with: vocabulary, scales and classes.
    """
    from sunhwan.tasks import exporting

    path = exporting.export(run, out, format)
    typer.echo(f"network: {path}")
    typer.echo(f"inputs:  {exporting.about_path(path)}")
    note("\nto load it and feed it the example that is kept with it:\n")
    note(exporting.usage(path).rstrip())
