"""Arrays as safetensors, and the guard that every file of a run is read through.

A run may come from anybody. A file is therefore opened only if it is a regular one, its size is
known before it is read, its JSON is strict, and of weights every name, shape, dtype and offset is
what the network expects before an array is made. No name in a file is used as a path, and nothing
in it is executed.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import re
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.runs.files import write_bytes

if TYPE_CHECKING:
    import keras

Variables: TypeAlias = "keras.Model | Sequence[keras.Variable]"

Arrays = dict[str, NDArray[Any]]
Expected = Mapping[str, tuple[tuple[int, ...], DTypeLike]]

#: what can be done about a file of a run that cannot be used
AGAIN = "copy the run again from where it came from, or train it again into a new folder"

_HEADER = 2**20
_DEPTH = 32
_VALUES = 2_000_000
_HOLDERS = 250_000
_DIGITS = 20
_KINDS = {
    "bool": "BOOL",
    "int8": "I8",
    "uint8": "U8",
    "int16": "I16",
    "uint16": "U16",
    "int32": "I32",
    "uint32": "U32",
    "int64": "I64",
    "uint64": "U64",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
}
# weights in these shapes are what people have elsewhere, so they are told by their first bytes
_FOREIGN = {
    b"\x80": "a pickle",
    b"\x1f\x8b": "gzip data",
    b"PK": "a zip archive, such as .keras or .npz",
    b"\x89HDF": "an HDF5 file",
}


def save_weights(path: Path | str, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write arrays as safetensors, atomically; the same arrays give the same bytes.

    Raises
    ------
    ShapeError
        An array is not of booleans, whole numbers or floats of 16 to 64 bits (so no bfloat16).
    UsageError
        There are so many arrays that the file could not be read again.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_weights(f"{folder}/w.safetensors", {"kernel": np.eye(2, dtype="f4")})
    ...     load_weights(path, {"kernel": ((2, 2), "float32")})["kernel"].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    from safetensors.numpy import save

    for name, array in arrays.items():
        _kind(name, array.dtype)
    # safetensors would write the memory of a view as if it had no gaps
    content = save({name: np.asarray(array, order="C") for name, array in arrays.items()})
    if int.from_bytes(content[:8], "little") > _HEADER:
        raise UsageError(f"{path} cannot hold {len(arrays):,} arrays: their names are too long")
    return write_bytes(path, content)


def load_weights(path: Path | str, expected: Expected) -> Arrays:
    """The arrays of a file that `save_weights` wrote.

    Parameters
    ----------
    expected
        Shape and dtype by name (`expected_arrays`); the file must hold exactly these.

    Raises
    ------
    DataError
        The file is missing, no safetensors or damaged, or an array is missing, unknown or of
        another shape or dtype; names the array. Nothing is allocated before that is known.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = Path(path)
    sizes = _sizes(expected)
    with open_member(path, 8 + _HEADER + sum(sizes.values())) as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        _check_start(path, start, length)
        table = parse_object(file.read(length), path)
        _check_table(path, table, expected)
        _check_offsets(path, {name: table[name]["data_offsets"] for name in sizes}, sizes)
        wanted, size = 8 + length + sum(sizes.values()), os.fstat(file.fileno()).st_size
        if size != wanted:
            raise damaged(path, f"it must have {wanted:,} bytes, received {size:,}")
        file.seek(0)
        content = file.read(wanted)
    try:
        return load(content)
    except SafetensorError as error:
        raise damaged(path, str(error)) from error


def model_arrays(source: Variables) -> Arrays:
    """Copies of the weights of a Keras model, or of a list of variables, by name.

    A name is the place in the list and the variable's path without the counters that Keras adds
    to names, which depend on what the process made before: ``003 lstm/lstm_cell/kernel``. So the
    names are the same in every process that builds the model in the same way.

    Parameters
    ----------
    source
        A model (its `weights`) or variables, such as an optimizer's or seed generators'.
    """
    return {name: np.array(variable.numpy()) for name, variable in _named(source).items()}


