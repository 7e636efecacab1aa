"""Korean morphemes by kiwipiepy itself, where the extra `ko` is installed."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import threading
import time
import unicodedata
from pathlib import Path

import pytest

from sunhwan.data.korean import split_morphemes
from sunhwan.data.tokens import UNKNOWN_MARK, Morphemes, text_encoder_from_config

pytest.importorskip("kiwipiepy")

TEXTS = [
    "이 영화는 정말 재미있었다!",
    "배우들의 연기가 별로였고, 시간이 아까웠다...",
    "It's 10/10 ㅋㅋㅋ",
    "",
    "다시 보고 싶은 영화",
]


def _texts() -> list[str]:
    folder = os.environ.get("SUNHWAN_DATA")
    path = Path(folder or "") / "nsmc" / "train.tsv.gz"
    if folder is None or not path.exists():
        return TEXTS
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [line.split("\t")[1] for line in itertools.islice(file, 1, 201)] + TEXTS


def test_the_endings_come_off_and_words_keep_their_stem() -> None:
    liked, _, slash, nothing, again = split_morphemes(TEXTS)
    assert {"영화/NNG", "재미있/VA", "었/EP", "다/EF"} <= set(liked)
    assert {"보/VV", "영화/NNG"} <= set(again)
    assert any(morpheme.startswith("10/10/") for morpheme in slash)
    assert nothing == []


def test_a_text_has_the_same_morphemes_beside_whichever_others() -> None:
    texts = _texts()
    whole = list(split_morphemes(texts))
    assert len(whole) == len(texts)
    assert [next(split_morphemes([text])) for text in texts] == whole
    assert list(split_morphemes(reversed(texts)))[::-1] == whole
    found: dict[int, list[list[str]]] = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: list(split_morphemes(texts))}))
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[n] for n in range(3)] == [whole] * 3


def test_a_saved_encoder_gives_the_same_ids() -> None:
    texts = _texts()
    encoder = Morphemes(vocabulary_size=500).fit(texts)
    again = text_encoder_from_config(json.loads(json.dumps(encoder.config())))
    ids = [row.tolist() for row in encoder.encode_all(texts)]
    assert [row.tolist() for row in again.encode_all(texts)] == ids
    decomposed = [unicodedata.normalize("NFD", text) for text in texts]
    assert [row.tolist() for row in again.encode_all(decomposed)] == ids
    assert encoder.decode(encoder.encode("영화")) == "영화"


@pytest.mark.parametrize(
    "odd", ["\0", "가\0나", "\ud800", "🤩" * 40, "ㅋ" * 3000, "가" * 3000, "한\n국\t어", "a\u0301"],
    ids=["nul", "nul-inside", "half", "emoji", "laughter", "unspaced", "whitespace", "accent"],
)  # fmt: skip
def test_odd_texts_are_split_all_the_same(odd: str) -> None:
    encoder = Morphemes().fit(TEXTS)
    assert encoder.encode(odd).size
    assert set(encoder.decode(encoder.encode(odd))) <= set(UNKNOWN_MARK + " ") | set("".join(TEXTS))


def test_texts_may_fail_or_stop_being_read_midway() -> None:
    def failing():
        yield TEXTS[0]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        list(split_morphemes(failing()))
    reader = split_morphemes(TEXTS * 100)
    first = next(reader)
    reader.close()
    assert next(split_morphemes(TEXTS)) == first


def test_a_text_without_any_space_takes_no_longer_than_others() -> None:
    start = time.perf_counter()
    pieces = next(split_morphemes(["a" * 200_000]))
    # with the whole of it at once: half a minute
    assert time.perf_counter() - start < 10
    assert "".join(piece.rpartition("/")[0] for piece in pieces) == "a" * 200_000
