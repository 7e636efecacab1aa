"""Beam search: the true best where it can be enumerated, rows that do not touch each other."""

from __future__ import annotations

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from steppers import Chain, Recurrent
from sunhwan.errors import ShapeError, SunhwanError, UsageError
from sunhwan.tasks.beam import Hypothesis, beam_search

END = 6
CHAIN = Chain()


def penalty(length: int, strength: float) -> float:
    return ((5 + length) / 6) ** strength


def all_sequences(first: int, steps: int, strength: float) -> list[tuple[float, tuple[int, ...]]]:
    """Every sequence of the chain that ends within the steps, the best score first."""
    table, found = np.log(Chain.table), []
    for length in range(steps):
        for ids in itertools.product(range(6), repeat=length):
            whole = (first, *ids, END)
            odds = sum(table[pair] for pair in itertools.pairwise(whole))
            found.append((odds / penalty(length + 1, strength), ids))
    return sorted(found, reverse=True)


@pytest.mark.parametrize("strength", [0.0, 0.7, 2.0])
def test_a_search_of_full_width_finds_the_best_of_all_sequences(strength):
    firsts = [2, 5]
    width = 7 * 6**4  # all continuations of all beginnings of 4 ids: none is ever left out
    found = beam_search(
        CHAIN, (), firsts, width=width, max_steps=5, end=END, length_penalty=strength
    )
    for first, hypotheses in zip(firsts, found, strict=True):
        expected = all_sequences(first, 5, strength)
        finished = [h for h in hypotheses if h.finished]
        assert len(finished) == len(expected) == sum(6**n for n in range(5))
        assert finished[0].ids == expected[0][1]
        scores = [score for score, _ in expected]
        np.testing.assert_allclose([h.score for h in finished], scores, rtol=2e-6)
        by_ids = {ids: score for score, ids in expected}
        for h in finished:
            assert h.score == pytest.approx(by_ids[h.ids], rel=2e-6)
            lengthened = h.score * penalty(len(h.ids) + 1, strength)
            assert h.log_probability == pytest.approx(lengthened, rel=2e-6)
        cut_off = hypotheses[len(finished) :]
        assert len(cut_off) == width - len(finished) <= 6**5
        assert not any(h.finished for h in cut_off)
        assert {len(h.ids) for h in cut_off} == {5}


def search_by_hand(stepper, source, first, width, steps, strength, minimum, forbidden):
    """The search for one source in plain Python, which reads each beginning anew."""
    alive, finished = [(0.0, ())], []
    while alive and len(alive[0][1]) < steps and len(finished) < width:
        ranked = []
        for odds, ids in alive:
            state = {**stepper.start(1), "source": source[None]}
            for step in (first, *ids):
                state, logits = stepper.step(state, jnp.asarray([step]))
            row = np.asarray(logits[0], np.float64)
            row -= np.log(np.exp(row).sum())
            banned = {*forbidden, *([END] if len(ids) < minimum else [])}
            ranked += [(odds + row[i], (*ids, i)) for i in range(7) if i not in banned]
        ranked.sort(reverse=True)
        ends = [(odds, ids[:-1]) for odds, ids in ranked[:width] if ids[-1] == END]
        finished += [(odds / penalty(len(ids) + 1, strength), ids, True) for odds, ids in ends]
        alive = [(odds, ids) for odds, ids in ranked if ids[-1] != END][:width]
    finished = sorted(finished, reverse=True)[:width]
    cut = [(odds / penalty(len(ids), strength), ids, False) for odds, ids in alive]
    return (finished + cut)[:width]


SOURCES = (np.random.default_rng(21).normal(size=(6, 7)) * 1.5).astype(np.float32)
FIRSTS = [0, 3, 6, 1, 5, 2]


RECURRENT = Recurrent(7)


def search(rows: slice, **options) -> list[list[Hypothesis]]:
    state = {**RECURRENT.start(len(FIRSTS[rows])), "source": SOURCES[rows]}
    return beam_search(RECURRENT, state, FIRSTS[rows], end=END, **options)


OPTIONS = {"width": 3, "max_steps": 8, "length_penalty": 0.8, "minimum": 2, "forbidden": (0,)}


