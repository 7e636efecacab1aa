"""States of trainings made to harm: refused with a typed error, soon, and nothing in them runs."""

from __future__ import annotations

import json
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hostile import Payload, refused
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks import checkpoint
from sunhwan.tasks.checkpoint import Keeper

SETTINGS = {"fingerprint": "x", "monitor": "val_loss", "epochs": 3}
FRESH: dict[str, Any] = {
    "trainable": [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(4, np.float32)],
    "non_trainable": [np.array([7, 9], np.uint32)],
    "optimizer": [np.int32(5)],
    "metrics": [],
}
BEST = {"best_trainable": FRESH["trainable"], "best_non_trainable": FRESH["non_trainable"]}
RECORD = {"figures": {"loss": [0.5], "val_loss": [0.25]}, "batch": 2, "seconds": 1.5}


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    """With a state after one epoch and two batches."""
    found = Keeper(tmp_path, SETTINGS, 60.0)
    found.save(FRESH | BEST, RECORD)
    return found


def state(keeper: Keeper) -> Path:
    assert keeper.folder is not None
    return keeper.folder / "training.safetensors"


def is_refused(keeper: Keeper, message: str) -> None:
    text = refused(lambda: keeper.load(FRESH), message)
    assert "training.safetensors" in text
    assert "`sunhwan train` it anew" in text


def header(keeper: Keeper) -> dict[str, Any]:
    content = state(keeper).read_bytes()
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])


def put_header(keeper: Keeper, table: object, data: bytes | None = None) -> None:
    content = state(keeper).read_bytes()
    text = json.dumps(table).encode()
    if data is None:
        data = content[8 + int.from_bytes(content[:8], "little") :]
    state(keeper).write_bytes(len(text).to_bytes(8, "little") + text + data)


def test_what_was_written_comes_back(keeper: Keeper) -> None:
    put_header(keeper, header(keeper))  # by these functions too
    found = keeper.load(FRESH)
    assert found is not None
    arrays, record = found
    assert (record.epochs, record.batch, record.seconds) == (1, 2, 1.5)
    assert record.figures == RECORD["figures"]
    for name in ("trainable", "best_trainable"):
        np.testing.assert_array_equal(arrays[name][0], FRESH["trainable"][0])


@pytest.mark.parametrize("length", [1, 8, 9, 1000, 100_000])
def test_random_bytes_are_refused(keeper: Keeper, length: int) -> None:
    for seed in range(20):
        state(keeper).write_bytes(random.Random(seed).randbytes(length))
        is_refused(keeper, "is damaged or no part of a run")


WRONG_FIELDS = [
    *[("figures", wrong) for wrong in (None, [], "loss", 3, {"loss": 1}, {"loss": ["a"]})],
    *[("figures", wrong) for wrong in ({"loss": [0.5]}, {"val_loss": [0.5]}, {"loss": [True]})],
    ("figures", {"loss": [0.5], "val_loss": []}),
    ("figures", {"loss": [0.5], "val_loss": [0.5], "\x1b[2J": [[0.5]]}),
    ("figures", {}),  # but with the best arrays of an epoch
    *[("batch", wrong) for wrong in (None, -1, 1.5, "2", True, [2], 10**30)],
    *[("seconds", wrong) for wrong in (None, -0.5, "1", [], {}, False)],
    *[("settings", wrong) for wrong in (None, [], "x", 1)],
    ("more", 1),
    ("self", {}),
    ("__class__", "os.system"),
]


@pytest.mark.parametrize(("field", "value"), WRONG_FIELDS, ids=repr)
def test_a_record_of_wrong_types_is_refused(keeper: Keeper, field: str, value: object) -> None:
    checkpoint.write(
        state(keeper).parent, FRESH | BEST, {"settings": SETTINGS, **RECORD, field: value}
    )
    is_refused(keeper, "is damaged or no part of a run")


@pytest.mark.parametrize("field", ["settings", "figures", "batch", "seconds"])
def test_a_record_that_lacks_a_field_is_refused(keeper: Keeper, field: str) -> None:
    fields = {"settings": SETTINGS, **RECORD}
    del fields[field]
    checkpoint.write(state(keeper).parent, FRESH | BEST, fields)
    is_refused(keeper, f"`{field}`: Field required")


