"""What all runs write and read in the same way, whatever their task."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from sunhwan import environment
from sunhwan.data.examples import Rejected
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.files import write_text
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.progress import Progress
from sunhwan.runs.weights import expected_arrays, model_arrays, put_arrays, save_weights
from sunhwan.tasks.options import AnyOptions, make
from sunhwan.tasks.sources import find_data
from sunhwan.tasks.training import History

#: rejected rows that the results name; all are counted
_NAMED_REJECTED = 200


@dataclass(frozen=True)
class Data:
    """What a run is trained on, as its configuration keeps it.

    Attributes
    ----------
    paths, test_paths
        Files or folders; without test data a part is held out.
    named
        What the user said of the columns.
    """

    paths: tuple[str, ...]
    test_paths: tuple[str, ...] = ()
    named: Mapping[str, Any] | None = None


def kept_data(data: Data, reader: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """The ``data`` of ``config.json``, from which a run goes on in any folder."""
    return {
        "paths": [str(find_data(path).absolute()) for path in data.paths],
        "test_paths": [str(find_data(path).absolute()) for path in data.test_paths],
        "named": dict(data.named or {}),
        "reader": reader,
        "lang": lang,
    }


def begin(
    learner: Any,
    given: Mapping[str, Any],
    data: Data,
    reader: Mapping[str, Any],
    files: Sequence[Mapping[str, str]],
    out: Path | str,
    *,
    overwrite: bool,
    lang: str,
    notes: Sequence[str] = (),
) -> RunFolder:
    """A new run with all that its training needs.

    Parameters
    ----------
    learner
        Prepared.
    given
        The options that somebody set.
    reader
        How its data was read.
    files
        Name and SHA-256 of each.
    notes
        What was told when the learner was prepared, for `notes_of`.
    """
    run = RunFolder.create(out, learner.task, overwrite=overwrite)
    options = learner.config.model_dump(mode="json")
    kept = {**kept_data(data, reader, lang), "notes": list(notes)}
    run.write("config.json", {"options": options, "given": given, "data": kept})
    write_learner(run, learner, files)
    return run


def notes_of(run: RunFolder) -> list[str]:
    """What was told when the learner of a run was prepared; a run that goes on does not do so."""
    kept: Any = run.read("config.json").get("data")
    notes = kept.get("notes", []) if isinstance(kept, dict) else []
    if not isinstance(notes, list) or not all(isinstance(line, str) for line in notes):
        raise DataError(f"{run.path / 'config.json'}: `notes` must be a list of lines")
    return notes


def keep(
    learner: Any,
    path: Path | str,
    history: Mapping[str, Any],
    *,
    overwrite: bool = False,
    **more: Any,
) -> RunFolder:
    """Leave a trained learner in a folder, without data or report.

    Parameters
    ----------
    history
        As of ``history.json``: ``figures`` by epoch and ``best_epoch``.
    more
        For ``config.json``.

    Raises
    ------
    UsageError
        The folder holds a run, and `overwrite` is False, or something else.
    """
    run = RunFolder.create(path, learner.task, overwrite=overwrite)
    options = learner.config.model_dump(mode="json")
    run.write("config.json", {"options": options, "data": None, **more})
    write_learner(run, learner, [])
    run.write("history.json", history)
    save_weights(run.place("weights.safetensors"), model_arrays(learner.model))
    run.finish()
    return run


def history_of(path: Path | str) -> tuple[dict[str, list[float]], int]:
    """By name a figure for each epoch, and the best epoch, from 1.

    Raises
    ------
    DataError
        ``history.json`` is not as it was written.
    """
    history = RunFolder.open(path).read("history.json")
    figures, best_epoch = history.get("figures"), history.get("best_epoch")
    if not isinstance(figures, dict) or type(best_epoch) is not int:
        raise DataError(f"{path}: history.json is not as it was written")
    return figures, best_epoch


def open_unfinished(path: Path | str) -> RunFolder:
    """A run that was interrupted, without what was half written.

    Raises
    ------
    UsageError
        It is finished, or was interrupted before it began.
    DataError
        It is damaged.
    """
    run = RunFolder.open(path)
    if run.state == "finished":
        raise UsageError(
            f"{path}: this run is finished", hint=f"`sunhwan evaluate {path} DATA` uses it"
        )
    run.sweep()
    if not run.has("config.json"):
        raise UsageError(
            f"{path}: this run was interrupted before it began", hint="`sunhwan train` starts it"
        )
    return run


def data_of(run: RunFolder) -> tuple[Data, str]:
    """What a run is trained on, and the language of its report."""
    kept: Any = run.read("config.json").get("data")
    try:
        named = dict(kept["named"])
        return Data(tuple(kept["paths"]), tuple(kept["test_paths"]), named), str(kept["lang"])
    except (KeyError, TypeError) as error:
        raise DataError(f"{run.path / 'config.json'} does not say what to train on") from error


def reader_of(path: Path | str) -> dict[str, Any]:
    """How the data of a run was read.

    Raises
    ------
    UsageError
        The run was made in Python, from examples in memory.
    """
    kept = RunFolder.open(path).read("config.json").get("data")
    if not isinstance(kept, dict):
        raise UsageError(
            f"{path}: this run was trained in Python and does not know how to read files",
            hint="sunhwan.load(path).predict(inputs)",
        )
    reader: dict[str, Any] = kept["reader"]
    return reader


def options_of(run: RunFolder, kind: type[AnyOptions]) -> AnyOptions:
    """The options of a run."""
    options = run.read("config.json").get("options")
    if not isinstance(options, dict):
        raise DataError(f"{run.path / 'config.json'}: `options` is missing")
    tasks = get_args(kind.model_fields["task"].annotation)
    if options.get("task") not in tasks:
        raise DataError(
            f"{run.path / 'config.json'}: `task` must be {' or '.join(tasks)} here, "
            f"received {options.get('task')!r}"
        )
    try:
        return make(kind, options)
    except UsageError as error:
        raise DataError(f"{run.path / 'config.json'}: {error.message}") from error


def check_files(run: RunFolder, files: Sequence[Mapping[str, str]]) -> None:
    """Refuse data files that are not those that a run began with."""
    if files != run.read("environment.json").get("files"):
        raise UsageError(
            f"{run.path}: the data has changed since this run began",
            hint="train into another folder",
        )


def write_learner(run: RunFolder, learner: Any, files: Sequence[Mapping[str, str]]) -> None:
    """Write what a learner is built from, and the environment after it."""
    run.write("encoder.json", learner.encoder.config())
    run.write("model.json", learner.to_json())
    run.write("environment.json", {**environment.describe(), "files": files})


def trained(
    run: RunFolder,
    learner: Any,
    fit: Callable[[Progress], History],
    progress: Progress | None,
) -> History:
    """Train, and keep weights and figures."""
    shown = progress if progress is not None else Progress()
    shown.plan(learner.task, 1, learner.config.epochs or 1)
    try:
        history = fit(shown)
    finally:
        shown.close()
    save_weights(run.place("weights.safetensors"), model_arrays(learner.model))
    run.write("history.json", {"figures": history.figures, "best_epoch": history.best_epoch})
    return history


def put_weights(run: RunFolder, model: Any) -> None:
    """Give a model the weights of a run."""
    put_arrays(model, run.load_weights(expected_arrays(model)))


def common_results(learner: Any, history: History, name: str, command: str) -> dict[str, Any]:
    """The entries of ``results.json`` that every task has.

    Parameters
    ----------
    name
        Of the data.
    command
        Of `command`.
    """
    return {
        "format": 1,
        "task": learner.task,
        "kind": learner.kind,
        "title": f"{learner.task}: {name}",
        "model": model_summary(learner.model),
        "history": history.figures,
        "best_epoch": history.best_epoch,
        "seconds": history.seconds,
        "command": command,
        "config": learner.config.model_dump(mode="json"),
        "environment": environment.describe(),
    }


def report(run: RunFolder, lang: str = "en") -> Path:
    """Write the page of a run's results anew; its path."""
    from sunhwan.runs.results_page import render_results

    return write_text(run.place("report.html"), render_results(run.read("results.json"), lang))


