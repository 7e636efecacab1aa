"""Run folders made to harm: each is refused with a typed error, quickly, and nothing in it runs.

The classes are those of known holes: pickles (CVE-2019-6446, CVE-2025-32434), code and names to
import in configurations (CVE-2024-3660, CVE-2025-1550), sizes that are declared and not stored
(CVE-2026-0897), links and paths to files elsewhere (CVE-2024-55459, CVE-2025-12058, CVE-2022-25882,
CVE-2026-1669, CVE-2026-27489), archives and bombs.
"""

from __future__ import annotations

import ast
import gzip
import json
import os
import pickle
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sunhwan
from hostile import Payload, refused
from sunhwan.errors import DataError
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.weights import load_weights, save_weights
from weight_arrays import ARRAYS, EXPECTED

_JSON = ("run", "config", "encoder", "model", "history", "environment", "results")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with every file that is read again, not finished, so without checksums."""
    run = RunFolder.create(tmp_path / "run", "classify")
    for name in _JSON[1:]:
        run.write(f"{name}.json", {"name": name, "values": [1, 2.5, None, "한글"], "in": {"a": []}})
    run.write_predictions({"true": n, "predicted": "x" * n} for n in range(30))
    save_weights(run.place("weights.safetensors"), ARRAYS)
    run.training.mkdir()
    return run


def _read_all(path: Path) -> dict[str, Any]:
    """Read whatever is ever read from a run."""
    run = RunFolder.open(path)
    read: dict[str, Any] = {name: run.read(f"{name}.json") for name in _JSON[1:]}
    read["predictions"] = list(run.read_predictions())
    arrays = run.load_weights(EXPECTED)
    read["weights"] = {name: array.tobytes() for name, array in arrays.items()}
    return read


BAD_JSON = {
    "nothing": (b"", "1 to 1,048,576 bytes, received 0"),
    "cut off": (b'{"units": 3', "delimiter: line 1 column 12"),
    "text": (b"units = 3\n", "line 1 column 1"),
    "binary": (bytes(range(256)), "can't decode byte|control character|line 1"),
    "not UTF-8": (b'{"units": "\xff"}', "can't decode byte 0xff in position 11"),
    "UTF-16": ('{"units": 3}'.encode("utf-16"), "can't decode byte"),
    "byte order mark": ('{"units": 3}'.encode("utf-8-sig"), "BOM"),
    "deep lists": (b"[" * 200_000, "deeper than 32 levels"),
    "deep objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "deeper than 32 levels"),
    "a little deep": (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "deeper than 32 levels"),
    "long whole number": (b'{"a": ' + b"9" * 900_000 + b"}", "of 900,000 digits"),
    "large float": (b'{"a": 1e999}', "'1e999' is no finite number"),
    "NaN": (b'{"a": NaN}', "'NaN' is no finite number"),
    "infinity": (b'{"a": [-Infinity]}', "'-Infinity' is no finite number"),
    "key twice": (b'{"a": 1, "b": 2, "a": 3}', "key 'a' stands twice"),
    "key twice inside": (b'{"x": [{"a": 1, "\\u0061": 1}]}', "key 'a' stands twice"),
    "screen codes": (b'{"\\u001b[2J": 1, "\\u001b[2J": 1}', r"key '\\x1b\[2J' stands twice"),
    "half a character": (b'{"a": "\\ud800"}', "surrogates not allowed"),
    "list": (b"[1, 2]", "must hold a JSON object, received a list"),
    "word": (b"null", "must hold a JSON object, received a NoneType"),
    "two values": (b'{"a": 1} {"a": 2}', "Extra data"),
    "gzip": (gzip.compress(b'{"a": 1}', mtime=0), "can't decode byte 0x8b"),
    "too large": (b'{"a": "' + b"x" * 2**20 + b'"}', "1 to 1,048,576 bytes"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_json_is_refused(run: RunFolder, case: str) -> None:
    content, message = BAD_JSON[case]
    (run.path / "config.json").write_bytes(content)
    text = refused(lambda: RunFolder.open(run.path).read("config.json"), message)
    assert "config.json" in text
    assert "copy the run again" in text
    (run.path / "run.json").write_bytes(content)
    assert "run.json" in refused(lambda: RunFolder.open(run.path), "run.json is damaged")


def test_json_within_the_limits_is_read(run: RunFolder) -> None:
    deep: Any = "잎"
    for _ in range(31):
        deep = [deep]
    value = {"deep": deep, "large": [2**64 - 1, -(2**63), 1e308], "key 😀": "\x00\x1b \u2028"}
    run.write("model.json", value)
    assert run.read("model.json") == value


@pytest.mark.parametrize("unit", [b"0,", b"[],", b'{"a":0},', b'"",'])
def test_json_that_grows_in_memory_is_refused(run: RunFolder, unit: bytes) -> None:
    content = b'{"a":[' + unit * (15 * 2**20 // len(unit)) + b"0]}"
    (run.path / "encoder.json").write_bytes(content)
    refused(lambda: run.read("encoder.json"), "it holds above 2,000,000 values, or 250,000 lists")


@pytest.mark.parametrize("name", ["run.json", "config.json", "weights.safetensors", "report.html"])
def test_what_is_no_regular_file_is_refused(run: RunFolder, tmp_path: Path, name: str) -> None:
    """Links to files elsewhere, pipes that never end, sockets, folders."""
    path = run.path / name
    secret = tmp_path / "secret"
    secret.write_text('{"password": "hunter2"}')

    def bind() -> None:
        with socket.socket(socket.AF_UNIX) as server:
            here = os.getcwd()
            os.chdir(run.path)  # a socket's path has at most a hundred characters
            try:
                server.bind(name)
            finally:
                os.chdir(here)

    makers: dict[str, tuple[Callable[[], object], str]] = {
        "link": (lambda: path.symlink_to(secret), "it is a symbolic link"),
        "link to a device": (lambda: path.symlink_to("/dev/zero"), "it is a symbolic link"),
        "dangling": (lambda: path.symlink_to("../nowhere"), "it is a symbolic link"),
        "loop": (lambda: path.symlink_to(name), "it is a symbolic link"),
        "pipe": (lambda: os.mkfifo(path), "must be a regular file"),
        "socket": (bind, "must be a regular file|cannot be read"),
        "folder": (path.mkdir, "must be a regular file"),
    }
    for make, message in makers.values():
        path.unlink(missing_ok=True)
        make()
        text = refused(lambda: RunFolder.open(run.path), message)
        assert name in text
        assert "hunter2" not in text
    with pytest.raises(DataError, match="must be a regular file"):
        RunFolder.create(run.path, "classify", overwrite=True)
    assert secret.read_text() == '{"password": "hunter2"}'


def test_a_training_folder_elsewhere_is_refused(run: RunFolder, tmp_path: Path) -> None:
    """Neither read through, nor emptied when the run is written over."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    run.training.rmdir()
    (run.path / "training").symlink_to(elsewhere)
    for action in (
        lambda: RunFolder.open(run.path),
        lambda: RunFolder.create(run.path, "classify", overwrite=True),
        run.finish,
    ):
        refused(action, "training is damaged or no part of a run: it must be a folder")
    assert (elsewhere / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["run.json", "encoder.json", "weights.safetensors"])