def test_states_follow_their_beginnings():
    found = search(slice(0, 4), **OPTIONS)
    for row, hypotheses in enumerate(found):
        expected = search_by_hand(
            RECURRENT, SOURCES[row], FIRSTS[row], 3, 8, 0.8, minimum=2, forbidden={0}
        )
        assert [(h.ids, h.finished) for h in hypotheses] == [e[1:] for e in expected]
        np.testing.assert_allclose([h.score for h in hypotheses], [e[0] for e in expected], 1e-5)
        assert all(len(h.ids) >= 2 and 0 not in h.ids for h in hypotheses)
    assert {h.finished for hypotheses in found for h in hypotheses} == {True, False}


def test_sources_do_not_touch_each_other():
    whole = search(slice(0, 6), **OPTIONS)
    assert len({len(hypotheses[0].ids) for hypotheses in whole}) > 1
    # equal to the last bit: a hypothesis is compared with its scores
    assert [search(slice(row, row + 1), **OPTIONS)[0] for row in range(6)] == whole


def test_a_width_of_one_is_greedy():
    for strength in (0.0, 3.0):
        found = search(slice(0, 6), width=1, max_steps=12, length_penalty=strength)
        for row, [best] in enumerate(found):
            ids, last, total = [], FIRSTS[row], 0.0
            state = {**RECURRENT.start(1), "source": SOURCES[row][None]}
            while (len(ids) < 12 and last != END) or not ids:
                state, logits = RECURRENT.step(state, jnp.asarray([last]))
                odds = np.asarray(logits[0], np.float64)
                last = int(odds.argmax())
                total += odds[last] - np.log(np.exp(odds).sum())
                ids.append(last)
            assert best.finished == (last == END)
            assert best.ids == tuple(ids[:-1] if best.finished else ids)
            assert best.log_probability == pytest.approx(total, rel=1e-5)


def test_more_steps_than_are_needed_change_nothing():
    options = {"width": 4, "length_penalty": 0.5, "minimum": 1, "end": END}
    short = beam_search(CHAIN, (), [1, 2, 3], max_steps=16, **options)
    assert all(h.finished for hypotheses in short for h in hypotheses)
    assert beam_search(CHAIN, (), [1, 2, 3], max_steps=17, **options) == short


def test_all_that_there_is_may_be_fewer_than_the_width():
    forbidden = tuple(i for i in range(6) if i != 4)
    [found] = beam_search(
        CHAIN, (), [1], width=5, max_steps=3, end=END, length_penalty=0, forbidden=forbidden
    )
    expected = {((), True), ((4,), True), ((4, 4), True), ((4, 4, 4), False)}
    assert {(h.ids, h.finished) for h in found} == expected
    assert [h.finished for h in found] == [True, True, True, False]


def test_logits_that_are_no_numbers_name_the_source():
    class Broken(Chain):
        def step(self, state, ids):
            return state, jnp.where(state[:, None] > 1, jnp.nan, super().step(state, ids)[1])

    with pytest.raises(SunhwanError, match="received others for source 2 of 3"):
        beam_search(Broken(), jnp.array([0, 2, 1]), [1, 2, 3], width=2, max_steps=4, end=END)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"width": 0}, UsageError, "`width` must be a whole number from 1, received 0"),
        ({"max_steps": 2.5}, UsageError, "`max_steps` must be a whole number .* received 2.5"),
        ({"length_penalty": -0.1}, UsageError, "`length_penalty` must be from 0 to 10, received"),
        ({"length_penalty": float("nan")}, UsageError, "`length_penalty` .* received nan"),
        ({"minimum": 4}, UsageError, "`minimum` must be from 0 to 3, .* received 4"),
        ({"end": 7}, UsageError, "`end` must be from 0 to 6, received 7"),
        ({"forbidden": (-1,)}, UsageError, "`forbidden` must be from 0 to 6, received -1"),
        ({"first": [1, 9]}, UsageError, "`first` must be from 0 to 6, received 9"),
        ({"first": [[1, 2]]}, ShapeError, r"`first` .* received int64 of shape \(1, 2\)"),
        ({"state": np.zeros((6, 2))}, ShapeError, "must have 2 rows on its first axis"),
    ],
)
def test_what_does_not_fit_is_named(changes, error, message):
    given = {"state": (), "first": [1, 2], "width": 3, "max_steps": 4, "end": END, **changes}
    with pytest.raises(error, match=message):
        beam_search(CHAIN, **given)
