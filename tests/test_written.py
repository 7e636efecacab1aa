"""Encoders that give texts back: every character, every space; hostile configurations; speed."""

from __future__ import annotations

import copy
import gzip
import json
import os
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data import written
from sunhwan.data.korean import split_jamo, to_nfc
from sunhwan.data.tokens import UNKNOWN, UNKNOWN_MARK
from sunhwan.data.written import (
    WRITTEN_ENCODERS,
    WrittenSubwords,
    WrittenWords,
    guess_written,
    split_written,
    written_encoder,
    written_encoder_from_config,
)
from sunhwan.errors import DataError, UsageError
from text_samples import TEXTS

ODD = [
    *TEXTS,
    "",
    "  two  before,\tand\t\tafter \n\n\r\nend \r",
    "It's the actors' o'clock; 'quoted' “말”은 '순환'은 rock'n'roll",
    "▁ itself ▁and▁ \u3000wide\u00a0hard\u2028line",
    "m² 3.14 १२ ½ snake_case C++ <|end|>",
    "नमस्ते สวัสดีครับ 日本語のテスト ﷺ",
    "👩‍👩‍👧‍👦🇰🇷 ☝🏽️ e\u0301 a\u0327\u0301",
    "각\u11a8 ㄱㅏ ᄀ ᅡ \u1100\u1161\u11a8 힣",
    "\ufffd \x00 \x1f \x85",
    "가" * 5000 + "\n" + "no-break" * 3000,
]


@pytest.fixture(params=WRITTEN_ENCODERS)
def name(request):
    return request.param


@pytest.fixture
def fitted(name):
    return written_encoder(name, 600, min_count=1).fit(ODD)


def _random_texts(count: int) -> list[str]:
    random = np.random.default_rng(7)
    pool = [
        *"abcAB 가각ㄱㅏ한국\n\t\r  \u3000▁'’,.12😀👍🏽\u200d\ufe0fé\u0301नि_²ⅣßÀ\x85",
        "\u1161",
        "\u11a8",
    ]
    return ["".join(random.choice(pool, random.integers(1, 120))) for _ in range(count)]


# nothing is lost


@pytest.mark.parametrize("row", range(len(ODD)))
def test_odd_texts_come_back(fitted, row):
    ids = fitted.encode(ODD[row])
    assert ids.dtype == np.int32
    if ODD[row]:
        assert UNKNOWN not in ids
        assert fitted.decode(ids) == unicodedata.normalize("NFC", ODD[row])


def test_random_texts_come_back(name):
    texts = _random_texts(300)
    encoder = written_encoder(name, 4000, min_count=1).fit(texts[:250])
    assert encoder.vocabulary <= 4000
    for row, (text, ids) in enumerate(zip(texts, encoder.encode_all(texts), strict=True)):
        assert UNKNOWN not in ids or row >= 250
        if UNKNOWN not in ids:
            assert encoder.decode(ids) == to_nfc(text)


def test_a_piece_of_text_is_the_same_alone(fitted):
    # language models put pieces one behind the other
    text = ODD[1]
    halves = [text[:17], text[17:]]
    assert "".join(fitted.decode(ids) for ids in fitted.encode_all(halves)) == text


def test_unknown_characters_are_marked(name):
    encoder = written_encoder(name, 60).fit(["so it is, so it goes\n"] * 3)
    back = encoder.decode(encoder.encode("so it 값 goes"))
    assert UNKNOWN_MARK in back
    assert back.startswith("so it")
    assert back.endswith("goes" if name != "words" else " goes")
    assert encoder.decode([0, 0]) == ""


def test_what_stands_for_white_space_is_unknown_in_a_text():
    encoder = WrittenSubwords("bpe", 60).fit(["a line\nand another line\n"] * 3)
    assert encoder.decode(encoder.encode("line\ufdd0line\ufdd9")) == "line�line�"


