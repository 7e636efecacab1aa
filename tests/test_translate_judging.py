"""BLEU, chrF and exact matches: as sacrebleu gives them, with intervals, and against baselines."""

from __future__ import annotations

import gzip
import os
import unicodedata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from sunhwan.errors import DataError, ShapeError
from sunhwan.runs.resampling import bootstrap_intervals
from sunhwan.tasks.baselines_translate import Baseline, baselines
from sunhwan.tasks.translate_judging import (
    by_length,
    by_source,
    compare,
    count,
    difference,
    examples,
    figures,
)

WORDS = ["톰은", "메리가", "어제", "집에", "갔다.", "won", "slept", "the", "dog,", "sky", "it's"]


def sentence(random, longest: int = 12) -> str:
    return " ".join(random.choice(WORDS, random.integers(1, longest)))


def spoilt(text: str, random) -> str:
    """The text with some words left out or changed."""
    kept = [word for word in text.split() if random.random() < 0.8]
    return " ".join(str(random.choice(WORDS)) if random.random() < 0.1 else word for word in kept)


def pairs(seed: int, rows: int = 60):
    """Hypotheses, some exact and some empty, and one to three references each."""
    random = np.random.default_rng(seed)
    references = [[sentence(random) for _ in range(random.integers(1, 4))] for _ in range(rows)]
    hypotheses = [spoilt(several[-1], random) for several in references]
    hypotheses[3], hypotheses[5], hypotheses[7] = "", references[5][-1], f" {references[7][0]} "
    return hypotheses, references


def columns(references):
    """References as sacrebleu takes them: the first ones, the second ones, ..."""
    most = max(map(len, references))
    return [
        [several[n] if n < len(several) else None for several in references] for n in range(most)
    ]


def real_pairs(name: str):
    folder = os.environ.get("SUNHWAN_DATA")
    if not folder or not (Path(folder) / "tatoeba-en-ko").is_dir():
        pytest.skip("needs tatoeba-en-ko in the folder that SUNHWAN_DATA names")
    path = Path(folder) / f"tatoeba-en-ko/{name}.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines][1:]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_figures_are_those_of_sacrebleu(seed):
    hypotheses, references = pairs(seed)
    found = figures(count(hypotheses, references), seed=1)
    for name, metric in (("chrf", CHRF()), ("bleu", BLEU())):
        wanted = metric.corpus_score(hypotheses, columns(references))
        assert found["metrics"][name] == wanted.score
        assert found["signatures"][name] == f"{wanted.name}|{metric.get_signature()}"
    assert "nrefs:var" in found["signatures"]["chrf"]
    exact = [text.strip() in several for text, several in zip(hypotheses, references, strict=True)]
    assert found["metrics"]["exact_match"] == np.mean(exact) > 0


def test_pairs_drawn_several_times_count_so_often():
    hypotheses, references = pairs(4, rows=30)
    drawn = np.random.default_rng(5).integers(0, 4, 30)
    rows = np.repeat(np.arange(30), drawn)
    wanted = CHRF().corpus_score([hypotheses[r] for r in rows],
                                 columns([references[r] for r in rows])).score  # fmt: skip
    sums = drawn @ count(hypotheses, references).chrf
    assert CHRF()._compute_score_from_stats(sums.tolist()).score == wanted


def test_intervals_are_those_of_the_same_bootstrap_with_sacrebleu(monkeypatch):
    monkeypatch.setattr("sunhwan.runs.resampling.RESAMPLES", 40)
    hypotheses, references = pairs(6, rows=25)

    def slowly(drawn):
        rows = np.repeat(np.arange(25), drawn.astype(int))
        said, wanted = [hypotheses[r] for r in rows], columns([references[r] for r in rows])
        return {"chrf": CHRF().corpus_score(said, wanted).score,
                "bleu": BLEU().corpus_score(said, wanted).score}  # fmt: skip

    wanted = bootstrap_intervals(slowly, 25, seed=9)
    found = figures(count(hypotheses, references), seed=9)["intervals"]
    assert {name: found[name] for name in wanted} == wanted
    assert found["chrf"][0] < found["chrf"][1]
    assert 0 <= found["exact_match"][0] <= found["exact_match"][1] <= 1


