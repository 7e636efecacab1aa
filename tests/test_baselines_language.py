"""Language models that need no network: by the equations, sure of nothing, good on real text."""

from __future__ import annotations

import gzip
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from sunhwan.errors import DataError, UsageError
from sunhwan.tasks import baselines_language
from sunhwan.tasks.baselines_language import NGrams, baselines
from sunhwan.tasks.language_batches import joined

Texts = list[np.ndarray]


class Slow:
    """Modified Kneser-Ney smoothing word for word, with tuples in dictionaries."""

    def __init__(self, texts: Texts, vocabulary: int, order: int, *, closed: bool) -> None:
        self.vocabulary, self.order, self.end = vocabulary, order, vocabulary - 1
        seen: Counter[tuple[int, ...]] = Counter()
        for line in self._lines(texts, closed):
            for place in range(1, len(line)):
                for before in range(min(order, place) + 1):
                    seen[tuple(line[place - before : place + 1])] += 1
        lefts = defaultdict(set)
        for gram in seen:
            if len(gram) > 1:
                lefts[gram[1:]].add(gram[0])
        self.tables = {}
        for size in range(order + 1):
            grams = {gram: n for gram, n in seen.items() if len(gram) == size + 1}
            is_front = {gram: size > 0 and gram[0] == self.end for gram in grams}
            kinds = {g: n if is_front[g] else len(lefts[g]) for g, n in grams.items()}
            self.tables[size] = self._table(grams if size == order else kinds)

    def _lines(self, texts: Texts, closed: bool) -> list[list[int]]:
        lines = [[self.end, *text.tolist(), self.end] for text in texts]
        return lines if closed else [*lines[:-1], lines[-1][:-1]]

    @staticmethod
    def _table(counts):
        n1, n2, n3, n4 = (sum(c == n for c in counts.values()) for n in (1, 2, 3, 4))
        lowered = [0.5, 1.0, 1.5]
        if n1 and n2 and n3 and n4:
            y = n1 / (n1 + 2 * n2)
            found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
            lowered = found if min(found) > 0 else lowered
        totals, taken = Counter(), Counter()
        for gram, count in counts.items():
            totals[gram[:-1]] += count
            taken[gram[:-1]] += lowered[min(count, 3) - 1]
        return counts, lowered, totals, taken

    def probability(self, before: tuple[int, ...], token: int) -> float:
        counts, lowered, totals, taken = self.tables[len(before)]
        below = self.probability(before[1:], token) if before else 1 / self.vocabulary
        if not totals[before]:
            return below
        count = counts.get((*before, token), 0)
        kept = count - lowered[min(count, 3) - 1] if count else 0.0
        return (kept + taken[before] * below) / totals[before]

    def losses(self, texts: Texts, *, closed: bool) -> list[float]:
        return [
            -np.log(self.probability(tuple(line[max(0, place - self.order) : place]), line[place]))
            for line in self._lines(texts, closed)
            for place in range(1, len(line))
        ]


