"""Runs one experiment with several seeds and writes its results and report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sunhwan import environment
from sunhwan.errors import UsageError
from sunhwan.reproduce.experiments import PATIENCE, TOLERANCE, Experiment, Variant, find
from sunhwan.reproduce.kept import Kept
from sunhwan.reproduce.material import Material
from sunhwan.runs.files import write_json, write_text
from sunhwan.runs.interrupt import heard
from sunhwan.runs.progress import Progress

#: what `--quick` makes of an experiment: enough to see that everything runs
QUICK_EPOCHS, QUICK_TRAIN, QUICK_TEST = 2, 1_024, 512

#: figures whose mean and spread over the seeds are given, where a record has them
SUMMARISED = (
    "test_loss",
    "accuracy",
    "share_right",
    "sequences_right",
    "symbols_right",
    "reach",
    "val_loss",
    "val_accuracy",
    "val_share_right",
    "epochs_run",
    "seconds",
)


@dataclass(frozen=True)
class Result:
    """A finished experiment.

    Parameters
    ----------
    name
        Of the experiment.
    results
        What stands in ``results.json``.
    results_path, report_path
        Where ``results.json`` and ``report.html`` are.
    """

    name: str
    results: dict[str, Any]
    results_path: Path
    report_path: Path


@heard(at_once=True)
def run(
    experiment: str | Experiment,
    seeds: Sequence[int] = (1, 2, 3),
    *,
    epochs: int | None = None,
    quick: bool = False,
    stock: bool = False,
    out: Path | str = "reproduced",
    layers: Any = None,
    progress: Progress | None = None,
) -> Result:
    """Train every variant of an experiment once a seed; write results and report when all is done.

    Parameters
    ----------
    experiment
        Its name, or an `Experiment` of your own.
    seeds
        One training each.
    epochs
        In place of the published number; the results are then marked as not comparable.
    quick
        Two epochs on the first rows, to see that everything runs; marked likewise.
    stock
        Train Keras's own layers with the same seeds as well.
    out
        Folder in which a folder of the experiment's name gets ``results.json`` and
        ``report.html``. Seeds finished before an interruption are kept in it until then, and
        the same call goes on from them.
    layers
        A namespace to take ``Embedding``, ``SimpleRNN``, ``LSTM`` and ``GRU`` from in place of
        ``sunhwan.layers``.
    progress
        Where to show what happens; by default nowhere.

    Raises
    ------
    UsageError
        Unknown name, no seeds, a seed twice, or `epochs` below 1.
    TrainingError
        A loss is not finite, or a layer has not the published number of weights.
    KeyboardInterrupt
        Ctrl-C was pressed.
    """
    chosen = find(experiment) if isinstance(experiment, str) else experiment
    check_usage(seeds, epochs)
    shown = progress if progress is not None else Progress()
    material = chosen.load()
    if quick:
        material = material.cut(QUICK_TRAIN, QUICK_TEST)
    length = epochs or (min(QUICK_EPOCHS, chosen.epochs) if quick else chosen.epochs)
    settings = _settings(chosen, material, length, seeds)
    folder = Path(out) / chosen.name
    described = machine()
    kept = Kept(folder, {"name": chosen.name, "settings": {**settings, "seeds": []},
                         "machine": described, "data": material.digest()})  # fmt: skip
    shown.plan(chosen.name, len(chosen.variants) * len(seeds) * (2 if stock else 1), length)
    try:
        variants = [
            _variant(chosen, variant, material, seeds, length, kept, shown, layers, stock)
            for variant in chosen.variants
        ]
    finally:
        shown.close()
    results = {
        "format": 1,
        "name": chosen.name,
        "title": chosen.title,
        "task": chosen.task,
        "data": chosen.data,
        "headline": chosen.headline,
        "as_published": not quick and length == chosen.epochs,
        "quick": quick,
        "command": _command(chosen, seeds, epochs, quick, stock),
        "settings": settings,
        "class_names": list(material.labels),
        "variants": variants,
        "environment": described,
    }
    from sunhwan.reproduce.report import render

    return write(chosen.name, results, folder, kept, render)


def _variant(
    experiment: Experiment,
    variant: Variant,
    material: Material,
    seeds: Sequence[int],
    epochs: int,
    kept: Kept,
    progress: Progress,
    layers: Any,
    stock: bool,
) -> dict[str, Any]:
    """Everything about one model: sizes, kernels, a record a seed, mean and spread."""
    import keras

    from sunhwan.reproduce.training import build
    from sunhwan.runs.model_table import layer_table

    ours, kernels_of = _ours(layers)
    # so that layers are named from the start: `lstm`, not `lstm_7`
    keras.backend.clear_session()
    model = build(experiment, variant, ours, material)
    entry: dict[str, Any] = {
        "name": variant.name,
        "title": variant.title,
        "remark": variant.remark,
        "published": _plain(variant.published),
        "parameters": layer_table(model),
        "kernels": kernels_of(model),
        "seeds": [],
    }
    if stock:
        entry["stock"] = {"seeds": []}
    for seed in seeds:
        arguments = (experiment, variant, material, seed, epochs, kept, progress)
        entry["seeds"].append(_seed(*arguments, layers=ours, maker="sunhwan"))
        if stock:
            entry["stock"]["seeds"].append(_seed(*arguments, layers=keras.layers, maker="stock"))
    entry["summary"] = summary(entry["seeds"])
    if stock:
        entry["stock"]["summary"] = summary(entry["stock"]["seeds"])
    return entry


def _seed(
    experiment: Experiment,
    variant: Variant,
    material: Material,
    seed: int,
    epochs: int,
    kept: Kept,
    progress: Progress,
    *,
    layers: Any,
    maker: str,
) -> dict[str, Any]:
    from sunhwan.reproduce.training import train

    label = f"{variant.name}-{maker}"
    shown = f"{variant.title}{' (stock)' if maker == 'stock' else ''}, seed {seed}"
    record = kept.get(label, seed)
    if record is not None:
        progress.skip(shown, epochs)
        return record
    progress.begin(shown, epochs)
    record = train(
        experiment, variant, layers, material, seed=seed, epochs=epochs, progress=progress
    )
    kept.put(label, seed, record)
    judged = "share_right" if experiment.task == "numbers" else "accuracy"
    progress.end(
        f"test loss {record['test_loss']:.4g}, {judged.replace('_', ' ')} {record[judged]:.4f} "
        f"after {record['epochs_run']} epochs, {record['seconds']:.0f} s"
    )
    return record


def _ours(layers: Any) -> tuple[Any, Any]:
    """The layers to train, and a function that names the kernel each one runs on."""
    if layers is not None:
        return layers, lambda model: []
    import sunhwan
    import sunhwan.layers

    return sunhwan.layers, lambda model: [str(line) for line in sunhwan.explain(model)]


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and spread over the seeds of each figure that there is."""
    from sunhwan.runs.statistics import mean_and_spread

    return {
        key: mean_and_spread([float(record[key]) for record in records])
        for key in SUMMARISED
        if key in records[0]
    }


