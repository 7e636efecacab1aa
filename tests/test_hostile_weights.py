"""Weights made to harm, and files of other programs in their place; see test_hostile_runs.py."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hostile import Payload, refused
from sunhwan.errors import DataError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.weights import load_weights, save_weights

_ARRAYS = {
    "000 kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "001 state": np.array([1, 2], np.uint32),
}
_EXPECTED: dict[str, Any] = {"000 kernel": ((2, 3), "float32"), "001 state": ((2,), "uint32")}
_TABLE: dict[str, Any] = {
    "000 kernel": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "001 state": {"dtype": "U32", "shape": [2], "data_offsets": [24, 32]},
}


def _weights(table: object, data: bytes = bytes(32), length: int | None = None) -> bytes:
    """A file of safetensors with any header at all."""
    header = table if isinstance(table, bytes) else json.dumps(table).encode()
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data


def _changed(name: str, **changes: object) -> dict[str, Any]:
    return {**_TABLE, name: {**_TABLE[name], **changes}}


BAD_WEIGHTS = {
    "nothing": (b"", "1 to 1,048,616 bytes, received 0"),
    "one byte": (b"\x08", "header must have 2 to 1,048,576 bytes, received 8"),
    "absurd header": (_weights(_TABLE, length=2**63), "received 9,223,372,036,854,775,808"),
    "header past the limit": (_weights(_TABLE, length=2**20 + 1), "received 1,048,577"),
    "header past the end": (_weights(_TABLE, length=2**20), "can't decode|Extra data"),
    "empty header": (_weights(b""), "header must have 2"),
    "header of spaces": (_weights(b" " * 64), "Expecting value"),
    "header of zeros": (_weights(bytes(64)), "Expecting value"),
    "header a list": (_weights([_TABLE]), "must hold a JSON object"),
    "deep header": (_weights(b'{"a":' * 150_000), "deeper than 32"),
    "name twice": (
        _weights(json.dumps(_TABLE)[:-1].encode() + b', "000 kernel": {}}'),
        "the key '000 kernel' stands twice",
    ),
    "path as a name": (
        _weights({**_TABLE, "../../../etc/cron.d/x": _TABLE["001 state"]}),
        r"array '\.\./\.\./\.\./etc/cron\.d/x' that is not expected",
    ),
    "absolute name": (_weights({**_TABLE, "/etc/passwd\x00": {}}), r"'/etc/passwd\\x00' that"),
    "screen codes": (_weights({**_TABLE, "\x1b]0;x\x07": {}}), r"'\\x1b\]0;x\\x07' that"),
    "metadata": (_weights({**_TABLE, "__metadata__": {"run": "os.system"}}), "'__metadata__' that"),
    "missing": (_weights({"000 kernel": _TABLE["000 kernel"]}), "lacks the array '001 state'"),
    "no entry": (_weights({**_TABLE, "001 state": None}), "must have dtype, shape and"),
    "more in an entry": (_weights(_changed("001 state", file="/etc/passwd")), "must have dtype"),
    "large shape": (_weights(_changed("000 kernel", shape=[2**40, 2**40])), r"'F32' \[2, 3\], rec"),
    "shape that wraps": (_weights(_changed("000 kernel", shape=[2**63, 2])), r"'F32' \[2, 3\]"),
    "negative shape": (_weights(_changed("000 kernel", shape=[-2, -3])), r"\[-2, -3\]"),
    "shape in words": (_weights(_changed("000 kernel", shape="2x3")), "received 'F32' '2x3'"),
    "shape of floats": (_weights(_changed("000 kernel", shape=[2.0, 3.0])), "damaged"),
    "shape of booleans": (
        _weights(_changed("001 state", shape=[True])),
        r"received 'U32' \[True\]",
    ),
    "objects": (_weights(_changed("000 kernel", dtype="O")), "received 'O'"),
    "dtype a list": (_weights(_changed("000 kernel", dtype=["F32"])), r"received \['F32'\]"),
    "overlap": (_weights(_changed("001 state", data_offsets=[16, 24])), r"lie at \[24, 32\]"),
    "hole": (_weights(_changed("001 state", data_offsets=[28, 36])), r"lie at \[24, 32\]"),
    "backwards": (_weights(_changed("001 state", data_offsets=[32, 24])), r"lie at \[24, 32\]"),
    "too long": (_weights(_changed("000 kernel", data_offsets=[0, 2**62])), r"lie at \[0, 24\]"),
    "before the start": (_weights(_changed("000 kernel", data_offsets=[-8, 16])), r"at \[0, 24\]"),
    "offsets of floats": (_weights(_changed("001 state", data_offsets=[24.0, 32])), "cannot be"),
    "offsets of booleans": (_weights(_changed("001 state", data_offsets=[True, 32])), "cannot be"),
    "three offsets": (_weights(_changed("001 state", data_offsets=[0, 24, 32])), "cannot be"),
    "offsets in words": (_weights(_changed("001 state", data_offsets="all")), "cannot be 'all'"),
    "data cut off": (_weights(_TABLE, bytes(31)), "bytes, received"),
    "data after the end": (_weights(_TABLE, bytes(33)), "bytes, received"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "it is an HDF5 file, not safetensors"),
    "gzip": (
        gzip.compress(_weights(_TABLE), mtime=1_700_000_000),
        "it is gzip data, not safetensors",
    ),
    "zeros": (bytes(1000), "header must have 2"),
}


@pytest.mark.parametrize("case", BAD_WEIGHTS)
def test_bad_weights_are_refused(tmp_path: Path, case: str) -> None:
    content, message = BAD_WEIGHTS[case]
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    text = refused(lambda: load_weights(path, _EXPECTED), message)
    assert "weights.safetensors" in text
    assert "copy the run again" in text


def test_the_files_above_are_bad_for_one_reason_each(tmp_path: Path) -> None:
    """The same maker, with nothing changed, makes a file that loads."""
    path = tmp_path / "weights.safetensors"
    path.write_bytes(_weights(_TABLE, np.arange(8, dtype=np.uint32).tobytes()))
    assert load_weights(path, _EXPECTED)["001 state"].tolist() == [6, 7]


def test_a_model_of_another_program_is_refused(tmp_path: Path) -> None:
    """A .keras file with code in a Lambda, an .npz of objects, a bomb: all zip archives."""
    marker = tmp_path / "was-run"
    path = tmp_path / "weights.safetensors"
    keras_file, objects, bomb = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(keras_file, "w") as archive:
        config = {"module": "os", "class_name": "mkdir", "config": {"name": str(marker)}}
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("../../outside", "x")
    np.savez(objects, weights=np.array([Payload(marker)], object))
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**27))
    for content in (keras_file, objects, bomb):
        path.write_bytes(content.getvalue())
        refused(lambda: load_weights(path, _EXPECTED), "zip archive, such as .keras or .npz")
    path.write_bytes(gzip.compress(bytes(2**27)))
    refused(lambda: load_weights(path, _EXPECTED), "it is gzip data")
    archive_path = tmp_path / "run.zip"
    archive_path.write_bytes(bomb.getvalue())
    refused(lambda: RunFolder.open(archive_path), "it is a file")
    assert not marker.exists()


def test_each_flipped_bit_of_the_header_is_noticed(tmp_path: Path) -> None:
    path = save_weights(tmp_path / "weights.safetensors", _ARRAYS)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    for bit in range(8 * header):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        with pytest.raises(DataError, match=r"weights\.safetensors"):
            load_weights(path, _EXPECTED)