def _texts(seed: int, count: int, ids: int, longest: int = 60) -> Texts:
    """Texts of a chain that prefers some followers, and some texts without a token."""
    random = np.random.default_rng(seed)
    shares = 1 / np.arange(1, ids + 1) ** 1.3
    texts = []
    for size in random.integers(0, longest, count):
        jumps = random.choice(ids, size, p=shares / shares.sum())
        texts.append((np.cumsum(jumps // 3) % ids).astype(np.int32))
    return texts


def _flat(model: NGrams, texts: Texts, vocabulary: int, closed: bool) -> np.ndarray:
    ids = joined(texts, vocabulary - 1, closed=closed)
    return np.concatenate(list(model.losses(ids)), axis=1)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize(
    ("vocabulary", "order", "count"),
    [(6, 4, 9), (30, 3, 60), (8_001, 8, 30), (4, 0, 5), (12, 8, 1)],
)
def test_probabilities_are_those_of_the_equations(
    vocabulary: int, order: int, count: int, closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(baselines_language, "_BLOCK", 17)
    ids = min(vocabulary - 2, 400)
    train, test = _texts(1, count, ids), _texts(2, 12, ids + 1)
    model = NGrams(joined(train, vocabulary - 1, closed=closed), vocabulary, order)
    found = _flat(model, test, vocabulary, closed)
    assert found.shape == (order + 1, sum(map(len, test)) + len(test) - (not closed))
    for size in range(order + 1):
        # the model of each order is the one that knows nothing of higher ones
        slow = Slow(train, vocabulary, size, closed=closed)
        np.testing.assert_allclose(found[size], slow.losses(test, closed=closed), rtol=1e-11)


def test_the_discounts_that_are_compared_are_of_both_kinds() -> None:
    tables = Slow(_texts(1, 60, 28), 30, 3, closed=True).tables.values()
    assert {lowered == [0.5, 1.0, 1.5] for _, lowered, *_ in tables} == {True, False}


@pytest.mark.parametrize("context", [[], [3], [5, 3], [0, 1, 2, 3, 4, 5], [6], [6, 0, 6], [9, 0]])
def test_what_may_follow_sums_to_one_and_is_never_impossible(context: list[int]) -> None:
    vocabulary = 11
    train = [text for text in _texts(3, 40, 8) if len(text)]
    model = NGrams(joined(train, 10, closed=False), vocabulary, 5)
    before = np.array([10, *context], np.int32)
    found = np.stack(
        [
            np.exp(-next(iter(model.losses(np.append(before, token))))[:, -1])
            for token in range(vocabulary)
        ]
    )
    np.testing.assert_allclose(found.sum(axis=0), 1.0, rtol=1e-12)
    assert found.min() > 0


def test_no_context_reaches_over_the_end_of_a_text() -> None:
    texts, other = _texts(4, 20, 9), _texts(5, 6, 9)
    model = NGrams(joined(texts, 9, closed=True), 10, 4)
    alone = np.concatenate([_flat(model, [text], 10, True) for text in other], axis=1)
    np.testing.assert_array_equal(alone, _flat(model, other, 10, True))
    turned = NGrams(joined(texts[::-1], 9, closed=True), 10, 4)
    np.testing.assert_allclose(_flat(turned, other, 10, True), alone, rtol=1e-12)


def test_order_is_chosen_by_the_validation_part() -> None:
    random = np.random.default_rng(6)
    # the third token before decides nine times of ten: two before are too few, more add nothing
    text = random.integers(0, 12, 20_000).astype(np.int32)
    for place in range(3, len(text)):
        if random.random() < 0.9:
            text[place] = (text[place - 3] * 5 + 1) % 12
    begun: list[str] = []
    found = baselines([text[:16_000]], [text[16_000:18_000]], [text[18_000:]], 13, closed=False,
                      on_start=begun.append)  # fmt: skip
    unigram, chain = found
    assert begun == ["unigram", "Markov chain"] == [baseline.name for baseline in found]
    assert chain.detail.startswith("looks at 3 tokens, of 1 to 8, chosen on the validation part")
    assert chain.loss < 0.9 < 2.3 < unigram.loss
    for baseline in found:
        assert baseline.losses.shape == (2_000,)
        assert baseline.loss == baseline.losses.mean()
        assert baseline.seconds > 0
    slow = Slow([text[:16_000]], 13, 3, closed=False)
    np.testing.assert_allclose(chain.losses, slow.losses([text[18_000:]], closed=False), rtol=1e-10)


def test_random_tokens_are_foretold_from_one_before() -> None:
    random = np.random.default_rng(7)
    texts = list(random.integers(0, 5, (3, 4_000)).astype(np.int32))
    unigram, chain = baselines(texts[:1], texts[1:2], texts[2:], 6)
    assert chain.detail.startswith("looks at 1 token, of 1 to 8")
    assert unigram.losses.shape == (4_001,)
    assert unigram.loss == pytest.approx(np.log(5), abs=0.01)


@pytest.mark.parametrize("closed", [True, False])
def test_of_many_tokens_the_front_is_learnt_from(
    closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, other = _texts(8, 30, 9), _texts(9, 5, 9)
    row = joined(texts, 9, closed=closed)
    full = [baseline.detail for baseline in baselines(texts, other, other, 10, closed=closed)]
    monkeypatch.setattr(baselines_language, "MOST_TOKENS", len(row) - 1)
    kept = [baseline.detail for baseline in baselines(texts, other, other, 10, closed=closed)]
    assert kept == full
    assert "from" not in full[1]
    for most in (1, 200, len(texts[0]) + 1, len(row) - 2):
        monkeypatch.setattr(baselines_language, "MOST_TOKENS", most)
        unigram, _ = baselines(texts, other, other, 10, closed=closed)
        assert unigram.detail.endswith(f", from {most} of {len(row) - 1} training tokens")
        front = NGrams(row[: most + 1], 10, 0)
        np.testing.assert_array_equal(unigram.losses, _flat(front, other, 10, closed)[0])


def test_what_is_no_language_is_refused() -> None:
    good, none = [np.array([1, 0, 2], np.int32)], np.zeros(0, np.int32)
    with pytest.raises(UsageError, match=r"`vocabulary` must be at least 2.*received 1"):
        baselines(good, good, good, 1)
    for place, part in enumerate(("training", "validation", "test")):
        for texts, closed in (([], True), ([], False), ([none], False)):
            parts = [good, good, good]
            parts[place] = texts
            with pytest.raises(DataError, match=f"the {part} part must have at least one token"):
                baselines(*parts, 4, closed=closed)
        for wrong in (-1, 3, 4):
            parts[place] = [*good, np.array([0, wrong, 1], np.int32)]
            with pytest.raises(DataError, match=f"ids of the {part} part.*0 to 2, .* {wrong}$"):
                baselines(*parts, 4)


def test_an_empty_text_has_only_its_end() -> None:
    empty = [np.zeros(0, np.int32)]
    for baseline in baselines([*empty * 3, np.array([1], np.int32)], empty, empty, 3):
        assert baseline.losses.shape == (1,)
        assert 0 < baseline.loss < np.log(3)


def test_letters_of_shakespeare() -> None:
    folder = os.environ.get("SUNHWAN_DATA")
    if folder is None or not (Path(folder) / "tinyshakespeare").exists():
        pytest.skip("needs tinyshakespeare in the folder that SUNHWAN_DATA names")
    text = gzip.decompress((Path(folder) / "tinyshakespeare" / "input.txt.gz").read_bytes())
    letters, ids = np.unique(np.frombuffer(text, np.uint8), return_inverse=True)
    border = [len(ids) * 8 // 10, len(ids) * 9 // 10]
    train, validation, test = ([part] for part in np.split(ids.astype(np.int32), border))
    unigram, chain = baselines(train, validation, test, len(letters) + 1, closed=False)
    assert unigram.loss == pytest.approx(3.348, abs=0.001)
    assert chain.loss == pytest.approx(1.687, abs=0.001)
    assert chain.detail.startswith("looks at 6 tokens")