def test_a_file_that_claims_a_terabyte_is_not_read(run: RunFolder, name: str) -> None:
    with (run.path / name).open("r+b") as file:
        file.truncate(2**40)
    text = refused(lambda: RunFolder.open(run.path), "received 1,099,511,627,776")
    assert name in text
    if name == "weights.safetensors":
        refused(lambda: load_weights(run.path / name, EXPECTED), "received 1,099,511,627,776")


@pytest.mark.parametrize("claimed", [False, True])
def test_weights_of_gigabytes_are_refused_by_their_header(run: RunFolder, claimed: bool) -> None:
    """Of a finished run, whose checksum would take seconds to compute."""
    run.finish()
    path = run.path / "weights.safetensors"
    content = path.read_bytes()
    size = 2**31 - 8
    if claimed:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        end = header["006 half"]["data_offsets"][1]
        header["007 more"] = {
            "dtype": "U8", "shape": [2**30], "data_offsets": [end, end + 2**30],
        }  # fmt: skip
        text = json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text)
        size = 8 + len(text) + end + 2**30
    with path.open("r+b") as file:
        file.truncate(size)
    again = RunFolder.open(run.path)
    refused(lambda: again.load_weights(EXPECTED), f"it must have 1 to .* received {size:,}")
    # with room for it in the file, the names and shapes decide
    wider = {**EXPECTED, "007 more": ((2**31,), "uint8")}
    refused(lambda: again.load_weights(wider), r"lacks the array '007 more'|must be 'U8' \[21474")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "predictions.jsonl"])
