"""Answers to texts without a network: the source itself, and the target of the nearest source."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from sunhwan.data.spool import Spool
from sunhwan.errors import DataError, ShapeError
from sunhwan.tasks import baselines_translate
from sunhwan.tasks.baselines_translate import baselines


def sentences(seed: int, count: int) -> list[str]:
    random = np.random.default_rng(seed)
    words = ["톰은", "메리가", "어제", "집에", "갔다", "won", "slept", "the", "dog", "sky", "?"]
    shares = 1 / np.arange(1, len(words) + 1)
    sizes = random.integers(1, 9, count)
    return [" ".join(random.choice(words, size, p=shares / shares.sum())) for size in sizes]


def nearest(sources, targets, test, **options):
    return baselines(sources, targets, test, seed=1, **options)[1]


def test_the_nearest_is_that_of_all_likenesses_at_once():
    known, asked = sentences(1, 200), sentences(2, 37)
    vector = HashingVectorizer(
        analyzer="char", ngram_range=(1, 4), n_features=1 << 18, alternate_sign=False, norm=None
    )
    weigh = TfidfTransformer(sublinear_tf=True)
    across = weigh.fit_transform(vector.transform(known))
    alike = (weigh.transform(vector.transform(asked)) @ across.T).toarray()
    answers = nearest(known, [str(n) for n in range(200)], asked).hypotheses
    chosen = alike[np.arange(37), [int(answer) for answer in answers]]
    np.testing.assert_allclose(chosen, alike.max(axis=1), atol=1e-6)
    assert len(set(answers)) > 15


def test_blocks_change_nothing(monkeypatch):
    known, asked = sentences(3, 90), sentences(4, 41)
    whole = nearest(known, known, asked).hypotheses
    monkeypatch.setattr(baselines_translate, "_AT_ONCE", 200)
    assert nearest(known, known, asked).hypotheses == whole


def test_a_known_source_gets_its_own_target_and_of_equals_the_first():
    known = ["나는 잊었어", "go", "go", "stop now"]
    found = nearest(known, ["I forgot", "가", "가라", "그만"], ["stop now", "go", "나는 잊었어"])
    assert found.hypotheses == ["그만", "가", "I forgot"]


def test_a_source_that_is_like_none_gets_the_first_target():
    assert nearest(["abc", "abd"], ["x", "y"], ["가나다", ""]).hypotheses == ["x", "x"]


def test_the_copy_is_the_source():
    copy = baselines(["a"], ["b"], ["  Go. ", ""], seed=1)[0]
    assert copy.hypotheses == ["  Go. ", ""]
    assert (copy.name, copy.detail) == ("copy of the source", "the source as it is")


def test_each_tells_its_name_first_and_its_seconds():
    said: list[str] = []
    found = baselines(["a b", "c d"], ["x", "y"], ["c"], seed=1, on_start=said.append)
    assert said == [baseline.name for baseline in found]
    assert all(0 <= baseline.seconds < 60 for baseline in found)
    assert found[1].detail.endswith("cosine of the TF-IDF of 1 to 4 letters")


def test_of_very_many_a_random_part_is_compared(monkeypatch):
    known = [f"number {n}" for n in range(300)]
    monkeypatch.setattr(baselines_translate, "MOST_ROWS", 50)
    first, again, other = (baselines(known, known, known, seed=seed)[1] for seed in (1, 1, 2))
    assert first.detail.endswith(" letters, from 50 of 300 training rows")
    assert len(set(first.hypotheses)) == 50
    assert first.hypotheses == again.hypotheses != other.hypotheses
    monkeypatch.setattr(baselines_translate, "MOST_SIZE", 100)
    assert ", from 10 of 300 training rows" in nearest(known, known, known).detail


def test_texts_on_disk_are_read_alike(monkeypatch):
    known, asked = sentences(5, 60), sentences(6, 20)
    in_memory = nearest(known, known, asked).hypotheses
    monkeypatch.setenv("SUNHWAN_SPOOL_MB", "0")
    texts, questions = Spool(known).items(), Spool(asked).items()
    assert not isinstance(texts, list)
    assert nearest(texts, texts, questions).hypotheses == in_memory


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ShapeError, match="for each of 2 sources, received 1"):
        baselines(["a", "b"], ["x"], ["a"], seed=1)
    with pytest.raises(DataError, match=r"at least one training pair .* received 0 and 1"):
        baselines([], [], ["a"], seed=1)
    with pytest.raises(DataError, match="received 1 and 0"):
        baselines(["a"], ["b"], [], seed=1)


def test_real_sentences_find_near_ones():
    folder = os.environ.get("SUNHWAN_DATA")
    if not folder or not (Path(folder) / "tatoeba-en-ko").is_dir():
        pytest.skip("needs tatoeba-en-ko in the folder that SUNHWAN_DATA names")
    with gzip.open(Path(folder) / "tatoeba-en-ko/train.tsv.gz", "rt", encoding="utf-8") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines][1:1001]
    english, korean = zip(*rows, strict=True)
    found = nearest(korean, english, [f"{text}!" for text in korean[:100]])
    assert sum(one == other for one, other in zip(found.hypotheses, english, strict=False)) > 80
    assert found.seconds < 30