@pytest.mark.parametrize(
    "metadata",
    [None, [], "x", {}, {"format": "1"}, {"record": "{}"}, {"format": 1, "record": "{}"},
     {"format": "1", "record": {}}, {"format": "1", "record": "[" * 100_000},
     {"format": "1", "record": '{"batch": NaN}'}, {"format": "1", "record": "\ud800"}],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_metadata_of_any_kind_are_refused(keeper: Keeper, metadata: object) -> None:
    table = header(keeper)
    for changed in ({**table, "__metadata__": metadata}, {k: table[k] for k in table if "/" in k}):
        put_header(keeper, changed)
        is_refused(keeper, "is damaged or no part of a run")


def test_another_version_is_told(keeper: Keeper) -> None:
    table = header(keeper)
    table["__metadata__"]["format"] = "\x1b2"
    put_header(keeper, table)
    with pytest.raises(DataError, match=r"must have format 1, received '\\x1b2'") as caught:
        keeper.load(FRESH)
    assert "the version of sunhwan that wrote it" in str(caught.value.hint)


@pytest.mark.parametrize(
    "entry",
    [None, [], 3, {}, {"dtype": "F32", "file": "x"}, {"dtype": "F32", "shape": [2, 3]},
     {"dtype": ["F32"]}, {"dtype": "O"}, {"dtype": {}}, {"shape": "2x3"},
     {"shape": [2.0, 3]}, {"shape": [-2, -3]},
     {"shape": [[2], 3]}, {"shape": None}, {"data_offsets": [0, 2**70]}, {"data_offsets": 7},
     {"data_offsets": [True, 24]}, {"data_offsets": [24, 0]}, {"file": "/etc/passwd"}],
    ids=repr,
)  # fmt: skip
def test_a_header_of_wrong_types_is_refused(keeper: Keeper, entry: object) -> None:
    table = header(keeper)
    whole = table["trainable/0"]
    keeps = isinstance(entry, dict) and len(entry) == 1
    table["trainable/0"] = {**whole, **entry} if keeps else entry  # type: ignore[dict-item]
    put_header(keeper, table)
    is_refused(keeper, "is damaged or no part of a run")


@pytest.mark.parametrize("shape", [[3, 2], [6], [2**40, 2**40], [], [2, 3, 1], [0]])
def test_arrays_of_other_shapes_are_refused_before_they_are_read(
    keeper: Keeper, shape: list[int]
) -> None:
    table = header(keeper)
    table["trainable/0"]["shape"] = shape
    put_header(keeper, table, data=b"")  # nothing is there that could be read
    with pytest.raises(UsageError, match="another model: its `trainable` arrays"):
        keeper.load(FRESH)
    table = header(keeper)
    table["trainable/0"]["shape"], table["best_trainable/0"]["shape"] = [2, 3], shape
    put_header(keeper, table)
    is_refused(keeper, "the `best_trainable` arrays must be those of 1 epochs")


@pytest.mark.parametrize("name", ["trainable", "trainable/", "trainable/2", "../x/0", "x/0", "/1"])
def test_arrays_of_other_names_are_refused(keeper: Keeper, name: str) -> None:
    table = header(keeper)
    table[name] = table.pop("optimizer/0")
    put_header(keeper, table)
    with pytest.raises((DataError, UsageError), match=r"damaged|another model: its `"):
        keeper.load(FRESH)
    # an array more, without a place of its own
    table["optimizer/0"] = table[name]
    put_header(keeper, table)
    with pytest.raises((DataError, UsageError), match=r"damaged|another model: its `"):
        keeper.load(FRESH)


def test_what_is_no_regular_file_is_refused(keeper: Keeper, tmp_path: Path) -> None:
    path, secret = state(keeper), tmp_path / "secret"
    path.rename(secret)
    makers: list[tuple[Callable[[], object], str]] = [
        (lambda: path.symlink_to(secret), "it is a symbolic link"),
        (lambda: path.symlink_to("/dev/zero"), "it is a symbolic link"),
        (lambda: path.symlink_to("nowhere"), "it is a symbolic link"),
        (lambda: os.mkfifo(path), "must be a regular file"),
        (path.mkdir, "must be a regular file"),
    ]
    for make, message in makers:
        path.unlink(missing_ok=True)
        make()
        is_refused(keeper, message)
    path.rmdir()
    assert keeper.load(FRESH) is None
    # what looks like a leftover of ours, and is not, is neither followed nor a failure
    path.with_name(f".{path.name}.folder").mkdir()
    os.mkfifo(path.with_name(f".{path.name}.pipe"))
    assert keeper.load(FRESH) is None


def test_sizes_that_are_only_claimed_are_not_read(keeper: Keeper) -> None:
    with state(keeper).open("r+b") as file:
        file.truncate(2**34)
    is_refused(keeper, "it must have .* bytes, received 17,179,869,184")
    with state(keeper).open("r+b") as file:
        file.truncate(2**40)
    is_refused(keeper, "received 1,099,511,627,776")
    state(keeper).write_bytes((2**62).to_bytes(8, "little"))
    is_refused(keeper, "its header must have 2 to")


def test_a_pickle_is_refused_and_not_run(keeper: Keeper, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    state(keeper).write_bytes(pickle.dumps(Payload(marker)))
    is_refused(keeper, "it is a pickle, not safetensors|is damaged")
    assert not marker.exists()


def test_random_damage_never_ends_in_another_error(keeper: Keeper) -> None:
    """Bytes changed, put in, taken out or repeated: an error of ours, or still a state."""
    content, chance = state(keeper).read_bytes(), random.Random(5)
    start = 8 + int.from_bytes(content[:8], "little")
    noticed = 0
    for _ in range(600):
        at, size = chance.randrange(start), chance.choice((1, 1, 2, 9))
        put = chance.choice((chance.randbytes(size), b"", b'{"a":[', b"-9e9", b"[]", content[:at]))
        state(keeper).write_bytes(content[:at] + put + content[at + chance.choice((0, size)) :])
        try:
            keeper.load(FRESH)
        except (DataError, UsageError):
            noticed += 1
    assert noticed > 500


def test_figures_without_end_are_not_written(keeper: Keeper) -> None:
    long = {"loss": [0.123456789012345] * 900_000}
    with pytest.raises(UsageError, match="figures of all epochs must fit into"):
        keeper.save(FRESH, {**RECORD, "figures": long})
    assert keeper.load(FRESH) is not None