def test_forms_of_unicode_and_outer_spaces_make_no_difference():
    apart = [unicodedata.normalize("NFD", text) for text in ("잊어버렸어.", "나는 갔다. ")]
    together = ["잊어버렸어. ", "나는 간다."]
    counts = count(apart, [[text] for text in together])
    assert counts.exact.tolist() == [1, 0]
    same = count(["잊어버렸어.", "나는 갔다."], [[text] for text in together])
    np.testing.assert_array_equal(counts.chrf, same.chrf)
    np.testing.assert_array_equal(counts.bleu, same.bleu)
    assert counts.chrf[0, :3].tolist() == [6, 6, 6]


def test_odd_texts_have_figures():
    found = figures(count(["", "", "x"], [[""], ["abc def"], ["\u200b"]]), seed=1)["metrics"]
    assert found["chrf"] == found["bleu"] == 0
    assert found["exact_match"] == pytest.approx(1 / 3)
    alone = figures(count(["a"], [["a"]]), seed=1)
    assert alone["metrics"]["chrf"] == 100
    assert alone["intervals"] == {}


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ShapeError, match="for each of 2 hypotheses, received 1"):
        count(["a", "b"], [["a"]])
    with pytest.raises(DataError, match="at least one pair"):
        count([], [])
    with pytest.raises(DataError, match="pair 2 of 2 has no reference"):
        count(["a", "b"], [["a"], []])
    with pytest.raises(ShapeError, match="one for each of 2 rows"):
        by_length(count(["a", "b"], [["a"], ["b"]]), [1, 2, 3])


def test_the_same_source_becomes_one_pair_with_its_different_targets():
    apart = unicodedata.normalize("NFD", "가자.")
    rows, references = by_source(["Go.", "Come.", "Go. ", "Go."], ["가.", "와.", "가자.", apart])
    assert rows == [0, 1]
    assert references == [["가.", "가자."], ["와."]]


def test_a_difference_is_tested_pair_by_pair():
    random = np.random.default_rng(7)
    references = [[sentence(random)] for _ in range(120)]
    # three texts of ten are spoilt in one, eight of ten in the other
    one, other = ([several[0] if random.random() < kept else spoilt(several[0], random)
                   for several in references] for kept in (0.7, 0.2))  # fmt: skip
    ours, theirs = count(one, references), count(other, references)
    found = difference(theirs, ours, seed=1)
    chrf = found["chrf"]
    expected = [CHRF().corpus_score(text, columns(references)).score for text in (one, other)]
    assert chrf["value"] == pytest.approx(expected[0] - expected[1])
    assert 0 < chrf["interval"][0] < chrf["value"] < chrf["interval"][1]
    assert chrf["p"] <= 0.001
    back = difference(ours, theirs, seed=1)
    assert back["chrf"]["value"] == -chrf["value"]
    assert found["exact_match"]["value"] == pytest.approx(ours.exact.mean() - theirs.exact.mean())
    assert found["exact_match"]["test"] == "McNemar"
    assert difference(theirs, ours, seed=1) == found


def test_no_difference_has_a_great_p():
    hypotheses, references = pairs(8, rows=40)
    random = np.random.default_rng(3)
    counts = count(hypotheses, references)
    others = count([spoilt(several[-1], random) for several in references], references)
    assert difference(counts, counts, seed=1)["chrf"] == {
        "value": 0.0, "interval": [0.0, 0.0], "p": 1.0, "test": "permutation",
    }  # fmt: skip
    assert difference(others, counts, seed=1)["chrf"]["p"] > 0.05
    one = count(["a"], [["a"]])
    assert difference(one, one, seed=1) == {}


