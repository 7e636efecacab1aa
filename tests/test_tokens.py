"""Text encoders: ids and back, every Hangul syllable, hostile configurations, odd texts."""

from __future__ import annotations

import copy
import gzip
import json
import os
import sys
import time
import types
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data import korean
from sunhwan.data.examples import Encoder
from sunhwan.data.korean import guess_text_encoder, join_jamo, split_jamo, split_words, to_nfc
from sunhwan.data.tokens import (
    TEXT_ENCODERS,
    UNKNOWN_MARK,
    Characters,
    Jamo,
    Morphemes,
    Subwords,
    Words,
    text_encoder_from_config,
)
from sunhwan.data.words import split_words as split_as_tutorials
from sunhwan.errors import DataError, UsageError
from text_samples import TEXTS

#: a new encoder of each kind that needs nothing installed
MAKERS = {
    "words": Words,
    "characters": Characters,
    "jamo": Jamo,
    "bpe": lambda **options: Subwords("bpe", 90, **options),
    "unigram": lambda **options: Subwords("unigram", 90, **options),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


@pytest.fixture
def fitted(make):
    return make().fit(TEXTS)


class _Kiwi:
    """Stands in for kiwipiepy's analyser: each character of a word is a morpheme."""

    def tokenize(self, texts):
        for text in texts:
            yield [types.SimpleNamespace(form=c, tag="NNG") for c in text if not c.isspace()]


@pytest.fixture
def kiwi(monkeypatch):
    monkeypatch.setitem(sys.modules, "kiwipiepy", types.SimpleNamespace(Kiwi=_Kiwi))
    korean._kiwi.cache_clear()
    yield
    korean._kiwi.cache_clear()


def _dataset(name, column):
    root = os.environ.get("SUNHWAN_DATA")
    if not root or not (path := Path(root) / name / "train.tsv.gz").exists():
        pytest.skip(f"SUNHWAN_DATA has no {name}")
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        place = next(file).rstrip("\n").split("\t").index(column)
        return [line.rstrip("\n").split("\t")[place] for line in file]


def _lists(rows):
    return [row.tolist() for row in rows]


# Hangul


def test_every_syllable_falls_into_the_jamo_of_its_decomposition_and_comes_back():
    syllables = "".join(map(chr, range(0xAC00, 0xD7A4)))
    assert len(syllables) == 11_172
    parts = [split_jamo(syllable) for syllable in syllables]
    assert parts == [unicodedata.normalize("NFD", syllable) for syllable in syllables]
    assert [join_jamo(part) for part in parts] == list(syllables)
    assert join_jamo("".join(parts)) == syllables


def test_joining_jamo_composes_as_unicode_does_whatever_stands_beside_what():
    # leads, vowels and tails, old ones among them, with syllables, letters and an accent
    pieces = [*map(chr, range(0x1100, 0x1200, 3)), *"가각ㄱㅋ aé", "\u0301"]
    rng = np.random.default_rng(5)
    for _ in range(300):
        text = unicodedata.normalize("NFC", "".join(rng.choice(pieces, 30)))
        assert join_jamo(split_jamo(text)) == text


def test_jamo_tell_first_from_last_consonants_and_leave_letters_alone():
    jamo = Jamo().fit(["각 ㄱㄱ"])
    assert [f"{ord(token):04X}" for token in jamo.tokens] == [
        "3131",
        "1100",
        "1161",
        "11A8",
        "0020",
    ]


# what every encoder does


def test_it_is_an_encoder(fitted):
    encoder: Encoder = fitted
    assert encoder.features == 0
    assert encoder.vocabulary == len(fitted.tokens) + 2
    assert encoder.name in TEXT_ENCODERS


def test_ids_start_at_two_and_fit_the_vocabulary(fitted):
    for row in fitted.encode_all(TEXTS):
        assert row.dtype == np.int32
        assert row.min() >= 1
        assert row.max() < fitted.vocabulary
    highest = max(row.max() for row in fitted.encode_all([*TEXTS, *fitted.tokens]))
    assert highest > fitted.vocabulary // 2


def test_one_by_one_is_as_all_at_once(fitted):
    assert _lists(fitted.encode_all(TEXTS)) == [fitted.encode(text).tolist() for text in TEXTS]


def test_how_accents_and_hangul_are_stored_does_not_matter(make):
    decomposed = [unicodedata.normalize("NFD", text) for text in TEXTS]
    assert decomposed != TEXTS
    composed, other = make().fit(TEXTS), make().fit(decomposed)
    assert composed.config() == other.config()
    assert _lists(composed.encode_all(decomposed)) == _lists(composed.encode_all(TEXTS))


def test_a_rebuilt_encoder_gives_the_same_ids(make):
    encoder = make(max_length=7, keep="end").fit(TEXTS)
    again = text_encoder_from_config(json.loads(json.dumps(encoder.config())))
    assert type(again) is type(encoder)
    assert again.config() == encoder.config()
    texts = [*TEXTS, "새로운 영화 newest"]
    assert _lists(again.encode_all(texts)) == _lists(encoder.encode_all(texts))


def test_texts_without_tokens_are_one_unknown(fitted):
    assert fitted.encode("").tolist() == [1]
    rows = fitted.encode_all(["", "영화", ""])
    assert rows[0].tolist() == rows[2].tolist() == [1]
    assert fitted.decode(rows[1]) == "영화"


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_learning_from_nothing_is_refused(make, texts):
    with pytest.raises(DataError, match=f"received {len(texts)} texts without any"):
        make().fit(texts)


def test_the_start_stays_or_the_end(make):
    whole = make().fit(TEXTS).encode(TEXTS[0])
    for keep, part in (("start", whole[:3]), ("end", whole[-3:])):
        cut = make(max_length=3, keep=keep).fit(TEXTS).encode(TEXTS[0])
        assert cut.tolist() == part.tolist()
    assert len(whole) > 3


def test_padding_is_left_out_and_strange_ids_are_refused(fitted):
    ids = fitted.encode("영화")
    assert fitted.decode(np.pad(ids, 3)) == "영화"
    assert fitted.decode([]) == ""
    assert fitted.decode([1]) == UNKNOWN_MARK
    for wrong in ([-1], [fitted.vocabulary], [2.0]):
        with pytest.raises(DataError, match="ids must be whole numbers"):
            fitted.decode(wrong)


def test_before_fit_nothing_is_encoded(make):
    with pytest.raises(UsageError, match="has learnt no"):
        make().encode("a")


def test_what_is_no_text_is_refused(fitted):
    with pytest.raises(DataError, match="text 1 must be a str, received NoneType"):
        fitted.encode_all(["a", None])
    with pytest.raises(UsageError, match="one str"):
        fitted.encode_all("a text")


def test_a_very_long_text_without_a_space(fitted):
    text = "영화" * 200_000
    started = time.perf_counter()
    ids = fitted.encode(text)
    assert time.perf_counter() - started < 10
    # a word that was never seen is unknown as a whole
    assert fitted.decode(ids) == (UNKNOWN_MARK if fitted.name == "words" else text)


def test_half_a_surrogate_pair_is_no_character(fitted):
    assert to_nfc("\ud83d\ude00 \ude00") == "😀 \ufffd"
    assert fitted.encode("영화 \ud800").tolist() == fitted.encode("영화 \ufffd").tolist()


def test_texts_cannot_spell_padding_or_unknown(fitted):
    for spelled in ("padding (0)", "unknown (1)", "<unk>", "▁", "\x00"):
        assert 0 not in fitted.encode(spelled)


def test_options_are_checked(make):
    for wrong in (
        {"max_length": 0},
        {"max_length": True},
        {"max_length": 2.5},
        {"lowercase": 1},
        {"keep": "middle"},
        {"min_count": 0},
        {"min_count": "2"},
    ):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            make(**wrong)
    for size in (3, 10**9, "many"):
        with pytest.raises(UsageError, match="vocabulary_size"):
            Words(size)
    with pytest.raises(UsageError, match="algorithm"):
        Subwords("wordpiece")


# words, characters


def test_words_are_those_of_the_tutorials():
    text = 'It isn\'t "so-so",\tbut <br />GOOD & [new]_ish; 10/10~\r\n'
    words = Words().fit([text])
    assert words.decode(words.encode(text)).split() == split_as_tutorials(text)


def test_words_of_other_scripts():
    assert split_words("“정말”…재미있다。좋아요~^^ l’été 😀!") == [
        "정말", "재미있다", "좋아요", "l'été", "😀",
    ]  # fmt: skip
    # vowel signs are no punctuation, the danda is
    assert split_words("हिन्दी, फिल्म। हिन्दी") == ["हिन्दी", "फिल्म", "हिन्दी"]


def test_the_most_frequent_words_are_kept_and_the_first_seen_of_equals():
    words = Words(5).fit(["b a a", "c a b d"])
    assert words.tokens == ["a", "b", "c"]
    assert words.encode("d c b a").tolist() == [1, 4, 3, 2]
    assert Words(min_count=2).fit(["b a a", "c a b d"]).tokens == ["a", "b"]


def test_case():
    assert Words().fit(["Fine FINE fine"]).tokens == ["fine"]
    assert Words(lowercase=False).fit(["Fine FINE fine"]).tokens == ["Fine", "FINE", "fine"]
    assert Characters(lowercase=True).fit(["Éé"]).tokens == ["é"]


def test_characters_come_back_as_they_were():
    text = "  Two  lines\n\t영화 ㅋㅋ 👍🏽é "
    for encoder in (Characters(), Jamo()):
        assert encoder.fit([text]).decode(encoder.encode(text)) == text


# figures


def test_the_figures_of_a_hand_made_case():
    words = Words(max_length=3).fit(["a b", "c"])
    assert words.describe(["a b x y", "a c", "z !", ""]) == [
        "words: vocabulary of 5",
        "42.86% of 7 words are not in the vocabulary",
        "25.00% of 4 texts are cut to their first 3",
        "1 of 4 texts hold no words",
    ]
    assert Words().fit(["a"]).describe(["a"]) == [
        "words: vocabulary of 3",
        "0.00% of 1 words are not in the vocabulary",
    ]


def test_unknown_characters_count_each_in_sub_words():
    bpe = Subwords(vocabulary_size=40).fit(TEXTS)
    assert bpe.encode("영화鬱鬱").tolist()[-2:] == [1, 1]
    assert "40.00% of 5 sub-words" in bpe.describe(["鬱 鬱 영화"])[1]


def test_the_guessed_length_covers_nearly_all_texts_up_to_1000():
    words = Words().fit(["a"])
    texts = ["a " * length for length in range(1, 201)]
    assert words.guess_max_length(texts) == 199
    assert words.guess_max_length([*texts, *["a " * 1100] * 50]) == 1000
    assert words.guess_max_length([]) == words.guess_max_length([""]) == 1


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["A fine film.", "Worst ever"], "words"),
        (["정말 좋다", "the best ㅋㅋ 영화"], korean.KOREAN_CHOICE),
        ([unicodedata.normalize("NFD", "정말 좋다")], korean.KOREAN_CHOICE),
        (["这部电影很好看", "とても面白い映画"], "characters"),
        (["ACGT" * 20, "GATTACA" * 9], "characters"),
        (["!!! 123", ""], "characters"),
        ([], "characters"),
        (["Фильм хороший"], "words"),
    ],
)
def test_the_guess_follows_the_script(texts, name):
    guessed, reason = guess_text_encoder(texts)
    assert guessed == name
    assert guessed in TEXT_ENCODERS
    assert reason