def _settings(
    experiment: Experiment, material: Material, epochs: int, seeds: Sequence[int]
) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "seeds": list(seeds),
        "epochs": epochs,
        "batch": experiment.batch,
        "optimizer": experiment.optimizer,
        "loss": experiment.loss,
        "validation_split": experiment.validation_split,
        "train_rows": len(material.x_train),
        "test_rows": len(material.x_test),
    }
    if experiment.early_stopping:
        settings["early_stopping"] = {"monitor": "val_loss", "patience": PATIENCE}
    if experiment.task == "numbers":
        settings["tolerance"] = TOLERANCE
    return settings


def machine() -> dict[str, Any]:
    """Versions, processor and backend."""
    import keras

    return {**environment.describe(), "backend": keras.backend.backend()}


def check_usage(seeds: Sequence[int], epochs: int | None) -> None:
    """Refuse seeds and numbers of epochs that nothing can be run with.

    Raises
    ------
    UsageError
        Names the argument and the value.
    """
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        raise UsageError(
            f"`seeds` must be different numbers from 0 up, at least one, received {list(seeds)}"
        )
    if epochs is not None and epochs < 1:
        raise UsageError(f"`epochs` must be at least 1, received {epochs}")


def _command(
    experiment: Experiment, seeds: Sequence[int], epochs: int | None, quick: bool, stock: bool
) -> str:
    """What to type for the same results; the command line counts its seeds from 1."""
    parts = ["sunhwan", "reproduce", experiment.name, "--seeds", str(len(seeds))]
    if epochs is not None:
        parts += ["--epochs", str(epochs)]
    parts += [flag for flag, given in (("--quick", quick), ("--stock", stock)) if given]
    return " ".join(parts)


def _plain(value: Any) -> Any:
    """`value` with tuples and mappings as JSON has them."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    if hasattr(value, "items"):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value]


def write(
    name: str,
    results: dict[str, Any],
    folder: Path,
    kept: Kept,
    render: Callable[[Mapping[str, Any]], str],
) -> Result:
    """Write results first, then the report, which can always be made again from them."""
    page = render(results)
    results_path = write_json(folder / "results.json", results)
    report_path = write_text(folder / "report.html", page)
    kept.clear()
    return Result(name, results, results_path, report_path)
