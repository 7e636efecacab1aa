"""Drawing ids: the right probabilities, the same ids for the same seed, clear refusals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2, chisquare

from steppers import Chain, Recurrent
from sunhwan.errors import ShapeError, SunhwanError, UsageError
from sunhwan.tasks.sampling import Sampler, SamplingOptions, choose
from sunhwan.tasks.stepping import read

END = 6
SHARES = np.array([0.05, 0.3, 0.12, 0.02, 0.2, 0.01, 0.3])
DRAWS = 20_000


def drawn(options: SamplingOptions, forbidden: tuple[int, ...] = (), shares=SHARES) -> np.ndarray:
    """How often each id is drawn by as many rows as there are draws."""
    logits = np.tile(np.log(shares) + 3, (DRAWS, 1))
    ids = choose(logits, jax.random.key(4), options, forbidden)
    return np.bincount(ids, minlength=len(shares))


def assert_drawn_from(counts: np.ndarray, shares: np.ndarray) -> None:
    assert (counts[shares == 0] == 0).all()
    live = shares > 0
    if live.sum() == 1:
        return
    # one wrong alarm in ten thousand, were the seed not fixed
    assert chisquare(counts[live], DRAWS * shares[live] / shares.sum()).pvalue > 1e-4


@pytest.mark.parametrize(
    ("options", "forbidden", "expected"),
    [
        ({}, (), SHARES),
        ({"temperature": 0.5}, (), SHARES**2),
        ({"temperature": 3.0}, (), SHARES ** (1 / 3)),
        ({"top_p": 1, "top_k": 7}, (), SHARES),
        # of equals the first is the likelier one, so that exactly as many are left
        ({"top_k": 1}, (), np.array([0, 1, 0, 0, 0, 0, 0])),
        ({"top_k": 3}, (), np.array([0, 0.3, 0, 0, 0.2, 0, 0.3])),
        ({"top_p": 0.7}, (), np.array([0, 0.3, 0, 0, 0.2, 0, 0.3])),
        ({"top_p": 0.81}, (), np.array([0, 0.3, 0.12, 0, 0.2, 0, 0.3])),
        ({"top_p": 1e-9}, (), np.array([0, 1, 0, 0, 0, 0, 0])),
        # 0.3 of the 0.8 that top_k leaves is less than 0.4, 0.6 is more
        ({"top_k": 3, "top_p": 0.4}, (), np.array([0, 0.3, 0, 0, 0, 0, 0.3])),
        ({}, (1, 3), np.array([0.05, 0, 0.12, 0, 0.2, 0.01, 0.3])),
        ({"top_k": 2, "temperature": 2.0}, (6,), np.array([0, 0.3, 0, 0, 0.2, 0, 0]) ** 0.5),
    ],
)
def test_ids_come_with_their_probabilities_and_excluded_ones_never(options, forbidden, expected):
    assert_drawn_from(drawn(SamplingOptions(**options), forbidden), expected)


def test_options_that_exclude_nothing_change_no_draw():
    logits = np.random.default_rng(2).normal(size=(50, 7))
    ids = choose(logits, jax.random.key(9))
    for options in (SamplingOptions(top_k=900), SamplingOptions(top_p=1.0)):
        np.testing.assert_array_equal(choose(logits, jax.random.key(9), options), ids)


@pytest.mark.parametrize("temperature", [0, 1e-6])
def test_cold_draws_are_the_likeliest(temperature):
    logits = np.random.default_rng(6).normal(size=(200, 7)).astype(np.float32) * 100
    ids = choose(logits, jax.random.key(1), SamplingOptions(temperature=temperature))
    np.testing.assert_array_equal(ids, logits.argmax(axis=1))
    allowed = logits.copy()
    allowed[:, [0, 5]] = -np.inf
    ids = choose(logits, jax.random.key(1), SamplingOptions(temperature=temperature), (5, 0))
    np.testing.assert_array_equal(ids, allowed.argmax(axis=1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1}, "`temperature` must be 0, .* 1e-06 to 1,000,000, received -1"),
        ({"temperature": 1e-7}, "`temperature` .* received 1e-07"),
        ({"temperature": float("nan")}, "`temperature` .* received nan"),
        ({"temperature": "hot"}, "`temperature` .* received 'hot'"),
        ({"temperature": True}, "`temperature` .* received True"),
        ({"top_k": 0}, "`top_k` must be a whole number from 1, received 0"),
        ({"top_k": 2.5}, "`top_k` .* received 2.5"),
        ({"top_p": 0}, "`top_p` must be above 0 and at most 1, received 0"),
        ({"top_p": 1.01}, "`top_p` .* received 1.01"),
    ],
)
def test_options_out_of_range_are_named(options, message):
    with pytest.raises(UsageError, match=message):
        SamplingOptions(**options)


# writing


def written(sampler: Sampler, rows: int = 3, length: int = 40, prompt: int = 2) -> np.ndarray:
    stepper = sampler._stepper
    ids = np.arange(rows * prompt).reshape(rows, prompt) % 6
    return np.concatenate(list(sampler.write(*read(stepper, stepper.start(rows), ids), length)), 1)


def test_written_ids_follow_the_chain():
    rows, length = 60, 120
    sampler = Sampler(Chain(), seed=5)
    ids = written(sampler, rows, length, prompt=1)
    assert ids.shape == (rows, length)
    counts = np.zeros((7, 7))
    np.add.at(counts, (ids[:, :-1].ravel(), ids[:, 1:].ravel()), 1)
    expected = counts.sum(axis=1, keepdims=True) * Chain.table
    distance = ((counts - expected) ** 2 / expected)[expected > 5].sum()
    assert distance < chi2.ppf(0.9999, df=int((expected > 5).sum()))
    assert sampler.tokens_per_second > 0


def test_a_seed_gives_the_same_ids_however_they_are_cut_and_whatever_rows_follow():
    stepper = Recurrent(7)
    options = SamplingOptions(top_p=0.9, top_k=5, temperature=1.3)
    sampler = Sampler(stepper, options, seed=1, end=END)
    whole = written(sampler, length=50)
    assert len({tuple(row) for row in whole}) == 3
    np.testing.assert_array_equal(written(sampler, length=5), whole[:, :5])
    cut = written(Sampler(stepper, options, seed=1, end=END, chunk=7), length=50)
    np.testing.assert_array_equal(cut, whole)
    alone = written(sampler, rows=1, length=50)
    np.testing.assert_array_equal(alone, whole[:1, : alone.shape[1]])
    assert (whole[0, alone.shape[1] :] == END).all()


def test_greedy_writing_is_stepping_by_hand():
    stepper = Recurrent(7)
    state, logits = read(stepper, stepper.start(2), [[1, 4], [5, 0]])
    by_hand = []
    for _ in range(20):
        by_hand.append(np.asarray(logits).argmax(axis=1))
        state, logits = stepper.step(state, jnp.asarray(by_hand[-1]))
    state, logits = read(stepper, stepper.start(2), [[1, 4], [5, 0]])
    sampler = Sampler(stepper, SamplingOptions(temperature=0), chunk=8)
    chunks = list(sampler.write(state, logits, 20))
    assert [ids.shape for ids in chunks] == [(2, 1), (2, 8), (2, 8), (2, 3)]
    np.testing.assert_array_equal(np.concatenate(chunks, axis=1), np.array(by_hand).T)


def test_rows_stop_at_their_end_and_nothing_is_written_when_all_have():
    sampler = Sampler(Chain(), seed=8, end=END, chunk=4)
    logits = np.log(Chain.table[[0, 1, 2, 3]])
    chunks = list(sampler.write((), logits, length=400))
    ids = np.concatenate(chunks, axis=1)
    lengths = (ids == END).argmax(axis=1) + 1
    assert ids.shape[1] == lengths.max() < 400
    assert len(set(lengths)) > 1
    for row, length in zip(ids, lengths, strict=True):
        assert (row[length:] == END).all()
    # until the ends nothing is other than without one
    free = np.concatenate(list(Sampler(Chain(), seed=8).write((), logits, ids.shape[1])), axis=1)
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(ids[row, :length], free[row, :length])
    assert sampler._tokens == lengths.sum()
    other = next(Sampler(Chain(), seed=9).write((), np.zeros((40, 7)), 1))
    assert (other != next(Sampler(Chain(), seed=8).write((), np.zeros((40, 7)), 1))).any()


def test_an_end_at_once_is_all_there_is():
    logits = np.full((2, 7), -50.0)
    logits[:, END] = 50
    [ids] = Sampler(Chain(), end=END).write((), logits, 9)
    np.testing.assert_array_equal(ids, [[END], [END]])


def test_forbidden_ids_are_never_written():
    sampler = Sampler(Chain(), forbidden=(0, 1, END), end=END)
    ids = np.concatenate(list(sampler.write((), np.zeros((3, 7)), 100)), axis=1)
    assert ids.shape == (3, 100)
    assert set(np.unique(ids)) == {2, 3, 4, 5}


def test_logits_that_are_no_numbers_are_refused_where_they_come():
    class Broken(Chain):
        def start(self, rows):
            return jnp.zeros(rows, jnp.int32)

        def step(self, state, ids):
            logits = jnp.where(state[:, None] == jnp.arange(5, 5 + len(ids))[:, None], jnp.nan, 0)
            return state + 1, jnp.tile(logits, 7)

    sampler = Sampler(Broken(), chunk=4)
    with pytest.raises(SunhwanError, match="received others in row 1 for id 7 of what it writes"):
        list(sampler.write(Broken().start(2), np.zeros((2, 7)), 20))
    assert sum(part.shape[1] for part in sampler.write(Broken().start(2), np.zeros((2, 7)), 6)) == 6
    with pytest.raises(SunhwanError, match="in row 2 for id 1 "):
        list(sampler.write(Broken().start(2), [[0.0] * 7, [np.inf] * 7], 20))


@pytest.mark.parametrize(
    ("options", "given", "error", "message"),
    [
        ({"seed": -1}, {}, UsageError, "`seed` must be a whole number from 0, received -1"),
        ({"seed": 2**31}, {}, UsageError, "`seed` must be from 0 to 2147483647, received"),
        ({"chunk": 0}, {}, UsageError, "`chunk` must be a whole number from 1, received 0"),
        ({"end": 7}, {}, UsageError, "`end` must be from 0 to 6, received 7"),
        ({"forbidden": (9,)}, {}, UsageError, "`forbidden` must be from 0 to 6, received 9"),
        ({}, {"length": 0}, UsageError, "`length` must be a whole number from 1, received 0"),
        ({}, {"logits": np.zeros((2, 6))}, ShapeError, r"shape \[2, 7\], received shape \(2, 6\)"),
        ({}, {"state": np.zeros((3, 1))}, ShapeError, r"must have 2 rows .* received shape \(3, 1"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(options, given, error, message):
    given = {"state": (), "logits": np.zeros((2, 7)), "length": 5, **given}
    with pytest.raises(error, match=message):
        Sampler(Chain(), **options).write(**given)
