"""A trained network as a file for other programs, with a JSON file that says how to feed it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

import sunhwan
from sunhwan.errors import UsageError
from sunhwan.runs.files import replacing, write_bytes, write_json
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks import forecast_run, running
from sunhwan.tasks.exporting_inputs import inputs_text

Format = Literal["keras", "onnx"]
_FORMATS: tuple[Format, ...] = get_args(Format)
#: the rows of the example, with so many real steps each
_EXAMPLE = (5, 3, 1)
_MEANINGS = {
    "ids": "the id, or the ids, of each step; 0 behind the end of a row",
    "numbers": "the numbers of each step, 0 behind the end of a row",
    "mask": "True for the real steps of a row, which come first",
    "lengths": "how many steps of a row are real; these come first",
    "past": "known steps of a series",
    "future": "what is known of the steps to forecast",
}
_USE = """\
{first}import json
from pathlib import Path

import {library}
import numpy as np

model = {load}({path!r})
about = json.loads(Path({about!r}).read_text("utf-8"))
feed = {{k: np.array(x["example"], x["dtype"]) for k, x in about["inputs"].items()}}
answer = {call}
print(about["output"]["meaning"], answer, sep="\\n")
"""
# Keras looks for TensorFlow where nobody says otherwise
_BACKEND = 'import os\n\nos.environ.setdefault("KERAS_BACKEND", "jax")\n'
_CALLS = {
    "keras": (_BACKEND, "keras", "keras.saving.load_model", "model.predict(feed, verbose=0)"),
    "onnx": (
        "# pip install onnxruntime\n",
        "onnxruntime",
        "onnxruntime.InferenceSession",
        "model.run(None, feed)[0]",
    ),
}


def export(source: Any, path: Path | str, format: str | None = None) -> Path:
    """Write a trained network as a file that needs no sunhwan, and beside it what feeds it.

    A ``.keras`` file holds stock Keras layers and opens where only Keras is installed; an ``.onnx``
    file runs in ONNX Runtime and whatever else reads ONNX. Rows may be of any number and length.
    Both answer with probabilities in the order of ``classes``, with numbers in the units of the
    training answers, or, of a forecast, with distances from a simple guess.

    ``path`` with ``.json`` behind it says how a text, numbers or a series becomes inputs, holds
    vocabulary, scales and classes, and an example with what the network answers to it.

    Parameters
    ----------
    source
        The folder of a run; or a fitted `Classifier`, `Regressor`, `Tagger` or `Forecaster`.
    path
        Where to write.
    format
        ``keras`` or ``onnx``; None goes by the end of `path`.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    UsageError
        `source` is neither, `path` ends otherwise, the package onnx is missing, or the network
        has a layer without a counterpart.
    DataError
        There is no run in the folder, it is damaged, or its training did not finish.

    Examples
    --------
    >>> import json, tempfile
    >>> from sunhwan import Classifier
    >>> fitted = Classifier(units=4, epochs=1).fit(["a good film", "a bad film"] * 10, [1, 0] * 10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = export(fitted, Path(folder) / "film.keras")
    ...     about = json.loads(written.with_name("film.keras.json").read_text("utf-8"))
    >>> about["classes"], about["inputs"]["ids"]["shape"]
    (['0', '1'], ['batch', 'time'])
    """
    path = Path(path)
    chosen = _format(path, format)
    if chosen == "onnx":
        from sunhwan.tasks.exporting_onnx import require_onnx

        require_onnx()
    learner = _learner(source)
    if learner.kind == "clip":
        raise UsageError(
            "a network that reads clips cannot be exported yet",
            hint="`sunhwan predict RUN DATA` answers with it",
        )
    model = _answering(learner)
    given = _example(model, learner)
    answer = np.asarray(model.predict(given, verbose=0))
    {"keras": _write_keras, "onnx": _write_onnx}[chosen](model, path)
    inputs = {x.name: _described(x.name, given[x.name], x.shape) for x in model.inputs}
    if chosen == "onnx" and "mask" in inputs:
        del inputs["mask"]
        inputs["lengths"] = _described("lengths", np.array(_EXAMPLE, np.int32), (None,))
    about = {
        "format": chosen,
        "sunhwan": sunhwan.__version__,
        "task": learner.task,
        "kind": learner.kind,
        "inputs": inputs,
        "output": {
            "name": model.output_names[0],
            **_described(model.output_names[0], answer, model.outputs[0].shape),
            "meaning": _meaning(learner),
        },
        "classes": getattr(learner, "classes", []),
        "reading": inputs_text(learner),
        "encoder": learner.encoder.config(),
        "use": usage(Path(path.name)).splitlines(),
    }
    write_json(about_path(path), about)
    return path


def about_path(path: Path) -> Path:
    """The JSON file beside an exported network."""
    return path.with_name(f"{path.name}.json")


def usage(path: Path) -> str:
    """Lines of Python that load an exported network and feed it its example, without sunhwan.

    Examples
    --------
    >>> print(usage(Path("film.onnx")).splitlines()[7])
    model = onnxruntime.InferenceSession('film.onnx')
    """
    first, library, load, call = _CALLS[_format(path, None)]
    return _USE.format(
        first=first,
        library=library,
        load=load,
        call=call,
        path=str(path),
        about=str(about_path(path)),
    )


def _format(path: Path, format: str | None) -> Format:
    if format is not None and format not in _FORMATS:
        raise UsageError(f"`format` must be {' or '.join(_FORMATS)}, received {format!r}")
    for known in _FORMATS:
        if path.name.endswith(f".{known}") and format in (known, None):
            return known
    wanted = " or ".join(f".{known}" for known in _FORMATS if format in (known, None))
    raise UsageError(f"the name of the file must end in {wanted}, received {path.name!r}")


def _learner(source: Any) -> Any:
    if isinstance(source, str | Path):
        task = RunFolder.open(source).task
        if task in ("generate", "translate", "caption"):
            raise UsageError(
                f"{source}: a run of `{task}` cannot be exported yet",
                hint=f"`sunhwan {task} {source}` writes with it",
            )
        return forecast_run.load(source) if task == "forecast" else running.load(source)
    learner = getattr(source, "learner_", None)
    if learner is None:
        raise UsageError(
            "what is exported must be the folder of a run or a fitted estimator, "
            f"received {type(source).__name__}"
        )
    return learner


def _answering(learner: Any) -> Any:
    """The network with what `Learner.answer` does to its numbers as a last layer."""
    import keras

    model = learner.model
    if learner.task == "forecast":
        return model
    last: Any = keras.layers.Rescaling(learner.targets.scale, learner.targets.mean, name="answers")
    if learner.classes:
        last = keras.layers.Activation("softmax", name="probabilities")
    # a list: then Keras takes a dict of arrays, a list or one array alike
    return keras.Model(list(model.inputs), last(model.output))


def _meaning(learner: Any) -> str:
    if learner.task == "forecast":
        return "for each step its distance from a simple guess; `reading` says what the value is"
    what = "the probability of each of `classes`" if learner.classes else "the number"
    if learner.per_step:
        return f"{what}, for each step; behind the end of a row it means nothing"
    return what


def _example(model: Any, learner: Any) -> dict[str, NDArray[Any]]:
    """Inputs by name, drawn for rows of unequal length."""
    rng = np.random.default_rng(0)
    vocabulary: tuple[int, ...] = getattr(getattr(learner, "network", None), "vocabulary", ())
    found: dict[str, NDArray[Any]] = {}
    for tensor in model.inputs:
        steps, *more = (axis or max(_EXAMPLE) for axis in tensor.shape[1:])
        live: NDArray[Any] = np.arange(steps) < np.array(_EXAMPLE)[:, None]
        if tensor.dtype == "bool":
            found[tensor.name] = live
            continue
        shape = (*live.shape, *more)
        drawn: NDArray[Any] = rng.normal(size=shape).round(3)
        if tensor.dtype == "int32":
            drawn = rng.integers(1, vocabulary if more else vocabulary[0], shape)
        if tensor.shape[1] is None:
            drawn = drawn * live.reshape(*live.shape, *(1 for _ in more))
        found[tensor.name] = drawn.astype(tensor.dtype)
    return found


def _described(name: str, example: NDArray[Any], shape: tuple[int | None, ...]) -> dict[str, Any]:
    axes = ["batch" if not axis else size or "time" for axis, size in enumerate(shape)]
    meaning = {"meaning": _MEANINGS[name]} if name in _MEANINGS else {}
    facts = {"dtype": str(example.dtype), "shape": axes, **meaning}
    return {**facts, "example": example.tolist()}


def _write_keras(model: Any, path: Path) -> None:
    from sunhwan.tasks.exporting_keras import stock_model

    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "model.keras"
        stock_model(model).save(whole)
        with whole.open("rb") as content, replacing(path) as file:
            shutil.copyfileobj(content, file)


def _write_onnx(model: Any, path: Path) -> None:
    from sunhwan.tasks.exporting_onnx import onnx_model

    write_bytes(path, onnx_model(model).SerializeToString(deterministic=True))
