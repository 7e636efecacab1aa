"""Sequences that leave memory for a file: the same items, no trace of the file, clear errors."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from subprocesses import printed
from sunhwan.data.spool import MEMORY_VARIABLE, Spool, Spooled, lengths, take
from sunhwan.errors import DataError, ShapeError, UsageError

random = np.random.default_rng(11)

TEXTS = ["", "two\nlines", "한국어 \U0001f600", "half \ud83d of a pair", "x" * 300_000, "end\0"]
TOKENS = [["a b", 'say "no"'], [], ["한국", "\n", "\ud83d"], ["z"] * 90_000]
IDS = [random.integers(1, 9, n).astype(np.int32) for n in (3, 1, 70_000, 5)]
NUMBERS = [random.normal(size=(n, 3)).astype(np.float32) for n in (2, 40_000, 1, 4)]


@pytest.fixture
def on_disk(monkeypatch, tmp_path) -> Path:
    """Let nothing stay in memory; the folder of the files."""
    monkeypatch.setenv(MEMORY_VARIABLE, "0")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def plain(items) -> list:
    return [(str(i.dtype), i.shape, i.tolist()) if isinstance(i, np.ndarray) else i for i in items]


@pytest.mark.parametrize("items", [TEXTS, TOKENS, IDS, NUMBERS], ids=["texts", "tokens", "ids",
                                                                       "numbers"])  # fmt: skip
def test_items_come_back_in_any_order(on_disk, items) -> None:
    spool = Spool(items[:1])
    for item in items[1:]:
        spool.add(item)
    found = spool.items()
    assert isinstance(found, Spooled)
    assert os.listdir(on_disk) == []
    assert plain(found) == plain(items)
    assert plain([found[row] for row in range(len(items))]) == plain(items)
    assert plain([found[-1]]) == plain(items[-1:])
    assert plain(found[1::2]) == plain(items[1::2])
    rows = np.array([2, 0, 2, 3, 1, 0])
    some = take(found, rows)
    assert plain(some) == plain(take(items, rows)) == plain([items[row] for row in rows])
    assert plain(take(some, [3, 1])) == plain([items[3], items[0]])
    for given in (found, some):
        assert lengths(given).tolist() == [len(item) for item in given]
    for row in (len(items), -len(items) - 1):
        with pytest.raises(IndexError):
            found[row]


def test_many_small_items_are_found_in_their_block(on_disk) -> None:
    texts = [f"row {n} " + "." * int(random.integers(0, 200)) for n in range(9000)]
    found = Spool(texts).items()
    assert list(found) == texts
    rows = random.permutation(9000)[:500]
    for order in (np.sort(rows), rows):
        assert list(take(found, order)) == [texts[row] for row in order]


def test_what_is_small_stays_in_memory(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, "0.01")
    few = Spool(["a" * 4000, "b" * 4000]).items()
    assert isinstance(few, list)
    assert take(few, [1]) == ["b" * 4000]
    more = Spool(["a" * 4000, "b" * 4000, "c" * 4000]).items()
    assert isinstance(more, Spooled)
    monkeypatch.delenv(MEMORY_VARIABLE)
    assert isinstance(Spool(["a" * 2**20] * 20).items(), list)


@pytest.mark.parametrize("given", ["much", "-1", "inf", "nan"])
def test_a_wrong_size_of_memory_is_refused(monkeypatch, given) -> None:
    monkeypatch.setenv(MEMORY_VARIABLE, given)
    with pytest.raises(UsageError, match=f"{MEMORY_VARIABLE} must be .* received '{given}'"):
        Spool()


def test_arrays_that_differ_are_refused(on_disk) -> None:
    for other in (np.ones((2, 4), np.float32), np.ones((2, 3))):
        spool = Spool([NUMBERS[0]])
        with pytest.raises(ShapeError, match=r"float32 .*\(3,\), received"):
            spool.add(other)


_FULL = """
import resource, sys
from sunhwan.data.spool import Spool
from sunhwan.errors import DataError
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    Spool("x" * 1000 for _ in range(5000))
except DataError as error:
    print(error)
"""


def test_a_full_disk_is_told(tmp_path) -> None:
    said = printed(_FULL, TMPDIR=str(tmp_path), **{MEMORY_VARIABLE: "1"})
    assert f"the file in {tmp_path} that is to keep it cannot be written after" in said
    assert "File too large" in said
    assert "TMPDIR" in said
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_told(on_disk, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(on_disk / "gone"))
    with pytest.raises(DataError, match=r"gone .*cannot be written after 0 MiB"):
        Spool(["text"])


_KILLED = """
import os, signal
from sunhwan.data.spool import Spool
found = Spool("x" * 1000 for _ in range(5000)).items()
assert len(os.listdir(os.environ["TMPDIR"])) == 0 and found[4999] == "x" * 1000
print("spooled", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_of_a_process_that_was_killed(tmp_path) -> None:
    from subprocesses import python

    done = python(_KILLED, TMPDIR=str(tmp_path), **{MEMORY_VARIABLE: "1"})
    assert (done.stdout.strip(), done.returncode) == ("spooled", -9)
    assert os.listdir(tmp_path) == []


def test_without_a_named_folder_the_one_that_is_no_memory_is_taken(monkeypatch) -> None:
    from sunhwan.data import spool

    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.delenv(name, raising=False)
    assert spool._folder() == ("/var/tmp" if os.access("/var/tmp", os.W_OK) else "/tmp")
