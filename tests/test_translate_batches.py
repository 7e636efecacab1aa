"""Batches of pairs: what is read and foretold where, few shapes, orders that a seed gives."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from sunhwan.data.spool import Spool, Spooled
from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.tasks.translate_batches import PairBatches

END = 50


def _rows(lengths, seed):
    random = np.random.default_rng(seed)
    return [random.integers(1, END, n).astype(np.int32) for n in lengths]


def _pairs(count=97, longest=40, seed=2):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, longest, count)
    beside = np.maximum(1, lengths // 2 + random.integers(-3, 4, count))
    return _rows(lengths, 3), _rows(beside, 4)


def _all(batches):
    return [batches[index] for index in range(len(batches))]


@pytest.mark.parametrize("seed", [None, 11])
def test_each_pair_is_read_and_foretold_once(seed):
    sources, targets = _pairs()
    batches = PairBatches(sources, targets, end=END, batch_size=8, seed=seed)
    batches.start(3)
    seen, total = [], 0.0
    for index, ((source, read, own), wanted, weights) in enumerate(_all(batches)):
        assert (len(source), len(wanted), own.tolist()) == (8, 8, [[0.0]] * 8)
        assert (source.shape[1], wanted.shape[1]) in batches.shapes
        dtypes = [a.dtype for a in (source, read, own, wanted, weights)]
        assert dtypes == [np.int32, np.int32, np.float32, np.int32, np.float32]
        for place, row in enumerate(batches.rows(index)):
            if row < 0:
                assert (weights[place].any(), source[place].any()) == (False, True)
                continue
            seen.append(int(row))
            ids, count = targets[row].tolist(), len(targets[row])
            blank = [0] * (wanted.shape[1] - count - 1)
            assert source[place].tolist() == sources[row].tolist() + [0] * (
                source.shape[1] - len(sources[row])
            )
            assert read[place].tolist() == [END, *ids, *blank]
            assert wanted[place].tolist() == [*ids, END, *blank]
            assert weights[place].tolist() == [1.0] * (count + 1) + blank
        total += float(weights.sum())
    assert sorted(seen) == list(range(97))
    assert total == batches.weight == sum(map(len, targets)) + 97


def test_shapes_are_few_tight_and_grow():
    sources, targets = _pairs(3000)
    batches = PairBatches(sources, targets, end=END, batch_size=32, seed=1)
    assert 2 <= len(batches.shapes) <= 8
    assert np.diff(np.array(batches.shapes), axis=0).min() >= 0
    assert batches.shapes[-1] == (max(map(len, sources)), max(map(len, targets)) + 1)
    real = sum(map(len, sources)) + sum(map(len, targets)) + 3000
    spent = sum(x[0].size + x[1].size for x, _, _ in _all(batches))
    assert spent < 1.4 * real
    one = PairBatches(sources, targets, end=END, batch_size=32, shapes=1)
    assert (one.shapes, len(one)) == ((batches.shapes[-1],), -(-3000 // 32))


def test_sides_that_have_nothing_to_do_with_each_other():
    sources, targets = _rows([1, 1, 30, 30], 1), _rows([30, 1, 1, 30], 2)
    batches = PairBatches(sources, targets, end=END, batch_size=1)
    assert (batches.shapes[0], batches.shapes[-1]) == ((1, 2), (30, 31))
    assert batches.rows(0).tolist() == [1]
    equal = PairBatches(_rows([4] * 5, 1), _rows([6] * 5, 2), end=END, batch_size=2)
    assert (equal.shapes, len(equal)) == (((4, 7),), 3)


def test_shapes_can_be_taken_over():
    sources, targets = _pairs()
    shapes = PairBatches(sources, targets, end=END, batch_size=8).shapes
    short = PairBatches(sources[:9], targets[:9], end=END, batch_size=8, shapes=shapes)
    assert short.shapes == shapes
    long = PairBatches(
        _rows([9], 1), _rows([50], 2), end=END, batch_size=3, shapes=[(4, 5), (9, 13)]
    )
    assert long.shapes == ((4, 5), (9, 13), (9, 26), (9, 52))
    (source, read, _), _, weights = long[0]
    assert (source.shape, read.shape) == ((3, 9), (3, 52))
    assert weights.sum(axis=1).tolist() == [51.0, 0.0, 0.0]


def test_orders_are_functions_of_seed_and_epoch():
    sources, targets = _pairs()

    def order(seed, epoch, first=0):
        batches = PairBatches(sources, targets, end=END, batch_size=8, seed=seed)
        batches.start(first)
        batches.start(epoch)
        return [batches.rows(index).tolist() for index in range(len(batches))]

    assert order(5, 2) == order(5, 2, first=7)
    assert order(5, 2) != order(5, 3) != order(6, 3)
    assert order(None, 0) == order(None, 4)
    assert sorted(map(sorted, order(5, 2))) != sorted(map(sorted, order(5, 3)))
    assert len(order(5, 2)) == len(order(5, 9))


def test_own_guesses_grow_over_the_epochs():
    sources, targets = _pairs(5)
    batches = PairBatches(sources, targets, end=END, batch_size=4, own=0.6, own_epochs=3)
    shares = []
    for epoch in (0, 1, 2, 3, 9, 1):
        batches.start(epoch)
        (_, _, own), _, _ = batches[0]
        assert own.tolist() == [[own[0, 0]]] * 4
        shares.append(float(own[0, 0]))
    assert shares == pytest.approx([0, 0.2, 0.4, 0.6, 0.6, 0.2])


def test_rows_on_disk_are_the_same(monkeypatch):
    sources, targets = _pairs()
    plain = _all(PairBatches(sources, targets, end=END, batch_size=8, seed=1))
    monkeypatch.setenv("SUNHWAN_SPOOL_MB", "0.001")
    kept = [Spool(rows).items() for rows in (sources, targets)]
    assert all(isinstance(rows, Spooled) for rows in kept)
    for one, other in zip(
        plain, _all(PairBatches(*kept, end=END, batch_size=8, seed=1)), strict=True
    ):
        assert [a.tolist() for a in keras.tree.flatten(one)] == [
            a.tolist() for a in keras.tree.flatten(other)
        ]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"batch_size": 0}, UsageError, "`batch_size` must be at least 1, received 0"),
        ({"own_epochs": 0}, UsageError, "`own_epochs` must be at least 1, received 0"),
        ({"own": 1.5}, UsageError, "`own` must be a share from 0 to 1, received 1.5"),
        ({"shapes": 0}, UsageError, "received 0"),
        ({"shapes": []}, UsageError, "`shapes` must be pairs of lengths from 1 up, ascending"),
        ({"shapes": [(4, 9), (6, 8)]}, UsageError, "ascending, received"),
        ({"shapes": [(0, 9)]}, UsageError, "from 1 up"),
        ({"sources": [], "targets": []}, DataError, "at least one pair"),
        ({"targets": _rows([3], 1)}, ShapeError, "one row for each of the 2 sources, received 1"),
        ({"targets": _rows([3, 0], 1)}, DataError, "at least one step, received none in row 1"),
        ({"sources": [np.array([3, 0], np.int32)] * 2}, DataError, "at least 1, as 0 is padding"),
        ({"sources": [np.ones((2, 3), np.float32)] * 2}, ShapeError, "`sources` must all be int32"),
    ],
)
def test_what_does_not_fit_is_refused(change, error, says):
    given = {"sources": _rows([3, 4], 1), "targets": _rows([2, 5], 2), "batch_size": 2, **change}
    with pytest.raises(error, match=says):
        PairBatches(given.pop("sources"), given.pop("targets"), end=END, **given)
