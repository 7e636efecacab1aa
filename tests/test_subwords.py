"""Sub-words: what is learnt from texts, the same in every process, and how words are split."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sunhwan.data.subwords import Paths
from sunhwan.data.tokens import (
    Subwords,
    text_encoder_from_config,
)

# sub-words
from text_samples import TEXTS


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
def test_sub_words_come_back_with_single_spaces(algorithm):
    encoder = Subwords(algorithm, 200, min_count=1).fit(TEXTS)
    for text in TEXTS:
        assert encoder.decode(encoder.encode(f" {text}\n ")) == text
    assert encoder.decode(encoder.encode("영화▁영화")) == "영화 영화"


@pytest.mark.parametrize("algorithm", ["bpe", "unigram"])
@pytest.mark.parametrize("size", [4, 5, 10, 60, 300])
def test_the_vocabulary_is_never_larger_than_asked_for(algorithm, size):
    encoder = Subwords(algorithm, size, min_count=1).fit(TEXTS)
    assert encoder.vocabulary <= size
    assert encoder.encode(TEXTS[0]).max() < size
    text_encoder_from_config(encoder.config())


def test_bpe_joins_the_most_frequent_pair_first():
    encoder = Subwords("bpe", 40, min_count=1).fit(["xyxyxy xy xy", "xy z"])
    assert encoder.config()["merges"][0] == ["x", "y"]
    assert "▁xy" in encoder.tokens


def test_unigram_counts_pieces_over_all_ways_to_write_a_word():
    pieces = ["a", "b", "c", "ab", "bc", "abc", "ca"]
    words, counts = ["abcab", "ca", "b", "ccabc"], [3, 1, 5, 2]
    chance = np.random.default_rng(4).random(len(pieces))

    def ways(word):
        if not word:
            yield []
        for number, piece in enumerate(pieces):
            if word.startswith(piece):
                yield from ([number, *rest] for rest in ways(word.removeprefix(piece)))

    expected = np.zeros(len(pieces))
    for word, count in zip(words, counts, strict=True):
        every = list(ways(word))
        weights = np.array([np.prod(chance[way]) for way in every])
        for way, weight in zip(every, weights / weights.sum(), strict=True):
            np.add.at(expected, way, count * weight)
    paths = Paths(words, counts, pieces)
    np.testing.assert_allclose(paths.expected(chance), expected, rtol=1e-12)
    # without "abc" and "ca", as if they had never been there
    kept = np.array([0, 1, 2, 3, 4])
    paths.keep(kept)
    fresh = Paths(words, counts, pieces[:5])
    np.testing.assert_array_equal(paths.expected(chance[kept]), fresh.expected(chance[kept]))


def test_unigram_learns_from_words_of_any_length():
    rng = np.random.default_rng(6)
    texts = ["".join(rng.choice(["가나", "다라", "마", "바사아"], 300)) for _ in range(5)]
    encoder = Subwords("unigram", 24).fit(texts)
    assert {"가나", "다라", "바사아"} <= set(encoder.tokens)
    assert encoder.decode(encoder.encode(texts[0])) == texts[0]


def test_unigram_splits_in_the_likeliest_way():
    config = Subwords("unigram", 90).fit(TEXTS).config()
    config["tokens"] = ["▁", "a", "b", "ab", "▁a", "ba"]
    config["scores"] = [-1.0, -2.0, -2.5, -4.6, -2.9, -2.0]
    encoder = Subwords.from_config(config)
    # ▁a b at -5.4, ▁ ab at -5.6, ▁ a b at -5.5; ▁a ba at -4.9 where a third letter follows
    assert encoder.encode("ab aba x").tolist() == [6, 4, 6, 7, 2, 1]


_LEARN = """
import json, sys
from sunhwan.data.tokens import Subwords
texts = json.load(sys.stdin)
print(json.dumps([Subwords(name, 400).fit(texts).config() for name in ("bpe", "unigram")]))
"""


@pytest.mark.parametrize("threads", ["1", "4"])
def test_learning_is_the_same_in_every_process(threads):
    rng = np.random.default_rng(8)
    syllables = list("가나다라마바사아자차카타파하거너더러")
    texts = ["".join(rng.choice([*syllables, " ", " "], 60)) for _ in range(300)]
    here = [Subwords(name, 400).fit(texts).config() for name in ("bpe", "unigram")]
    there = subprocess.run(
        [sys.executable, "-c", _LEARN],
        input=json.dumps(texts),
        env={**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(there.stdout) == here
    assert all(len(config["tokens"]) == 398 for config in here)
