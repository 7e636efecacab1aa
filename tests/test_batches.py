"""Batches: every row once, few shapes, an order that only seed and epoch decide."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from sunhwan.data.batches import Batches
from sunhwan.data.buckets import bucket_lengths
from sunhwan.errors import DataError, ShapeError, SunhwanError, UsageError

random = np.random.default_rng(7)


def ids(lengths):
    """Rows of ids of which the first is the number of the row, from 1."""
    return [np.append(n + 1, random.integers(1, 50, t - 1)).astype(np.int32)
            for n, t in enumerate(lengths)]  # fmt: skip


def numbers(lengths, features=3):
    return [random.normal(size=(t, features)).astype(np.float32) for t in lengths]


LENGTHS = np.clip(random.lognormal(2.5, 0.8, 333).astype(int), 1, 90)


@pytest.mark.parametrize("seed", [None, 0, 12])
@pytest.mark.parametrize("batch_size", [1, 32, 500])
def test_every_row_comes_once_an_epoch_with_its_target_and_weight(seed, batch_size):
    rows, targets = ids(LENGTHS), random.normal(size=len(LENGTHS))
    weights = random.uniform(0.5, 2, len(LENGTHS)).astype(np.float32)
    batches = Batches(rows, targets, batch_size=batch_size, seed=seed, sample_weights=weights)
    for epoch in range(2):
        batches.start(epoch)
        seen = []
        for x, y, w in (batches[i] for i in range(len(batches))):
            assert len(x) == len(y) == len(w) == batch_size
            for row, target, weight in zip(x[w > 0], y[w > 0], w[w > 0], strict=True):
                number = row[0] - 1
                seen.append(number)
                length = LENGTHS[number]
                np.testing.assert_array_equal(row[:length], rows[number])
                assert not row[length:].any()
                assert target == np.float32(targets[number])
                assert weight == weights[number]
        assert sorted(seen) == list(range(len(rows)))
    assert batches.weight == pytest.approx(weights.sum())


def test_what_fills_up_is_a_real_row_of_weight_zero():
    x, _, weights = Batches(ids([4, 4, 4]), [0, 1, 2], batch_size=8)[0]
    assert weights.tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(x[3:], x[[0, 1, 2, 0, 1]])


def order(batches):
    return [x[w > 0, 0].tolist() for x, _, w in (batches[i] for i in range(len(batches)))]


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    rows, targets = ids(LENGTHS), np.zeros(len(LENGTHS))
    one = Batches(rows, targets, batch_size=16, seed=5)
    epochs = [order(one)]
    for _ in range(3):
        one.on_epoch_end()
        epochs.append(order(one))
    assert len({str(epoch) for epoch in epochs}) == 4
    other = Batches(rows, targets, batch_size=16, seed=5)
    for epoch in (3, 1, 0):
        other.start(epoch)
        assert order(other) == epochs[epoch]
    assert order(Batches(rows, targets, batch_size=16, seed=6)) != epochs[0]
    still = Batches(rows, targets, batch_size=16)
    first = order(still)
    still.on_epoch_end()
    assert order(still) == first


def test_rows_of_a_batch_change_from_epoch_to_epoch_also_within_a_bucket():
    batches = Batches(ids([9] * 64), np.zeros(64), batch_size=16, seed=1)
    before = {frozenset(rows) for rows in order(batches)}
    batches.on_epoch_end()
    assert not before & {frozenset(rows) for rows in order(batches)}


def test_shapes_are_few_and_padding_small():
    batches = Batches(ids(LENGTHS), np.zeros(len(LENGTHS)), batch_size=16, seed=1)
    shapes = {batches[i][0].shape for i in range(len(batches))}
    assert shapes == {(16, t) for t in batches.buckets}
    assert 2 <= len(shapes) <= 8
    cells = sum(batches[i][0].size for i in range(len(batches)))
    assert cells < 0.65 * 16 * np.ceil(len(LENGTHS) / 16) * LENGTHS.max()


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_no_other_lengths_cost_less(most):
    lengths = random.integers(1, 12, 60)

    def cost(chosen):
        bucket = np.searchsorted(chosen, lengths)
        counts = np.bincount(bucket, minlength=len(chosen))
        return int((np.ceil(counts / 4) * 4 * np.array(chosen)).sum())

    ends = sorted(set(lengths.tolist()))
    choices = [(*c, ends[-1]) for k in range(most) for c in itertools.combinations(ends[:-1], k)]
    best = min(map(cost, choices))
    chosen = bucket_lengths(lengths, 4, most)
    assert cost(chosen) <= 1.05 * best
    fewer = [c for c in choices if len(c) < len(chosen)]
    assert all(cost(c) > 1.05 * best for c in fewer)


def test_equal_lengths_make_one_shape_and_few_rows_few_shapes():
    assert bucket_lengths(np.full(1000, 100), 32, 8) == (100,)
    # below a batch in all, another bucket would cost a batch of its own
    assert len(bucket_lengths(np.array([20, 22, 25, 30]), 64, 8)) == 1


def test_given_lengths_are_doubled_for_longer_rows():
    batches = Batches.for_prediction(ids([3, 17, 50]), batch_size=2, buckets=(4, 10))
    assert batches.buckets == (4, 10, 20, 40, 80)
    assert [batches[i][0].shape for i in range(len(batches))] == [(2, 4), (2, 20), (2, 80)]


def test_numbers_come_with_a_mask_that_zeros_do_not_fool():
    rows = numbers([3, 5])
    rows[0][:] = 0
    (x, mask), y, weights = Batches(rows, [1.5, 2.5], batch_size=2)[0]
    assert x.dtype == np.float32
    assert mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    np.testing.assert_array_equal(x[1], rows[1])
    assert not x[0].any()
    assert y.tolist() == [[1.5], [2.5]]
    assert weights.tolist() == [1, 1]


def test_several_ids_a_step_come_with_a_mask_too():
    rows = [np.array([[4, 7]], np.int32), np.array([[5, 8], [6, 9]], np.int32)]
    ((x, mask),) = Batches.for_prediction(rows, batch_size=2)[0]
    assert x.tolist() == [[[4, 7], [0, 0]], [[5, 8], [6, 9]]]
    assert x.dtype == np.int32
    assert mask.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize(
    ("targets", "per_step", "dtype", "shape"),
    [
        ([2, 0, 1], False, "int32", (4,)),
        (np.array([True, False, True]), False, "int32", (4,)),
        ([0.5, 1, 2], False, "float32", (4, 1)),
        (np.ones((3, 6)), False, "float32", (4, 6)),
        ([[1, 2], [1, 2, 3], [4]], True, "int32", (4, 3)),
        ([[0.5, 2], [1, 2, 3], [4]], True, "float32", (4, 3, 1)),
        ([np.ones((t, 2)) for t in (2, 3, 1)], True, "float32", (4, 3, 2)),
    ],
)
def test_targets_of_each_kind(targets, per_step, dtype, shape):
    batches = Batches(ids([2, 3, 1]), targets, batch_size=4, per_step=per_step, buckets=1)
    _, y, weights = batches[0]
    assert (y.dtype, y.shape) == (dtype, shape)
    assert weights.shape == shape[: 2 if per_step else 1]


def test_steps_that_only_fill_up_weigh_nothing():
    tags = [[1, 2], [3, 4, 5], [6]]
    weights = [2.0, [1, 0, 0.5], 1]
    batches = Batches(
        ids([2, 3, 1]), tags, batch_size=4, per_step=True, buckets=1, sample_weights=weights
    )
    _, y, w = batches[0]
    assert y[:3].tolist() == [[6, 0, 0], [1, 2, 0], [3, 4, 5]]
    assert w.tolist() == [[1, 0, 0], [2, 2, 0], [1, 0, 0.5], [0, 0, 0]]
    assert batches.weight == 6.5


def test_answers_come_back_in_the_order_of_the_rows():
    batches = Batches.for_prediction(ids(LENGTHS), batch_size=32)
    outputs = [batches[i][0][:, :1] * [[1, 10]] for i in range(len(batches))]
    np.testing.assert_array_equal(
        batches.restore(outputs), np.arange(1, len(LENGTHS) + 1)[:, None] * [[1, 10]]
    )
    rows = ids(LENGTHS)
    batches = Batches.for_prediction(rows, batch_size=32, per_step=True)
    for answer, row in zip(
        batches.restore([batches[i][0] for i in range(len(batches))]), rows, strict=True
    ):
        np.testing.assert_array_equal(answer, row)


def test_keras_takes_them_too():
    inputs = keras.Input((None,), dtype="int32")
    hidden = keras.layers.Embedding(400, 4, mask_zero=True)(inputs)
    model = keras.Model(
        inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(hidden))
    )
    model.compile("sgd", "mse")
    lengths = [2, 3, 9, 9, 9]
    batches = Batches(ids(lengths), random.normal(size=5), batch_size=2, seed=0)
    assert len(model.fit(batches, epochs=2, verbose=0).history["loss"]) == 2
    assert batches.epoch >= 2
    answers = model.predict(Batches.for_prediction(ids(lengths), batch_size=2), verbose=0)
    assert len(answers) % 2 == 0


ROWS = ids([2, 3])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"inputs": []}, DataError, "at least one row"),
        ({"batch_size": 0}, UsageError, "`batch_size`.*received 0"),
        ({"buckets": 0}, UsageError, "`buckets`.*received 0"),
        ({"buckets": [5, 5]}, UsageError, r"`buckets`.*\[5, 5\]"),
        ({"buckets": []}, UsageError, "`buckets`"),
        ({"inputs": [ROWS[0], ROWS[1][:0]]}, DataError, "at least one step.* row 1$"),
        ({"inputs": [ROWS[0], np.array([4, 0], np.int32)]},
         DataError, "received 0 in row 1, step 1"),
        ({"inputs": [np.array([-3], np.int32), ROWS[0]]},
         DataError, "received -3 in row 0, step 0"),
        ({"inputs": [np.array([1.0, 2.0])] * 2}, ShapeError, "float64"),
        ({"inputs": numbers([2]) + numbers([2], 4)}, ShapeError, "row 1"),
        ({"inputs": [np.ones((2, 3), np.float32), np.full((3, 3), np.inf, np.float32)]},
         DataError, "received inf in row 1, step 0"),
        ({"targets": [1]}, ShapeError, "`targets`.*2 rows, received 1"),
        ({"targets": ["a", "b"]}, DataError, "`targets` must be numbers"),
        ({"targets": [0.5, np.nan]}, DataError, "`targets`.*received nan in row 1"),
        ({"targets": [[1, 2], [1, 2, 3]]}, ShapeError, r"row 1 must have shape \(2,\)"),
        ({"targets": [[1, 2], [1, 2]], "per_step": True},
         ShapeError, "row 1 .* 3 steps, received 2"),
        ({"targets": [[0.1, 2], [1, 2, np.inf]], "per_step": True},
         DataError, "inf in row 1, step 2"),
        ({"sample_weights": [1, -1]}, DataError, "`sample_weights`"),
        ({"sample_weights": [0, 0]}, DataError, "not all 0"),
        ({"sample_weights": [1]}, ShapeError, "`sample_weights`.*received 1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(arguments, error, message):
    given = {"inputs": ROWS, "targets": [0, 1], "batch_size": 2} | arguments
    with pytest.raises(error, match=message) as caught:
        Batches(given.pop("inputs"), given.pop("targets"), **given)
    assert isinstance(caught.value, SunhwanError)


def test_an_order_that_was_drawn_cannot_be_restored():
    with pytest.raises(UsageError, match="without a `seed`"):
        Batches(ROWS, [0, 1], batch_size=2, seed=0).restore([np.zeros(2)])
    with pytest.raises(UsageError, match="must be 1 outputs, received 2"):
        Batches(ROWS, [0, 1], batch_size=2, buckets=1).restore([np.zeros(2)] * 2)