def expected_arrays(source: Variables) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and dtype of each array of `model_arrays`, for `load_weights`."""
    return {
        name: (tuple(variable.shape), variable.dtype) for name, variable in _named(source).items()
    }


def put_arrays(source: Variables, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Assign what `model_arrays` gave to a model, or variables, built in the same way.

    Raises
    ------
    ShapeError
        An array is missing, unknown or of another shape or dtype; nothing is assigned then.
    """
    variables = _named(source)
    for name in sorted(set(arrays) ^ set(variables)):
        place = "model" if name in variables else "arrays"
        raise ShapeError(f"{shown(name)} is in the {place} alone")
    for name, (shape, kind) in expected_arrays(source).items():
        if arrays[name].shape != shape or arrays[name].dtype != np.dtype(kind):
            raise ShapeError(
                f"the array {shown(name)} must be {kind}{list(shape)}, "
                f"received {arrays[name].dtype}{list(arrays[name].shape)}"
            )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def open_member(path: Path, limit: int) -> io.BufferedReader:
    """A file of a run, opened for reading if it is a regular one of at most `limit` bytes.

    Links are not followed, and a pipe is not waited for.

    Raises
    ------
    DataError
        There is none, or no such one.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise DataError(f"{path} was expected, but there is none", hint=AGAIN) from error
    except OSError as error:
        link = error.errno == errno.ELOOP
        reason = "it is a symbolic link" if link else f"it cannot be read ({error.strerror})"
        raise damaged(path, reason) from error
    status = os.fstat(handle)
    if stat.S_ISREG(status.st_mode) and 0 < status.st_size <= limit:
        return os.fdopen(handle, "rb")
    os.close(handle)
    if not stat.S_ISREG(status.st_mode):
        raise damaged(path, "it must be a regular file")
    raise damaged(path, f"it must have 1 to {limit:,} bytes, received {status.st_size:,}")


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """An object in strict JSON: no key twice, no number that a computer cannot hold, little depth.

    Parameters
    ----------
    path
        The file, for messages.

    Raises
    ------
    DataError
        `content` is no such object; names the file, and the line where there is one.
    """
    # three bytes may become an object of two hundred
    if content.count(b",") > _VALUES or content.count(b"[") + content.count(b"{") > _HOLDERS:
        raise damaged(path, f"it holds above {_VALUES:,} values, or {_HOLDERS:,} lists and objects")
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_int=_whole_number,
            parse_float=_finite_number,
            parse_constant=_finite_number,
        )
        _check_depth(value)
        if re.search(rb"\\u[dD][89a-fA-F]", content):
            # half of a pair is no text: it could not be written again
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise damaged(path, f"it is nested deeper than {_DEPTH} levels") from error
    except ValueError as error:
        raise damaged(path, str(error)) from error
    if not isinstance(value, dict):
        raise damaged(path, f"it must hold a JSON object, received a {type(value).__name__}")
    return value


def damaged(path: Path, reason: str) -> DataError:
    """The error for a file of a run that cannot be used, with what can be done about it."""
    return DataError(f"{path} is damaged or no part of a run: {reason}", hint=AGAIN)


def shown(value: object) -> str:
    """What came, fit to be printed: escaped, and no longer than a line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _named(source: Variables) -> dict[str, keras.Variable]:
    variables: Sequence[keras.Variable] = getattr(source, "weights", source)
    return {
        f"{place:03d} {re.sub(r'_[0-9]+(?![^/_])', '', variable.path)}": variable
        for place, variable in enumerate(variables)
    }


def _kind(name: str, dtype: DTypeLike) -> np.dtype[Any]:
    # Keras's bfloat16 is a dtype for NumPy only where ml_dtypes has been imported
    if str(dtype) != "bfloat16" and np.dtype(dtype).name in _KINDS:
        return np.dtype(dtype)
    raise ShapeError(
        f"the array {shown(name)} must be one of {', '.join(_KINDS)}, received {dtype}",
        hint="convert it to float32",
    )


def _sizes(expected: Expected) -> dict[str, int]:
    return {
        name: math.prod(shape) * _kind(name, dtype).itemsize
        for name, (shape, dtype) in expected.items()
    }


def _check_start(path: Path, start: bytes, length: int) -> None:
    for first, what in _FOREIGN.items():
        if start.startswith(first) and length > _HEADER:
            raise damaged(path, f"it is {what}, not safetensors")
    if len(start) < 8 or not 2 <= length <= _HEADER:
        raise damaged(path, f"its header must have 2 to {_HEADER:,} bytes, received {length:,}")


def _check_table(path: Path, table: dict[str, Any], expected: Expected) -> None:
    """The header's names, dtypes and shapes are those expected."""
    for name in expected:
        if name not in table:
            raise damaged(path, f"it lacks the array {shown(name)}")
    for name, entry in table.items():
        if name not in expected:
            raise damaged(path, f"it holds an array {shown(name)} that is not expected")
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise damaged(path, f"the array {shown(name)} must have dtype, shape and data_offsets")
        shape, dtype = expected[name]
        wanted = [_KINDS[np.dtype(dtype).name], list(shape)]
        if [entry["dtype"], entry["shape"]] != wanted:
            came = f"{shown(entry['dtype'])} {shown(entry['shape'])}"
            raise damaged(
                path, f"the array {shown(name)} must be {wanted[0]!r} {wanted[1]}, received {came}"
            )


def _check_offsets(path: Path, offsets: dict[str, Any], sizes: dict[str, int]) -> None:
    """The arrays lie one after the other, each as large as its shape says."""
    for name, pair in offsets.items():
        if not isinstance(pair, list) or [type(place) for place in pair] != [int, int]:
            raise damaged(path, f"the offsets of {shown(name)} cannot be {shown(pair)}")
    end = 0
    for name in sorted(offsets, key=lambda name: offsets[name]):
        wanted = [end, end + sizes[name]]
        if offsets[name] != wanted:
            raise damaged(
                path, f"the array {shown(name)} must lie at {wanted}, received {offsets[name]}"
            )
        end = wanted[1]


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {shown(twice)} stands twice in one object")
    return value


def _whole_number(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a whole number of {len(text):,} digits, at most {_DIGITS} are read")
    return int(text)


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{shown(text)} is no finite number")
    return number


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEPTH + 1):
        holders = [item for item in level if isinstance(item, dict | list)]
        if not holders:
            return
        level = [i for h in holders for i in (h.values() if isinstance(h, dict) else h)]
    raise ValueError(f"it is nested deeper than {_DEPTH} levels")
