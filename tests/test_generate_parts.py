"""Texts in parts: nothing lost, nothing twice, no word cut, and when nothing is held out."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data.spool import Spool, Spooled
from sunhwan.errors import UsageError
from sunhwan.tasks.generate_parts import Parts, split_texts


def _random_text(seed: int, size: int, letters: str = "abc가나😀", ends: str = " \n") -> str:
    random = np.random.default_rng(seed)
    words = ["".join(random.choice([*letters], random.integers(1, 9))) for _ in range(size)]
    return "".join(word + random.choice([*ends], p=[0.8, 0.2]) for word in words)


def _share(part, text: str) -> float:
    return sum(map(len, part)) / len(text)


def _of_one(text: str, parts: Parts) -> tuple[str, str, str, str]:
    """What a text consists of: the front, the middle, what is behind it, and the end."""
    (learnt,), (middle,), (end,) = parts.training, parts.validation, parts.test
    assert text.endswith(end)
    rest = text[: len(text) - len(end)]
    place = rest.find(middle)
    while rest[:place] + rest[place + len(middle) :] != learnt:
        place = rest.find(middle, place + 1)
        assert place >= 0
    return rest[:place], middle, rest[place + len(middle) :], end


# one text


@pytest.mark.parametrize("validation", [0.1, 0.3])
@pytest.mark.parametrize("test", [0.05, 0.2])
def test_one_text_is_cut_by_position_at_line_ends(validation, test):
    text = _random_text(3, 20_000)
    parts = split_texts([text], validation, test)
    front, middle, back, _ = _of_one(text, parts)
    assert all(piece.endswith("\n") for piece in (front, middle, back))
    assert len(front) == pytest.approx(len(back), abs=2000)
    assert _share(parts.test, text) == pytest.approx(test, abs=0.001)
    assert _share(parts.validation, text) == pytest.approx(validation * (1 - test), abs=0.001)
    assert parts.notes == []


def test_a_long_line_is_cut_before_a_space():
    text = " ".join(f"word{n}" for n in range(2000))
    parts = split_texts([text])
    pieces = _of_one(text, parts)
    assert all(piece.startswith(" word") for piece in pieces[1:])
    assert " ".join(piece.strip() for piece in pieces) == text


def test_a_text_without_spaces_is_cut_at_the_border():
    text = "日本語" * 1000
    parts = split_texts([text], 0.1, 0.1)
    assert [len(part[0]) for part in (parts.training, parts.validation, parts.test)] == [
        2430,
        270,
        300,
    ]


def test_tabs_and_other_white_space_are_borders_too():
    text = "\t".join(["column"] * 400)
    parts = split_texts([text], 0, 0.25)
    assert parts.test[0].startswith("\tcolumn")
    assert parts.training[0].endswith("column")


@pytest.mark.parametrize("seed", range(40))
def test_short_texts_fill_every_part_and_cut_no_word(seed):
    text = _random_text(seed, 60)[:200].ljust(200, ".")
    parts = split_texts([text], 0.1, 0.1)
    pieces = _of_one(text, parts)
    assert all(pieces)
    for before, after in pairwise(pieces):
        assert before[-1].isspace() or after[0].isspace()


def test_no_share_holds_nothing_out():
    text = _random_text(1, 500)
    assert split_texts([text], 0, 0) == Parts([text], [], [])
    parts = split_texts([text], 0.2, 0)
    assert (len(parts.training), len(parts.validation), parts.test) == (1, 1, [])
    assert not parts.closed
    assert split_texts([text, *(_random_text(n, 60) for n in range(20))], 0.1, 0.1).closed


# tiny texts


@pytest.mark.parametrize("texts", [["국민대학"], ["a b " * 49], ["so it is"] * 20])
def test_tiny_texts_are_not_divided(texts):
    parts = split_texts(texts)
    assert (parts.training, parts.validation, parts.test) == (texts, [], [])
    count = sum(map(len, texts))
    assert parts.notes == [
        f"{count} characters are too few to hold some of them out: all figures are of what was "
        "learnt by heart"
    ]


def test_two_hundred_characters_are_divided():
    parts = split_texts(["four" * 50])
    assert parts.notes == []
    assert parts.test


# several texts


def test_a_few_texts_are_each_cut():
    texts = [_random_text(seed, 300 + 90 * seed) for seed in range(9)]
    parts = split_texts(texts, 0.15, 0.2)
    assert len(parts.training) == len(parts.validation) == len(parts.test) == 9
    for text, *pieces in zip(texts, parts.training, parts.validation, parts.test, strict=True):
        _of_one(text, Parts(*([piece] for piece in pieces)))
        assert _share(pieces[2:], text) == pytest.approx(0.2, abs=0.02)


def test_texts_of_a_character_are_not_cut():
    parts = split_texts(["x", _random_text(0, 200), "y"], 0.1, 0.1)
    assert parts.training[::2] == ["x", "y"]
    assert len(parts.test) == len(parts.validation) == 1


def test_whole_texts_are_held_out():
    texts = [f"{n} " * (20 + n) for n in range(100)]
    parts = split_texts(texts, 0.1, 0.2, seed=3)
    assert Counter([*parts.training, *parts.validation, *parts.test]) == Counter(texts)
    for part in (parts.training, parts.validation, parts.test):
        assert part == sorted(part, key=texts.index)
    whole = "".join(texts)
    assert _share(parts.test, whole) == pytest.approx(0.2, abs=0.01)
    assert _share(parts.validation, whole) == pytest.approx(0.08, abs=0.01)
    assert split_texts(texts, 0.1, 0.2, seed=3) == parts
    assert split_texts(texts, 0.1, 0.2, seed=4) != parts


@pytest.mark.parametrize("seed", range(20))
def test_one_very_long_text_is_learnt_from(seed):
    texts = ["a long tale " * 5000, *(f"note {n} " * 3 for n in range(9))]
    parts = split_texts(texts, 0.1, 0.1, seed)
    assert texts[0] in parts.training
    assert len(parts.training) >= 2
    assert parts.validation
    assert parts.test


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_every_part_has_a_text(share):
    texts = ["the same size all over"] * 10
    parts = split_texts(texts, share, share)
    assert all(len(part) >= 1 for part in (parts.training, parts.validation, parts.test))
    assert sum(map(len, (parts.training, parts.validation, parts.test))) == 10


def test_texts_on_disk_stay_there(monkeypatch):
    monkeypatch.setenv("SUNHWAN_SPOOL_MB", "0.001")
    texts = [f"{n} 가나다 " * 30 for n in range(50)]
    spooled = Spool(texts).items()
    assert isinstance(spooled, Spooled)
    there, here = split_texts(spooled, seed=5), split_texts(texts, seed=5)
    assert isinstance(there.training, Spooled)
    assert list(there.training) == here.training
    assert list(there.validation) == here.validation
    assert list(there.test) == here.test


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.1, 1.0), (float("nan"), 0.1)])
def test_shares_out_of_range(shares):
    with pytest.raises(UsageError, match="must be a share from 0 to below 1, received"):
        split_texts(["so"], *shares)


def test_no_text():
    with pytest.raises(UsageError, match="expected texts to divide, received none"):
        split_texts([])


DATA = os.environ.get("SUNHWAN_DATA")


@pytest.mark.skipif(not DATA, reason="SUNHWAN_DATA names no folder")
def test_the_last_tenth_of_shakespeare():
    path = Path(DATA or "", "tinyshakespeare", "input.txt.gz")
    text = gzip.decompress(path.read_bytes()).decode()
    parts = split_texts([text], 0.1, 0.1)
    front, middle, back, end = _of_one(text, parts)
    assert all(piece.endswith("\n") for piece in (front, middle, back))
    assert abs(len(end) - len(text) / 10) < 40