def test_a_pickle_is_refused_and_not_run(
    run: RunFolder, tmp_path: Path, name: str, protocol: int
) -> None:
    marker = tmp_path / "was-run"
    content = pickle.dumps(Payload(marker), protocol)
    (run.path / name).write_bytes(content)
    refused(lambda: _read_all(run.path), f"{name} is damaged")
    assert not marker.exists()
    pickle.loads(content)
    assert marker.exists(), "the pickle is harmless, so this test tested nothing"


def test_names_of_code_in_a_configuration_stay_text(run: RunFolder, tmp_path: Path) -> None:
    """What would be imported or called elsewhere is read here as the text that it is."""
    marker = tmp_path / "was-run"
    value = {
        "module": "os",
        "class_name": "mkdir",
        "config": {"path": str(marker), "__reduce__": ["os.mkdir", [str(marker)]]},
        "vocabulary": "/etc/passwd",
        "function": "exec",
    }
    run.write("model.json", value)
    assert RunFolder.open(run.path).read("model.json") == value
    assert not marker.exists()


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    "name", [*(f"{name}.json" for name in _JSON), "weights.safetensors", "predictions.jsonl"]
)
def test_a_file_cut_off_anywhere_is_noticed(run: RunFolder, name: str, finished: bool) -> None:
    if finished:
        run.finish()
    content = (run.path / name).read_bytes()
    for eighth in range(8):
        (run.path / name).write_bytes(content[: len(content) * eighth // 8])
        assert name in refused(lambda: _read_all(run.path), "is damaged or no part of a run")
    (run.path / name).write_bytes(content)
    _read_all(run.path)


def test_predictions_cut_off_between_two_lines_are_noticed(run: RunFolder) -> None:
    run.finish()
    path = run.path / "predictions.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    refused(lambda: _read_all(run.path), "not as training wrote it")


@pytest.mark.parametrize("finished", [False, True])
def test_random_damage_never_ends_in_another_error(run: RunFolder, finished: bool) -> None:
    """Bytes changed, put in, taken out or repeated: an error of ours, or still a run.

    Once finished, what the network is made of is never read differently.
    """
    if finished:
        run.finish()
    whole = _read_all(run.path)
    files = [path for path in run.path.iterdir() if path.is_file()]
    chance = random.Random(7)
    noticed = 0
    for _ in range(300):
        path = chance.choice(files)
        content = path.read_bytes()
        at, size = chance.randrange(len(content)), chance.choice((1, 1, 2, 9))
        put = chance.choice((chance.randbytes(size), b"", b'{"a":[', b"-9e9", content[:at]))
        path.write_bytes(content[:at] + put + content[at + chance.choice((0, size)) :])
        try:
            read = _read_all(run.path)
        except DataError:
            noticed += 1
        else:
            changed = {name for name in whole if read[name] != whole[name]}
            assert changed <= {path.name.split(".")[0]}
            assert not (finished and changed - {"results"})
        path.write_bytes(content)
    assert noticed > 150


def test_the_package_has_no_way_to_run_what_a_file_says() -> None:
    """No pickle or its like is imported, and no array of objects is allowed, anywhere."""
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    called = {"eval", "exec", "compile", "__import__"}
    files = list(Path(sunhwan.__file__).parent.rglob("*.py"))
    assert len(files) > 20
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not forbidden & {alias.name.partition(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").partition(".")[0] not in forbidden, path
            elif isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "safe_mode"):
                safe = node.arg == "safe_mode"
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is safe, path
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in called, path