def test_small_vocabularies_keep_their_size(name):
    for size in (4, 5, 9, 33):
        encoder = written_encoder(name, size, min_count=1).fit(TEXTS)
        assert 3 <= encoder.vocabulary <= size
        ids = encoder.encode(TEXTS[3])
        assert ids.max() < encoder.vocabulary
        assert isinstance(encoder.decode(ids), str)


# what a text is split into


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a  b", ["a", " ", " b"]),
        (" a\n b", [" a", "\n", " b"]),
        ("end.Next 42", ["end", ".", "Next", " ", "4", "2"]),
        ("(it's)", ["(", "it's", ")"]),
        ("dogs' tails", ["dogs", "'", " tails"]),
        ("'순환'은 ’tis", ["'", "순환", "'", "은", " ", "’", "tis"]),
        ("\t\r\n\u3000x", ["\t", "\r", "\n", "\u3000", "x"]),
        ("नमस्ते जी", ["नमस्ते", " जी"]),
        ("1\u0301 ▁b", ["1", "\u0301", " ", "▁", "b"]),
        ("", []),
    ],
)
def test_written_tokens(text, tokens):
    assert list(split_written(text)) == tokens


def test_written_tokens_join_to_the_text():
    for text in [*ODD, *_random_texts(100)]:
        assert "".join(split_written(text)) == text


def test_a_word_after_a_space_is_another_token_than_at_the_start():
    words = WrittenWords().fit(["so so\nso"])
    assert words.tokens == ["so", " so", "\n"]
    assert words.encode("so so\nso").tolist() == [2, 3, 4, 2]


def test_case_is_kept(fitted):
    assert fitted.decode(fitted.encode(" GOOD good")) == " GOOD good"


def test_frequent_words_are_one_sub_word_each():
    text = "the king and the queen, the king\n" * 40
    for algorithm in ("bpe", "unigram"):
        encoder = WrittenSubwords(algorithm, 80).fit([text])
        assert len(encoder.encode("the king, the queen")) <= 6
        assert len(encoder.encode("\n\n\n")) == 3


def test_rare_characters_are_learnt_while_there_is_room():
    # once, so too rare to be merged
    encoder = WrittenSubwords("bpe", 100).fit(["to be or not to be\n" * 9 + "x$\t"])
    assert encoder.decode(encoder.encode("x$\t")) == "x$\t"


def test_texts_without_words(name):
    encoder = written_encoder(name, 40, min_count=1).fit(["1 + 2 = 3\n", "4"])
    assert encoder.decode(encoder.encode("3 + 1 = 4\n")) == "3 + 1 = 4\n"
    again = written_encoder_from_config(json.loads(json.dumps(encoder.config())))
    assert again.encode("2\n").tolist() == encoder.encode("2\n").tolist()


# configurations


def test_a_configuration_gives_the_same_encoder(name, fitted):
    again = written_encoder_from_config(json.loads(json.dumps(fitted.config())))
    assert again.config() == fitted.config()
    for text in ODD:
        assert again.encode(text).tolist() == fitted.encode(text).tolist()
    same = written_encoder(name, 600, min_count=1).fit(ODD)
    assert same.config() == fitted.config()


def _with(**parts):
    return lambda config: {**config, **parts}