def model_summary(model: Any) -> dict[str, Any]:
    """Layers, sizes and kernels."""
    import sunhwan
    from sunhwan.runs.model_table import layer_table

    return {
        "layers": [{**row, "name": row.pop("layer")} for row in layer_table(model)],
        "parameters": int(model.count_params()),
        "kernels": [str(line) for line in sunhwan.explain(model)],
    }


def command(task: str, given: Mapping[str, Any], data: Data, out: Path | str) -> str:
    """What to type for the same run."""
    parts = ["sunhwan", "train", task, *data.paths]
    for path in data.test_paths:
        parts += ["--test-data", path]
    for name, value in {**(data.named or {}), **given}.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            parts.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            text = ",".join(value) if isinstance(value, list | tuple) else str(value)
            parts += [f"--{option}", text]
    return shlex.join([*parts, "--out", str(out)])


def rejected_rows(rejected: Sequence[Rejected]) -> list[dict[str, str]]:
    """Rejected rows as plain JSON."""
    return [{"place": row.place, "reason": row.reason} for row in rejected]


def rejected_summary(rejected: Sequence[Rejected]) -> dict[str, Any]:
    """How many rows were rejected, and the first of them."""
    return {
        "rejected": rejected_rows(rejected[:_NAMED_REJECTED]),
        "rejected_count": len(rejected),
    }


def rejected_notes(rejected: Sequence[Rejected]) -> list[str]:
    """What there is to say if not all rejected rows are named."""
    if len(rejected) <= _NAMED_REJECTED:
        return []
    return [f"{len(rejected):,} rows were dropped, the first {_NAMED_REJECTED} are named"]