# morphemes


def test_morphemes_without_kiwipiepy_say_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kiwipiepy", None)
    korean._kiwi.cache_clear()
    with pytest.raises(UsageError, match=r'pip install "sunhwan\[ko\]"'):
        Morphemes().fit(["영화"])


def test_morphemes_hold_form_and_tag(kiwi):
    encoder = Morphemes().fit(["영화 1/2"])
    assert encoder.tokens == ["영/NNG", "화/NNG", "1/NNG", "//NNG", "2/NNG"]
    assert encoder.decode(encoder.encode("/ 영 x")) == f"/ 영 {UNKNOWN_MARK}"
    again = text_encoder_from_config(json.loads(json.dumps(encoder.config())))
    assert again.encode("화").tolist() == [3]


# configurations from a file


def _with(**parts):
    return lambda config: {**config, **parts}


def _without(part):
    return lambda config: {key: value for key, value in config.items() if key != part}


HOSTILE = {
    "no object": lambda config: [config],
    "nothing": lambda config: None,
    "no name": _without("name"),
    "unknown name": _with(name="os.system"),
    "name of a list": _with(name=["words"]),
    "part missing": _without("tokens"),
    "part too many": _with(module="subprocess"),
    "no tokens": _with(tokens=[]),
    "tokens of a text": _with(tokens="abc"),
    "tokens of an object": _with(tokens={"a": 2}),
    "token twice": lambda c: {**c, "tokens": [*c["tokens"][:-1], c["tokens"][0]]},
    "token empty": lambda c: {**c, "tokens": [*c["tokens"][:-1], ""]},
    "token no text": lambda c: {**c, "tokens": [*c["tokens"][:-1], 5]},
    "token half a pair": lambda c: {**c, "tokens": [*c["tokens"][:-1], "\ud800"]},
    "more tokens than ids": _with(vocabulary_size=5),
    "size negative": _with(vocabulary_size=-1),
    "size a float": _with(vocabulary_size=8000.0),
    "size huge": _with(vocabulary_size=10**18),
    "size a truth": _with(vocabulary_size=True),
    "length a text": _with(max_length="500"),
    "length nan": _with(max_length=float("nan")),
    "keep unknown": _with(keep=["start"]),
    "lowercase a text": _with(lowercase="no"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_configuration_is_refused(fitted, change):
    hostile = change(copy.deepcopy(fitted.config()))
    with pytest.raises(DataError):
        text_encoder_from_config(hostile)


def _first(part, value):
    return lambda config: {**config, part: [value, *config[part][1:]]}


HOSTILE_PIECES = [
    ("bpe", _with(algorithm="unigram"), "must have"),
    ("bpe", _with(algorithm="pickle"), "algorithm"),
    ("bpe", _with(algorithm=["bpe"]), "algorithm"),
    ("bpe", _with(merges=None), "must be lists"),
    ("bpe", _with(scores=[-1.0]), "must have"),
    ("bpe", _first("merges", ["a"]), "two strings"),
    ("bpe", _first("merges", "ab"), "two strings"),
    ("bpe", _first("merges", ["a", 1]), "two strings"),
    ("bpe", _first("merges", ["q", "ż"]), "join two tokens"),
    ("bpe", lambda c: {**c, "merges": [c["merges"][0], *c["merges"]]}, "unique"),
    ("unigram", _with(algorithm="bpe"), "must have"),
    ("unigram", lambda c: {**c, "scores": c["scores"][1:]}, "must have"),
    ("unigram", _first("scores", float("nan")), "must be a float"),
    ("unigram", _first("scores", float("-inf")), "must be a float"),
    ("unigram", _first("scores", 0.5), "must be a float"),
    ("unigram", _first("scores", -1), "must be a float"),
    ("unigram", _first("scores", "-1.0"), "must be a float"),
]


@pytest.mark.parametrize(("algorithm", "change", "said"), HOSTILE_PIECES)
def test_hostile_pieces_are_refused(algorithm, change, said):
    hostile = change(Subwords(algorithm, 90).fit(TEXTS).config())
    with pytest.raises(DataError, match=said):
        text_encoder_from_config(hostile)


def test_a_configuration_belongs_to_its_class(fitted):
    other = Words if fitted.name != "words" else Characters
    with pytest.raises(DataError):
        other.from_config(fitted.config())


# real texts


def test_real_korean_reviews_come_back_in_seconds():
    texts = _dataset("nsmc", "document")
    assert guess_text_encoder(texts)[0] == korean.KOREAN_CHOICE
    some = texts[:20_000]
    for encoder in (Characters(), Jamo()):
        started = time.process_time()
        rows = encoder.fit(some).encode_all(some)
        assert time.process_time() - started < 3
        assert all(
            encoder.decode(row) == to_nfc(text) for row, text in zip(rows[:500], some, strict=False)
        )


def test_sub_words_know_nearly_all_of_unseen_korean_and_words_do_not():
    texts = _dataset("nsmc", "document")
    train, test = texts[:4_000], texts[4_000:5_000]

    def unknown(encoder):
        ids = np.concatenate(encoder.fit(train).encode_all(test))
        return float((ids == 1).mean())

    assert unknown(Words()) > 0.25
    assert unknown(Subwords("bpe", 3_000)) < 0.02
    assert unknown(Subwords("unigram", 3_000)) < 0.02


def test_real_english_words_are_those_of_the_tutorials():
    texts = _dataset("imdb", "text")[:1_000]
    ascii_texts = [text for text in texts if text.isascii()]
    words = Words(1_000_000).fit(ascii_texts)
    assert len(ascii_texts) > 500
    for text in ascii_texts:
        assert words.decode(words.encode(text)).split() == split_as_tutorials(text)