def test_p_of_few_pairs_is_that_of_all_exchanges():
    references = [["the dog, won"], ["it's sky"], ["어제 집에 갔다."], ["slept"]]
    ours = count([several[0] for several in references], references)
    theirs = count(["the dog", "it is", "오늘 집에 갔다.", "slept"], references)
    # of sixteen exchanges, the one seen and its mirror are the extremes; the last pair is equal
    assert difference(theirs, ours, seed=1)["chrf"]["p"] == pytest.approx(4 / 16)


def test_groups_of_lengths_are_judged_as_if_they_were_all():
    hypotheses, references = pairs(9, rows=80)
    lengths = np.random.default_rng(1).integers(3, 40, 80)
    counts = count(hypotheses, references)
    found = by_length(counts, lengths)["by_length"]
    edges = found["edges"]
    assert sum(found["count"]) == 80
    for n, (low, high) in enumerate(pairwise(edges)):
        last = n == len(edges) - 2
        rows = np.flatnonzero((lengths >= low) & ((lengths < high) | last))
        assert len(rows) == found["count"][n]
        said, wanted = [hypotheses[r] for r in rows], [references[r] for r in rows]
        assert found["chrf"][n] == CHRF().corpus_score(said, columns(wanted)).score
        assert found["exact_match"][n] == pytest.approx(counts.exact[rows].mean())
    assert by_length(counts, np.full(80, 5)) == {}


def test_examples_are_spread_evenly_and_the_worst_come_first():
    hypotheses, references = pairs(10, rows=91)
    sources = [f"source {n}" for n in range(91)]
    places = [f"a.tsv, line {n + 2}" for n in range(91)]
    shown = examples(count(hypotheses, references), sources, hypotheses, references, places)
    even = [f"source {n}" for n in range(0, 91, 10)]
    assert [pair["source"] for pair in shown["translations"]] == even
    assert shown["translations"][1]["place"] == "a.tsv, line 12"
    worst = shown["worst_translations"]
    scores = [pair["chrf"] for pair in worst]
    assert len(worst) == 10
    assert scores == sorted(scores)
    assert scores[0] == 0
    all_of = [CHRF().sentence_score(text, several).score
              for text, several in zip(hypotheses, references, strict=True)]  # fmt: skip
    assert scores == sorted(all_of)[:10]
    assert not any(pair["exact"] for pair in worst)


def test_examples_of_few_pairs_have_each_once():
    shown = examples(count(["a", "b"], [["a"], ["b"]]), ["x", "y"], ["a", "b"], [["a"], ["b"]])
    assert [pair["source"] for pair in shown["translations"]] == ["x", "y"]
    assert shown["worst_translations"] == []
    assert "place" not in shown["translations"][0]


def test_baselines_stand_beside_the_network():
    hypotheses, references = pairs(11)
    network = count(hypotheses, references)
    others = [Baseline("copy of the source", ["x"] * 60, 0.25, "the source as it is")]
    (row,) = compare(network, others, references, seed=1)
    assert (row["name"], row["seconds"], row["detail"]) == (
        "copy of the source", 0.25, "the source as it is",
    )  # fmt: skip
    assert row["metrics"]["chrf"] < 1
    assert row["intervals"].keys() == {"chrf", "bleu", "exact_match"}
    assert row["difference"]["chrf"]["value"] > 50


def test_real_pairs_are_judged_as_sacrebleu_does():
    train, test = real_pairs("train"), real_pairs("test")
    rows, references = by_source(*zip(*test, strict=True))
    assert len(rows) < len(test)
    assert sum(map(len, references)) <= len(test)
    sources = [test[row][0] for row in rows]
    found = baselines([pair[0] for pair in train], [pair[1] for pair in train], sources, seed=1)
    nearest = count(found[1].hypotheses, references)
    judged = figures(nearest, seed=1)["metrics"]
    metric = CHRF()
    assert judged["chrf"] == metric.corpus_score(found[1].hypotheses, columns(references)).score
    assert 15 < judged["chrf"] < 35
    copy = count(found[0].hypotheses, references)
    assert difference(copy, nearest, seed=1)["chrf"]["interval"][0] > 5
