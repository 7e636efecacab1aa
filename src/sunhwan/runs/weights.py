"""Arrays as safetensors, which are known from their header before any of them is read.

A file may come from anybody. It is opened by `sunhwan.runs.guard`, and every name, shape, dtype and
offset is what the network expects before an array is made.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sunhwan.errors import ShapeError, UsageError
from sunhwan.runs.files import write_bytes
from sunhwan.runs.guard import changed, damaged, open_member, parse_object, shown

if TYPE_CHECKING:
    import keras

Variables: TypeAlias = "keras.Model | Sequence[keras.Variable]"

Arrays = dict[str, NDArray[Any]]
Expected = Mapping[str, tuple[tuple[int, ...], DTypeLike]]

_HEADER = 2**20
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


def load_weights(path: Path | str, expected: Expected, *, sha256: str | None = None) -> Arrays:
    """The arrays of a file that `save_weights` wrote.

    Parameters
    ----------
    expected
        Shape and dtype by name (`expected_arrays`); the file must hold exactly these.
    sha256
        Of the whole file, if it is known.

    Raises
    ------
    DataError
        The file is missing, no safetensors or damaged, or an array is missing, unknown or of
        another shape or dtype; names the array. Nothing is allocated before that is known.
    """
    size = sum(_sizes(expected).values())
    with opened(Path(path), 8 + _HEADER + size) as stored:
        return stored.load(expected, sha256)


@dataclass(frozen=True, eq=False)
class Stored:
    """A file of safetensors of which only the header was read.

    Attributes
    ----------
    path
        Of the file.
    table
        What the header says of each array, not checked yet; and ``__metadata__``, if it has any.
    """

    path: Path
    table: dict[str, Any]
    _file: io.BufferedReader
    _start: int

    def shapes(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of each array, as the header says.

        Raises
        ------
        DataError
            It does not say so of each; names the array.
        """
        names = {code: name for name, code in _KINDS.items()}
        found = {}
        for name, entry in self.table.items():
            _check_entry(self.path, name, entry)
            dtype, shape = entry["dtype"], entry["shape"]
            is_shape = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape)
            if not isinstance(dtype, str) or dtype not in names or not is_shape:
                came = f"{shown(dtype)} {shown(shape)}"
                raise damaged(self.path, f"the array {shown(name)} cannot be {came}")
            found[name] = (tuple(shape), names[dtype])
        return found

    def load(self, expected: Expected, sha256: str | None = None) -> Arrays:
        """The arrays, which must be those expected; arguments as of `load_weights`.

        Raises
        ------
        DataError
            They are not, or do not lie one after the other and fill the file.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        sizes = _sizes(expected)
        _check_table(self.path, self.table, expected)
        offsets = {name: self.table[name]["data_offsets"] for name in sizes}
        _check_offsets(self.path, offsets, sizes)
        wanted = self._start + sum(sizes.values())
        size = os.fstat(self._file.fileno()).st_size
        if size != wanted:
            raise damaged(self.path, f"it must have {wanted:,} bytes, received {size:,}")
        self._file.seek(0)
        content = self._file.read(wanted)
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise changed(self.path)
        try:
            return load(content)
        except SafetensorError as error:
            raise damaged(self.path, str(error)) from error


@contextmanager
def opened(path: Path, limit: int, *, header: int = _HEADER) -> Iterator[Stored]:
    """A file of safetensors, of at most `limit` bytes, of which `header` are its header.

    Raises
    ------
    DataError
        As `sunhwan.runs.guard.open_member`; or it is no safetensors.
    """
    with open_member(path, limit) as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        _check_start(path, start, length, header)
        yield Stored(path, parse_object(file.read(length), path), file, 8 + length)


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


def _check_start(path: Path, start: bytes, length: int, most: int) -> None:
    for first, what in _FOREIGN.items():
        if start.startswith(first) and length > most:
            raise damaged(path, f"it is {what}, not safetensors")
    if len(start) < 8 or not 2 <= length <= most:
        raise damaged(path, f"its header must have 2 to {most:,} bytes, received {length:,}")


def _check_entry(path: Path, name: str, entry: object) -> None:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise damaged(path, f"the array {shown(name)} must have dtype, shape and data_offsets")


def _check_table(path: Path, table: dict[str, Any], expected: Expected) -> None:
    """The header's names, dtypes and shapes are those expected."""
    for name in expected:
        if name not in table:
            raise damaged(path, f"it lacks the array {shown(name)}")
    for name, entry in table.items():
        if name not in expected:
            raise damaged(path, f"it holds an array {shown(name)} that is not expected")
        _check_entry(path, name, entry)
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