HOSTILE = {
    "no mapping": lambda config: [config],
    "no name": lambda config: {k: v for k, v in config.items() if k != "name"},
    "the name of another": _with(name="words"),
    "a name that is a list": _with(name=["characters"]),
    "a part more": _with(path="/etc/passwd"),
    "a part less": lambda config: {k: v for k, v in config.items() if k != "tokens"},
    "no tokens": _with(tokens=[]),
    "tokens twice": lambda config: {**config, "tokens": config["tokens"][:1] * 2},
    "a token that is a number": lambda config: {**config, "tokens": [1, *config["tokens"][1:]]},
    "an empty token": lambda config: {**config, "tokens": ["", *config["tokens"][1:]]},
    "half a character": lambda config: {**config, "tokens": ["\ud800", *config["tokens"][1:]]},
    "more tokens than ids": _with(vocabulary_size=4),
    "a huge vocabulary": _with(vocabulary_size=10**12),
    "a vocabulary of true": _with(vocabulary_size=True),
    "a negative count": _with(min_count=-1),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_configurations_are_refused(fitted, change):
    with pytest.raises(DataError):
        written_encoder_from_config(change(copy.deepcopy(fitted.config())))


@pytest.mark.parametrize(
    ("algorithm", "change"),
    [
        ("bpe", _with(algorithm="unigram")),
        ("bpe", _with(algorithm="pickle")),
        ("bpe", _with(merges=[["q", "ż"]])),
        ("bpe", _with(merges="ab")),
        ("unigram", _with(algorithm="bpe")),
        ("unigram", _with(scores=[])),
        ("unigram", lambda c: {**c, "scores": [float("nan"), *c["scores"][1:]]}),
        ("unigram", lambda c: {**c, "scores": [0.5, *c["scores"][1:]]}),
    ],
)
def test_hostile_pieces_are_refused(algorithm, change):
    config = change(WrittenSubwords(algorithm, 90).fit(TEXTS).config())
    with pytest.raises(DataError):
        written_encoder_from_config(config)


@pytest.mark.parametrize("part", [{"lowercase": True}, {"max_length": 5}])
def test_what_loses_text_is_refused(part):
    config = {**written_encoder("characters").fit(TEXTS).config(), **part}
    with pytest.raises(DataError, match="`lowercase` must be false and `max_length` null"):
        written_encoder_from_config(config)


def test_unknown_names_and_options():
    with pytest.raises(UsageError, match=r"must be one of characters, .* received 'morphemes'"):
        written_encoder("morphemes")
    with pytest.raises(UsageError, match="`lowercase` cannot be given"):
        written_encoder("characters", lowercase=True)
    with pytest.raises(UsageError, match="vocabulary_size"):
        written_encoder("bpe", 3)
    with pytest.raises(UsageError, match="call `fit` first"):
        written_encoder("words").encode("a")


def test_sub_words_of_many_texts_at_once(monkeypatch):
    encoder = WrittenSubwords("bpe", 200).fit(ODD)
    together = [ids.tolist() for ids in encoder.encode_all(ODD * 2)]
    monkeypatch.setattr(written, "_AT_ONCE", 50)
    assert [ids.tolist() for ids in encoder.encode_all(ODD * 2)] == together


def test_the_guess_is_characters():
    assert guess_written(["국민대학"]) == (
        "characters",
        "4 different ones write the texts, 4 of them Hangul",
    )
    assert guess_written(["to be"])[0] == "characters"
    assert guess_written([])[0] == "characters"


def test_jamo_are_fewer_than_syllables():
    text = "국민대학교 순환 신경망 각각 닭이 운다"
    jamo = written_encoder("jamo").fit([text])
    assert len(jamo.encode(text)) == len(split_jamo(text))
    assert jamo.decode(jamo.encode("닭국")) == "닭국"


# a real text

DATA = os.environ.get("SUNHWAN_DATA")


@pytest.mark.skipif(not DATA, reason="SUNHWAN_DATA names no folder")
def test_shakespeare_comes_back_soon(name):
    path = Path(DATA or "", "tinyshakespeare", "input.txt.gz")
    text = gzip.decompress(path.read_bytes()).decode()
    encoder = written_encoder(name, 2000 if name in ("bpe", "unigram") else None).fit([text])
    start = time.process_time()
    ids = encoder.encode(text)
    # about 0.1 s for characters and 0.5 s for the others
    assert time.process_time() - start < 5
    back = encoder.decode(ids)
    if name == "words":
        kept = dict.fromkeys(encoder.tokens)
        assert back == "".join(t if t in kept else UNKNOWN_MARK for t in split_written(text))
        assert (ids == UNKNOWN).mean() < 0.02
    else:
        assert back == text
        assert encoder.vocabulary == (2000 if name in ("bpe", "unigram") else 67)
    assert {"bpe": 3.0, "unigram": 3.0}.get(name, 1.0) * len(ids) <= 1.1 * len(text)
