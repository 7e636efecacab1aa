"""Lists, arrays and columns of data frames to examples; each wrong row is named, counted from 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.clips import array_clip, check_frames, is_clip_name, load_clip
from sunhwan.data.examples import Examples, Kind
from sunhwan.data.values import shortened
from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.tasks.config import Task

#: what a label may be in Python, and how it is made of the name that a run keeps
LABELS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": {"True": True, "False": False}.__getitem__,
}


def read_inputs(X: Any, task: Task) -> Examples:
    """Examples without answers.

    Parameters
    ----------
    X
        One sequence each: texts; lists of tokens; numbers ``float[N, T, D]``, ``float[N, T]`` (one
        feature) or a list of ``float[T, D]`` or ``float[T]``; paths of sound files; clips, as
        ``uint8[T, H, W]`` or ``uint8[T, H, W, C]`` or as paths of files, or of folders of numbered
        images. A list, a tuple, an array or a column of a pandas or polars frame; or a frame of
        numbers alone, whose rows are sequences of one feature.

    Raises
    ------
    DataError
        It is none of these, empty, or a row is empty, unlike the others or holds NaN.

    Examples
    --------
    >>> read_inputs([[1.0, 2.0], [3.0]], "classify").inputs[0].shape
    (2, 1)
    """
    rows = _rows("X", X)
    first = rows[0]
    is_token_list = isinstance(first, list | tuple | np.ndarray) and _is_text(first)
    if isinstance(first, str):
        kind, read = _of_text(task)
    elif _is_clip(first):
        kind, read = "clip", _clip
    elif isinstance(first, Path) or type(first).__name__ == "Sound":
        kind, read = "sound", _sound
    elif is_token_list:
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] == 1:
            raise DataError(f"`X` must have one axis, received {X.shape}", hint="X[:, 0]")
        kind, read = "tokens", _tokens
    else:
        kind, read = "numbers", _numbers
    inputs = [read(value, f"row {row} of `X`") for row, value in enumerate(rows)]
    if kind == "numbers":
        _check_widths(inputs)
    if kind == "clip":
        for row, frames in enumerate(inputs):
            check_frames(frames, inputs[0].shape[1:], f"row {row} of `X`: ")
    return Examples(kind, inputs, None, [f"row {row}" for row in range(len(rows))])


def read_examples(X: Any, y: Any, task: Task, groups: Any = None) -> tuple[Examples, str]:
    """Examples with answers, and what their labels are: a name in `LABELS`, or nothing for numbers.

    Parameters
    ----------
    X
        As of `read_inputs`; or a frame of which `y` and `groups` name columns.
    y
        One answer for each row of `X`: labels (texts, whole numbers or bools) to ``classify``,
        numbers to ``regress``; to ``tag``, for each row as many labels, or floats, as it has steps.
    groups
        What must not be parted, one value a row.

    Raises
    ------
    DataError, ShapeError
        As of `read_inputs`; or there is not one answer for each row (or step), one is missing or
        no such answer, or all labels are the same. Names the row.

    Examples
    --------
    >>> examples, labels = read_examples(["so so", "good"], [0, 1], "classify")
    >>> examples.targets, labels
    (['0', '1'], 'int')
    """
    X, y, groups = _out_of_frame(X, y, groups)
    examples = read_inputs(X, task)
    answers = _rows("y", y)
    _check_count("y", answers, examples)
    if task == "tag":
        examples.targets, labels = _steps(answers, examples)
    elif task == "classify":
        examples.targets, labels = _labels(answers, [f"row {row}" for row in range(len(answers))])
    else:
        examples.targets, labels = [_number(v, f"row {n}") for n, v in enumerate(answers)], ""
    if groups is not None:
        names = _rows("groups", groups)
        _check_count("groups", names, examples)
        examples.groups = _labels(names, [f"row {row}" for row in range(len(names))], "groups")[0]
    return examples, labels


def _rows(name: str, values: Any) -> list[Any]:
    """`values` one by one."""
    if hasattr(values, "columns") and hasattr(values, "to_numpy"):
        values = _frame_rows(name, values)
    elif hasattr(values, "to_list"):
        values = values.to_list()
    is_array = isinstance(values, np.ndarray) and values.ndim > 0
    if not is_array and not isinstance(values, list | tuple):
        raise DataError(
            f"`{name}` must be a list, an array or a column, received {shortened(values)}",
            hint=f"[{name}] is a list of one" if isinstance(values, str | Path) else None,
        )
    if not len(values):
        raise DataError(f"`{name}` must have at least one row, received none")
    return list(values)


def _frame_rows(name: str, frame: Any) -> Any:
    """The only column of a frame, or its rows if all columns are numbers."""
    names = _column_names(name, frame)
    if len(names) == 1:
        return frame[names[0]].to_list()
    array = _frame_array(frame)
    if array.dtype.kind not in "fiub":
        choice = f'"{names[0]}"' if isinstance(names[0], str) else repr(names[0])
        raise DataError(
            f"`{name}` must be one column, received {len(names)}: {shortened(names)}",
            hint=f"choose one, such as {name}[{choice}]",
        )
    return array


def _frame_array(frame: Any) -> NDArray[Any]:
    """The values of a frame ``[rows, columns]``, as numbers if each column has numbers alone."""
    array = np.asarray(frame.to_numpy())
    if array.dtype.kind == "O" and array.size:
        # pandas has numbers and missing ones of which it makes objects when there are many columns
        columns = [np.asarray(frame[name].to_numpy()) for name in frame.columns]
        if all(column.dtype.kind in "fiub" for column in columns):
            array = np.stack(columns, axis=1)
    return array


def _column_names(name: str, frame: Any) -> list[Any]:
    names = list(frame.columns)
    again = [column for column, count in Counter(names).items() if count > 1]
    if again:
        raise DataError(f"`{name}` must have one column called {again[0]!r}, received several")
    return names


def _out_of_frame(X: Any, y: Any, groups: Any) -> tuple[Any, Any, Any]:
    """`X` without the columns that `y` and `groups` name, and these columns."""
    named = [value for value in (y, groups) if isinstance(value, str)]
    if not named:
        return X, y, groups
    if not hasattr(X, "columns"):
        raise DataError(f"`X` must be a frame where {named[0]!r} names a column of it")
    columns = _column_names("X", X)
    for name in named:
        if name not in columns:
            raise UsageError(f"`X` has no column {name!r}, but {', '.join(map(str, columns))}")
    rest = X[[name for name in columns if name not in named]]
    return (
        rest,
        X[y] if isinstance(y, str) else y,
        X[groups] if isinstance(groups, str) else groups,
    )


def _check_count(name: str, values: Sequence[Any], examples: Examples) -> None:
    if len(values) != len(examples):
        raise ShapeError(
            f"`{name}` must have one entry for each of the {len(examples)} rows of `X`, "
            f"received {len(values)}"
        )


def _is_text(values: Any) -> bool:
    return len(values) > 0 and isinstance(values[0], str)


def _of_text(task: Task) -> tuple[Kind, Callable[[Any, str], Any]]:
    if task == "tag":
        raise DataError(
            "each row of `X` must be a list of tokens or of numbers, received a text",
            hint="[text.split() for text in X]",
        )
    return "text", _text


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{where} must be a text, received {shortened(value)}")
    if not value.strip():
        raise DataError(f"{where} must be a text, received a blank one")
    return str(value)


def _tokens(value: Any, where: str) -> list[str]:
    if not isinstance(value, list | tuple | np.ndarray) or not len(value):
        raise DataError(f"{where} must be a list of tokens, received {shortened(value)}")
    for place, token in enumerate(value):
        if not isinstance(token, str) or not token:
            raise DataError(f"{where}, token {place}: expected a text, received {token!r}")
    return [str(token) for token in value]


def _sound(value: Any, where: str) -> Any:
    from sunhwan.data.sounds import Sound

    if isinstance(value, Path):
        return Sound(value, str(value))
    if not isinstance(value, Sound):
        raise DataError(f"{where} must be the path of a sound, received {shortened(value)}")
    return value


def _is_clip(value: Any) -> bool:
    if isinstance(value, Path):
        return value.is_dir() or is_clip_name(value.name)
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim in (3, 4)


def _clip(value: Any, where: str) -> NDArray[np.uint8]:
    """``uint8[T, H, W, 3]``."""
    if not _is_clip(value):
        raise DataError(
            f"{where} must be a clip, a path or uint8[T, H, W, C], received {shortened(value)}"
        )
    try:
        return load_clip(value) if isinstance(value, Path) else array_clip(value)
    except DataError as error:
        raise DataError(f"{where}: {error.message}", hint=error.hint) from error


def _numbers(value: Any, where: str) -> NDArray[np.float32]:
    """``float32[T, D]``."""
    try:
        is_frame = hasattr(value, "columns") and hasattr(value, "to_numpy")
        array = _frame_array(value) if is_frame else np.asarray(_plain(value))
    except ValueError as error:
        raise DataError(f"{where} must have as many numbers at each step") from error
    if array.dtype.kind not in "fiub":
        raise DataError(f"{where} must be a sequence of numbers, received {shortened(value)}")
    if array.ndim not in (1, 2) or not array.size:
        raise DataError(
            f"{where} must be a sequence of shape [T, D] or [T], received {array.shape}",
            hint="[X] holds one sequence" if not array.ndim else None,
        )
    steps = array if array.ndim == 2 else array[:, None]
    with np.errstate(over="ignore"):
        narrow = steps.astype(np.float32)
    if not np.isfinite(narrow).all():
        step, feature = np.argwhere(~np.isfinite(narrow))[0]
        raise DataError(
            f"{where}, step {step}, feature {feature}: expected a number that float32 holds, "
            f"received {steps[step, feature]}",
            hint="fill the gaps" if np.isnan(steps).any() else None,
        )
    return narrow


def _plain(value: Any) -> Any:
    return value.to_numpy() if hasattr(value, "to_numpy") else value


def _check_widths(inputs: Sequence[NDArray[np.float32]]) -> None:
    width = inputs[0].shape[1]
    for row, steps in enumerate(inputs):
        if steps.shape[1] != width:
            raise DataError(
                f"row {row} of `X` has {steps.shape[1]} features a step, but row 0 has {width}"
            )


def _number(value: Any, where: str) -> float:
    plain = value.item() if isinstance(value, np.generic) else value
    if isinstance(plain, bool) or not isinstance(plain, int | float):
        raise DataError(f"{where} of `y` must be a number, received {shortened(plain)}")
    if not abs(plain) <= np.finfo(np.float32).max:
        raise DataError(f"{where} of `y` must be a number that float32 holds, received {plain}")
    return float(plain)


def _labels(values: Sequence[Any], places: Sequence[str], name: str = "y") -> tuple[list[str], str]:
    """Names of labels, and what they are in Python."""
    found: list[str] = []
    kinds: list[str] = []
    for value, place in zip(values, places, strict=True):
        plain = value.item() if isinstance(value, np.generic) else value
        kind = type(plain).__name__
        if kind not in LABELS or (kind == "float" and not float(plain).is_integer()):
            raise DataError(
                f"{place} of `{name}` must be a label, received {shortened(plain)}",
                hint="`Regressor` learns numbers" if kind == "float" and plain == plain else None,
            )
        if kinds and kind != kinds[0]:
            raise DataError(
                f"{place} of `{name}` must be a label like {found[0]!r} ({kinds[0]}), "
                f"received {plain!r} ({kind})"
            )
        found.append(str(plain))
        kinds.append(kind)
    return found, kinds[0]


def _steps(answers: Sequence[Any], examples: Examples) -> tuple[list[Any], str]:
    """Answers for each step: labels, or ``float32[T]`` where the first one is a float."""
    rows = []
    for row, (value, steps) in enumerate(zip(answers, examples.inputs, strict=True)):
        given = value.to_list() if hasattr(value, "to_list") else value
        if not isinstance(given, list | tuple | np.ndarray) or len(given) != len(steps):
            came = len(given) if isinstance(given, list | tuple | np.ndarray) else shortened(given)
            raise ShapeError(
                f"row {row} of `y` must have one entry for each of its {len(steps)} steps, "
                f"received {came}"
            )
        rows.append(list(given))
    places = [f"row {row}, step {n}" for row, given in enumerate(rows) for n in range(len(given))]
    flat = [value for given in rows for value in given]
    labels, found = "", []
    if isinstance(flat[0], float | np.floating):
        found = [_number(value, place) for value, place in zip(flat, places, strict=True)]
    else:
        found, labels = _labels(flat, places)  # type: ignore[assignment]
    ends = np.cumsum([len(given) for given in rows])[:-1].tolist()
    parts = [found[start:end] for start, end in zip([0, *ends], [*ends, None], strict=True)]
    return parts if labels else [np.array(part, np.float32) for part in parts], labels
